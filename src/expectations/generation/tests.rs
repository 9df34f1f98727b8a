use pretty_assertions::assert_eq;

use super::super::testing::{bucket_sync, compared_fields, observed, read, set, sync, target};
use super::*;
use crate::expectations::judge;

const ACCOUNTS: [&str; 4] = ["111122223333", "222233334444", "333344445555", "444455556666"];
const REGIONS: [&str; 3] = ["eu-central-1", "eu-west-1", "us-east-1"];

/// What is generated of targets in all accounts and regions, which have these syncs.
fn generated(syncs: impl Fn(&str, &str) -> Vec<DataSync>) -> Vec<GeneratedExpectation> {
    generated_in(&REGIONS, syncs)
}

fn generated_in(regions: &[&str], syncs: impl Fn(&str, &str) -> Vec<DataSync>) -> Vec<GeneratedExpectation> {
    let places: Vec<(&str, &str)> =
        ACCOUNTS.iter().flat_map(|account| regions.iter().map(move |region| (*account, *region))).collect();
    let fleet: Vec<(Target, Vec<DataSync>)> =
        places.iter().map(|(account, region)| (target(account, region), syncs(account, region))).collect();
    generate(fleet.iter().map(|(target, syncs)| observed(target, syncs)))
}

/// The only pattern of a field.
fn pattern(generated: &GeneratedExpectation, field: Field) -> Option<String> {
    use crate::expectations::{ExpectedText, ExpectedValue};
    match generated.request.value(field)? {
        ExpectedValue::Text(ExpectedText::AnyOf(patterns)) => {
            let [only] = patterns.as_slice() else { panic!("{patterns:?}") };
            Some(only.to_string())
        }
        other => panic!("{other:?}"),
    }
}

/// The names, the buckets, the accounts and the regions.
fn summary(generated: &[GeneratedExpectation]) -> Vec<(String, String, AccountScope, Vec<&str>)> {
    generated
        .iter()
        .map(|generated| {
            let regions = generated.regions.iter().map(RegionName::as_str).collect();
            let bucket = pattern(generated, Field::BucketName).unwrap_or_default();
            (generated.name.clone(), bucket, generated.accounts.clone(), regions)
        })
        .collect()
}

fn entry(
    name: &str,
    bucket: &str,
    accounts: AccountScope,
    regions: &[&'static str],
) -> (String, String, AccountScope, Vec<&'static str>) {
    (name.to_owned(), bucket.to_owned(), accounts, regions.to_vec())
}

fn only(ids: &[&str]) -> AccountScope {
    AccountScope::Only(ids.iter().map(|id| id.parse().unwrap()).collect())
}

fn all_but(ids: &[&str]) -> AccountScope {
    AccountScope::AllBut(ids.iter().map(|id| id.parse().unwrap()).collect())
}

#[test]
fn what_differs_only_by_account_and_region_has_placeholders() {
    let expectations = generated(|account, region| {
        vec![bucket_sync(&format!("inventory-{region}"), &format!("org-{account}-{region}"))]
    });
    let expected = entry("inventory-region", "org-{account_id}-{region}", AccountScope::All, &[]);
    assert_eq!(summary(&expectations), [expected]);
    assert_eq!(expectations[0].request.names[0].to_string(), "inventory-{region}");
    assert_eq!(expectations[0].targets, 12);
}

#[test]
fn what_is_the_same_everywhere_has_no_placeholders() {
    let expectations = generated(|account, region| {
        let is_home = (account, region) == (ACCOUNTS[0], "eu-west-1");
        let own = is_home.then(|| bucket_sync(&format!("of-{account}"), &format!("{account}-{region}")));
        own.into_iter().chain([bucket_sync("org-eu-west-1", "org-111122223333")]).collect()
    });
    let of_one = entry("of-111122223333", "111122223333-eu-west-1", only(&ACCOUNTS[..1]), &["eu-west-1"]);
    assert_eq!(
        summary(&expectations),
        [of_one, entry("org-eu-west-1", "org-111122223333", AccountScope::All, &[])]
    );
}

#[test]
fn a_region_that_a_value_contains_twice_is_a_placeholder_where_it_differs() {
    let expectations = generated(|_, region| vec![bucket_sync("a", &format!("eu-west-1/{region}"))]);
    assert_eq!(summary(&expectations), [entry("a", "eu-west-1/{region}", AccountScope::All, &[])]);
}

#[test]
fn the_partition_is_a_placeholder_in_arns() {
    let expectations = generated_in(&["eu-west-1", "cn-north-1"], |_, region| {
        let partition = if region.starts_with("cn-") { "aws-cn" } else { "aws" };
        let mut sync = bucket_sync("a", "aws-cn-org");
        set(&mut sync, Field::KmsKeyArn, Some(&format!("arn:{partition}:kms:{region}:111122223333:key/k")));
        vec![sync]
    });
    let key = "arn:{partition}:kms:{region}:111122223333:key/k";
    assert_eq!(summary(&expectations), [entry("a", "aws-cn-org", AccountScope::All, &[])]);
    assert_eq!(pattern(&expectations[0], Field::KmsKeyArn).as_deref(), Some(key));
}

#[test]
fn targets_without_the_sync_or_with_other_values_are_not_selected() {
    let expectations = generated(|account, region| match (account, region) {
        ("444455556666", _) => Vec::new(),
        ("111122223333", "us-east-1") => vec![bucket_sync("a", "other")],
        _ => vec![bucket_sync("a", "org")],
    });
    assert_eq!(
        summary(&expectations),
        [
            entry("a", "org", only(&ACCOUNTS[1..3]), &[]),
            entry("a-2", "org", only(&ACCOUNTS[..1]), &["eu-central-1", "eu-west-1"]),
            entry("a-3", "other", only(&ACCOUNTS[..1]), &["us-east-1"]),
        ]
    );
}

#[test]
fn a_sync_whose_sharing_is_not_reported_is_alike_to_those_whose_sharing_is() {
    let expectations = generated(|account, _| {
        let mut sync = bucket_sync("a", "org");
        let sharing = (account != ACCOUNTS[0]).then_some("Organization");
        set(&mut sync, Field::SharingType, sharing);
        vec![sync]
    });
    assert_eq!(summary(&expectations), [entry("a", "org", AccountScope::All, &[])]);
    assert_eq!(pattern(&expectations[0], Field::SharingType).as_deref(), Some("Organization"));
}

#[test]
fn all_syncs_of_license_manager_are_one_entry_after_those_of_customers() {
    let expectations = generated(|account, region| {
        let names = [format!("license-manager-{region}-1"), format!("license-manager-{account}")];
        let managed = names.iter().map(|name| bucket_sync(name, "licences"));
        managed.chain([bucket_sync("org", "org")]).collect()
    });
    assert_eq!(
        summary(&expectations),
        [entry("org", "org", AccountScope::All, &[]), entry("license-manager", "", AccountScope::All, &[])]
    );
    assert_eq!(expectations[1].managed_by, ManagedBy::LicenseManager);
    assert_eq!(expectations[1].request.names[0].to_string(), "license-manager-*");
}

#[test]
fn values_that_no_request_can_have_are_left_out() {
    let expectations = generated(|_, _| {
        let mut destination = bucket_sync("a", "org");
        set(&mut destination, Field::BucketRegion, Some("eu-west-1"));
        set(&mut destination, Field::KmsKeyArn, Some("arn:aws:kms:us-east-1:111122223333:key/k"));
        set(&mut destination, Field::BucketPrefix, Some("a\nb"));
        set(&mut destination, Field::SourceType, Some("AwsOrganizations"));
        let mut source = sync(SyncType::FromSource, "b");
        set(&mut source, Field::SourceType, Some("AwsOrganizations"));
        set(&mut source, Field::IncludeFutureRegions, Some("true"));
        let unknown = sync(SyncType::from("SyncToElsewhere"), "c");
        vec![destination, source, unknown]
    });
    let fields = |generated: &GeneratedExpectation| -> Vec<Field> {
        compared_fields().filter(|field| generated.request.value(*field).is_some()).collect()
    };
    let [destination, source] = &expectations[..] else { panic!("{expectations:?}") };
    assert_eq!(fields(destination), [Field::BucketName, Field::BucketRegion]);
    // Every source has regions, so nothing is said of a source without them.
    assert_eq!(fields(source), []);
}

#[test]
fn accounts_without_known_syncs_are_excluded() {
    let targets: Vec<Target> = ACCOUNTS.iter().map(|account| target(account, "eu-west-1")).collect();
    let syncs = [bucket_sync("a", "org")];
    let fleet = targets.iter().enumerate().map(|(index, target)| {
        let known = observed(target, &syncs);
        ObservedTarget { syncs: known.syncs.filter(|_| index != 1), ..known }
    });
    assert_eq!(summary(&generate(fleet)), [entry("a", "org", all_but(&ACCOUNTS[1..2]), &[])]);
}

#[test]
fn an_allow_list_has_no_value_that_a_sync_without_a_writable_value_contradicts() {
    // The units of the first kind were allowed alone, although the third kind has others: its regions
    // cannot be written, and then nothing of its source is.
    const KINDS: [[(Field, &str); 3]; 3] = [
        [
            (Field::SourceRegions, "eu-west-1"),
            (Field::OrganizationalUnits, "ou-abcd-11111111"),
            (Field::IncludeFutureRegions, "true"),
        ],
        [
            (Field::SourceRegions, "eu-west-1"),
            (Field::OrganizationalUnits, "ou-abcd-11111111"),
            (Field::IncludeFutureRegions, "false"),
        ],
        [
            (Field::SourceRegions, "Ireland"),
            (Field::OrganizationalUnits, "ou-abcd-22222222"),
            (Field::IncludeFutureRegions, "true"),
        ],
    ];
    // So irregular that selecting the targets of each kind takes too many expectations.
    const KIND_OF_TARGET: [[usize; 4]; 4] = [[0, 1, 2, 0], [1, 2, 0, 2], [2, 0, 1, 1], [0, 2, 2, 1]];
    let regions = ["eu-central-1", "eu-west-1", "us-east-1", "us-west-2"];
    let mut fleet = Vec::new();
    for (account, kinds) in std::iter::zip(ACCOUNTS, KIND_OF_TARGET) {
        for (region, kind) in std::iter::zip(regions, kinds) {
            let mut sync = sync(SyncType::FromSource, "explorer");
            for (field, value) in KINDS[kind] {
                set(&mut sync, field, Some(value));
            }
            fleet.push((target(account, region), vec![sync]));
        }
    }
    let generated = generate(fleet.iter().map(|(target, syncs)| observed(target, syncs)));
    for expectation in generated.iter().map(read) {
        for (target, syncs) in &fleet {
            let judgement = judge(0, &expectation, &observed(target, syncs));
            assert!(judgement.is_none_or(|found| found.violations.is_empty()), "{expectation:?}");
        }
    }
}

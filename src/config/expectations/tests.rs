//! Tests of the key `expectations`. Invalid ones are in `tests/fixtures/config/bad`.

use crate::config::Config;
use crate::expectations::{ExpectedFlag, ExpectedSet, ExpectedSync, ExpectedText, Presence, TextPattern};
use crate::fleet::TargetSelector;
use crate::model::{ManagedBy, SyncType};

fn load(text: &str) -> Result<Config, String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, text).unwrap();
    Config::load(Some(&file), []).map_err(|error| error.to_string())
}

fn patterns(texts: &[&str]) -> Vec<TextPattern> {
    texts.iter().map(|text| TextPattern::parse(text).unwrap()).collect()
}

fn any_of(texts: &[&str]) -> Option<ExpectedText> {
    Some(ExpectedText::AnyOf(patterns(texts)))
}

const EXPECTATIONS: &str = "\
expectations:
  - name: org-inventory
    accounts: [\"*\", \"!sandbox-*\"]
    organizational_units: [ou-abcd-11111111]
    regions: [eu-*]
    presence: required
    request:
      SyncName: org-inventory
      SyncType: SyncToDestination
      S3Destination:
        BucketName: org-inventory-{region}
        Prefix: null
        SyncFormat: JsonSerDe
        Region: eu-west-1
        AWSKMSKeyARN: arn:{partition}:kms:eu-west-1:*:key/*
        DestinationDataSharing:
          DestinationDataSharingType: Organization
  - name: explorer
    request:
      SyncName: [\"{account_id}-explorer\", explorer-*]
      SyncType: SyncFromSource
      SyncSource:
        SourceType: AwsOrganizations
        AwsOrganizationsSource:
          OrganizationSourceType: OrganizationalUnits
          OrganizationalUnits:
            - OrganizationalUnitId: ou-abcd-22222222
            - OrganizationalUnitId: ou-abcd-11111111
        SourceRegions: [us-east-1, \"{region}\"]
        IncludeFutureRegions: true
        EnableAllOpsDataSources: null
  - name: only-our-buckets
    managed_by: [customer]
    presence: allowed
    request:
      SyncType: SyncToDestination
      S3Destination:
        BucketName: [org-*, other]
        Region: eu-*
";

const ORGANIZATION: &str =
    "regions: ['*']\norganization: {member_role: 'arn:aws:iam::{account_id}:role/x'}\n";

#[test]
fn every_key_is_read() {
    let config = load(&format!("{ORGANIZATION}{EXPECTATIONS}")).unwrap();
    let [inventory, explorer, allowed] = &config.health.expectations[..] else { panic!("{config:?}") };

    assert_eq!((inventory.name.as_str(), inventory.presence), ("org-inventory", Presence::Required));
    assert_eq!(
        inventory.targets,
        TargetSelector {
            accounts: ["*".parse().unwrap(), "!sandbox-*".parse().unwrap()].into_iter().collect(),
            organizational_units: vec!["ou-abcd-11111111".parse().unwrap()],
            regions: vec!["eu-*".parse().unwrap()],
        }
    );
    assert!(inventory.managed_by.is_empty());
    assert_eq!(
        inventory.request,
        ExpectedSync {
            names: patterns(&["org-inventory"]),
            bucket_name: any_of(&["org-inventory-{region}"]),
            bucket_prefix: Some(ExpectedText::Absent),
            bucket_region: any_of(&["eu-west-1"]),
            sync_format: any_of(&["JsonSerDe"]),
            kms_key_arn: any_of(&["arn:{partition}:kms:eu-west-1:*:key/*"]),
            sharing_type: any_of(&["Organization"]),
            ..ExpectedSync::any(SyncType::ToDestination)
        }
    );

    assert_eq!((explorer.presence, &explorer.targets), (Presence::Required, &TargetSelector::default()));
    assert_eq!(
        explorer.request,
        ExpectedSync {
            names: patterns(&["{account_id}-explorer", "explorer-*"]),
            source_type: any_of(&["AwsOrganizations"]),
            organization_source_type: any_of(&["OrganizationalUnits"]),
            organizational_units: Some(ExpectedSet::Exactly(patterns(&[
                "ou-abcd-22222222",
                "ou-abcd-11111111"
            ]))),
            source_regions: Some(ExpectedSet::Exactly(patterns(&["us-east-1", "{region}"]))),
            include_future_regions: Some(ExpectedFlag::Is(true)),
            enable_all_ops_data_sources: Some(ExpectedFlag::Absent),
            ..ExpectedSync::any(SyncType::FromSource)
        }
    );

    assert_eq!((allowed.presence, &allowed.managed_by[..]), (Presence::Allowed, &[ManagedBy::Customer][..]));
    assert_eq!(allowed.request.bucket_name, any_of(&["org-*", "other"]));
    assert_eq!((&allowed.request.names[..], &allowed.request.bucket_prefix), (&[][..], &None));
}

#[test]
fn expectations_are_shown_as_they_were_written() {
    let config = load(&format!("{ORGANIZATION}{EXPECTATIONS}")).unwrap();
    let start = config.redacted.find("expectations:").unwrap();
    let end = config.redacted.find("organization:").unwrap();
    assert_eq!(&config.redacted[start..end], EXPECTATIONS);
}

#[test]
fn a_variable_can_set_all_expectations() {
    let variables = [
        ("SSM_SYNC_EXPORTER_REGIONS", "[eu-west-1]"),
        (
            "SSM_SYNC_EXPORTER_EXPECTATIONS",
            "[{name: a, presence: forbidden, request: {SyncName: b, S3Destination: {Prefix: null}}}]",
        ),
    ];
    let config = Config::load(None, variables.map(|(name, value)| (name.into(), value.into()))).unwrap();
    let [expectation] = &config.health.expectations[..] else { panic!("{config:?}") };
    assert_eq!(expectation.presence, Presence::Forbidden);
    assert_eq!(expectation.request.bucket_prefix, Some(ExpectedText::Absent));
}

#[test]
fn the_type_of_a_request_is_the_default_of_the_api() {
    let config = load("expectations: [{name: a, request: {SyncName: b}}]").unwrap();
    assert_eq!(config.health.expectations[0].request.sync_type, SyncType::ToDestination);
}

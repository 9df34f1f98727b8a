//! Tests of the key `expectations`. Invalid ones are in `tests/fixtures/config/bad`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::config::Config;
use crate::expectations::{ExpectedFlag, ExpectedSet, ExpectedSync, ExpectedText, Presence, TextPattern};
use crate::fleet::TargetSelector;
use crate::health::ExpectationRule;
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

fn any_of(texts: &[&str]) -> ExpectedText {
    ExpectedText::AnyOf(patterns(texts))
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
            bucket_name: Some(any_of(&["org-inventory-{region}"])),
            bucket_prefix: Some(ExpectedText::Absent),
            bucket_region: Some(any_of(&["eu-west-1"])),
            sync_format: Some(any_of(&["JsonSerDe"])),
            kms_key_arn: Some(any_of(&["arn:{partition}:kms:eu-west-1:*:key/*"])),
            sharing_type: Some(any_of(&["Organization"])),
            ..ExpectedSync::any(SyncType::ToDestination)
        }
    );

    assert_eq!((explorer.presence, &explorer.targets), (Presence::Required, &TargetSelector::default()));
    assert_eq!(
        explorer.request,
        ExpectedSync {
            names: patterns(&["{account_id}-explorer", "explorer-*"]),
            source_type: Some(any_of(&["AwsOrganizations"])),
            organization_source_type: Some(any_of(&["OrganizationalUnits"])),
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
    assert_eq!(allowed.request.bucket_name, Some(any_of(&["org-*", "other"])));
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

#[test]
fn a_limit_beside_an_expectation_becomes_a_rule() {
    let config = load(
        "expectations:
  - {name: a, request: {SyncName: a}}
  - {name: b, request: {SyncName: b}, max_success_age: 2d}
  - {name: c, preset: inspector, max_run_time: 90m, max_success_age: 1h}
",
    )
    .unwrap();
    let hours = |hours| Some(Duration::from_hours(hours));
    assert_eq!(
        config.health.expectation_rules,
        [
            ExpectationRule { expectation: 1, max_success_age: hours(48), max_run_time: None },
            ExpectationRule {
                expectation: 2,
                max_success_age: hours(1),
                max_run_time: Some(Duration::from_mins(90))
            },
        ]
    );
}

#[test]
fn the_units_that_expectations_name_are_tracked() {
    let config = load(&format!(
        "{ORGANIZATION}health: {{rules: [{{organizational_units: [r-abcd], max_run_time: 1h}}]}}\n{EXPECTATIONS}"
    ));
    let tracked = config.unwrap().organization.unwrap().organization.tracked_units;
    assert_eq!(tracked, ["ou-abcd-11111111", "r-abcd"].map(|unit| unit.parse().unwrap()));
}

#[test]
fn a_preset_names_the_sync_of_a_service() {
    let config = load("expectations: [{name: a, preset: unified-console}, {name: b, preset: inspector}]");
    let requests: Vec<ExpectedSync> =
        config.unwrap().health.expectations.iter().map(|expectation| expectation.request.clone()).collect();
    let named = |sync_type, name| ExpectedSync { names: patterns(&[name]), ..ExpectedSync::any(sync_type) };
    assert_eq!(
        requests,
        [
            named(SyncType::FromSource, "AWS-QuickSetup-ManagedNode"),
            named(SyncType::ToDestination, "InspectorResourceDataSync-do-not-delete"),
        ]
    );
}

/// The error of a configuration with these expectations, each without its name.
fn error(rest: &str, expectations: &[&str]) -> Option<String> {
    let mut text = format!("{rest}\nexpectations:\n");
    for (index, expectation) in expectations.iter().enumerate() {
        writeln!(text, "  - {{name: e{index}, {expectation}}}").unwrap();
    }
    load(&text).err()
}

#[test]
fn an_account_or_a_region_is_accepted_if_it_may_be_polled() {
    let account = "accounts: ['111122223333'], request: {SyncName: a}";
    let region = "regions: [eu-west-1], request: {SyncName: a}";
    let both = "accounts: ['111122223333'], regions: [eu-west-1], request: {SyncName: a}";
    let organization = "organization: {member_role: 'arn:aws:iam::{account_id}:role/x'}";
    for rest in [
        // The account and the region of the credentials are not known.
        "",
        "accounts: [{profile: a}]",
        "accounts: [{id: '111122223333'}]",
        "accounts: [{id: '111122223333', regions: ['eu-*']}]",
        "accounts: [{id: '111122223333', regions: [us-east-1]}, {id: '111122223333', profile: b}]",
        "accounts: [{assume_roles: [{arn: 'arn:aws:iam::111122223333:role/x'}], regions: [eu-west-1]}]",
        organization,
        &format!("{organization}\nregions: ['*']"),
        &format!("{organization}\naccounts: [{{id: '444455556666', regions: [us-east-1]}}]"),
    ] {
        for expectation in [account, region, both] {
            assert_eq!(error(rest, &[expectation]), None, "{rest}: {expectation}");
        }
    }
    // The entry in `accounts` overrides the organization.
    let rest = format!("{organization}\naccounts: [{{id: '111122223333', regions: [us-east-1]}}]");
    assert_eq!(error(&rest, &[account]), None);
    assert!(error(&rest, &[both]).unwrap().contains("not polled in the accounts of this expectation"));
    // An account that is selected by its name may be in any region.
    let by_name = "accounts: ['111122223333', prod-*], regions: [eu-west-1], request: {SyncName: a}";
    assert_eq!(error(&rest, &[by_name]), None);
    // What is not polled need not be excluded, but may be.
    let excluded = "accounts: ['!444455556666'], request: {SyncName: a}";
    assert_eq!(error("accounts: [{id: '111122223333'}]", &[excluded]), None);
}

#[test]
fn a_requirement_conflicts_only_with_what_certainly_forbids_it() {
    let rest = "regions: [eu-west-1]\naccounts: [{id: '111122223333', name: prod-1}, {id: '444455556666', profile: b}]";
    let required = |selectors: &str| {
        format!(
            "{selectors}, request: {{SyncName: org-inventory, S3Destination: {{BucketName: a, Prefix: b}}}}"
        )
    };
    let forbidden = |selectors: &str, request: &str| {
        format!("{selectors}, presence: forbidden, request: {{SyncType: SyncToDestination, {request}}}")
    };
    let name = "SyncName: org-inventory";
    let conflict = |first: &str, second: &str| {
        let (required, forbidden) = (required(first), second.to_owned());
        let both = [error(rest, &[&required, &forbidden]), error(rest, &[&forbidden, &required])];
        assert_eq!(both[0].is_some(), both[1].is_some(), "{first} {second}");
        both[0].is_some()
    };
    for (first, second) in [
        ("regions: ['eu-*']", forbidden("regions: ['eu-*']", name)),
        ("regions: ['eu-*']", forbidden("accounts: ['*']", name)),
        ("regions: ['eu-*']", forbidden("accounts: [prod-*]", name)),
        ("accounts: ['111122223333']", forbidden("regions: [eu-west-1]", "SyncName: [other, org-inventory]")),
        ("regions: ['*']", forbidden("regions: ['*']", "S3Destination: {BucketName: a}")),
        ("regions: ['*']", forbidden("managed_by: [customer]", "S3Destination: {Prefix: b}")),
        ("regions: ['*']", forbidden("regions: ['*']", "")),
    ] {
        assert!(conflict(first, &second), "{first} {second}");
    }
    for (first, second) in [
        ("regions: ['us-*']", forbidden("regions: ['eu-*']", name)),
        ("accounts: [prod-*]", forbidden("accounts: ['444455556666']", name)),
        // The account may have this name.
        ("accounts: [test-*]", forbidden("accounts: ['444455556666']", name)),
        ("regions: ['*']", forbidden("regions: ['*']", "SyncName: other")),
        (
            "regions: ['*']",
            forbidden("regions: ['*']", "SyncName: org-inventory, S3Destination: {BucketName: c}"),
        ),
        (
            "regions: ['*']",
            forbidden("regions: ['*']", "SyncName: org-inventory, S3Destination: {Region: a-*}"),
        ),
        ("regions: ['*']", forbidden("managed_by: [inspector]", "")),
        (
            "regions: ['*']",
            forbidden("managed_by: [quick_setup]", "SyncName: [org-inventory, AWS-QuickSetup-SSM]"),
        ),
    ] {
        assert!(!conflict(first, &second), "{first} {second}");
    }
    let of_another_type = forbidden("regions: ['*']", name).replace("SyncToDestination", "SyncFromSource");
    assert!(!conflict("regions: ['*']", &of_another_type));
}

#[test]
fn only_distinct_names_in_the_same_targets_count_towards_the_quota() {
    let rest =
        "regions: [eu-west-1, us-east-1]\nquota: {SyncToDestination: 2}\naccounts: [{id: '111122223333'}]";
    let of = |regions: &str, name: &str| format!("regions: ['{regions}'], request: {{SyncName: '{name}'}}");
    let has_error = |expectations: &[String]| {
        let expectations: Vec<&str> = expectations.iter().map(String::as_str).collect();
        error(rest, &expectations).is_some_and(|error| error.contains("`quota.SyncToDestination` is 2"))
    };
    assert!(has_error(&[of("eu-*", "a"), of("eu-*", "b"), of("eu-*", "c")]));
    assert!(has_error(&[of("eu-*", "a"), of("*-1", "b-{region}"), of("eu-west-1", "c")]));
    // In other targets, the same name, and no single name.
    assert!(!has_error(&[of("eu-*", "a"), of("eu-*", "b"), of("us-*", "c")]));
    assert!(!has_error(&[of("eu-*", "a"), of("eu-*", "b"), of("*", "a")]));
    assert!(!has_error(&[of("eu-*", "a"), of("eu-*", "b"), of("*", "c*")]));
    let allowed = of("eu-*", "c").replace("request:", "presence: forbidden, request:");
    assert!(!has_error(&[of("eu-*", "a"), of("eu-*", "b"), allowed]));
}

#[test]
fn only_what_is_written_out_is_compared_with_partitions_and_regions() {
    let destination = |fields: &str| format!("request: {{S3Destination: {{{fields}}}}}");
    for (rest, fields) in [
        ("regions: [cn-north-1]", "Region: cn-*"),
        ("regions: [cn-north-1]", "Region: '{region}', AWSKMSKeyARN: 'arn:{partition}:kms:{region}:*:key/*'"),
        ("regions: [cn-north-1]", "AWSKMSKeyARN: ['*', 'arn:*:key/*']"),
        // The partition of the credentials is not known.
        ("", "Region: cn-north-1"),
        ("regions: ['*']", "AWSKMSKeyARN: 'arn:aws-us-gov:kms:us-gov-west-1:*:key/*'"),
        (
            "regions: [cn-north-1]\naccounts: [{id: '111122223333', regions: [eu-west-1]}, {profile: b}]",
            "Region: [eu-west-1, cn-north-1]",
        ),
        (
            "",
            "Region: [eu-west-1, us-east-1], AWSKMSKeyARN: ['arn:aws:kms:us-east-1:*:key/*', 'arn:aws:kms:eu-west-1:*:alias/a']",
        ),
        ("", "Region: ['eu-*', us-east-1], AWSKMSKeyARN: 'arn:aws:kms:us-east-2:*:key/*'"),
        ("", "Region: null, AWSKMSKeyARN: 'arn:aws:kms:us-east-2:*:key/*'"),
    ] {
        assert_eq!(error(rest, &[&destination(fields)]), None, "{rest}: {fields}");
    }
    let role = "accounts: [{assume_roles: [{arn: 'arn:aws-cn:iam::111122223333:role/x'}], regions: ['*']}]";
    let error = error(role, &[&destination("Region: eu-west-1")]).unwrap();
    assert!(error.contains("in the partition aws, but the targets are in aws-cn;"), "{error}");
}

#[test]
fn an_error_names_the_variable_with_the_expectations() {
    let variable = "SSM_SYNC_EXPORTER_EXPECTATIONS";
    let error = |value: &str| Config::load(None, [(variable.into(), value.into())]).unwrap_err().to_string();
    assert_eq!(
        error("[{name: a, request: {syncname: b}}]"),
        format!(
            "environment variable {variable}: expectations[0].request.syncname: unknown key; did you mean `SyncName`?"
        )
    );
    assert_eq!(
        error("[{name: a, request_file: /nonexistent.json}]"),
        format!(
            "environment variable {variable}: expectations[0].request_file: cannot read /nonexistent.json: No such file or \
             directory (os error 2)"
        )
    );
}

/// A configuration beside a file with a request.
fn with_file(directory: &Path, contents: &[u8]) -> Result<Config, String> {
    std::fs::create_dir_all(directory.join("requests")).unwrap();
    std::fs::write(directory.join("requests/a.json"), contents).unwrap();
    let file = directory.join("config.yaml");
    std::fs::write(&file, "expectations: [{name: a, request_file: requests/a.json}]").unwrap();
    Config::load(Some(&file), []).map_err(|error| error.to_string())
}

#[test]
fn a_file_with_a_request_is_read_relative_to_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let json = "{\r\n\t\"SyncName\":\"explorer\",\t\"SyncType\" : \"SyncFromSource\",\n\t\"SyncSource\": {\n\
                \t\t\"SourceType\": \"AwsOrganizations\", \"AwsOrganizationsSource\": {\n\
                \"OrganizationSourceType\": \"OrganizationalUnits\",\n\
                \"OrganizationalUnits\": [{\"OrganizationalUnitId\": \"ou-abcd-11111111\"}]},\n\
                \"SourceRegions\": [\"eu-west-1\"\t, \"us\\u002deast-1\"],\n\
                \"IncludeFutureRegions\": false\n}}\n";
    let config = with_file(directory.path(), json.as_bytes()).unwrap();
    assert_eq!(
        config.health.expectations[0].request,
        ExpectedSync {
            names: patterns(&["explorer"]),
            source_type: Some(any_of(&["AwsOrganizations"])),
            organization_source_type: Some(any_of(&["OrganizationalUnits"])),
            organizational_units: Some(ExpectedSet::Exactly(patterns(&["ou-abcd-11111111"]))),
            source_regions: Some(ExpectedSet::Exactly(patterns(&["eu-west-1", "us-east-1"]))),
            include_future_regions: Some(ExpectedFlag::Is(false)),
            ..ExpectedSync::any(SyncType::FromSource)
        }
    );
    assert!(config.redacted.contains("request_file: requests/a.json"), "{}", config.redacted);

    let error = with_file(directory.path(), br#"{"SyncName": 5}"#).unwrap_err();
    assert!(
        error.ends_with("a.json:1:14: SyncName: found 5, but AWS takes a string; put it in quotes"),
        "{error}"
    );

    // Windows editors put a byte order mark in front.
    assert!(with_file(directory.path(), format!("\u{feff}{json}").as_bytes()).is_ok());

    // A reload reads the file again.
    let loader = config.loader();
    std::fs::write(directory.path().join("requests/a.json"), "{\"SyncName\": \"a\\/b\"}").unwrap();
    assert_eq!(loader().unwrap().health.expectations[0].request.names, patterns(&["a/b"]));
}

#[test]
fn a_file_that_is_not_a_small_text_is_rejected_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let path = directory.join("requests/a.json");
    let error = |contents: &[u8]| with_file(directory, contents).unwrap_err();
    let expected = |reason: &str| {
        let config = directory.join("config.yaml");
        let place = format!("{}:1:40: expectations[0].request_file", config.display());
        format!("{place}: cannot read {}: {reason}", path.display())
    };
    assert_eq!(error(&vec![b' '; 1024 * 1024 + 1]), expected("it is larger than 1 MiB"));
    let undecodable = error(b"{\"SyncName\":\n \"\xff\"}");
    assert!(
        undecodable.ends_with("a.json:2:3: the byte 0xff is not UTF-8; save the file as UTF-8"),
        "{undecodable}"
    );
    // Redirections of PowerShell write UTF-16.
    let utf16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16 = error(&utf16);
    assert!(utf16.ends_with("a.json:1:1: the file is encoded in UTF-16; save it as UTF-8"), "{utf16}");
    let deep = error("[".repeat(1000).as_bytes());
    assert!(deep.contains("a.json:1:128: not JSON: recursion limit exceeded"), "{deep}");
    let pair = error(br#"{"SyncName": "\ud83d\ude00"}"#);
    assert!(pair.contains("a.json:1:") && !pair.contains('\n'), "{pair}");
}

#[test]
fn an_error_repeats_only_the_beginning_of_a_long_value() {
    let long = "x".repeat(2000);
    for expectation in [
        format!("request: {{S3Destination: {{Region: {long}}}}}"),
        format!("request: {{S3Destination: {{AWSKMSKeyARN: {long}}}}}"),
        format!("request: {{SyncType: SyncFromSource, SyncSource: {{SourceRegions: ['{long}*']}}}}"),
        format!("request: {{SyncName: {long}}}"),
        format!("request: {{S3Destination: {{BucketName: '{long}{{'}}}}"),
        format!("request_file: {}", long.repeat(3)),
    ] {
        let error = error("", &[&expectation]).unwrap();
        assert!(error.len() < 600 && error.contains("xxx…"), "{error}");
    }
}

#[test]
fn a_pipe_in_place_of_a_file_does_not_block() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let text = format!("expectations: [{{name: a, request_file: {}}}]", pipe.display());
    let error = load(&text).unwrap_err();
    assert!(error.ends_with("pipe: it is a pipe; expected a regular file"), "{error}");
}

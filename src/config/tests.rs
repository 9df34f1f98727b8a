//! Tests that every file in `tests/fixtures/config/bad` gives the error in its first line,
//! that every file in `config` is valid, and how layers, accounts and roles are resolved.

mod core_schema;
mod managed_nodes;
mod messages;

use std::path::PathBuf;

use super::*;
use crate::aws::{Diagnosis, EndpointKind};
use crate::discovery::Member;
use crate::fleet::{InvalidRegion, Partition, RegionName, SessionPolicy, Target};
use crate::model::Quota;

fn files_in(directory: &str) -> Vec<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut files: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn from_environment(variables: &[(&str, &str)]) -> Result<Config, String> {
    checked(None, environment(variables))
}

/// Loads and checks a configuration, without what only the SDK knows.
fn checked(file: Option<&Path>, environment: Vec<(OsString, OsString)>) -> Result<Config, String> {
    Config::load(file, environment)
        .and_then(|config| config.account_sources(&SdkDefaults::default()).map(|_| config))
        .map_err(|error| error.to_string())
}

fn loaded(text: &str) -> Config {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, text).unwrap();
    checked(Some(&file), Vec::new()).unwrap()
}

#[test]
fn every_invalid_file_gives_the_error_in_its_first_line() {
    let mut differences = String::new();
    for file in files_in("tests/fixtures/config/bad") {
        let text = std::fs::read_to_string(&file).unwrap();
        let expected = text.lines().next().unwrap().strip_prefix("# ").unwrap();
        // An error in another file begins with the path of that file.
        let expected = match expected.strip_prefix("../") {
            Some(_) => file.with_file_name(expected).display().to_string(),
            None => format!("{}:{expected}", file.display()),
        };
        let actual = checked(Some(&file), Vec::new()).map_or_else(|error| error, |_| "no error".to_owned());
        if actual != expected {
            differences = format!("{differences}expected: {expected}\n  actual: {actual}\n");
        }
    }
    assert!(differences.is_empty(), "\n{differences}");
}

#[test]
fn an_error_is_one_line_whatever_the_settings_contain() {
    // Found by the fuzz target `config`: the error repeated the key with its escape sequence.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, "\"me\\etrics\": 1").unwrap();
    let error = checked(Some(&file), Vec::new()).unwrap_err();
    let expected = r"config.yaml:1:1: me\u{1b}trics: unknown key; did you mean `metrics`?";
    assert!(error.ends_with(expected), "{error}");

    let error = from_environment(&[("SSM_SYNC_EXPORTER_INTERVAL", "5m\r\n\u{1b}[2J")]).unwrap_err();
    assert!(!error.contains(char::is_control), "{error:?}");
    let error = from_environment(&[("SSM_SYNC_EXPORTER_INTERVAL\n", "5m")]).unwrap_err();
    assert!(!error.contains(char::is_control), "{error:?}");
}

#[test]
fn every_example_is_valid() {
    let is_yaml = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "yaml");
    for file in files_in("config").into_iter().filter(is_yaml) {
        checked(Some(&file), Vec::new()).unwrap();
    }
}

#[test]
fn the_full_example_has_the_defaults() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/full.yaml");
    let (full, default) = (Config::load(Some(&file), []).unwrap(), from_environment(&[]).unwrap());
    let settings = |config: &Config| {
        (
            config.interval,
            config.timeout,
            config.concurrency,
            config.stale_after,
            config.ready_after,
            config.health.quota,
            config.refresh_interval,
            format!("{:?}", config.aws),
        )
    };
    assert_eq!(settings(&full), settings(&default));
}

/// The accounts to poll if the SDK has the same defaults for all of them.
fn sources(config: &Config, defaults: impl Fn() -> AccountDefaults) -> Result<AccountSources, String> {
    let mut all = SdkDefaults::default();
    for account in config.entry_accounts() {
        all.insert(account, defaults());
    }
    config.account_sources(&all).map_err(|error| error.to_string())
}

/// The targets of the listed accounts.
fn targets(
    config: &Config,
    default_region: impl Fn() -> Result<Option<RegionName>, InvalidRegion>,
) -> Result<Vec<String>, String> {
    let endpoints = config.aws.endpoint_kind();
    let sources = sources(config, || AccountDefaults {
        endpoint_url: None,
        region: default_region().map_err(|error| error.to_string()),
        endpoints,
        ca_bundle: None,
        diagnosis: Diagnosis::default(),
    })?;
    let targets = sources.configured.into_iter().flat_map(|ConfiguredAccount { account, regions }| {
        regions
            .named
            .into_iter()
            .map(move |region| Target { account: Arc::clone(&account), region }.to_string())
    });
    Ok(targets.collect())
}

#[test]
fn the_error_names_a_missing_file() {
    let error = Config::load(Some(Path::new("/nonexistent/config.yaml")), []).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the configuration file /nonexistent/config.yaml");
}

#[test]
fn without_a_configuration_the_ambient_account_is_polled_in_its_default_region() {
    let config = from_environment(&[]).unwrap();
    assert_eq!(targets(&config, || "eu-west-1".parse().map(Some)).unwrap(), ["unknown/eu-west-1"]);
    assert_eq!(
        targets(&config, || "Frankfurt".parse().map(Some)).unwrap_err(),
        "regions: the default region of the credentials is invalid: `Frankfurt` is not an AWS region name; expected a name such \
         as `eu-west-1` or `us-gov-east-1`"
    );
    assert_eq!(
        targets(&config, || Ok(None)).unwrap_err(),
        "regions: no region is set; set `regions`, AWS_REGION, or `region` in the AWS profile"
    );
}

#[test]
fn environment_variables_override_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, "interval: 1m\ntimeout: 10s\nquota: {SyncToDestination: 7}\n").unwrap();
    let config = Config::load(
        Some(&file),
        environment(&[
            ("SSM_SYNC_EXPORTER_TIMEOUT", "20s"),
            ("SSM_SYNC_EXPORTER_QUOTA__SYNCFROMSOURCE", "9"),
            ("SSM_SYNC_EXPORTER_REGIONS", "[eu-west-1, eu-west-2]"),
            ("SSM_SYNC_EXPORTER_ACCOUNTS", "[{id: 012345678901, profile: a}]"),
            ("SSM_SYNC_EXPORTER_CONCURRENCY", ""),
            ("PATH", "/bin"),
        ]),
    )
    .unwrap();
    assert_eq!(config.interval, Duration::from_mins(1));
    assert_eq!(config.timeout, Duration::from_secs(20));
    assert_eq!(config.health.quota, Quota { to_destination: 7, from_source: 9 });
    assert_eq!(config.concurrency.get(), 64);
    let targets = targets(&config, || Ok(None)).unwrap();
    assert_eq!(targets, ["012345678901/eu-west-1", "012345678901/eu-west-2"]);
}

#[test]
fn the_error_names_an_invalid_variable() {
    assert_eq!(
        from_environment(&[("SSM_SYNC_EXPORTER_AWS__USE_FIPS", "1")]).unwrap_err(),
        "environment variable SSM_SYNC_EXPORTER_AWS__USE_FIPS: aws.use_fips: `1` is not a boolean; expected true or false"
    );
    assert_eq!(
        from_environment(&[("SSM_SYNC_EXPORTER_INTERVALS", "5m")]).unwrap_err(),
        "environment variable SSM_SYNC_EXPORTER_INTERVALS: intervals: unknown key; did you mean `interval`?"
    );
    assert_eq!(
        from_environment(&[("SSM_SYNC_EXPORTER_REGIONS", "[eu-west-1, mars]")]).unwrap_err(),
        "environment variable SSM_SYNC_EXPORTER_REGIONS: regions[1]: `mars` is not an AWS region name; expected a name \
         such as `eu-west-1` or `us-gov-east-1`"
    );
    assert_eq!(
        from_environment(&[("SSM_SYNC_EXPORTER_AWS", "{endpoint_url: nowhere}")]).unwrap_err(),
        "environment variable SSM_SYNC_EXPORTER_AWS: aws.endpoint_url: expected a URL such as \
         `http://host:port` or `https://host`, without a user and without a query"
    );
    assert_eq!(
        from_environment(&[("SSM_SYNC_EXPORTER_REGIONS", "eu-west-1,eu-west-2")]).unwrap_err(),
        "environment variable SSM_SYNC_EXPORTER_REGIONS: regions: found a string, expected a list, such as `[a, b]`"
    );
    assert!(
        from_environment(&[("SSM_SYNC_EXPORTER_REGIONS", "[eu-west-1")])
            .unwrap_err()
            .starts_with("environment variable SSM_SYNC_EXPORTER_REGIONS: column ")
    );
    assert_eq!(
        from_environment(&[
            ("SSM_SYNC_EXPORTER_AWS", "{use_fips: true}"),
            ("SSM_SYNC_EXPORTER_AWS__USE_FIPS", "x")
        ])
        .unwrap_err(),
        "environment variable SSM_SYNC_EXPORTER_AWS__USE_FIPS: conflicts with a variable that sets the \
         same key, its parent or a key below it; set the key in only one of them"
    );
}

#[test]
fn the_error_names_a_variable_that_is_not_utf8() {
    use std::os::unix::ffi::OsStringExt as _;
    let variable = ("SSM_SYNC_EXPORTER_INTERVAL".into(), OsString::from_vec(vec![0xff]));
    assert_eq!(
        Config::load(None, [variable]).unwrap_err().to_string(),
        "environment variable SSM_SYNC_EXPORTER_INTERVAL: the value is not valid UTF-8"
    );
}

#[test]
fn variables_that_kubernetes_sets_for_services_are_ignored() {
    // A Service called ssm-sync-exporter must not keep its own pods from starting.
    let config = from_environment(&[
        ("SSM_SYNC_EXPORTER_SERVICE_HOST", "10.0.0.1"),
        ("SSM_SYNC_EXPORTER_SERVICE_PORT", "10144"),
        ("SSM_SYNC_EXPORTER_SERVICE_PORT_HTTP", "10144"),
        ("SSM_SYNC_EXPORTER_PORT", "tcp://10.0.0.1:10144"),
        ("SSM_SYNC_EXPORTER_PORT_10144_TCP", "tcp://10.0.0.1:10144"),
        ("SSM_SYNC_EXPORTER_PORT_10144_TCP_ADDR", "10.0.0.1"),
        ("SSM_SYNC_EXPORTER_METRICS_SERVICE_HOST", "10.0.0.1"),
        ("SSM_SYNC_EXPORTER_METRICS_SERVICE_PORT_HTTP", "10144"),
        ("SSM_SYNC_EXPORTER_METRICS_PORT", "tcp://10.0.0.1:10144"),
        ("SSM_SYNC_EXPORTER_METRICS_PORT_10144_TCP_PROTO", "tcp"),
    ]);
    assert!(config.is_ok(), "{config:?}");
}

#[test]
fn an_account_id_without_quotes_keeps_its_leading_zero() {
    let config = loaded("regions: [eu-west-1]\naccounts:\n  - id: 012345678901\n    profile: 007\n");
    let account = &config.accounts[0].account;
    assert_eq!(account.id.as_ref().unwrap().as_str(), "012345678901");
    assert_eq!(account.access.profile.as_deref(), Some("007"));
}

#[test]
fn the_account_of_the_last_role_is_polled() {
    let config = loaded(
        "regions: [eu-west-1]\naccounts:\n  - assume_roles:\n    - arn: arn:aws:iam::111122223333:role/hub\n    - arn: \
         arn:aws:iam::444455556666:role/member\n",
    );
    assert_eq!(targets(&config, || Ok(None)).unwrap(), ["444455556666/eu-west-1"]);
}

#[test]
fn several_entries_may_poll_one_account_in_different_regions() {
    let config = loaded(
        "accounts:\n  - {id: '111122223333', profile: a, regions: [eu-west-1]}\n  - {id: '111122223333', profile: b, \
         regions: [us-east-1]}\n",
    );
    assert_eq!(targets(&config, || Ok(None)).unwrap().len(), 2);
}

#[test]
fn a_target_that_is_duplicate_because_of_the_default_region_is_rejected() {
    let config = loaded(
        "accounts:\n  - {id: '111122223333', regions: [eu-west-1]}\n  - {id: '111122223333', profile: b}\n",
    );
    let error = targets(&config, || "eu-west-1".parse().map(Some)).unwrap_err();
    assert!(error.ends_with(
        "accounts[1]: 111122223333 in eu-west-1 is already polled by accounts[0]; remove it from one of the two"
    ));
}

#[test]
fn a_null_setting_has_its_default() {
    let config = loaded("interval: null\nquota:\n#  SyncToDestination: 7\naws: ~\n");
    assert_eq!((config.interval, config.health.quota), (Duration::from_mins(5), Quota::default()));
}

#[test]
fn debug_output_shows_no_secrets() {
    let config = loaded(
        "regions: [eu-west-1]\naccounts:\n  - assume_roles: [{arn: 'arn:aws:iam::111122223333:role/x', external_id: \
         hunter2}]\n",
    );
    assert!(!format!("{config:?}").contains("hunter2"));
    let variable = "SSM_SYNC_EXPORTER_ORGANIZATION";
    let value = "{member_role: 'arn:aws:iam::{account_id}:role/x', external_id: hunter2}";
    let config = from_environment(&[(variable, value)]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(format!("{config:?}").contains(variable));
}

#[test]
fn an_interval_above_stale_after_gives_a_warning() {
    assert!(loaded("interval: 10m\n").warnings.is_empty());
    assert_eq!(
        loaded("interval: 1h\n").warnings,
        [
            "`stale_after` is shorter than `interval`, so the syncs of a target are dropped after a single failed collection"
        ]
    );
}

/// A member of the organization, with its access.
fn member(config: &Config) -> Account {
    let organization = &config.organization.as_ref().unwrap().organization;
    let member = Member { id: "222233334444".parse().unwrap(), name: Some("member".to_owned()) };
    organization.member_access.account(&member, Partition::Aws).unwrap()
}

#[test]
fn an_organization_replaces_the_ambient_account() {
    let config = loaded(
        "regions: [eu-west-1]\norganization:\n  profile: hub\n  assume_roles: [{arn: \
         'arn:aws:iam::111122223333:role/Lister'}]\n  member_role: 'arn:{partition}:iam::{account_id}:role/Reader'\n  \
         external_id: hunter2\n  organizational_units: [ou-abcd-11111111, r-abcd]\n  exclude_accounts: [999988887777]\n",
    );
    assert!(config.accounts.is_empty(), "the ambient account is not polled");
    let organization = &config.organization.as_ref().unwrap().organization;
    assert_eq!(organization.administrator.id.as_ref().unwrap().as_str(), "111122223333");
    assert_eq!(organization.administrator.access.roles[0].policy, SessionPolicy::ListAccounts);
    assert_eq!(organization.units.len(), 2);
    assert_eq!(organization.refresh_interval, Duration::from_hours(1));
    let member = member(&config);
    assert_eq!(member.access.profile.as_deref(), Some("hub"));
    assert_eq!(member.access.roles.len(), 1, "assume_roles are only for listing the accounts");
    assert_eq!(member.access.roles[0].arn.as_str(), "arn:aws:iam::222233334444:role/Reader");
    assert_eq!(member.access.roles[0].policy, SessionPolicy::Poll { regions: false, managed_nodes: false });
    assert!(!format!("{config:?}").contains("hunter2"));
    let variable = "SSM_SYNC_EXPORTER_ORGANIZATION";
    let value = "{member_role: 'arn:aws:iam::{account_id}:role/x', external_id: hunter2}";
    let config = from_environment(&[(variable, value)]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(format!("{config:?}").contains(variable));
}

#[test]
fn the_units_that_rules_name_are_tracked() {
    let rules = |rules: &str| {
        let config = loaded(&format!(
            "regions: [eu-west-1]\norganization: {{member_role: 'arn:aws:iam::{{account_id}}:role/x'}}\nhealth:\n  \
             rules: [{rules}]\n"
        ));
        config.organization.unwrap().organization.tracked_units
    };
    assert_eq!(rules("{accounts: ['*'], max_run_time: 1h}"), []);
    assert_eq!(
        rules(
            "{organizational_units: [r-abcd, ou-abcd-22222222], max_run_time: 1h}, {organizational_units: \
             [ou-abcd-11111111, r-abcd], max_run_time: 1h}"
        ),
        ["ou-abcd-11111111", "ou-abcd-22222222", "r-abcd"].map(|unit| unit.parse().unwrap())
    );
}

#[test]
fn member_assume_roles_are_assumed_before_the_member_role() {
    let config = loaded(
        "regions: ['eu-*']\norganization:\n  member_assume_roles: [{arn: 'arn:aws:iam::111122223333:role/Jump'}]\n  \
         member_role: 'arn:aws:iam::{account_id}:role/Reader'\n",
    );
    let member = member(&config);
    let roles: Vec<_> = member.access.roles.iter().map(|role| (role.arn.as_str(), role.policy)).collect();
    assert_eq!(
        roles,
        [
            ("arn:aws:iam::111122223333:role/Jump", SessionPolicy::None),
            (
                "arn:aws:iam::222233334444:role/Reader",
                SessionPolicy::Poll { regions: true, managed_nodes: false }
            )
        ]
    );
}

#[test]
fn sessions_of_the_last_role_get_a_policy_unless_it_is_disabled() {
    let policies = |aws: &str, regions: &str| {
        let roles =
            "[{arn: 'arn:aws:iam::111122223333:role/hub'}, {arn: 'arn:aws:iam::444455556666:role/member'}]";
        let config =
            loaded(&format!("aws: {{{aws}}}\nregions: [{regions}]\naccounts:\n  - assume_roles: {roles}\n"));
        config.accounts[0].account.access.roles.iter().map(|role| role.policy).collect::<Vec<_>>()
    };
    assert_eq!(
        policies("", "eu-west-1"),
        [SessionPolicy::None, SessionPolicy::Poll { regions: false, managed_nodes: false }]
    );
    assert_eq!(
        policies("", "eu-west-1, '*'"),
        [SessionPolicy::None, SessionPolicy::Poll { regions: true, managed_nodes: false }]
    );
    assert_eq!(policies("session_policy: false", "'*'"), [SessionPolicy::None; 2]);
}

#[test]
fn fips_from_the_aws_environment_is_checked_per_region() {
    let sources_with_fips = |regions: &str, credentials_region: &str| {
        let defaults = || AccountDefaults {
            endpoint_url: None,
            region: Ok(Some(credentials_region.parse().unwrap())),
            endpoints: EndpointKind { fips: true, dualstack: false },
            ca_bundle: None,
            diagnosis: Diagnosis::default(),
        };
        sources(&loaded(&format!("regions: [{regions}]\n")), defaults)
    };
    let error = sources_with_fips("us-east-1, eu-west-1", "us-east-1").unwrap_err();
    assert!(
        error.contains("use_fips: SSM has no FIPS endpoint in eu-west-1, only in ca-central-1"),
        "{error}"
    );
    assert!(sources_with_fips("'*'", "us-east-1").is_err(), "`*` matches regions without a FIPS endpoint");
    assert!(sources_with_fips("'us-*'", "us-east-1").is_ok());
    assert!(sources_with_fips("'*'", "us-gov-west-1").is_ok());
}

#[test]
fn the_health_policy_has_the_limits_of_the_first_matching_rule() {
    let hours = |hours| Some(Duration::from_hours(hours));
    let policy = loaded(
        "
        quota: {SyncFromSource: 9}
        health:
          max_run_time: 90m
          rules:
            - accounts: ['sandbox-*', '!sandbox-1', '111122223333']
              regions: ['eu-*', us-east-1]
              sync_types: [SyncToDestination]
              sync_names: ['org-*', inventory]
              managed_by: [customer, license_manager]
              max_success_age: 30d
            - {max_run_time: 1h30m}
        ",
    )
    .health;
    assert_eq!(policy.quota, Quota { to_destination: 5, from_source: 9 });
    let defaults = policy.default_limits;
    assert_eq!(defaults.max_success_age, Duration::from_hours(48));
    assert_eq!(defaults.max_run_time, Duration::from_mins(90));
    let [first, second] = &policy.rules[..] else { panic!("{policy:?}") };
    assert_eq!((first.max_success_age, first.max_run_time), (hours(30 * 24), None));
    assert_eq!(first.sync_names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["org-*", "inventory"]);
    assert_eq!((first.targets.regions.len(), first.sync_types.len(), first.managed_by.len()), (2, 1, 2));
    assert!(second.matches_everything() && !first.matches_everything());
    assert_eq!(second.max_run_time, Some(Duration::from_mins(90)));
}

//! Every file of `tests/fixtures/config/bad` says in its first line what is to
//! be said about it; every file of `config` is good.

use std::path::PathBuf;

use super::*;

fn directory(name: &str) -> Vec<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let mut files: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn from_environment(variables: &[(&str, &str)]) -> Result<Config, String> {
    Config::load(None, environment(variables)).map_err(|error| error.to_string())
}

fn loaded(text: &str) -> Config {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, text).unwrap();
    Config::load(Some(&file), []).unwrap()
}

#[test]
fn every_bad_file_gets_one_line_that_says_what_where_and_what_would_be_right() {
    let mut wrong = String::new();
    for file in directory("tests/fixtures/config/bad") {
        let text = std::fs::read_to_string(&file).unwrap();
        let expected =
            format!("{}:{}", file.display(), text.lines().next().unwrap().strip_prefix("# ").unwrap());
        let said = match Config::load(Some(&file), []) {
            Ok(_) => "nothing".to_owned(),
            Err(error) => error.to_string(),
        };
        if said != expected {
            wrong = format!("{wrong}expected: {expected}\n    said: {said}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_example_is_good() {
    for file in directory("config") {
        if let Err(error) = Config::load(Some(&file), []) {
            panic!("{error}");
        }
    }
}

#[test]
fn the_full_example_holds_the_defaults() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/full.yaml");
    let (full, none) = (Config::load(Some(&file), []).unwrap(), from_environment(&[]).unwrap());
    let settings = |config: &Config| {
        (
            config.interval,
            config.timeout,
            config.concurrency,
            config.stale_after,
            config.ready_after,
            config.quota,
            format!("{:?}", config.aws),
        )
    };
    assert_eq!(settings(&full), settings(&none));
}

#[test]
fn a_file_that_is_not_there() {
    let error = Config::load(Some(Path::new("/nonexistent/config.yaml")), []).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the configuration file /nonexistent/config.yaml");
}

#[test]
fn without_anything_it_is_the_ambient_account_in_its_default_region() {
    let config = from_environment(&[]).unwrap();
    let targets = config.targets(|_| "eu-west-1".parse().map(Some)).unwrap();
    assert_eq!(targets.len(), 1);
    assert_eq!(targets[0].to_string(), "unknown/eu-west-1");
    assert_eq!(
        config.targets(|_| "Frankfurt".parse().map(Some)).unwrap_err().to_string(),
        "regions: the default region of its credentials: `Frankfurt` is not the name of an AWS region, such as \
         `eu-west-1` or `us-gov-east-1`"
    );
    assert_eq!(
        config.targets(|_| Ok(None)).unwrap_err().to_string(),
        "regions: no region: name one in `regions`, in AWS_REGION or in the AWS profile"
    );
}

#[test]
fn the_environment_is_laid_over_the_file() {
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
    assert_eq!(config.quota, Quota { to_destination: 7, from_source: 9 });
    assert_eq!(config.concurrency.get(), 64);
    let targets = config.targets(|_| Ok(None)).unwrap();
    let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
    assert_eq!(targets, ["012345678901/eu-west-1", "012345678901/eu-west-2"]);
}

#[test]
fn a_bad_variable_is_named() {
    assert_eq!(
        from_environment(&[("SSM_SYNC_EXPORTER_AWS__USE_FIPS", "1")]).unwrap_err(),
        "environment variable SSM_SYNC_EXPORTER_AWS__USE_FIPS: aws.use_fips: `1` is neither true nor false"
    );
    assert_eq!(
        from_environment(&[("SSM_SYNC_EXPORTER_INTERVALS", "5m")]).unwrap_err(),
        "environment variable SSM_SYNC_EXPORTER_INTERVALS: intervals: unknown key; did you mean `interval`?"
    );
    assert_eq!(
        from_environment(&[("SSM_SYNC_EXPORTER_REGIONS", "[eu-west-1, mars]")]).unwrap_err(),
        "environment variable SSM_SYNC_EXPORTER_REGIONS: regions[1]: `mars` is not the name of an AWS region, such as \
         `eu-west-1` or `us-gov-east-1`"
    );
    assert_eq!(
        from_environment(&[("SSM_SYNC_EXPORTER_AWS", "{endpoint_url: nowhere}")]).unwrap_err(),
        "environment variable SSM_SYNC_EXPORTER_AWS: aws.endpoint_url: not a URL of the form http://host:port or \
         https://host, without user or query"
    );
    assert_eq!(
        from_environment(&[("SSM_SYNC_EXPORTER_REGIONS", "eu-west-1,eu-west-2")]).unwrap_err(),
        "environment variable SSM_SYNC_EXPORTER_REGIONS: regions: found a text, expected a list, such as [a, b]"
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
        "environment variable SSM_SYNC_EXPORTER_AWS__USE_FIPS: another variable sets the whole of what this \
         one sets a part of"
    );
}

#[test]
fn a_variable_that_is_not_text_is_named() {
    use std::os::unix::ffi::OsStringExt as _;
    let variable = ("SSM_SYNC_EXPORTER_INTERVAL".into(), OsString::from_vec(vec![0xff]));
    assert_eq!(
        Config::load(None, [variable]).unwrap_err().to_string(),
        "environment variable SSM_SYNC_EXPORTER_INTERVAL: the value is not UTF-8"
    );
}

#[test]
fn what_kubernetes_puts_beside_a_service_is_not_ours() {
    // A Service called ssm-sync-exporter would otherwise keep its own pods from
    // starting.
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
fn an_account_id_survives_without_quotes() {
    let config = loaded("regions: [eu-west-1]\naccounts:\n  - id: 012345678901\n    profile: 007\n");
    let account = &config.accounts[0].account;
    assert_eq!(account.id.as_ref().unwrap().as_str(), "012345678901");
    assert_eq!(account.access.profile.as_deref(), Some("007"));
}

#[test]
fn the_last_role_tells_the_account() {
    let config = loaded(
        "regions: [eu-west-1]\naccounts:\n  - assume_roles:\n    - arn: arn:aws:iam::111122223333:role/hub\n    - arn: \
         arn:aws:iam::444455556666:role/member\n",
    );
    assert_eq!(config.targets(|_| Ok(None)).unwrap()[0].to_string(), "444455556666/eu-west-1");
}

#[test]
fn the_same_account_may_be_polled_by_several_entries_in_different_regions() {
    let config = loaded(
        "accounts:\n  - {id: '111122223333', profile: a, regions: [eu-west-1]}\n  - {id: '111122223333', profile: b, \
         regions: [us-east-1]}\n",
    );
    assert_eq!(config.targets(|_| Ok(None)).unwrap().len(), 2);
}

#[test]
fn a_default_region_that_doubles_a_named_one_is_found_when_it_is_known() {
    let config = loaded(
        "accounts:\n  - {id: '111122223333', regions: [eu-west-1]}\n  - {id: '111122223333', profile: b}\n",
    );
    let error = config.targets(|_| "eu-west-1".parse().map(Some)).unwrap_err().to_string();
    assert!(error.ends_with(
        "accounts[1]: 111122223333 in eu-west-1 is polled by accounts[0] already; take one of them out"
    ));
}

#[test]
fn a_setting_that_is_null_or_has_all_its_keys_commented_out_is_the_default() {
    let config = loaded("interval: null\nquota:\n#  SyncToDestination: 7\naws: ~\n");
    assert_eq!((config.interval, config.quota), (Duration::from_mins(5), Quota::default()));
}

#[test]
fn a_secret_does_not_show_in_a_debugged_configuration() {
    let config = loaded(
        "regions: [eu-west-1]\naccounts:\n  - assume_roles: [{arn: 'arn:aws:iam::111122223333:role/x', external_id: \
         hunter2}]\n",
    );
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_single_failure_that_would_hide_everything_is_warned_of() {
    assert!(loaded("interval: 10m\n").warnings.is_empty());
    assert_eq!(
        loaded("interval: 1h\n").warnings,
        ["stale_after is shorter than interval: one failed collection takes a target's syncs away"]
    );
}

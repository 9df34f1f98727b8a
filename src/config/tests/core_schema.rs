//! Tests of the types of scalars: those of the core schema of YAML 1.2, in files and in environment
//! variables alike.

use pretty_assertions::assert_eq;

use super::*;
use crate::config::WebConfig;

/// The errors of a setting in the file and in an environment variable, without the place.
fn errors(key: &str, text: &str) -> [Option<String>; 2] {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    let (section, name) = key.split_once('.').unwrap();
    std::fs::write(&file, format!("{section}:\n  {name}: {text}\n")).unwrap();
    let variable = format!("SSM_SYNC_EXPORTER_{}__{}", section.to_uppercase(), name.to_uppercase());
    [Config::load(Some(&file), []), Config::load(None, environment(&[(&variable, text)]))].map(|loaded| {
        let error = loaded.err()?.to_string();
        Some(error.split_once(&format!("{key}: ")).unwrap_or_else(|| panic!("{error}")).1.to_owned())
    })
}

/// The error of the web configuration.
fn web_error(text: &str) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("web.yaml");
    std::fs::write(&file, text).unwrap();
    Some(WebConfig::load(&file).err()?.to_string())
}

#[test]
fn booleans_are_those_of_yaml_1_2_in_every_input() {
    for text in ["true", "True", "TRUE", "false", "False", "FALSE"] {
        for key in ["aws.session_policy", "metrics.sparse_states"] {
            assert_eq!(errors(key, text), [None, None], "{text}");
        }
        assert_eq!(web_error(&format!("http_server_config: {{http2: {text}}}")), None);
    }
    let shows = |text| {
        let config = loaded(&format!("metrics: {{sparse_states: {text}}}"));
        (config.sparse_states, config.redacted.contains("sparse_states: true"))
    };
    assert_eq!((shows("TRUE"), shows("True"), shows("FALSE")), ((true, true), (true, true), (false, false)));

    // Words of YAML 1.1, and what is neither.
    for text in ["yes", "Yes", "no", "on", "OFF", "y", "1", "0", "tRUE", "truE", "truth", "\u{ff54}rue"] {
        let error = format!("`{text}` is not a boolean; expected true or false");
        assert_eq!(errors("aws.session_policy", text), [Some(error.clone()), Some(error.clone())]);
        let in_web = web_error(&format!("http_server_config: {{http2: {text}}}")).unwrap();
        assert!(in_web.ends_with(&error), "{in_web}");
    }
}

#[test]
fn whole_numbers_are_those_of_yaml_1_2_in_every_input() {
    for (text, number) in
        [("17", 17), ("+5", 5), ("0o17", 15), ("0x1F", 31), ("0x1f", 31), ("010", 10), ("0", 0)]
    {
        let file = loaded(&format!("quota: {{SyncFromSource: {text}}}"));
        assert_eq!(file.health.quota.from_source, number, "{text}");
        assert!(file.redacted.contains(&format!("SyncFromSource: {number}\n")), "{}", file.redacted);
        let variable = from_environment(&[("SSM_SYNC_EXPORTER_QUOTA__SYNCFROMSOURCE", text)]).unwrap();
        assert_eq!(variable.health.quota.from_source, number, "{text}");
    }
    for text in [
        "1e3",
        "1_000",
        "1.0",
        "1.",
        ".inf",
        ".NaN",
        "-1",
        "-0",
        "0b11",
        "0o",
        "0o8",
        "0x",
        "0x+1",
        "++1",
        "1,000",
        "1:30",
        "4294967296",
        "99999999999999999999",
    ] {
        let error = format!("`{text}` is invalid; expected a whole number from 0 to 4294967295");
        let variable = from_environment(&[("SSM_SYNC_EXPORTER_QUOTA__SYNCFROMSOURCE", text)]).unwrap_err();
        assert_eq!(variable.split_once("quota.SyncFromSource: ").unwrap().1, error);
        let web = web_error(&format!("rate_limit: {{interval: 1s, burst: \"{text}\"}}")).unwrap();
        assert!(web.ends_with(&error), "{web}");
    }
}

#[test]
fn null_is_the_default_in_every_spelling_and_input() {
    for text in ["null", "Null", "NULL", "~"] {
        let config = loaded(&format!("interval: {text}\naws: {text}\nmetrics: {{sparse_states: {text}}}"));
        assert_eq!((config.interval, config.sparse_states), (Duration::from_mins(5), false), "{text}");
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.yaml");
        std::fs::write(&file, "interval: 1m\naws: {use_dualstack: true}\n").unwrap();
        let unset = environment(&[("SSM_SYNC_EXPORTER_INTERVAL", text), ("SSM_SYNC_EXPORTER_AWS", text)]);
        let config = Config::load(Some(&file), unset).unwrap();
        assert_eq!((config.interval, config.aws.use_dualstack), (Duration::from_mins(5), false), "{text}");
        assert_eq!(web_error(&format!("http_server_config: {text}\nrate_limit: {text}")), None);
        // What must not become the default.
        let error = from_environment(&[("SSM_SYNC_EXPORTER_REGIONS", text)]).unwrap_err();
        assert!(error.ends_with("regions: found nothing, expected a list, such as `[a, b]`"), "{error}");
    }
    for text in ["nULL", "nil", "none"] {
        assert!(from_environment(&[("SSM_SYNC_EXPORTER_INTERVAL", text)]).is_err(), "{text}");
    }
}

#[test]
fn a_text_is_taken_as_it_is_written() {
    // An account id that begins with a zero would be octal in YAML 1.1, and 0o17 in YAML 1.2.
    for id in ["012345670123", "000000000017", "123456789012"] {
        for quoted in [id.to_owned(), format!("'{id}'"), format!("!!str {id}"), format!("!!int {id}")] {
            let config = loaded(&format!("accounts: [{{id: {quoted}, profile: a}}]\nregions: [eu-west-1]"));
            assert_eq!(config.accounts[0].account.id.as_ref().unwrap().as_str(), id);
        }
    }
    for name in ["true", "no", "0x1F", "1e3", "1:30", "2026-01-01", ".inf", "'null'"] {
        let config = loaded(&format!("accounts: [{{name: {name}, profile: {}}}]", name.trim_matches('\'')));
        assert_eq!(config.accounts[0].account.name.as_deref(), Some(name.trim_matches('\'')));
    }
}

#[test]
fn a_duration_has_a_unit() {
    for text in ["90", "1:30", "0x1Fs", "1e3s", "5 parsecs", "-5m", ".inf", "true", "5m ago"] {
        let error = from_environment(&[("SSM_SYNC_EXPORTER_INTERVAL", text)]).unwrap_err();
        assert!(error.contains(&format!("`{text}` is not a valid duration; expected")), "{error}");
    }
}

#[test]
fn a_merge_key_is_merged_in_every_input() {
    let config = loaded(
        "regions: [eu-west-1]
accounts:
  - &base
    profile: a
    name: first
    assume_roles:
      - &role {arn: 'arn:aws:iam::111122223333:role/x', external_id: hunter2}
  - <<: *base
    name: second
    assume_roles:
      - {<<: *role, arn: 'arn:aws:iam::444455556666:role/x'}
",
    );
    let [first, second] = &config.accounts[..] else { panic!("{config:?}") };
    assert_eq!(second.account.name.as_deref(), Some("second"));
    assert_eq!(second.account.access.profile.as_deref(), Some("a"));
    let external_id = |entry: &AccountEntry| entry.account.access.roles[0].external_id.clone();
    assert!(external_id(second).is_some() && external_id(first) == external_id(second));

    let error = |text: &str| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.yaml");
        std::fs::write(&file, text).unwrap();
        let error = checked(Some(&file), Vec::new()).unwrap_err();
        error.split_once("config.yaml:").unwrap().1.to_owned()
    };
    assert_eq!(
        error("accounts:\n  - &a {profile: a, naem: x}\n  - <<: *a\n"),
        "2:21: accounts[0].naem: unknown key; did you mean `name`?"
    );
    assert_eq!(
        error("health: {max_run_time: 1h, <<: {max_success_age: soon}}\n").split_once("`soon`").unwrap().0,
        "1:50: health.max_success_age: "
    );
    let variable = "[&a {profile: a, id: '111122223333'}, {<<: *a, id: '444455556666', profile: b}]";
    assert_eq!(from_environment(&[("SSM_SYNC_EXPORTER_ACCOUNTS", variable)]).unwrap().accounts.len(), 2);
    let web =
        "http_server_config:\n  headers: &h {X-Frame-Options: deny}\n  <<: {headers: {}, http2: maybe}\n";
    let error = web_error(web).unwrap();
    assert!(
        error.ends_with("3:28: http_server_config.http2: `maybe` is not a boolean; expected true or false"),
        "{error}"
    );
}

//! The configuration as YAML for the status page: the settings of the file and the
//! environment, with defaults for what they leave out and without secrets.
//!
//! The types in [`raw`](super::raw) are serialized, so a new key is included automatically,
//! and a [`Secret`](super::scalar::Secret) is always redacted.

use super::raw::RawConfig;

pub(super) fn to_yaml(raw: &RawConfig) -> String {
    let options = serde_saphyr::ser_options! { compact_list_indent: false, prefer_block_scalars: false };
    let yaml = serde_saphyr::to_string_with_options(raw, options);
    let yaml = yaml.unwrap_or_else(|error| format!("# cannot be shown: {error}\n"));
    // A browser would show the text after such a character in another order.
    yaml.replace(is_bidi_control, "\u{fffd}")
}

fn is_bidi_control(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use figment::value::{Dict, Value};

    use super::super::Config;
    use super::super::raw::DEFAULTS;
    use super::super::scalar::Secret;
    use super::super::yaml::Document;
    use super::*;

    const PLACEHOLDER: &str = Secret::<()>::PLACEHOLDER;

    fn redacted_yaml(text: &str, environment: &[(&str, &str)]) -> String {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.yaml");
        std::fs::write(&file, text).unwrap();
        let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
        Config::load(Some(&file), environment).unwrap().redacted
    }

    #[test]
    fn the_yaml_has_the_settings_and_the_defaults_but_no_secrets() {
        let text = "
            interval: 1m
            timeout:
            regions: ['*']
            quota: {SyncFromSource: 9}
            accounts:
              - id: '012345678901'
                name: 'a: \"b\" # c'
                assume_roles:
                  - arn: arn:aws:iam::999900000000:role/Hub
                    external_id: swordfish-1
                  - {arn: 'arn:aws:iam::012345678901:role/Member', external_id: swordfish-2}
            organization:
              profile: hub
              member_role: 'arn:aws:iam::{account_id}:role/Member'
              external_id: swordfish-3
              member_assume_roles: [{arn: 'arn:aws:iam::999900000000:role/Hub', external_id: swordfish-4}]
              assume_roles: []
            aws: {sts_region: null}
        ";
        let shown = redacted_yaml(
            text,
            &[
                ("SSM_SYNC_EXPORTER_CONCURRENCY", "7"),
                ("SSM_SYNC_EXPORTER_ORGANIZATION__EXTERNAL_ID", "swordfish-5"),
                ("SSM_SYNC_EXPORTER_AWS__ENDPOINT_URL", "https://aws.example:8443"),
            ],
        );
        assert_eq!(
            shown,
            r#"interval: 1m
timeout: 1m
concurrency: 7
stale_after: 30m
ready_after: 10m
regions: ["*"]
refresh_interval: 1h
quota:
  SyncToDestination: 5
  SyncFromSource: 9
health:
  max_success_age: 48h
  max_run_time: 2h
managed_nodes:
  enabled: false
  interval: 6h
accounts:
  - id: "012345678901"
    name: "a: \"b\" # c"
    assume_roles:
      - arn: arn:aws:iam::999900000000:role/Hub
        external_id: <secret>
      - arn: arn:aws:iam::012345678901:role/Member
        external_id: <secret>
organization:
  profile: hub
  member_role: arn:aws:iam::{account_id}:role/Member
  member_assume_roles:
    - arn: arn:aws:iam::999900000000:role/Hub
      external_id: <secret>
  external_id: <secret>
aws:
  endpoint_url: https://aws.example:8443
"#
        );
    }

    #[test]
    fn only_the_secrets_of_the_full_example_are_hidden() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/full.yaml");
        let shown = Config::load(Some(&file), []).unwrap().redacted;
        let hidden: Vec<&str> =
            shown.lines().filter(|line| line.contains(PLACEHOLDER)).map(str::trim).collect();
        assert_eq!(hidden, ["external_id: <secret>", "external_id: <secret>"]);
        // Everything else is shown as in the file.
        let parsed = |text: &str| Document::parse(text).unwrap().to_dict().unwrap();
        let original = std::fs::read_to_string(&file).unwrap().replace("\"example\"", PLACEHOLDER);
        // Keys without effect are not shown.
        let original = original.lines().filter(|line| !line.contains("assume_roles: []"));
        let original = parsed(&original.collect::<Vec<_>>().join("\n"));
        let shown = parsed(&shown);
        assert_eq!(shown.len(), original.len());
        for key in [
            "interval",
            "timeout",
            "regions",
            "accounts",
            "organization",
            "metrics",
            "quota",
            "health",
            "managed_nodes",
            "expectations",
        ] {
            assert_eq!(shown[key], original[key], "{key}");
        }
    }

    #[test]
    fn every_name_round_trips_through_yaml() {
        for name in [
            "null",
            "no",
            "123456789012",
            "0777",
            "a b",
            "a: b",
            "a #b",
            "- a",
            "\"\\",
            "a\u{2028}b",
            "*",
            "&a",
            "{a}",
            "é",
            "a:",
            "/etc/x",
            "C:\\x",
            "@a",
            "%a",
            "'a'",
            "true",
            &"a word ".repeat(40),
        ] {
            let account = Value::from(Dict::from([("name".to_owned(), Value::from(name))]));
            let mut config = Document::parse(DEFAULTS).unwrap().to_dict().unwrap();
            config.insert("accounts".to_owned(), Value::from(vec![account]));
            let yaml = to_yaml(&Value::from(config).deserialize::<RawConfig>().unwrap());
            let accounts = Document::parse(&yaml).unwrap().to_dict().unwrap()["accounts"].clone();
            let account = accounts.as_array().unwrap()[0].as_dict().unwrap();
            assert_eq!(account["name"].as_str(), Some(name), "{yaml}");
        }
    }

    #[test]
    fn bidirectional_controls_in_a_name_are_replaced() {
        assert!(!redacted_yaml("accounts: [{name: \"a\\u202eb\"}]\n", &[]).contains('\u{202e}'));
    }
}

//! The configuration in force as YAML that may be shown to people: what the file
//! and the environment say, with defaults where they say nothing, and without
//! secrets.

use std::fmt::Write as _;
use std::time::Duration;

use figment::value::{Dict, Empty, Value};

use super::{Config, Quota};

/// What stands where a secret was, as in Prometheus.
const SECRET: &str = "<secret>";

/// The keys whose values may be shown, in the order in which they are. A key that
/// is new is taken for a secret until it is put here.
const SHOWN: [&str; 32] = [
    "interval",
    "timeout",
    "concurrency",
    "stale_after",
    "ready_after",
    "id",
    "name",
    "profile",
    "arn",
    "assume_roles",
    "member_role",
    "member_assume_roles",
    "session_name",
    "organizational_units",
    "exclude_accounts",
    "regions",
    "refresh_interval",
    "quota",
    "SyncToDestination",
    "SyncFromSource",
    "accounts",
    "organization",
    "metrics",
    "disable",
    "aws",
    "use_fips",
    "use_dualstack",
    "session_policy",
    "sts_region",
    "endpoint_url",
    "shared_config_file",
    "shared_credentials_file",
];

/// Writes down what is in force: `merged` is what has been said, `config` what has
/// become of it.
pub(super) fn written(merged: &Value, config: &Config) -> String {
    let mut all = merged.as_dict().cloned().unwrap_or_default();
    for (key, duration) in [
        ("interval", config.interval),
        ("timeout", config.timeout),
        ("stale_after", config.stale_after),
        ("ready_after", config.ready_after),
        ("refresh_interval", config.refresh_interval),
    ] {
        or_default(&mut all, key, text(duration));
    }
    or_default(&mut all, "concurrency", config.concurrency.to_string().into());
    or_default(&mut all, "quota", Dict::new().into());
    if let Some(Value::Dict(_, quota)) = all.get_mut("quota") {
        let Quota { to_destination, from_source } = config.quota;
        or_default(quota, "SyncToDestination", to_destination.to_string().into());
        or_default(quota, "SyncFromSource", from_source.to_string().into());
    }

    let mut out = String::new();
    mapping(&all, 0, &mut out);
    out
}

/// Puts in the default of a key that is left out, or has nothing behind it.
fn or_default(dict: &mut Dict, key: &str, default: Value) {
    let value = dict.entry(key.to_owned()).or_insert(Value::from(Empty::None));
    if matches!(value, Value::Empty(..)) {
        *value = default;
    }
}

fn text(duration: Duration) -> Value {
    let duration = jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX);
    format!("{duration:#}").replace(' ', "").into()
}

/// Writes keys and values, each on a line of its own that `depth` is put in front of.
fn mapping(dict: &Dict, depth: usize, out: &mut String) {
    let rank = |key: &str| SHOWN.iter().position(|shown| *shown == key).unwrap_or(SHOWN.len());
    let mut keys: Vec<&String> = dict.keys().collect();
    keys.sort_by_key(|key| (rank(key), *key));
    for (index, key) in keys.into_iter().enumerate() {
        // The first key of an entry of a list stands behind its dash.
        if index > 0 || !out.ends_with("- ") {
            indent(depth, out);
        }
        scalar(key, out);
        out.push(':');
        let value = &dict[key];
        if !SHOWN.contains(&key.as_str()) {
            out.extend([" ", SECRET, "\n"]);
        } else if key == "endpoint_url" {
            out.push(' ');
            scalar(&without_credentials(value.as_str().unwrap_or_default()), out);
            out.push('\n');
        } else {
            below(value, depth, out);
        }
    }
}

/// Writes the value of a key, from behind its colon to the end of the last line.
fn below(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Dict(_, dict) if dict.is_empty() => *out += " {}\n",
        Value::Dict(_, dict) => {
            out.push('\n');
            mapping(dict, depth + 1, out);
        }
        Value::Array(_, items) if items.iter().all(|item| item.as_str().is_some()) => {
            *out += " [";
            for (index, item) in items.iter().enumerate() {
                *out += if index == 0 { "" } else { ", " };
                scalar(item.as_str().unwrap_or_default(), out);
            }
            *out += "]\n";
        }
        Value::Array(_, items) => {
            out.push('\n');
            for item in items {
                indent(depth + 1, out);
                *out += "- ";
                match item {
                    Value::Dict(_, dict) if !dict.is_empty() => mapping(dict, depth + 2, out),
                    // Nothing of ours is a list of these.
                    _ => out.extend([SECRET, "\n"]),
                }
            }
        }
        Value::Empty(..) => *out += " null\n",
        other => {
            out.push(' ');
            scalar(other.as_str().unwrap_or(SECRET), out);
            out.push('\n');
        }
    }
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

/// Writes a text so that any reader of YAML takes it for what it is: an account's
/// id must not turn into a number.
fn scalar(text: &str, out: &mut String) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte);
    let looks_like_more =
        matches!(text.to_ascii_lowercase().as_str(), "" | "null" | "yes" | "no" | "on" | "off")
            || (text.len() > 9 && text.bytes().all(|byte| byte.is_ascii_digit()));
    if text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '/')
        && text.replace(':', "").bytes().all(plain)
        && !text.ends_with(':')
        && !looks_like_more
    {
        out.push_str(text);
        return;
    }
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            // YAML takes some of them for the end of a line, or not at all.
            character if character.is_control() || ('\u{2028}'..='\u{202e}').contains(&character) => {
                // Writing into a text does not fail.
                let _written = write!(out, "\\U{:08x}", u32::from(character));
            }
            character => out.push(character),
        }
    }
    out.push('"');
}

/// A URL without what is before `@` and behind `?`: checked to have neither, but a
/// secret is not to depend on a check elsewhere.
fn without_credentials(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match (url.split_once("://"), url.rsplit_once('@')) {
        (_, None) => url.to_owned(),
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{SECRET}@{host}"),
        (None, Some((_, host))) => format!("{SECRET}@{host}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::yaml::Node;
    use super::*;

    fn loaded(text: &str, environment: &[(&str, &str)]) -> String {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.yaml");
        std::fs::write(&file, text).unwrap();
        let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
        Config::load(Some(&file), environment).unwrap().redacted
    }

    #[test]
    fn it_says_what_has_been_said_and_the_defaults_without_secrets() {
        let text = "
            interval: 1m
            timeout:
            regions: ['*']
            quota: {SyncFromSource: 9}
            accounts:
              - id: '012345678901'
                name: 'a: \"b\" # c'
                assume_roles:
                  - arn: arn:aws:iam::999900000000:role/AwsClients
                    external_id: swordfish-1
                  - {arn: 'arn:aws:iam::012345678901:role/Member', external_id: swordfish-2}
            organization:
              profile: hub
              member_role: 'arn:aws:iam::{account_id}:role/Member'
              external_id: swordfish-3
              member_assume_roles: [{arn: 'arn:aws:iam::999900000000:role/AwsClients', external_id: swordfish-4}]
              assume_roles: []
            aws: {sts_region: null}
        ";
        let shown = loaded(
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
accounts:
  - id: "012345678901"
    name: "a: \"b\" # c"
    assume_roles:
      - arn: arn:aws:iam::999900000000:role/AwsClients
        external_id: <secret>
      - arn: arn:aws:iam::012345678901:role/Member
        external_id: <secret>
organization:
  profile: hub
  assume_roles: []
  member_role: "arn:aws:iam::{account_id}:role/Member"
  member_assume_roles:
    - arn: arn:aws:iam::999900000000:role/AwsClients
      external_id: <secret>
  external_id: <secret>
aws:
  sts_region: null
  endpoint_url: https://aws.example:8443
"#
        );
    }

    #[test]
    fn of_all_keys_there_are_the_secrets_alone_are_hidden() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/full.yaml");
        let shown = Config::load(Some(&file), []).unwrap().redacted;
        let hidden: Vec<&str> = shown.lines().filter(|line| line.contains(SECRET)).map(str::trim).collect();
        assert_eq!(hidden, ["external_id: <secret>", "external_id: <secret>"]);
        // And it says the same as the file otherwise.
        let whole = |text: &str| Node::parse(text).unwrap().to_dict().unwrap();
        let original = std::fs::read_to_string(&file).unwrap().replace("\"example\"", SECRET);
        let round = whole(&shown);
        assert_eq!(round.len(), whole(&original).len());
        for key in ["regions", "accounts", "organization", "metrics", "quota"] {
            assert_eq!(round[key], whole(&original)[key], "{key}");
        }
    }

    #[test]
    fn whatever_a_key_holds_it_stays_what_it_was() {
        for text in [
            "",
            "null",
            "no",
            "123456789012",
            "0777",
            "a b",
            "a: b",
            "a #b",
            "- a",
            "\"\\",
            "\u{1}\u{85}\u{2028}\u{202e}",
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
        ] {
            let mut out = "key: ".to_owned();
            scalar(text, &mut out);
            let read = Node::parse(&out).unwrap().to_dict().unwrap()["key"].clone();
            assert_eq!(read.as_str(), Some(text), "{out}");
        }
    }

    #[test]
    fn a_url_is_shown_without_credentials() {
        for (url, shown) in [
            ("https://aws.example:1/a", "https://aws.example:1/a"),
            ("https://me:swordfish@aws.example/a?token=swordfish#x", "https://<secret>@aws.example/a"),
            ("me:sword@fish@aws.example", "<secret>@aws.example"),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
    }
}

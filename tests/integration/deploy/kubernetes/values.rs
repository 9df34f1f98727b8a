//! Invalid values and their error messages, and the schema of the values.

use std::collections::BTreeSet;
use std::io::Write as _;

use serde_json::{Value, json};

use super::chart::{CHART, document, documents, helm_template, value_file};
use crate::deploy::{place, text};
use crate::tools;

/// Renders the chart with invalid values. Returns the first paragraph of Helm's error, which ends
/// with the cause.
pub(super) fn render_error(values: &Value) -> String {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(values.to_string().as_bytes()).unwrap();
    let mut helm = helm_template(&place(CHART));
    let output = helm.arg("--values").arg(file.path()).output().unwrap();
    assert!(!output.status.success(), "{values} is accepted");
    let stderr = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> =
        stderr.lines().filter(|line| !line.starts_with("level=INFO msg=\"found symbolic")).collect();
    lines.iter().take_while(|line| !line.is_empty()).copied().collect::<Vec<_>>().join("\n")
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn a_missing_image_is_one_line_that_says_what_to_set() {
    let error = render_error(&json!({}));
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(
        error.ends_with(
            "image.repository is not set: no image is published yet; build one (see deploy/container) and set its location, such as `--set image.repository=registry.example/ssm-sync-exporter`"
        ),
        "{error}"
    );
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn invalid_values_are_rejected_with_their_cause() {
    let users = json!({"basic_auth_users": {"prometheus": "x"}});
    let tls = json!({"tls_server_config": {"cert_file": "tls/tls.crt", "key_file": "tls/tls.key"}});
    let mutual = json!({"tls_server_config": {"client_auth_type": "RequireAndVerifyClientCert"}});
    let monitor = json!({"enabled": true});
    for (values, message) in [
        // Unknown keys.
        (json!({"replicas": 2}), "- at '': additional properties 'replicas' not allowed"),
        (
            json!({"image": {"repositry": "x"}}),
            "- at '/image': additional properties 'repositry' not allowed",
        ),
        (json!({"web": {"tls": true}}), "- at '/web': additional properties 'tls' not allowed"),
        (
            json!({"prometheusRule": {"thresholds": {}}}),
            "- at '/prometheusRule': additional properties 'thresholds' not allowed",
        ),
        // Values of the wrong type, or out of range.
        (json!({"shards": 0}), "- at '/shards': minimum: got 0, want 1"),
        (json!({"shards": "3"}), "- at '/shards': got string, want integer"),
        (json!({"image": {"tag": 1.0}}), "- at '/image/tag': got number, want string"),
        (
            json!({"image": {"digest": "latest"}}),
            "- at '/image/digest': 'latest' does not match pattern '^(sha256:[0-9a-f]{64})?$'",
        ),
        (
            json!({"image": {"pullPolicy": "Sometimes"}}),
            "- at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'",
        ),
        (
            json!({"log": {"level": "trace"}}),
            "- at '/log/level': value must be one of 'debug', 'info', 'warn', 'error'",
        ),
        (json!({"podAnnotations": {"x": true}}), "- at '/podAnnotations/x': got boolean, want string"),
        (
            json!({"serviceMonitor": {"interval": "5 minutes"}}),
            "- at '/serviceMonitor/interval': '5 minutes' does not match pattern '^([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$'",
        ),
        (
            json!({"serviceAccount": {"roleArn": "ssm-sync-exporter"}}),
            "- at '/serviceAccount/roleArn': 'ssm-sync-exporter' does not match pattern '^(arn:aws[a-z-]*:iam::[0-9]{12}:role/.+)?$'",
        ),
        (json!({"networkPolicy": {"from": []}}), "- at '/networkPolicy/from': minItems: got 0, want 1"),
        // Ids that Helm would render as 1.11122223333e+11.
        (
            json!({"config": {"accounts": [{"id": 111_122_223_333_u64}]}}),
            "- at '/config/accounts/0/id': got number, want string",
        ),
        (
            json!({"config": {"organization": {"exclude_accounts": [111_122_223_333_u64]}}}),
            "- at '/config/organization/exclude_accounts/0': got number, want string",
        ),
        (
            json!({"config": {"accounts": [{"assume_roles": [{"external_id": 111_122_223_333_u64}]}]}}),
            "- at '/config/accounts/0/assume_roles/0/external_id': got number, want string",
        ),
        // Values that conflict.
        (
            json!({"config": {"interval": "1m"}, "configSecret": "x"}),
            "config and configSecret are both set; use one of them",
        ),
        (
            json!({"web": {"config": users, "existingSecret": {"name": "x"}}}),
            "web.config and web.existingSecret.name are both set; use one of them",
        ),
        (
            json!({"web": {"config": {"basic_auth_users": {"prometheus": "x"}, "auth_excluded_paths": ["/-/healthy"]}}}),
            "web.config.auth_excluded_paths must contain /-/ready, which the probes request; remove the key to let the chart add it",
        ),
        (
            json!({"serviceAccount": {"create": false, "roleArn": "arn:aws:iam::999900000000:role/x"}}),
            "serviceAccount.roleArn is set, but the chart cannot annotate a service account that it does not create (serviceAccount.create: false)",
        ),
        (
            json!({"web": {"config": users}, "serviceMonitor": monitor}),
            "web.config.basic_auth_users requires a password to scrape: set serviceMonitor.basicAuth",
        ),
        (
            json!({"web": {"config": tls}, "serviceMonitor": monitor}),
            "the exporter serves HTTPS: set serviceMonitor.tlsConfig, or web.tlsSecret with a ca.crt",
        ),
        (
            json!({"web": {"config": mutual}, "serviceMonitor": monitor}),
            "the web configuration requires a client certificate: set serviceMonitor.tlsConfig with cert and keySecret",
        ),
    ] {
        let mut values = values;
        if values["image"].is_null() {
            values["image"] = json!({"repository": "x"});
        }
        let error = render_error(&values);
        assert!(error.ends_with(message), "{error}\nshould end with\n{message}");
    }
    let error = render_error(&json!({
        "image": {"repository": "x"}, "prometheusRule": {"enabled": true, "disabledAlerts": ["Nothing"]}
    }));
    assert!(
        error.contains("prometheusRule.disabledAlerts: unknown alert Nothing; the alerts are "),
        "{error}"
    );
}

/// The keys of `value`, except those below keys whose content the schema leaves to the user.
fn keys(value: &Value, schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    let known = schema["properties"].as_object();
    for (key, below) in value.as_object().into_iter().flatten() {
        let path = format!("{path}/{key}");
        match known.and_then(|known| known.get(key)) {
            Some(schema) if schema["additionalProperties"] == false => keys(below, schema, &path, found),
            _ => {}
        }
        found.insert(path);
    }
}

/// The keys that a schema defines.
fn keys_of_schema(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (key, below) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{key}");
        if below["additionalProperties"] == false {
            keys_of_schema(below, &path, found);
        }
        found.insert(path);
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_values_and_their_schema_have_the_same_keys() {
    let schema: Value = serde_json::from_str(&text(&format!("{CHART}/values.schema.json"))).unwrap();
    let values = document("values.yaml");
    let (mut in_values, mut in_schema) = (BTreeSet::new(), BTreeSet::new());
    keys(&values, &schema, "", &mut in_values);
    keys_of_schema(&schema, "", &mut in_schema);
    // The first two are set only by a parent chart. The keys of basicAuth have no default.
    in_schema.retain(|key| {
        !["/global", "/enabled"].contains(&key.as_str()) && !key.starts_with("/serviceMonitor/basicAuth/")
    });
    pretty_assertions::assert_eq!(in_values, in_schema);
    for path in in_values {
        let name = path.rsplit('/').next().unwrap();
        assert!(text(&format!("{CHART}/values.yaml")).contains(&format!("{name}:")), "{path}");
    }
}

/// `ci/everything-values.yaml` must cover every value, because other values would be untested.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_everything_example_sets_every_value() {
    let used = documents(&std::fs::read_to_string(value_file("everything")).unwrap(), &[]).remove(0);
    let missing: Vec<String> = document("values.yaml")
        .as_object()
        .unwrap()
        .keys()
        .filter(|key| used[key.as_str()].is_null())
        .cloned()
        .collect();
    assert_eq!(missing, ["configSecret"], "configSecret is exclusive with config");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_values_schema_is_valid_json_schema() {
    let mut check = tools::python_program("check-jsonschema");
    crate::deploy::succeed(check.arg("--check-metaschema").arg(place(CHART).join("values.schema.json")));
}

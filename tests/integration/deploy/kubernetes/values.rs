//! Values that the chart refuses, and how it says so.

use std::collections::BTreeSet;
use std::io::Write as _;

use serde_json::{Value, json};

use super::chart::{CHART, document, documents, helm_template, value_file};
use crate::deploy::{place, text};
use crate::tools;

/// What is wrong with values that are laid over others, as a line of what Helm says.
fn refusal(values: &Value) -> String {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(values.to_string().as_bytes()).unwrap();
    let mut applier = helm_template(&place(CHART));
    let output = applier.arg("--values").arg(file.path()).output().unwrap();
    assert!(!output.status.success(), "{values} is taken");
    let said = String::from_utf8(output.stderr).unwrap();
    let said: Vec<&str> =
        said.lines().filter(|line| !line.starts_with("level=INFO msg=\"found symbolic")).collect();
    // The first paragraph; what is wrong stands at its end.
    said.iter().take_while(|line| !line.is_empty()).copied().collect::<Vec<_>>().join("\n")
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn without_an_image_one_line_says_what_to_set() {
    let said = refusal(&json!({}));
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.ends_with(
            "image.repository is not set: no image is published, so build one (deploy/container) and say where it is, as in `--set image.repository=registry.example/ssm-sync-exporter`"
        ),
        "{said}"
    );
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn bad_values_are_refused_with_what_is_wrong() {
    let users = json!({"basic_auth_users": {"prometheus": "x"}});
    let tls = json!({"tls_server_config": {"cert_file": "tls/tls.crt", "key_file": "tls/tls.key"}});
    let mutual = json!({"tls_server_config": {"client_auth_type": "RequireAndVerifyClientCert"}});
    let monitor = json!({"enabled": true});
    for (values, message) in [
        // Keys that nobody knows.
        (json!({"replicas": 2}), "- at '': additional properties 'replicas' not allowed"),
        (
            json!({"image": {"repositry": "x"}}),
            "- at '/image': additional properties 'repositry' not allowed",
        ),
        (json!({"web": {"tls": true}}), "- at '/web': additional properties 'tls' not allowed"),
        (
            json!({"prometheusRule": {"thresholds": {"x": {"seconds": 1, "selector": "a=\"b\"", "days": 1}}}}),
            "- at '/prometheusRule/thresholds/x': additional properties 'days' not allowed",
        ),
        // Values of another type, or out of range.
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
        (
            json!({"prometheusRule": {"thresholds": {"x": {"seconds": 86400}}}}),
            "- at '/prometheusRule/thresholds/x': missing property 'selector'",
        ),
        (
            json!({"prometheusRule": {"thresholds": {"x": {"seconds": 86400, "selector": "{a=\"b\"}"}}}}),
            "- at '/prometheusRule/thresholds/x/selector': '{a=\"b\"}' does not match pattern '^[a-z_]+ *(=|!)'",
        ),
        (json!({"networkPolicy": {"from": []}}), "- at '/networkPolicy/from': minItems: got 0, want 1"),
        // Ids that Helm would write as 1.11122223333e+11.
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
        // Values that do not go together.
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
            "web.config.auth_excluded_paths has to have /-/ready, which the probes ask for; leave the key out to have it added",
        ),
        (
            json!({"serviceAccount": {"create": false, "roleArn": "arn:aws:iam::999900000000:role/x"}}),
            "serviceAccount.roleArn is set, but with serviceAccount.create: false the account is not the chart's to annotate",
        ),
        (
            json!({"web": {"config": users}, "serviceMonitor": monitor}),
            "web.config.basic_auth_users lets nobody scrape without a password: set serviceMonitor.basicAuth",
        ),
        (
            json!({"web": {"config": tls}, "serviceMonitor": monitor}),
            "the exporter serves HTTPS: set serviceMonitor.tlsConfig, or web.tlsSecret if that has a ca.crt",
        ),
        (
            json!({"web": {"config": mutual}, "serviceMonitor": monitor}),
            "nobody gets in without a client certificate: set serviceMonitor.tlsConfig, with cert and keySecret",
        ),
    ] {
        let mut values = values;
        if values["image"].is_null() {
            values["image"] = json!({"repository": "x"});
        }
        let said = refusal(&values);
        assert!(said.ends_with(message), "{said}\nshould end with\n{message}");
    }
    let said = refusal(&json!({
        "image": {"repository": "x"}, "prometheusRule": {"enabled": true, "disabledAlerts": ["Nothing"]}
    }));
    assert!(said.contains("prometheusRule.disabledAlerts: there is no alert Nothing; there are "), "{said}");
}

/// The keys of values, down to where they are the user's own.
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

/// Those that a schema has.
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
    // Only another chart sets these, and the last two are Secret keys of the user's.
    in_schema.retain(|key| {
        !["/global", "/enabled"].contains(&key.as_str()) && !key.starts_with("/serviceMonitor/basicAuth/")
    });
    pretty_assertions::assert_eq!(in_values, in_schema);
    for path in in_values {
        let name = path.rsplit('/').next().unwrap();
        // In its place below the others, a key has been explained or is clear.
        assert!(text(&format!("{CHART}/values.yaml")).contains(&format!("{name}:")), "{path}");
    }
}

/// What no set of values uses is not tested.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn everything_sets_every_value_that_can_be_set_at_once() {
    let used = documents(&std::fs::read_to_string(value_file("everything")).unwrap(), &[]).remove(0);
    let missing: Vec<String> = document("values.yaml")
        .as_object()
        .unwrap()
        .keys()
        .filter(|key| used[key.as_str()].is_null())
        .cloned()
        .collect();
    assert_eq!(missing, ["configSecret"], "which goes instead of `config`");
}

/// The schema itself has to be one.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_schema_is_a_schema() {
    let mut check = tools::python_program("check-jsonschema");
    crate::deploy::succeed(check.arg("--check-metaschema").arg(place(CHART).join("values.schema.json")));
}

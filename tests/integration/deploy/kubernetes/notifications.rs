//! The `AlertmanagerConfig`, which must be the same as Alertmanager's configuration in
//! `deploy/alertmanager`.

use pretty_assertions::assert_eq;
use serde_json::{Map, Value, json};

use super::chart::{Rendered, document, list, string};
use super::values::render_error;
use crate::deploy::{text, yaml};

fn example() -> Value {
    yaml("deploy/alertmanager/alertmanager.yml")
}

/// The key as Kubernetes spells it.
fn camel_case(key: &str) -> String {
    let mut words = key.split('_');
    let mut result = words.next().unwrap().to_owned();
    for word in words {
        result += &word[..1].to_uppercase();
        result += &word[1..];
    }
    result
}

/// Matchers of an `AlertmanagerConfig` as text, for Alertmanager.
fn matchers(of: &Value) -> Value {
    let text = |matcher: &Value| {
        let [name, kind, value] = ["name", "matchType", "value"].map(|key| string(&matcher[key]));
        format!("{name}{kind}\"{value}\"")
    };
    list(of).iter().map(text).collect()
}

/// A route of an `AlertmanagerConfig`, with the keys of Alertmanager.
fn route(of: &Value) -> Value {
    let mut result = Map::new();
    for (key, value) in of.as_object().unwrap() {
        let (key, value) = match key.as_str() {
            "matchers" => ("matchers", matchers(value)),
            "routes" => ("routes", list(value).iter().map(route).collect()),
            "groupBy" => ("group_by", value.clone()),
            "groupWait" => ("group_wait", value.clone()),
            "groupInterval" => ("group_interval", value.clone()),
            "repeatInterval" => ("repeat_interval", value.clone()),
            "receiver" => ("receiver", value.clone()),
            other => panic!("{other}"),
        };
        result.insert(key.to_owned(), value);
    }
    Value::Object(result)
}

/// The settings of a receiver in Alertmanager's configuration, with the keys of an
/// `AlertmanagerConfig` and without the keys that name secrets.
fn settings(of: &Value) -> Value {
    let pairs = |value: &Value| -> Value {
        let pairs = value.as_object().unwrap().iter();
        let mut pairs: Vec<Value> = pairs.map(|(key, value)| json!({"key": key, "value": value})).collect();
        pairs.sort_by_key(|pair| pair["key"].to_string());
        pairs.into()
    };
    let link = |link: &Value| json!({"href": link["href"], "alt": link["text"]});
    let mut result = Map::new();
    for (key, value) in of.as_object().unwrap().iter().filter(|(key, _)| !key.ends_with("_file")) {
        let (key, value) = match key.as_str() {
            "links" => ("pagerDutyLinkConfigs".to_owned(), list(value).iter().map(link).collect()),
            "details" | "headers" => (key.clone(), pairs(value)),
            _ => (camel_case(key), value.clone()),
        };
        result.insert(key, value);
    }
    Value::Object(result)
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn routes_and_inhibitions_are_those_of_deploy_alertmanager() {
    let rendered = Rendered::of("everything");
    let spec = &rendered.the("AlertmanagerConfig")["spec"];
    let example = example();
    assert_eq!(route(&spec["route"]), example["route"]["routes"][0]);
    let inhibition = |rule: &Value| {
        let mut result = json!({
            "source_matchers": matchers(&rule["sourceMatch"]), "target_matchers": matchers(&rule["targetMatch"]),
        });
        if rule["equal"].is_array() {
            result["equal"] = rule["equal"].clone();
        }
        result
    };
    let inhibitions: Value = list(&spec["inhibitRules"]).iter().map(inhibition).collect();
    assert_eq!(inhibitions, example["inhibit_rules"]);
    let default = &document("values.yaml")["alertmanagerConfig"]["groupBy"];
    assert_eq!(default, &example["route"]["routes"][0]["group_by"]);
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn receivers_have_the_texts_of_deploy_alertmanager() {
    let rendered = Rendered::of("everything");
    let config = rendered.the("AlertmanagerConfig");
    assert_eq!(config["metadata"]["labels"]["alertmanager"], "main");
    let mut receivers = config["spec"]["receivers"].clone();
    let secrets = [
        ("slackConfigs", "apiURL", json!({"name": "alertmanager", "key": "slack-url"})),
        ("pagerdutyConfigs", "routingKey", json!({"name": "alertmanager", "key": "pagerduty-routing-key"})),
        ("emailConfigs", "authPassword", json!({"name": "alertmanager", "key": "smtp-password"})),
    ];
    for receiver in receivers.as_array_mut().unwrap() {
        for (kind, key, secret) in &secrets {
            if let Some(settings) = receiver.get_mut(kind) {
                assert_eq!(settings[0].as_object_mut().unwrap().remove(*key).as_ref(), Some(secret));
            }
        }
        if let Some(mail) = receiver.get_mut("emailConfigs") {
            let mail = mail[0].as_object_mut().unwrap();
            for (key, value) in [
                ("from", "alertmanager@example.org"),
                ("smarthost", "smtp.example.org:587"),
                ("authUsername", "alertmanager"),
            ] {
                assert_eq!(mail.remove(key), Some(json!(value)), "{key}");
            }
        }
    }
    let expected = |receiver: &Value| {
        let mut result = json!({"name": receiver["name"]});
        for (kind, settings_of_kind) in
            receiver.as_object().unwrap().iter().filter(|(kind, _)| *kind != "name")
        {
            result[camel_case(kind)] = list(settings_of_kind).iter().map(settings).collect();
        }
        result
    };
    let of_example = example();
    let of_example = list(&of_example["receivers"]).iter().filter(|receiver| receiver["name"] != "default");
    assert_eq!(receivers, of_example.map(expected).collect::<Value>());

    let maps = rendered.all("ConfigMap");
    let templates: Vec<&Value> = maps.iter().filter_map(|map| map["data"].get("ssm-sync.tmpl")).collect();
    let source = text("deploy/alertmanager/ssm-sync.tmpl");
    assert_eq!(templates.iter().map(|text| string(text).trim_end()).collect::<Vec<_>>(), [source.trim_end()]);
}

/// A template that Alertmanager does not know makes sending fail.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn no_template_is_used_unless_the_values_say_that_alertmanager_loads_them() {
    let set = "alertmanagerConfig.enabled=true,alertmanagerConfig.slack.apiURL.name=slack,alertmanagerConfig.slack.apiURL.key=url,alertmanagerConfig.email.to=team@example.org";
    let rendered = Rendered::with("minimal", &["--set", set]);
    let spec = &rendered.the("AlertmanagerConfig")["spec"];
    let receiver = |severity: &str| {
        json!({
            "name": format!("ssm-sync-{severity}"),
            "slackConfigs": [{"sendResolved": true, "apiURL": {"name": "slack", "key": "url"}}],
            "emailConfigs": [{"sendResolved": true, "to": "team@example.org"}],
        })
    };
    assert_eq!(spec["receivers"], json!(["critical", "warning", "info"].map(receiver)));
    assert!(rendered.all("ConfigMap").iter().all(|map| map["data"].get("ssm-sync.tmpl").is_none()));
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn values_with_which_no_one_would_be_notified_are_rejected() {
    let key = json!({"name": "x", "key": "y"});
    for (values, message) in [
        (
            json!({"slack": {"apiURL": {"name": "x"}}}),
            "- at '/alertmanagerConfig/slack/apiURL': missing property 'key'",
        ),
        (
            json!({"pagerduty": {"severities": ["page"]}}),
            "- at '/alertmanagerConfig/pagerduty/severities/0': value must be one of 'critical', 'warning', 'info'",
        ),
        (
            json!({"enabled": true, "pagerduty": {"routingKey": key}}),
            "alertmanagerConfig: no receiver for alerts of severity warning: set slack.apiURL, pagerduty.routingKey or email.to, and list the severity in its severities",
        ),
        // The operator would reject the object.
        (
            json!({"groupBy": ["alertname", "alertname"]}),
            "- at '/alertmanagerConfig/groupBy': items at 0 and 1 are equal",
        ),
        (
            json!({"groupBy": ["alert name"]}),
            "- at '/alertmanagerConfig/groupBy/0': 'alert name' does not match pattern '^([A-Za-z_][A-Za-z0-9_]*|[.]{3})$'",
        ),
        (
            json!({"enabled": true, "groupBy": ["...", "alertname"], "pagerduty": {"routingKey": key}}),
            "alertmanagerConfig.groupBy: ... means all labels, so no other label can be beside it",
        ),
        (
            json!({"enabled": true}),
            "alertmanagerConfig: no receiver for alerts of severity critical: set slack.apiURL, pagerduty.routingKey or email.to, and list the severity in its severities",
        ),
    ] {
        let error = render_error(&json!({"image": {"repository": "x"}, "alertmanagerConfig": values}));
        assert!(error.ends_with(message), "{error}\nshould end with\n{message}");
    }
}

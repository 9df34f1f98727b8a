//! How alerts reach people: the templates and the configuration of Alertmanager.

use std::collections::BTreeMap;
use std::path::Path;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::rules::{alerts, words};
use super::{list, place, succeed, text, yaml};
use crate::tools;

const CONFIGURATION: &str = "deploy/alertmanager/alertmanager.yml";
const TEMPLATES: &str = "deploy/alertmanager/ssm-sync.tmpl";

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn alertmanager_accepts_the_configuration_and_its_inhibitions_name_alerts() {
    succeed(tools::amtool().arg("check-config").arg(place(CONFIGURATION)));
    let names = alerts();
    let config = yaml(CONFIGURATION);
    let matchers = list(&config["inhibit_rules"])
        .iter()
        .flat_map(|rule| [&rule["source_matchers"], &rule["target_matchers"]])
        .flat_map(list);
    let mut inhibited = 0;
    for name in matchers.flat_map(|matcher| words(matcher.as_str().unwrap())) {
        if name.starts_with("SsmSync") {
            assert!(names.contains(name), "{name}");
            inhibited += 1;
        }
    }
    assert!(inhibited > 5, "{config}");
}

/// A group of several alerts would have the name of the alert in its title instead.
#[test]
fn every_alert_has_a_phrase_for_the_title_of_several() {
    let templates = text(TEMPLATES);
    let named: Vec<&str> = words(&templates).filter(|word| word.starts_with("SsmSync")).collect();
    let mut sorted = named.clone();
    sorted.sort_unstable();
    let mut expected = alerts();
    let of_textfiles = yaml("deploy/ingestion/textfile/alerts.yml");
    for rule in list(&of_textfiles["groups"][0]["rules"]) {
        expected.insert(rule["alert"].as_str().unwrap().to_owned());
    }
    assert_eq!(sorted, Vec::from_iter(&expected));
}

/// The text of a template for a group of alerts with these causes and annotations.
fn rendered(template: &str, alerts: &[(&str, Value)]) -> String {
    let alert = |(cause, annotations): &(&str, Value)| {
        json!({"status": "firing", "labels": {"alertname": "SsmSyncFailed", "cause": cause},
            "annotations": annotations})
    };
    let data = json!({"status": "firing", "alerts": alerts.iter().map(alert).collect::<Value>(),
        "commonLabels": {"alertname": "SsmSyncFailed"}, "externalURL": "https://alertmanager.example"});
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), data.to_string()).unwrap();
    let mut amtool = tools::amtool();
    amtool.args(["template", "render"]);
    amtool.arg(format!("--template.glob={}", place(TEMPLATES).display()));
    amtool.arg(format!("--template.data={}", file.path().display()));
    amtool.arg(format!("--template.text={{{{ template \"ssm_sync.{template}\" . }}}}"));
    String::from_utf8(succeed(&mut amtool).stdout).unwrap()
}

/// Grouped by `alertname` only, a message had no link to the runbook, because each cause has its own.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn a_message_about_several_causes_links_to_the_runbook_at_the_alert() {
    let runbook = "https://example.org/runbook.md";
    let alerts = ["kms_key", "bucket_policy"]
        .map(|cause| (cause, json!({"runbook_url": format!("{runbook}#cause-{cause}")})));
    let link = format!("{runbook}#ssmsyncfailed");
    for (template, expected) in [
        ("link.runbook", link.clone()),
        ("slack.text", format!("<{link}|What to do> · <https://alertmanager.example/")),
        ("text", format!("What to do: {link}\n")),
        ("html", format!("<a href=\"{link}\"")),
    ] {
        let text = rendered(template, &alerts);
        assert!(text.contains(&expected), "{text}");
    }
}

/// The page sends such an alert as a test. Its message began with an empty line, and its links with a dot.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn an_alert_with_only_a_summary_makes_a_message_without_gaps() {
    let alert = [("kms_key", json!({"summary": "A test"}))];
    let text = rendered("slack.text", &alert);
    assert!(text.starts_with("Cause: kms_key\nSince ") && text.contains(" UTC\n<https://"), "{text}");
    let text = rendered("text", &alert);
    assert!(text.starts_with("A test\n\nCause: kms_key\nSince: "), "{text}");
}

/// The configuration uses every template that others do not use, and only these.
#[test]
fn every_template_is_used_and_defined() {
    let templates = text(TEMPLATES);
    let after = |text: &str, keyword: &str| -> Vec<String> {
        let start = format!("{keyword} \"ssm_sync.");
        text.split(&start).skip(1).map(|name| name.split_once('"').unwrap().0.to_owned()).collect()
    };
    let mut used = after(&(templates.clone() + &text(CONFIGURATION)), "template");
    let mut defined = after(&templates, "define");
    used.sort();
    used.dedup();
    defined.sort();
    assert_eq!(used, defined);
}

/// The files of a directory by name.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read_to_string(path).unwrap())
    };
    entries.map(read).collect()
}

/// The script says which cases there are. To change the expected messages, run it with this
/// directory and check the difference.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn slack_pagerduty_and_mail_get_exactly_the_expected_messages() {
    let directory = tempfile::tempdir().unwrap();
    let mut script = tools::python();
    script
        .arg(place("tests/python/alert_notifications.py"))
        .arg(tools::prometheus().get_program())
        .arg(tools::alertmanager().get_program())
        .arg(directory.path());
    let output = succeed(&mut script);
    assert_eq!(output.stdout, b"12 cases\n", "{}", tools::written(&output));

    let sent = files(directory.path());
    let expected = files(&place("tests/golden/notifications"));
    assert_eq!(sent.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, message) in &sent {
        assert_eq!(message, &expected[name], "{name}");
    }
}

/// Slack truncates or rejects texts of more than 3,000 characters, `PagerDuty` summaries of more than
/// 1,024. Alertmanager truncates titles without regard to entities.
#[test]
fn the_expected_messages_are_within_the_limits_of_slack_and_pagerduty() {
    for (name, message) in files(&place("tests/golden/notifications")) {
        for failure in ["<no value>", "ZgotmplZ", "<script>alert(1)</script>"] {
            // Plain text and JSON need no escapes for HTML.
            let is_text =
                failure.starts_with("<script>") && Path::new(&name).extension() != Some("html".as_ref());
            assert!(is_text || !message.contains(failure), "{name}: {failure}");
        }
        if name.ends_with(".slack.json") {
            let message: Value = serde_json::from_str(&message).unwrap();
            let attachment = &message["attachments"][0];
            for (key, limit) in [("title", 1024), ("fallback", 1024), ("text", 3000)] {
                let text = attachment[key].as_str().unwrap();
                assert!(text.chars().count() < limit, "{name}: {key}");
                // What is left of < and > are links.
                let links = text.matches("<http").count();
                assert_eq!(text.matches('<').count(), links, "{name}: {text}");
                assert_eq!(text.matches('>').count(), links, "{name}: {text}");
            }
        } else if name.ends_with(".pagerduty.json") {
            let message: Value = serde_json::from_str(&message).unwrap();
            let summary = message["payload"]["summary"].as_str().unwrap();
            assert!(summary.chars().count() < 1024, "{name}");
            assert!(!summary.contains(char::is_control), "{name}: {summary:?}");
        }
    }
}

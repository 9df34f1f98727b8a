//! Tests of credentials, and of texts with which they are obtained, that no request can carry.

use std::process::Command;

use fake_aws::{FakeAws, World};
use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::exporter::{HUB, REGION, fake_aws};
use crate::process::{program, run};

/// Texts that no HTTP header can carry, with what is said about them.
const UNUSABLE: [(&str, &str); 6] = [
    ("AKIAs3cr3t\n", "contains a control character, such as a line end"),
    ("AKIAs3cr3t\r\n", "contains a control character, such as a line end"),
    ("AKIA\ns3cr3t", "contains a control character, such as a line end"),
    ("AKIAs3cr3t\u{1b}[31m", "contains a control character, such as a line end"),
    ("AKIAs3cr3tü", "contains a character that is not ASCII"),
    ("AKIAs3cr3t\u{202e}", "contains a character that is not ASCII"),
];

/// One-shot mode for one target.
fn once(aws: &FakeAws) -> Command {
    let mut command = program();
    command
        .args(["once", "--format", "json", "--log.format", "json"])
        .env("AWS_ENDPOINT_URL", aws.url())
        .env("AWS_REGION", REGION)
        .env("SSM_SYNC_EXPORTER_TIMEOUT", "8s");
    command
}

/// Runs the program and returns the reason and the message of the failure of its target.
#[track_caller]
fn failure(command: &mut Command) -> (String, String) {
    let (status, stdout, stderr) = run(command);
    assert_eq!(status, Some(1), "{stderr}");
    for output in [&stdout, &stderr] {
        assert!(!output.contains("panicked") && !output.contains("s3cr3t"), "{output}");
    }
    // One warning, and the error that ends the program.
    let warnings: Vec<Value> = stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(warnings.iter().filter(|line| line["level"] == "warn").count(), 1, "{stderr}");
    let document: Value = serde_json::from_str(&stdout).unwrap();
    let target = &document["targets"][0];
    (target["reason"].as_str().unwrap().to_owned(), target["message"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_in_the_environment_with_a_line_end_are_reported_without_a_panic() {
    // The SDK panicked in every collection, so the reason was `other`.
    let aws = fake_aws().await;
    let key = World::access_key(HUB);
    for (text, problem) in UNUSABLE {
        for (variable, name) in [
            ("AWS_ACCESS_KEY_ID", "access key id"),
            ("AWS_SECRET_ACCESS_KEY", "secret access key"),
            ("AWS_SESSION_TOKEN", "session token"),
        ] {
            let mut command = once(&aws);
            command.env("AWS_ACCESS_KEY_ID", &key).env("AWS_SECRET_ACCESS_KEY", "any").env(variable, text);
            // The SDK itself trims the session token.
            if variable == "AWS_SESSION_TOKEN" && text.ends_with('\n') {
                continue;
            }
            let expected = format!("the {name} {problem}; the credentials are from environment variables");
            assert_eq!(failure(&mut command), ("credentials".to_owned(), expected));
        }
    }
}

//! The command `doctor`, run as a program: its flags, its verdict and its JSON document.

mod document;
mod managed_nodes;
mod selection;
mod verdict;

use std::process::Command;

use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::exporter::{ACCOUNT, HUB, ROLE, fake_organization};
use crate::once::{Setup, output_of};
use crate::process::{program, run};

/// `doctor --format json`, and its arguments.
fn doctor(setup: &Setup, arguments: &[&str]) -> Command {
    let mut doctor = setup.command("doctor");
    doctor.args(["--format", "json"]).args(arguments);
    doctor
}

/// The checks of a document with this status, each as `ACCOUNT REGION STEP`.
fn checks_with<'a>(document: &'a Value, status: &str) -> Vec<String> {
    let text = |check: &'a Value, key: &str| check[key].as_str().unwrap_or("-").to_owned();
    let checks = document["checks"].as_array().unwrap().iter();
    checks
        .filter(|check| check["status"] == status)
        .map(|check| ["aws_account_id", "aws_region", "step"].map(|key| text(check, key)).join(" "))
        .collect()
}

/// An organization of the hub and [`ACCOUNT`], polled in these regions.
async fn organization(regions: &str, more: &str) -> Setup {
    let config = format!(
        "regions: {regions}\norganization:\n  profile: hub\n  member_role: \
         'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'\n{more}"
    );
    Setup::with_config(fake_organization().await, &config)
}

#[test]
fn flags_of_other_commands_are_rejected() {
    for (arguments, expected) in [
        (&["--account", "a"][..], "--account requires the command `doctor`"),
        (&["once", "--region", "eu-west-1"], "--region requires the command `doctor`"),
        (&["serve", "--concurrency", "4"], "--concurrency requires the command `doctor`"),
        (&["--output", "x"], "--output requires the command `once` or `doctor`"),
        (&["doctor", "--fail-on", "targets"], "--fail-on requires the command `once`"),
        (
            &["doctor", "--format", "prometheus"],
            "--format of `doctor` is `table` or `json`, not `prometheus`",
        ),
        (
            &["doctor", "--region", "eu-west"],
            "invalid value 'eu-west' for '--region <NAME>': `eu-west` is not an AWS region name; expected a name such as \
             `eu-west-1` or `us-gov-east-1`; see --help",
        ),
        (
            &["doctor", "--concurrency", "0"],
            "invalid value '0' for '--concurrency <NUMBER>': expected a whole number of at least 1; see --help",
        ),
    ] {
        let (status, out, err) = run(program().args(arguments));
        assert_eq!((status, out.as_str(), err), (Some(2), "", format!("ssm-sync-exporter: {expected}\n")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_of_every_account_is_checked() {
    let setup = organization("['eu-west-?']", "").await;
    let (status, out, err) = output_of(doctor(&setup, &[])).await;
    assert_eq!((status, err.as_str()), (Some(0), ""));
    let document: Value = serde_json::from_str(&out).unwrap();
    let mut expected =
        vec!["- - clock".to_owned(), "- - credentials".to_owned(), "- - list_accounts".to_owned()];
    for account in [ACCOUNT, HUB] {
        expected
            .extend(["credentials", "assume_role", "list_regions"].map(|step| format!("{account} - {step}")));
        for region in ["eu-west-1", "eu-west-2", "eu-west-3"] {
            expected
                .extend([format!("{account} {region} list_syncs"), format!("{account} {region} list_syncs")]);
        }
    }
    assert_eq!(checks_with(&document, "passed"), expected);
    let address = setup.aws().url().strip_prefix("http://").unwrap().to_owned();
    for check in document["checks"].as_array().unwrap() {
        let step = check["step"].as_str().unwrap();
        let is_sent = !["clock", "credentials"].contains(&step);
        assert_eq!(check["endpoint"].as_str(), is_sent.then_some(address.as_str()), "{check}");
        assert_eq!(check["http_status"].as_u64(), is_sent.then_some(200), "{check}");
        assert_eq!(check.get("duration_seconds").is_some(), is_sent, "{check}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_is_written_to_a_file_that_is_replaced() {
    let setup = organization("[eu-west-1]", "").await;
    let file = setup.output_directory().join("doctor.txt");
    let mut doctor = setup.command("doctor");
    doctor.arg("--output").arg(&file);
    let (status, out, err) = output_of(doctor).await;
    assert_eq!((status, out.as_str(), err.as_str()), (Some(0), "", ""));
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.starts_with("host\n  ✓ clock: "), "{text}");
    assert!(text.ends_with("\n\n✓ 11 checks passed\n"), "{text}");
}

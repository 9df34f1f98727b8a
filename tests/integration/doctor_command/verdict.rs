//! `doctor` fails if and only if `once` does.

use std::process::Command;
use std::sync::Arc;

use fake_aws::{Fault, FaultRule};
use pretty_assertions::assert_eq;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{checks_with, doctor, organization};
use crate::exporter::{ACCOUNT, HUB, ROLE, fake_aws, fake_organization};
use crate::once::{Setup, output_of};

/// How many faults are tested at the same time.
const CONCURRENCY: usize = 4;

/// An organization with a unit in a rule, so that every kind of step is taken.
async fn whole_organization() -> Setup {
    let unit = "health:\n  rules: [{organizational_units: [ou-fake-00000009], max_success_age: 4h}]\n";
    organization("[us-east-1, 'eu-west-?']", unit).await
}

/// Runs both commands. Returns whether they succeeded, and the document of `doctor`.
async fn run_both(name: &str, setup: &Setup, faults: &[FaultRule]) -> (bool, Value) {
    let limited = |mut command: Command| {
        command.env("SSM_SYNC_EXPORTER_READY_AFTER", "6s").env("SSM_SYNC_EXPORTER_TIMEOUT", "4s");
        command
    };
    setup.aws().world().set_faults(faults.to_vec());
    let (once, _, err_of_once) = output_of(limited(setup.once())).await;
    // Some apply only to the first calls.
    setup.aws().world().set_faults(faults.to_vec());
    let (doctor, out, err) = output_of(limited(doctor(setup, &[]))).await;
    assert_eq!(doctor, once, "{name}: {out}\n{err}\n{err_of_once}");
    let document: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{name}: {out}\n{err}"));
    (doctor == Some(0), document)
}

/// Checks what holds for every document.
fn check(name: &str, passed: bool, document: &Value) {
    let failed = checks_with(document, "failed");
    assert_eq!(failed.is_empty(), passed, "{name}: {document:#}");
    let causes = document["causes"].as_array().unwrap();
    assert_eq!(causes.is_empty(), passed, "{name}: {document:#}");
    for check in document["checks"].as_array().unwrap() {
        let cause = check["cause"].as_u64().map(|index| &causes[usize::try_from(index).unwrap()]);
        assert_eq!(cause.is_some(), check["status"] == "failed", "{name}: {check:#}");
        if check["status"] == "not_tested" {
            assert!(check.get("message").is_none(), "{name}: {check:#}");
        }
    }
    for cause in causes {
        assert_ne!(cause["remedy"], "", "{name}: {cause:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_fails_if_and_only_if_once_does() {
    let in_account = |operation: &str, fault| FaultRule::new(fault).account(ACCOUNT).operation(operation);
    let list = "ListResourceDataSync";
    let html = Fault::Response { status: 403, body: "<html><title>Blocked</title></html>".to_owned() };
    let faults: Vec<(&str, Vec<FaultRule>, bool)> = vec![
        ("none", vec![], true),
        ("list accounts denied", vec![FaultRule::new(Fault::Deny).operation("ListAccounts")], false),
        ("list accounts hangs", vec![FaultRule::new(Fault::Stall).operation("ListAccounts")], false),
        (
            "list units denied",
            vec![FaultRule::new(Fault::Deny).operation("ListOrganizationalUnitsForParent")],
            false,
        ),
        ("list regions denied", vec![in_account("ListRegions", Fault::Deny)], false),
        ("list regions fails once", vec![in_account("ListRegions", Fault::Deny).times(1)], false),
        ("list regions hangs", vec![in_account("ListRegions", Fault::Stall)], false),
        ("assume role denied", vec![FaultRule::new(Fault::Deny).operation("AssumeRole")], false),
        ("assume role hangs", vec![FaultRule::new(Fault::Stall).operation("AssumeRole")], false),
        (
            "assume role fails once",
            vec![FaultRule::new(Fault::ServerError).operation("AssumeRole").times(1)],
            true,
        ),
        ("identity unknown", vec![FaultRule::new(Fault::Deny).operation("GetCallerIdentity")], true),
        ("list denied", vec![in_account(list, Fault::Deny)], false),
        ("list denied in a region", vec![in_account(list, Fault::Deny).region("eu-west-2")], false),
        (
            "second list denied",
            // The first call in the region passes.
            vec![
                in_account(list, Fault::Delay(0)).region("eu-west-2").times(1),
                in_account(list, Fault::Deny).region("eu-west-2"),
            ],
            false,
        ),
        ("denied by SCP", vec![FaultRule::new(Fault::DenyByScp).region("eu-west-2").operation(list)], false),
        ("region disabled", vec![in_account(list, Fault::RegionDisabled).region("eu-west-2")], false),
        ("credentials rejected", vec![in_account(list, Fault::ExpiredToken)], false),
        ("all throttled", vec![FaultRule::new(Fault::Throttle)], false),
        ("server error", vec![in_account(list, Fault::ServerError)], false),
        ("list hangs", vec![in_account(list, Fault::Stall).region("eu-west-2")], false),
        ("HTML", vec![in_account(list, html.clone())], false),
        ("HTML everywhere", vec![FaultRule::new(html)], false),
        ("truncated", vec![in_account(list, Fault::TruncatedBody)], false),
        ("endless pages", vec![in_account(list, Fault::RepeatToken)], false),
        ("new error code", vec![in_account(list, Fault::NewErrorCode)], false),
        ("clock corrected", vec![FaultRule::new(Fault::DateOffBy(200))], true),
        ("everything hangs", vec![FaultRule::new(Fault::Stall)], false),
    ];
    let permits = Arc::new(Semaphore::new(CONCURRENCY));
    let mut runs = JoinSet::new();
    for (name, rules, expected) in faults {
        let permits = Arc::clone(&permits);
        runs.spawn(async move {
            let _permit = permits.acquire().await.unwrap();
            let setup = whole_organization().await;
            if name == "list units denied" {
                setup.aws().world().set_reports_paths(false);
            }
            let (passed, document) = run_both(name, &setup, &rules).await;
            assert_eq!(passed, expected, "{name}: {document:#}");
            check(name, passed, &document);
            if name == "second list denied" {
                let lists = document["checks"].as_array().unwrap().iter();
                let lists: Vec<_> = lists
                    .filter(|check| check["aws_account_id"] == ACCOUNT && check["aws_region"] == "eu-west-2")
                    .map(|check| (check["sync_type"].as_str().unwrap(), check["status"].as_str().unwrap()))
                    .collect();
                assert_eq!(lists, [("SyncToDestination", "passed"), ("SyncFromSource", "failed")]);
            }
        });
    }
    while let Some(ended) = runs.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_the_configuration_are_failed_checks() {
    let role = format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}");
    for (name, config, expected) in [
        (
            "another account",
            "accounts: [{id: '444455556666', profile: hub}]".to_owned(),
            "444455556666 - credentials",
        ),
        (
            "another account in two regions",
            "accounts: [{id: '444455556666', profile: hub, regions: [eu-west-1, eu-west-2]}]".to_owned(),
            "444455556666 - credentials",
        ),
        (
            "no profile",
            format!("accounts: [{{profile: nobody, assume_roles: [{{arn: '{role}'}}]}}]"),
            "111122223333 - credentials",
        ),
        (
            "no role",
            format!("accounts: [{{profile: hub, assume_roles: [{{arn: '{role}-2'}}]}}]"),
            "111122223333 - assume_role",
        ),
        (
            "second hop",
            format!("accounts: [{{profile: hub, assume_roles: [{{arn: '{role}'}}, {{arn: '{role}-2'}}]}}]"),
            "111122223333 - assume_role",
        ),
        (
            "nothing to poll",
            format!(
                "organization:\n  profile: hub\n  member_role: \
                 'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'\n  exclude_accounts: ['{HUB}', '{ACCOUNT}']"
            ),
            "- - targets",
        ),
        (
            "no such region",
            format!("accounts: [{{profile: hub, regions: ['mars-*'], assume_roles: [{{arn: '{role}'}}]}}]"),
            "- - targets",
        ),
    ] {
        let config = format!("regions: [eu-west-1]\n{config}\n");
        let aws = if config.contains("organization") { fake_organization().await } else { fake_aws().await };
        let setup = Setup::with_config(aws, &config);
        let (passed, document) = run_both(name, &setup, &[]).await;
        check(name, passed, &document);
        assert_eq!(checks_with(&document, "failed"), [expected], "{name}: {document:#}");
        assert_eq!(document["causes"].as_array().unwrap().len(), 1, "{name}: {document:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_fails_although_once_corrects_it() {
    let setup = organization("[eu-west-1]", "").await;
    for (ahead, expected) in [(-600, Some("10m ahead of AWS")), (3600, Some("1h behind AWS")), (240, None)] {
        setup.aws().world().set_faults(vec![FaultRule::new(Fault::ClockAhead(ahead))]);
        let (status, out, err) = output_of(doctor(&setup, &[])).await;
        let document: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}"));
        let failed = checks_with(&document, "failed");
        let clock = document["checks"][0]["message"].as_str().unwrap();
        assert!(clock.contains(", by the `Date` of a response from 127.0.0.1:"), "{clock}");
        match expected {
            Some(expected) => {
                assert_eq!((status, failed), (Some(1), vec!["- - clock".to_owned()]), "{document:#}");
                let about = clock.replace("9m 59s", "10m").replace("59m 59s", "1h");
                assert!(about.starts_with(expected), "{clock}");
                assert_eq!(document["causes"][0]["kind"], "wrong_clock");
            }
            None => assert_eq!((status, failed), (Some(0), vec![]), "{document:#}"),
        }
    }
}

//! Tests of managed-node lookups in the document: outcomes and requests.

use std::collections::BTreeMap;

use fake_aws::{Fault, FaultRule};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{checks_with, doctor, organization};
use crate::exporter::{ACCOUNT, HUB};
use crate::once::output_of;

const LOOKUP: &str = "DescribeInstanceInformation";
const ENABLED: &str = "managed_nodes: {enabled: true}\n";

fn in_account(fault: Fault) -> FaultRule {
    FaultRule::new(fault).account(ACCOUNT).operation(LOOKUP)
}

/// The checks of lookups in [`ACCOUNT`], by region: the outcome, and the number of requests.
fn lookups(document: &Value) -> BTreeMap<String, (String, u64)> {
    let checks = document["checks"].as_array().unwrap().iter();
    let lookups =
        checks.filter(|check| check["step"] == "list_managed_nodes" && check["aws_account_id"] == ACCOUNT);
    lookups
        .map(|check| {
            let outcome = match check["status"].as_str().unwrap() {
                "passed" => &check["message"],
                "failed" => &check["reason"],
                _ => &check["status"],
            };
            let requests = check["requests"].as_u64().unwrap_or_default();
            let region = check["aws_region"].as_str().unwrap().to_owned();
            (region, (outcome.as_str().unwrap().to_owned(), requests))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_setting_nothing_is_looked_up() {
    let setup = organization("[eu-west-1]", "").await;
    let (status, out, err) = output_of(doctor(&setup, &[])).await;
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert!(!out.contains("list_managed_nodes"), "{out}");
    assert_eq!(setup.aws().world().calls(LOOKUP), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_target_is_looked_up_after_its_lists() {
    let setup = organization("[eu-west-1, eu-west-2]", ENABLED).await;
    setup.aws().world().set_managed_nodes(ACCOUNT, "eu-west-2", 12);
    let (status, out, err) = output_of(doctor(&setup, &[])).await;
    assert_eq!((status, err.as_str()), (Some(0), ""));
    let document: Value = serde_json::from_str(&out).unwrap();
    let mut expected =
        vec!["- - clock".to_owned(), "- - credentials".to_owned(), "- - list_accounts".to_owned()];
    for account in [ACCOUNT, HUB] {
        expected.extend(["credentials", "assume_role"].map(|step| format!("{account} - {step}")));
        for region in ["eu-west-1", "eu-west-2"] {
            let steps = ["list_syncs", "list_syncs", "list_managed_nodes"];
            expected.extend(steps.map(|step| format!("{account} {region} {step}")));
        }
    }
    assert_eq!(checks_with(&document, "passed"), expected);
    let found = lookups(&document);
    assert_eq!(found["eu-west-1"], ("no managed nodes here".to_owned(), 1));
    assert_eq!(found["eu-west-2"], ("managed nodes are present".to_owned(), 1), "one page is enough");
    assert_eq!(setup.aws().world().calls(LOOKUP), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lookup_that_fails_is_a_failed_check_of_its_region() {
    let html = Fault::Response { status: 403, body: "<html><title>Blocked</title></html>".to_owned() };
    let no_list = Fault::Response { status: 200, body: "{}".to_owned() };
    let empty_page = json!({"InstanceInformationList": [], "NextToken": "t"}).to_string();
    let empty_page = Fault::Response { status: 200, body: empty_page };
    for (fault, reason, requests) in [
        (Fault::Deny, "access_denied", 1),
        (Fault::DenyByScp, "scp_denied", 1),
        (Fault::Throttle, "throttled", 3),
        (Fault::ServerError, "server_error", 3),
        (html, "invalid_response", 1),
        (no_list, "invalid_response", 1),
        (empty_page, "pagination", 1),
        (Fault::Stall, "timeout", 1),
    ] {
        let case = format!("{fault:?}");
        let setup = organization("[eu-west-1, eu-west-2]", ENABLED).await;
        setup.aws().world().set_faults(vec![in_account(fault).region("eu-west-2")]);
        let mut command = doctor(&setup, &["--account", ACCOUNT]);
        command.env("SSM_SYNC_EXPORTER_TIMEOUT", "4s");
        let (status, out, err) = output_of(command).await;
        let document: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{case}: {err}"));
        let failed = checks_with(&document, "failed");
        assert_eq!(failed, [format!("{ACCOUNT} eu-west-2 list_managed_nodes")], "{case}");
        assert_eq!((status, document["causes"].as_array().unwrap().len()), (Some(1), 1), "{case}");
        let found = lookups(&document);
        assert_eq!(found["eu-west-1"], ("no managed nodes here".to_owned(), 1), "{case}");
        assert_eq!(found["eu-west-2"].0, reason, "{case}");
        assert!(found["eu-west-2"].1 >= requests, "{case}: {document:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_down_is_not_looked_up_and_a_lookup_that_takes_too_long_has_failed() {
    let setup = organization("[eu-west-1, eu-west-2]", ENABLED).await;
    let list = FaultRule::new(Fault::Deny).account(ACCOUNT).operation("ListResourceDataSync");
    // The lookup in the other region does not end before the run does.
    let stalled = in_account(Fault::Stall).region("eu-west-1");
    setup.aws().world().set_faults(vec![list.region("eu-west-2"), stalled]);
    let mut command = doctor(&setup, &["--account", ACCOUNT]);
    command.env("SSM_SYNC_EXPORTER_READY_AFTER", "4s").env("SSM_SYNC_EXPORTER_TIMEOUT", "1m");
    let (status, out, err) = output_of(command).await;
    let document: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}"));
    assert_eq!(status, Some(1));
    let found = lookups(&document);
    assert_eq!(found["eu-west-1"].0, "timeout", "{document:#}");
    assert_eq!(found["eu-west-2"], ("not_tested".to_owned(), 0), "{document:#}");
    assert_eq!(document["summary"]["causes"], 2);
}

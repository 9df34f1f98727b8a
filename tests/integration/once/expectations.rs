//! Expectations in `once`: `--fail-on violations`, the table and the document.

use fake_aws::{Fault, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{Setup, output_of};
use crate::exporter::{ACCOUNT, REGION, ROLE, fake_aws, put_sync};

/// A setup with the sync `inventory` in [`REGION`], and these expectations.
async fn setup(regions: &str, expectations: &str) -> Setup {
    let config = format!(
        "regions: [{regions}]\naccounts:\n  - name: production\n    profile: hub\n    assume_roles: [{{arn: \
         'arn:aws:iam::{ACCOUNT}:role/{ROLE}'}}]\n{expectations}"
    );
    let setup = Setup::with_config(fake_aws().await, &config);
    let destination = json!({"BucketName": "org-eu-west-1", "Region": REGION, "SyncFormat": "JsonSerDe"});
    let item = json!({"SyncName": "inventory", "LastStatus": "Successful", "S3Destination": destination});
    put_sync(&setup.aws, SyncKind::ToDestination, item);
    setup
}

async fn run(setup: &Setup, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut once = setup.once();
    once.args(arguments);
    output_of(once).await
}

const FAIL_ON_VIOLATIONS: [&str; 4] = ["--format", "json", "--fail-on", "violations"];

const INVENTORY: &str = "expectations:
  - {name: org-inventory, request: {SyncName: inventory, S3Destination: {BucketName: 'org-{region}', Prefix: null}}}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_fails_on_violations_only_if_asked_to_and_writes_the_result() {
    let setup = setup("eu-west-1, us-east-1", INVENTORY).await;
    for arguments in [&[][..], &["--fail-on", "targets"]] {
        let (status, out, err) = run(&setup, arguments).await;
        assert_eq!((status, err.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(!out.is_empty());
    }
    let (status, out, err) = run(&setup, &FAIL_ON_VIOLATIONS).await;
    assert_eq!(
        (status, err.as_str()),
        (Some(1), "ssm-sync-exporter: 1 of 1 expectation not met: org-inventory (1 missing)\n")
    );
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["summary"]["targets_not_as_expected"], 1);
    let found = [0, 1].map(|index| document["targets"][index]["expectations"][0]["state"].clone());
    assert_eq!(json!(found), json!(["met", "missing"]));

    let (_, table, _) = run(&setup, &["--format", "table"]).await;
    for part in [
        "Not as expected\n  org-inventory: 1 target\n    ≠ missing 111122223333/us-east-1/inventory\n",
        "\nexpectation org-inventory: 1 met, 1 missing\n",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_succeeds_if_every_expectation_is_met() {
    let setup = setup("eu-west-1", INVENTORY).await;
    let (status, _, err) = run(&setup, &FAIL_ON_VIOLATIONS).await;
    assert_eq!((status, err.as_str()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unknown_fails_together_with_its_target() {
    let setup = setup("eu-west-1, us-east-1", INVENTORY).await;
    setup.inject(Fault::Deny, "us-east-1");
    let (status, out, err) = run(&setup, &FAIL_ON_VIOLATIONS).await;
    assert_eq!(
        (status, err),
        (
            Some(1),
            format!(
                "ssm-sync-exporter: 1 of 2 targets failed, for example {ACCOUNT}/us-east-1 (access_denied); 1 of 1 expectation \
                 not met: org-inventory (1 unknown)\n"
            )
        )
    );
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["summary"]["targets_not_as_expected"], 0, "unknown is no violation");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_expectations_nothing_can_be_violated() {
    let setup = setup("eu-west-1", "").await;
    let (status, out, err) = run(&setup, &FAIL_ON_VIOLATIONS).await;
    assert_eq!((status, out.as_str()), (Some(2), ""));
    assert_eq!(err, "ssm-sync-exporter: --fail-on violations requires `expectations` in the configuration\n");
}

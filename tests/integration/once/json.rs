//! The JSON document.

use fake_aws::{Fault, SyncKind};
use jiff::Timestamp;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{Setup, output_of};
use crate::exporter::{ACCOUNT, REGION, put_sync};
use crate::exposition::s3_sync;

/// The JSON document without the times and durations of this run.
async fn document(setup: &Setup) -> Value {
    let mut once = setup.once();
    once.args(["--format", "json"]);
    let (_, out, _) = output_of(once).await;
    assert!(out.ends_with("}\n"), "{out}");
    assert!(!out.contains("hub-secret") && !out.contains("fake-secret") && !out.contains("fake-token"));
    let mut document: Value = serde_json::from_str(&out).unwrap();
    let written = document["generated_at"].take();
    // Compared as times: the texts leave out trailing zeros, so they do not sort by time.
    let time = |value: &Value| -> Timestamp { value.as_str().unwrap().parse().unwrap() };
    for target in document["targets"].as_array_mut().unwrap() {
        let target = target.as_object_mut().unwrap();
        if target.contains_key("up") {
            let collected = target.remove("collected_at").unwrap();
            assert!(time(&collected) <= time(&written), "{collected} {written}");
            assert!(target.remove("duration_seconds").unwrap().as_f64().unwrap() > 0.0);
        }
    }
    document
}

/// A sync from a source with a fault.
fn faulty_source() -> Value {
    json!({
        "SyncName": "explorer", "SyncSource": {
            "SourceType": "AwsOrganizations", "SourceRegions": ["eu-west-1", "us-east-1"],
            "AwsOrganizationsSource": {
                "OrganizationSourceType": "OrganizationalUnits",
                "OrganizationalUnits": [{"OrganizationalUnitId": "ou-abcd-11111111"}],
            },
            "IncludeFutureRegions": false, "EnableAllOpsDataSources": true, "State": "NoPermissions",
        },
    })
}

/// Counts by health, each 1 for these and 0 for the others.
fn counts(all: &[&str], ones: &[&str]) -> Value {
    all.iter().map(|health| ((*health).to_owned(), json!(u8::from(ones.contains(health))))).collect()
}

fn sync_counts(ones: &[&str]) -> Value {
    counts(&["failed", "source_fault", "stale", "stuck", "in_progress", "healthy"], ones)
}

fn target_counts(ones: &[&str]) -> Value {
    let all = [
        "down",
        "failed",
        "source_fault",
        "stale",
        "stuck",
        "in_progress",
        "healthy",
        "not_collected",
        "no_syncs",
    ];
    counts(&all, ones)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_json_document_is_complete() {
    let setup = Setup::in_regions(&[REGION, "eu-central-1", "us-east-1"]).await;
    put_sync(&setup.aws, SyncKind::ToDestination, s3_sync());
    put_sync(&setup.aws, SyncKind::FromSource, faulty_source());
    setup.inject(Fault::Deny, "us-east-1");
    let mut document = document(&setup).await;
    let message = document["targets"][2]["message"].take();
    assert!(message.as_str().unwrap().contains("ssm:ListResourceDataSync"), "{message}");
    let target = |region: &str| json!({"aws_account_id": ACCOUNT, "account_name": "production", "aws_region": region, "partition": "aws"});
    let extended = |mut target: Value, more: Value| {
        target.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        target
    };
    let syncs = json!([
        {
            "sync_type": "SyncToDestination",
            "sync_name": "org-inventory",
            "managed_by": "customer",
            "health": "failed",
            "cause": "unknown",
            "max_success_age_seconds": 172_800,
            "max_run_time_seconds": 7200,
            "last_status": "Failed",
            "last_status_message": "no access",
            "last_sync_time": "2025-11-22T08:25:40Z",
            "last_successful_sync_time": "2025-11-22T07:26:39.5Z",
            "created_time": "2018-11-26T12:35:36.72Z",
            "last_modified_time": "2025-11-21T08:26:40Z",
            "destination": {
                "bucket_name": "inventory-bucket",
                "bucket_prefix": "all/of it",
                "bucket_region": "us-east-1",
                "sync_format": "JsonSerDe",
                "kms_key_arn": "arn:aws:kms:us-east-1:111122223333:key/1",
                "sharing_type": "Organization",
            },
        },
        {
            "sync_type": "SyncFromSource",
            "sync_name": "explorer",
            "managed_by": "customer",
            "health": "source_fault",
            "cause": "NoPermissions",
            "max_success_age_seconds": 172_800,
            "max_run_time_seconds": 7200,
            "source": {
                "source_type": "AwsOrganizations",
                "organization_source_type": "OrganizationalUnits",
                "organizational_units": 1,
                "organizational_unit_ids": ["ou-abcd-11111111"],
                "regions": 2,
                "source_regions": ["eu-west-1", "us-east-1"],
                "include_future_regions": false,
                "enable_all_ops_data_sources": true,
                "state": "NoPermissions",
            },
        },
    ]);
    let expected = json!({
        "generated_at": null,
        "version": env!("CARGO_PKG_VERSION"),
        "summary": {
            "targets": 3, "targets_up": 2, "targets_failed": 1, "targets_not_collected": 0, "targets_complete": true,
            "targets_by_health": target_counts(&["down", "failed", "no_syncs"]),
            "syncs": 2, "syncs_failed": 2, "syncs_by_health": sync_counts(&["failed", "source_fault"]),
            "concerns": {
                "quota_used": 0, "quota_nearly_used": 0, "inspector_sync_blocked": 0,
                "unified_console_sync_missing": 0, "all_ops_data_sources": 1,
                "future_regions": 0,
            },
            "targets_not_as_expected": 0, "expectations": [],
            "discovery": {"pending_lookups": 0, "failing_region_lookups": 0},
        },
        "targets": [
            extended(
                target(REGION),
                json!({
                    "up": true, "health": "failed", "syncs_by_health": sync_counts(&["failed", "source_fault"]),
                    "concerns": [{"kind": "all_ops_data_sources", "sync_type": "SyncFromSource", "sync_name": "explorer"}],
                    "expectations": [], "syncs": syncs,
                }),
            ),
            extended(
                target("eu-central-1"),
                json!({"up": true, "health": "no_syncs", "syncs_by_health": sync_counts(&[]), "concerns": [], "expectations": [], "syncs": []}),
            ),
            extended(
                target("us-east-1"),
                json!({"up": false, "health": "down", "reason": "access_denied", "message": null, "expectations": []}),
            ),
        ],
    });
    assert_eq!(document, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_was_not_collected_is_neither_up_nor_down() {
    let setup = Setup::in_regions(&[REGION]).await;
    setup.inject(Fault::Stall, REGION);
    let mut once = setup.once();
    once.env("SSM_SYNC_EXPORTER_READY_AFTER", "1s").args(["--format", "json"]);
    let (status, out, _) = output_of(once).await;
    assert_eq!(status, Some(1));
    let document: Value = serde_json::from_str(&out).unwrap();
    let summary = &document["summary"];
    assert_eq!((&summary["targets_not_collected"], &summary["targets_complete"]), (&json!(1), &json!(true)));
    let target = json!({"aws_account_id": ACCOUNT, "account_name": "production", "aws_region": REGION, "partition": "aws", "health": "not_collected", "expectations": []});
    assert_eq!(document["targets"], json!([target]));
}

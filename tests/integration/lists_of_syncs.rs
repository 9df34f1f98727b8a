//! Tests of how lists of syncs are read: every field, fields and items of an unexpected form, and
//! servers that ignore the type in the request.

use std::process::Command;

use fake_aws::{Fault, FaultRule, SyncKind, World};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::exporter::{ACCOUNT, Exporter, NOW, REGION, aws_settings, fake_aws, one_target, put_sync, up};
use crate::process::{ExporterProcess, program, run};
use crate::tools;

/// A configuration with a single target, which is collected only once.
fn collected_once() -> String {
    one_target().replace("interval: 1s", "interval: 1h")
}

/// The samples of a family with these labels and values behind those of the target.
fn samples(family: &str, tails: &[&str]) -> String {
    let line =
        |tail: &&str| format!("{family}{{aws_account_id=\"{ACCOUNT}\",aws_region=\"{REGION}\"{tail}\n");
    tails.iter().map(line).collect()
}

#[tokio::test]
async fn a_sync_that_is_listed_for_both_types_counts_once() {
    // Regression: public emulators ignore the type in the request, and each sync without a type counted
    // as one of each type.
    let aws = fake_aws().await;
    let destination = json!({"BucketName": "b", "SyncFormat": "JsonSerDe", "Region": REGION});
    put_sync(&aws, SyncKind::ToDestination, json!({"SyncName": "bucket", "S3Destination": destination}));
    put_sync(&aws, SyncKind::ToDestination, json!({"SyncName": "bare"}));
    put_sync(&aws, SyncKind::ToDestination, json!({"LastStatus": "Failed"}));
    let source = json!({"SourceType": "SingleAccountMultiRegions", "SourceRegions": [REGION]});
    put_sync(&aws, SyncKind::FromSource, json!({"SyncName": "explorer", "SyncSource": source}));
    put_sync(&aws, SyncKind::FromSource, json!({"SyncName": "typed", "SyncType": "SyncFromSource"}));
    aws.world().set_faults(vec![FaultRule::new(Fault::AllTypes.and(Fault::PageSize(2)))]);
    let exporter = Exporter::start_ready(&aws, &collected_once()).await;
    let scrape = exporter.scrape().await;
    assert_eq!(aws.world().calls("ListResourceDataSync"), 6, "three pages for each type");
    assert_eq!(
        scrape.samples("aws_ssm_resource_data_syncs{"),
        samples(
            "aws_ssm_resource_data_syncs",
            &[",sync_type=\"SyncToDestination\"} 2", ",sync_type=\"SyncFromSource\"} 2"]
        )
    );
    assert_eq!(
        scrape.samples("aws_ssm_resource_data_sync_info"),
        samples(
            "aws_ssm_resource_data_sync_info",
            &[
                ",sync_type=\"SyncToDestination\",sync_name=\"bare\",managed_by=\"customer\"} 1",
                ",sync_type=\"SyncToDestination\",sync_name=\"bucket\",bucket_name=\"b\",bucket_region=\"eu-west-1\",sync_format=\"JsonSerDe\",managed_by=\"customer\"} 1",
                ",sync_type=\"SyncFromSource\",sync_name=\"explorer\",source_type=\"SingleAccountMultiRegions\",managed_by=\"customer\"} 1",
                ",sync_type=\"SyncFromSource\",sync_name=\"typed\",managed_by=\"customer\"} 1",
            ]
        )
    );
    assert_eq!(
        scrape.samples("ssm_sync_exporter_invalid_items_total"),
        samples("ssm_sync_exporter_invalid_items_total", &["} 1"])
    );
    assert!(scrape.has(&up(ACCOUNT, REGION, 1)));
}

#[tokio::test]
async fn odd_fields_and_items_cost_only_themselves() {
    // Regression: the SDK rejected the whole list for each of these, and the target was down.
    let aws = fake_aws().await;
    for item in [
        json!({"SyncName": "no-format", "LastStatus": "Failed", "S3Destination": {"BucketName": "b", "Region": REGION}}),
        json!({"SyncName": "no-bucket", "S3Destination": {"SyncFormat": "JsonSerDe", "Region": REGION}}),
        json!({"SyncName": "no-region", "S3Destination": {"BucketName": "b", "SyncFormat": "JsonSerDe"}}),
        json!({
            "SyncName": "dates", "LastStatus": "Failed", "LastSyncTime": "2025-11-22T08:26:40Z",
            "LastSuccessfulSyncTime": 1e300, "SyncCreatedTime": null, "SyncLastModifiedTime": NOW,
        }),
        json!({"SyncName": "texts", "LastStatus": 7, "S3Destination": {"BucketName": ["b"], "Prefix": "p"}}),
        json!({"LastStatus": "Failed"}),
        json!({"SyncName": ""}),
        json!({"SyncName": 7}),
        json!(null),
        json!("a sync"),
        json!({"SyncName": "good", "LastStatus": "Successful", "LastSyncTime": NOW - 60}),
    ] {
        put_sync(&aws, SyncKind::ToDestination, item);
    }
    put_sync(
        &aws,
        SyncKind::FromSource,
        json!({
            "SyncName": "source", "SyncSource": {
                "SourceRegions": ["us-east-1", 5, null],
                "AwsOrganizationsSource": {"OrganizationalUnits": [{}, null, {"OrganizationalUnitId": "ou-1"}]},
                "IncludeFutureRegions": "true", "EnableAllOpsDataSources": true,
            },
        }),
    );
    let exporter = Exporter::start_ready(&aws, &collected_once()).await;
    let scrape = exporter.scrape().await;
    assert_eq!(aws.world().calls("ListResourceDataSync"), 2, "nothing is retried");
    let of_bucket =
        |name: &str, rest: &str| format!(",sync_type=\"SyncToDestination\",sync_name=\"{name}\"{rest}");
    let customer = ",managed_by=\"customer\"} 1";
    assert_eq!(
        scrape.samples("aws_ssm_resource_data_sync_info"),
        samples(
            "aws_ssm_resource_data_sync_info",
            &[
                &of_bucket("dates", customer),
                &of_bucket("good", customer),
                &of_bucket(
                    "no-bucket",
                    &format!(",bucket_region=\"eu-west-1\",sync_format=\"JsonSerDe\"{customer}")
                ),
                &of_bucket("no-format", &format!(",bucket_name=\"b\",bucket_region=\"eu-west-1\"{customer}")),
                &of_bucket("no-region", &format!(",bucket_name=\"b\",sync_format=\"JsonSerDe\"{customer}")),
                &of_bucket("texts", &format!(",bucket_prefix=\"p\"{customer}")),
                ",sync_type=\"SyncFromSource\",sync_name=\"source\",managed_by=\"customer\"} 1",
            ]
        )
    );
    for (family, tails) in [
        (
            "aws_ssm_resource_data_sync_last_sync_timestamp_seconds",
            vec![of_bucket("good", &format!("}} {}", NOW - 60))],
        ),
        ("aws_ssm_resource_data_sync_last_successful_sync_timestamp_seconds", vec![]),
        ("aws_ssm_resource_data_sync_created_timestamp_seconds", vec![]),
        (
            "aws_ssm_resource_data_sync_last_modified_timestamp_seconds",
            vec![of_bucket("dates", &format!("}} {NOW}"))],
        ),
        (
            "aws_ssm_resource_data_sync_source_regions",
            vec![",sync_type=\"SyncFromSource\",sync_name=\"source\"} 1".to_owned()],
        ),
        (
            "aws_ssm_resource_data_sync_source_region{",
            vec![
                ",sync_type=\"SyncFromSource\",sync_name=\"source\",source_region=\"us-east-1\"} 1"
                    .to_owned(),
            ],
        ),
        (
            "aws_ssm_resource_data_sync_source_organizational_unit{",
            vec![
                ",sync_type=\"SyncFromSource\",sync_name=\"source\",organizational_unit_id=\"ou-1\"} 1"
                    .to_owned(),
            ],
        ),
        ("aws_ssm_resource_data_sync_source_include_future_regions", vec![]),
        (
            "aws_ssm_resource_data_sync_source_enable_all_ops_data_sources",
            vec![",sync_type=\"SyncFromSource\",sync_name=\"source\"} 1".to_owned()],
        ),
        ("ssm_sync_exporter_invalid_items_total", vec!["} 5".to_owned()]),
        ("ssm_sync_exporter_api_request_failures_total", vec![]),
    ] {
        let tails: Vec<&str> = tails.iter().map(String::as_str).collect();
        assert_eq!(scrape.samples(family), samples(family.trim_end_matches('{'), &tails), "{family}");
    }
    let failed = scrape.samples("aws_ssm_resource_data_sync_last_status");
    let failed: Vec<&str> = failed.lines().filter(|line| line.ends_with("status=\"Failed\"} 1")).collect();
    assert_eq!(failed.len(), 2, "no-format and dates: {failed:?}");
    assert!(scrape.has(&up(ACCOUNT, REGION, 1)));
}

#[tokio::test]
async fn json_that_rust_cannot_represent_costs_only_its_field() {
    let aws = fake_aws().await;
    let nested = "[".repeat(10_000) + &"]".repeat(10_000);
    let body = format!(
        r#"{{"ResourceDataSyncItems": [
            {{"SyncName": "number", "LastSyncTime": 1e400, "LastStatus": "Failed"}},
            {{"SyncName": "surrogate", "LastSyncStatusMessage": "\ud800", "LastStatus": "Failed"}},
            {{"SyncName": "nested", "S3Destination": {nested}, "Other": {nested}, "LastStatus": "Failed"}},
            {nested}
        ]}}"#
    );
    aws.world().set_faults(vec![
        FaultRule::new(Fault::Response { status: 200, body }).operation("ListResourceDataSync").times(1),
    ]);
    let exporter = Exporter::start_ready(&aws, &collected_once()).await;
    let scrape = exporter.scrape().await;
    assert!(scrape.has(&up(ACCOUNT, REGION, 1)));
    let status = scrape.samples("aws_ssm_resource_data_sync_last_status");
    let failed = |name: &str| {
        format!(
            "aws_ssm_resource_data_sync_last_status{{aws_account_id=\"{ACCOUNT}\",aws_region=\"{REGION}\",sync_type=\"SyncToDestination\",sync_name=\"{name}\",status=\"Failed\"}} 1"
        )
    };
    assert!(["number", "surrogate", "nested"].map(failed).iter().all(|line| scrape.has(line)), "{status}");
    assert_eq!(scrape.values("ssm_sync_exporter_invalid_items_total"), [1.0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreadable_items_are_logged_when_they_begin_and_when_they_end() {
    let aws = fake_aws().await;
    put_sync(&aws, SyncKind::ToDestination, json!({"SyncName": "good"}));
    put_sync(&aws, SyncKind::ToDestination, json!({"LastStatus": "Failed"}));
    put_sync(&aws, SyncKind::FromSource, json!(null));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, one_target() + &aws_settings(&aws, directory.path())).unwrap();
    let running = ExporterProcess::start(program().arg("--config.file").arg(&file));
    let labels = format!("{{aws_account_id=\"{ACCOUNT}\",aws_region=\"{REGION}\"}}");
    // Two items in each of three collections.
    running.metrics_containing(&format!("\nssm_sync_exporter_invalid_items_total{labels} 6\n")).await;
    aws.world().clear_syncs(ACCOUNT, REGION);
    put_sync(&aws, SyncKind::ToDestination, json!({"SyncName": "good"}));
    let calls = aws.world().calls("ListResourceDataSync");
    running
        .metrics_when("two more collections", |_| aws.world().calls("ListResourceDataSync") >= calls + 6)
        .await;
    let metrics = running.metrics().await;
    assert!(metrics.contains(&format!("\nssm_sync_exporter_target_up{labels} 1\n")), "{metrics}");
    assert!(metrics.contains(&format!("\nssm_sync_exporter_invalid_items_total{labels} ")), "{metrics}");
    let (_, _, log) = running.stop("TERM");
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("read"))
        .map(|line| &line[line.find("level=").unwrap()..])
        .collect();
    assert_eq!(
        lines,
        [
            format!(
                "level=warn message=\"AWS lists syncs that cannot be read\" account={ACCOUNT} region={REGION} reason=invalid_response error=\"2 items, the first: a sync has no name\""
            ),
            format!(
                "level=info message=\"all listed syncs can be read again\" account={ACCOUNT} region={REGION}"
            ),
        ]
    );
    assert!(!log.contains("target is failing"), "{log}");
}

/// The requests of `CreateResourceDataSync` that set, together, every field.
fn complete_requests() -> [Value; 2] {
    [
        json!({
            "SyncName": "org-inventory",
            "SyncType": "SyncToDestination",
            "S3Destination": {
                "BucketName": "inventory-bucket",
                "Prefix": "some/prefix",
                "SyncFormat": "JsonSerDe",
                "Region": "us-east-1",
                "AWSKMSKeyARN": "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555",
                "DestinationDataSharing": {"DestinationDataSharingType": "Organization"},
            },
        }),
        json!({
            "SyncName": "explorer",
            "SyncType": "SyncFromSource",
            "SyncSource": {
                "SourceType": "AwsOrganizations",
                "AwsOrganizationsSource": {
                    "OrganizationSourceType": "OrganizationalUnits",
                    "OrganizationalUnits": [
                        {"OrganizationalUnitId": "ou-abcd-22222222"}, {"OrganizationalUnitId": "ou-abcd-11111111"},
                    ],
                },
                "SourceRegions": ["us-east-1", "eu-west-1", "ap-south-1"],
                "IncludeFutureRegions": true,
                "EnableAllOpsDataSources": false,
            },
        }),
    ]
}

/// The values within a JSON value, each with the name of its field.
fn leaves(field: &str, value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Object(fields) => fields.iter().flat_map(|(name, value)| leaves(name, value)).collect(),
        Value::Array(items) => items.iter().flat_map(|item| leaves(field, item)).collect(),
        leaf => vec![(field.to_owned(), leaf.clone())],
    }
}

/// The name of an AWS field as a key of the exporter's JSON.
fn snake_case(name: &str) -> String {
    let mut key = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !key.is_empty() {
            key.push('_');
        }
        key.extend(letter.to_lowercase());
    }
    key
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn every_value_that_the_aws_cli_sets_is_exported() {
    let aws = fake_aws().await;
    let url = aws.url();
    let cli = move |arguments: &[&str]| {
        let mut command = Command::new(tools::python_program("aws").get_program());
        command
            .env("AWS_ENDPOINT_URL", &url)
            .env("AWS_ACCESS_KEY_ID", World::access_key(ACCOUNT))
            .env("AWS_SECRET_ACCESS_KEY", "any")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .args(["--region", REGION, "ssm", "create-resource-data-sync"])
            .args(arguments);
        let (status, out, err) = run(&mut command);
        assert_eq!((status, err.as_str()), (Some(0), ""), "{arguments:?}");
        out
    };
    let skeleton = tokio::task::spawn_blocking(move || {
        for request in complete_requests() {
            cli(&["--cli-input-json", &request.to_string()]);
        }
        cli(&["--generate-cli-skeleton"])
    })
    .await
    .unwrap();
    // A field that AWS adds makes this fail.
    let names = |value: &Value| {
        leaves("", value).into_iter().map(|(name, _)| name).collect::<std::collections::BTreeSet<_>>()
    };
    let requests = complete_requests();
    let all: std::collections::BTreeSet<String> = requests.iter().flat_map(names).collect();
    assert_eq!(all, names(&serde_json::from_str(&skeleton).unwrap()));

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, one_target() + &aws_settings(&aws, directory.path())).unwrap();
    let mut once = program();
    once.args(["once", "--format", "json", "--log.level", "error", "--config.file"]).arg(&file);
    let (status, out, err) = tokio::task::spawn_blocking(move || run(&mut once)).await.unwrap();
    assert_eq!((status, err.as_str()), (Some(0), ""));
    let document: Value = serde_json::from_str(&out).unwrap();
    let syncs = document["targets"][0]["syncs"].as_array().unwrap();
    assert_eq!(syncs.len(), 2);
    for (request, sync) in requests.iter().zip(syncs) {
        let exported = leaves("", sync);
        for (name, value) in leaves("", request) {
            let is_exported = match value {
                Value::Bool(_) => exported.contains(&(snake_case(&name), value.clone())),
                _ => exported.iter().any(|(_, exported)| *exported == value),
            };
            assert!(is_exported, "{name} {value}: {sync}");
        }
    }
    let source = &syncs[1]["source"];
    assert_eq!(source["organizational_unit_ids"], json!(["ou-abcd-22222222", "ou-abcd-11111111"]));
    assert_eq!(source["source_regions"], json!(["us-east-1", "eu-west-1", "ap-south-1"]));

    let scrape = Exporter::start_ready(&aws, &collected_once()).await.scrape().await;
    let sync = ",sync_type=\"SyncFromSource\",sync_name=\"explorer\"";
    let of_sync = |label: &str, values: &[&str]| -> Vec<String> {
        values.iter().map(|value| format!("{sync},{label}=\"{value}\"}} 1")).collect()
    };
    for (family, tails) in [
        (
            "aws_ssm_resource_data_sync_source_organizational_unit",
            of_sync("organizational_unit_id", &["ou-abcd-11111111", "ou-abcd-22222222"]),
        ),
        (
            "aws_ssm_resource_data_sync_source_region",
            of_sync("source_region", &["ap-south-1", "eu-west-1", "us-east-1"]),
        ),
    ] {
        let tails: Vec<&str> = tails.iter().map(String::as_str).collect();
        assert_eq!(scrape.samples(&format!("{family}{{")), samples(family, &tails));
    }
}

//! What was recorded is replayed without AWS and without the host's AWS configuration, with the same
//! results.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind, World};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::once;
use crate::exporter::{HUB, NOW, ROLE};
use crate::once::{Setup, output_of};
use crate::process::{program, with_ambient_credentials};

/// The output of a run that was recorded, and of its replay.
struct Runs {
    recorded: String,
    replayed: String,
}

/// Records `command` and replays the recording, with these flags for both. Both must end with the same
/// status and the same errors.
async fn record_and_replay(setup: &Setup, mut command: Command, flags: &[&str], record: &[&str]) -> Runs {
    let file = recording(setup);
    command.args(flags).args(record).arg("--record").arg(&file);
    let (recorded_status, recorded, recorded_err) = output_of(command).await;
    let mut replay = once(&file);
    replay.args(flags);
    let (status, replayed, err) = output_of(replay).await;
    if record.is_empty() {
        // The messages have pseudonyms.
        assert_eq!(status, recorded_status, "{recorded_err}\n{err}");
    } else {
        let without_warning = recorded_err.lines().filter(|line| !line.contains("--record.raw"));
        let recorded_err = without_warning.collect::<Vec<_>>().join("\n");
        assert_eq!(
            (status, without_log_details(&err)),
            (recorded_status, without_log_details(&recorded_err))
        );
    }
    Runs { recorded, replayed }
}

/// The lines of stderr, sorted, without the times of the log.
fn without_log_details(err: &str) -> Vec<String> {
    let mut lines: Vec<String> = err
        .lines()
        .map(|line| line.split_once(" level=").map_or(line, |(_, rest)| rest).to_owned())
        .collect();
    lines.sort();
    lines
}

fn recording(setup: &Setup) -> PathBuf {
    setup.directory().join("recording.ndjson")
}

/// Checks that the replay of a recording with names gives the same JSON document but for durations.
pub(super) async fn check_same_document(setup: &Setup, command: Command) -> Value {
    let runs = record_and_replay(setup, command, &["--format", "json"], &["--record.raw"]).await;
    let recorded = without_durations(&runs.recorded);
    assert_eq!(without_durations(&runs.replayed), recorded);
    serde_json::from_str(&recorded).unwrap()
}

/// The JSON document without the durations of collections.
pub(super) fn without_durations(document: &str) -> String {
    let is_duration = |line: &&str| line.trim_start().starts_with("\"duration_seconds\":");
    let lines = document.lines().filter(|line| !is_duration(line));
    // What was the last line of an object may have lost its successor.
    let text = lines.collect::<Vec<_>>().join("\n") + "\n";
    let text = text.replace(",\n      }", "\n      }").replace(",\n    }", "\n    }");
    let _parsed: Value = serde_json::from_str(&text).unwrap();
    text
}

/// A fake AWS with an organization in which much is wrong, and a configuration with expectations and
/// health rules.
async fn organization() -> Setup {
    let world = World::new();
    world.create_organization(HUB);
    world.add_role(HUB, ROLE, None);
    world.add_unit("ou-fake-11111111", "r-fake");
    world.add_unit("ou-fake-22222222", "ou-fake-11111111");
    let names =
        ["production", "staging", "sandbox-web", "sandbox-db", "legacy", "audit", "backup", "left-out"];
    for (index, name) in names.into_iter().enumerate() {
        let id = member(index);
        world.add_member(&id, name, if index < 4 { "ou-fake-22222222" } else { "r-fake" });
        match name {
            "legacy" => world.add_denied_role(&id, ROLE),
            _ => world.add_role(&id, ROLE, Some("the-external-id")),
        }
        world.put_item(&id, "eu-west-1", SyncKind::ToDestination, inventory(index));
        world.put_item(&id, "eu-central-1", SyncKind::FromSource, explorer());
    }
    let list = |fault: Fault| FaultRule::new(fault).operation("ListResourceDataSync");
    let html = "<html><head><title>Blocked by Example Corp</title></head></html>".to_owned();
    world.set_faults(vec![
        list(Fault::Throttle).account(&member(0)).region("eu-west-1").times(2),
        list(Fault::ServerError).account(&member(0)).region("eu-central-1"),
        list(Fault::DenyByScp).account(&member(1)).region("eu-west-3"),
        list(Fault::Deny).account(&member(2)).region("eu-west-2"),
        list(Fault::Response { status: 403, body: html }).account(&member(3)).region("eu-west-1"),
        list(Fault::text("SyncName", "\\u0000")).account(&member(5)).region("eu-west-1"),
        list(Fault::TruncatedBody).account(&member(5)).region("eu-west-2"),
        list(Fault::ExpiredToken).account(&member(6)).region("eu-west-2").times(1),
        FaultRule::new(Fault::PageSize(2)).service("organizations"),
        FaultRule::new(Fault::Throttle).service("organizations").operation("ListAccounts").times(1),
        FaultRule::new(Fault::Throttle).operation("AssumeRole").times(1),
    ]);
    let config = format!(
        "timeout: 40s
regions: ['eu-*', us-east-1]
organization:
  profile: hub
  member_role: 'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'
  external_id: the-external-id
  session_name: 'exporter-{{account_id}}'
  exclude_accounts: ['{}']
health:
  max_success_age: 30d
  rules:
    - accounts: ['sandbox-*']
      max_success_age: 1h
    - organizational_units: [ou-fake-11111111]
      max_run_time: 1h
expectations:
  - name: inventory
    accounts: ['*', '!sandbox-*']
    regions: [eu-west-1]
    request: {{SyncName: org-inventory, SyncType: SyncToDestination, S3Destination: {{BucketName: 'inventory-{{region}}', Prefix: null}}}}
  - name: of-the-unit
    organizational_units: [ou-fake-22222222]
    regions: [eu-central-1]
    request: {{SyncType: SyncFromSource, SyncSource: {{SourceType: AwsOrganizations, SourceRegions: [eu-west-1, us-east-1]}}}}
  - name: nothing-else
    presence: allowed
    request: {{SyncType: SyncToDestination, S3Destination: {{BucketName: ['inventory-*']}}}}
",
        member(7)
    );
    Setup::with_config(FakeAws::start(world, "127.0.0.1:0").await.unwrap(), &config)
}

/// The id of a member of the organization.
fn member(index: usize) -> String {
    format!("{}", 111_122_220_000_u64 + index as u64)
}

fn inventory(index: usize) -> Value {
    let bucket = if index == 1 { "somewhere-else" } else { "inventory-eu-west-1" };
    json!({
        "SyncName": "org-inventory", "LastStatus": if index.is_multiple_of(2) { "Failed" } else { "Successful" },
        "S3Destination": {"BucketName": bucket, "SyncFormat": "JsonSerDe", "Region": "eu-west-1"},
        "LastSyncStatusMessage": "The bucket policy of inventory-eu-west-1 does not allow s3:PutObject: Access Denied",
        "LastSyncTime": NOW, "LastSuccessfulSyncTime": NOW as f64 - 3600.5, "SyncCreatedTime": 1_543_235_736.72,
    })
}

fn explorer() -> Value {
    json!({
        "SyncName": "AWS-QuickSetup-Explorer", "SyncSource": {
            "SourceType": "AwsOrganizations", "SourceRegions": ["eu-west-1", "us-east-1"],
            "AwsOrganizationsSource": {
                "OrganizationSourceType": "OrganizationalUnits",
                "OrganizationalUnits": [{"OrganizationalUnitId": "ou-fake-22222222"}],
            },
            "IncludeFutureRegions": false, "EnableAllOpsDataSources": true, "State": "NoPermissions",
        },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_of_an_organization_is_the_same_but_for_durations() {
    let setup = organization().await;
    let document = check_same_document(&setup, setup.once()).await;
    // Everything that the test is about has happened.
    let reasons: Vec<&str> = document["targets"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|target| target["reason"].as_str())
        .collect();
    for reason in [
        "assume_role_denied",
        "access_denied",
        "scp_denied",
        "server_error",
        "invalid_response",
        "connection",
    ] {
        assert!(reasons.contains(&reason), "{reason}: {reasons:?}");
    }
    let text = document.to_string();
    assert!(text.contains("Blocked by Example Corp") && text.contains("sandbox-web"), "{text}");
    assert!(!text.contains("left-out"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_metrics_of_an_organization_are_the_same_but_for_durations() {
    let setup = organization().await;
    let output = setup.directory().join("syncs.prom");
    let flags = ["--output", output.to_str().unwrap()];
    let file = recording(&setup);
    let mut command = setup.once();
    command.args(flags).arg("--record.raw").arg("--record").arg(&file);
    let (recorded_status, ..) = output_of(command).await;
    let recorded = std::fs::read_to_string(&output).unwrap();
    let mut replay = once(&file);
    replay.args(flags);
    let (status, ..) = output_of(replay).await;
    let replayed = std::fs::read_to_string(&output).unwrap();
    let stable = |metrics: &str| {
        let is_duration = |line: &&str| {
            line.contains("collection_duration_seconds{") || line.contains("api_request_duration_seconds_")
        };
        metrics.lines().filter(|line| !is_duration(line)).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(stable(&replayed), stable(&recorded));
    assert_eq!(status, recorded_status);
    assert!(recorded.contains("code=\"ThrottlingException\""), "{recorded}");
}

/// What remains of a document if names do not matter: for each target its region, reason and syncs, and
/// how many there are of each.
fn without_names(document: &str) -> BTreeMap<String, usize> {
    let document: Value = serde_json::from_str(document).unwrap();
    let keep = |value: &Value, keys: &[&str]| {
        let kept = keys.iter().filter(|key| !value[**key].is_null());
        kept.map(|key| format!("{key}={}", value[*key])).collect::<Vec<_>>().join(" ")
    };
    let mut counts = BTreeMap::new();
    let mut numbers = Vec::new();
    add_numbers(&document["summary"], &mut numbers);
    counts.insert(format!("{numbers:?}"), 1);
    for target in document["targets"].as_array().unwrap() {
        let mut parts =
            vec![keep(target, &["aws_region", "partition", "up", "health", "reason", "syncs_by_health"])];
        for sync in target["syncs"].as_array().into_iter().flatten() {
            parts.push(keep(
                sync,
                &["sync_type", "last_status", "health", "cause", "managed_by", "last_sync_time"],
            ));
        }
        for expectation in target["expectations"].as_array().into_iter().flatten() {
            parts.push(keep(expectation, &["state"]));
            for difference in expectation["differences"].as_array().into_iter().flatten() {
                parts.push(keep(difference, &["field"]));
            }
        }
        *counts.entry(parts.join("; ")).or_default() += 1;
    }
    counts
}

fn add_numbers(value: &Value, numbers: &mut Vec<String>) {
    match value {
        Value::Number(number) => numbers.push(number.to_string()),
        Value::Array(values) => values.iter().for_each(|value| add_numbers(value, numbers)),
        Value::Object(entries) => entries.values().for_each(|value| add_numbers(value, numbers)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_with_pseudonyms_gives_the_same_counts_healths_causes_and_reasons() {
    let setup = organization().await;
    let runs = record_and_replay(&setup, setup.once(), &["--format", "json"], &[]).await;
    assert_eq!(without_names(&runs.replayed), without_names(&runs.recorded));
    for name in [member(0), "production".to_owned(), "somewhere-else".to_owned()] {
        assert!(runs.recorded.contains(&name) && !runs.replayed.contains(&name), "{name}: {}", runs.replayed);
    }
    // The second replay is the same as the first.
    let mut again = once(&recording(&setup));
    again.args(["--format", "json"]);
    let (_, replayed, _) = output_of(again).await;
    assert_eq!(without_durations(&replayed), without_durations(&runs.replayed));
}

/// Three accounts: through a chain of two roles, with a profile without credentials, and through a role
/// that does not exist.
fn several_profiles() -> (std::sync::Arc<World>, String) {
    let world = World::new();
    world.add_role(HUB, "Intermediate", None);
    world.add_role(&member(1), ROLE, None);
    world.add_account(&member(2));
    for index in 1..4 {
        world.put_item(&member(index), "eu-west-1", SyncKind::ToDestination, inventory(index));
    }
    let config = format!(
        "timeout: 16s
regions: [eu-west-1]
accounts:
  - name: chained
    profile: hub
    assume_roles:
      - arn: arn:aws:iam::{HUB}:role/Intermediate
      - {{arn: 'arn:aws:iam::{}:role/{ROLE}', session_name: 'x-{{account_id}}-{{region}}'}}
  - id: '{}'
    name: no-role
    profile: hub
    assume_roles: [{{arn: 'arn:aws:iam::{}:role/{ROLE}'}}]
  - id: '{}'
    profile: missing
  - name: ambient
    regions: [us-west-2, eu-west-2]
aws:
  sts_region: eu-west-1
",
        member(1),
        member(2),
        member(2),
        member(3)
    );
    (world, config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_profiles_and_chains_of_roles_are_replayed() {
    let (world, config) = several_profiles();
    let aws = FakeAws::start(world, "127.0.0.1:0").await.unwrap();
    let setup = Setup::with_config(aws, &config.replace("aws:\n  sts_region: eu-west-1\n", ""));
    let mut command = setup.once();
    with_ambient_credentials(&mut command, setup.aws()).env("AWS_REGION", "eu-central-1");
    let document = check_same_document(&setup, command).await;
    let reasons: Vec<&Value> =
        document["targets"].as_array().unwrap().iter().map(|target| &target["reason"]).collect();
    assert_eq!(reasons.iter().filter(|reason| reason.is_null()).count(), 3, "{document:#}");
    assert_eq!(reasons.iter().filter(|reason| **reason == "credentials").count(), 1, "{document:#}");
    assert_eq!(reasons.iter().filter(|reason| **reason == "assume_role_denied").count(), 1, "{document:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ambient_account_in_its_default_region_is_replayed() {
    let world = World::new();
    world.put_item(HUB, "eu-west-3", SyncKind::ToDestination, inventory(1));
    let aws = FakeAws::start(world, "127.0.0.1:0").await.unwrap();
    let setup = Setup::with_config(aws, "timeout: 16s\n");
    let mut command = program();
    command.args(["once", "--log.level", "error"]).env("AWS_REGION", "eu-west-3");
    with_ambient_credentials(&mut command, setup.aws());
    let document = check_same_document(&setup, command).await;
    assert_eq!(document["targets"][0]["aws_region"], "eu-west-3");
    assert_eq!(document["targets"][0]["aws_account_id"], HUB);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_without_an_answer_are_replayed() {
    let world = World::new();
    world.add_account(HUB);
    let list = |fault: Fault| FaultRule::new(fault).operation("ListResourceDataSync");
    world.set_faults(vec![
        list(Fault::Stall).region("eu-west-1"),
        list(Fault::Reset).region("eu-west-2"),
        list(Fault::EndlessSlowPages(900)).region("eu-west-3"),
        list(Fault::ClockAhead(3600)).region("eu-north-1"),
        list(Fault::Response { status: 200, body: "nonsense".to_owned() }).region("eu-central-1"),
        list(Fault::Padding { bytes: 9 << 20, chunked: true }).region("us-east-1"),
    ]);
    let aws = FakeAws::start(world, "127.0.0.1:0").await.unwrap();
    let config = "timeout: 8s\naccounts:\n  - profile: hub\n    regions: [eu-west-1, eu-west-2, eu-west-3, \
                  eu-central-1, eu-north-1, us-east-1]\n";
    let setup = Setup::with_config(aws, config);
    let document = check_same_document(&setup, setup.once()).await;
    let reason = |region: &str| {
        let mut targets = document["targets"].as_array().unwrap().iter();
        let target = targets.find(|target| target["aws_region"] == region).unwrap();
        target["reason"].as_str().unwrap_or("none").to_owned()
    };
    assert_eq!(
        ["eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1", "us-east-1"].map(reason),
        ["timeout", "connection", "timeout", "invalid_response", "invalid_response"],
        "{document:#}"
    );
}

//! Tests that every outcome of a managed-node lookup is replayed.

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind, World};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::same_results::check_same_document;
use super::{ACCOUNT, Handmade, call, once};
use crate::exporter::{HUB, Scrape};
use crate::once::{Setup, output_of};
use crate::process::run;

const LOOKUP: &str = "DescribeInstanceInformation";

/// What the lookup in each region finds, or why it fails.
const REGIONS: [(&str, &str); 8] = [
    ("eu-west-1", "1"),
    ("eu-west-2", "0"),
    ("eu-west-3", "access_denied"),
    ("eu-central-1", "throttled"),
    ("eu-north-1", "invalid_response"),
    ("us-east-1", "timeout"),
    ("us-east-2", "pagination"),
    ("us-west-2", "invalid_response"),
];

fn response(status: u16, body: &Value) -> Fault {
    Fault::Response { status, body: body.to_string() }
}

async fn setup() -> Setup {
    let world = World::new();
    world.add_account(HUB);
    world.set_managed_nodes(HUB, "eu-west-1", 7);
    let item =
        json!({"SyncName": "inventory", "LastStatus": "Successful", "LastSuccessfulSyncTime": 1_600_000_000});
    world.set_default_syncs(SyncKind::ToDestination, vec![item]);
    let odd = json!({"InstanceInformationList": {"ComputerName": "db-1"}, "NextToken": 5});
    let page = Fault::Response { status: 200, body: "<html><title>Blocked</title></html>".to_owned() };
    let lookup = |fault: Fault, region: &str| FaultRule::new(fault).operation(LOOKUP).region(region);
    world.set_faults(vec![
        lookup(Fault::Deny, "eu-west-3"),
        lookup(Fault::Throttle, "eu-central-1"),
        lookup(response(200, &odd), "eu-north-1"),
        lookup(Fault::Stall, "us-east-1"),
        lookup(response(200, &json!({"InstanceInformationList": [], "NextToken": "t"})), "us-east-2"),
        lookup(page, "us-west-2"),
    ]);
    let regions = REGIONS.map(|(region, _)| region).join(", ");
    let config = format!(
        "timeout: 8s\nregions: [{regions}]\nmanaged_nodes: {{enabled: true}}\naccounts: [{{profile: hub}}]\n"
    );
    Setup::with_config(FakeAws::start(world, "127.0.0.1:0").await.unwrap(), &config)
}

/// The outcome of the lookup in each region, according to the metrics.
fn outcomes(metrics: &str) -> Vec<(&'static str, String)> {
    let outcome = |region: &str| {
        let region = format!("aws_region=\"{region}\"");
        let of_region = |line: &&str| line.contains(&region);
        let present = metrics.lines().filter(|line| line.starts_with("aws_ssm_managed_nodes_present{"));
        let failing = "ssm_sync_exporter_managed_nodes_down_reason{";
        let reasons = metrics.lines().filter(|line| line.starts_with(failing));
        let value = |line: &str| line.rsplit(' ').next().unwrap().to_owned();
        let reason =
            |line: &str| line.split("reason=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let found = present.filter(of_region).map(value).chain(reasons.filter(of_region).map(reason));
        found.collect::<Vec<_>>().join(" ")
    };
    REGIONS.iter().map(|(region, _)| (*region, outcome(region))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_outcome_of_a_lookup_is_replayed() {
    let setup = setup().await;
    let (file, output) = (setup.directory().join("recording.ndjson"), setup.directory().join("syncs.prom"));
    let expected: Vec<(&str, String)> = REGIONS.map(|(region, found)| (region, found.to_owned())).into();
    for raw in [false, true] {
        let mut recorded = setup.once();
        recorded.arg("--output").arg(&output).arg("--record").arg(&file);
        if raw {
            recorded.arg("--record.raw");
        }
        let (recorded_status, _, err) = output_of(recorded).await;
        let metrics = std::fs::read_to_string(&output).unwrap();
        assert_eq!(outcomes(&metrics), expected, "{err}");
        let mut replay = once(&file);
        replay.arg("--output").arg(&output);
        let (status, ..) = output_of(replay).await;
        let replayed = std::fs::read_to_string(&output).unwrap();
        assert_eq!((outcomes(&replayed), status), (expected.clone(), recorded_status));
        let checked = |metrics: String| {
            Scrape(metrics).samples("aws_ssm_managed_nodes_last_checked_timestamp_seconds").lines().count()
        };
        assert_eq!((checked(metrics), checked(replayed)), (2, 2));
    }
    check_same_document(&setup, setup.once()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_checks_the_lookups_of_a_recording() {
    let setup = setup().await;
    let file = setup.directory().join("recording.ndjson");
    let mut recorded = setup.once();
    recorded.arg("--record").arg(&file);
    output_of(recorded).await;
    let mut doctor = crate::process::program();
    doctor.args(["doctor", "--format", "json", "--replay"]).arg(&file);
    let (status, out, err) = output_of(doctor).await;
    let document: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}"));
    assert_eq!(status, Some(1));
    let checks = document["checks"].as_array().unwrap().iter();
    let lookups = checks.filter(|check| check["step"] == "list_managed_nodes");
    let found: Vec<(&str, &str)> = lookups
        .map(|check| (check["aws_region"].as_str().unwrap(), check["reason"].as_str().unwrap_or("passed")))
        .collect();
    let mut expected =
        REGIONS.map(|(region, found)| (region, if found.len() == 1 { "passed" } else { found }));
    expected.sort_unstable();
    assert_eq!(found, expected);
    let kinds: Vec<&Value> =
        document["causes"].as_array().unwrap().iter().map(|cause| &cause["kind"]).collect();
    assert!(
        kinds.contains(&&json!("identity_policy")) || kinds.contains(&&json!("access_denied")),
        "{kinds:?}"
    );
}

#[test]
fn an_older_recording_has_no_lookups() {
    let recording = Handmade::of_one_target();
    let file = recording.file();
    let replay = |more: &[&str]| {
        let mut replay = once(&file);
        replay.args(["--format", "prometheus"]).args(more);
        run(&mut replay)
    };
    let (status, metrics, err) = replay(&[]);
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert!(
        metrics.contains("ssm_sync_exporter_target_up{") && !metrics.contains("managed_nodes"),
        "{metrics}"
    );
}

#[test]
fn a_lookup_that_was_not_recorded_fails_and_finds_nothing() {
    // As if the recorded version had made other calls.
    let mut recording = Handmade::of_one_target();
    let header =
        recording.lines[0].replace("\"regions\":[", "\"managed_nodes\":{\"enabled\":true},\"regions\":[");
    recording.lines[0] = header;
    let outcome = |recording: &Handmade| {
        let mut replay = once(&recording.file());
        replay.args(["--format", "prometheus"]);
        let (_, metrics, err) = run(&mut replay);
        let up =
            format!("ssm_sync_exporter_target_up{{aws_account_id=\"{ACCOUNT}\",aws_region=\"eu-west-1\"}} 1");
        assert!(metrics.contains(&up), "{metrics}\n{err}");
        outcomes(&metrics)[0].1.clone()
    };
    assert_eq!(outcome(&recording), "other");
    for (body, expected) in [
        (r#"{"InstanceInformationList":[]}"#, "0"),
        (r#"{"InstanceInformationList":[{}],"NextToken":"redacted"}"#, "1"),
    ] {
        let lookup = call("ssm", LOOKUP, "{\"MaxResults\":5}", body);
        recording.lines.truncate(5);
        recording.lines.push(lookup.to_string());
        assert_eq!(outcome(&recording), expected);
    }
}

//! Tests that a replay looks up managed nodes exactly where the recorded run did.

use std::path::{Path, PathBuf};

use fake_aws::{FakeAws, Fault, FaultRule, World};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::exporter::{HUB, ROLE};
use crate::once::{Setup, output_of};
use crate::process::program;

const WITH_NODES: &str = "111122223333";
const WITHOUT_LOOKUPS: &str = "222233334444";
const WITHOUT_NODES: &str = "333344445555";
const DENIED: &str = "444455556666";

/// Accounts of an organization, two of which have their own entries. Lookups are enabled for one of these two and for
/// all others, unless `is_enabled` is false.
async fn fleet(is_enabled: bool) -> Setup {
    let world = World::new();
    world.create_organization(HUB);
    world.add_role(HUB, ROLE, None);
    for id in [WITH_NODES, WITHOUT_LOOKUPS, WITHOUT_NODES, DENIED] {
        world.add_member(id, "member", "r-fake");
        world.add_role(id, ROLE, None);
    }
    for id in [WITH_NODES, WITHOUT_LOOKUPS] {
        world.set_managed_nodes(id, "eu-west-1", 3);
    }
    let lookups = FaultRule::new(Fault::Deny).operation("DescribeInstanceInformation");
    world.set_faults(vec![lookups.account(DENIED)]);
    let role = |id: &str| format!("assume_roles: [{{arn: 'arn:aws:iam::{id}:role/{ROLE}'}}]");
    let config = format!(
        "regions: [eu-west-1]
managed_nodes: {{enabled: {is_enabled}}}
accounts:
  - {{profile: hub, {}, managed_nodes: {{enabled: false}}}}
  - {{profile: hub, {}, managed_nodes: {{interval: 1h}}}}
organization:
  profile: hub
  member_role: 'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'
  exclude_accounts: ['{HUB}']
  managed_nodes: {{interval: 3h}}
",
        role(WITHOUT_LOOKUPS),
        role(WITHOUT_NODES)
    );
    Setup::with_config(FakeAws::start(world, "127.0.0.1:0").await.unwrap(), &config)
}

/// Records a run. Returns the recording and the series about managed nodes.
async fn record(setup: &Setup, flags: &[&str]) -> (PathBuf, Vec<String>) {
    let (file, output) = (setup.directory().join("recording.ndjson"), setup.directory().join("syncs.prom"));
    let mut command = setup.once();
    command.arg("--output").arg(&output).args(flags).arg("--record").arg(&file);
    let (_, _, err) = output_of(command).await;
    assert!(file.exists(), "{err}");
    (file, node_series(&output))
}

/// The series about managed nodes of a replay, and its log. No target may be down.
async fn replay(recording: &Path, config: Option<&str>) -> (Vec<String>, String) {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("syncs.prom");
    let mut command = program();
    command.args(["once", "--replay"]).arg(recording).arg("--output").arg(&output);
    if let Some(config) = config {
        let file = directory.path().join("config.yaml");
        std::fs::write(&file, config).unwrap();
        command.arg("--config.file").arg(file);
    }
    let (_, _, err) = output_of(command).await;
    let metrics = std::fs::read_to_string(&output).unwrap();
    assert!(!metrics.contains("\nssm_sync_exporter_target_down_reason{"), "{metrics}");
    (node_series(&output), err)
}

fn node_series(metrics: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(metrics).unwrap();
    let series = text.lines().filter(|line| !line.starts_with('#') && line.contains("managed_nodes"));
    series.map(ToOwned::to_owned).collect()
}

/// Removes all settings of managed nodes from the configuration of a recording, as if an older version had made it.
fn of_an_older_version(recording: &Path) -> PathBuf {
    fn remove(value: &mut Value, removed: &mut usize) {
        match value {
            Value::Object(keys) => {
                *removed += usize::from(keys.remove("managed_nodes").is_some());
                keys.values_mut().for_each(|value| remove(value, removed));
            }
            Value::Array(values) => values.iter_mut().for_each(|value| remove(value, removed)),
            _ => {}
        }
    }
    let text = std::fs::read_to_string(recording).unwrap();
    let (header, calls) = text.split_once('\n').unwrap();
    let (mut header, mut removed): (Value, _) = (serde_json::from_str(header).unwrap(), 0);
    remove(&mut header["configuration"], &mut removed);
    assert_eq!(removed, 4, "{header:#}");
    let file = recording.with_file_name("older.ndjson");
    std::fs::write(&file, format!("{header}\n{calls}")).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_looks_up_managed_nodes_where_the_recorded_run_did() {
    let setup = fleet(true).await;
    let (file, recorded) = record(&setup, &["--record.raw"]).await;
    let series = |name: &str, id: &str, reason: &str| {
        format!("{name}{{aws_account_id=\"{id}\",aws_region=\"eu-west-1\"{reason}}} ")
    };
    for (start, value) in [
        (series("aws_ssm_managed_nodes_present", WITH_NODES, ""), "1"),
        (series("aws_ssm_managed_nodes_present", WITHOUT_NODES, ""), "0"),
        (series("ssm_sync_exporter_managed_nodes_down_reason", DENIED, ",reason=\"access_denied\""), "1"),
    ] {
        assert!(recorded.contains(&format!("{start}{value}")), "{start} {recorded:#?}");
    }
    // The other two are the times of successful lookups. The account without lookups has no series.
    assert_eq!(recorded.len(), 5, "{recorded:#?}");
    let (replayed, log) = replay(&file, None).await;
    assert_eq!(replayed, recorded);
    assert!(!log.contains("is ignored"), "{log}");
}

/// Such a recording has no lookups, and its role sessions have another policy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_of_a_version_without_lookups_is_replayed_without_them() {
    let setup = fleet(false).await;
    let (file, recorded) = record(&setup, &["--record.raw"]).await;
    assert_eq!(recorded, [""; 0]);
    let older = of_an_older_version(&file);
    assert_eq!(replay(&older, None).await.0, [""; 0]);
    let (replayed, log) = replay(&older, Some("managed_nodes: {enabled: true}\n")).await;
    assert_eq!(replayed, [""; 0]);
    assert!(log.contains("config.yaml is ignored: the recording says what is polled"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_without_names_has_the_settings_of_managed_nodes() {
    let setup = fleet(true).await;
    let (file, _) = record(&setup, &[]).await;
    let text = std::fs::read_to_string(&file).unwrap();
    let header: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let configuration = &header["configuration"];
    assert_eq!(configuration["managed_nodes"], json!({"enabled": true, "interval": "6h"}));
    assert_eq!(configuration["accounts"][0]["managed_nodes"], json!({"enabled": false}));
    assert_eq!(configuration["accounts"][1]["managed_nodes"], json!({"interval": "1h"}));
    assert_eq!(configuration["organization"]["managed_nodes"], json!({"interval": "3h"}));
}

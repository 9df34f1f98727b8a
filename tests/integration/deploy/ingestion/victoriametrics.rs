//! `victoria-metrics`, `vmagent` and `vmalert`, run with the commands of the page.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;

use pretty_assertions::assert_eq;
use serde_json::Value;

use super::{
    alerts_fire_and_end_with_the_exporter, api, arguments, evaluated_rules, free_address, page, replaced,
    start, wait_for, write_rules,
};
use crate::deploy::rules::{RULES, rules};
use crate::deploy::{list, place, succeed, text};
use crate::exporter::NOW;
use crate::process::ExporterProcess;
use crate::{http, tools};

const SCRAPE: &str = "deploy/ingestion/victoriametrics/scrape.yml";

/// Checks rules without running them.
fn dry_run(files: &[&std::path::Path]) -> std::process::Output {
    let mut vmalert = tools::victoria_metrics("vmalert");
    vmalert.arg("-dryRun").args(files.iter().map(|file| format!("-rule={}", file.display())));
    vmalert.output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn vmalert_fires_the_same_alerts_as_prometheus() {
    let demo = ExporterProcess::demo();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let [storage, agent, alert] = [(); 3].map(|()| free_address());
    let [storage_address, agent_address, alert_address] =
        [storage, agent, alert].map(|address| address.to_string());

    let exporter = demo.address.to_string();
    let scrape = replaced(&text(SCRAPE), &[("localhost:10144", &exporter), (": 1m", ": 1s")]);
    std::fs::write(path("scrape.yml"), scrape).unwrap();
    write_rules(directory.path());
    // An old version needs the command of the page.
    let [recording, alerts] = RULES.map(|name| directory.path().join(name));
    let checked = dry_run(&[&recording, &alerts]);
    if !checked.status.success() {
        let written = tools::written(&checked);
        assert!(written.contains("unknown fields in rule: keep_firing_for"), "{written}");
        let command = "sed '/keep_firing_for:/d' deploy/prometheus/alerts.yml > alerts.yml";
        assert!(text(&page("victoriametrics")).contains(command));
        succeed(Command::new("sed").args(["-i", "/keep_firing_for:/d"]).arg(&alerts));
        let checked = dry_run(&[&recording, &alerts]);
        assert!(checked.status.success(), "{}", tools::written(&checked));
    }

    let run = |program: &str, replacements: &[(&str, &str)], more: &[&str]| {
        let arguments = replaced(&arguments(&page("victoriametrics"), program).join("\n"), replacements);
        let mut command = tools::victoria_metrics(program);
        start(command.args(arguments.lines()).args(more), &directory.path().join(format!("{program}.log")))
    };
    let at_storage = ("127.0.0.1:8428", storage_address.as_str());
    let _storage = run(
        "victoria-metrics",
        &[("/var/lib/victoria-metrics", &path("data")), at_storage],
        &["-search.latencyOffset=1s"],
    );
    let _agent = run(
        "vmagent",
        &[(SCRAPE, &path("scrape.yml")), at_storage, ("127.0.0.1:8429", &agent_address)],
        &[&format!("-remoteWrite.tmpDataPath={}", path("agent"))],
    );
    // vmalert needs it from the start.
    wait_for(storage).await;
    let _alert = run(
        "vmalert",
        &[
            ("deploy/prometheus/recording-rules.yml", recording.to_str().unwrap()),
            ("deploy/prometheus/alerts.yml", alerts.to_str().unwrap()),
            at_storage,
            // Nothing listens there. The test asks vmalert for the alerts.
            ("127.0.0.1:9093", "127.0.0.1:1"),
            ("127.0.0.1:8880", &alert_address),
            ("=1m", "=1s"),
        ],
        &[],
    );
    alerts_fire_and_end_with_the_exporter(alert, demo, &directory.path().join("vmalert.log")).await;
    let evaluated = evaluated_rules(alert).await;
    assert_eq!(evaluated.len(), RULES.iter().map(|file| rules(file).len()).sum::<usize>());
    for rule in evaluated {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
}

/// A `VictoriaMetrics` without retention, so that a test may import samples of any time.
struct Storage {
    address: SocketAddr,
    _process: tools::KillOnDrop,
    _directory: tempfile::TempDir,
}

impl Storage {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        let mut command = tools::victoria_metrics("victoria-metrics");
        command.arg(format!("-storageDataPath={}", directory.path().join("data").display()));
        command
            .arg(format!("-httpListenAddr={address}"))
            .args(["-search.disableCache", "-retentionPeriod=100y"]);
        let process = start(&mut command, &directory.path().join("log"));
        wait_for(address).await;
        Self { address, _process: process, _directory: directory }
    }

    /// Imports samples in the text format, with timestamps.
    async fn import(&self, samples: &str) {
        let request = format!(
            "POST /api/v1/import/prometheus HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{samples}",
            self.address,
            samples.len()
        );
        assert_eq!(http::raw(self.address, &request).await.status, 204);
        assert_eq!(http::request(self.address, "GET", "/internal/force_flush").await.status, 200);
    }

    /// The labels and values of the series that a query returns for a time, with vmalert's default step.
    async fn query(&self, query: &str, time: u64) -> Vec<(Value, f64)> {
        let query: Vec<String> = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let path = format!("/api/v1/query?query={}&time={time}&step=5m&nocache=1", query.concat());
        let answer = api(self.address, &path).await;
        assert_eq!(answer["status"], "success", "{answer}");
        let series = list(&answer["data"]["result"]).iter();
        series.map(|it| (it["metric"].clone(), it["value"][1].as_str().unwrap().parse().unwrap())).collect()
    }
}

/// The rule reads what it recorded before, so it has to work in `MetricsQL` for hours. It is evaluated here
/// as vmalert would, but on samples of the past.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn metricsql_remembers_a_sync_that_has_vanished() {
    let storage = Storage::start().await;
    let target = "aws_account_id=\"111122223333\",aws_region=\"eu-west-1\"";
    let sync = |name: &str| {
        format!("aws_ssm_resource_data_sync_info{{{target},sync_name=\"{name}\",managed_by=\"customer\"}} 1")
    };
    let time = |minute: u64| NOW + 60 * minute;
    let mut samples = Vec::new();
    for minute in 0..=180 {
        let milliseconds = time(minute) * 1000;
        let up = i32::from(!(100..130).contains(&minute));
        let mut series = vec![
            format!("ssm_sync_exporter_target_up{{{target}}} {up}"),
            format!(
                "ssm_sync_exporter_target_info{{{target},account_name=\"production\",partition=\"aws\"}} 1"
            ),
            sync("stays"),
        ];
        series.extend((minute < 90).then(|| sync("vanishes")));
        for sample in series {
            samples.push(format!("{sample} {milliseconds}\n"));
        }
    }
    storage.import(&samples.concat()).await;

    let recording = rules("recording-rules.yml");
    let records = ["ssm_target:info", "ssm_sync:vanished_timestamp_seconds"];
    let alert = rules("alerts.yml").into_iter().find(|rule| rule["alert"] == "SsmSyncVanished").unwrap();
    let mut fired = Vec::new();
    let mut vanished = BTreeSet::new();
    for minute in (61..=180).step_by(3) {
        for name in records {
            let rule = recording.iter().find(|rule| rule["record"] == name).unwrap();
            for (labels, value) in storage.query(rule["expr"].as_str().unwrap(), time(minute)).await {
                let labels = labels.as_object().unwrap().iter().filter(|(label, _)| *label != "__name__");
                let labels: Vec<String> = labels.map(|(label, value)| format!("{label}={value}")).collect();
                let sample = format!("{name}{{{}}} {value} {}\n", labels.join(","), time(minute) * 1000);
                storage.import(&sample).await;
                if name == records[1] {
                    vanished.insert(format!("{} {}", labels.join(","), (value - NOW as f64) / 60.0));
                }
            }
        }
        for (labels, _) in storage.query(alert["expr"].as_str().unwrap(), time(minute)).await {
            assert_eq!(
                (&labels["sync_name"], &labels["account_name"]),
                (&"vanishes".into(), &"production".into())
            );
            fired.push(minute);
        }
    }
    let [vanished] = &Vec::from_iter(vanished)[..] else {
        panic!("the time of the sync changes, or there are more")
    };
    // A sample counts for 5 minutes, so the sync is missing from minute 94 on.
    assert!(vanished.contains("sync_name=\"vanishes\"") && vanished.ends_with(" 94"), "{vanished}");
    let expected: Vec<u64> = (61..=180).step_by(3).filter(|minute| *minute >= 130).collect();
    assert_eq!(fired, expected, "the alert waits for the target");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn vmagent_accepts_the_scrape_configuration() {
    let check = |file: &str| {
        let mut vmagent = tools::victoria_metrics("vmagent");
        let config = format!("-promscrape.config={}", place(file).display());
        vmagent.args(["-dryRun", "-remoteWrite.url=http://127.0.0.1:1/api/v1/write", &config]);
        vmagent
    };
    succeed(&mut check(SCRAPE));
    let rejected = tools::written(&check("deploy/prometheus/scrape.yml").output().unwrap());
    assert!(rejected.contains("field rule_files not found"), "{rejected}");
}

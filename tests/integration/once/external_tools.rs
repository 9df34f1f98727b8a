//! The output as other programs read it: promtool, `prometheus_client`,
//! `node_exporter` and a terminal.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fake_aws::{Fault, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{Setup, output_of};
use crate::exporter::{ACCOUNT, REGION, Scrape, put_sync, up};
use crate::exposition::s3_sync;
use crate::process::run;
use crate::prometheus::NASTY;
use crate::{http, tools};

/// A target with a hostile sync name, and a target that fails.
async fn setup() -> Setup {
    let setup = Setup::in_regions(&[REGION, "us-east-1"]).await;
    put_sync(&setup.aws, SyncKind::ToDestination, s3_sync());
    put_sync(&setup.aws, SyncKind::ToDestination, json!({"SyncName": NASTY, "LastStatus": NASTY}));
    setup.inject(Fault::Deny, "us-east-1");
    setup
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn promtool_accepts_the_metrics() {
    let setup = setup().await;
    let file = setup.output_directory().join("syncs.prom");
    let mut once = setup.once();
    once.arg("--output").arg(&file);
    assert_eq!(output_of(once).await.0, Some(1));
    let mut promtool = tools::promtool();
    promtool.args(["check", "metrics"]).stdin(std::fs::File::open(&file).unwrap());
    assert_eq!(run(&mut promtool), (Some(0), String::new(), String::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_strict_parser_accepts_openmetrics() {
    let setup = setup().await;
    let file = setup.output_directory().join("syncs.om");
    let mut once = setup.once();
    once.args(["--format", "openmetrics", "--output"]).arg(&file);
    assert_eq!(output_of(once).await.0, Some(1));
    let mut python = tools::python();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/parse_exposition.py");
    let (status, out, err) = run(python.args([script, "openmetrics"]).arg(&file));
    assert_eq!((status, err.as_str()), (Some(0), ""));
    let parsed: Value = serde_json::from_str(&out).unwrap();
    let families = parsed[0].as_array().unwrap();
    let find = |name: &str| families.iter().find(|family| family["name"] == name).unwrap();
    let up = &find("ssm_sync_exporter_target_up")["samples"];
    assert_eq!((&up[0][2], &up[1][2]), (&json!("1.0"), &json!("0.0")));
    let info = &find("aws_ssm_resource_data_sync")["samples"];
    let name = |sample: &Value| sample[1]["sync_name"].as_str().unwrap().to_owned();
    let names: BTreeSet<String> = info.as_array().unwrap().iter().map(name).collect();
    assert_eq!(names, ["org-inventory".to_owned(), NASTY.to_owned()].into());
}

/// A running `node_exporter` with the textfile collector only. It is killed when dropped.
pub(crate) struct NodeExporter {
    pub(crate) address: SocketAddr,
    _process: tools::KillOnDrop,
}

impl NodeExporter {
    /// Starts one that serves the files in a directory.
    pub(crate) async fn start(directory: &Path) -> Self {
        // node_exporter does not print the port that it gets for port 0, so it gets one that was
        // free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = tools::node_exporter()
            .args(["--collector.disable-defaults", "--collector.textfile"])
            .arg(format!("--collector.textfile.directory={}", directory.display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let process = tools::KillOnDrop(process);
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).await.is_err() {
            assert!(Instant::now() < deadline, "timed out waiting for node_exporter");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { address, _process: process }
    }
}

/// What `node_exporter` serves for the files in a directory.
pub(super) async fn shown_by_node_exporter(directory: &Path) -> Scrape {
    let node_exporter = NodeExporter::start(directory).await;
    let answer = http::request(node_exporter.address, "GET", "/metrics").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    Scrape(answer.body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn node_exporter_serves_the_metrics_beside_its_own() {
    let setup = setup().await;
    let file = setup.output_directory().join("syncs.prom");
    let mut once = setup.once();
    once.arg("--output").arg(&file);
    assert_eq!(output_of(once).await.0, Some(1));

    let shown = shown_by_node_exporter(&setup.output_directory()).await;
    assert!(shown.has("node_textfile_scrape_error 0"), "{}", shown.0);
    assert_eq!(shown.values("node_textfile_mtime_seconds").len(), 1);
    assert!(shown.has(&up(ACCOUNT, REGION, 1)) && shown.has(&up(ACCOUNT, "us-east-1", 0)), "{}", shown.0);
    assert_eq!(shown.values("process_start_time_seconds").len(), 1, "only node_exporter's own");
    // Only the number of series is compared, because node_exporter reorders labels.
    let written = Scrape(std::fs::read_to_string(&file).unwrap());
    let exporter_series = |scrape: &Scrape| {
        let prefixes = ["aws_", "ssm_"];
        scrape
            .series()
            .iter()
            .filter(|series| prefixes.iter().any(|prefix| series.starts_with(prefix)))
            .count()
    };
    assert_eq!(exporter_series(&shown), exporter_series(&written));
}

/// Wraps the command in a script that runs it on a pseudoterminal of this width.
pub(crate) fn on_a_terminal(columns: u16, command: &Command) -> Command {
    let mut python = tools::python();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/on_a_terminal.py");
    python
        .env_clear()
        .env("TERM", "xterm")
        .arg(script)
        .arg(columns.to_string())
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        python.env(name, value.unwrap());
    }
    python
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_progress_bar_is_shown_only_on_a_terminal() {
    let setup = setup().await;
    let slow = fake_aws::FaultRule::new(Fault::Delay(400)).region(REGION);
    let denied = fake_aws::FaultRule::new(Fault::Deny).region("us-east-1").operation("ListResourceDataSync");
    setup.aws.world().set_faults(vec![slow, denied]);
    let mut once = setup.once_logging("debug");
    let file = setup.output_directory().join("syncs.prom");
    once.arg("--output").arg(&file);
    let (status, terminal, _) = output_of(on_a_terminal(100, &once)).await;
    assert_eq!(status, Some(1), "{terminal}");
    assert!(
        terminal.contains(" 0 of 2 targets collected")
            && terminal.contains(" 1 of 2 targets collected, 1 failed"),
        "{terminal:?}"
    );
    // The terminal must end up with whole log lines and no trace of the bar.
    let remaining: Vec<&str> =
        terminal.split("\r\n").map(|line| line.rsplit("\r\u{1b}[2K").next().unwrap()).collect();
    assert!(remaining.iter().filter(|line| line.starts_with("ts=")).count() > 3, "{terminal}");
    let (last, logged) = remaining[..remaining.len() - 1].split_last().unwrap();
    assert!(logged.iter().all(|line| line.starts_with("ts=")), "{remaining:?}");
    assert!(last.starts_with("ssm-sync-exporter: 1 of 2 targets failed"), "{remaining:?}");

    let (_, _, err) = output_of(once).await;
    assert!(err.lines().all(|line| line.starts_with("ts=") || line.starts_with("ssm-sync")), "{err}");
    let mut once = setup.once();
    once.args(["--log.format", "json", "--output"]).arg(&file);
    let (_, terminal, _) = output_of(on_a_terminal(100, &once)).await;
    assert!(terminal.starts_with("ssm-sync-exporter: 1 of 2"), "no bar between JSON lines: {terminal}");
}

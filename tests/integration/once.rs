//! One-shot mode (`once`), run as a program.

mod expectations;
pub(crate) mod external_tools;
mod file;
mod json;
mod several_files;
mod table;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind, World};
use pretty_assertions::assert_eq;
use serde_json::json;
use tempfile::TempDir;

use crate::exporter::{ACCOUNT, HUB, REGION, ROLE, Scrape, aws_settings, fake_aws, up};
use crate::process::{program, run, run_check, send_signal};
use crate::tools;

/// A fake AWS, and a configuration for it.
pub(crate) struct Setup {
    aws: FakeAws,
    directory: TempDir,
}

impl Setup {
    /// A configuration that polls [`ACCOUNT`] in these regions.
    async fn in_regions(regions: &[&str]) -> Self {
        let config = format!(
            "regions: [{}]\naccounts:\n  - name: production\n    profile: hub\n    assume_roles: [{{arn: 'arn:aws:iam::{ACCOUNT}:role/{ROLE}'}}]\n",
            regions.join(", ")
        );
        Self::with_config(fake_aws().await, &config)
    }

    pub(crate) fn with_config(aws: FakeAws, config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = format!("{config}{}", aws_settings(&aws, directory.path()));
        std::fs::write(directory.path().join("config.yaml"), config).unwrap();
        Self { aws, directory }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn aws(&self) -> &FakeAws {
        &self.aws
    }

    /// The command `once`, logging only errors.
    pub(crate) fn once(&self) -> Command {
        self.once_logging("error")
    }

    /// Another command with the same configuration.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = program();
        command.args([name, "--config.file"]).arg(self.directory.path().join("config.yaml"));
        command
    }

    fn once_logging(&self, level: &str) -> Command {
        let mut once = program();
        once.args(["once", "--log.level", level, "--config.file"]);
        once.arg(self.directory.path().join("config.yaml"));
        once
    }

    /// Gives every target more syncs than fit into the buffer of a pipe.
    fn add_many_syncs(&self) {
        let many = (0..1500).map(|index| json!({"SyncName": format!("sync-{index}")})).collect();
        self.aws.world().set_default_syncs(SyncKind::ToDestination, many);
    }

    /// A directory for the file of `--output`. It is empty at first.
    pub(crate) fn output_directory(&self) -> PathBuf {
        let directory = self.directory.path().join("output");
        std::fs::create_dir_all(&directory).unwrap();
        directory
    }

    /// Injects a fault into the list calls to one region.
    fn inject(&self, fault: Fault, region: &str) {
        let rule = FaultRule::new(fault).region(region).operation("ListResourceDataSync");
        self.aws.world().set_faults(vec![rule]);
    }

    /// Waits until the fake AWS has received this number of list calls.
    pub(crate) async fn wait_for_calls(&self, calls: u64) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.aws.world().calls("ListResourceDataSync") < calls {
            assert!(Instant::now() < deadline, "timed out waiting for calls");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The names of the files in a directory.
pub(crate) fn entries(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Runs the command on a blocking thread, because the fake AWS needs the others.
pub(crate) async fn output_of(mut command: Command) -> (Option<i32>, String, String) {
    tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exits_with_0_when_every_target_is_up() {
    let setup = Setup::in_regions(&[REGION, "us-east-1"]).await;
    let (status, out, err) = output_of(setup.once()).await;
    assert_eq!((status, err.as_str()), (Some(0), ""));
    let metrics = Scrape(out);
    for region in [REGION, "us-east-1"] {
        assert!(metrics.has(&up(ACCOUNT, region, 1)), "{}", metrics.0);
    }
    let config_file = setup.directory.path().join("config.yaml");
    let label = format!("config_file=\"{}\"", config_file.display());
    assert!(metrics.has(&format!("ssm_sync_exporter_targets{{{label}}} 2")), "{}", metrics.0);
    assert!(metrics.has(&format!("ssm_sync_exporter_collections_in_flight{{{label}}} 0")));
    assert!(!metrics.0.contains("process_"), "node_exporter has its own");
    let series = metrics.series();
    assert_eq!(series.iter().collect::<std::collections::HashSet<_>>().len(), series.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exits_with_1_when_a_target_fails_and_still_writes_the_others() {
    let setup = Setup::in_regions(&[REGION, "us-east-1"]).await;
    setup.inject(Fault::Deny, "us-east-1");
    let (status, out, err) = output_of(setup.once()).await;
    assert_eq!(status, Some(1));
    assert_eq!(
        err,
        format!(
            "ssm-sync-exporter: 1 of 2 targets failed, for example {ACCOUNT}/us-east-1 (access_denied)\n"
        )
    );
    let metrics = Scrape(out);
    assert!(
        metrics.has(&up(ACCOUNT, REGION, 1)) && metrics.has(&up(ACCOUNT, "us-east-1", 0)),
        "{}",
        metrics.0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_target_is_collected_only_once_while_another_is_slow() {
    let setup = Setup::in_regions(&[REGION, "us-east-1", "eu-central-1"]).await;
    setup.aws.world().set_faults(vec![
        FaultRule::new(Fault::Deny).region("us-east-1"),
        FaultRule::new(Fault::Delay(1500)).region("eu-central-1").operation("ListResourceDataSync"),
    ]);
    let mut once = setup.once();
    once.env("SSM_SYNC_EXPORTER_INTERVAL", "1s");
    let (status, out, err) = output_of(once).await;
    assert_eq!(status, Some(1), "{err}");
    assert_eq!(Scrape(out).values("ssm_sync_exporter_target_collections_total"), [1.0, 1.0, 1.0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_for_hanging_targets_until_ready_after() {
    let setup = Setup::in_regions(&["eu-central-1", REGION, "us-east-1"]).await;
    setup.aws.world().set_faults(
        ["eu-central-1", "us-east-1"]
            .map(|region| FaultRule::new(Fault::Stall).region(region).operation("ListResourceDataSync"))
            .into(),
    );
    let mut once = setup.once();
    once.env("SSM_SYNC_EXPORTER_READY_AFTER", "2s").env("SSM_SYNC_EXPORTER_TIMEOUT", "60s");
    let began = Instant::now();
    let (status, out, err) = output_of(once).await;
    assert_eq!(status, Some(1));
    assert_eq!(
        err,
        format!(
            "ssm-sync-exporter: 2 of 3 targets not collected within 2s (`ready_after`), for example {ACCOUNT}/eu-central-1\n"
        )
    );
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(Scrape(out).samples("ssm_sync_exporter_target_up"), up(ACCOUNT, REGION, 1) + "\n");
}

/// An organization of the hub account with one member. `more` is appended to the
/// configuration.
async fn organization(more: &str) -> Setup {
    let world = World::new();
    world.create_organization(HUB);
    world.add_role(HUB, ROLE, None);
    world.add_member(ACCOUNT, "production", "r-fake");
    world.add_role(ACCOUNT, ROLE, None);
    let config = format!(
        "regions: [{REGION}]\norganization:\n  profile: hub\n  member_role: 'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'\n{more}"
    );
    Setup::with_config(FakeAws::start(world, "127.0.0.1:0").await.unwrap(), &config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_and_regions_are_discovered_before_collecting() {
    let setup = organization("  regions: ['eu-west-?']\n").await;
    let (status, out, err) = output_of(setup.once()).await;
    assert_eq!((status, err.as_str()), (Some(0), ""));
    let metrics = Scrape(out);
    assert_eq!(metrics.values("ssm_sync_exporter_target_up"), [1.0; 6], "{}", metrics.0);
    for region in ["eu-west-1", "eu-west-2", "eu-west-3"] {
        assert!(metrics.has(&up(ACCOUNT, region, 1)), "{}", metrics.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exits_with_1_when_the_organization_cannot_be_listed() {
    let explicit_account = format!(
        "accounts: [{{profile: hub, assume_roles: [{{arn: 'arn:aws:iam::{ACCOUNT}:role/{ROLE}'}}]}}]\n"
    );
    for (more, targets) in [("", 0), (&*explicit_account, 1)] {
        let setup = organization(more).await;
        setup.aws.world().set_faults(vec![FaultRule::new(Fault::Deny).operation("ListAccounts")]);
        let began = Instant::now();
        let (status, out, err) = output_of(setup.once()).await;
        assert_eq!(status, Some(1));
        let expected = "ssm-sync-exporter: cannot list the accounts of the organization (access_denied: ";
        assert!(err.starts_with(expected) && err.lines().count() == 1, "{err}");
        assert!(began.elapsed() < Duration::from_secs(20), "does not wait for the retry of the listing");
        let metrics = Scrape(out);
        let failures = metrics.samples("ssm_sync_exporter_discovery_failures_total{kind=\"organization\",");
        assert!(failures.ends_with("} 1\n"), "{failures}");
        assert_eq!(metrics.values("ssm_sync_exporter_target_up").len(), targets);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exits_with_1_when_the_enabled_regions_of_an_account_cannot_be_listed() {
    let setup = organization("  regions: ['eu-west-?']\n").await;
    setup.aws.world().set_faults(vec![FaultRule::new(Fault::Deny).account(ACCOUNT).operation("ListRegions")]);
    let (status, out, err) = output_of(setup.once()).await;
    assert_eq!(status, Some(1));
    assert_eq!(err, "ssm-sync-exporter: cannot list the enabled regions of 1 account\n");
    assert_eq!(Scrape(out).values("ssm_sync_exporter_target_up"), [1.0; 6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exits_with_1_without_targets_unless_it_is_one_of_several_shards() {
    let setup = organization(&format!("  exclude_accounts: ['{HUB}', '{ACCOUNT}']\n")).await;
    let (status, _, err) = output_of(setup.once()).await;
    assert_eq!(
        (status, err.as_str()),
        (Some(1), "ssm-sync-exporter: no targets to poll; check `accounts`, `organization` and `regions`\n")
    );
    let mut once = setup.once();
    once.args(["--shard.index=0", "--shard.total=2"]);
    let (status, _, err) = output_of(once).await;
    assert_eq!((status, err.as_str()), (Some(0), ""));
}

#[test]
fn output_flags_are_rejected_without_once() {
    for (flag, value) in [("--output", "json"), ("--format", "json"), ("--fail-on", "violations")] {
        let commands = if flag == "--fail-on" { "`once`" } else { "`once` or `doctor`" };
        for command in [&["serve"][..], &[], &["--config.check"]] {
            let (status, out, err) = run(program().args(command).args([flag, value]));
            assert_eq!((status, out.as_str()), (Some(2), ""));
            assert_eq!(err, format!("ssm-sync-exporter: {flag} requires the command {commands}\n"));
        }
    }
    let (status, out, err) = run(program().args(["once", "--format", "xml"]));
    assert_eq!((status, out.as_str()), (Some(2), ""));
    assert_eq!(
        err,
        "ssm-sync-exporter: invalid value 'xml' for '--format <FORMAT>' [possible values: prometheus, openmetrics, json, \
         table, expectations]; see --help\n"
    );
    let (status, _, err) = run(program().args(["once", "--format", "json"]));
    assert_eq!(status, Some(2), "no region is configured");
    assert!(err.starts_with("ssm-sync-exporter: regions: no region"), "{err}");
    let check = ["once", "--config.check", "--format", "json"];
    let (status, out, err) = run_check(program().args(check).env("AWS_REGION", REGION));
    assert_eq!((status, out.as_str(), err.as_str()), (Some(0), "the configuration is valid\n", ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_interrupts_the_collection_and_nothing_is_written() {
    let setup = Setup::in_regions(&[REGION]).await;
    setup.inject(Fault::Stall, REGION);
    let file = setup.output_directory().join("syncs.prom");
    std::fs::write(&file, "old\n").unwrap();
    let runs =
        ["once", "doctor"].into_iter().flat_map(|name| ["TERM", "INT", "HUP"].map(|signal| (name, signal)));
    for (calls, (name, signal)) in (1..).zip(runs) {
        let mut command = setup.command(name);
        command.args(["--log.level", "error", "--output"]).arg(&file);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = tools::KillOnDrop(command.spawn().unwrap());
        setup.wait_for_calls(calls).await;
        let began = Instant::now();
        send_signal(signal, &process);
        let status = process.0.wait().unwrap();
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        let err = std::io::read_to_string(process.0.stderr.take().unwrap()).unwrap();
        assert_eq!(
            (status.code(), err.as_str()),
            (Some(1), "ssm-sync-exporter: interrupted by a signal; nothing was written\n")
        );
        assert_eq!(entries(&setup.output_directory()), ["syncs.prom"]);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "old\n");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_pipe_is_not_an_error() {
    let setup = Setup::in_regions(&[REGION]).await;
    let mut once = setup.once();
    let mut process = tools::KillOnDrop(once.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    drop(process.0.stdout.take());
    let status = tokio::task::spawn_blocking(move || {
        let status = process.0.wait().unwrap();
        (status.code(), std::io::read_to_string(process.0.stderr.take().unwrap()).unwrap())
    });
    assert_eq!(status.await.unwrap(), (Some(0), String::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_interrupts_writing_to_a_blocked_pipe() {
    let setup = Setup::in_regions(&[REGION]).await;
    setup.add_many_syncs();
    let mut once = setup.once();
    let mut process = tools::KillOnDrop(once.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut out = process.0.stdout.take().unwrap();
    tokio::task::block_in_place(|| out.read_exact(&mut [0]).unwrap());
    send_signal("TERM", &process);
    assert_eq!(process.0.wait().unwrap().code(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exits_with_1_when_the_disk_is_full() {
    let setup = Setup::in_regions(&[REGION]).await;
    let mut once = setup.once();
    once.stderr(Stdio::piped()).stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let output = tokio::task::spawn_blocking(move || once.spawn().unwrap().wait_with_output().unwrap());
    let output = output.await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "ssm-sync-exporter: cannot write to stdout: No space left on device (os error 28)\n"
    );
}

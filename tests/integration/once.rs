//! The program that looks but once.

mod file;
mod others;
mod text;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind, World};
use pretty_assertions::assert_eq;
use serde_json::json;
use tempfile::TempDir;

use crate::exporter::{ACCOUNT, HUB, REGION, ROLE, Scrape, fake_aws, reaching, up};
use crate::program::{program, run, send};
use crate::tools;

/// A fake AWS, and a configuration for it.
struct Lab {
    aws: FakeAws,
    directory: TempDir,
}

impl Lab {
    /// [`ACCOUNT`] in these regions.
    async fn of(regions: &[&str]) -> Self {
        let config = format!(
            "regions: [{}]\naccounts:\n  - name: production\n    profile: hub\n    assume_roles: [{{arn: 'arn:aws:iam::{ACCOUNT}:role/{ROLE}'}}]\n",
            regions.join(", ")
        );
        Self::with(fake_aws().await, &config)
    }

    fn with(aws: FakeAws, config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = format!("{config}{}", reaching(&aws, directory.path()));
        std::fs::write(directory.path().join("config.yaml"), config).unwrap();
        Self { aws, directory }
    }

    /// The program, which logs errors only.
    fn once(&self) -> Command {
        self.once_logging("error")
    }

    fn once_logging(&self, level: &str) -> Command {
        let mut once = program();
        once.args(["once", "--log.level", level, "--config.file"]);
        once.arg(self.directory.path().join("config.yaml"));
        once
    }

    /// Has more in every place than a pipe holds.
    fn fill(&self) {
        let many = (0..1500).map(|index| json!({"SyncName": format!("sync-{index}")})).collect();
        self.aws.world().set_everywhere(SyncKind::ToDestination, many);
    }

    /// A directory to write to.
    fn output(&self) -> PathBuf {
        let directory = self.directory.path().join("output");
        std::fs::create_dir_all(&directory).unwrap();
        directory
    }

    /// Lets a region have no answer, or another fault.
    fn fault(&self, fault: Fault, region: &str) {
        let rule = FaultRule::new(fault).region(region).operation("ListResourceDataSync");
        self.aws.world().set_faults(vec![rule]);
    }

    /// Waits until AWS has been asked for the syncs of so many places.
    async fn asked(&self, places: u64) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.aws.world().calls("ListResourceDataSync") < places {
            assert!(Instant::now() < deadline, "waited in vain for calls");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// What is in a directory.
fn entries(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Runs it on a thread where it is in nobody's way.
async fn ran(mut command: Command) -> (Option<i32>, String, String) {
    tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_is_well() {
    let lab = Lab::of(&[REGION, "us-east-1"]).await;
    let (status, out, err) = ran(lab.once()).await;
    assert_eq!((status, err.as_str()), (Some(0), ""));
    let metrics = Scrape(out);
    for region in [REGION, "us-east-1"] {
        assert!(metrics.has(&up(ACCOUNT, region, 1)), "{}", metrics.0);
    }
    assert!(metrics.has("ssm_sync_exporter_targets 2"));
    assert!(metrics.has("ssm_sync_exporter_collections_in_flight 0"));
    assert!(!metrics.0.contains("process_"), "node_exporter has them itself");
    let series = metrics.series();
    assert_eq!(series.iter().collect::<std::collections::HashSet<_>>().len(), series.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_fails_is_status_1_and_the_others_are_written() {
    let lab = Lab::of(&[REGION, "us-east-1"]).await;
    lab.fault(Fault::Deny, "us-east-1");
    let (status, out, err) = ran(lab.once()).await;
    assert_eq!(status, Some(1));
    assert_eq!(
        err,
        format!("ssm-sync-exporter: 1 of 2 targets failed, such as {ACCOUNT}/us-east-1 (access_denied)\n")
    );
    let metrics = Scrape(out);
    assert!(
        metrics.has(&up(ACCOUNT, REGION, 1)) && metrics.has(&up(ACCOUNT, "us-east-1", 0)),
        "{}",
        metrics.0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_target_is_collected_once_however_long_another_takes() {
    let lab = Lab::of(&[REGION, "us-east-1", "eu-central-1"]).await;
    lab.aws.world().set_faults(vec![
        FaultRule::new(Fault::Deny).region("us-east-1"),
        FaultRule::new(Fault::Delay(1500)).region("eu-central-1").operation("ListResourceDataSync"),
    ]);
    let mut once = lab.once();
    once.env("SSM_SYNC_EXPORTER_INTERVAL", "1s");
    let (status, out, err) = ran(once).await;
    assert_eq!(status, Some(1), "{err}");
    assert_eq!(Scrape(out).values("ssm_sync_exporter_target_collections_total"), [1.0, 1.0, 1.0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_that_hang_are_waited_for_until_ready_after() {
    let lab = Lab::of(&["eu-central-1", REGION, "us-east-1"]).await;
    lab.aws.world().set_faults(
        ["eu-central-1", "us-east-1"]
            .map(|region| FaultRule::new(Fault::Stall).region(region).operation("ListResourceDataSync"))
            .into(),
    );
    let mut once = lab.once();
    once.env("SSM_SYNC_EXPORTER_READY_AFTER", "2s").env("SSM_SYNC_EXPORTER_TIMEOUT", "60s");
    let began = Instant::now();
    let (status, out, err) = ran(once).await;
    assert_eq!(status, Some(1));
    assert_eq!(
        err,
        format!(
            "ssm-sync-exporter: 2 of 3 targets not collected within 2s, such as {ACCOUNT}/eu-central-1\n"
        )
    );
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(Scrape(out).samples("ssm_sync_exporter_target_up"), up(ACCOUNT, REGION, 1) + "\n");
}

/// The hub's organization with a member, and what else is configured.
async fn organization(more: &str) -> Lab {
    let world = World::new();
    world.create_organization(HUB);
    world.add_role(HUB, ROLE, None);
    world.add_member(ACCOUNT, "production", "r-fake");
    world.add_role(ACCOUNT, ROLE, None);
    let config = format!(
        "regions: [{REGION}]\norganization:\n  profile: hub\n  member_role: 'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'\n{more}"
    );
    Lab::with(FakeAws::start(world, "127.0.0.1:0").await.unwrap(), &config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_and_regions_are_found_first() {
    let lab = organization("  regions: ['eu-west-?']\n").await;
    let (status, out, err) = ran(lab.once()).await;
    assert_eq!((status, err.as_str()), (Some(0), ""));
    let metrics = Scrape(out);
    assert_eq!(metrics.values("ssm_sync_exporter_target_up"), [1.0; 6], "{}", metrics.0);
    for region in ["eu-west-1", "eu-west-2", "eu-west-3"] {
        assert!(metrics.has(&up(ACCOUNT, region, 1)), "{}", metrics.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_that_cannot_be_listed_is_status_1() {
    let listed = format!(
        "accounts: [{{profile: hub, assume_roles: [{{arn: 'arn:aws:iam::{ACCOUNT}:role/{ROLE}'}}]}}]\n"
    );
    for (more, targets) in [("", 0), (&*listed, 1)] {
        let lab = organization(more).await;
        lab.aws.world().set_faults(vec![FaultRule::new(Fault::Deny).operation("ListAccounts")]);
        let began = Instant::now();
        let (status, out, err) = ran(lab.once()).await;
        assert_eq!(status, Some(1));
        let expected =
            "ssm-sync-exporter: the accounts of the organization cannot be listed (access_denied: ";
        assert!(err.starts_with(expected) && err.lines().count() == 1, "{err}");
        assert!(began.elapsed() < Duration::from_secs(20), "nobody waits for it to be asked again");
        let metrics = Scrape(out);
        assert!(metrics.has("ssm_sync_exporter_discovery_failures_total{kind=\"organization\"} 1"));
        assert_eq!(metrics.values("ssm_sync_exporter_target_up").len(), targets);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_that_do_not_tell_their_regions_are_status_1() {
    let lab = organization("  regions: ['eu-west-?']\n").await;
    lab.aws.world().set_faults(vec![FaultRule::new(Fault::Deny).account(ACCOUNT).operation("ListRegions")]);
    let (status, out, err) = ran(lab.once()).await;
    assert_eq!(status, Some(1));
    assert_eq!(err, "ssm-sync-exporter: not known which regions are enabled in 1 account\n");
    assert_eq!(Scrape(out).values("ssm_sync_exporter_target_up"), [1.0; 6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_to_poll_is_status_1_but_for_one_of_many() {
    let lab = organization(&format!("  exclude_accounts: ['{HUB}', '{ACCOUNT}']\n")).await;
    let (status, _, err) = ran(lab.once()).await;
    assert_eq!((status, err.as_str()), (Some(1), "ssm-sync-exporter: there is nothing to poll\n"));
    let mut once = lab.once();
    once.args(["--shard.index=0", "--shard.total=2"]);
    let (status, _, err) = ran(once).await;
    assert_eq!((status, err.as_str()), (Some(0), ""));
}

#[test]
fn its_flags_are_wrong_without_it() {
    for flag in ["--output", "--format"] {
        for command in [&["serve"][..], &[], &["--config.check"]] {
            let (status, out, err) = run(program().args(command).args([flag, "json"]));
            assert_eq!((status, out.as_str()), (Some(2), ""));
            assert_eq!(err, format!("ssm-sync-exporter: {flag} requires the command `once`\n"));
        }
    }
    let (status, out, err) = run(program().args(["once", "--format", "xml"]));
    assert_eq!((status, out.as_str()), (Some(2), ""));
    assert_eq!(
        err,
        "ssm-sync-exporter: invalid value 'xml' for '--format <FORMAT>' [possible values: prometheus, openmetrics, json, \
         table]; see --help\n"
    );
    let (status, _, err) = run(program().args(["once", "--format", "json"]));
    assert_eq!(status, Some(2), "no region anywhere");
    assert!(err.starts_with("ssm-sync-exporter: regions: no region"), "{err}");
    let (status, out, err) = run(program().args(["once", "--config.check", "--format", "json"]));
    assert_eq!((status, out.as_str(), err.as_str()), (Some(0), "the configuration is valid\n", ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_it_at_once_and_nothing_is_written() {
    let lab = Lab::of(&[REGION]).await;
    lab.fault(Fault::Stall, REGION);
    let file = lab.output().join("syncs.prom");
    std::fs::write(&file, "old\n").unwrap();
    for (signal, calls) in [("TERM", 1), ("INT", 2), ("HUP", 3)] {
        let mut once = lab.once();
        let once = once.arg("--output").arg(&file).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = tools::Owned(once.spawn().unwrap());
        lab.asked(calls).await;
        let began = Instant::now();
        send(signal, &process);
        let status = process.0.wait().unwrap();
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        let err = std::io::read_to_string(process.0.stderr.take().unwrap()).unwrap();
        assert_eq!(
            (status.code(), err.as_str()),
            (Some(1), "ssm-sync-exporter: ended by a signal; nothing was written\n")
        );
        assert_eq!(entries(&lab.output()), ["syncs.prom"]);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "old\n");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let lab = Lab::of(&[REGION]).await;
    let mut once = lab.once();
    let mut process = tools::Owned(once.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    drop(process.0.stdout.take());
    let status = tokio::task::spawn_blocking(move || {
        let status = process.0.wait().unwrap();
        (status.code(), std::io::read_to_string(process.0.stderr.take().unwrap()).unwrap())
    });
    assert_eq!(status.await.unwrap(), (Some(0), String::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_it_while_nobody_reads() {
    let lab = Lab::of(&[REGION]).await;
    lab.fill();
    let mut once = lab.once();
    let mut process = tools::Owned(once.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut out = process.0.stdout.take().unwrap();
    tokio::task::block_in_place(|| out.read_exact(&mut [0]).unwrap());
    send("TERM", &process);
    assert_eq!(process.0.wait().unwrap().code(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_status_1() {
    let lab = Lab::of(&[REGION]).await;
    let mut once = lab.once();
    once.stderr(Stdio::piped()).stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let output = tokio::task::spawn_blocking(move || once.spawn().unwrap().wait_with_output().unwrap());
    let output = output.await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "ssm-sync-exporter: cannot write to stdout: No space left on device (os error 28)\n"
    );
}

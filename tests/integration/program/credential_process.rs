//! Tests of profiles with a `credential_process`: roles that are assumed with its credentials, and
//! processes that hang.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind, World};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::exporter::{ACCOUNT, HUB, REGION, ROLE, Scrape, fake_aws};
use crate::process::{ExporterProcess, program, run};

/// The processes whose ids are in a file and that still run. The parent of a process that has
/// ended may not have waited for it yet.
fn running(pids: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(pids).unwrap_or_default();
    let runs = |pid: &&str| {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| !rest.starts_with(" Z")))
    };
    text.split_whitespace().filter(runs).map(ToOwned::to_owned).collect()
}

#[track_caller]
fn assert_none_left(pids: &Path) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !running(pids).is_empty() {
        assert!(Instant::now() < deadline, "left behind: {:?}", running(pids));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Two accounts whose profiles assume roles with the credentials of one process, which hangs
/// and ignores SIGTERM.
struct Hanging {
    directory: TempDir,
}

impl Hanging {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let pids = directory.path().join("pids");
        let text = format!(
            "[profile hub]\ncredential_process = trap '' TERM; echo $$ >> '{0}'; sleep 1000 & echo $! >> '{0}'; wait; sleep 1000
[profile a]\nrole_arn = arn:aws:iam::{ACCOUNT}:role/{ROLE}\nsource_profile = hub
[profile b]\nrole_arn = arn:aws:iam::222233334444:role/{ROLE}\nsource_profile = hub
",
            pids.display(),
        );
        std::fs::write(directory.path().join("aws-config"), text).unwrap();
        let hanging = Self { directory };
        hanging.write_config("4s");
        hanging
    }

    fn write_config(&self, timeout: &str) {
        let config = format!(
            "interval: 1s\ntimeout: {timeout}\nready_after: 6s\nregions: [{REGION}, us-east-1]\naccounts: [{{profile: a}}, {{profile: b}}]\n"
        );
        std::fs::write(self.directory.path().join("config.yaml"), config).unwrap();
    }

    fn pids(&self) -> std::path::PathBuf {
        self.directory.path().join("pids")
    }

    fn program(&self) -> Command {
        let mut command = program();
        command
            .env("AWS_CONFIG_FILE", self.directory.path().join("aws-config"))
            .env("PATH", std::env::var_os("PATH").unwrap())
            .arg("--config.file")
            .arg(self.directory.path().join("config.yaml"));
        command
    }

    /// How often the process was started. Each writes two ids.
    fn starts(&self) -> usize {
        std::fs::read_to_string(self.pids()).unwrap_or_default().lines().count() / 2
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_process_runs_once_at_a_time_and_ends_with_the_program() {
    // Each attempt left a process behind, and each account started its own.
    let hanging = Hanging::new();
    let exporter = ExporterProcess::start(&mut hanging.program());
    let mut reloaded = false;
    let deadline = Instant::now() + Duration::from_mins(1);
    while hanging.starts() < 4 {
        assert!(Instant::now() < deadline, "{} starts", hanging.starts());
        // The process and its child.
        assert!(running(&hanging.pids()).len() <= 2, "{:?}", running(&hanging.pids()));
        if hanging.starts() == 2 && !reloaded {
            reloaded = true;
            // With another timeout, the exporter does not keep its AWS clients.
            hanging.write_config("3s");
            exporter.send_signal("HUP");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let metrics = exporter.metrics().await;
    assert!(metrics.contains("reason=\"timeout\""), "{metrics}");
    assert!(!running(&hanging.pids()).is_empty());
    let (status, took, log) = exporter.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    // The message did not say what hung.
    assert!(log.contains("the credential_process of the profile `hub` did not end within"), "{log}");
    assert_none_left(&hanging.pids());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_process_is_left_by_one_shot_mode_or_by_an_abort() {
    let hanging = Hanging::new();
    let (status, _, log) = run(hanging.program().arg("once"));
    assert_eq!(status, Some(1), "{log}");
    assert!(hanging.starts() > 0);
    assert_none_left(&hanging.pids());

    let hanging = Hanging::new();
    let exporter = ExporterProcess::start(&mut hanging.program());
    while hanging.starts() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    exporter.send_signal("INT");
    exporter.stop("TERM");
    assert_none_left(&hanging.pids());
}

const ROLE_ARN: &str = "role_arn = arn:aws:iam::111122223333:role/SsmSyncExporter";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_are_assumed_with_the_credentials_of_a_process_anywhere_in_the_chain() {
    let aws = fake_aws().await;
    aws.world().put_item(ACCOUNT, REGION, SyncKind::ToDestination, json!({"SyncName": "a"}));
    aws.world().add_role(HUB, "Jump", None);
    for (config, credentials, account) in [
        ("[profile app]\nPROCESS", "", HUB),
        ("", "[app]\nPROCESS", HUB),
        ("[profile app]\nROLE\nsource_profile = hub\n[profile hub]\nPROCESS", "", ACCOUNT),
        ("[profile app]\nROLE\nsource_profile = hub", "[hub]\nPROCESS", ACCOUNT),
        ("[profile app]\nROLE\nsource_profile = default\n[default]\nPROCESS", "", ACCOUNT),
        ("[profile app]\nROLE\nsource_profile = app\nPROCESS", "", ACCOUNT),
        (
            "[profile app]\nROLE\nsource_profile = jump
[profile jump]\nrole_arn = arn:aws:iam::999900000000:role/Jump\nsource_profile = hub
[profile hub]\nPROCESS",
            "",
            ACCOUNT,
        ),
        // Without a process.
        ("[profile app]\nROLE\nsource_profile = hub\n[profile hub]\nPROCESS", "[hub]\nKEY", ACCOUNT),
        ("[profile app]\nROLE\nsource_profile = hub", "[hub]\nKEY", ACCOUNT),
        ("[profile app]\nROLE\nsource_profile = app\nKEY", "", ACCOUNT),
    ] {
        check_chain(&aws, config, credentials, account);
    }
}

/// Checks that the profile `app` has credentials of `account`, both as a configured profile and in the
/// default chain. In the files, `PROCESS` is a `credential_process` with the credentials of the
/// hub, `KEY` the access key of the hub, and `ROLE` a role of [`ACCOUNT`].
#[track_caller]
fn check_chain(aws: &FakeAws, config: &str, credentials: &str, account: &str) {
    let directory = tempfile::tempdir().unwrap();
    let key = World::access_key(HUB);
    let process = format!(
        "credential_process = echo '{}'",
        json!({"Version": 1, "AccessKeyId": key, "SecretAccessKey": "any"})
    );
    let key = format!("aws_access_key_id = {key}\naws_secret_access_key = any");
    let write = |name: &str, text: &str| {
        let text = text.replace("PROCESS", &process).replace("ROLE", ROLE_ARN).replace("KEY", &key);
        std::fs::write(directory.path().join(name), text).unwrap();
    };
    write("config", config);
    write("credentials", credentials);
    for (variable, value) in [("SSM_SYNC_EXPORTER_ACCOUNTS", "[{profile: app}]"), ("AWS_PROFILE", "app")] {
        let (status, stdout, stderr) = run(program()
            .args(["once", "--format", "json"])
            .env("AWS_CONFIG_FILE", directory.path().join("config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", directory.path().join("credentials"))
            .env("AWS_ENDPOINT_URL", aws.url())
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("SSM_SYNC_EXPORTER_REGIONS", format!("[{REGION}]"))
            .env(variable, value));
        assert_eq!(status, Some(0), "{config} {credentials}: {stderr}");
        let document: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(document["targets"][0]["aws_account_id"], account, "{config} {credentials}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_credentials_seem_to_have_expired_is_not_run_for_every_collection() {
    // With an expiry in the past, or a host clock that is ahead, it ran in every collection.
    let aws = fake_aws().await;
    for (expiration, is_rejected, max_runs) in [
        ("1970-01-01T00:00:00Z", false, 1),
        ("0000-01-01T00:00:00Z", false, 1),
        ("9999-12-31T23:59:59Z", false, 1),
        // The back-off is five seconds, then ten.
        ("2020-01-01T00:00:00Z", true, 2),
    ] {
        let fault = FaultRule::new(Fault::ExpiredToken);
        aws.world().set_faults(if is_rejected { vec![fault] } else { Vec::new() });
        let directory = tempfile::tempdir().unwrap();
        let (file, runs) = (directory.path().join("config"), directory.path().join("runs"));
        let json = json!({
            "Version": 1,
            "AccessKeyId": World::access_key(HUB),
            "SecretAccessKey": "any",
            "Expiration": expiration,
        });
        let process =
            format!("[default]\ncredential_process = echo >> '{}'; echo '{json}'\n", runs.display());
        std::fs::write(&file, process).unwrap();
        let exporter = ExporterProcess::start(
            program()
                .env("AWS_CONFIG_FILE", &file)
                .env("AWS_ENDPOINT_URL", aws.url())
                .env("AWS_REGION", REGION)
                .env("PATH", std::env::var_os("PATH").unwrap())
                .env("SSM_SYNC_EXPORTER_INTERVAL", "1s"),
        );
        let collected = |metrics: &str| {
            Scrape(metrics.to_owned()).sum("ssm_sync_exporter_target_collections_total") >= 4.0
        };
        let metrics = exporter.metrics_when("four collections", collected).await;
        let runs = std::fs::read_to_string(&runs).unwrap().lines().count();
        assert!(runs <= max_runs, "{expiration}: {runs} runs");
        let (_, _, log) = exporter.stop("TERM");
        let warnings: Vec<&str> = log.lines().filter(|line| line.contains("level=warn")).collect();
        let expired: Vec<&&str> = warnings.iter().filter(|line| line.contains("already expired")).collect();
        assert_eq!(expired.len(), usize::from(!expiration.starts_with('9')), "{log}");
        if is_rejected {
            assert!(metrics.contains("reason=\"credentials\""), "{metrics}");
            let about_credentials: Vec<&&str> =
                warnings.iter().filter(|line| line.contains("cannot obtain credentials")).collect();
            assert_eq!(about_credentials.len(), 1, "{log}");
            assert!(about_credentials[0].contains("is expired"), "{log}");
        } else {
            assert_eq!(Scrape(metrics).sum("ssm_sync_exporter_target_up"), 1.0, "{log}");
        }
    }
}

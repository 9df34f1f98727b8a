//! Tests of the program from outside: flags, exit statuses, log lines, signals.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind, World};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::exporter::{ACCOUNT, HUB, REGION, ROLE, Scrape, fake_aws, settings_for, up};
use crate::{http, tools};

/// The program with a clean environment.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ssm-sync-exporter"));
    command
        .env_clear()
        // Ignore AWS configuration of this machine, and do not query instance metadata.
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// Runs a command to its end. Returns the exit status, stdout and stderr.
pub(crate) fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// The running program. It is killed when dropped.
pub(crate) struct ExporterProcess {
    process: tools::KillOnDrop,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<String>>,
    /// Copies stderr to `log`.
    log_reader: std::thread::JoinHandle<()>,
}

impl ExporterProcess {
    /// Starts the program on a free port and waits until it listens.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::listening(command.args(["--web.listen-address", "127.0.0.1:0"]))
    }

    /// Starts the demo, which must have been built with `cargo build --examples`.
    pub(crate) fn demo() -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_ssm-sync-exporter"));
        let demo = program.with_file_name("examples").join("demo");
        assert!(demo.exists(), "{} is missing; build it with `cargo build --examples`", demo.display());
        Self::listening(Command::new(demo).arg("127.0.0.1:0"))
    }

    fn listening(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap());
        let process = tools::KillOnDrop(process);
        let mut log = String::new();
        let address = loop {
            let before = log.len();
            assert!(lines.read_line(&mut log).unwrap() > 0, "the program exited: {log}");
            let line = &log[before..];
            let mut words = line.split(['"', '=', ' ', '\n']);
            let found = words.find(|word| word.starts_with("127.0.0.1:"));
            if let Some(found) = found.filter(|_| line.contains("listening")) {
                break found.parse().unwrap();
            }
        };
        // Read the pipe continuously, because the program would block when it is full.
        let log = Arc::new(Mutex::new(log));
        let shared_log = Arc::clone(&log);
        let log_reader = std::thread::spawn(move || {
            for line in lines.lines() {
                let line = line.unwrap() + "\n";
                *shared_log.lock().unwrap() += &line;
            }
        });
        Self { process, address, log, log_reader }
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    async fn metrics(&self) -> String {
        http::request(self.address, "GET", "/metrics").await.body
    }

    /// Waits until the metrics contain `text`, and returns them.
    pub(crate) async fn metrics_containing(&self, text: &str) -> String {
        self.metrics_when(text, |metrics| metrics.contains(text)).await
    }

    /// Waits until `condition` is true for the metrics, and returns them. `what` describes the
    /// condition.
    pub(crate) async fn metrics_when(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let metrics = self.metrics().await;
            if condition(&metrics) {
                return metrics;
            }
            assert!(Instant::now() < deadline, "timed out waiting for {what}:\n{metrics}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends a signal that does not stop the program.
    pub(crate) fn send(&self, name: &str) {
        send(name, &self.process);
    }

    /// Sends a signal that stops the program. Returns its exit status, how long it took to stop,
    /// and its log.
    pub(crate) fn signal(mut self, name: &str) -> (ExitStatus, Duration, String) {
        let before = Instant::now();
        send(name, &self.process);
        let status = self.process.0.wait().unwrap();
        let took = before.elapsed();
        self.log_reader.join().unwrap();
        let log = self.log.lock().unwrap().clone();
        (status, took, log)
    }
}

/// Sends a signal with the shell, because the program `kill` may not be installed.
pub(crate) fn send(signal: &str, process: &tools::KillOnDrop) {
    let pid = process.0.id().to_string();
    let sent = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", signal, &pid]).status().unwrap();
    assert!(sent.success());
}

/// Sets the ambient credentials to those of the hub account.
pub(crate) fn with_ambient_credentials<'a>(command: &'a mut Command, aws: &FakeAws) -> &'a mut Command {
    command
        .env("AWS_ACCESS_KEY_ID", World::access_key(HUB))
        .env("AWS_SECRET_ACCESS_KEY", "ambient-secret")
        .env("AWS_ENDPOINT_URL", aws.url())
}

#[test]
fn version_and_help_are_printed() {
    let (status, out, err) = run(program().arg("--version"));
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert!(
        out.starts_with(concat!("ssm-sync-exporter ", env!("CARGO_PKG_VERSION"), " (revision ")),
        "{out}"
    );
    let (status, out, err) = run(program().arg("--help"));
    assert_eq!((status, err.as_str()), (Some(0), ""));
    for flag in [
        "--config.file",
        "--config.check",
        "--web.listen-address",
        "--web.telemetry-path",
        "--web.config.file",
        "--web.systemd-socket",
        "--web.max-requests",
        "--shard.index",
        "--shard.total",
        "--shard.from-hostname",
        "--output",
        "--format",
        "--log.level",
        "--log.format",
    ] {
        assert!(out.contains(flag), "{out}");
    }
}

#[test]
fn an_invalid_command_line_is_a_one_line_error_with_status_2() {
    for (arguments, expected) in [
        (
            &["--config.fil=x"][..],
            "unexpected argument '--config.fil' found; a similar argument exists: '--config.file'",
        ),
        (
            &["--log.level=loud"],
            "invalid value 'loud' for '--log.level <LEVEL>' [possible values: debug, info, warn, error]; see --help",
        ),
        (
            &["--log.format=xml"],
            "invalid value 'xml' for '--log.format <FORMAT>' [possible values: logfmt, json]; see --help",
        ),
        (
            &["--config.file"],
            "a value is required for '--config.file <FILE>' but none was supplied; see --help",
        ),
        (
            &["--web.listen-address=10144"],
            "invalid value '10144' for '--web.listen-address <HOST:PORT>': not a listen address; expected a host and a port, such as `:10144`, \
             `127.0.0.1:10144` or `[::1]:10144`; see --help",
        ),
        (
            &["--web.telemetry-path=metrics"],
            "invalid value 'metrics' for '--web.telemetry-path <PATH>': not a telemetry path; expected one such as `/metrics`, which begins with \
             `/`, is not below `/-/` and consists of letters, digits and `-._~/`; see --help",
        ),
        (
            &["sreve"],
            "invalid value 'sreve' for '[COMMAND]' [possible values: serve, once]; a similar value exists: 'serve'",
        ),
    ] {
        let (status, out, err) = run(program().args(arguments));
        assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert_eq!(err, format!("ssm-sync-exporter: {expected}\n"));
    }
}

#[test]
fn an_invalid_shard_is_a_one_line_error_with_status_2() {
    let missing_index = "--shard.total requires --shard.index or --shard.from-hostname";
    for (arguments, expected) in [
        (
            &["--shard.index", "3", "--shard.total", "3"][..],
            "shard index 3 is out of range; expected 0 to 2 for a total of 3",
        ),
        (
            &["--shard.index", "0"],
            "the following required arguments were not provided: --shard.total <NUMBER>; see --help",
        ),
        (
            &["--shard.from-hostname"],
            "the following required arguments were not provided: --shard.total <NUMBER>; see --help",
        ),
        (&["--shard.total", "3"], missing_index),
        (
            &["--shard.total", "0", "--shard.index", "0"],
            "invalid value '0' for '--shard.total <NUMBER>': expected a whole number of at least 1; see --help",
        ),
        (
            &["--shard.total", "3", "--shard.index", "0", "--shard.from-hostname"],
            "the argument '--shard.index <NUMBER>' cannot be used with '--shard.from-hostname'; see --help",
        ),
    ] {
        for check in [&["--config.check"][..], &[]] {
            let (status, out, err) = run(program().args(arguments).args(check));
            assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}");
            assert_eq!(err, format!("ssm-sync-exporter: {expected}\n"));
        }
    }
}

/// The host name of this machine.
fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim_end().to_owned()
}

#[test]
fn the_shard_index_is_taken_from_the_host_name() {
    let name = hostname();
    let short = name.split('.').next().unwrap();
    let digits = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let ordinal = short.rsplit_once('-').map(|(_, ordinal)| ordinal).filter(digits);
    let (status, out, err) =
        run(program().args(["--config.check", "--shard.from-hostname", "--shard.total", "3"]));
    match ordinal.map(str::parse::<u32>) {
        Some(Ok(0..3)) => assert_eq!((status, out.as_str()), (Some(0), "the configuration is valid\n")),
        Some(Ok(index)) => {
            assert_eq!((status, out.as_str()), (Some(2), ""));
            let expected = format!("shard index {index} is out of range; expected 0 to 2 for a total of 3");
            assert_eq!(err, format!("ssm-sync-exporter: {expected}\n"));
        }
        Some(Err(_)) | None => {
            assert_eq!((status, out.as_str()), (Some(2), ""));
            let expected = format!(
                "the host name `{name}` does not end in a shard index; expected a name such as `exporter-0`, as pods of a \
                 StatefulSet have, or use --shard.index"
            );
            assert_eq!(err, format!("ssm-sync-exporter: {expected}\n"));
        }
    }
}

#[test]
fn an_invalid_configuration_is_a_one_line_error_with_status_2() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, "interval: soon\n").unwrap();
    let expected = format!(
        "ssm-sync-exporter: {}:1:11: interval: `soon` is not a valid duration; expected more than 0s and at most 720h, such as 30s, 5m or 1h30m\n",
        file.display()
    );
    for check in [&["--config.check"][..], &[]] {
        let (status, out, err) = run(program().arg("--config.file").arg(&file).args(check));
        assert_eq!((status, out.as_str(), &err), (Some(2), "", &expected));
    }

    let (status, _, err) = run(program().args(["--config.file", "/nonexistent.yaml"]));
    assert_eq!(status, Some(2));
    assert_eq!(
        err,
        "ssm-sync-exporter: cannot read the configuration file /nonexistent.yaml: No such file or directory (os error 2)\n"
    );
    let (status, _, err) = run(program().arg("--config.file").arg(directory.path()));
    assert_eq!(status, Some(2));
    assert!(err.contains("Is a directory"), "{err}");

    let (status, _, err) = run(program().env("SSM_SYNC_EXPORTER_CONCURRENCY", "none"));
    assert_eq!(status, Some(2));
    assert_eq!(
        err,
        "ssm-sync-exporter: environment variable SSM_SYNC_EXPORTER_CONCURRENCY: concurrency: `none` is invalid; expected a \
         whole number of at least 1\n"
    );
}

#[test]
fn a_region_without_a_fips_endpoint_is_rejected_by_name() {
    const NO_FIPS_ENDPOINT: &str = "use_fips: SSM has no FIPS endpoint in eu-west-1, only in ca-central-1, ca-west-1, us-east-1, \
                           us-east-2, us-west-1, us-west-2 and in GovCloud";
    // FIPS in the exporter's own configuration is checked by --config.check, and FIPS in the AWS
    // environment only at start.
    let regions = ("SSM_SYNC_EXPORTER_REGIONS", "[us-east-1, eu-west-1]");
    let (status, out, err) =
        run(program().envs([regions, ("SSM_SYNC_EXPORTER_AWS__USE_FIPS", "true")]).arg("--config.check"));
    assert_eq!((status, out.as_str()), (Some(2), ""));
    assert_eq!(
        err,
        format!(
            "ssm-sync-exporter: environment variable SSM_SYNC_EXPORTER_REGIONS: regions: {NO_FIPS_ENDPOINT}\n"
        )
    );
    let (status, out, err) = run(program()
        .envs([regions, ("AWS_USE_FIPS_ENDPOINT", "true")])
        .args(["--web.listen-address", "127.0.0.1:0"]));
    assert_eq!((status, out.as_str()), (Some(2), ""));
    assert_eq!(
        err,
        format!(
            "ssm-sync-exporter: environment variable SSM_SYNC_EXPORTER_REGIONS: regions: {NO_FIPS_ENDPOINT}\n"
        )
    );
    let (status, _, err) = run(program()
        .envs([("AWS_REGION", "eu-west-1"), ("AWS_USE_FIPS_ENDPOINT", "true")])
        .args(["--web.listen-address", "127.0.0.1:0"]));
    assert_eq!((status, err), (Some(2), format!("ssm-sync-exporter: regions: {NO_FIPS_ENDPOINT}\n")));
}

#[test]
fn a_wildcard_that_cannot_match_a_region_is_rejected() {
    let (status, out, err) =
        run(program().env("SSM_SYNC_EXPORTER_REGIONS", "[eu-west-1, EU-*]").arg("--config.check"));
    assert_eq!((status, out.as_str()), (Some(2), ""));
    assert_eq!(
        err,
        "ssm-sync-exporter: environment variable SSM_SYNC_EXPORTER_REGIONS: regions[1]: `EU-*` is not a pattern for AWS \
         regions; expected lower-case letters, digits, `-`, `?` (any one character) and `*` (any number of characters), \
         such as `eu-*`\n"
    );
}

#[test]
fn config_check_validates_without_starting() {
    let full = concat!(env!("CARGO_MANIFEST_DIR"), "/config/full.yaml");
    let (status, out, err) = run(program().args(["--config.check", "--config.file", full]));
    assert_eq!((status, out.as_str(), err.as_str()), (Some(0), "the configuration is valid\n", ""));
    let (status, out, _) = run(program().arg("--config.check").env("SSM_SYNC_EXPORTER_INTERVAL", "2h"));
    assert_eq!(status, Some(0));
    assert!(out.starts_with("warning: stale_after is shorter than interval"), "{out}");
}

#[test]
fn a_port_in_use_is_a_one_line_error_with_status_1() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (status, out, err) =
        run(program().args(["--web.listen-address", "127.0.0.1:0", "--web.listen-address", &address]));
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert_eq!(
        err,
        format!("ssm-sync-exporter: cannot listen on {address}: Address already in use (os error 98)\n")
    );
}

#[test]
fn a_missing_region_is_a_one_line_error_with_status_2() {
    let (status, _, err) = run(program().args(["--web.listen-address", "127.0.0.1:0"]));
    assert_eq!(status, Some(2));
    assert_eq!(
        err,
        "ssm-sync-exporter: regions: no region is set; set `regions`, AWS_REGION, or `region` in the AWS profile\n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_configuration_the_ambient_account_is_polled_in_its_default_region() {
    let aws = fake_aws().await;
    aws.world().put_item(
        HUB,
        "eu-north-1",
        SyncKind::ToDestination,
        json!({"SyncName": "ours", "LastStatus": "Failed"}),
    );
    let mut command = program();
    let running =
        ExporterProcess::start(with_ambient_credentials(&mut command, &aws).env("AWS_REGION", "eu-north-1"));
    let labels = format!("aws_account_id=\"{HUB}\",aws_region=\"eu-north-1\"");
    let metrics = running.metrics_containing(&format!("ssm_sync_exporter_target_up{{{labels}}} 1")).await;
    assert!(metrics.contains(&format!(
        "aws_ssm_resource_data_sync_last_status{{{labels},sync_type=\"SyncToDestination\",sync_name=\"ours\",status=\"Failed\"}} 1"
    )));
    let (status, took, log) = running.signal("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < Duration::from_secs(10));
    for line in log.lines() {
        assert!(line.starts_with("ts=") && line.contains(" level=info "), "{line}");
    }
    assert!(log.contains("signal=SIGTERM"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aws_profile_sets_account_and_region() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    let text = format!(
        "[profile dev]\nregion = ap-south-1\naws_access_key_id = {}\naws_secret_access_key = x\n",
        World::access_key(HUB)
    );
    std::fs::write(&file, text).unwrap();
    let mut command = program();
    command.env("AWS_CONFIG_FILE", &file).env("AWS_PROFILE", "dev").env("AWS_ENDPOINT_URL", aws.url());
    let running = ExporterProcess::start(&mut command);
    running.metrics_containing(&up(HUB, "ap-south-1", 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_profile_overrides_credentials_in_the_environment() {
    // The SDK's default chain uses the environment first, which would report the syncs of the wrong
    // account.
    let aws = fake_aws().await;
    aws.world().add_account(ACCOUNT);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("credentials");
    let text = format!(
        "[other]\nregion = eu-west-3\naws_access_key_id = {}\naws_secret_access_key = x\n",
        World::access_key(ACCOUNT)
    );
    std::fs::write(&file, text).unwrap();
    let mut command = program();
    with_ambient_credentials(&mut command, &aws)
        .env("AWS_SHARED_CREDENTIALS_FILE", &file)
        .env("AWS_REGION", "eu-north-1")
        .env("SSM_SYNC_EXPORTER_ACCOUNTS", "[{profile: other}]");
    let running = ExporterProcess::start(&mut command);
    running.metrics_containing(&up(ACCOUNT, "eu-west-3", 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_that_is_fixed_later_is_used() {
    // The SDK's own provider would read the file only once.
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("credentials");
    std::fs::write(&file, "").unwrap();
    let mut command = program();
    command
        .env("AWS_SHARED_CREDENTIALS_FILE", &file)
        .env("AWS_ENDPOINT_URL", aws.url())
        .env("SSM_SYNC_EXPORTER_INTERVAL", "1s")
        .env("SSM_SYNC_EXPORTER_ACCOUNTS", "[{profile: late, regions: [eu-west-1]}]");
    let running = ExporterProcess::start(&mut command);
    running.metrics_containing("reason=\"credentials\"").await;
    let text = format!("[late]\naws_access_key_id = {}\naws_secret_access_key = x\n", World::access_key(HUB));
    std::fs::write(&file, text).unwrap();
    running.metrics_containing(&up(HUB, "eu-west-1", 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_credentials_the_exporter_runs_and_reports_it() {
    let mut command = program();
    let running =
        ExporterProcess::start(command.env("AWS_REGION", REGION).args(["serve", "--log.format", "json"]));
    let metrics = running.metrics_containing("reason=\"credentials\"").await;
    assert!(
        metrics
            .contains("ssm_sync_exporter_target_up{aws_account_id=\"unknown\",aws_region=\"eu-west-1\"} 0")
    );
    let (status, _, log) = running.signal("INT");
    assert_eq!(status.code(), Some(0), "{log}");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let warnings: Vec<&Value> = lines.iter().filter(|line| line["level"] == "warn").collect();
    assert_eq!(warnings.len(), 1, "one warning, and none from the SDK: {log}");
    assert_eq!(warnings[0]["message"], "cannot obtain credentials");
    assert_eq!(warnings[0]["reason"], "credentials");
    assert_eq!(warnings[0]["source"], "default chain");
}

/// Writes a configuration of four accounts in three regions, with roles that the profile `hub` may
/// assume. Returns its path.
fn config_with_roles(aws: &FakeAws, directory: &Path) -> PathBuf {
    let mut config = "interval: 1s\nregions: [eu-west-1, eu-central-1, us-east-1]\naccounts:\n".to_owned();
    for account in ["100000000001", "100000000002", "100000000003", "100000000004"] {
        aws.world().add_role(account, ROLE, None);
        let role = format!("arn:aws:iam::{account}:role/{ROLE}");
        let entry = format!("  - {{profile: hub, assume_roles: [{{arn: '{role}'}}]}}\n");
        config += &entry;
    }
    let file = directory.join("config.yaml");
    std::fs::write(&file, config + &settings_for(aws, directory)).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credentials_error_of_many_targets_is_logged_once() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let file = config_with_roles(&aws, directory.path());
    // AWS does not know the key of the hub, so no role can be assumed.
    let credentials = directory.path().join("credentials");
    let text = std::fs::read_to_string(&credentials).unwrap();
    std::fs::write(&credentials, text.replace(&World::access_key(HUB), "AKIAUNKNOWN")).unwrap();
    let running =
        ExporterProcess::start(program().arg("--config.file").arg(&file).args(["--log.format", "json"]));
    // Wait until every target has failed twice.
    let all_fail = |metrics: &str| {
        let failures = Scrape(metrics.to_owned()).values("ssm_sync_exporter_target_consecutive_failures");
        failures.len() == 4 * 3 && failures.iter().all(|failures| *failures >= 2.0)
    };
    let metrics = running.metrics_when("failures of all targets", all_fail).await;
    let down = |line: &&str| line.starts_with("ssm_sync_exporter_target_down_reason{");
    let reasons: Vec<&str> = metrics.lines().filter(down).collect();
    assert_eq!(reasons.len(), 4 * 3, "{metrics}");
    assert!(reasons.iter().all(|line| line.contains("reason=\"credentials\"")), "{reasons:?}");
    let (_, _, log) = running.signal("TERM");
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("\"level\":\"warn\"")).collect();
    assert_eq!(warnings.len(), 1, "one warning for one access key: {log}");
    assert!(warnings[0].contains("cannot obtain credentials"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_is_denied_to_all_accounts_is_logged_a_few_times() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let file = config_with_roles(&aws, directory.path());
    let rule = FaultRule::new(Fault::DenyByScp).region("eu-central-1").operation("ListResourceDataSync");
    aws.world().set_faults(vec![rule]);
    let running =
        ExporterProcess::start(program().arg("--config.file").arg(&file).args(["--log.format", "json"]));
    let is_denied = |line: &&str| {
        line.starts_with("ssm_sync_exporter_target_down_reason{") && line.contains("reason=\"scp_denied\"")
    };
    let all_are_denied = |metrics: &str| metrics.lines().filter(is_denied).count() == 4;
    running.metrics_when("denied collections of all accounts", all_are_denied).await;
    let (_, _, log) = running.signal("TERM");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let warnings: Vec<_> = lines
        .iter()
        .filter(|line| line["level"] == "warn")
        .map(|line| {
            (line["message"].as_str().unwrap(), line["region"].as_str().unwrap(), line["accounts"].clone())
        })
        .collect();
    let denied = |accounts: u32| ("region unavailable, polling it rarely", "eu-central-1", json!(accounts));
    assert_eq!(warnings, [denied(1), denied(2), denied(4)], "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_role_is_logged_once_for_all_regions() {
    let aws = fake_aws().await;
    let directory = tempfile::tempdir().unwrap();
    let file = config_with_roles(&aws, directory.path());
    aws.world().add_denied_role("100000000003", ROLE);
    let running =
        ExporterProcess::start(program().arg("--config.file").arg(&file).args(["--log.format", "json"]));
    for region in ["eu-west-1", "eu-central-1", "us-east-1"] {
        running.metrics_containing(&up("100000000003", region, 0)).await;
        running.metrics_containing(&up("100000000004", region, 1)).await;
    }
    aws.world().add_role("100000000003", ROLE, None);
    for region in ["eu-west-1", "eu-central-1", "us-east-1"] {
        running.metrics_containing(&up("100000000003", region, 1)).await;
    }
    let (_, _, log) = running.signal("TERM");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let about: Vec<&Value> = lines.iter().filter(|line| line["source"] != Value::Null).collect();
    assert_eq!(about.len(), 2, "logged when it begins and when it ends: {log}");
    assert!(
        about.iter().all(|line| line["source"] == format!("arn:aws:iam::100000000003:role/{ROLE}")),
        "{log}"
    );
    assert_eq!(about[0]["reason"], "assume_role_denied");
    assert_eq!(about[1]["message"], "can obtain credentials again");
    assert_eq!(
        lines.iter().filter(|line| line["level"] == "warn").count(),
        1,
        "no further warning per target: {log}"
    );
    assert!(!log.contains("target recovered"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_stops_the_program_immediately() {
    let aws = fake_aws().await;
    let mut command = program();
    let running =
        ExporterProcess::start(with_ambient_credentials(&mut command, &aws).env("AWS_REGION", REGION));
    let mut stuck = tokio::net::TcpStream::connect(running.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stuck, b"GET /metr").await.unwrap();
    running.metrics().await;
    send("TERM", &running.process);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (status, took, log) = running.signal("TERM");
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.ends_with("ssm-sync-exporter: aborted by a second signal\n"), "{log}");
    assert!(
        took < Duration::from_secs(4),
        "without the second signal it would wait five seconds for the client"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stderr_of_a_credential_process_is_not_logged() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    let text = "[default]\nregion = eu-west-1\ncredential_process = /bin/sh -c \"echo vault-token-s.SECRET >&2; exit 1\"\n";
    std::fs::write(&file, text).unwrap();
    let running =
        ExporterProcess::start(program().env("AWS_CONFIG_FILE", &file).args(["--log.level", "debug"]));
    let metrics = running.metrics_containing("reason=\"credentials\"").await;
    let (_, _, log) = running.signal("TERM");
    assert!(log.contains("exited with code"), "{log}");
    assert!(!log.contains("SECRET") && !metrics.contains("SECRET"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_not_in_the_log_or_the_metrics() {
    let aws = fake_aws().await;
    aws.world().add_role("222233334444", ROLE, Some("right-external-id"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    let config = format!(
        "interval: 1s\nregions: [{REGION}]\naccounts:
  - {{profile: hub, assume_roles: [{{arn: 'arn:aws:iam::222233334444:role/{ROLE}', external_id: right-external-id}}]}}
  - {{profile: hub, assume_roles: [{{arn: 'arn:aws:iam::{ACCOUNT}:role/Missing', external_id: wrong-external-id}}]}}
"
    );
    std::fs::write(&file, config + &settings_for(&aws, directory.path())).unwrap();
    let running =
        ExporterProcess::start(program().arg("--config.file").arg(&file).args(["--log.level", "debug"]));
    let mut metrics = running.metrics_containing("reason=\"assume_role_denied\"").await;
    metrics +=
        &running.metrics_containing("aws_account_id=\"222233334444\",aws_region=\"eu-west-1\"} 1").await;
    let (_, _, log) = running.signal("TERM");
    assert!(log.contains("level=debug"), "{log}");
    // The secret key of the hub, the external ids, and the credentials that the fake issues.
    for secret in ["hub-secret", "external-id", "fake-secret", "fake-token"] {
        assert!(!log.contains(secret), "{secret}: {log}");
        assert!(!metrics.contains(secret), "{secret}: {metrics}");
    }
}

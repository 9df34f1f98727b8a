//! Runs the program in a process of its own: starts it, sends signals to it, and reads its metrics
//! and its log.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fake_aws::{FakeAws, World};

use crate::exporter::HUB;
use crate::{http, tools};

/// The program with a clean environment and without AWS configuration.
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

/// The program of the demo, which must have been built with `cargo build --workspace`.
pub(crate) fn demo_program() -> PathBuf {
    let demo = Path::new(env!("CARGO_BIN_EXE_ssm-sync-exporter")).with_file_name("demo");
    assert!(demo.exists(), "{} is missing; build it with `cargo build --workspace`", demo.display());
    demo
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
        Self::start_listening(command.args(["--web.listen-address", "127.0.0.1:0"]))
    }

    /// Starts the demo.
    pub(crate) fn demo() -> Self {
        Self::demo_with(&[])
    }

    /// Starts the demo with environment variables, which change its configuration.
    pub(crate) fn demo_with(environment: &[(&str, &str)]) -> Self {
        Self::start_listening(
            Command::new(demo_program()).arg("127.0.0.1:0").envs(environment.iter().copied()),
        )
    }

    /// Starts a command and reads its address from the log line `listening`.
    fn start_listening(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap());
        let process = tools::KillOnDrop(process);
        let mut log = String::new();
        let address = loop {
            let line_start = log.len();
            assert!(lines.read_line(&mut log).unwrap() > 0, "the program exited: {log}");
            let line = &log[line_start..];
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

    /// The resident memory, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    pub(crate) async fn metrics(&self) -> String {
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

    /// Sends a signal without waiting for its effect.
    pub(crate) fn send_signal(&self, name: &str) {
        send_signal(name, &self.process);
    }

    /// Stops the program with a signal. Returns its exit status, how long it took to stop, and its
    /// log.
    pub(crate) fn stop(mut self, signal: &str) -> (ExitStatus, Duration, String) {
        let sent = Instant::now();
        send_signal(signal, &self.process);
        let status = self.process.0.wait().unwrap();
        let took = sent.elapsed();
        self.log_reader.join().unwrap();
        let log = self.log.lock().unwrap().clone();
        (status, took, log)
    }
}

/// Sends a signal with the shell, because the program `kill` may not be installed.
pub(crate) fn send_signal(signal: &str, process: &tools::KillOnDrop) {
    let pid = process.0.id().to_string();
    let status = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", signal, &pid]).status().unwrap();
    assert!(status.success());
}

/// Sets the ambient credentials to those of the hub account, and the endpoint to the fake AWS.
pub(crate) fn with_ambient_credentials<'a>(command: &'a mut Command, aws: &FakeAws) -> &'a mut Command {
    command
        .env("AWS_ACCESS_KEY_ID", World::access_key(HUB))
        .env("AWS_SECRET_ACCESS_KEY", "ambient-secret")
        .env("AWS_ENDPOINT_URL", aws.url())
}

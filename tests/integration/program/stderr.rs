//! Tests of stderr that is not read, closed or full. None of these may stop the exporter or keep it
//! from ending.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, PipeReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use fake_aws::FakeAws;
use pretty_assertions::assert_eq;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::exporter::{REGION, Scrape, fake_aws};
use crate::http;
use crate::process::{program, run, send_signal, with_ambient_credentials};
use crate::tools::KillOnDrop;

const DROPPED: &str = "ssm_sync_exporter_log_lines_dropped_total";
const COLLECTIONS: &str = "ssm_sync_exporter_target_collections_total";

/// How long to wait before a process counts as hung.
const PATIENT: Duration = Duration::from_secs(30);

/// The program with a reader of stderr that has read the address and then paused.
struct WithPausedReader {
    process: KillOnDrop,
    address: SocketAddr,
    stderr: BufReader<PipeReader>,
    _aws: FakeAws,
}

impl WithPausedReader {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(environment: &[(&str, &OsStr)]) -> Self {
        let aws = fake_aws().await;
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = program();
        with_ambient_credentials(&mut command, &aws)
            .env("AWS_REGION", REGION)
            .env("SSM_SYNC_EXPORTER_INTERVAL", "1s")
            .envs(environment.iter().copied())
            .args(["--log.level=debug", "--web.listen-address=127.0.0.1:0"])
            .stderr(writer);
        let process = KillOnDrop(command.spawn().unwrap());
        drop(command);
        let mut stderr = BufReader::new(reader);
        let address = loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "the program exited");
            if line.contains("message=listening") {
                let (_, rest) = line.split_once(" address=").unwrap();
                break rest.split(' ').next().unwrap().parse().unwrap();
            }
        };
        Self { process, address, stderr, _aws: aws }
    }

    async fn values(&self, name: &str) -> f64 {
        let metrics = Scrape(http::request(self.address, "GET", "/metrics").await.body);
        metrics.values(name).iter().sum()
    }

    /// Makes requests, of which each is logged, until log lines are dropped. Gives up after more
    /// than enough requests.
    async fn overflow_the_log(&self) {
        const REQUESTS: usize = 500;
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        let requests = "GET /-/healthy HTTP/1.1\r\nHost: exporter\r\n\r\n".repeat(REQUESTS);
        let mut responses = vec![0; 64 * 1024];
        for _ in 0..40 {
            connection.write_all(requests.as_bytes()).await.unwrap();
            let mut answered = 0;
            let mut tail = Vec::new();
            while answered < REQUESTS {
                let read = tokio::time::timeout(PATIENT, connection.read(&mut responses)).await;
                let Ok(Ok(length @ 1..)) = read else { panic!("the exporter hangs: {read:?}") };
                tail.extend_from_slice(&responses[..length]);
                let text = String::from_utf8_lossy(&tail).into_owned();
                answered += text.matches("HTTP/1.1 200 OK").count();
                // The rest may be the beginning of a status line.
                tail = tail.split_off(text.rfind("HTTP/1.1 200 OK").map_or(0, |last| last + 1));
            }
            if self.values(DROPPED).await > 0.0 {
                return;
            }
        }
        panic!("no line was dropped");
    }

    async fn wait_for_collections(&self) {
        let before = self.values(COLLECTIONS).await;
        let deadline = Instant::now() + PATIENT;
        while self.values(COLLECTIONS).await < before + 2.0 {
            assert!(Instant::now() < deadline, "collections have stopped");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn terminate(&mut self) {
        send_signal("TERM", &self.process);
        assert_eq!(status_of(&mut self.process), Some(0));
    }
}

/// The exit status, or none if a signal killed the process. Panics if it hangs.
fn status_of(process: &mut KillOnDrop) -> Option<i32> {
    let deadline = Instant::now() + PATIENT;
    loop {
        if let Some(status) = process.0.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < deadline, "the process hangs");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Regression test: once the pipe was full, collections stopped and signals were ignored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_reader_of_stderr_does_not_stop_the_exporter() {
    let mut exporter = WithPausedReader::start().await;
    exporter.overflow_the_log().await;
    exporter.wait_for_collections().await;
    exporter.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_continues_with_the_reader_and_says_how_many_lines_are_missing() {
    let mut exporter = WithPausedReader::start().await;
    exporter.overflow_the_log().await;
    let dropped = exporter.values(DROPPED).await;
    let (process, address) = (exporter.process, exporter.address);
    let (sender, reports) = mpsc::channel();
    let reading = std::thread::spawn(move || {
        let mut log = Vec::new();
        for line in exporter.stderr.by_ref().lines() {
            let line = line.unwrap();
            if let Some((_, lines)) = line.split_once("message=\"log lines dropped\" lines=") {
                sender.send(lines.parse::<f64>().unwrap()).unwrap();
            }
            log.push(line);
        }
        log
    });
    let reported = reports.recv_timeout(PATIENT).unwrap();
    assert!(reported >= dropped, "{reported} of at least {dropped}");
    http::request(address, "GET", "/-/healthy?after").await;
    send_signal("TERM", &process);
    let mut process = process;
    assert_eq!(status_of(&mut process), Some(0));
    let log = reading.join().unwrap();
    for line in &log {
        assert!(line.starts_with("ts=") && line.matches(" level=").count() == 1, "not a whole line: {line}");
    }
    assert!(log.last().unwrap().ends_with("message=stopped"), "{log:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_pipe_as_stderr_does_not_stop_the_exporter() {
    let mut exporter = WithPausedReader::start().await;
    let (reader, _writer) = std::io::pipe().unwrap();
    drop(std::mem::replace(&mut exporter.stderr, BufReader::new(reader)));
    exporter.wait_for_collections().await;
    assert!(exporter.values(DROPPED).await > 0.0);
    exporter.terminate();
}

/// A pipe that is full, and is not read.
fn full_pipe() -> (PipeReader, std::io::PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut other_writer = writer.try_clone().unwrap();
    let (sender, filled) = mpsc::channel();
    std::thread::spawn(move || {
        // The capacity of a pipe, or less. In the latter case, this blocks until the end of the test.
        let _closed = other_writer.write_all(&vec![b'x'; 64 * 1024]);
        let _sent = sender.send(());
    });
    let _filled_or_blocked = filled.recv_timeout(Duration::from_secs(1));
    (reader, writer)
}

#[test]
fn an_error_before_the_start_ends_the_program_even_if_stderr_is_blocked() {
    for arguments in [&["--no-such-flag"][..], &["--config.file=/nonexistent.yaml"], &["--output=x"]] {
        let (_reader, writer) = full_pipe();
        let mut process = KillOnDrop(program().args(arguments).stderr(writer).spawn().unwrap());
        assert_eq!(status_of(&mut process), Some(2), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_writes_its_results_even_if_stderr_is_blocked_closed_or_full() {
    let aws = fake_aws().await;
    let once = |stderr: Stdio| {
        let mut command = program();
        with_ambient_credentials(&mut command, &aws)
            .env("AWS_REGION", REGION)
            .args(["once", "--log.level=debug"])
            .stdout(Stdio::piped())
            .stderr(stderr);
        command
    };
    let result = |mut command: Command| {
        let mut process = KillOnDrop(command.spawn().unwrap());
        // The results fit into the pipe.
        let status = status_of(&mut process);
        let out = std::io::read_to_string(process.0.stdout.take().unwrap()).unwrap();
        (status, Scrape(out).values("ssm_sync_exporter_target_up"))
    };
    let (reader, writer) = full_pipe();
    assert_eq!(tokio::task::block_in_place(|| result(once(writer.into()))), (Some(0), vec![1.0]));
    drop(reader);
    let (_, writer) = std::io::pipe().unwrap();
    assert_eq!(tokio::task::block_in_place(|| result(once(writer.into()))), (Some(0), vec![1.0]));
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert_eq!(tokio::task::block_in_place(|| result(once(full.into()))), (Some(0), vec![1.0]));
}

#[test]
fn without_stderr_the_exit_status_still_reports_the_error() {
    for redirection in ["2>&-", "2>/dev/full"] {
        let mut shell = Command::new("sh");
        let script = format!("exec \"$0\" --no-such-flag {redirection}");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_ssm-sync-exporter")]);
        assert_eq!(run(&mut shell), (Some(2), String::new(), String::new()), "{redirection}");
    }
}

#[test]
fn an_error_of_stdout_is_reported_on_stderr() {
    for argument in ["--version", "--help", "--config.check", "man", "config defaults"] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = program();
        command.args(argument.split(' ')).env("AWS_REGION", "eu-west-1");
        let output = command.stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{argument}");
        let error = String::from_utf8(output.stderr).unwrap();
        let expected = "ssm-sync-exporter: cannot write to stdout: No space left on device (os error 28)\n";
        assert_eq!(error, expected, "{argument}");
    }
}

/// tokio panics on an invalid value of this variable. Regression test: the panic was printed as
/// several lines between those of the log, with the value.
#[test]
fn a_panic_of_the_program_is_one_line_of_its_log() {
    for value in ["0", "hub-secret"] {
        let (status, out, err) = run(program()
            .env("TOKIO_WORKER_THREADS", value)
            .env("AWS_REGION", REGION)
            .args(["--log.format=json", "--web.listen-address=127.0.0.1:0"]));
        assert_eq!((status, out.as_str()), (Some(1), ""), "{err}");
        let line: Value = serde_json::from_str(&err).unwrap();
        assert_eq!((&line["level"], &line["message"]), (&"error".into(), &"panicked, which is a bug".into()));
        assert!(line["location"].as_str().unwrap().contains(".rs:"), "{err}");
        assert!(!err.contains("hub-secret"), "{err}");
    }
}

/// Regression test: the exporter waited forever for a service manager that had stopped to read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_manager_that_does_not_read_does_not_stop_the_exporter() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("notify");
    let _service_manager = UnixDatagram::bind(&socket).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect(&socket).unwrap();
    sender.set_nonblocking(true).unwrap();
    while sender.send(b"WATCHDOG=1").is_ok() {}

    let environment = [("NOTIFY_SOCKET", socket.as_os_str()), ("WATCHDOG_USEC", "1000000".as_ref())];
    let mut exporter = WithPausedReader::start_with(&environment).await;
    exporter.wait_for_collections().await;
    exporter.terminate();
    let log = std::io::read_to_string(exporter.stderr).unwrap();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("level=warn")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].contains("message=\"cannot notify the service manager\""), "{log}");
}

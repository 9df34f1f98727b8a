//! Tests with more connections than the exporter serves.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use pretty_assertions::assert_eq;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

use super::{TLS, WebFiles};
use crate::exporter::REGION;
use crate::http;
use crate::process::{ExporterProcess, program};

/// The number of connections of each kind.
const CONNECTIONS: usize = 1000;

/// The longest that a scrape may take, on any machine. The tests print the actual durations.
const TIMEOUT: Duration = Duration::from_secs(5);

const MAX_RESIDENT_BYTES: u64 = 100_000_000;

/// Connects and sends nothing.
async fn idle(address: SocketAddr, connected: UnboundedSender<()>) {
    let _stream = TcpStream::connect(address).await;
    let _ignored = connected.send(());
    std::future::pending::<()>().await;
}

/// Sends the head of a request, one byte per second. Reconnects when the connection is closed.
async fn drip(address: SocketAddr, connected: UnboundedSender<()>) {
    let mut ticks = interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        let Ok(mut stream) = TcpStream::connect(address).await else { continue };
        // The receiver is dropped once the flood has started.
        let _ignored = connected.send(());
        if stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ").await.is_err() {
            continue;
        }
        loop {
            ticks.tick().await;
            if stream.write_all(b"x").await.is_err() {
                break;
            }
        }
    }
}

/// Starts `number` connections of each kind. Returns once all of them have connected.
async fn flood(address: SocketAddr, number: usize) -> JoinSet<()> {
    let mut flood = JoinSet::new();
    let (connected, mut connects) = unbounded_channel();
    for _ in 0..number {
        flood.spawn(idle(address, connected.clone()));
        flood.spawn(drip(address, connected.clone()));
    }
    for _ in 0..2 * number {
        connects.recv().await.unwrap();
    }
    flood
}

/// The CPU time of a process, in ticks of 10 ms.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// The median, the 90th percentile and the maximum, as text.
fn percentiles(mut durations: Vec<Duration>) -> String {
    durations.sort();
    let last = durations.len() - 1;
    format!("{:?}, {:?}, {:?}", durations[last / 2], durations[last * 9 / 10], durations[last])
}

#[expect(clippy::print_stderr, reason = "prints measurements that depend on the machine")]
fn report(text: &str) {
    eprintln!("{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrapes_succeed_during_a_flood_of_idle_and_slow_connections() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let running = ExporterProcess::start(program().env("AWS_REGION", REGION));
    let flood = flood(running.address, CONNECTIONS).await;
    let (mut durations, mut peak) = (Vec::new(), 0);
    // Longer than the timeout for request headers.
    for _ in 0..60 {
        sleep(Duration::from_millis(200)).await;
        let before = Instant::now();
        let response = timeout(TIMEOUT, http::request(running.address, "GET", "/metrics")).await.unwrap();
        assert_eq!(response.status, 200);
        durations.push(before.elapsed());
        peak = peak.max(running.resident_bytes());
    }
    report(&format!("flood: scrapes took {}, peak {} kB resident", percentiles(durations), peak / 1000));
    assert!(peak < MAX_RESIDENT_BYTES, "{peak} bytes");
    drop(flood);
    let (status, _, log) = running.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.lines().count() < 20, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_handshakes_succeed_during_a_flood_of_connections_without_one() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let files = WebFiles::new(TLS);
    let running = ExporterProcess::start(
        program().env("AWS_REGION", REGION).arg("--web.config.file").arg(files.path("web.yaml")),
    );
    let _flood = flood(running.address, CONNECTIONS).await;
    let client = files.authority.client_config(None);
    let (mut durations, mut peak) = (Vec::new(), 0);
    for _ in 0..20 {
        sleep(Duration::from_millis(200)).await;
        let before = Instant::now();
        let handshake = super::certificates::connect(running.address, "127.0.0.1", &client);
        timeout(TIMEOUT, handshake).await.unwrap().unwrap();
        durations.push(before.elapsed());
        peak = peak.max(running.resident_bytes());
    }
    report(&format!("flood: handshakes took {}, peak {} kB resident", percentiles(durations), peak / 1000));
    assert!(peak < MAX_RESIDENT_BYTES, "{peak} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_file_descriptors_the_exporter_responds_and_does_not_spin() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "ulimit -n 16; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_ssm-sync-exporter")])
        .env_clear()
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_REGION", REGION);
    let running = ExporterProcess::start(&mut command);
    let flood = flood(running.address, 50).await;
    let (before, used) = (Instant::now(), cpu_ticks(running.pid()));
    let deadline = before + Duration::from_mins(1);
    let mut responses = 0;
    while responses < 5 {
        assert!(Instant::now() < deadline, "the exporter no longer responds");
        // The exporter may evict this connection to admit another.
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let sent = stream.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        let mut response = Vec::new();
        let read = timeout(
            Duration::from_secs(20),
            tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut response),
        );
        if sent.is_ok() && read.await.is_ok_and(|read| read.is_ok()) && response.starts_with(b"HTTP/1.1 200")
        {
            responses += 1;
        }
    }
    let used = cpu_ticks(running.pid()) - used;
    let cpu_share = used as f64 / 100.0 / before.elapsed().as_secs_f64();
    report(&format!(
        "no descriptors: {responses} responses in {:?}, {cpu_share:.2} of a core",
        before.elapsed()
    ));
    assert!(cpu_share < 0.5, "{cpu_share} of a core");
    drop(flood);
    let (status, _, log) = running.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(log.matches("cannot accept connections").count(), 1, "{log}");
    assert!(log.lines().count() < 20, "{log}");
}

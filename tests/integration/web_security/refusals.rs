//! Tests of the counter of refused requests, handshakes and connections.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use pretty_assertions::assert_eq;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::certificates::connect;
use super::limits::{exporter_with_large_body, stall};
use super::{SecuredExporter, TLS, WebFiles, users};
use crate::exporter::{REGION, Setup};
use crate::http;
use crate::process::{ExporterProcess, program};

const ANN: (&str, &str) = ("Authorization", "Basic YW5uOnNlY3JldA==");

/// The refusals by reason, without those that are 0.
fn refused(scrape: &str) -> BTreeMap<String, u64> {
    let samples = scrape.lines().filter_map(|line| {
        let rest = line.strip_prefix("ssm_sync_exporter_http_refused_total{reason=\"")?;
        let (reason, number) = rest.split_once("\"} ")?;
        Some((reason.to_owned(), number.parse().unwrap()))
    });
    let samples: BTreeMap<String, u64> = samples.collect();
    assert_eq!(
        samples.keys().map(String::as_str).collect::<Vec<_>>(),
        ["rate_limited", "tls_handshake", "too_many_connections", "too_many_requests", "unauthorized"],
        "all reasons are always exposed"
    );
    samples.into_iter().filter(|(_, number)| *number > 0).collect()
}

fn counts(expected: &[(&str, u64)]) -> BTreeMap<String, u64> {
    expected.iter().map(|(reason, number)| ((*reason).to_owned(), *number)).collect()
}

async fn scrape(address: SocketAddr) -> String {
    http::request_with(address, "GET", "/metrics", &[ANN]).await.body
}

/// Regression: refused requests left no trace in the metrics.
#[tokio::test]
async fn refused_requests_are_counted_by_reason() {
    let web = format!("rate_limit: {{interval: 1h, burst: 5}}\n{}", users());
    let SecuredExporter { exporter, files: _files, _aws } = SecuredExporter::start(&web).await;
    let address = exporter.address;
    assert_eq!(refused(&scrape(address).await), counts(&[]));
    for _ in 0..2 {
        assert_eq!(exporter.get("/metrics").await.status, 401);
    }
    let wrong = [("Authorization", "Basic YW5uOndyb25n")];
    assert_eq!(http::request_with(address, "GET", "/", &wrong).await.status, 401);
    // Neither an unknown path nor an exporter that is not ready is a refusal.
    assert_eq!(http::request_with(address, "GET", "/missing", &[ANN]).await.status, 404);
    assert_eq!(http::request_with(address, "POST", "/-/reload", &[ANN]).await.status, 403);
    assert_eq!(refused(&scrape(address).await), counts(&[("unauthorized", 4)]));
    let limited = http::request_with(address, "GET", "/", &[ANN]).await;
    assert_eq!(limited.status, 200, "the fifth request");
    assert_eq!(http::request_with(address, "GET", "/", &[ANN]).await.status, 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_handshakes_are_counted_and_port_scans_are_not() {
    let files = WebFiles::new(TLS);
    let setup = Setup { web_config_file: Some(files.path("web.yaml")), ..Setup::default() };
    let aws = crate::exporter::fake_aws().await;
    let exporter = crate::exporter::Exporter::start_with(&aws, &crate::exporter::one_target(), &setup).await;
    let client = files.authority.client_config(None);
    let scrape = async || {
        let mut stream = connect(exporter.address, "127.0.0.1", &client).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.unwrap();
        refused(&http::parse(&response).body)
    };
    // Port scans and TCP health checks: closed and reset.
    for reset in [false, true] {
        for _ in 0..5 {
            let stream = TcpStream::connect(exporter.address).await.unwrap();
            stream.set_zero_linger().unwrap();
            if !reset {
                socket2::SockRef::from(&stream).set_linger(None).unwrap();
            }
        }
    }
    // A client that does not trust the certificate.
    let stranger = WebFiles::new(TLS).authority.client_config(None);
    assert!(connect(exporter.address, "127.0.0.1", &stranger).await.is_err());
    // Plain HTTP, and bytes that are not a handshake.
    assert_eq!(http::request(exporter.address, "GET", "/metrics").await.status, 400);
    let mut stream = TcpStream::connect(exporter.address).await.unwrap();
    stream.write_all(b"\x01 no handshake").await.unwrap();
    let mut rest = Vec::new();
    let _read = stream.read_to_end(&mut rest).await;
    // The refused connections are recorded by tasks of their own.
    let deadline = Instant::now() + Duration::from_secs(30);
    while scrape().await != counts(&[("tls_handshake", 3)]) {
        assert!(Instant::now() < deadline, "{:?}", scrape().await);
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_refusals_is_counted_and_logged_in_few_lines() {
    let files = WebFiles::new(&users());
    let running = ExporterProcess::start(
        program().env("AWS_REGION", REGION).arg("--web.config.file").arg(files.path("web.yaml")),
    );
    for number in 0..50 {
        let path = format!("/attack-{number}%0a%1b[31m");
        assert_eq!(http::request(running.address, "GET", &path).await.status, 401);
    }
    assert_eq!(refused(&scrape(running.address).await), counts(&[("unauthorized", 50)]));
    let (status, _, log) = running.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("requests refused")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains("reason=unauthorized number=1 last_peer=127.0.0.1"), "{log}");
    assert!(lines[1].contains("reason=unauthorized number=49 last_peer=127.0.0.1"), "{log}");
    assert!(!log.contains("attack"), "{log}");
}

/// Regression: a scrape that was cancelled for another counted as a closed connection, or not at
/// all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_that_is_cancelled_for_another_is_counted() {
    let setup = Setup { max_requests: 1, ..Setup::default() };
    let (_aws, exporter) = exporter_with_large_body(&setup).await;
    exporter.wait_until_ready().await;
    let _stalled = stall(exporter.address).await.unwrap();
    assert_eq!(refused(&scrape(exporter.address).await), counts(&[("too_many_requests", 1)]));
}

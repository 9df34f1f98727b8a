//! Tests of clients that speak HTTP/1.0, such as `ab` and the health checks of load
//! balancers.

use std::time::Duration;

use pretty_assertions::assert_eq;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::exporter::{Exporter, Setup, fake_aws, one_target};
use crate::http;
use crate::tools;
use crate::web_security::{SecuredExporter, users};

const KEEP_ALIVE: &str = "Connection: Keep-Alive\r\n";

/// The response to a request, and whether the connection stays open after it.
async fn respond(exporter: &Exporter, request: &str) -> (http::Response, bool) {
    let mut stream = TcpStream::connect(exporter.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    let is_head = request.starts_with("HEAD ");
    loop {
        let read = timeout(Duration::from_secs(30), stream.read_buf(&mut received)).await.unwrap().unwrap();
        if read == 0 {
            return (http::parse(&received), false);
        }
        if !received.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
            continue;
        }
        let response = http::parse(&received);
        let Some(length) = response.header("content-length") else { continue };
        if response.header("connection") == Some("keep-alive")
            && (is_head || response.bytes.len() == length.parse::<usize>().unwrap())
        {
            // The connection serves another request.
            stream.write_all(b"GET /-/healthy HTTP/1.0\r\n\r\n").await.unwrap();
            let mut next = Vec::new();
            stream.read_to_end(&mut next).await.unwrap();
            assert!(next.starts_with(b"HTTP/1.0 "), "{request}");
            return (response, true);
        }
    }
}

/// Regression: the metrics were sent with `Connection: keep-alive` and without a length, so the
/// client waited for more until the connection timed out.
#[tokio::test]
async fn a_connection_is_kept_open_only_after_a_response_with_a_length() {
    let aws = fake_aws().await;
    let setup = Setup { lifecycle: true, ..Setup::default() };
    let exporter = Exporter::start_with(&aws, &one_target().replace("1s", "1h"), &setup).await;
    exporter.wait_until_ready().await;
    let tag = exporter.get("/api/v1/status").await.header("etag").unwrap().to_owned();
    for (request, headers, status, keeps_open) in [
        ("GET /-/healthy", "", 200, true),
        ("HEAD /-/healthy", "", 200, true),
        ("GET /-/ready", "", 200, true),
        ("GET /", "", 200, true),
        ("HEAD /", "", 200, true),
        ("GET /-/status.css", "", 200, true),
        ("GET /sync", "", 400, true),
        ("GET /missing", "", 404, true),
        ("GET //metrics", "", 307, true),
        ("PUT /metrics", "", 405, true),
        ("OPTIONS *", "", 200, true),
        ("POST /-/reload", "", 200, true),
        ("POST /-/reload", "Origin: null\r\n", 403, true),
        ("GET /metrics?collect[]=x", "", 400, true),
        ("GET /api/v1/status?limit=x", "", 400, true),
        ("GET /metrics", "", 200, false),
        ("GET /metrics", "Accept-Encoding: gzip\r\n", 200, false),
        ("GET /metrics", "Accept: application/openmetrics-text\r\nAccept-Encoding: zstd\r\n", 200, false),
        ("HEAD /metrics", "", 200, false),
        ("GET /api/v1/status", "", 200, false),
        ("GET /api/v1/status", "Accept-Encoding: gzip\r\n", 200, false),
        ("HEAD /api/v1/status", "", 200, false),
        ("GET /api/v1/status", &format!("If-None-Match: {tag}\r\n"), 304, false),
        ("GET /%", "", 400, false),
        ("GET /", "Host: a\r\nHost: b\r\n", 400, false),
    ] {
        let what = format!("{request} {headers}");
        let (response, stays_open) =
            respond(&exporter, &format!("{request} HTTP/1.0\r\n{KEEP_ALIVE}{headers}\r\n")).await;
        assert_eq!(response.status, status, "{what}");
        assert!(response.head.starts_with("HTTP/1.0 "), "{}", response.head);
        assert_eq!(response.header("transfer-encoding"), None, "{what}");
        let connection = response.header("connection").unwrap_or_default();
        assert_eq!(
            (stays_open, connection == "keep-alive"),
            (keeps_open, keeps_open),
            "{what}: {connection}"
        );
        assert!(!stays_open || response.header("content-length").is_some(), "{what}");
        // Without keep-alive, every response ends with the connection.
        let (response, stays_open) =
            respond(&exporter, &format!("{request} HTTP/1.0\r\n{headers}\r\n")).await;
        assert_eq!((response.status, stays_open), (status, false), "{what}");
        assert_eq!(response.header("transfer-encoding"), None, "{what}");
    }
    let (metrics, _) = respond(&exporter, &format!("GET /metrics HTTP/1.0\r\n{KEEP_ALIVE}\r\n")).await;
    assert!(metrics.body.ends_with("\nssm_sync_exporter_targets 1\n"), "the body is complete");
    // HTTP/1.1 needs no length.
    assert_eq!(exporter.get("/metrics").await.header("transfer-encoding"), Some("chunked"));
}

#[tokio::test]
async fn refused_requests_keep_the_connection_open_too() {
    let limit = "rate_limit: {interval: 1h, burst: 1}\n";
    let SecuredExporter { exporter, files: _files, _aws } =
        SecuredExporter::start(&format!("{}{limit}", users())).await;
    for status in [401, 429] {
        let (refused, stays_open) =
            respond(&exporter, &format!("GET /metrics HTTP/1.0\r\n{KEEP_ALIVE}\r\n")).await;
        assert_eq!((refused.status, stays_open), (status, true));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn ab_completes_all_requests_with_and_without_keep_alive() {
    const REQUESTS: usize = 20;
    let aws = fake_aws().await;
    let exporter = Exporter::start_ready(&aws, &one_target().replace("1s", "1h")).await;
    for (path, has_length) in [
        ("/metrics", false),
        ("/%6detrics", false),
        ("/api/v1/status", false),
        ("/-/healthy", true),
        ("/", true),
        ("/missing", true),
    ] {
        for options in [&["-k"][..], &["-k", "-i"], &["-k", "-H", "Accept-Encoding: gzip"], &[]] {
            let mut ab = tools::ab();
            // With -l, ab accepts that lengths differ, as those of the metrics do. With -s, it gives up
            // long before the exporter would close an idle connection.
            ab.args(["-l", "-s", "10", "-c", "4", "-n", &REQUESTS.to_string()]).args(options);
            ab.arg(format!("http://{}{path}", exporter.address));
            let output = tokio::task::spawn_blocking(move || ab.output().unwrap()).await.unwrap();
            let written = tools::written(&output);
            assert!(output.status.success(), "{path} {options:?}: {written}");
            let number = |name: &str| -> Option<usize> {
                written.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
            };
            assert_eq!(number("Complete requests:"), Some(REQUESTS), "{path} {options:?}: {written}");
            assert_eq!(number("Failed requests:"), Some(0), "{path} {options:?}: {written}");
            let kept_open = if has_length { REQUESTS } else { 0 };
            if options.contains(&"-k") {
                assert_eq!(number("Keep-Alive requests:"), Some(kept_open), "{path} {options:?}: {written}");
            }
        }
    }
}

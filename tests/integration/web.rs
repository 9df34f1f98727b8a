//! Tests of routes, methods, malformed requests and graceful shutdown.

mod http_1_0;
mod malformed;
mod paths;

use std::sync::Arc;
use std::time::Duration;

use fake_aws::{Fault, FaultRule};
use pretty_assertions::assert_eq;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::exporter::{Exporter, Setup, fake_aws, one_target};
use crate::http;

#[tokio::test]
async fn every_route_responds_as_documented() {
    let aws = fake_aws().await;
    let exporter = Exporter::start_ready(&aws, &one_target()).await;

    let metrics = exporter.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert_eq!(
        metrics.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8; escaping=underscores")
    );
    assert_eq!(metrics.header("vary"), Some("Accept, Accept-Encoding"));
    assert_eq!(metrics.header("content-encoding"), None);

    let healthy = exporter.get("/-/healthy").await;
    assert_eq!((healthy.status, healthy.body.as_str()), (200, "healthy\n"));
    let ready = exporter.get("/-/ready").await;
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));

    let page = exporter.get("/").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    for link in ["href=\"./metrics\"", "href=\"./-/healthy\"", "href=\"./-/ready\""] {
        assert!(page.body.contains(link), "{}", page.body);
    }
    for path in ["/metrics/", "/Metrics", "/-/", "/-/reload/", "/favicon.ico", "/..%2fmetrics"] {
        assert_eq!(exporter.get(path).await.status, 404, "{path}");
    }
    assert_eq!(exporter.get("/metrics?foo=bar").await.status, 200);
}

#[tokio::test]
async fn head_works_wherever_get_does_and_other_methods_are_refused() {
    let aws = fake_aws().await;
    let exporter = Exporter::start_ready(&aws, &one_target().replace("1s", "1h")).await;
    for path in ["/", "/metrics", "/-/healthy", "/-/ready", "/-/status.css", "/missing"] {
        let get = exporter.get(path).await;
        let head = http::request(exporter.address, "HEAD", path).await;
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert_eq!(head.body, "", "{path}");
        // The length of the metrics changes with every scrape.
        if path != "/metrics" {
            assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
            let refused = http::request(exporter.address, method, path).await;
            if path == "/missing" {
                assert_eq!(refused.status, 404, "{method} {path}");
            } else {
                assert_eq!(refused.status, 405, "{method} {path}");
                assert_eq!(refused.header("allow"), Some("GET, HEAD"), "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn the_telemetry_path_can_be_changed() {
    let aws = fake_aws().await;
    let at = |telemetry_path| Setup { telemetry_path, ..Setup::default() };
    let exporter = Exporter::start_with(&aws, &one_target(), &at("/ssm/metrics")).await;
    assert_eq!(exporter.get("/ssm/metrics").await.status, 200);
    assert_eq!(exporter.get("/metrics").await.status, 404);
    assert!(exporter.get("/").await.body.contains("href=\"./ssm/metrics\""));

    let at_root = Exporter::start_with(&aws, &one_target(), &at("/")).await;
    assert!(at_root.get("/").await.body.contains("ssm_sync_exporter_targets 1"));
}

#[tokio::test]
async fn the_not_ready_response_counts_the_targets_without_a_collection() {
    let aws = fake_aws().await;
    aws.world().set_faults(vec![FaultRule::new(Fault::Stall).region("us-east-1")]);
    let config = one_target().replace("16s", "1m").replace("[eu-west-1]", "[eu-west-1, us-east-1]")
        + "ready_after: 10s\n";
    let exporter = Exporter::start(&aws, &config).await;
    exporter
        .scrape_until(
            "ssm_sync_exporter_target_up{aws_account_id=\"111122223333\",aws_region=\"eu-west-1\"} 1",
        )
        .await;
    let ready = exporter.get("/-/ready").await;
    assert_eq!(
        (ready.status, ready.body.as_str()),
        (503, "not ready: 1 of 2 targets have not had their first collection\n")
    );
    assert_eq!(exporter.get("/-/healthy").await.status, 200);
    // `ready_after` passes before the collection of the slow target ends.
    exporter.wait_until_ready().await;
    assert_eq!(exporter.scrape().await.samples("ssm_sync_exporter_target_up").lines().count(), 1);
}

#[tokio::test]
async fn a_connection_is_reused_for_several_requests() {
    let aws = fake_aws().await;
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    let request = "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";
    let last = "GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let responses = http::raw(exporter.address, &format!("{request}{request}{last}")).await;
    // The client parses the first response, and takes the other two for its body.
    assert_eq!(responses.body.matches("HTTP/1.1 200 OK").count(), 2);
}

#[tokio::test]
async fn malformed_requests_are_refused_and_affect_no_other_connection() {
    let aws = fake_aws().await;
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    let too_many = "X-A: b\r\n".repeat(1000);
    let too_long = "b".repeat(100_000);
    for (text, status) in [
        ("GET\r\n\r\n".to_owned(), 400),
        ("\u{1}\u{2}\u{3}\r\n\r\n".to_owned(), 400),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{too_many}\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nHost: x\r\nX-A: {too_long}\r\n\r\n"), 431),
    ] {
        let mut stream = TcpStream::connect(exporter.address).await.unwrap();
        // The server may close the connection before it has read everything, and its
        // response may then be lost.
        let sent = stream.write_all(text.as_bytes()).await;
        let mut response = Vec::new();
        let read = stream.read_to_end(&mut response).await;
        if sent.is_ok() && read.is_ok() {
            assert_eq!(http::parse(&response).status, status, "{}", &text[..text.len().min(40)]);
        }
    }
    assert_eq!(exporter.get("/-/healthy").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_under_load_are_complete_at_shutdown() {
    let aws = fake_aws().await;
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    let address = exporter.address;
    let mut clients = JoinSet::new();
    let scraped = Arc::new(Barrier::new(16 + 1));
    for _ in 0..16 {
        let scraped = Arc::clone(&scraped);
        clients.spawn(async move {
            let mut complete = 0;
            // Scrapes until connections are refused. Every response that begins must be
            // complete.
            while let Ok(mut stream) = TcpStream::connect(address).await {
                let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
                let mut response = Vec::new();
                if stream.write_all(request.as_bytes()).await.is_err()
                    || stream.read_to_end(&mut response).await.is_err()
                    || response.is_empty()
                {
                    // The kernel completed the connection, but the server never accepted it.
                    continue;
                }
                // With chunked encoding, parsing fails if the last chunk is missing.
                assert_eq!(http::parse(&response).header("transfer-encoding"), Some("chunked"));
                complete += 1;
                if complete == 1 {
                    scraped.wait().await;
                }
            }
            complete
        });
    }
    scraped.wait().await;
    let before = Instant::now();
    exporter.shut_down();
    exporter.ended().await.unwrap().unwrap();
    assert!(before.elapsed() < Duration::from_secs(10));
    for complete in clients.join_all().await {
        assert!(complete > 0);
    }
}

#[tokio::test]
async fn idle_and_stuck_clients_do_not_delay_shutdown() {
    let aws = fake_aws().await;
    let exporter = Exporter::start_ready(&aws, &one_target()).await;
    let mut idle = TcpStream::connect(exporter.address).await.unwrap();
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 17];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK\r\n");
    let mut stuck = TcpStream::connect(exporter.address).await.unwrap();
    stuck.write_all(b"GET /metr").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    exporter.shut_down();
    timeout(Duration::from_secs(10), exporter.ended()).await.expect("within ten seconds").unwrap().unwrap();
}

//! Tests of the rate limit, the limit on scrapes, timeouts and shutdown, and of `--config.check`
//! for the web configuration.

use std::time::Duration;

use fake_aws::{FakeAws, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::json;
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, interval, timeout};
use tokio_rustls::client::TlsStream;

use super::certificates::connect;
use super::{SecuredExporter, TLS, WebFiles, users};
use crate::consistency::regions;
use crate::exporter::{Exporter, REGION, Setup, fake_aws, one_target};

/// The longest wait for anything. Only a failing test waits that long.
const TIMEOUT: Duration = Duration::from_mins(1);

#[tokio::test]
async fn requests_beyond_the_rate_limit_get_429_with_the_configured_headers() {
    let web =
        "rate_limit: {interval: 1h, burst: 3}\nhttp_server_config: {headers: {X-Frame-Options: deny}}\n";
    let SecuredExporter { exporter, files: _files, _aws } =
        SecuredExporter::start(&format!("{web}{}", users())).await;
    for (path, expected) in [("/-/healthy", 401), ("/missing", 401), ("/metrics", 401), ("/-/healthy", 429)] {
        let response = exporter.get(path).await;
        assert_eq!(response.status, expected, "{path}");
        assert_eq!(response.header("x-frame-options"), Some("deny"), "{path}");
    }
}

/// Regression: without passwords, probes could not be exempted from the rate limit, so a flood of
/// requests made them fail.
#[tokio::test]
async fn probes_can_be_exempted_from_the_rate_limit_without_passwords() {
    let web = "rate_limit: {interval: 1h, burst: 1}\nauth_excluded_paths: [/-/healthy]\n";
    let SecuredExporter { exporter, files: _files, _aws } = SecuredExporter::start(web).await;
    while exporter.get("/metrics").await.status != 429 {}
    for _ in 0..20 {
        assert_eq!(exporter.get("/-/healthy").await.status, 200);
    }
    assert_eq!(exporter.get("/-/ready").await.status, 429, "only the listed paths are exempt");
}

#[tokio::test]
async fn a_rate_limit_interval_of_zero_disables_the_limit() {
    let SecuredExporter { exporter, files: _files, _aws } =
        SecuredExporter::start("rate_limit: {interval: 0s, burst: 1}\n").await;
    for _ in 0..20 {
        assert_eq!(exporter.get("/-/healthy").await.status, 200);
    }
}

/// Requests the metrics and reads only the first line of the response.
async fn stall(exporter: &Exporter) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    // A small buffer, so that the kernel does not receive the whole body.
    socket.set_recv_buffer_size(4096).unwrap();
    SockRef::from(&socket).set_tcp_mss(1024).unwrap();
    let mut stream = socket.connect(exporter.address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 17];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK\r\n");
    stream
}

/// Starts an exporter whose metrics do not fit in the buffers between it and a client.
async fn exporter_with_large_body(setup: &Setup) -> (FakeAws, Exporter) {
    let aws = fake_aws().await;
    let sync =
        |number| json!({"SyncName": format!("sync-{number:05}"), "LastStatus": "Failed", "LastSyncTime": 1});
    aws.world().set_default_syncs(SyncKind::ToDestination, (0..250).map(sync).collect());
    let config = one_target()
        .replace("interval: 1s", "interval: 1h")
        .replace(&format!("[{REGION}]"), &format!("[{}]", regions().join(", ")));
    let exporter = Exporter::start_with(&aws, &config, setup).await;
    (aws, exporter)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrapes_beyond_the_limit_get_503_until_a_stalled_one_times_out() {
    let (_aws, exporter) = exporter_with_large_body(&Setup { max_requests: 2, ..Setup::default() }).await;
    exporter.wait_until_ready().await;
    let size = exporter.scrape().await.0.len();
    assert!(size > 8_000_000, "a body of {size} bytes could fit in buffers");

    let before = Instant::now();
    let mut first = stall(&exporter).await;
    let _second = stall(&exporter).await;
    let rejected = exporter.get("/metrics").await;
    assert_eq!(
        (rejected.status, rejected.body.as_str()),
        (503, "too many concurrent scrapes; see --web.max-requests\n")
    );
    assert_eq!(rejected.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(exporter.get("/-/healthy").await.status, 200);

    exporter
        .wait_for("a free scrape permit", async || {
            let response = crate::http::request(exporter.address, "HEAD", "/metrics").await;
            (response.status == 200).then_some(())
        })
        .await;
    assert!(before.elapsed() > Duration::from_secs(10));
    // The oldest scrape was aborted.
    let mut rest = Vec::new();
    let read = timeout(TIMEOUT, first.read_to_end(&mut rest)).await.unwrap();
    assert!(read.is_err() || !rest.ends_with(b"0\r\n\r\n"), "the body must be incomplete");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_request_head_times_out_and_an_idle_connection_does_not() {
    let SecuredExporter { exporter, files: _files, _aws } = SecuredExporter::start("").await;
    let mut idle = TcpStream::connect(exporter.address).await.unwrap();
    let slow = TcpStream::connect(exporter.address).await.unwrap();
    let (mut reader, mut writer) = slow.into_split();
    let before = Instant::now();
    let drip = async {
        writer.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let mut ticks = interval(Duration::from_millis(500));
        loop {
            ticks.tick().await;
            if writer.write_all(b"X").await.is_err() {
                return;
            }
        }
    };
    let mut rest = Vec::new();
    let closed = async {
        // The connection may be closed or reset.
        let _read = reader.read_to_end(&mut rest).await;
    };
    tokio::select! {
        () = drip => {}
        () = closed => {}
        () = tokio::time::sleep(TIMEOUT) => panic!("the connection is still open"),
    }
    assert!(before.elapsed() > Duration::from_secs(9));
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut response = Vec::new();
    timeout(TIMEOUT, idle.read_to_end(&mut response)).await.unwrap().unwrap();
    assert_eq!(crate::http::parse(&response).status, 200);
}

/// The frame types of HTTP/2 that the tests wait for.
const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// Opens an HTTP/2 connection that never sends a window update.
async fn http2(exporter: &Exporter, files: &WebFiles) -> TlsStream<TcpStream> {
    let mut client = (*files.authority.client_config(None)).clone();
    client.alpn_protocols = vec![b"h2".to_vec()];
    let mut stream = connect(exporter.address, "127.0.0.1", &client.into()).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    stream
}

/// Reads a frame. Returns its type, or `None` at the end of the connection.
async fn read_frame(stream: &mut TlsStream<TcpStream>) -> Option<u8> {
    let mut head = [0; 9];
    timeout(TIMEOUT, stream.read_exact(&mut head)).await.unwrap().ok()?;
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    stream.read_exact(&mut vec![0; length]).await.ok()?;
    Some(head[3])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_scrape_over_http2_times_out_and_frees_its_permit() {
    let files = WebFiles::new(TLS);
    let setup = Setup { max_requests: 1, web_config_file: Some(files.path("web.yaml")), ..Setup::default() };
    let (_aws, exporter) = exporter_with_large_body(&setup).await;
    let client = files.authority.client_config(None);
    let status = async |method: &str, path: &str| {
        let mut stream = connect(exporter.address, "127.0.0.1", &client).await.unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        timeout(TIMEOUT, stream.read_to_end(&mut response)).await.unwrap().unwrap();
        crate::http::parse(&response).status
    };
    let until_ok = async |method: &str, path: &str| {
        let deadline = Instant::now() + TIMEOUT;
        while status(method, path).await != 200 {
            assert!(Instant::now() < deadline, "timed out waiting for {path}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    until_ok("GET", "/-/ready").await;

    let mut stuck = http2(&exporter, &files).await;
    // HEADERS of GET https://x/metrics.
    let head = b"\x82\x87\x44\x08/metrics\x41\x01x";
    send_headers(&mut stuck, head).await;
    while read_frame(&mut stuck).await.unwrap() != DATA {}
    let before = Instant::now();
    assert_eq!(status("GET", "/metrics").await, 503);
    until_ok("HEAD", "/metrics").await;
    assert!(before.elapsed() > Duration::from_secs(9));
    while read_frame(&mut stuck).await.is_some() {}
}

/// Sends a HEADERS frame on stream 1 that ends the request.
async fn send_headers(stream: &mut TlsStream<TcpStream>, head: &[u8]) {
    let length = u8::try_from(head.len()).unwrap();
    let frame = [&[0, 0, length, 1, 5, 0, 0, 0, 1], head].concat();
    stream.write_all(&frame).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_sends_goaway_to_http2_clients() {
    let SecuredExporter { exporter, files, _aws } = SecuredExporter::start(TLS).await;
    let mut stream = http2(&exporter, &files).await;
    assert_eq!(read_frame(&mut stream).await, Some(SETTINGS));
    exporter.shut_down();
    while read_frame(&mut stream).await.expect("GOAWAY before the end") != GOAWAY {}
    timeout(Duration::from_secs(10), exporter.ended()).await.expect("within ten seconds").unwrap().unwrap();
}

#[test]
fn config_check_validates_the_web_configuration_file() {
    let files = WebFiles::new("basic_auth_users: {}\n");
    let file = files.path("web.yaml");
    let check = |arguments: &[&str]| {
        let mut command = crate::process::program();
        crate::process::run(command.args(arguments).arg("--web.config.file").arg(&file))
    };
    let (status, out, err) = check(&["--config.check"]);
    assert_eq!((status, out.as_str(), err.as_str()), (Some(0), "the configuration is valid\n", ""));
    files.write("web.yaml", &users());
    let (status, out, _) = check(&["--config.check"]);
    assert_eq!(status, Some(0));
    assert!(out.starts_with("warning: basic_auth_users is set without tls_server_config"), "{out}");

    files.write("web.yaml", "tls_server_config:\n  cert_file: missing.crt\n  key_file: server.key\n");
    for arguments in [&["--config.check"][..], &["--web.listen-address", "127.0.0.1:0"]] {
        let (status, out, err) = check(arguments);
        assert_eq!((status, out.as_str()), (Some(2), ""));
        assert_eq!(
            err,
            format!(
                "ssm-sync-exporter: {}:2:14: tls_server_config.cert_file: cannot read {}: No such file or directory (os error 2)\n",
                file.display(),
                files.path("missing.crt").display()
            )
        );
    }
    let (status, _, err) = crate::process::run(crate::process::program().args([
        "--web.config.file",
        "/nonexistent.yaml",
        "--config.check",
    ]));
    assert_eq!(status, Some(2));
    assert_eq!(
        err,
        "ssm-sync-exporter: cannot read the configuration file /nonexistent.yaml: No such file or directory (os error 2)\n"
    );
}

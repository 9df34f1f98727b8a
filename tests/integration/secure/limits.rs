//! How much one may ask for.

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
use super::{Files, Secured, TLS, users};
use crate::exporter::{Exporter, REGION, Setup, fake_aws, one_target};
use crate::fire::regions;

/// How long to wait for what should happen soon. Only a failing test waits this
/// long.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn requests_beyond_the_limit_are_refused_and_have_the_headers_too() {
    let web =
        "rate_limit: {interval: 1h, burst: 3}\nhttp_server_config: {headers: {X-Frame-Options: deny}}\n";
    let Secured { exporter, files: _files, _aws } = Secured::start(&format!("{web}{}", users())).await;
    for (path, expected) in [("/-/healthy", 401), ("/missing", 401), ("/metrics", 401), ("/-/healthy", 429)] {
        let answer = exporter.get(path).await;
        assert_eq!(answer.status, expected, "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("deny"), "{path}");
    }
}

/// A flood of others made a probe that found no room call the exporter dead, and without
/// passwords nothing could be excepted.
#[tokio::test]
async fn health_checks_can_be_excepted_from_the_limit_without_passwords() {
    let web = "rate_limit: {interval: 1h, burst: 1}\nauth_excluded_paths: [/-/healthy]\n";
    let Secured { exporter, files: _files, _aws } = Secured::start(web).await;
    while exporter.get("/metrics").await.status != 429 {}
    for _ in 0..20 {
        assert_eq!(exporter.get("/-/healthy").await.status, 200);
    }
    assert_eq!(exporter.get("/-/ready").await.status, 429, "only what is named");
}

#[tokio::test]
async fn an_interval_of_zero_is_no_limit() {
    let Secured { exporter, files: _files, _aws } =
        Secured::start("rate_limit: {interval: 0s, burst: 1}\n").await;
    for _ in 0..20 {
        assert_eq!(exporter.get("/-/healthy").await.status, 200);
    }
}

/// Asks for the metrics and takes no more than the head.
async fn stall(exporter: &Exporter) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    // The system must not take the whole body for us.
    socket.set_recv_buffer_size(4096).unwrap();
    SockRef::from(&socket).set_tcp_mss(1024).unwrap();
    let mut stream = socket.connect(exporter.address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 17];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK\r\n");
    stream
}

/// An exporter that has more to tell than all that lies between it and a client
/// holds.
async fn with_much_to_tell(setup: &Setup) -> (FakeAws, Exporter) {
    let aws = fake_aws().await;
    let sync =
        |number| json!({"SyncName": format!("sync-{number:05}"), "LastStatus": "Failed", "LastSyncTime": 1});
    aws.world().set_everywhere(SyncKind::ToDestination, (0..250).map(sync).collect());
    let config = one_target()
        .replace("interval: 1s", "interval: 1h")
        .replace(&format!("[{REGION}]"), &format!("[{}]", regions().join(", ")));
    let exporter = Exporter::start_with(&aws, &config, setup).await;
    (aws, exporter)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrapes_beyond_the_limit_are_refused_until_one_has_taken_too_long() {
    let (_aws, exporter) = with_much_to_tell(&Setup { max_requests: 2, ..Setup::default() }).await;
    exporter.wait_until_ready().await;
    let size = exporter.scrape().await.0.len();
    assert!(size > 8_000_000, "{size} is little enough to go unnoticed");

    let before = Instant::now();
    let mut first = stall(&exporter).await;
    let _second = stall(&exporter).await;
    let refused = exporter.get("/metrics").await;
    assert_eq!((refused.status, refused.body.as_str()), (503, "too many scrapes are under way\n"));
    assert_eq!(refused.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(exporter.get("/-/healthy").await.status, 200);

    exporter
        .wait_for("a place", async || {
            let answer = crate::http::request(exporter.address, "HEAD", "/metrics").await;
            (answer.status == 200).then_some(())
        })
        .await;
    assert!(before.elapsed() > Duration::from_secs(10));
    // It is the oldest that has been cut.
    let mut rest = Vec::new();
    let read = timeout(PATIENCE, first.read_to_end(&mut rest)).await.unwrap();
    assert!(read.is_err() || !rest.ends_with(b"0\r\n\r\n"), "the body is not whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_gets_nowhere_is_cut_and_an_idle_connection_is_not() {
    let Secured { exporter, files: _files, _aws } = Secured::start("").await;
    let mut idle = TcpStream::connect(exporter.address).await.unwrap();
    let slow = TcpStream::connect(exporter.address).await.unwrap();
    let (mut from, mut to) = slow.into_split();
    let before = Instant::now();
    let drip = async {
        to.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let mut ticks = interval(Duration::from_millis(500));
        loop {
            ticks.tick().await;
            if to.write_all(b"X").await.is_err() {
                return;
            }
        }
    };
    let mut rest = Vec::new();
    let cut = async {
        // Closed in good order or not.
        let _read = from.read_to_end(&mut rest).await;
    };
    tokio::select! {
        () = drip => {}
        () = cut => {}
        () = tokio::time::sleep(PATIENCE) => panic!("it is not cut"),
    }
    assert!(before.elapsed() > Duration::from_secs(9));
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, idle.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert_eq!(crate::http::parse(&answer).status, 200);
}

/// Kinds of frames of HTTP/2.
const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// A connection over HTTP/2 that never gives room for more than it does at first.
async fn http2(exporter: &Exporter, files: &Files) -> TlsStream<TcpStream> {
    let mut client = (*files.authority.client(None)).clone();
    client.alpn_protocols = vec![b"h2".to_vec()];
    let mut stream = connect(exporter.address, "127.0.0.1", &client.into()).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    stream
}

/// The kind of the next frame, or none at the end.
async fn frame(stream: &mut TlsStream<TcpStream>) -> Option<u8> {
    let mut head = [0; 9];
    timeout(PATIENCE, stream.read_exact(&mut head)).await.unwrap().ok()?;
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    stream.read_exact(&mut vec![0; length]).await.ok()?;
    Some(head[3])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_over_http2_that_gives_no_room_gives_its_place_up_too() {
    let files = Files::new(TLS);
    let setup = Setup { max_requests: 1, web_config_file: Some(files.path("web.yaml")), ..Setup::default() };
    let (_aws, exporter) = with_much_to_tell(&setup).await;
    let client = files.authority.client(None);
    let status = async |method: &str, path: &str| {
        let mut stream = connect(exporter.address, "127.0.0.1", &client).await.unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        crate::http::parse(&answer).status
    };
    let until_good = async |method: &str, path: &str| {
        let deadline = Instant::now() + PATIENCE;
        while status(method, path).await != 200 {
            assert!(Instant::now() < deadline, "waited in vain for {path}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    until_good("GET", "/-/ready").await;

    let mut stuck = http2(&exporter, &files).await;
    // GET https://x/metrics, and nothing after it.
    let head = b"\x82\x87\x44\x08/metrics\x41\x01x";
    stream_head(&mut stuck, head).await;
    while frame(&mut stuck).await.unwrap() != DATA {}
    let before = Instant::now();
    assert_eq!(status("GET", "/metrics").await, 503);
    until_good("HEAD", "/metrics").await;
    assert!(before.elapsed() > Duration::from_secs(9));
    while frame(&mut stuck).await.is_some() {}
}

/// Sends the head of the first request, which is the whole of it.
async fn stream_head(stream: &mut TlsStream<TcpStream>, head: &[u8]) {
    let length = u8::try_from(head.len()).unwrap();
    let frame = [&[0, 0, length, 1, 5, 0, 0, 0, 1], head].concat();
    stream.write_all(&frame).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_over_http2_is_told_when_it_ends() {
    let Secured { exporter, files, _aws } = Secured::start(TLS).await;
    let mut stream = http2(&exporter, &files).await;
    assert_eq!(frame(&mut stream).await, Some(SETTINGS));
    exporter.shut_down();
    while frame(&mut stream).await.expect("it is told") != GOAWAY {}
    timeout(Duration::from_secs(10), exporter.ended()).await.expect("within ten seconds").unwrap().unwrap();
}

#[test]
fn the_web_file_is_checked_with_the_rest() {
    let files = Files::new("basic_auth_users: {}\n");
    let file = files.path("web.yaml");
    let check = |arguments: &[&str]| {
        let mut command = crate::program::program();
        crate::program::run(command.args(arguments).arg("--web.config.file").arg(&file))
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
    let (status, _, err) = crate::program::run(crate::program::program().args([
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

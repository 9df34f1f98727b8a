//! How much one may ask for.

use std::time::Duration;

use fake_aws::SyncKind;
use pretty_assertions::assert_eq;
use serde_json::json;
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, interval, timeout};

use super::{Files, Secured, users};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrapes_beyond_the_limit_are_refused_until_one_has_taken_too_long() {
    let aws = fake_aws().await;
    // More than all that lies between us and the client holds.
    let sync =
        |number| json!({"SyncName": format!("sync-{number:05}"), "LastStatus": "Failed", "LastSyncTime": 1});
    aws.world().set_everywhere(SyncKind::ToDestination, (0..250).map(sync).collect());
    let setup = Setup { max_requests: 2, ..Setup::default() };
    let config = one_target()
        .replace("interval: 1s", "interval: 1h")
        .replace(&format!("[{REGION}]"), &format!("[{}]", regions().join(", ")));
    let exporter = Exporter::start_with(&aws, &config, &setup).await;
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

#[test]
fn the_web_file_is_checked_with_the_rest() {
    let files = Files::new("basic_auth_users: {}\n");
    let file = files.path("web.yaml");
    let check = |arguments: &[&str]| {
        let mut command = crate::program::program();
        crate::program::run(command.args(arguments).arg("--web.config.file").arg(&file))
    };
    let (status, out, err) = check(&["--config.check"]);
    assert_eq!((status, out.as_str(), err.as_str()), (Some(0), "the configuration is good\n", ""));
    files.write("web.yaml", &users());
    let (status, out, _) = check(&["--config.check"]);
    assert_eq!(status, Some(0));
    assert!(out.starts_with("warning: basic_auth_users without tls_server_config: "), "{out}");

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

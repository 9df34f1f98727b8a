//! Tests of the rate limit, the limit on scrapes, timeouts and shutdown, and of `--config.check`
//! for the web configuration.

use std::net::SocketAddr;
use std::time::Duration;

use fake_aws::{FakeAws, SyncKind};
use pretty_assertions::assert_eq;
use serde_json::json;
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use super::http2::{DEFAULT_WINDOW, GOAWAY, Http2, SETTINGS};
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

/// Requests the metrics and reads only the first line of the response. `None` if the connection
/// fails, or the response is not the metrics.
pub(super) async fn stall(address: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    // A small buffer, so that the kernel does not receive the whole body.
    socket.set_recv_buffer_size(4096).ok()?;
    SockRef::from(&socket).set_tcp_mss(1024).ok()?;
    let mut stream = socket.connect(address).await.ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.ok()?;
    let mut first = [0; 17];
    stream.read_exact(&mut first).await.ok()?;
    (&first == b"HTTP/1.1 200 OK\r\n").then_some(stream)
}

/// Starts an exporter whose metrics do not fit in the buffers between it and a client.
pub(super) async fn exporter_with_large_body(setup: &Setup) -> (FakeAws, Exporter) {
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

/// Reads a steady megabyte per second or so until the task is aborted.
async fn read_steadily(mut stream: TcpStream) {
    let mut ticks = interval(Duration::from_millis(100));
    let mut buffer = vec![0; 100_000];
    loop {
        ticks.tick().await;
        stream.read_exact(&mut buffer).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_scrape_makes_room_for_another_and_one_that_progresses_does_not() {
    let (_aws, exporter) = exporter_with_large_body(&Setup { max_requests: 2, ..Setup::default() }).await;
    exporter.wait_until_ready().await;
    let size = exporter.scrape().await.0.len();
    assert!(size > 8_000_000, "a body of {size} bytes could fit in buffers");

    let mut active = JoinSet::new();
    active.spawn(read_steadily(stall(exporter.address).await.unwrap()));
    active.spawn(read_steadily(stall(exporter.address).await.unwrap()));
    let before = Instant::now();
    let rejected = exporter.get("/metrics").await;
    assert_eq!(
        (rejected.status, rejected.body.as_str()),
        (503, "too many concurrent scrapes; see --web.max-requests\n")
    );
    assert!(before.elapsed() >= Duration::from_secs(5), "a place might become free");
    assert_eq!(rejected.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(rejected.header("retry-after"), Some("1"));
    assert_eq!(exporter.get("/-/healthy").await.status, 200);
    assert!(active.try_join_next().is_none(), "neither of them was aborted");
    active.shutdown().await;

    let mut first = stall(exporter.address).await.unwrap();
    let _second = stall(exporter.address).await.unwrap();
    assert_eq!(exporter.get("/metrics").await.status, 200);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_sends_goaway_to_http2_clients() {
    let SecuredExporter { exporter, files, _aws } = SecuredExporter::start(TLS).await;
    let mut client = Http2::connect(exporter.address, &files, DEFAULT_WINDOW).await;
    client.wait_for(SETTINGS).await;
    exporter.shut_down();
    client.wait_for(GOAWAY).await;
    timeout(Duration::from_secs(10), exporter.ended()).await.expect("within ten seconds").unwrap().unwrap();
}

#[test]
fn config_check_validates_the_web_configuration_file() {
    let files = WebFiles::new("basic_auth_users: {}\n");
    let file = files.path("web.yaml");
    let check = |arguments: &[&str]| {
        let mut command = crate::process::program();
        command.args(arguments).env("AWS_REGION", "eu-west-1");
        crate::process::run_check(command.arg("--web.config.file").arg(&file))
    };
    let (status, out, err) = check(&["--config.check"]);
    assert_eq!((status, out.as_str(), err.as_str()), (Some(0), "the configuration is valid\n", ""));
    files.write("web.yaml", &users());
    let (status, out, _) = check(&["--config.check"]);
    assert_eq!(status, Some(0));
    assert!(out.contains("\nwarning: basic_auth_users is set without tls_server_config"), "{out}");

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

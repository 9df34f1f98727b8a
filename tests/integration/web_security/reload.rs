//! Tests that changed certificates, passwords and web configurations take effect without a restart.

use std::time::Duration;

use pretty_assertions::assert_eq;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::certificates::connect;
use super::{SecuredExporter, TLS, WebFiles, hash, users};
use crate::exporter::REGION;
use crate::http;
use crate::process::{ExporterProcess, program};

/// The longest wait for anything. Only a failing test waits that long.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Waits until an attempt succeeds.
async fn until(what: &str, mut attempt: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !attempt().await {
        assert!(Instant::now() < deadline, "timed out waiting for {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_used_for_new_connections() {
    let SecuredExporter { exporter, files, _aws } = SecuredExporter::start(TLS).await;
    let client = files.authority.client_config(None);
    let served = async || {
        let stream = connect(exporter.address, "127.0.0.1", &client).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    };
    let on_disk =
        || CertificateDer::from_pem_slice(&std::fs::read(files.path("server.crt")).unwrap()).unwrap();
    let first = on_disk();
    assert_eq!(served().await, first);

    let mut idle = connect(exporter.address, "127.0.0.1", &client).await.unwrap();
    files.renew_server_certificate("renewed.example");
    let second = on_disk();
    until("the new certificate", async || served().await == second).await;
    // Idle connections with the old certificate are closed.
    let mut rest = Vec::new();
    let ended = timeout(TIMEOUT, idle.read_to_end(&mut rest)).await.expect("the idle connection is closed");
    assert_eq!((ended.is_ok(), rest.len()), (true, 0));
}

/// The status of a request with this password on a keep-alive connection.
async fn status(stream: &mut TcpStream, password: &str) -> u16 {
    let credentials = base64(&format!("ann:{password}"));
    let head = format!("GET /missing HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {credentials}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    // The connection stays open, so the last line of the body marks the end.
    while !response.ends_with(b"not found\n") && !response.ends_with(b"Unauthorized\n") {
        response.push(timeout(TIMEOUT, stream.read_u8()).await.unwrap().unwrap());
    }
    http::parse(&response).status
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_password_applies_to_the_next_request_and_an_invalid_file_is_logged_once() {
    let files = WebFiles::new(&users());
    let running = ExporterProcess::start(
        program()
            .env("AWS_REGION", REGION)
            .args(["--log.level", "debug"])
            .arg("--web.config.file")
            .arg(files.path("web.yaml")),
    );
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(status(&mut stream, "secret").await, 404);
    assert_eq!(status(&mut stream, "hunter2").await, 401);

    files.write("web.yaml", &users().replace("ann:", "ann: not-a-hash #"));
    until("the error in the log", async || running.log().contains("reload failed")).await;
    assert_eq!(status(&mut stream, "secret").await, 404, "the old password is still valid");

    let changed = hash("hunter2");
    files.write("web.yaml", &format!("basic_auth_users: {{ann: {changed}}}\n"));
    until("the new password", async || status(&mut stream, "hunter2").await == 404).await;
    assert_eq!(status(&mut stream, "secret").await, 401);

    let (_, _, log) = running.stop("TERM");
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("reload failed")).collect();
    assert_eq!(errors.len(), 1, "{log}");
    assert!(errors[0].contains("web.yaml:2:8: basic_auth_users.ann: not a bcrypt hash"), "{log}");
    assert_eq!(log.matches("web configuration reloaded").count(), 1, "{log}");
    for secret in ["not-a-hash", "hunter2", "secret"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
    assert!(!log.contains(&changed), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_applies_both_configuration_files_or_neither() {
    let setup = crate::exporter::Setup { lifecycle: true, ..Default::default() };
    let SecuredExporter { exporter, files, _aws } = SecuredExporter::start_with(&users(), setup).await;
    let reload_with_password = async |password: &str, config: &str| {
        let credentials = format!("Basic {}", base64(&format!("ann:{password}")));
        exporter.reload_with(config, &[("Authorization", &credentials)]).await
    };
    let config = crate::exporter::one_target();
    assert_eq!(reload_with_password("wrong", &config).await.status, 401);

    files.write("web.yaml", "basic_auth_users: {ann: plain}\n");
    let rejected = reload_with_password("secret", &config.replace(REGION, "us-east-1")).await;
    assert_eq!(rejected.status, 500);
    assert!(rejected.body.contains("web.yaml:1:"), "{}", rejected.body);
    assert!(!rejected.body.contains("plain"), "{}", rejected.body);
    // The main configuration is not applied either, although it is valid.
    let credentials = format!("Basic {}", base64("ann:secret"));
    let scrape = exporter.get_with("/metrics", &[("Authorization", &credentials)]).await.body;
    assert!(!scrape.contains("us-east-1"), "{scrape}");

    files.write("web.yaml", &format!("basic_auth_users:\n  ann: {}\n", hash("other")));
    assert_eq!(reload_with_password("secret", &config).await.status, 200);
    assert_eq!(reload_with_password("secret", &config).await.status, 401);
    assert_eq!(reload_with_password("other", &config).await.status, 200);
}

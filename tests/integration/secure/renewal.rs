//! What changes while it runs.

use std::time::Duration;

use pretty_assertions::assert_eq;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::certificates::connect;
use super::{Files, Secured, TLS, hash, users};
use crate::exporter::REGION;
use crate::http;
use crate::program::{Running, program};

/// How long to wait for what should happen soon. Only a failing test waits this
/// long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until an attempt succeeds.
async fn until(what: &str, mut attempt: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !attempt().await {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_taken_up() {
    let Secured { exporter, files, _aws } = Secured::start(TLS).await;
    let client = files.authority.client(None);
    let shown = async || {
        let stream = connect(exporter.address, "127.0.0.1", &client).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    };
    let there = || CertificateDer::from_pem_slice(&std::fs::read(files.path("server.crt")).unwrap()).unwrap();
    let first = there();
    assert_eq!(shown().await, first);

    let mut idle = connect(exporter.address, "127.0.0.1", &client).await.unwrap();
    files.renew_server("renewed.example");
    let second = there();
    until("the new certificate", async || shown().await == second).await;
    // A connection that knows the old one ends, so that nobody goes on under it.
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, idle.read_to_end(&mut rest)).await.expect("it ends");
    assert_eq!((ended.is_ok(), rest.len()), (true, 0));
}

/// The status of a request for the page on a connection that stays.
async fn status(stream: &mut TcpStream, password: &str) -> u16 {
    let credentials = base64(&format!("ann:{password}"));
    let head = format!("GET /missing HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {credentials}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Each of them ends with a line of its own.
    while !answer.ends_with(b"not found\n") && !answer.ends_with(b"unauthorized\n") {
        answer.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
    }
    http::parse(&answer).status
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_password_holds_for_the_next_request_and_a_bad_file_is_complained_of_once() {
    let files = Files::new(&users());
    let running = Running::start(
        program()
            .env("AWS_REGION", REGION)
            .args(["--log.level", "debug"])
            .arg("--web.config.file")
            .arg(files.path("web.yaml")),
    );
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(status(&mut stream, "secret").await, 404);
    assert_eq!(status(&mut stream, "changed").await, 401);

    files.write("web.yaml", &users().replace("ann:", "ann: not-a-hash #"));
    until("a complaint", async || running.log().contains("reload failed")).await;
    assert_eq!(status(&mut stream, "secret").await, 404, "the old one stays in force");

    let changed = hash("changed");
    files.write("web.yaml", &format!("basic_auth_users: {{ann: {changed}}}\n"));
    until("the new password", async || status(&mut stream, "changed").await == 404).await;
    assert_eq!(status(&mut stream, "secret").await, 401);

    let (_, _, log) = running.signal("TERM");
    let complaints: Vec<&str> = log.lines().filter(|line| line.contains("reload failed")).collect();
    assert_eq!(complaints.len(), 1, "{log}");
    assert!(complaints[0].contains("web.yaml:2:8: basic_auth_users.ann: not a bcrypt hash"), "{log}");
    assert_eq!(log.matches("web configuration reloaded").count(), 1, "{log}");
    for secret in ["not-a-hash", "changed", "secret"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
    assert!(!log.contains(&changed), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_takes_up_the_web_configuration_with_the_rest_or_neither() {
    let setup = crate::exporter::Setup { lifecycle: true, ..Default::default() };
    let Secured { exporter, files, _aws } = Secured::start_with(&users(), setup).await;
    let asked_by = async |password: &str, config: &str| {
        let credentials = format!("Basic {}", base64(&format!("ann:{password}")));
        exporter.reload_with(config, &[("Authorization", &credentials)]).await
    };
    let one = crate::exporter::one_target();
    assert_eq!(asked_by("wrong", &one).await.status, 401);

    files.write("web.yaml", "basic_auth_users: {ann: plain}\n");
    let refused = asked_by("secret", &one.replace(REGION, "us-east-1")).await;
    assert_eq!(refused.status, 500);
    assert!(refused.body.contains("web.yaml:1:"), "{}", refused.body);
    assert!(!refused.body.contains("plain"), "{}", refused.body);
    // The other configuration is not in force either, though there is nothing wrong with it.
    let credentials = format!("Basic {}", base64("ann:secret"));
    let scrape = exporter.get_with("/metrics", &[("Authorization", &credentials)]).await.body;
    assert!(!scrape.contains("us-east-1"), "{scrape}");

    files.write("web.yaml", &format!("basic_auth_users:\n  ann: {}\n", hash("other")));
    assert_eq!(asked_by("secret", &one).await.status, 200);
    assert_eq!(asked_by("secret", &one).await.status, 401);
    assert_eq!(asked_by("other", &one).await.status, 200);
}

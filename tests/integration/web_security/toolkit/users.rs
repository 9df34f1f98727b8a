//! `TestUsers` in `web/tls_config_test.go`, the tests of passwords in `web/handler_test.go`, and the
//! tests of the command line and of the landing page in `bootstrap/bootstrap_test.go`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pretty_assertions::assert_eq;

use super::{CASE, Case, ExporterProcess, Files, Response, check, command};
use crate::exporter::REGION;
use crate::http;
use crate::process::{program, run};

/// The users of the toolkit's tests. The passwords are the name followed by `123`.
const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

fn users() -> String {
    USERS.iter().fold("basic_auth_users:\n".to_owned(), |text, user| {
        // Other programs write other versions than `2y`.
        let hash = bcrypt::hash(format!("{user}123"), 4).unwrap();
        let version = ["$2a$", "$2b$", "$2y$"][user.len() % 3];
        format!("{text}  {user}: {}\n", hash.replace("$2b$", version))
    })
}

fn users_over_tls() -> String {
    format!("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n{}", users())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn test_users() {
    let (plain, over_tls): (&'static str, &'static str) = (users().leak(), users_over_tls().leak());
    let plain = Case { web: Some(plain), ..CASE };
    let over_tls = Case { web: Some(over_tls), scheme: "https", ..CASE };
    let unauthorized = Response(401, "Unauthorized");
    check(&[
        Case { name: "without basic auth", outcome: unauthorized, ..plain },
        Case { name: "with correct basic auth", client: &["--user", "dave:dave123"], ..plain },
        Case { name: "without basic auth and TLS", outcome: unauthorized, ..over_tls },
        Case { name: "with correct basic auth and TLS", client: &["--user", "dave:dave123"], ..over_tls },
        Case {
            name: "with another correct basic auth and TLS",
            client: &["--user", "carol:carol123"],
            ..over_tls
        },
        Case {
            name: "with bad password and TLS",
            client: &["--user", "dave:bad"],
            outcome: unauthorized,
            ..over_tls
        },
        Case {
            name: "with bad username and TLS",
            client: &["--user", "nonexistent:nonexistent"],
            outcome: unauthorized,
            ..over_tls
        },
    ])
    .await;
}

async fn login(exporter: &ExporterProcess, user: &str, password: &str) -> u16 {
    let login = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    http::request_with(exporter.address, "GET", "/", &[("Authorization", &login)]).await.status
}

/// `TestBasicAuthCache`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn test_basic_auth_cache() {
    let files = Files::new();
    let exporter = ExporterProcess::start(&mut command(Some(&files.web(&users()))));
    assert_eq!(login(&exporter, "alice", "alice123").await, 200);
    assert_eq!(login(&exporter, "alice", "alice1234").await, 401);
    let logins = (0..300).map(async |number| match number % 2 {
        0 => (200, login(&exporter, "alice", "alice123").await),
        _ => (401, login(&exporter, "alice", "alice1234").await),
    });
    for (expected, status) in futures_util::future::join_all(logins).await {
        assert_eq!(status, expected);
    }
}

/// `TestBasicAuthWithFakepassword` and `TestByPassBasicAuthVuln` (CVE-2022-46146).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn test_basic_auth_with_fake_password_and_bypass() {
    let files = Files::new();
    let hash = bcrypt::hash("alice123", 4).unwrap();
    let fake = bcrypt::hash("fakepassword", 4).unwrap();
    let web = files.web(&format!("basic_auth_users:\n  alice: {hash}\n"));
    let exporter = ExporterProcess::start(&mut command(Some(&web)));
    for _ in 0..2 {
        assert_eq!(login(&exporter, "fakeuser", "fakepassword").await, 401);
    }
    assert_eq!(login(&exporter, &format!("alice{hash}"), "fakepassword").await, 401);
    assert_eq!(login(&exporter, "alice", &format!("{fake}fakepassword")).await, 401);
}

/// `TestParseRejectsNegativeMaxRequests`, `TestResolveMetricsHandlerFactoryReceivesParsedBootstrap` and
/// `TestNewServerRegistersMetricsAndLandingPage`; the others are about the toolkit's own interface.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn test_bootstrap() {
    let flag = |flag: &str| run(program().env("AWS_REGION", REGION).arg(flag)).0;
    assert_eq!(flag("--web.max-requests=-1"), Some(2));
    assert_eq!(flag("--web.telemetry-path="), Some(2));
    let exporter = ExporterProcess::start(program().env("AWS_REGION", REGION).args(["--web.max-requests=7"]));
    let metrics = http::request(exporter.address, "GET", "/metrics").await;
    assert!(metrics.status == 200 && metrics.body.contains("# HELP"), "{}", metrics.head);
    let landing = http::request(exporter.address, "GET", "/").await;
    assert_eq!(landing.status, 200);
    assert!(landing.body.contains("/metrics"), "{}", landing.body);
}

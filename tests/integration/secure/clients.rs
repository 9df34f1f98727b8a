//! Real clients: curl and Prometheus.

use std::process::Command;

use pretty_assertions::assert_eq;
use tempfile::TempDir;

use super::{Files, Secured, TLS, users};
use crate::exporter::Exporter;
use crate::prometheus::Prometheus;
use crate::tools;

/// Asks for a certificate of a client, by our authority.
const MUTUAL: &str = "  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n";

/// The status that curl gets, 0 for none, and all that it says.
async fn curl(
    exporter: &Exporter,
    files: &Files,
    scheme: &str,
    path: &str,
    arguments: &[&str],
) -> (u16, String) {
    let mut command = tools::curl();
    let url = format!("{scheme}://localhost:{}{path}", exporter.address.port());
    command
        .current_dir(files.directory())
        .args(["--silent", "--show-error", "--include", "--max-time", "30", "--ipv4", "--cacert", "ca.crt"])
        .args(["--write-out", "\nstatus=%{http_code} version=%{http_version}"])
        .args(arguments)
        .arg(url);
    let output = run(command).await;
    let text = tools::written(&output);
    let (_, status) = text.split_once("\nstatus=").unwrap();
    (status[..3].parse().unwrap(), text)
}

async fn run(mut command: Command) -> std::process::Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

const CLIENT: [&str; 4] = ["--cert", "client.crt", "--key", "client.key"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn curl_over_tls_with_a_password() {
    let headers = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n";
    let open = "auth_excluded_paths: [/-/healthy, /-/ready]\n";
    let Secured { exporter, files, _aws } = Secured::start(&format!("{TLS}{headers}{}{open}", users())).await;
    let right = ["--user", "ann:secret"];
    let curl = async |path: &str, arguments: &[&str]| curl(&exporter, &files, "https", path, arguments).await;

    let (status, text) = curl("/metrics", &right).await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("\nssm_sync_exporter_targets 1\n"), "{text}");
    for version in ["--http1.1", "--http2"] {
        for (path, arguments, expected) in [
            ("/metrics", &right[..], 200),
            ("/metrics", &[], 401),
            ("/metrics", &["--user", "ann:wrong"], 401),
            ("/metrics", &["--user", "eve:secret"], 401),
            ("/", &[], 401),
            ("/missing", &[], 401),
            ("/missing", &right, 404),
            ("/-/healthy", &[], 200),
        ] {
            let (status, text) = curl(path, &[&[version], arguments].concat()).await;
            assert_eq!(status, expected, "{path} {arguments:?}: {text}");
            let http = if version == "--http2" { "version=2" } else { "version=1.1" };
            assert!(text.contains(http), "{text}");
            assert!(text.to_lowercase().contains("\nx-frame-options: deny\r"), "on every answer: {text}");
            if status == 401 {
                let challenge = "www-authenticate: basic realm=\"ssm-sync-exporter\", charset=\"utf-8\"\r";
                assert!(text.to_lowercase().contains(challenge), "{text}");
            }
        }
    }
    // Regression: over HTTP/2 a body came along with the answer to HEAD.
    for version in ["--http1.1", "--http2"] {
        for path in ["/", "/metrics", "/-/healthy", "/missing"] {
            let (status, text) = curl(path, &[&[version, "--head"], &right[..]].concat()).await;
            assert_eq!(status, if path == "/missing" { 404 } else { 200 }, "{version} {path}: {text}");
        }
    }
    // Who does not know the authority does not go on.
    let (status, text) = curl("/metrics", &["--cacert", "client.crt"]).await;
    assert_eq!(status, 0, "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn curl_with_and_without_a_certificate() {
    let allowed = "  client_allowed_sans: [prometheus.example, other.example]\n";
    let other = "  client_allowed_sans: [other.example]\n";
    let of = |kind: &str| format!("{TLS}  client_auth_type: {kind}\n");
    let given = format!("{}  client_ca_file: ca.crt\n", of("VerifyClientCertIfGiven"));
    // Whether each does: none, ours, and one by an authority of its own.
    for (web, expected) in [
        (TLS.to_owned(), [200, 200, 200]),
        (format!("{TLS}{MUTUAL}"), [0, 200, 0]),
        (format!("{TLS}{MUTUAL}{allowed}"), [0, 200, 0]),
        (format!("{TLS}{MUTUAL}{other}"), [0, 0, 0]),
        (given.clone(), [200, 200, 0]),
        (given + other, [200, 0, 0]),
        (of("RequestClientCert"), [200, 200, 200]),
        (of("RequireAnyClientCert"), [0, 200, 200]),
        (of("RequireClientCert"), [0, 200, 200]),
        (of("NoClientCert"), [200, 200, 200]),
    ] {
        let Secured { exporter, files, _aws } = Secured::start(&web).await;
        let stranger = super::Authority::new().sign("prometheus.example");
        files.write("stranger.crt", &stranger.certificate);
        files.write("stranger.key", &stranger.key);
        let strange = ["--cert", "stranger.crt", "--key", "stranger.key"];
        for (arguments, expected) in [&[][..], &CLIENT, &strange].into_iter().zip(expected) {
            for version in ["1.2", "1.3"] {
                let arguments = [&["--tls-max", version][..], arguments].concat();
                let (status, text) = curl(&exporter, &files, "https", "/-/healthy", &arguments).await;
                assert_eq!(status, expected, "{web} {arguments:?}: {text}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn curl_within_and_beyond_what_tls_may_be() {
    let suite = |suites: &str| format!("{TLS}  cipher_suites: [{suites}]\n");
    let (ecdsa128, ecdsa256) =
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
    let tls12 = |more| ["--tls-max", "1.2", "--ciphers", more];
    for (web, arguments, expected) in [
        (TLS.to_owned(), &["--tls-max", "1.1"][..], false),
        (TLS.to_owned(), &["--tls-max", "1.2"], true),
        (TLS.to_owned(), &["--tlsv1.3"], true),
        (format!("{TLS}  min_version: TLS13\n"), &["--tls-max", "1.2"], false),
        (format!("{TLS}  min_version: TLS13\n"), &[], true),
        (format!("{TLS}  max_version: TLS12\n"), &["--tlsv1.3"], false),
        (format!("{TLS}  max_version: TLS12\n"), &[], true),
        (suite(ecdsa128), &tls12("ECDHE-ECDSA-AES128-GCM-SHA256"), true),
        (suite(ecdsa128), &tls12("ECDHE-ECDSA-AES256-GCM-SHA384"), false),
        (suite(ecdsa256), &tls12("ECDHE-ECDSA-AES256-GCM-SHA384"), true),
        // None of TLS 1.3 is named, so they all are good.
        (suite(ecdsa256), &["--tlsv1.3"], true),
        (suite("TLS_AES_256_GCM_SHA384"), &["--tlsv1.3", "--tls13-ciphers", "TLS_AES_128_GCM_SHA256"], false),
        (suite("TLS_AES_256_GCM_SHA384"), &["--tlsv1.3", "--tls13-ciphers", "TLS_AES_256_GCM_SHA384"], true),
        (suite("TLS_AES_256_GCM_SHA384"), &["--tls-max", "1.2"], false),
        (format!("{TLS}  curve_preferences: [CurveP384]\n"), &["--curves", "P-384"], true),
        (format!("{TLS}  curve_preferences: [CurveP384]\n"), &["--curves", "X25519"], false),
    ] {
        let Secured { exporter, files, _aws } = Secured::start(&web).await;
        let (status, text) = curl(&exporter, &files, "https", "/-/healthy", arguments).await;
        assert_eq!(status, if expected { 200 } else { 0 }, "{web} {arguments:?}: {text}");
    }
    let Secured { exporter, files, _aws } =
        Secured::start(&format!("{TLS}http_server_config: {{http2: false}}\n")).await;
    let (_, text) = curl(&exporter, &files, "https", "/-/healthy", &["--http2"]).await;
    assert!(text.contains("status=200 version=1.1"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn curl_is_told_that_it_forgot_tls() {
    let Secured { exporter, files, _aws } = Secured::start(TLS).await;
    let (status, text) = curl(&exporter, &files, "http", "/metrics", &[]).await;
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("Client sent an HTTP request to an HTTPS server.\n"), "{text}");
}

/// The health of a target of Prometheus, and what it has against it.
async fn health(exporter: &Exporter, files: &Files, job: &str) -> (String, String) {
    let directory = TempDir::new().unwrap();
    let text = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: ssm\n    scheme: https\n{job}    \
         static_configs: [{{targets: ['localhost:{}']}}]\n",
        exporter.address.port()
    );
    let text = text.replace("FILES", &files.directory().display().to_string());
    let prometheus = Prometheus::with_config(directory, &text).await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_mins(1);
    loop {
        let targets = prometheus.api("/api/v1/targets").await;
        let target = &targets["data"]["activeTargets"][0];
        let text = |key: &str| target[key].as_str().unwrap_or_default().to_owned();
        if ["up", "down"].contains(&text("health").as_str()) {
            return (text("health"), text("lastError"));
        }
        assert!(tokio::time::Instant::now() < deadline, "{targets}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn prometheus_with_a_certificate_and_a_password() {
    let Secured { exporter, files, _aws } = Secured::start(&format!("{TLS}{MUTUAL}{}", users())).await;
    let tls =
        "    tls_config: {ca_file: FILES/ca.crt, cert_file: FILES/client.crt, key_file: FILES/client.key}\n";
    let without = "    tls_config: {ca_file: FILES/ca.crt}\n";
    let password = "    basic_auth: {username: ann, password: secret}\n";
    let wrong = "    basic_auth: {username: ann, password: wrong}\n";

    let (up, error) = health(&exporter, &files, &format!("{tls}{password}")).await;
    assert_eq!((up.as_str(), error.as_str()), ("up", ""));
    for (job, why) in [
        (format!("{tls}{wrong}"), "401"),
        (tls.to_owned(), "401"),
        (format!("{without}{password}"), "certificate required"),
    ] {
        let (up, error) = health(&exporter, &files, &job).await;
        assert_eq!(up, "down", "{job}");
        assert!(error.contains(why), "{error}");
    }
}

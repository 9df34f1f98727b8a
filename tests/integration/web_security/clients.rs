//! Tests of TLS and passwords with real clients: curl and Prometheus.

use pretty_assertions::assert_eq;
use tempfile::TempDir;

use super::{SecuredExporter, TLS, WebFiles, users};
use crate::exporter::Exporter;
use crate::prometheus::Prometheus;
use crate::tools;

/// The part of `tls_server_config` that requires a client certificate signed by the authority of
/// [`WebFiles`].
const MUTUAL_TLS: &str = "  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n";

/// Runs curl. Returns the HTTP status, 0 if there was no response, and its output.
async fn curl(
    exporter: &Exporter,
    files: &WebFiles,
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
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = tools::written(&output);
    let (_, status) = text.split_once("\nstatus=").unwrap();
    (status[..3].parse().unwrap(), text)
}

/// The arguments of curl that send the client certificate.
const CLIENT_CERTIFICATE: [&str; 4] = ["--cert", "client.crt", "--key", "client.key"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn curl_connects_over_tls_with_a_password() {
    let headers = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n";
    let excluded = "auth_excluded_paths: [/-/healthy, /-/ready]\n";
    let SecuredExporter { exporter, files, _aws } =
        SecuredExporter::start(&format!("{TLS}{headers}{}{excluded}", users())).await;
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
            assert!(
                text.to_lowercase().contains("\nx-frame-options: deny\r"),
                "the header must be on every response: {text}"
            );
            if status == 401 {
                let challenge = "www-authenticate: basic realm=\"ssm-sync-exporter\", charset=\"utf-8\"\r";
                assert!(text.to_lowercase().contains(challenge), "{text}");
            }
        }
    }
    // Regression: over HTTP/2, responses to HEAD had a body.
    for version in ["--http1.1", "--http2"] {
        for path in ["/", "/metrics", "/-/healthy", "/missing"] {
            let (status, text) = curl(path, &[&[version, "--head"], &right[..]].concat()).await;
            assert_eq!(status, if path == "/missing" { 404 } else { 200 }, "{version} {path}: {text}");
        }
    }
    // A client that does not trust the authority fails.
    let (status, text) = curl("/metrics", &["--cacert", "client.crt"]).await;
    assert_eq!(status, 0, "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn client_certificates_are_accepted_or_rejected_by_client_auth_type() {
    let allowed = "  client_allowed_sans: [prometheus.example, other.example]\n";
    let other = "  client_allowed_sans: [other.example]\n";
    let auth_type = |kind: &str| format!("{TLS}  client_auth_type: {kind}\n");
    let verify_if_given = format!("{}  client_ca_file: ca.crt\n", auth_type("VerifyClientCertIfGiven"));
    // The expected status without a certificate, with one signed by the configured authority, and
    // with one signed by another authority. 0 means that the TLS connection failed.
    for (web, expected) in [
        (TLS.to_owned(), [200, 200, 200]),
        (format!("{TLS}{MUTUAL_TLS}"), [0, 200, 0]),
        (format!("{TLS}{MUTUAL_TLS}{allowed}"), [0, 200, 0]),
        (format!("{TLS}{MUTUAL_TLS}{other}"), [0, 0, 0]),
        (verify_if_given.clone(), [200, 200, 0]),
        (verify_if_given + other, [200, 0, 0]),
        (auth_type("RequestClientCert"), [200, 200, 200]),
        (auth_type("RequireAnyClientCert"), [0, 200, 200]),
        (auth_type("RequireClientCert"), [0, 200, 200]),
        (auth_type("NoClientCert"), [200, 200, 200]),
    ] {
        let SecuredExporter { exporter, files, _aws } = SecuredExporter::start(&web).await;
        let foreign = super::Authority::new().sign("prometheus.example");
        files.write("foreign.crt", &foreign.certificate);
        files.write("foreign.key", &foreign.key);
        let foreign_client = ["--cert", "foreign.crt", "--key", "foreign.key"];
        for (arguments, expected) in [&[][..], &CLIENT_CERTIFICATE, &foreign_client].into_iter().zip(expected)
        {
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
async fn tls_versions_ciphers_and_curves_are_restricted_by_the_configuration() {
    let suite = |suites: &str| format!("{TLS}  cipher_suites: [{suites}]\n");
    let (ecdsa128, ecdsa256) =
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
    let tls12 = |cipher| ["--tls-max", "1.2", "--ciphers", cipher];
    for (web, arguments, connects) in [
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
        // Without a cipher suite of TLS 1.3 in the list, all of them are allowed.
        (suite(ecdsa256), &["--tlsv1.3"], true),
        (suite("TLS_AES_256_GCM_SHA384"), &["--tlsv1.3", "--tls13-ciphers", "TLS_AES_128_GCM_SHA256"], false),
        (suite("TLS_AES_256_GCM_SHA384"), &["--tlsv1.3", "--tls13-ciphers", "TLS_AES_256_GCM_SHA384"], true),
        (suite("TLS_AES_256_GCM_SHA384"), &["--tls-max", "1.2"], false),
        (format!("{TLS}  curve_preferences: [CurveP384]\n"), &["--curves", "P-384"], true),
        (format!("{TLS}  curve_preferences: [CurveP384]\n"), &["--curves", "X25519"], false),
    ] {
        let SecuredExporter { exporter, files, _aws } = SecuredExporter::start(&web).await;
        let (status, text) = curl(&exporter, &files, "https", "/-/healthy", arguments).await;
        assert_eq!(status, if connects { 200 } else { 0 }, "{web} {arguments:?}: {text}");
    }
    let SecuredExporter { exporter, files, _aws } =
        SecuredExporter::start(&format!("{TLS}http_server_config: {{http2: false}}\n")).await;
    let (_, text) = curl(&exporter, &files, "https", "/-/healthy", &["--http2"]).await;
    assert!(text.contains("status=200 version=1.1"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn plain_http_to_a_tls_port_gets_an_explanation() {
    let SecuredExporter { exporter, files, _aws } = SecuredExporter::start(TLS).await;
    let (status, text) = curl(&exporter, &files, "http", "/metrics", &[]).await;
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("Client sent an HTTP request to an HTTPS server.\n"), "{text}");
}

/// Starts a Prometheus that scrapes the exporter. Returns the health of its target and the last
/// scrape error. `job` is YAML for the scrape job, with `FILES` for the directory of `files`.
async fn health(exporter: &Exporter, files: &WebFiles, job: &str) -> (String, String) {
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
async fn prometheus_scrapes_with_a_certificate_and_a_password() {
    let SecuredExporter { exporter, files, _aws } =
        SecuredExporter::start(&format!("{TLS}{MUTUAL_TLS}{}", users())).await;
    let tls =
        "    tls_config: {ca_file: FILES/ca.crt, cert_file: FILES/client.crt, key_file: FILES/client.key}\n";
    let without_certificate = "    tls_config: {ca_file: FILES/ca.crt}\n";
    let password = "    basic_auth: {username: ann, password: secret}\n";
    let wrong = "    basic_auth: {username: ann, password: wrong}\n";

    let (up, error) = health(&exporter, &files, &format!("{tls}{password}")).await;
    assert_eq!((up.as_str(), error.as_str()), ("up", ""));
    for (job, message) in [
        (format!("{tls}{wrong}"), "401"),
        (tls.to_owned(), "401"),
        (format!("{without_certificate}{password}"), "certificate required"),
    ] {
        let (up, error) = health(&exporter, &files, &job).await;
        assert_eq!(up, "down", "{job}");
        assert!(error.contains(message), "{error}");
    }
}

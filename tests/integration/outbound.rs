//! Tests how the program reaches AWS: through proxies, with private certificate authorities, and what
//! it says about a server that it cannot reach.

mod intercepting_proxy;

use std::ffi::OsStr;
use std::process::Command;

use fake_aws::{FakeAws, SyncKind, World};
use pretty_assertions::assert_eq;
use serde_json::json;
use tempfile::TempDir;

use crate::exporter::{ACCOUNT, REGION, fake_aws};
use crate::local_server::LocalServer;
use crate::process::{ExporterProcess, program, run};
use intercepting_proxy::{Behaviour, InterceptingProxy};

const SSM: &str = "ssm.eu-west-1.amazonaws.com:443";
const STS: &str = "sts.eu-west-1.amazonaws.com:443";

/// A fake AWS behind a proxy that intercepts TLS, as in many companies.
struct Network {
    /// Must outlive the proxy.
    _aws: FakeAws,
    proxy: InterceptingProxy,
    directory: TempDir,
}

impl Network {
    async fn new(behaviour: Behaviour) -> Self {
        let aws = fake_aws().await;
        aws.world().put_item(ACCOUNT, REGION, SyncKind::ToDestination, json!({"SyncName": "inventory"}));
        let proxy = InterceptingProxy::start(&aws, behaviour).await;
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), proxy.authority()).unwrap();
        std::fs::write(
            directory.path().join("config.yaml"),
            format!("interval: 1s\ntimeout: 16s\nregions: [{REGION}]\naccounts: [{{id: '{ACCOUNT}'}}]\n"),
        )
        .unwrap();
        Self { _aws: aws, proxy, directory }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// The program, with the proxy in `HTTPS_PROXY` and without the proxy's authority.
    fn program(&self) -> Command {
        let mut command = program();
        command
            .env("AWS_ACCESS_KEY_ID", World::access_key(ACCOUNT))
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("HTTPS_PROXY", self.proxy.url())
            .arg("--config.file")
            .arg(self.directory.path().join("config.yaml"));
        command
    }

    /// Polls once with an environment variable.
    async fn once_with(&self, variable: &str, value: impl AsRef<OsStr>) -> (Option<i32>, String, String) {
        self.once(|program| {
            program.env(variable, value);
        })
        .await
    }

    /// Polls once, and returns the status, the message of the target's failure and the log.
    async fn once(&self, change: impl FnOnce(&mut Command)) -> (Option<i32>, String, String) {
        let mut command = self.program();
        change(&mut command);
        command.args(["once", "--format", "json"]);
        let (status, document, log) = tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap();
        let document: serde_json::Value = serde_json::from_str(&document).unwrap_or_default();
        let message = document["targets"][0]["message"].as_str().unwrap_or_default().to_owned();
        (status, message, log)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_intercepts_tls_works_with_its_authority_in_aws_ca_bundle() {
    let network = Network::new(Behaviour::Forward).await;
    let (status, message, log) = network.once_with("AWS_CA_BUNDLE", network.path("ca.pem")).await;
    assert_eq!((status, message.as_str()), (Some(0), ""), "{log}");
    let mut hosts = network.proxy.connected_hosts();
    hosts.sort();
    hosts.dedup();
    assert_eq!(hosts, [SSM, STS]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ca_bundle_of_a_profile_is_used_unless_the_environment_names_another() {
    // Neither was read.
    let network = Network::new(Behaviour::Forward).await;
    let profile = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = secret\nca_bundle = {}\n",
        World::access_key(ACCOUNT),
        network.path("ca.pem")
    );
    std::fs::write(network.path("profiles"), profile).unwrap();
    let with_profile = |program: &mut Command| {
        program.env_remove("AWS_ACCESS_KEY_ID").env("AWS_CONFIG_FILE", network.path("profiles"));
    };
    let (status, message, log) = network.once(with_profile).await;
    assert_eq!((status, message.as_str()), (Some(0), ""), "{log}");

    let other = rcgen::generate_simple_self_signed(["other".to_owned()]).unwrap().cert.pem();
    std::fs::write(network.path("other.pem"), other).unwrap();
    let (status, message, _) = network
        .once(|program| {
            with_profile(program);
            program.env("AWS_CA_BUNDLE", network.path("other.pem"));
        })
        .await;
    assert_eq!(status, Some(1));
    assert!(message.contains("UnknownIssuer"), "{message}");

    // The path may begin with the home directory.
    std::fs::write(network.path("in-home"), "[default]\nca_bundle = ~/ca.pem\n").unwrap();
    let (status, message, log) = network
        .once(|program| {
            program.env("AWS_CONFIG_FILE", network.path("in-home")).env("HOME", network.directory.path());
        })
        .await;
    assert_eq!((status, message.as_str()), (Some(0), ""), "{log}");

    // An empty variable counts as not set.
    let (status, message, log) = network
        .once(|program| {
            with_profile(program);
            program.env("AWS_CA_BUNDLE", "");
        })
        .await;
    assert_eq!((status, message.as_str()), (Some(0), ""), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_ca_bundle_is_used_after_a_reload() {
    let network = Network::new(Behaviour::Forward).await;
    let good = network.proxy.authority();
    let other = rcgen::generate_simple_self_signed(["other".to_owned()]).unwrap().cert.pem();
    std::fs::write(network.path("ca.pem"), &other).unwrap();
    let mut command = network.program();
    let exporter = ExporterProcess::start(command.env("AWS_CA_BUNDLE", network.path("ca.pem")));
    exporter.metrics_containing("reason=\"connection\"} 1").await;
    std::fs::write(network.path("ca.pem"), good + &other).unwrap();
    exporter.send_signal("HUP");
    exporter
        .metrics_when("the target is up", |metrics| metrics.contains("\"eu-west-1\"} 1\n") && up(metrics))
        .await;
}

fn up(metrics: &str) -> bool {
    metrics.lines().any(|line| line.starts_with("ssm_sync_exporter_target_up{") && line.ends_with(" 1"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_ca_bundle_is_an_error_at_start() {
    let network = Network::new(Behaviour::Forward).await;
    let start = |variable: &'static str, value: String| {
        let mut command = network.program();
        command.env(variable, value).args(["--web.listen-address", "127.0.0.1:0"]);
        let serve = run(&mut command);
        let check = run(command.arg("--config.check"));
        assert_eq!((check.0, check.2), (serve.0, serve.2.clone()), "the check says the same");
        serve
    };
    std::fs::write(network.path("empty.pem"), "no certificate\n").unwrap();
    std::fs::write(network.path("broken.pem"), "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
        .unwrap();
    for (name, problem) in [
        (
            "missing.pem",
            "cannot read the certificate authorities in {}: No such file or directory (os error 2)",
        ),
        (".", "cannot read the certificate authorities in {}: "),
        (
            "empty.pem",
            "{} has no certificate authority that can be used; expected a PEM file with `BEGIN CERTIFICATE`",
        ),
        ("broken.pem", "cannot read the certificate authorities in {}: "),
    ] {
        let path = network.path(name);
        let (status, _, log) = start("AWS_CA_BUNDLE", path.clone());
        let expected = format!(
            "ssm-sync-exporter: environment variable AWS_CA_BUNDLE: {}",
            problem.replace("{}", &path)
        );
        assert_eq!(status, Some(2), "{log}");
        assert!(log.starts_with(&expected) && log.lines().count() == 1, "{log}");

        let profiles = network.path("profiles");
        std::fs::write(&profiles, format!("[default]\nca_bundle = {path}\n")).unwrap();
        let (status, _, log) = start("AWS_CONFIG_FILE", profiles);
        let expected = format!("/profiles:2): {}", problem.replace("{}", &path));
        assert_eq!(status, Some(2), "{log}");
        assert!(log.contains(&expected) && log.lines().count() == 1, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_proxy_is_an_error_at_start_that_does_not_show_its_password() {
    // The SDK ignored such a variable, and the exporter connected directly.
    let network = Network::new(Behaviour::Forward).await;
    for variable in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"] {
        let mut command = network.program();
        command.env_remove("HTTPS_PROXY").env(variable, "http://user:s3cr3t@proxy:port/");
        let (status, _, log) = run(command.args(["--web.listen-address", "127.0.0.1:0"]));
        assert_eq!(status, Some(2));
        assert_eq!(
            log,
            format!(
                "ssm-sync-exporter: environment variable {variable}: the port of the proxy is invalid; expected a URL such \
                 as `http://proxy.example.com:3128`, or unset the variable\n"
            )
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_name_the_service_the_host_and_the_proxy() {
    // The message was `dispatch failure: io error: client error (Connect)` and so on, without a host.
    let network = Network::new(Behaviour::Forward).await;
    let through_proxy = format!("through the proxy {} (HTTPS_PROXY)", network.proxy.address());
    let (status, message, _) = network.once(|_| {}).await;
    assert_eq!(status, Some(1));
    let expected = format!("no response from SSM at {SSM} {through_proxy}: ");
    assert!(message.starts_with(&expected), "{message}");
    assert!(message.contains("UnknownIssuer") && message.contains("AWS_CA_BUNDLE"), "{message}");

    let refusing = Network::new(Behaviour::Refuse("407 Proxy Authentication Required")).await;
    let (_, message, log) = refusing.once(|_| {}).await;
    assert!(
        message.contains("no response from SSM at ssm.eu-west-1.amazonaws.com:443 through the proxy "),
        "{message}"
    );
    assert!(message.contains("proxy authorization required"), "{message}");
    assert!(
        log.contains("no response from SSM at ssm.eu-west-1.amazonaws.com:443 through the proxy "),
        "{log}"
    );

    let refusing = Network::new(Behaviour::Refuse("403 Forbidden")).await;
    let (_, message, _) = refusing.once(|_| {}).await;
    assert!(message.ends_with("; allow the host there, or add it to NO_PROXY"), "{message}");

    // Nothing listens on this port.
    let (_, message, _) = network.once_with("HTTPS_PROXY", "http://user:s3cr3t@127.0.0.1:1").await;
    assert!(
        message.starts_with(&format!(
            "no response from SSM at {SSM} through the proxy 127.0.0.1:1 (HTTPS_PROXY): "
        )) && message.ends_with("Connection refused (os error 111)"),
        "{message}"
    );

    // With an endpoint that is not one of AWS, the service is still named.
    let (_, message, _) = network
        .once(|program| {
            program.env("SSM_SYNC_EXPORTER_AWS__ENDPOINT_URL", "https://127.0.0.1:1");
        })
        .await;
    assert!(message.starts_with("no response from SSM at 127.0.0.1:1: "), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_answer_is_named() {
    let network = Network::new(Behaviour::Stall).await;
    let (status, message, log) = network.once(|_| {}).await;
    assert_eq!(status, Some(1));
    let expected = format!("no response from SSM at {SSM} through the proxy {}", network.proxy.address());
    assert!(message.starts_with(&expected), "{message}");
    assert!(log.contains("reason=timeout"), "{log}");

    // With a short timeout, and for the first call to STS. Regression: the collection ended before the
    // attempts did.
    let (_, message, _) = network
        .once(|program| {
            let accounts = format!("[{{regions: [{REGION}]}}]");
            program
                .env("SSM_SYNC_EXPORTER_TIMEOUT", "4s")
                .env("SSM_SYNC_EXPORTER_ACCOUNTS", accounts)
                .env("AWS_REGION", REGION);
        })
        .await;
    let expected = format!("no response from STS at {STS} through the proxy {}", network.proxy.address());
    assert!(message.starts_with(&expected), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_html_page_in_place_of_an_answer_is_described() {
    let page = "<!DOCTYPE html>\n<html><head><title>Blocked\n by policy</title></head><body>x</body></html>";
    for (status_line, reason) in [
        ("403 Forbidden", "invalid_response"),
        ("200 OK", "invalid_response"),
        ("302 Found", "invalid_response"),
        ("503 Service Unavailable", "server_error"),
    ] {
        let network = Network::new(Behaviour::Answer(status_line, page)).await;
        let (_, message, log) = network.once_with("AWS_CA_BUNDLE", network.path("ca.pem")).await;
        let status = status_line.split(' ').next().unwrap();
        let expected = format!(
            "HTTP status {status} and an HTML page (\"Blocked by policy\") from SSM at {SSM} through the proxy {} \
             (HTTPS_PROXY) in place of an answer: a proxy, a firewall or a load balancer between the exporter and AWS \
             answered",
            network.proxy.address()
        );
        assert_eq!(message, expected);
        assert!(log.contains(&format!("reason={reason}")), "{log}");
    }
}

/// Regression test: the title of a page that repeats the request was shown with the session token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_repeats_the_session_token_does_not_reveal_it() {
    const PAGE: &str = "<html><title>Blocked: s3cr3t-t0k3n-s3cr3t-t0k3n-s3cr3t-t0k3n-s3cr3t-t0k3n-s3cr3t-t0k3n-s3cr3t-t0k3n-s3cr3t-t0k3n-s3cr3t-t0k3n</title></html>";
    let token = PAGE.split(['<', ' ']).find(|word| word.starts_with("s3cr3t")).unwrap();
    let network = Network::new(Behaviour::Answer("403 Forbidden", PAGE)).await;
    let (status, message, log) = network
        .once(|program| {
            program.env("AWS_SESSION_TOKEN", token).env("AWS_CA_BUNDLE", network.path("ca.pem"));
        })
        .await;
    assert_eq!(status, Some(1));
    assert!(
        message.starts_with("HTTP status 403 and an HTML page (\"Blocked: (redacted)\") from SSM "),
        "{message}"
    );
    assert!(!log.contains("s3cr3t"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_proxy_with_a_wildcard_matches_the_endpoints_of_aws() {
    let network = Network::new(Behaviour::Forward).await;
    for no_proxy in ["*.amazonaws.com", ".amazonaws.com", "amazonaws.com:443", "*"] {
        // The host does not exist here, or is not reachable. What matters is that the proxy is not asked.
        network.once_with("NO_PROXY", no_proxy).await;
        assert_eq!(network.proxy.connected_hosts(), [""; 0], "{no_proxy}");
    }
    network.once_with("NO_PROXY", "amazonaws.com:80,10.*").await;
    assert!(!network.proxy.connected_hosts().is_empty());
    let (status, out, _) = run(network.program().env("NO_PROXY", "10.*").arg("--config.check"));
    assert_eq!(status, Some(0), "{out}");
    assert!(out.contains("warning: the entry `10.*` of NO_PROXY matches no host; expected "), "{out}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_from_a_local_address_are_not_requested_through_a_proxy() {
    // The token for the credentials of a container was sent to the proxy.
    let network = Network::new(Behaviour::Forward).await;
    let endpoint = LocalServer::start(|request| {
        if !request.to_lowercase().contains("\r\nauthorization: bearer token\r\n") {
            return ("401 Unauthorized", String::new());
        }
        let credentials = json!({
            "AccessKeyId": World::access_key(ACCOUNT),
            "SecretAccessKey": "secret",
            "Token": "",
            "Expiration": "2099-01-01T00:00:00Z",
        });
        ("200 OK", credentials.to_string())
    })
    .await;
    let (status, message, log) = network
        .once(|program| {
            program
                .env_remove("AWS_ACCESS_KEY_ID")
                .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", endpoint.url() + "/credentials")
                .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer token")
                .env("AWS_CA_BUNDLE", network.path("ca.pem"))
                .env("HTTP_PROXY", network.proxy.url())
                .env("ALL_PROXY", network.proxy.url());
        })
        .await;
    assert_eq!((status, message.as_str()), (Some(0), ""), "{log}");
    assert!(network.proxy.connected_hosts().iter().all(|host| host.ends_with(".amazonaws.com:443")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_url_of_a_container_credentials_endpoint_is_not_shown() {
    // User and password were in the log and on the page.
    let network = Network::new(Behaviour::Forward).await;
    for url in [
        "http://user:s3cr3t@10.0.0.1/credentials",
        "http://user:s3cr3t word@10.0.0.1/",
        "ftp://user:s3cr3t@host/",
        "http://user:s3cr3t@127.0.0.1:1/credentials?token=t0k3n",
        "user:s3cr3t@10.0.0.1",
    ] {
        for variable in ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] {
            let (status, message, log) = network
                .once(|program| {
                    program.env_remove("AWS_ACCESS_KEY_ID").env(variable, url);
                })
                .await;
            assert_eq!(status, Some(1));
            assert!(!message.is_empty(), "{log}");
            for secret in ["s3cr3t", "t0k3n"] {
                assert!(
                    !message.contains(secret) && !log.contains(secret),
                    "{variable}={url}: {message}\n{log}"
                );
            }
        }
    }
}

#[test]
fn an_endpoint_without_tls_on_another_host_is_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    let check = |name: &str, value: &str, profiles: &str| {
        let path = directory.path().join("profiles");
        std::fs::write(&path, profiles).unwrap();
        let mut command = program();
        command.env(name, value).env("AWS_CONFIG_FILE", &path).env("AWS_REGION", REGION);
        let (status, out, log) = run(command.arg("--config.check"));
        assert_eq!(status, Some(0), "{log}");
        out
    };
    let unencrypted = "requests are sent unencrypted, and with them session tokens; use `https://`, or a server on this host\n";
    for (variable, name) in [
        ("SSM_SYNC_EXPORTER_AWS__ENDPOINT_URL", "aws.endpoint_url"),
        ("AWS_ENDPOINT_URL", "the environment variable AWS_ENDPOINT_URL"),
        ("AWS_ENDPOINT_URL_STS", "the environment variable AWS_ENDPOINT_URL_STS"),
    ] {
        for url in
            ["http://aws.example:4566", "http://10.0.0.1", "http://[fd00::1]:80", "http://localhost.example"]
        {
            let out = check(variable, url, "");
            assert!(out.contains(&format!("\nwarning: {name}: {unencrypted}")), "{variable}={url}: {out}");
        }
        for url in ["http://localhost:4566", "http://127.0.0.1:1", "http://[::1]:1", "https://aws.example"] {
            assert!(!check(variable, url, "").contains("unencrypted"), "{variable}={url}");
        }
    }
    let out = check("X", "", "[default]\nendpoint_url = http://aws.example\n");
    let expected = "\nwarning: the `endpoint_url` of SSM in the shared AWS configuration: ";
    assert!(out.contains(&format!("{expected}{unencrypted}")), "{out}");
}

//! Runs the exporter with the arguments, the environment and the files that its pod would have.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use fake_aws::FakeAws;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::chart::{Rendered, list, string, value_sets};
use crate::exporter::{REGION, ROLE, fake_aws};
use crate::process::{ExporterProcess, program, run, run_check, with_ambient_credentials};
use crate::prometheus::Prometheus;
use crate::tools;
use crate::web_security::certificates::Authority;

/// The directory where the pod mounts its configuration.
const MOUNT: &str = "/etc/ssm-sync-exporter";

/// A rendered pod, with the files of its configuration volume in a temporary directory.
struct Pod {
    rendered: Rendered,
    directory: TempDir,
    /// The existing Secrets that the values refer to, by name and key.
    secrets: BTreeMap<&'static str, BTreeMap<&'static str, String>>,
}

impl Pod {
    fn of(name: &str) -> Self {
        let rendered = Rendered::of(name);
        let service = &rendered.service()["metadata"];
        let host = format!("{}.{}.svc", string(&service["name"]), string(&service["namespace"]));
        let authority = Authority::new();
        let server = match name {
            "certificates" => authority.sign("exporter.example"),
            _ => authority.sign(&host),
        };
        let client = authority.sign("prometheus.example");
        let web = "tls_server_config:\n  cert_file: tls/tls.crt\n  key_file: tls/tls.key\n  client_ca_file: tls/ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n";
        let config = format!("regions: [{REGION}]\n");
        let secrets = BTreeMap::from([
            (
                "ssm-sync-exporter-tls",
                BTreeMap::from([
                    ("tls.crt", server.certificate),
                    ("tls.key", server.key),
                    ("ca.crt", authority.pem()),
                ]),
            ),
            ("ssm-sync-exporter-config", BTreeMap::from([("config.yaml", config)])),
            ("ssm-sync-exporter-web", BTreeMap::from([("web.yaml", web.to_owned())])),
            (
                "ssm-sync-exporter-scrape",
                BTreeMap::from([
                    ("username", "prometheus".to_owned()),
                    ("password", "secret".to_owned()),
                    ("tls.crt", client.certificate),
                    ("tls.key", client.key),
                ]),
            ),
            (
                "ssm-sync-exporter",
                BTreeMap::from([
                    ("external-id", "example".to_owned()),
                    ("SSM_SYNC_EXPORTER_AWS__STS_REGION", REGION.to_owned()),
                ]),
            ),
        ]);
        let pod = Self { rendered, directory: tempfile::tempdir().unwrap(), secrets };
        pod.write_volume();
        pod
    }

    fn secret(&self, name: &Value, key: &Value) -> &str {
        let secret =
            self.secrets.get(string(name)).unwrap_or_else(|| panic!("the Secret {name} does not exist"));
        secret.get(string(key)).unwrap_or_else(|| panic!("the Secret {name} has no {key}"))
    }

    /// Writes the files of the configuration volume.
    fn write_volume(&self) {
        let mounts = list(&self.rendered.container()["volumeMounts"]);
        let mount = mounts.iter().find(|mount| mount["mountPath"] == MOUNT).unwrap();
        let volumes = list(&self.rendered.pod()["volumes"]);
        let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
        let own = |kind: &str, data: &str, name: &Value, key: &Value| -> Option<String> {
            let objects = self.rendered.all(kind);
            let found = objects.iter().find(|object| object["metadata"]["name"] == *name)?;
            Some(string(&found[data][string(key)]).to_owned())
        };
        for source in list(&volume["projected"]["sources"]) {
            for (kind, of) in source.as_object().unwrap() {
                for item in list(&of["items"]) {
                    let text = match kind.as_str() {
                        "configMap" => own("ConfigMap", "data", &of["name"], &item["key"]).unwrap(),
                        "secret" => own("Secret", "stringData", &of["name"], &item["key"])
                            .unwrap_or_else(|| self.secret(&of["name"], &item["key"]).to_owned()),
                        other => panic!("{other}"),
                    };
                    let path = self.directory.path().join(string(&item["path"]));
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(path, text).unwrap();
                }
            }
        }
    }

    /// The command that the pod starts; with shards, that of the first pod.
    fn exporter(&self) -> Command {
        let container = self.rendered.container();
        assert_eq!(container["command"], json!(["/usr/bin/ssm-sync-exporter"]));
        let mut command = program();
        let here = self.directory.path().to_str().unwrap();
        for argument in list(&container["args"]).iter().map(string) {
            // The host name of the test machine is not that of a pod.
            if argument.starts_with("--web.listen-address=") {
                // The test chooses a free port.
                continue;
            }
            command.arg(match argument {
                "--shard.from-hostname" => "--shard.index=0".to_owned(),
                other => other.replace(MOUNT, here),
            });
        }
        // Set by the EKS webhooks in a cluster.
        command.env("AWS_REGION", REGION);
        for variable in container["env"].as_array().into_iter().flatten() {
            let from = &variable["valueFrom"]["secretKeyRef"];
            let value =
                variable["value"].as_str().unwrap_or_else(|| self.secret(&from["name"], &from["key"]));
            command.env(string(&variable["name"]), value);
            if variable["name"] == "AWS_CONFIG_FILE" {
                // A volume of the example values.
                let profiles = self.directory.path().join("aws-config");
                let keys = "aws_access_key_id = a\naws_secret_access_key = b\n";
                std::fs::write(&profiles, format!("[profile staging]\n{keys}")).unwrap();
                command.env("AWS_CONFIG_FILE", profiles);
            }
        }
        for source in container["envFrom"].as_array().into_iter().flatten() {
            let name = string(&source["secretRef"]["name"]);
            command.envs(self.secrets[name].iter().filter(|(key, _)| !key.contains('-')));
        }
        command
    }

    fn start(&self, aws: &FakeAws) -> ExporterProcess {
        let mut command = self.exporter();
        // The proxy of the example values does not exist.
        command.env_remove("HTTPS_PROXY");
        ExporterProcess::start(with_ambient_credentials(&mut command, aws))
    }

    /// Runs a probe like the kubelet. Returns the HTTP status, or 0 for a TCP probe that connected.
    async fn probe(&self, probe: &str, address: SocketAddr) -> u16 {
        let probe = &self.rendered.container()[probe];
        if probe["tcpSocket"].is_object() {
            tokio::net::TcpStream::connect(address).await.unwrap();
            return 0;
        }
        let scheme = probe["httpGet"]["scheme"].as_str().unwrap_or("HTTP").to_lowercase();
        let url = format!("{scheme}://{address}{}", string(&probe["httpGet"]["path"]));
        let mut curl = tools::curl();
        // The kubelet does not verify certificates either.
        curl.args(["--insecure", "--silent", "--max-time", "30", "--output", "/dev/null"]);
        curl.args(["--write-out", "%{http_code}", &url]);
        let output = tokio::task::spawn_blocking(move || curl.output().unwrap()).await.unwrap();
        String::from_utf8(output.stdout).unwrap().parse().unwrap()
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_exporter_accepts_the_configuration_of_the_pod() {
    for name in value_sets() {
        let pod = Pod::of(&name);
        let (status, out, err) = run_check(pod.exporter().arg("--config.check"));
        assert_eq!(
            (status, out.as_str(), err.as_str()),
            (Some(0), "the configuration is valid\n", ""),
            "{name}"
        );
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn an_external_id_from_a_secret_overrides_the_configuration() {
    let pod = Pod::of("everything");
    let variable = "SSM_SYNC_EXPORTER_ORGANIZATION__EXTERNAL_ID";
    let (status, _, err) = run(pod.exporter().arg("--config.check").env(variable, "not an id"));
    assert_eq!(status, Some(2));
    assert!(err.contains(variable), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn probes_succeed_against_a_running_exporter() {
    let aws = fake_aws().await;
    for name in value_sets() {
        let pod = Pod::of(&name);
        let running = pod.start(&aws);
        let expected = if ["certificates", "mutual-tls"].contains(&name.as_str()) { 0 } else { 200 };
        for probe in ["startupProbe", "livenessProbe"] {
            assert_eq!(
                pod.probe(probe, running.address).await,
                expected,
                "{name}: {probe}: {}",
                running.log()
            );
        }
        // Rate limits and passwords must not affect probes, however many there are.
        for _ in 0..30 {
            let ready = pod.probe("readinessProbe", running.address).await;
            assert!([expected, 503].contains(&ready), "{name}: {ready}: {}", running.log());
        }
    }
}

/// Kubernetes kills the exporter after the grace period, and it needs at most ten seconds to stop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_exporter_stops_within_the_grace_period() {
    let aws = fake_aws().await;
    let pod = Pod::of("minimal");
    let running = pod.start(&aws);
    // The exporter waits for an unfinished request when it stops.
    let mut stuck = tokio::net::TcpStream::connect(running.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stuck, b"GET /metr").await.unwrap();
    running.metrics_containing("ssm_sync_exporter_build_info").await;
    let grace = pod.rendered.pod()["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace > 10);
    let (status, took, log) = running.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took.as_secs() < 10, "{took:?}");
}

/// The scrape configuration that the operator generates from the `ServiceMonitor` or the
/// `PodMonitor`, with the labels that it adds.
fn scrape_config(pod: &Pod, address: SocketAddr, files: &Path) -> String {
    let of_service = !pod.rendered.all("ServiceMonitor").is_empty();
    let monitor = pod.rendered.the(if of_service { "ServiceMonitor" } else { "PodMonitor" });
    let endpoint = &monitor["spec"][if of_service { "endpoints" } else { "podMetricsEndpoints" }][0];
    let service = &pod.rendered.service()["metadata"];
    let template = &pod.rendered.workload()["spec"]["template"]["metadata"];
    let labels = &(if of_service { service } else { template })["labels"];
    let mut config = json!({
        "job_name": "serviceMonitor",
        "scrape_interval": "1s",
        "honor_labels": endpoint["honorLabels"],
        "metrics_path": endpoint["path"],
        "scheme": endpoint["scheme"].as_str().unwrap_or("http"),
        "static_configs": [{
            "targets": [address.to_string()],
            "labels": {
                "job": labels[string(&monitor["spec"]["jobLabel"])],
                "namespace": service["namespace"],
                "service": service["name"],
                "pod": "a-pod",
                "container": pod.rendered.container()["name"],
                "endpoint": endpoint["port"],
            },
        }],
    });
    let relabelings = endpoint["relabelings"].as_array().into_iter().flatten();
    let snake_case = |relabeling: &Value| json!({"target_label": relabeling["targetLabel"], "replacement": relabeling["replacement"]});
    config["relabel_configs"] = relabelings.map(snake_case).collect();
    let file = |reference: &Value| {
        let path = files.join(format!("{}.{}", string(&reference["name"]), string(&reference["key"])));
        std::fs::write(&path, pod.secret(&reference["name"], &reference["key"])).unwrap();
        json!(path)
    };
    let tls = &endpoint["tlsConfig"];
    if tls.is_object() {
        config["tls_config"] =
            json!({"server_name": tls["serverName"], "ca_file": file(&tls["ca"]["secret"])});
        if tls["cert"].is_object() {
            config["tls_config"]["cert_file"] = file(&tls["cert"]["secret"]);
            config["tls_config"]["key_file"] = file(&tls["keySecret"]);
        }
    }
    let basic = &endpoint["basicAuth"];
    if basic.is_object() {
        let user = pod.secret(&basic["username"]["name"], &basic["username"]["key"]);
        config["basic_auth"] = json!({"username": user, "password_file": file(&basic["password"])});
    }
    json!({"scrape_configs": [config]}).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn prometheus_scrapes_with_the_service_monitor_or_the_pod_monitor() {
    let aws = fake_aws().await;
    // The role in the management account that lists the organization.
    aws.world().add_role("555500000000", ROLE, Some("example"));
    for name in ["organization", "web", "certificates", "tls", "mutual-tls", "rate-limit", "renamed"] {
        let pod = Pod::of(name);
        let running = pod.start(&aws);
        let directory = tempfile::tempdir().unwrap();
        let config = scrape_config(&pod, running.address, directory.path());
        let prometheus = Prometheus::with_config(directory, &config).await;
        let up = prometheus.query("up{job=\"ssm-sync-exporter\"} == 1").await;
        assert_eq!(up.len(), 1, "{name}");
        // The exporter's `service` label must win over the operator's.
        let calls =
            prometheus.query("ssm_sync_exporter_api_requests_total{service=~\"Organizations|SSM\"}").await;
        assert!(!calls.is_empty(), "{name}");
        let collisions = prometheus.query("absent({job=\"ssm-sync-exporter\",exported_service!=\"\"})").await;
        assert_eq!(collisions[0].1, "1", "{name}");
    }
}

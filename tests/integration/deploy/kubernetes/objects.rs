//! Whether the objects are valid for Kubernetes and consistent with each other.

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use ssm_sync_exporter::cli::{Cli, Parsed};

use super::chart::{
    CHART, Rendered, document, documents, helm_template, list, string, template, value_file, value_sets,
    values,
};
use super::notes::notes;
use crate::deploy::{place, succeed, text};
use crate::process::{program, run};
use crate::tools;

/// The oldest Kubernetes version that the chart supports, and the newest with a schema.
pub(super) fn versions() -> [String; 2] {
    let constraint = document("Chart.yaml")["kubeVersion"].clone();
    let oldest = string(&constraint).strip_prefix(">=").unwrap().strip_suffix(".0-0").unwrap().to_owned();
    let mut newest = tools::python();
    newest
        .args(["-c", "from kubernetes_validate import utils as u; print(u.major_minor(u.latest_version()))"]);
    let newest = String::from_utf8(succeed(&mut newest).stdout).unwrap().trim().to_owned();
    assert_ne!(oldest, newest);
    [oldest, newest]
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_chart_passes_helm_lint() {
    for name in value_sets() {
        let mut helm = tools::helm();
        let lint = helm.args(["lint", "--strict", "--quiet"]).arg(place(CHART));
        let output = succeed(lint.arg("--values").arg(value_file(&name)));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{name}");
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn objects_are_valid_for_old_and_new_kubernetes_and_the_prometheus_operator() {
    let versions = versions();
    for version in &versions {
        let arguments = ["--kube-version", &format!("{version}.0")];
        // One run for all, because the schemas take seconds to load.
        let all: String = value_sets().iter().map(|name| template(&place(CHART), name, &arguments)).collect();
        assert!(documents(&all, &[version]).len() >= 3 * value_sets().len());
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn only_supported_kubernetes_versions_are_accepted() {
    let [oldest, newest] = versions();
    let (major, minor) = oldest.split_once('.').unwrap();
    let before = format!("{major}.{}.9", minor.parse::<u32>().unwrap() - 1);
    let render = |version: &str| {
        let mut helm = helm_template(&place(CHART));
        let output = helm.args(["--set", "image.repository=x", "--kube-version", version]).output().unwrap();
        (output.status.success(), tools::written(&output))
    };
    for version in [format!("{oldest}.0"), format!("{newest}.3"), format!("v{oldest}.16-eks-0a1b2c3")] {
        assert_eq!(render(&version).0, true, "{version}");
    }
    let (accepted, stderr) = render(&before);
    assert!(!accepted && stderr.contains("chart requires kubeVersion"), "{stderr}");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_chart_has_the_version_of_the_exporter() {
    let chart = document("Chart.yaml");
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    let (_, stdout, _) = run(program().arg("--version"));
    assert!(stdout.starts_with(&format!("ssm-sync-exporter {} ", string(&chart["appVersion"]))), "{stdout}");
    let container = Rendered::of("minimal").container().clone();
    assert_eq!(
        container["image"],
        format!("registry.example/ssm-sync-exporter:{}", env!("CARGO_PKG_VERSION"))
    );
}

/// Every object uses the port of the values, which is the exporter's default port if none is set.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn every_object_uses_the_port_of_the_exporter() {
    let (_, help, _) = run(program().arg("--help"));
    let (_, rest) = help.split_once("--web.listen-address").unwrap();
    let (_, rest) = rest.split_once("[default: :").unwrap();
    let default: u64 = rest.split_once(']').unwrap().0.parse().unwrap();
    for name in value_sets() {
        let rendered = Rendered::of(&name);
        let container = rendered.container();
        let port = values(&name)["port"].as_u64().unwrap_or(default);
        let arguments = list(&container["args"]).iter().map(string);
        let listens: Vec<&str> =
            arguments.filter_map(|argument| argument.strip_prefix("--web.listen-address=")).collect();
        assert_eq!(listens.is_empty(), port == default, "{name}");
        assert!(listens.iter().all(|address| *address == format!(":{port}")), "{name}: {listens:?}");
        assert_eq!(container["ports"], json!([{"name": "metrics", "containerPort": port}]), "{name}");
        assert_eq!(
            rendered.service()["spec"]["ports"],
            json!([{"name": "metrics", "port": port, "targetPort": "metrics"}])
        );
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let probe = &container[probe];
            let ports = [&probe["httpGet"]["port"], &probe["tcpSocket"]["port"]];
            assert_eq!(ports.iter().filter(|port| ***port == "metrics").count(), 1, "{name}: {probe}");
        }
        let extra = values(&name)["networkPolicy"]["extraIngress"].clone();
        let rules =
            rendered.all("NetworkPolicy").into_iter().flat_map(|policy| list(&policy["spec"]["ingress"]));
        for rule in rules.filter(|rule| !extra.as_array().is_some_and(|extra| extra.contains(rule))) {
            assert_eq!(rule["ports"], json!([{"port": "metrics", "protocol": "TCP"}]), "{name}");
        }
        for monitor in rendered.all("ServiceMonitor") {
            assert_eq!(monitor["spec"]["endpoints"][0]["port"], "metrics", "{name}");
        }
        for monitor in rendered.all("PodMonitor") {
            assert_eq!(monitor["spec"]["podMetricsEndpoints"][0]["port"], "metrics", "{name}");
        }
        let notes = notes("x", &name, &["--set", "serviceMonitor.enabled=false,podMonitor.enabled=false"]);
        assert!(notes.contains(&format!("svc, port {port}.\n")), "{name}: {notes}");
        assert!(notes.contains(&format!("://localhost:{port}/\n")), "{name}: {notes}");
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_deployment_and_the_stateful_set_have_the_same_pods_except_for_shard_flags() {
    let one = Rendered::with("sharded", &["--set", "shards=1"]);
    let three = Rendered::of("sharded");
    assert_eq!(
        (&one.workload()["kind"], &three.workload()["kind"]),
        (&json!("Deployment"), &json!("StatefulSet"))
    );
    let without_shards = |rendered: &Rendered| {
        let mut template = rendered.workload()["spec"]["template"].clone();
        template["spec"].as_object_mut().unwrap().remove("topologySpreadConstraints");
        let arguments = template["spec"]["containers"][0]["args"].as_array_mut().unwrap();
        arguments.retain(|argument| !string(argument).starts_with("--shard."));
        template
    };
    assert_eq!(without_shards(&one), without_shards(&three));

    // A single exporter is replaced without downtime, and its node can be drained.
    assert_eq!(one.workload()["spec"]["replicas"], 1);
    assert_eq!(
        one.workload()["spec"]["strategy"]["rollingUpdate"],
        json!({"maxSurge": 1, "maxUnavailable": 0})
    );
    assert_eq!(one.all("PodDisruptionBudget").len(), 0);
    let spec = &three.workload()["spec"];
    assert_eq!((&spec["replicas"], &spec["podManagementPolicy"]), (&json!(3), &json!("Parallel")));
    assert_eq!(spec["serviceName"], three.service()["metadata"]["name"]);
    assert_eq!(three.service()["spec"]["clusterIP"], "None");
    assert_eq!(three.the("PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
}

/// The exporter derives its shard index from the pod's name.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn each_pod_name_selects_its_own_shard() {
    for name in ["sharded", "everything"] {
        let rendered = Rendered::of(name);
        let workload = rendered.workload();
        let arguments = list(&rendered.container()["args"]).iter().map(string);
        let Ok(Parsed::Run(cli)) = Cli::parse(arguments.map(Into::into)) else { panic!("{name}") };
        let replicas = u32::try_from(workload["spec"]["replicas"].as_u64().unwrap()).unwrap();
        for ordinal in 0..replicas {
            let pod = format!("{}-{ordinal}", string(&workload["metadata"]["name"]));
            let shard = cli.shard(&pod).unwrap();
            assert_eq!((shard.index(), shard.total()), (ordinal, replicas), "{pod}");
        }
        cli.shard(&format!("{}-{replicas}", string(&workload["metadata"]["name"]))).unwrap_err();
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn a_changed_configuration_replaces_the_pods_and_a_changed_web_configuration_does_not() {
    let template =
        |arguments: &[&str]| Rendered::with("web", arguments).workload()["spec"]["template"].clone();
    let before = template(&[]);
    assert_ne!(template(&["--set", "config.interval=1m"]), before);
    assert_eq!(template(&["--set", "web.config.rate_limit.burst=40"]), before);
    assert_eq!(template(&["--set", "serviceMonitor.interval=1m"]), before);
    // Changes only reach a mounted directory: a file mounted by subPath is never updated.
    for mount in list(&before["spec"]["containers"][0]["volumeMounts"]) {
        assert_eq!(mount["subPath"], Value::Null, "{mount}");
    }
}

/// During a rollout an old pod reloads its Secret but keeps its old probes.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn settings_that_change_the_probes_change_the_name_of_the_secret() {
    let secret_and_probe = |client_auth_type: &str| {
        let off = "serviceMonitor.enabled=false";
        let rendered = match client_auth_type {
            "" => Rendered::with("web", &["--set", &format!("{off},web.config.tls_server_config=null")]),
            _ => {
                let kind = format!("web.config.tls_server_config.client_auth_type={client_auth_type}");
                Rendered::with("web", &["--set", &format!("{off},{kind}")])
            }
        };
        let secret = string(&rendered.the("Secret")["metadata"]["name"]).to_owned();
        let sources = list(&rendered.pod()["volumes"][0]["projected"]["sources"]);
        assert!(sources.iter().any(|source| source["secret"]["name"] == *secret), "{secret}");
        (secret, rendered.container()["livenessProbe"].clone())
    };
    let kinds =
        ["", "NoClientCert", "VerifyClientCertIfGiven", "RequireAnyClientCert", "RequireAndVerifyClientCert"];
    let all = kinds.map(secret_and_probe);
    for (secret, probe) in &all {
        for (other, other_probe) in &all {
            assert_eq!(secret == other, probe == other_probe, "{secret} and {other}");
        }
    }
    assert_eq!(all.iter().map(|(secret, _)| secret).collect::<BTreeSet<_>>().len(), 3);
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn a_package_contains_the_linked_files_and_renders_the_same_objects() {
    let directory = tempfile::tempdir().unwrap();
    succeed(tools::helm().arg("package").arg(place(CHART)).arg("--destination").arg(directory.path()));
    let version = document("Chart.yaml")["version"].clone();
    let package = directory.path().join(format!("ssm-sync-exporter-{}.tgz", string(&version)));
    for name in value_sets() {
        assert_eq!(template(&package, &name, &[]), template(&place(CHART), &name, &[]), "{name}");
    }
    succeed(std::process::Command::new("tar").arg("-xzf").arg(&package).arg("-C").arg(directory.path()));
    let unpacked = directory.path().join("ssm-sync-exporter");
    for (file, source) in [
        ("rules/recording-rules.yml", "deploy/prometheus/recording-rules.yml"),
        ("rules/alerts.yml", "deploy/prometheus/alerts.yml"),
        ("dashboards/fleet.json", "deploy/grafana/fleet.json"),
        ("dashboards/sync.json", "deploy/grafana/sync.json"),
    ] {
        assert!(unpacked.join(file).symlink_metadata().unwrap().is_file(), "{file}");
        assert_eq!(std::fs::read_to_string(unpacked.join(file)).unwrap(), text(source), "{file}");
    }
    assert!(!unpacked.join("ci").exists());

    // As a dependency of another chart, for which Helm sets further values.
    let other = directory.path().join("platform");
    std::fs::create_dir_all(other.join("charts")).unwrap();
    std::fs::copy(&package, other.join("charts").join(package.file_name().unwrap())).unwrap();
    let chart = format!(
        "apiVersion: v2\nname: platform\nversion: 1.0.0\ndependencies:\n  - {{name: ssm-sync-exporter, version: {version}, condition: ssm-sync-exporter.enabled}}\n"
    );
    std::fs::write(other.join("Chart.yaml"), chart).unwrap();
    std::fs::write(other.join("values.yaml"), "ssm-sync-exporter: {enabled: true, image: {repository: x}}\n")
        .unwrap();
    let output = succeed(helm_template(&other).args(["--set", "global.cluster=x"]));
    assert!(String::from_utf8_lossy(&output.stdout).contains("kind: Deployment"));
}

//! Whether the objects are valid for Kubernetes and consistent with each other.

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use ssm_sync_exporter::cli::{Cli, Parsed};

use super::chart::{
    CHART, NAMESPACE, Rendered, document, documents, helm_template, list, matches, string, template,
    value_file, value_sets,
};
use crate::deploy::{place, succeed, text};
use crate::process::{program, run};
use crate::tools;

/// The oldest Kubernetes version that the chart supports, and the newest with a schema.
fn versions() -> [String; 2] {
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
    for name in value_sets() {
        for version in &versions {
            let yaml = template(&place(CHART), &name, &["--kube-version", &format!("{version}.0")]);
            let objects = documents(&yaml, &[version]);
            assert!(objects.len() >= 3, "{name}: {objects:?}");
        }
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

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn object_names_are_unique_and_all_objects_belong_to_the_release() {
    for name in value_sets() {
        let rendered = Rendered::of(&name);
        let mut seen = BTreeSet::new();
        for object in &rendered.objects {
            let metadata = &object["metadata"];
            let id = format!("{} {}", object["kind"], metadata["name"]);
            assert_eq!(metadata["namespace"], NAMESPACE, "{name}: {id}");
            assert_eq!(metadata["labels"]["app.kubernetes.io/name"], "ssm-sync-exporter", "{name}: {id}");
            assert_eq!(metadata["labels"]["app.kubernetes.io/managed-by"], "Helm", "{name}: {id}");
            assert!(seen.insert(id.clone()), "{name}: {id} is rendered twice");
        }
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn selectors_match_the_pods_and_the_service() {
    for name in value_sets() {
        let rendered = Rendered::of(&name);
        let workload = rendered.workload();
        let labels = &workload["spec"]["template"]["metadata"]["labels"];
        let service = rendered.the("Service");
        let mut selectors = vec![&workload["spec"]["selector"]["matchLabels"], &service["spec"]["selector"]];
        selectors.extend(
            rendered.all("NetworkPolicy").iter().map(|policy| &policy["spec"]["podSelector"]["matchLabels"]),
        );
        selectors.extend(
            rendered
                .all("PodDisruptionBudget")
                .iter()
                .map(|budget| &budget["spec"]["selector"]["matchLabels"]),
        );
        if let Some(constraints) = rendered.pod()["topologySpreadConstraints"].as_array() {
            selectors
                .extend(constraints.iter().map(|constraint| &constraint["labelSelector"]["matchLabels"]));
        }
        for selector in selectors {
            assert!(matches(selector, labels), "{name}: {selector} of {labels}");
        }
        for monitor in rendered.all("ServiceMonitor") {
            let selector = &monitor["spec"]["selector"]["matchLabels"];
            assert!(matches(selector, &service["metadata"]["labels"]), "{name}: {selector}");
        }
        let account = string(&rendered.pod()["serviceAccountName"]).to_owned();
        match rendered.all("ServiceAccount")[..] {
            [made] => assert_eq!(made["metadata"]["name"], account, "{name}"),
            _ => assert_eq!((name.as_str(), account.as_str()), ("certificates", "monitoring")),
        }
    }
}

/// Selectors rely on the chart's labels.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn user_labels_do_not_override_the_labels_of_the_chart() {
    let label = "app\\.kubernetes\\.io/name=mine";
    let set = ["podLabels", "service.labels", "serviceMonitor.labels"]
        .map(|key| format!("{key}.{label}"))
        .join(",");
    assert_eq!(Rendered::with("web", &["--set", &set]).objects, Rendered::of("web").objects);
}

/// Every object uses the exporter's default port.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn every_object_uses_the_default_port() {
    let (_, help, _) = run(program().arg("--help"));
    let (_, rest) = help.split_once("--web.listen-address").unwrap();
    let (_, rest) = rest.split_once("[default: :").unwrap();
    let port: u16 = rest.split_once(']').unwrap().0.parse().unwrap();
    for name in value_sets() {
        let rendered = Rendered::of(&name);
        let container = rendered.container();
        assert_eq!(container["ports"], json!([{"name": "metrics", "containerPort": port}]), "{name}");
        let service = rendered.the("Service");
        assert_eq!(
            service["spec"]["ports"],
            json!([{"name": "metrics", "port": port, "targetPort": "metrics"}])
        );
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let probe = &container[probe];
            let ports = [&probe["httpGet"]["port"], &probe["tcpSocket"]["port"]];
            assert_eq!(ports.iter().filter(|port| ***port == "metrics").count(), 1, "{name}: {probe}");
        }
        for policy in rendered.all("NetworkPolicy") {
            assert_eq!(
                policy["spec"]["ingress"][0]["ports"],
                json!([{"port": "metrics", "protocol": "TCP"}])
            );
        }
        for monitor in rendered.all("ServiceMonitor") {
            assert_eq!(monitor["spec"]["endpoints"][0]["port"], "metrics", "{name}");
        }
    }
    assert!(text(&format!("{CHART}/templates/_notes.tpl")).contains(&format!("port {port}")));
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
    assert_eq!(spec["serviceName"], three.the("Service")["metadata"]["name"]);
    assert_eq!(three.the("Service")["spec"]["clusterIP"], "None");
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

/// A `StatefulSet` uses its name, a hyphen and a hash of ten characters as a label value, of at
/// most 63.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn names_are_short_enough_for_labels() {
    let long = "r".repeat(53);
    let mut helm = tools::helm();
    let output = succeed(
        helm.args(["template", &long]).arg(place(CHART)).args(["--set", "image.repository=x,shards=12"]),
    );
    for object in documents(&String::from_utf8(output.stdout).unwrap(), &[]) {
        let name = string(&object["metadata"]["name"]);
        assert!(name.len() + 11 <= 63 && !name.ends_with('-'), "{name}");
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

/// Without quotes, YAML would parse these names as numbers or booleans.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn names_that_look_like_numbers_or_booleans_are_quoted() {
    for release in ["123", "on", "1e3"] {
        for more in ["", ",fullnameOverride=on,web.tlsSecret=0123"] {
            for name in ["organization", "sharded", "tls", "pod-identity"] {
                let mut helm = tools::helm();
                helm.args(["template", release, "--namespace", "007"]).arg(place(CHART));
                helm.arg("--values")
                    .arg(value_file(name))
                    .args(["--set-string", &format!("image.tag=x{more}")]);
                let yaml = String::from_utf8(succeed(&mut helm).stdout).unwrap();
                for line in yaml.lines() {
                    let value = line.split_once(": ").map_or("", |(_, value)| value);
                    assert!(!["123", "on", "1e3", "007", "0123"].contains(&value), "{release}: {line}");
                }
                let objects = documents(&yaml, &[]);
                for object in &objects {
                    let metadata = &object["metadata"];
                    assert_eq!(metadata["namespace"], "007", "{}", object["kind"]);
                    assert_eq!(metadata["labels"]["app.kubernetes.io/instance"], release);
                }
            }
        }
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_network_policy_allows_only_needed_traffic() {
    let egress = |rendered: &Rendered| -> Vec<Value> {
        let policy = &rendered.the("NetworkPolicy")["spec"];
        assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
        assert_eq!(list(&policy["ingress"]).len(), 1);
        assert!(!list(&policy["ingress"][0]["from"]).is_empty(), "an empty list would allow every peer");
        let rule = |rule: &Value| {
            let peers = rule["to"].as_array().cloned().unwrap_or_default();
            let ports = list(&rule["ports"])
                .iter()
                .map(|port| format!("{}/{}", port["port"], string(&port["protocol"])));
            json!([
                ports.collect::<Vec<_>>(),
                peers.iter().map(|peer| &peer["ipBlock"]["cidr"]).collect::<Vec<_>>()
            ])
        };
        list(&policy["egress"]).iter().map(rule).collect()
    };
    let default = vec![
        json!([["53/UDP", "53/TCP", "5353/UDP", "5353/TCP"], []]),
        json!([["443/TCP"], []]),
        json!([["80/TCP"], ["169.254.170.23/32", "fd00:ec2::23/128"]]),
    ];
    assert_eq!(egress(&Rendered::of("pod-identity")), default);
    let metadata = json!([["80/TCP"], ["169.254.169.254/32", "fd00:ec2::254/128"]]);
    assert_eq!(
        egress(&Rendered::of("everything")),
        [default, vec![metadata, json!([["3128/TCP"], []])]].concat()
    );
    let prometheus = Rendered::of("pod-identity").the("NetworkPolicy")["spec"]["ingress"][0]["from"].clone();
    let by_label = json!({"matchLabels": {"app.kubernetes.io/name": "prometheus"}});
    assert_eq!(prometheus, json!([{"namespaceSelector": {}, "podSelector": by_label}]));
}

/// The notes that Helm prints after the installation.
fn notes(release: &str, name: &str, arguments: &[&str]) -> String {
    let mut helm = tools::helm();
    helm.args(["install", release, "--dry-run=client", "--namespace", NAMESPACE]).arg(place(CHART));
    let output = succeed(helm.arg("--values").arg(value_file(name)).args(arguments));
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_once("\nNOTES:\n").unwrap().1.to_owned()
}

/// The parameters of the templates in deploy/aws that the notes set as `NAME=VALUE`.
fn parameters(notes: &str) -> Vec<(&str, &str)> {
    notes
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .filter(|(name, _)| name.chars().all(char::is_alphabetic) && name.starts_with(char::is_uppercase))
        .collect()
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_notes_name_existing_parameters_of_the_aws_templates() {
    let [hub, member] = ["hub-role", "member-role"].map(|file| text(&format!("deploy/aws/{file}.yaml")));
    let tag_condition = "aws:RequestTag/kubernetes-service-account: !Ref KubernetesServiceAccount";
    assert!(hub.contains(tag_condition), "hub-role.yaml does not require the session tags of Pod Identity");
    let service_account = |notes: &str| {
        let named = parameters(notes);
        for (name, _) in &named {
            let declared = format!("\n  {name}:\n");
            assert!(hub.contains(&declared) || member.contains(&declared), "{name}");
        }
        assert!(!notes.contains("--disable-session-tags"), "{notes}");
        named.iter().find(|(name, _)| *name == "KubernetesServiceAccount").unwrap().1.to_owned()
    };
    let own = notes("ssm-sync-exporter", "minimal", &[]);
    assert!(hub.contains(&format!(
        "  KubernetesServiceAccount:\n    Type: String\n    Default: {}\n",
        service_account(&own)
    )));
    assert!(parameters(&own).contains(&("KubernetesNamespace", NAMESPACE)), "{own}");
    assert!(parameters(&own).contains(&("ExporterSessionTags", "true")), "{own}");
    assert!(own.contains("PackedPolicyTooLarge, set aws.session_policy: false"), "{own}");
    // For every release name, service account name and way to configure the role.
    for (release, name) in [("syncs", "minimal"), ("syncs", "organization"), ("x", "certificates")] {
        let account = Rendered::of_release(release, name).pod()["serviceAccountName"].clone();
        assert_eq!(service_account(&notes(release, name, &[])), string(&account), "{release} {name}");
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_notes_ask_for_a_region_if_none_is_configured() {
    let missing =
        |name: &str, arguments: &[&str]| notes("syncs", name, arguments).contains("\"no region is set\"");
    assert_eq!(missing("minimal", &[]), true);
    assert_eq!(
        missing("minimal", &["--set", "extraEnv[0].name=AWS_REGION,extraEnv[0].value=eu-west-1"]),
        false
    );
    assert_eq!(missing("minimal", &["--set", "config.regions={eu-west-1}"]), false);
    assert_eq!(missing("certificates", &[]), false, "the chart cannot read the Secret");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_notes_say_how_to_open_the_page_and_what_is_not_configured() {
    let minimal = notes("syncs", "minimal", &[]);
    for part in [
        "port-forward deployment/syncs-ssm-sync-exporter 10144\n  http://localhost:10144/\n",
        "--service-account syncs-ssm-sync-exporter ",
        "serviceMonitor.enabled",
        "prometheusRule.enabled",
        "dashboards.enabled",
        "TLS and passwords",
        "aws_ssm_resource_data_sync_last_status{status=\"Failed\"} == 1\n",
    ] {
        assert!(minimal.contains(part), "{part}: {minimal}");
    }
    assert!(notes("syncs", "web", &[]).contains("\n  https://localhost:10144/\n"));
    let everything = notes("syncs", "everything", &[]);
    assert!(everything.contains("port-forward statefulset/syncs 10144\n"), "{everything}");
    assert!(!everything.contains("Not configured"), "{everything}");
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

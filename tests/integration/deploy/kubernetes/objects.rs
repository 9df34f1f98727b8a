//! Objects as Kubernetes takes them, and as they fit each other.

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use ssm_sync_exporter::cli::Cli;

use super::chart::{
    CHART, NAMESPACE, Rendered, document, documents, helm_template, list, matches, string, template,
    value_file, value_sets,
};
use crate::deploy::{place, succeed, text};
use crate::program::{program, run};
use crate::tools;

/// The oldest version that the chart claims, and the newest that is known here.
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
fn helm_has_nothing_to_say_about_the_chart() {
    for name in value_sets() {
        let mut applier = tools::applier();
        let lint = applier.args(["lint", "--strict", "--quiet"]).arg(place(CHART));
        let output = succeed(lint.arg("--values").arg(value_file(&name)));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{name}");
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn kubernetes_old_and_new_and_the_operator_of_prometheus_know_every_key() {
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
fn it_is_for_these_versions_of_kubernetes() {
    let [oldest, newest] = versions();
    let (major, minor) = oldest.split_once('.').unwrap();
    let before = format!("{major}.{}.9", minor.parse::<u32>().unwrap() - 1);
    let of = |version: &str| {
        let mut applier = helm_template(&place(CHART));
        let output =
            applier.args(["--set", "image.repository=x", "--kube-version", version]).output().unwrap();
        (output.status.success(), tools::written(&output))
    };
    for version in [format!("{oldest}.0"), format!("{newest}.3"), format!("v{oldest}.16-eks-0a1b2c3")] {
        assert_eq!(of(&version).0, true, "{version}");
    }
    let (taken, said) = of(&before);
    assert!(!taken && said.contains("chart requires kubeVersion"), "{said}");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn it_is_of_the_version_of_the_exporter() {
    let chart = document("Chart.yaml");
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    let (_, told, _) = run(program().arg("--version"));
    assert!(told.starts_with(&format!("ssm-sync-exporter {} ", string(&chart["appVersion"]))), "{told}");
    let container = Rendered::of("minimal").container().clone();
    assert_eq!(
        container["image"],
        format!("registry.example/ssm-sync-exporter:{}", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn no_two_objects_have_the_same_name_and_all_belong_to_the_release() {
    for name in value_sets() {
        let rendered = Rendered::of(&name);
        let mut seen = BTreeSet::new();
        for object in &rendered.objects {
            let metadata = &object["metadata"];
            let called = format!("{} {}", object["kind"], metadata["name"]);
            assert_eq!(metadata["namespace"], NAMESPACE, "{name}: {called}");
            assert_eq!(metadata["labels"]["app.kubernetes.io/name"], "ssm-sync-exporter", "{name}: {called}");
            assert_eq!(metadata["labels"]["app.kubernetes.io/managed-by"], "Helm", "{name}: {called}");
            assert!(seen.insert(called.clone()), "{name}: {called} is there twice");
        }
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn what_selects_finds_what_is_there() {
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

/// Selectors, the Service and the `ServiceMonitor` rely on them.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn labels_of_the_user_do_not_take_the_place_of_those_of_the_chart() {
    let label = "app\\.kubernetes\\.io/name=mine";
    let set = ["podLabels", "service.labels", "serviceMonitor.labels"]
        .map(|key| format!("{key}.{label}"))
        .join(",");
    assert_eq!(Rendered::with("web", &["--set", &set]).objects, Rendered::of("web").objects);
}

/// The port that the exporter listens on by itself leads through the whole of it.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn ports_match() {
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
fn a_deployment_and_a_stateful_set_have_the_same_pods_but_for_the_shards() {
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

    // One exporter is never away for another, and is not kept from moving.
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

/// What the pods of a `StatefulSet` are called tells the exporter which shard each is.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_names_of_pods_tell_the_shards() {
    for name in ["sharded", "everything"] {
        let rendered = Rendered::of(name);
        let workload = rendered.workload();
        let arguments = list(&rendered.container()["args"]).iter().map(string);
        let cli: Cli = clap::Parser::parse_from(std::iter::once("ssm-sync-exporter").chain(arguments));
        let replicas = u32::try_from(workload["spec"]["replicas"].as_u64().unwrap()).unwrap();
        for ordinal in 0..replicas {
            let pod = format!("{}-{ordinal}", string(&workload["metadata"]["name"]));
            assert_eq!(cli.shard(&pod).unwrap().numbers(), (ordinal, replicas), "{pod}");
        }
        cli.shard(&format!("{}-{replicas}", string(&workload["metadata"]["name"]))).unwrap_err();
    }
}

/// A `StatefulSet` puts its name, a hyphen and a hash of ten letters into a label.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn names_are_short_enough_for_labels() {
    let long = "r".repeat(53);
    let mut applier = tools::applier();
    let output = succeed(
        applier.args(["template", &long]).arg(place(CHART)).args(["--set", "image.repository=x,shards=12"]),
    );
    for object in documents(&String::from_utf8(output.stdout).unwrap(), &[]) {
        let name = string(&object["metadata"]["name"]);
        assert!(name.len() + 11 <= 63 && !name.ends_with('-'), "{name}");
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn another_configuration_means_other_pods_and_another_web_configuration_does_not() {
    let template =
        |arguments: &[&str]| Rendered::with("web", arguments).workload()["spec"]["template"].clone();
    let before = template(&[]);
    assert_ne!(template(&["--set", "config.interval=1m"]), before);
    assert_eq!(template(&["--set", "web.config.rate_limit.burst=40"]), before);
    assert_eq!(template(&["--set", "serviceMonitor.interval=1m"]), before);
    // It is seen only in a directory: a file that is mounted by itself stays as it was.
    for mount in list(&before["spec"]["containers"][0]["volumeMounts"]) {
        assert_eq!(mount["subPath"], Value::Null, "{mount}");
    }
}

/// A pod of before takes up its Secret while a rollout is on its way, and keeps its probes.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn what_changes_the_probes_is_in_another_secret() {
    let of = |client_auth_type: &str| {
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
    let all = kinds.map(of);
    for (secret, probe) in &all {
        for (other, its) in &all {
            assert_eq!(secret == other, probe == its, "{secret} and {other}");
        }
    }
    assert_eq!(all.iter().map(|(secret, _)| secret).collect::<BTreeSet<_>>().len(), 3);
}

/// To YAML, these are numbers and a truth where they are not in quotes.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn names_that_look_like_something_else_stay_names() {
    for release in ["123", "on", "1e3"] {
        for more in ["", ",fullnameOverride=on,web.tlsSecret=0123"] {
            for name in ["organization", "sharded", "tls", "pod-identity"] {
                let mut applier = tools::applier();
                applier.args(["template", release, "--namespace", "007"]).arg(place(CHART));
                applier
                    .arg("--values")
                    .arg(value_file(name))
                    .args(["--set-string", &format!("image.tag=x{more}")]);
                let yaml = String::from_utf8(succeed(&mut applier).stdout).unwrap();
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
fn only_what_is_needed_is_let_through() {
    let open = |rendered: &Rendered| -> Vec<Value> {
        let policy = &rendered.the("NetworkPolicy")["spec"];
        assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
        assert_eq!(list(&policy["ingress"]).len(), 1);
        assert!(!list(&policy["ingress"][0]["from"]).is_empty(), "nobody means everybody");
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
    let usual = vec![
        json!([["53/UDP", "53/TCP", "5353/UDP", "5353/TCP"], []]),
        json!([["443/TCP"], []]),
        json!([["80/TCP"], ["169.254.170.23/32", "fd00:ec2::23/128"]]),
    ];
    assert_eq!(open(&Rendered::of("pod-identity")), usual);
    let metadata = json!([["80/TCP"], ["169.254.169.254/32", "fd00:ec2::254/128"]]);
    assert_eq!(
        open(&Rendered::of("everything")),
        [usual, vec![metadata, json!([["3128/TCP"], []])]].concat()
    );
    let prometheus = Rendered::of("pod-identity").the("NetworkPolicy")["spec"]["ingress"][0]["from"].clone();
    let by_label = json!({"matchLabels": {"app.kubernetes.io/name": "prometheus"}});
    assert_eq!(prometheus, json!([{"namespaceSelector": {}, "podSelector": by_label}]));
}

/// What Helm says once a release is installed.
fn notes(release: &str, name: &str, arguments: &[&str]) -> String {
    let mut applier = tools::applier();
    applier.args(["install", release, "--dry-run=client", "--namespace", NAMESPACE]).arg(place(CHART));
    let output = succeed(applier.arg("--values").arg(value_file(name)).args(arguments));
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_once("\nNOTES:\n").unwrap().1.to_owned()
}

/// `NAME=VALUE` for parameters of the templates in deploy/aws.
fn parameters(notes: &str) -> Vec<(&str, &str)> {
    notes
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .filter(|(name, _)| name.chars().all(char::is_alphabetic) && name.starts_with(char::is_uppercase))
        .collect()
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn notes_agree_with_the_roles_in_aws() {
    let [hub, member] = ["hub-role", "member-role"].map(|file| text(&format!("deploy/aws/{file}.yaml")));
    let trusts_tags = "aws:RequestTag/kubernetes-service-account: !Ref KubernetesServiceAccount";
    assert!(hub.contains(trusts_tags), "the sessions of Pod Identity need no tags");
    let default = |notes: &str| {
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
        default(&own)
    )));
    assert!(parameters(&own).contains(&("KubernetesNamespace", NAMESPACE)), "{own}");
    assert!(parameters(&own).contains(&("ExporterSessionTags", "true")), "{own}");
    assert!(own.contains("PackedPolicyTooLarge: aws.session_policy: false"), "{own}");
    // Whatever the release and the account are called, and however the role is given.
    for (release, name) in [("syncs", "minimal"), ("syncs", "organization"), ("x", "certificates")] {
        let account = Rendered::of_release(release, name).pod()["serviceAccountName"].clone();
        assert_eq!(default(&notes(release, name, &[])), string(&account), "{release} {name}");
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn notes_name_the_region_where_nothing_does() {
    let missing = |name: &str, arguments: &[&str]| notes("syncs", name, arguments).contains("\"no region\"");
    assert_eq!(missing("minimal", &[]), true);
    assert_eq!(
        missing("minimal", &["--set", "extraEnv[0].name=AWS_REGION,extraEnv[0].value=eu-west-1"]),
        false
    );
    assert_eq!(missing("minimal", &["--set", "config.regions={eu-west-1}"]), false);
    assert_eq!(missing("certificates", &[]), false, "nobody sees into the Secret");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn notes_say_how_to_look_and_what_is_not_set_up() {
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
    assert!(!everything.contains("Not set up"), "{everything}");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn a_package_holds_what_the_links_lead_to_and_renders_the_same() {
    let directory = tempfile::tempdir().unwrap();
    succeed(tools::applier().arg("package").arg(place(CHART)).arg("--destination").arg(directory.path()));
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

    // As part of another chart, which Helm gives values of its own.
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

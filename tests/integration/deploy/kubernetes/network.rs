//! The network of the pods: `NetworkPolicy`, Ingress and `HTTPRoute`, the network of the node, address
//! families and DNS.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::chart::{Rendered, list, string, values};
use crate::deploy::place;
use crate::exporter::{REGION, fake_aws};
use crate::process::{ExporterProcess, program, with_ambient_credentials};
use crate::{http, tools};

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_network_policy_allows_only_needed_traffic() {
    let egress = |rendered: &Rendered| -> Vec<Value> {
        let policy = &rendered.the("NetworkPolicy")["spec"];
        assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
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
    let ingress = |name: &str| Rendered::of(name).the("NetworkPolicy")["spec"]["ingress"].clone();
    assert_eq!(list(&ingress("pod-identity")).len(), 1);
    assert_eq!(ingress("everything")[1], values("everything")["networkPolicy"]["extraIngress"][0]);
    let prometheus = ingress("pod-identity")[0]["from"].clone();
    let by_label = json!({"matchLabels": {"app.kubernetes.io/name": "prometheus"}});
    assert_eq!(prometheus, json!([{"namespaceSelector": {}, "podSelector": by_label}]));
}

/// A policy without the controller among its peers would make the page time out.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_network_policy_lets_the_controllers_of_the_page_in() {
    let rendered = Rendered::of("page");
    let rules = list(&rendered.the("NetworkPolicy")["spec"]["ingress"]);
    assert_eq!(rules.len(), 2);
    let namespaces = ["ingress-nginx", "gateways"];
    let peer =
        |namespace| json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}});
    assert_eq!(rules[1]["from"], json!(namespaces.map(peer)));
    // Prometheus alone without a page.
    let off = ["--set", "ingress.enabled=false,httpRoute.enabled=false"];
    let rendered = Rendered::with("page", &off);
    assert_eq!(list(&rendered.the("NetworkPolicy")["spec"]["ingress"]), &rules[..1]);
    assert_eq!(rendered.all("Service").len(), 1);
}

/// The paths of the Ingress, with the port of each backend.
fn ingress_paths(rendered: &Rendered) -> BTreeSet<String> {
    let page = rendered.all("Service").into_iter().find(|service| **service != *rendered.service()).unwrap();
    let port = &page["spec"]["ports"][0];
    let mut paths = BTreeSet::new();
    for rule in list(&rendered.the("Ingress")["spec"]["rules"]) {
        for path in list(&rule["http"]["paths"]) {
            let backend = &path["backend"]["service"];
            assert_eq!(
                (&backend["name"], &backend["port"]["number"]),
                (&page["metadata"]["name"], &port["port"])
            );
            assert_eq!(path["pathType"], "Exact", "a prefix would expose every path");
            paths.insert(string(&path["path"]).to_owned());
        }
    }
    paths
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn ingress_and_http_route_expose_the_same_paths_of_the_page() {
    let rendered = Rendered::of("page");
    let paths = ingress_paths(&rendered);
    let mut of_route = BTreeSet::new();
    let spec = &rendered.the("HTTPRoute")["spec"];
    for rule in list(&spec["rules"]) {
        let matched = list(&rule["matches"]);
        assert!(matched.len() <= 8, "more than version 1.0 of the Gateway API allows");
        of_route.extend(matched.iter().map(|one| string(&one["path"]["value"]).to_owned()));
        assert!(matched.iter().all(|one| one["path"]["type"] == "Exact"));
        assert_eq!(rule["backendRefs"], json!([{"name": "ssm-sync-exporter-page", "port": 10144}]));
    }
    assert_eq!(paths, of_route);
    assert!(paths.contains("/api/v1/status"), "extraPaths are not exposed");
    // Many paths are spread over several rules.
    let many: Vec<String> = (0..20).map(|number| format!("/{number}")).collect();
    let many = Rendered::with("page", &["--set", &format!("page.extraPaths={{{}}}", many.join(","))]);
    assert_eq!(list(&many.the("HTTPRoute")["spec"]["rules"]).len(), 4);
}

/// The exposed paths serve a page that works, and nothing else unless asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_exposed_paths_are_those_that_the_page_links_to_without_the_metrics() {
    let exposed = ingress_paths(&Rendered::with("page", &["--set", "page.extraPaths=null"]));
    let aws = fake_aws().await;
    let running = ExporterProcess::start(with_ambient_credentials(program().env("AWS_REGION", REGION), &aws));
    let mut linked = BTreeSet::from(["/".to_owned()]);
    for path in ["/", "/sync"] {
        let page = http::request(running.address, "GET", path).await.body;
        let links = page.split(['"', '?', '#']).filter(|text| text.starts_with("./"));
        linked.extend(links.map(|link| link.strip_prefix('.').unwrap().to_owned()));
    }
    assert!(linked.remove("/metrics"), "{linked:?}");
    // Rows of syncs link to it; this fleet may not have had its first collection.
    linked.insert("/sync".to_owned());
    linked.retain(|path| path != "/api/v1/status");
    assert_eq!(exposed, linked);
    for path in &exposed {
        let status = http::request(running.address, "GET", path).await.status;
        assert!([200, 400, 404, 503].contains(&status), "{path}: {status}");
    }
}

/// Validates objects of the Gateway API.
pub(super) fn validate_gateway_objects(objects: &[&Value]) -> Result<(), String> {
    let mut node = tools::node();
    node.arg(place("tests/deploy/gateway_objects.mjs")).arg(tools::deploy_modules());
    let mut child = node.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(json!(objects).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() { Ok(()) } else { Err(tools::written(&output)) }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn objects_are_valid_for_the_gateway_api() {
    let rendered = Rendered::of("page");
    let route = rendered.the("HTTPRoute");
    validate_gateway_objects(&[route, rendered.the("BackendTLSPolicy")]).unwrap();
    let mut invalid = route.clone();
    invalid["spec"]["rules"][0]["matches"][0]["path"]["type"] = json!("Equal");
    let message = validate_gateway_objects(&[&invalid]).unwrap_err();
    assert!(message.contains("matches/0/path/type must be equal to one of"), "{message}");
}

/// Prometheus must not scrape the pods a second time through the Service of the page.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_service_of_the_page_has_no_port_that_a_monitor_selects() {
    let arguments = "serviceMonitor.enabled=true,serviceMonitor.basicAuth.username.name=x,serviceMonitor.basicAuth.username.key=x,serviceMonitor.basicAuth.password.name=x,serviceMonitor.basicAuth.password.key=x";
    let rendered = Rendered::with("page", &["--set", arguments]);
    let selected = &rendered.the("ServiceMonitor")["spec"]["endpoints"][0]["port"];
    for service in rendered.all("Service") {
        let headless = service["spec"]["clusterIP"] == "None";
        assert_eq!(service["spec"]["ports"][0]["name"] == *selected, headless, "{}", service["metadata"]);
    }
    let tls = Rendered::with("web", &["--set", "ingress.enabled=true,ingress.hosts={x.example}"]);
    let page = tls.all("Service").into_iter().find(|service| service["spec"]["clusterIP"].is_null()).unwrap();
    assert_eq!(page["spec"]["ports"][0]["appProtocol"], "https");
}

/// The old pod and the new one cannot both have the port of a node.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn pods_in_the_network_of_the_node_resolve_names_of_the_cluster_and_are_replaced_one_at_a_time() {
    let rendered = Rendered::of("host-network");
    let pod = rendered.pod();
    assert_eq!((&pod["hostNetwork"], &pod["dnsPolicy"]), (&json!(true), &json!("ClusterFirstWithHostNet")));
    assert_eq!(rendered.workload()["spec"]["strategy"], json!({"type": "Recreate"}));
    let own =
        Rendered::with("host-network", &["--set", "dnsPolicy=Default,updateStrategy.type=RollingUpdate"]);
    assert_eq!(own.pod()["dnsPolicy"], "Default");
    assert_eq!(own.workload()["spec"]["strategy"], json!({"type": "RollingUpdate"}));
    let pod = Rendered::of("minimal").pod().clone();
    assert_eq!((&pod["hostNetwork"], &pod["dnsPolicy"]), (&Value::Null, &Value::Null));
}

/// `service.ipFamilyPolicy` needs no flag of the exporter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools that `tests/run` installs"]
async fn the_default_address_accepts_connections_of_both_families() {
    let aws = fake_aws().await;
    let mut command = program();
    command.env("AWS_REGION", REGION).arg("--web.listen-address=:0");
    let running = ExporterProcess::start(with_ambient_credentials(&mut command, &aws));
    running.metrics_containing("ssm_sync_exporter_build_info").await;
    let log = running.log();
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    let (before, hosts) =
        if has_ipv6 { ("[::]:", vec!["127.0.0.1", "[::1]"]) } else { ("0.0.0.0:", vec!["127.0.0.1"]) };
    let (_, rest) = log.split_once(before).unwrap_or_else(|| panic!("no {before} in {log}"));
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    for host in hosts {
        tokio::net::TcpStream::connect(format!("{host}:{port}")).await.unwrap();
    }
    for service in Rendered::of("everything").all("Service") {
        let spec = &service["spec"];
        assert_eq!(spec["ipFamilyPolicy"], "PreferDualStack");
        assert_eq!(spec["ipFamilies"], json!(["IPv6", "IPv4"]));
    }
}

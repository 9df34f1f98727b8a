//! Invalid values and their error messages.

use std::io::Write as _;

use serde_json::{Value, json};

use super::chart::{CHART, helm_template};
use crate::deploy::place;

/// Renders the chart with invalid values. Returns the first paragraph of Helm's error, which ends
/// with the cause.
pub(super) fn render_error(values: &Value) -> String {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(values.to_string().as_bytes()).unwrap();
    let mut helm = helm_template(&place(CHART));
    let output = helm.arg("--values").arg(file.path()).output().unwrap();
    assert!(!output.status.success(), "{values} is accepted");
    let stderr = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> =
        stderr.lines().filter(|line| !line.starts_with("level=INFO msg=\"found symbolic")).collect();
    lines.iter().take_while(|line| !line.is_empty()).copied().collect::<Vec<_>>().join("\n")
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn a_missing_image_is_one_line_that_says_what_to_set() {
    let error = render_error(&json!({}));
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(
        error.ends_with(
            "image.repository is not set: no image is published yet; build one (see deploy/container) and set its location, such as `--set image.repository=registry.example/ssm-sync-exporter`"
        ),
        "{error}"
    );
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn invalid_values_are_rejected_with_their_cause() {
    let users = json!({"basic_auth_users": {"prometheus": "x"}});
    let tls = json!({"tls_server_config": {"cert_file": "tls/tls.crt", "key_file": "tls/tls.key"}});
    let mutual = json!({"tls_server_config": {"client_auth_type": "RequireAndVerifyClientCert"}});
    let monitor = json!({"enabled": true});
    assert_rejected([
        // Unknown keys.
        (json!({"replicas": 2}), "- at '': additional properties 'replicas' not allowed"),
        (
            json!({"image": {"repositry": "x"}}),
            "- at '/image': additional properties 'repositry' not allowed",
        ),
        (json!({"web": {"tls": true}}), "- at '/web': additional properties 'tls' not allowed"),
        (
            json!({"prometheusRule": {"thresholds": {}}}),
            "- at '/prometheusRule': additional properties 'thresholds' not allowed",
        ),
        // Values of the wrong type, or out of range.
        (json!({"shards": 0}), "- at '/shards': minimum: got 0, want 1"),
        (json!({"shards": "3"}), "- at '/shards': got string, want integer"),
        (json!({"image": {"tag": 1.0}}), "- at '/image/tag': got number, want string"),
        (
            json!({"image": {"digest": "latest"}}),
            "- at '/image/digest': 'latest' does not match pattern '^(sha256:[0-9a-f]{64})?$'",
        ),
        (
            json!({"image": {"pullPolicy": "Sometimes"}}),
            "- at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'",
        ),
        (
            json!({"log": {"level": "trace"}}),
            "- at '/log/level': value must be one of 'debug', 'info', 'warn', 'error'",
        ),
        (json!({"podAnnotations": {"x": true}}), "- at '/podAnnotations/x': got boolean, want string"),
        (
            json!({"serviceMonitor": {"interval": "5 minutes"}}),
            "- at '/serviceMonitor/interval': '5 minutes' does not match pattern '^([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$'",
        ),
        (
            json!({"serviceAccount": {"roleArn": "ssm-sync-exporter"}}),
            "- at '/serviceAccount/roleArn': 'ssm-sync-exporter' does not match pattern '^(arn:aws[a-z-]*:iam::[0-9]{12}:role/.+)?$'",
        ),
        (json!({"networkPolicy": {"from": []}}), "- at '/networkPolicy/from': minItems: got 0, want 1"),
        // Ids that Helm would render as 1.11122223333e+11.
        (
            json!({"config": {"accounts": [{"id": 111_122_223_333_u64}]}}),
            "- at '/config/accounts/0/id': got number, want string",
        ),
        (
            json!({"config": {"organization": {"exclude_accounts": [111_122_223_333_u64]}}}),
            "- at '/config/organization/exclude_accounts/0': got number, want string",
        ),
        (
            json!({"config": {"accounts": [{"assume_roles": [{"external_id": 111_122_223_333_u64}]}]}}),
            "- at '/config/accounts/0/assume_roles/0/external_id': got number, want string",
        ),
        // Values that conflict.
        (
            json!({"config": {"interval": "1m"}, "configSecret": "x"}),
            "config and configSecret are both set; use one of them",
        ),
        (
            json!({"web": {"config": users, "existingSecret": {"name": "x"}}}),
            "web.config and web.existingSecret.name are both set; use one of them",
        ),
        (
            json!({"web": {"config": {"basic_auth_users": {"prometheus": "x"}, "auth_excluded_paths": ["/-/healthy"]}}}),
            "web.config.auth_excluded_paths must contain /-/ready, which the probes request; remove the key to let the chart add it",
        ),
        (
            json!({"serviceAccount": {"create": false, "roleArn": "arn:aws:iam::999900000000:role/x"}}),
            "serviceAccount.roleArn is set, but the chart cannot annotate a service account that it does not create (serviceAccount.create: false)",
        ),
        (
            json!({"web": {"config": users}, "serviceMonitor": monitor}),
            "web.config.basic_auth_users requires a password to scrape: set serviceMonitor.basicAuth",
        ),
        (
            json!({"web": {"config": tls}, "serviceMonitor": monitor}),
            "the exporter serves HTTPS: set serviceMonitor.tlsConfig, or web.tlsSecret with a ca.crt",
        ),
        (
            json!({"web": {"config": mutual}, "serviceMonitor": monitor}),
            "the web configuration requires a client certificate: set serviceMonitor.tlsConfig with cert and keySecret",
        ),
    ]);
    let error = render_error(&json!({
        "image": {"repository": "x"}, "prometheusRule": {"enabled": true, "disabledAlerts": ["Nothing"]}
    }));
    assert!(
        error.contains("prometheusRule.disabledAlerts: unknown alert Nothing; the alerts are "),
        "{error}"
    );
}

/// Panics unless each of the values is rejected with its message.
fn assert_rejected<const COUNT: usize>(cases: [(Value, &str); COUNT]) {
    for (mut values, message) in cases {
        if values["image"].is_null() {
            values["image"] = json!({"repository": "x"});
        }
        let error = render_error(&values);
        assert!(error.ends_with(message), "{error}\nshould end with\n{message}");
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn values_of_pods_with_the_wrong_shape_are_rejected_by_their_key() {
    assert_rejected([
        (json!({"port": 443}), "- at '/port': minimum: got 443, want 1,024"),
        (
            json!({"extraEnv": [{"name": "A", "value": 5}]}),
            "- at '/extraEnv/0/value': got number, want string",
        ),
        (json!({"imagePullSecrets": ["registry"]}), "- at '/imagePullSecrets/0': got string, want object"),
        (
            json!({"tolerations": [{"key": "a", "effect": "NoRun"}]}),
            "- at '/tolerations/0/effect': value must be one of '', 'NoSchedule', 'PreferNoSchedule', 'NoExecute'",
        ),
        (
            json!({"hostAliases": [{"ip": "10.0.0.300x", "hostnames": ["a"]}]}),
            "- at '/hostAliases/0/ip': '10.0.0.300x' does not match pattern '^([0-9]+\\\\.){3}[0-9]+$|^[0-9a-fA-F:]*:[0-9a-fA-F:.]*$'",
        ),
        (
            json!({"dnsConfig": {"nameservers": ["dns.example"]}}),
            "- at '/dnsConfig/nameservers/0': 'dns.example' does not match pattern '^([0-9]+\\\\.){3}[0-9]+$|^[0-9a-fA-F:]*:[0-9a-fA-F:.]*$'",
        ),
        (
            json!({"dnsConfig": {"options": [{"name": "ndots", "value": 2}]}}),
            "- at '/dnsConfig/options/0/value': got number, want string",
        ),
        (
            json!({"dnsPolicy": "Cluster"}),
            "- at '/dnsPolicy': value must be one of '', 'ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'",
        ),
        (json!({"initContainers": [{"name": "wait"}]}), "- at '/initContainers/0': missing property 'image'"),
        (
            json!({"terminationGracePeriodSeconds": 5}),
            "- at '/terminationGracePeriodSeconds': minimum: got 5, want 11",
        ),
        (json!({"revisionHistoryLimit": -1}), "- at '/revisionHistoryLimit': minimum: got -1, want 0"),
        (
            json!({"resources": {"limits": {"memory": "512MB"}}}),
            "- at '/resources/limits/memory': '512MB' does not match pattern '^[0-9]+(\\\\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$'",
        ),
        (
            json!({"updateStrategy": {"type": "Rolling"}}),
            "- at '/updateStrategy/type': value must be one of 'RollingUpdate', 'Recreate', 'OnDelete'",
        ),
    ]);
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn values_of_other_objects_with_the_wrong_shape_are_rejected_by_their_key() {
    assert_rejected([
        (
            json!({"commonLabels": {"team": "a b"}}),
            "- at '/commonLabels/team': 'a b' does not match pattern '^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$'",
        ),
        (
            json!({"commonLabels": {"team/": "a"}}),
            "- at '': 'team/' does not match pattern '^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$'",
        ),
        (json!({"podLabels": {"x": 1}}), "- at '/podLabels/x': got number, want string"),
        (
            json!({"nameOverride": "Syncs"}),
            "- at '/nameOverride': 'Syncs' does not match pattern '^([a-z]([-a-z0-9]*[a-z0-9])?)?$'",
        ),
        (
            json!({"namespaceOverride": "a.b"}),
            "- at '/namespaceOverride': 'a.b' does not match pattern '^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$'",
        ),
        (
            json!({"service": {"ipFamilies": ["ipv4"]}}),
            "- at '/service/ipFamilies/0': value must be one of 'IPv4', 'IPv6'",
        ),
        (
            json!({"service": {"type": "LoadBalancer"}}),
            "- at '/service': additional properties 'type' not allowed",
        ),
        (
            json!({"serviceMonitor": {"relabelings": [{"source_labels": ["a"]}]}}),
            "- at '/serviceMonitor/relabelings/0': additional properties 'source_labels' not allowed",
        ),
        (
            json!({"serviceMonitor": {"sampleLimit": -1}}),
            "- at '/serviceMonitor/sampleLimit': minimum: got -1, want 0",
        ),
        (
            json!({"podMonitor": {"targetLabels": ["a"]}}),
            "- at '/podMonitor': additional properties 'targetLabels' not allowed",
        ),
        (
            json!({"ingress": {"hosts": ["https://syncs.example.org"]}}),
            "- at '/ingress/hosts/0': 'https://syncs.example.org' does not match pattern '^(\\\\*\\\\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'",
        ),
        (
            json!({"page": {"extraPaths": ["metrics"]}}),
            "- at '/page/extraPaths/0': 'metrics' does not match pattern '^/[-A-Za-z0-9._~/]+$'",
        ),
        (
            json!({"page": {"serviceType": "LoadBalancer"}}),
            "- at '/page/serviceType': value must be one of 'ClusterIP', 'NodePort'",
        ),
        (
            json!({"httpRoute": {"parentRefs": [{"namespace": "gateways"}]}}),
            "- at '/httpRoute/parentRefs/0': missing property 'name'",
        ),
        (
            json!({"httpRoute": {"filters": [{"type": "RequestRedirect"}]}}),
            "- at '/httpRoute/filters/0/type': value must be one of 'CORS', 'ExtensionRef', 'ExternalAuth', 'RequestHeaderModifier', 'RequestMirror', 'ResponseHeaderModifier', 'URLRewrite'",
        ),
        (
            json!({"networkPolicy": {"from": [{"namespaceSelectors": {}}]}}),
            "- at '/networkPolicy/from/0': additional properties 'namespaceSelectors' not allowed",
        ),
        (
            json!({"prometheusRule": {"alertLabels": {"example.org/team": "a"}}}),
            "- at '': 'example.org/team' does not match pattern '^[a-zA-Z_][a-zA-Z0-9_]*$'",
        ),
        (
            json!({"serviceMonitor": {"targetLabels": ["cost center"]}}),
            "- at '/serviceMonitor/targetLabels/0': 'cost center' does not match pattern '^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$'",
        ),
        (json!({"extraObjects": [5]}), "- at '/extraObjects/0': got number, want string or object"),
    ]);
}

/// Kubernetes would reject these values later, or accept them and do something else.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn values_that_cannot_work_in_a_pod_are_rejected_with_what_would_work() {
    assert_rejected([
        (
            json!({"hostNetwork": true, "shards": 2}),
            "hostNetwork: not available with several shards: a pod would have the host name of its node, and not know its shard",
        ),
        (json!({"dnsPolicy": "None"}), "dnsPolicy: None requires dnsConfig.nameservers"),
        (
            json!({"extraArgs": ["--log.level=debug"]}),
            "extraArgs: the chart sets --log.level itself; set the value log.level",
        ),
        (
            json!({"extraArgs": ["--web.listen-address", ":80"]}),
            "extraArgs: the chart sets --web.listen-address itself; set the value port",
        ),
        (
            json!({"initContainers": [{"name": "a", "image": "x"}, {"name": "a", "image": "x"}]}),
            "initContainers: there are two containers named a (the exporter is named ssm-sync-exporter)",
        ),
        (
            json!({"extraContainers": [{"name": "ssm-sync-exporter", "image": "x"}]}),
            "extraContainers: there are two containers named ssm-sync-exporter (the exporter is named ssm-sync-exporter)",
        ),
        (
            json!({"extraContainers": [{"name": "a", "image": "x", "ports": [{"name": "metrics", "containerPort": 8080}]}]}),
            "extraContainers: the port metrics of a is used by the exporter, whose port is named metrics and has the number 10144",
        ),
        (
            json!({"port": 9000, "extraContainers": [{"name": "a", "image": "x", "ports": [{"containerPort": 9000}]}]}),
            "extraContainers: the port 9000 of a is used by the exporter, whose port is named metrics and has the number 9000",
        ),
        (
            json!({"extraVolumes": [{"name": "config", "emptyDir": {}}]}),
            "extraVolumes: there are two volumes named config (the chart has one named config)",
        ),
        (
            json!({"extraVolumeMounts": [{"name": "scratch", "mountPath": "/x"}]}),
            "extraVolumeMounts: no volume is named scratch; add it to extraVolumes",
        ),
        (
            json!({"extraVolumes": [{"name": "x", "emptyDir": {}}], "extraVolumeMounts": [{"name": "x", "mountPath": "/etc/ssm-sync-exporter/"}]}),
            "extraVolumeMounts: there are two mounts at /etc/ssm-sync-exporter (the chart mounts /etc/ssm-sync-exporter)",
        ),
        (
            json!({"updateStrategy": {"type": "OnDelete"}}),
            "updateStrategy.type: a Deployment cannot have OnDelete, only RollingUpdate or Recreate",
        ),
        (
            json!({"updateStrategy": {"type": "Recreate"}, "shards": 2}),
            "updateStrategy.type: a StatefulSet cannot have Recreate, only RollingUpdate or OnDelete",
        ),
        (
            json!({"updateStrategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}}),
            "updateStrategy.rollingUpdate: not allowed with the type Recreate",
        ),
        (
            json!({"updateStrategy": {"rollingUpdate": {"partition": 1}}}),
            "updateStrategy.rollingUpdate: a Deployment has no partition",
        ),
        (
            json!({"updateStrategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}}),
            "updateStrategy.rollingUpdate: maxSurge and maxUnavailable cannot both be 0",
        ),
    ]);
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn pages_that_could_not_be_reached_are_rejected_with_what_would_work() {
    assert_rejected([
        (
            json!({"ingress": {"enabled": true}}),
            "ingress.enabled: set ingress.hosts, such as `--set ingress.hosts={syncs.example.org}`",
        ),
        (
            json!({"ingress": {"enabled": true, "hosts": ["syncs.example.org"], "tls": [{"secretName": "x", "hosts": ["other.example.org"]}]}}),
            "ingress.tls: the host other.example.org is not among ingress.hosts",
        ),
        (
            json!({"ingress": {"enabled": true, "hosts": ["syncs.example.org"]}, "shards": 2}),
            "ingress.enabled: with several shards, each request would show another part of the targets; use one shard, or extraObjects with a Service for each pod",
        ),
        (
            json!({"httpRoute": {"enabled": true, "parentRefs": [{"name": "x"}]}, "shards": 2}),
            "httpRoute.enabled: with several shards, each request would show another part of the targets; use one shard, or extraObjects with a Service for each pod",
        ),
        (
            json!({"ingress": {"enabled": true, "hosts": ["syncs.example.org"]}, "web": {"config": {"tls_server_config": {"client_auth_type": "RequireAndVerifyClientCert"}}}}),
            "ingress.enabled: the web configuration requires a client certificate, which a controller does not have; use client_auth_type: VerifyClientCertIfGiven with passwords",
        ),
        (
            json!({"httpRoute": {"enabled": true}}),
            "httpRoute.enabled: set httpRoute.parentRefs to the Gateway, such as `--set httpRoute.parentRefs[0].name=internal`",
        ),
        (
            json!({"ingress": {"enabled": true, "hosts": ["syncs.example.org"]}, "networkPolicy": {"enabled": true}}),
            "networkPolicy.enabled: set networkPolicy.pageFrom to the Ingress controller or Gateway, such as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}}]",
        ),
        (
            json!({"ingress": {"enabled": true, "hosts": ["syncs.example.org"]}, "page": {"extraPaths": ["/-/reload"]}}),
            "page.extraPaths: /-/reload changes the state of the exporter and must not be exposed",
        ),
    ]);
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn monitors_and_objects_that_cannot_work_are_rejected_with_what_would_work() {
    assert_rejected([
        (
            json!({"serviceMonitor": {"enabled": true}, "podMonitor": {"enabled": true}}),
            "serviceMonitor.enabled and podMonitor.enabled are both true, and Prometheus would scrape every pod twice; use one of them",
        ),
        (
            json!({"web": {"config": {"basic_auth_users": {"a": "x"}}}, "podMonitor": {"enabled": true}}),
            "web.config.basic_auth_users requires a password to scrape: set podMonitor.basicAuth",
        ),
        (
            json!({"web": {"config": {"tls_server_config": {"cert_file": "tls/tls.crt", "key_file": "tls/tls.key"}}}, "podMonitor": {"enabled": true}}),
            "the exporter serves HTTPS: set podMonitor.tlsConfig, or web.tlsSecret with a ca.crt",
        ),
        (
            json!({"web": {"config": {"tls_server_config": {"client_auth_type": "RequireAndVerifyClientCert"}}}, "podMonitor": {"enabled": true}}),
            "the web configuration requires a client certificate: set podMonitor.tlsConfig with cert and keySecret",
        ),
        (
            json!({"web": {"config": {"tls_server_config": {"cert_file": "tls/tls.crt", "key_file": "tls/tls.key"}}, "tlsSecret": "x"}, "serviceMonitor": {"enabled": true, "namespace": "prometheus"}}),
            "serviceMonitor.namespace is prometheus, where the operator does not find web.tlsSecret: set serviceMonitor.tlsConfig",
        ),
        (
            json!({"serviceMonitor": {"enabled": true, "tlsConfig": {"insecureSkipVerify": true}}}),
            "serviceMonitor.tlsConfig is set, but the exporter serves HTTP; set tls_server_config in web.config, or web.existingSecret.tls",
        ),
        (
            json!({"service": {"ipFamilies": ["IPv4", "IPv6"]}}),
            "service.ipFamilies has two families: set service.ipFamilyPolicy to PreferDualStack or RequireDualStack",
        ),
        (
            json!({"extraObjects": ["kind: x"]}),
            "extraObjects[0] is not an object with apiVersion, kind and metadata.name",
        ),
        (
            json!({"extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap"}]}),
            "extraObjects[0] is not an object with apiVersion, kind and metadata.name",
        ),
        (
            json!({"extraObjects": ["- a\n- b"]}),
            "extraObjects[0] is not an object with apiVersion, kind and metadata.name",
        ),
        (
            json!({"extraObjects": ["apiVersion: v1\nkind: List\nmetadata: {name: a}\n---\nkind: x\n"]}),
            "extraObjects[0] is not an object with apiVersion, kind and metadata.name",
        ),
        (
            json!({"extraObjects": ["a: b: c"]}),
            "extraObjects[0] is not valid YAML: mapping values are not allowed in this context",
        ),
    ]);
}

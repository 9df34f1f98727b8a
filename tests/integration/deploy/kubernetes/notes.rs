//! The notes that Helm prints after an installation.

use pretty_assertions::assert_eq;

use super::chart::{CHART, NAMESPACE, Rendered, string, value_file};
use crate::deploy::{place, succeed, text};
use crate::tools;

/// The notes that Helm prints after the installation.
pub(super) fn notes(release: &str, name: &str, arguments: &[&str]) -> String {
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
    assert!(everything.contains("port-forward statefulset/syncs 11144\n"), "{everything}");
    assert!(!everything.contains("Not configured"), "{everything}");
}

/// The notes about values that may surprise.
fn warnings(name: &str, arguments: &[&str]) -> String {
    notes("syncs", name, arguments)
        .split_once("\nTake note:\n")
        .map_or_else(String::new, |(_, after)| after.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_notes_warn_about_an_exposed_page_and_the_network_of_the_node() {
    for name in ["minimal", "web", "everything", "renamed"] {
        assert_eq!(warnings(name, &[]), "", "{name}");
    }
    let password =
        "The page shows account ids and error messages of AWS, and the exporter asks for no password.";
    let clear_text = "- ingress.tls is not set.";
    let https = "- The exporter serves HTTPS. Tell the controller so,";
    let host = "everyone who can reach the node can reach port 10145,";
    let policy =
        "- networkPolicy.enabled has no effect: a NetworkPolicy does not apply to pods with hostNetwork.";
    let all = [password, clear_text, https, host, policy];
    let ingress = "ingress.enabled=true,ingress.hosts={syncs.example.org}";
    let tls = "ingress.tls[0].hosts={syncs.example.org}";
    let route = "httpRoute.enabled=true,httpRoute.parentRefs[0].name=x";
    for (name, set, expected) in [
        ("minimal", ingress.to_owned(), vec![password, clear_text]),
        ("minimal", format!("{ingress},{tls}"), vec![password]),
        ("minimal", route.to_owned(), vec![password]),
        ("web", format!("{ingress},{tls}"), vec![https]),
        ("page", "page.extraPaths=null".to_owned(), vec![https]),
        ("host-network", "networkPolicy.enabled=false".to_owned(), vec![host]),
        ("host-network", "networkPolicy.enabled=true".to_owned(), vec![host, policy]),
    ] {
        let text = warnings(name, &["--set", &set]);
        let found: Vec<&str> = all.into_iter().filter(|warning| text.contains(warning)).collect();
        assert_eq!(found, expected, "{name} {set}: {text}");
    }
    let text = warnings("web", &["--set", "serviceMonitor.honorLabels=false"]);
    assert!(text.starts_with("- Without serviceMonitor.honorLabels, the label `service`"), "{text}");
    // The operator would route none of the alerts.
    let slack = "alertmanagerConfig.slack.apiURL.name=x,alertmanagerConfig.slack.apiURL.key=y";
    let set = format!("alertmanagerConfig.enabled=true,{slack}");
    let text = warnings("minimal", &["--set", &set]);
    assert!(text.starts_with("- alertmanagerConfig only gets alerts whose label `namespace`"), "{text}");
    assert_eq!(warnings("minimal", &["--set", &format!("{set},prometheusRule.enabled=true")]), "");
    let page = notes("syncs", "page", &[]);
    for url in ["https://syncs.example.org/", "https://syncs.internal.example.org/"] {
        assert!(page.contains(&format!("\n  {url}\n")), "{page}");
    }
}

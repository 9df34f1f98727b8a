//! Helpers that render the chart.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::deploy::{place, succeed};
use crate::tools;

/// The directory of the chart.
pub(super) const CHART: &str = "deploy/kubernetes/ssm-sync-exporter";

/// The release and the namespace that the tests render the chart for.
pub(super) const RELEASE: &str = "ssm-sync-exporter";
pub(super) const NAMESPACE: &str = "monitoring";

/// The objects that the chart renders.
pub(super) struct Rendered {
    pub(super) objects: Vec<Value>,
}

impl Rendered {
    /// Renders the chart with the values in `ci/NAME-values.yaml`.
    pub(super) fn of(name: &str) -> Self {
        Self::with(name, &[])
    }

    /// Like [`Self::of`], with more arguments for Helm.
    pub(super) fn with(name: &str, arguments: &[&str]) -> Self {
        Self { objects: documents(&template(&place(CHART), name, arguments), &[]) }
    }

    /// Like [`Self::of`], for another release name.
    pub(super) fn of_release(release: &str, name: &str) -> Self {
        let mut helm = tools::helm();
        helm.args(["template", release, "--namespace", NAMESPACE]).arg(place(CHART));
        let output = succeed(helm.arg("--values").arg(value_file(name)));
        Self { objects: documents(&String::from_utf8(output.stdout).unwrap(), &[]) }
    }

    /// All objects of a kind.
    pub(super) fn all(&self, kind: &str) -> Vec<&Value> {
        self.objects.iter().filter(|object| object["kind"] == kind).collect()
    }

    /// The only object of a kind.
    pub(super) fn the(&self, kind: &str) -> &Value {
        let all = self.all(kind);
        assert_eq!(all.len(), 1, "{kind}");
        all[0]
    }

    /// The Deployment or the `StatefulSet`.
    pub(super) fn workload(&self) -> &Value {
        let kinds = ["Deployment", "StatefulSet"];
        let found: Vec<&Value> = kinds.iter().flat_map(|kind| self.all(kind)).collect();
        assert_eq!(found.len(), 1, "there must be one Deployment or one StatefulSet");
        found[0]
    }

    /// The spec of its pods.
    pub(super) fn pod(&self) -> &Value {
        &self.workload()["spec"]["template"]["spec"]
    }

    /// The container of the exporter.
    pub(super) fn container(&self) -> &Value {
        let containers = list(&self.pod()["containers"]);
        containers.iter().find(|container| container["name"] == "ssm-sync-exporter").unwrap()
    }

    /// The Service that Prometheus scrapes, which is headless.
    pub(super) fn service(&self) -> &Value {
        let services = self.all("Service");
        let mut headless = services.iter().filter(|service| service["spec"]["clusterIP"] == "None");
        let service = headless.next().unwrap();
        assert!(headless.next().is_none(), "there are two headless Services");
        service
    }
}

/// The names of all `ci/NAME-values.yaml` files of the chart.
pub(super) fn value_sets() -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.strip_suffix("-values.yaml")
            .unwrap_or_else(|| panic!("{name} is not NAME-values.yaml"))
            .to_owned()
    };
    let mut names: Vec<String> = std::fs::read_dir(place(CHART).join("ci")).unwrap().map(name).collect();
    names.sort();
    assert!(names.len() >= 6, "{names:?}");
    names
}

/// `helm template` of a chart. It fails unless the values set the image.
pub(super) fn helm_template(chart: &Path) -> Command {
    let mut helm = tools::helm();
    helm.args(["template", RELEASE, "--namespace", NAMESPACE]).arg(chart);
    helm
}

/// The YAML that a chart renders with the values in `ci/NAME-values.yaml`.
pub(super) fn template(chart: &Path, name: &str, arguments: &[&str]) -> String {
    let output = succeed(helm_template(chart).arg("--values").arg(value_file(name)).args(arguments));
    String::from_utf8(output.stdout).unwrap()
}

/// The values in `ci/NAME-values.yaml`.
pub(super) fn values(name: &str) -> Value {
    documents(&std::fs::read_to_string(value_file(name)).unwrap(), &[]).remove(0)
}

pub(super) fn value_file(name: &str) -> std::path::PathBuf {
    place(CHART).join(format!("ci/{name}-values.yaml"))
}

/// Parses a YAML stream. Panics if a document is not a valid object of each of these Kubernetes
/// versions, or of the Prometheus operator.
pub(super) fn documents(yaml: &str, versions: &[&str]) -> Vec<Value> {
    let mut child = tools::python()
        .arg(place("tests/python/kubernetes_objects.py"))
        .args(versions)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(yaml.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{yaml}", tools::written(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The first document of a YAML file of the chart.
pub(super) fn document(path: &str) -> Value {
    documents(&crate::deploy::text(&format!("{CHART}/{path}")), &[]).remove(0)
}

/// The entries of a list. Panics if the value is not a list.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

/// The value as a string. Panics if it is not a string.
pub(super) fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}"))
}

/// Whether `labels` contains all labels of `selector`.
pub(super) fn matches(selector: &Value, labels: &Value) -> bool {
    selector.as_object().unwrap().iter().all(|(name, value)| labels[name] == *value)
}

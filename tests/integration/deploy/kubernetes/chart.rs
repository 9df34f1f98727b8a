//! Renders the chart.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::deploy::{place, succeed};
use crate::tools;

/// Where the chart is.
pub(super) const CHART: &str = "deploy/kubernetes/ssm-sync-exporter";

/// The release and the namespace that it is rendered for.
pub(super) const RELEASE: &str = "ssm-sync-exporter";
pub(super) const NAMESPACE: &str = "monitoring";

/// What the chart makes of values.
pub(super) struct Rendered {
    pub(super) objects: Vec<Value>,
}

impl Rendered {
    /// What it makes of the values in `ci/NAME-values.yaml`.
    pub(super) fn of(name: &str) -> Self {
        Self::with(name, &[])
    }

    /// The same with more arguments for Helm.
    pub(super) fn with(name: &str, arguments: &[&str]) -> Self {
        Self { objects: documents(&template(&place(CHART), name, arguments), &[]) }
    }

    /// The same for a release of another name.
    pub(super) fn of_release(release: &str, name: &str) -> Self {
        let mut applier = tools::applier();
        applier.args(["template", release, "--namespace", NAMESPACE]).arg(place(CHART));
        let output = succeed(applier.arg("--values").arg(value_file(name)));
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
        assert_eq!(found.len(), 1, "one or the other");
        found[0]
    }

    /// What its pods are like.
    pub(super) fn pod(&self) -> &Value {
        &self.workload()["spec"]["template"]["spec"]
    }

    /// The only container of its pods.
    pub(super) fn container(&self) -> &Value {
        let containers = list(&self.pod()["containers"]);
        assert_eq!(containers.len(), 1);
        &containers[0]
    }
}

/// The names of all sets of values that are kept beside the chart.
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

/// `applier template` of a chart, which fails if it is not told where the image is.
pub(super) fn helm_template(chart: &Path) -> Command {
    let mut applier = tools::applier();
    applier.args(["template", RELEASE, "--namespace", NAMESPACE]).arg(chart);
    applier
}

/// The YAML that the chart makes of the values in `ci/NAME-values.yaml`.
pub(super) fn template(chart: &Path, name: &str, arguments: &[&str]) -> String {
    let output = succeed(helm_template(chart).arg("--values").arg(value_file(name)).args(arguments));
    String::from_utf8(output.stdout).unwrap()
}

pub(super) fn value_file(name: &str) -> std::path::PathBuf {
    place(CHART).join(format!("ci/{name}-values.yaml"))
}

/// The documents of a YAML, which have to be objects of all these versions of Kubernetes
/// and of the Prometheus operator.
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

/// The only document of a file of the chart.
pub(super) fn document(path: &str) -> Value {
    documents(&crate::deploy::text(&format!("{CHART}/{path}")), &[]).remove(0)
}

/// What has to be a list.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

/// What has to be a text.
pub(super) fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

/// Whether labels are among others.
pub(super) fn matches(selector: &Value, labels: &Value) -> bool {
    selector.as_object().unwrap().iter().all(|(name, value)| labels[name] == *value)
}

//! Tests of the files in `deploy/` with the programs that read them, one module per directory.
//!
//! Files that need AWS, a cluster or an image registry are not run. They are validated by a real
//! parser or linter, and compared with the names, paths and flags of the exporter.

mod alert_delivery;
mod aws;
mod container;
mod grafana;
mod ingestion;
mod installation;
mod kubernetes;
mod large_fleets;
mod packages;
mod reference;
mod requirements;
mod rules;
mod systemd;
mod workflows;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::tools;

/// The absolute path of a file in the repository.
pub(crate) fn place(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file in the repository.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(place(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A YAML file in the repository, parsed.
pub(crate) fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The entries of a list, none if the value is not a list.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Runs a command and returns its output. Panics if it fails.
pub(crate) fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", tools::written(&output));
    output
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn yaml_files_pass_yamllint() {
    let mut lint = tools::python_program("yamllint");
    let output = succeed(
        lint.current_dir(place(""))
            .args(["--strict", "--config-file=tests/deploy/yamllint.yaml"])
            .args([".github", "config", "deploy"]),
    );
    assert_eq!(tools::written(&output).trim(), output.status.to_string(), "yamllint printed warnings");
}

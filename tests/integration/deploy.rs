//! What `deploy/` holds, in the hands of the programs that it is for.
//!
//! Each part has a room below. What cannot be tried without AWS, a cluster or a
//! registry of images is read by a real parser of it, and compared with what the
//! exporter itself says about its names, paths and flags.

mod aws;
mod container;
mod grafana;
mod kubernetes;
mod reference;
mod rules;
mod systemd;
mod workflows;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::tools;

/// A place in the repository.
pub(crate) fn place(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A text file of the repository.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(place(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A file of YAML of the repository, whatever is in it.
pub(crate) fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The entries of a list; what is not there has none.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// What the command wrote, where it must succeed.
pub(crate) fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", tools::written(&output));
    output
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn yaml_is_tidy() {
    let mut lint = tools::python_program("yamllint");
    let output = succeed(
        lint.current_dir(place(""))
            .args(["--strict", "--config-file=tests/deploy/yamllint.yaml"])
            .args([".github", "config", "deploy"]),
    );
    assert_eq!(tools::written(&output).trim(), output.status.to_string(), "nothing to say");
}

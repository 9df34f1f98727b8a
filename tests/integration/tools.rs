//! Programs that the tests need and did not write.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

/// A Python that has what `tests/python/requirements.txt` names.
pub(crate) fn python() -> Command {
    tool("TEST_PYTHON", "python3")
}

pub(crate) fn prometheus() -> Command {
    tool("TEST_PROMETHEUS", "prometheus")
}

pub(crate) fn promtool() -> Command {
    tool("TEST_PROMTOOL", "promtool")
}

/// What checks a configuration of Alertmanager.
pub(crate) fn amtool() -> Command {
    tool("TEST_AMTOOL", "amtool")
}

pub(crate) fn node_exporter() -> Command {
    tool("TEST_NODE_EXPORTER", "prometheus-node-exporter")
}

pub(crate) fn curl() -> Command {
    tool("TEST_CURL", "curl")
}

pub(crate) fn node() -> Command {
    tool("TEST_NODE", "node")
}

/// A Node that finds the browser and what `tests/browser/package.json` names where
/// `tests/run` has put them.
pub(crate) fn browser_test() -> Command {
    let browser = tool("TEST_CHROMIUM", "chromium");
    let mut node = node();
    node.env("TEST_CHROMIUM", browser.get_program());
    if std::env::var_os("TEST_BROWSER_MODULES").is_none() {
        let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/browser/node_modules");
        node.env("TEST_BROWSER_MODULES", modules);
    }
    node
}

/// A program that a package of `tests/python/requirements.txt` brings.
pub(crate) fn python_program(name: &str) -> Command {
    let python = PathBuf::from(python().get_program());
    running(python.with_file_name(name), "--version")
}

pub(crate) fn helm() -> Command {
    running(place("TEST_HELM", "helm"), "version")
}

pub(crate) fn systemd_analyze() -> Command {
    tool("TEST_SYSTEMD_ANALYZE", "systemd-analyze")
}

/// A Node that runs a script of what `tests/deploy/package.json` names.
pub(crate) fn node_script(script: &str) -> Command {
    let modules = std::env::var_os("TEST_DEPLOY_MODULES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/deploy/node_modules"),
        PathBuf::from,
    );
    let script = modules.join(script);
    assert!(script.exists(), "{} is not there; `tests/run` installs it", script.display());
    let mut node = node();
    node.arg(script);
    node
}

fn tool(variable: &str, name: &str) -> Command {
    running(place(variable, name), "--version")
}

/// Where `tests/run` has put the tool, or where the path leads.
fn place(variable: &str, name: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| PathBuf::from(name), PathBuf::from)
}

/// The program, if it tells its version when asked so.
fn running(program: PathBuf, version: &str) -> Command {
    let found = Command::new(&program).arg(version).output();
    assert!(
        found.is_ok_and(|output| output.status.success()),
        "{} does not run; `tests/run` installs what the tests need",
        program.display()
    );
    Command::new(program)
}

/// A child process that ends with the test.
#[derive(Debug)]
pub(crate) struct Owned(pub(crate) Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.0.kill();
        let _waited = self.0.wait();
    }
}

/// What a program wrote, for the message of a failed assertion.
pub(crate) fn written(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

//! The external programs that the tests run. `tests/run` installs them and passes their paths in
//! environment variables. Without these, the programs are searched in `PATH`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

/// Python with the packages of `tests/python/requirements.txt`.
pub(crate) fn python() -> Command {
    tool("TEST_PYTHON", "python3")
}

pub(crate) fn prometheus() -> Command {
    tool("TEST_PROMETHEUS", "prometheus")
}

pub(crate) fn promtool() -> Command {
    tool("TEST_PROMTOOL", "promtool")
}

/// `amtool`, which checks configurations of Alertmanager.
pub(crate) fn amtool() -> Command {
    tool("TEST_AMTOOL", "amtool")
}

/// Debian's name of Alertmanager.
pub(crate) fn alertmanager() -> Command {
    tool("TEST_ALERTMANAGER", "prometheus-alertmanager")
}

pub(crate) fn node_exporter() -> Command {
    tool("TEST_NODE_EXPORTER", "prometheus-node-exporter")
}

/// A program of the Debian package `victoria-metrics`: that of this name, `vmagent` or `vmalert`.
pub(crate) fn victoria_metrics(name: &str) -> Command {
    let program = std::env::var_os("TEST_VICTORIA_METRICS")
        .map_or_else(|| PathBuf::from(name), |directory| PathBuf::from(directory).join(name));
    checked(program, "--version")
}

/// Python with Datadog's checks, whose versions of other packages differ from those of [`python`].
pub(crate) fn datadog() -> Command {
    let packages = std::env::var_os("TEST_DATADOG").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/datadog"),
        PathBuf::from,
    );
    assert!(packages.exists(), "{} is missing; `tests/run` installs it", packages.display());
    let mut python = python();
    python.env("PYTHONPATH", packages);
    python
}

/// `ab`, a load generator that speaks HTTP/1.0.
pub(crate) fn ab() -> Command {
    checked(tool_path("TEST_AB", "ab"), "-V")
}

pub(crate) fn curl() -> Command {
    tool("TEST_CURL", "curl")
}

pub(crate) fn openssl() -> Command {
    checked(tool_path("TEST_OPENSSL", "openssl"), "version")
}

pub(crate) fn node() -> Command {
    tool("TEST_NODE", "node")
}

/// Node with the environment variables for the browser and for the packages of
/// `tests/browser/package.json`.
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

/// A program from a package of `tests/python/requirements.txt`.
pub(crate) fn python_program(name: &str) -> Command {
    let python = PathBuf::from(python().get_program());
    checked(python.with_file_name(name), "--version")
}

pub(crate) fn helm() -> Command {
    checked(tool_path("TEST_HELM", "helm"), "version")
}

pub(crate) fn systemd_analyze() -> Command {
    tool("TEST_SYSTEMD_ANALYZE", "systemd-analyze")
}

pub(crate) fn lintian() -> Command {
    tool("TEST_LINTIAN", "lintian")
}

pub(crate) fn rpm() -> Command {
    tool("TEST_RPM", "rpm")
}

pub(crate) fn rpmlint() -> Command {
    tool("TEST_RPMLINT", "rpmlint")
}

/// An archive with the file system of a minimal Debian.
pub(crate) fn debian_root() -> PathBuf {
    let root = std::env::var_os("TEST_DEBIAN_ROOT").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/debian.tar"),
        PathBuf::from,
    );
    assert!(root.exists(), "{} is missing; `tests/run` creates it", root.display());
    root
}

pub(crate) fn zsh() -> Command {
    tool("TEST_ZSH", "zsh")
}

pub(crate) fn fish() -> Command {
    tool("TEST_FISH", "fish")
}

pub(crate) fn man() -> Command {
    tool("TEST_MAN", "man")
}

/// `mandoc`, which checks manual pages.
pub(crate) fn mandoc() -> Command {
    checked(tool_path("TEST_MANDOC", "mandoc"), "/dev/null")
}

/// The directory with the packages of `tests/deploy/package.json`.
pub(crate) fn deploy_modules() -> PathBuf {
    std::env::var_os("TEST_DEPLOY_MODULES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/deploy/node_modules"),
        PathBuf::from,
    )
}

/// Node with a script of a package of `tests/deploy/package.json`.
pub(crate) fn node_script(script: &str) -> Command {
    let script = deploy_modules().join(script);
    assert!(script.exists(), "{} is missing; `tests/run` installs it", script.display());
    let mut node = node();
    node.arg(script);
    node
}

fn tool(variable: &str, name: &str) -> Command {
    checked(tool_path(variable, name), "--version")
}

/// The value of the environment variable, or else `name`, which is searched in `PATH`.
fn tool_path(variable: &str, name: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| PathBuf::from(name), PathBuf::from)
}

/// A command for `program`. Panics unless the program succeeds with the argument `version`.
fn checked(program: PathBuf, version: &str) -> Command {
    let version = Command::new(&program).arg(version).output();
    assert!(
        version.is_ok_and(|output| output.status.success()),
        "cannot run {}; `tests/run` installs the tools that the tests need",
        program.display()
    );
    Command::new(program)
}

/// A child process that is killed when dropped.
#[derive(Debug)]
pub(crate) struct KillOnDrop(pub(crate) Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Fails if the process has already exited.
        let _killed = self.0.kill();
        let _waited = self.0.wait();
    }
}

/// The status, stdout and stderr of a program, for assertion messages.
pub(crate) fn written(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

//! Runs the documented steps that install files, as on a fresh machine: below an empty root
//! directory.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pretty_assertions::assert_eq;
use tempfile::TempDir;

use super::{place, text};
use crate::process::{program, run_check};
use crate::tools;

/// The real `install`, with the files below `$ROOT`. Groups of the fresh machine do not exist on
/// this one, so a file gets the group of the test if its group exists below `$ROOT`.
const INSTALL: &str = r#"#!/bin/sh
set -e
for argument; do
  shift
  if [ "$group_is_next" ]; then
    grep -q "^$argument:" "$ROOT/etc/group" || { echo "install: invalid group '$argument'" >&2; exit 1; }
    echo "$argument" >> "$ROOT/groups"
    argument=$(id -g)
  fi
  group_is_next=
  case $argument in
    -g) group_is_next=yes ;;
    /*) argument=$ROOT$argument ;;
  esac
  set -- "$@" "$argument"
done
exec env PATH="$REAL_PATH" install "$@"
"#;

/// The real `systemd-sysusers`, for `$ROOT`.
const SYSUSERS: &str = r#"#!/bin/sh
exec env PATH="$REAL_PATH" systemd-sysusers --root="$ROOT" "$@"
"#;

/// Records what it is called with. Enabling a unit that is not installed fails.
const SYSTEMCTL: &str = r#"#!/bin/sh
echo "$@" >> "$ROOT/systemctl"
case $1 in
  enable)
    for unit; do :; done
    case $unit in *.*) ;; *) unit=$unit.service ;; esac
    test -f "$ROOT/etc/systemd/system/$unit"
    ;;
esac
"#;

/// The commands that install files or change users, and that this test therefore has to run.
const INSTALLING: [&str; 9] =
    ["install", "cp", "mv", "mkdir", "ln", "useradd", "adduser", "groupadd", "systemd-sysusers"];

/// The shell blocks of a page that have such commands.
fn installing_blocks(page: &str) -> Vec<String> {
    let text = text(page);
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in text.lines() {
        match (line.trim(), &mut block) {
            ("```sh", None) => block = Some(String::new()),
            ("```", Some(_)) => blocks.extend(block.take()),
            (line, Some(block)) => block.extend([line, "\n"]),
            (_, None) => {}
        }
    }
    let installs = |block: &String| {
        block
            .lines()
            .any(|line| line.split_whitespace().next().is_some_and(|word| INSTALLING.contains(&word)))
    };
    blocks.into_iter().filter(installs).collect()
}

/// The Markdown files in `directory` and below, relative to the root of the repository.
fn pages_below(directory: &Path) -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
            pages.extend(pages_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages
}

/// A fresh machine, and a checkout of the repository after `cargo build --release`.
struct Machine {
    directory: TempDir,
}

impl Machine {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["root", "bin", "checkout/target/release"] {
            std::fs::create_dir_all(path(name)).unwrap();
        }
        for name in ["config", "deploy"] {
            symlink(place(name), path("checkout").join(name)).unwrap();
        }
        let program = env!("CARGO_BIN_EXE_ssm-sync-exporter");
        symlink(program, path("checkout/target/release/ssm-sync-exporter")).unwrap();
        for (name, script) in [("install", INSTALL), ("systemd-sysusers", SYSUSERS), ("systemctl", SYSTEMCTL)]
        {
            let file = path("bin").join(name);
            std::fs::write(&file, script).unwrap();
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { directory }
    }

    /// The path below the root of the machine.
    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join("root").join(path.trim_start_matches('/'))
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn mode(&self, path: &str) -> u32 {
        let metadata = self.path(path).metadata().unwrap_or_else(|error| panic!("{path}: {error}"));
        metadata.permissions().mode() & 0o7777
    }

    /// Runs the steps with the umask of a careful administrator. The first that fails ends them.
    fn run(&self, steps: &str) -> Output {
        let sysusers = tools::systemd_analyze();
        let real_path = std::env::var("PATH").unwrap();
        let real_path = match Path::new(sysusers.get_program()).parent() {
            Some(directory) if directory.is_absolute() => format!("{real_path}:{}", directory.display()),
            _ => real_path,
        };
        let bin = self.directory.path().join("bin");
        Command::new("sh")
            .args(["-e", "-c", &format!("umask 077\n{steps}")])
            .current_dir(self.directory.path().join("checkout"))
            .env("ROOT", self.directory.path().join("root"))
            .env("PATH", format!("{}:{real_path}", bin.display()))
            .env("REAL_PATH", real_path)
            .output()
            .unwrap()
    }

    fn install(&self, page: &str) {
        for steps in installing_blocks(page) {
            let output = self.run(&steps);
            assert!(output.status.success(), "{steps}\n{}", tools::written(&output));
        }
    }
}

/// The text files that the steps for systemd install, by path.
pub(super) fn files_of_the_steps_for_systemd() -> Vec<(String, String)> {
    let machine = Machine::new();
    machine.install("deploy/systemd/README.md");
    let mut files = Vec::new();
    let mut directories = vec![machine.path("/etc")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.to_str().unwrap().contains("ssm-sync-exporter") {
                let contents = std::fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(machine.path("/")).unwrap();
                files.push((format!("/{}", path.display()), contents));
            }
        }
    }
    files
}

#[test]
fn every_page_with_installing_steps_is_tested() {
    let root = place("");
    let mut found: Vec<String> = pages_below(&root)
        .into_iter()
        .map(|page| page.strip_prefix(&root).unwrap().to_str().unwrap().to_owned())
        .filter(|page| !installing_blocks(page).is_empty())
        .collect();
    found.sort();
    assert_eq!(
        found,
        ["deploy/grafana/README.md", "deploy/ingestion/textfile/README.md", "deploy/systemd/README.md"]
    );
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_steps_for_systemd_work_on_a_fresh_machine() {
    // Regression: a step failed if a directory did not exist.
    let machine = Machine::new();
    machine.install("deploy/systemd/README.md");

    let unit = machine.read("/etc/systemd/system/ssm-sync-exporter.service");
    let value = |name: &str| {
        unit.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_else(|| panic!("{name}"))
    };
    let mut command = value("ExecStart").split_whitespace();
    let binary = command.next().unwrap();
    assert_eq!(machine.mode(binary), 0o755);
    let config = command.find_map(|word| word.strip_prefix("--config.file=")).unwrap();
    let (status, out, _) =
        run_check(program().args(["--config.check", "--config.file"]).arg(machine.path(config)));
    assert_eq!((status, out.as_str()), (Some(0), "the configuration is valid\n"));

    // The service reads its configuration by its group, and others cannot read it.
    let (user, group) = (value("User"), machine.read("groups"));
    assert!(machine.read("/etc/passwd").starts_with(&format!("{user}:")));
    assert_eq!(group.lines().collect::<Vec<_>>(), [user, user]);
    assert_eq!(machine.mode(config), 0o640);
    assert_eq!(machine.mode(Path::new(config).parent().unwrap().to_str().unwrap()), 0o750);
    // What everybody reads, whatever the umask is.
    for path in ["/usr", "/usr/bin", "/etc", "/etc/systemd", "/etc/systemd/system", "/etc/sysusers.d"] {
        assert_eq!(machine.mode(path), 0o755, "{path}");
    }
    for path in [
        "/etc/systemd/system/ssm-sync-exporter.service",
        "/etc/systemd/system/ssm-sync-exporter.socket",
        "/etc/sysusers.d/ssm-sync-exporter.conf",
    ] {
        assert_eq!(machine.mode(path), 0o644, "{path}");
    }
    let calls = machine.read("systemctl");
    assert_eq!(calls.lines().collect::<Vec<_>>(), ["daemon-reload", &format!("enable --now {user}")]);

    // Installing a newer version repeats the steps.
    machine.install("deploy/systemd/README.md");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_steps_for_the_textfile_collector_work_after_those_for_systemd() {
    let machine = Machine::new();
    machine.install("deploy/systemd/README.md");
    machine.install("deploy/ingestion/textfile/README.md");
    for unit in ["service", "timer"] {
        let path = format!("/etc/systemd/system/ssm-sync-exporter-once.{unit}");
        assert_eq!(machine.mode(&path), 0o644, "{path}");
    }
    // The user of the service may create files there.
    assert_eq!(machine.mode("/var/lib/prometheus/node-exporter"), 0o775);
    assert_eq!(machine.read("groups").lines().last(), Some("ssm-sync-exporter"));
    assert_eq!(machine.read("systemctl").lines().last(), Some("enable --now ssm-sync-exporter-once.timer"));
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_steps_for_grafana_work_on_a_fresh_machine() {
    let machine = Machine::new();
    machine.install("deploy/grafana/README.md");
    let provider = "/etc/grafana/provisioning/dashboards/ssm-sync-exporter.yaml";
    let dashboards = machine.read(provider);
    let directory = dashboards.lines().find_map(|line| line.trim().strip_prefix("path: ")).unwrap();
    for file in ["fleet.json", "sync.json"] {
        assert_eq!(machine.read(&format!("{directory}/{file}")), text(&format!("deploy/grafana/{file}")));
    }
    for path in [
        provider,
        "/etc/grafana/provisioning/datasources/prometheus.yaml",
        "/etc/grafana/provisioning/alerting/ssm-sync-alerts.yaml",
    ] {
        assert_eq!(machine.mode(path), 0o644, "{path}");
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn steps_that_need_an_existing_directory_or_user_fail() {
    for steps in [
        "install -m 755 target/release/ssm-sync-exporter /usr/bin/",
        "install -m 644 deploy/systemd/ssm-sync-exporter.service /etc/systemd/system/",
        "install -d -m 750 -g ssm-sync-exporter /etc/ssm-sync-exporter",
        "systemctl enable --now ssm-sync-exporter",
    ] {
        assert!(!Machine::new().run(steps).status.success(), "{steps}");
    }
}

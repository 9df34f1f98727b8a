//! The deb package on a clean Debian, with its apt and dpkg.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use pretty_assertions::assert_eq;

use super::super::{succeed, text};
use super::machine::{Machine, Systemd, as_root};
use super::{NEXT_CONFIG, next_packages, packages, without_comments};
use crate::tools;

const CONFIG: &str = "/etc/ssm-sync-exporter/config.yaml";

/// The line that an administrator adds.
const EDIT: &str = "# Edited\ninterval: 10m\n";

/// The link of `systemctl enable`.
const ENABLED: &str = "/etc/systemd/system/multi-user.target.wants/ssm-sync-exporter.service";

const UPGRADE: [&str; 2] = ["daemon-reload", "try-restart ssm-sync-exporter.service"];

impl Machine {
    fn apt(&self, arguments: &[&str]) {
        let options =
            ["--quiet", "--yes", "--option=Dpkg::Use-Pty=0", "--option=Dpkg::Options::=--force-confold"];
        self.run("apt-get", &[&options, arguments].concat());
    }

    fn install(&self) {
        let package = self.copy(&packages().deb());
        self.apt(&["install", &package]);
    }

    /// Installs the next version, which has another default configuration.
    fn upgrade(&self) {
        let package = self.copy(&next_packages().deb());
        self.apt(&["install", &package]);
    }

    fn edit(&self) {
        let edited = format!("{}{EDIT}", self.read(CONFIG));
        fs::write(self.path(CONFIG), edited).unwrap();
    }

    /// The calls of `systemctl` that change something, without options.
    fn actions(&self) -> Vec<String> {
        self.systemctl_calls().iter().map(|call| call.replace("--system ", "")).collect()
    }

    /// The files of the package that are there.
    fn remains(&self) -> Vec<String> {
        let found = succeed(as_root("find").arg(self.root()).args(["-name", "*ssm-sync-exporter*"]));
        let found = String::from_utf8(found.stdout).unwrap();
        let paths = found.lines().map(|path| path.strip_prefix(self.root().to_str().unwrap()).unwrap());
        let mut paths: Vec<String> = paths
            // Where the test copies the packages to, and what dpkg knows of removed packages.
            .filter(|path| !path.starts_with("/srv/") && !path.starts_with("/var/lib/dpkg/"))
            .map(str::to_owned)
            .collect();
        paths.sort();
        paths
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn a_package_is_installed_upgraded_removed_and_purged() {
    let machine = Machine::new(Systemd::Running);
    machine.install();
    // Regression: deb-systemd-helper enabled both units in a first installation.
    assert_eq!(machine.actions(), ["daemon-reload"]);
    assert!(!machine.exists("/etc/systemd/system/multi-user.target.wants"));
    assert!(!machine.exists("/etc/systemd/system/sockets.target.wants"));
    assert!(succeed(machine.command("dpkg").args(["--verify", "ssm-sync-exporter"])).stdout.is_empty());

    // Its comments name files that exist.
    let config = machine.read(CONFIG);
    assert_eq!(without_comments(&config), without_comments(&text("config/minimal.yaml")));
    let words = config.split([' ', '=', '\n']).map(|word| word.trim_end_matches(['.', ',', ';']));
    let named: Vec<&str> =
        words.filter(|word| [".json", ".yaml"].iter().any(|end| word.ends_with(end))).collect();
    assert!(!named.is_empty(), "{config}");
    for path in named {
        assert!(path.starts_with('/') && machine.exists(path), "{path}: {config}");
    }

    // The service reads its configuration, and others do not.
    assert_eq!(machine.access(CONFIG), "640 root:ssm-sync-exporter");
    assert_eq!(machine.access("/etc/ssm-sync-exporter"), "750 root:ssm-sync-exporter");
    let check = ["serve", "--config.check", "--config.file", CONFIG];
    succeed(machine.command_as("ssm-sync-exporter", "ssm-sync-exporter").args(check));
    let output = machine.command_as("daemon", "ssm-sync-exporter").args(check).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", tools::written(&output));

    // An upgrade keeps what the administrator changed: contents, mode, and other files.
    machine.edit();
    let edited = machine.read(CONFIG);
    machine.run("chmod", &["600", CONFIG]);
    machine.run("chgrp", &["daemon", "/etc/ssm-sync-exporter"]);
    fs::write(machine.path("/etc/ssm-sync-exporter/environment"), "OPTIONS=--log.level=debug\n").unwrap();
    machine.upgrade();
    assert_eq!(machine.actions(), UPGRADE);
    assert_eq!(machine.read(CONFIG), edited);
    assert_eq!(machine.read(&format!("{CONFIG}.dpkg-dist")), NEXT_CONFIG);
    assert_eq!(machine.access(CONFIG), "600 root:ssm-sync-exporter");
    assert_eq!(machine.access("/etc/ssm-sync-exporter"), "750 root:daemon");

    machine.apt(&["remove", "ssm-sync-exporter"]);
    let stops = ["stop ssm-sync-exporter.socket", "stop ssm-sync-exporter.service", "daemon-reload"];
    assert_eq!(machine.actions(), stops);
    assert_eq!(machine.read(CONFIG), edited);
    assert!(!machine.exists("/usr/bin/ssm-sync-exporter"));

    machine.install();
    assert_eq!(machine.read(CONFIG), edited);
    assert_eq!(machine.access(CONFIG), "600 root:ssm-sync-exporter");

    // A purge leaves only what the administrator added.
    machine.apt(&["purge", "ssm-sync-exporter"]);
    let remains = ["/etc/ssm-sync-exporter"];
    assert_eq!(machine.remains(), remains);
    let files = fs::read_dir(machine.path("/etc/ssm-sync-exporter")).unwrap();
    let files: Vec<_> = files.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["environment"]);
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn an_upgrade_replaces_a_default_configuration_that_was_not_edited() {
    let machine = Machine::new(Systemd::NotRunning);
    machine.install();
    machine.upgrade();
    assert_eq!(machine.read(CONFIG), NEXT_CONFIG);
    assert_eq!(machine.access(CONFIG), "640 root:ssm-sync-exporter");
    machine.apt(&["purge", "ssm-sync-exporter"]);
    assert_eq!(machine.remains(), Vec::<String>::new());
    // Without a running systemd, as in the build of an image, there is nothing to tell it.
    assert_eq!(machine.actions(), Vec::<String>::new());
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn a_service_that_the_administrator_enabled_stays_enabled_until_the_purge() {
    let machine = Machine::new(Systemd::Running);
    machine.install();
    let systemctl = std::path::Path::new(tools::systemd_analyze().get_program()).with_file_name("systemctl");
    let root = format!("--root={}", machine.root().display());
    succeed(as_root(systemctl.to_str().unwrap()).args([
        &root,
        "--quiet",
        "enable",
        "ssm-sync-exporter.service",
    ]));
    assert!(machine.exists(ENABLED));
    machine.upgrade();
    assert!(machine.exists(ENABLED));
    machine.apt(&["remove", "ssm-sync-exporter"]);
    // Installed again, the service runs at the next boot as before.
    assert!(machine.exists(ENABLED));
    machine.install();
    machine.apt(&["purge", "ssm-sync-exporter"]);
    assert_eq!(machine.remains(), Vec::<String>::new());
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn a_package_takes_over_an_installation_by_hand() {
    let machine = Machine::new(Systemd::Running);
    // As in deploy/systemd/README.md, with another number for the group than a package would choose.
    fs::create_dir(machine.path("/etc/ssm-sync-exporter")).unwrap();
    machine.run("groupadd", &["--gid", "1234", "ssm-sync-exporter"]);
    let user = ["--uid", "1234", "--gid", "1234", "--home-dir", "/", "ssm-sync-exporter"];
    machine.run("useradd", &user);
    let config = "regions: [eu-west-3]\n";
    fs::write(machine.path(CONFIG), config).unwrap();
    machine.run("chgrp", &["-R", "ssm-sync-exporter", "/etc/ssm-sync-exporter"]);
    fs::set_permissions(machine.path(CONFIG), fs::Permissions::from_mode(0o640)).unwrap();

    machine.install();
    assert_eq!(machine.read(CONFIG), config);
    assert_eq!(machine.access(CONFIG), "640 root:ssm-sync-exporter");
    assert_eq!(machine.read("/etc/passwd").matches("ssm-sync-exporter").count(), 1);
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn an_override_of_dpkg_decides_the_owner() {
    let machine = Machine::new(Systemd::Running);
    machine.run("dpkg-statoverride", &["--add", "root", "daemon", "0640", CONFIG]);
    machine.install();
    assert_eq!(machine.access(CONFIG), "640 root:daemon");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn an_installation_without_a_user_fails() {
    let machine = Machine::new(Systemd::Running);
    // The user cannot be created.
    fs::write(machine.path("/usr/bin/systemd-sysusers"), "#!/bin/sh\nexit 1\n").unwrap();
    let package = machine.copy(&packages().deb());
    let output = machine.command("dpkg").args(["--install", &package]).output().unwrap();
    assert!(!output.status.success(), "{}", tools::written(&output));
    // After the repair, the installation goes on, and sets the group.
    let repaired = "#!/bin/sh\ngroupadd ssm-sync-exporter\n";
    fs::write(machine.path("/usr/bin/systemd-sysusers"), repaired).unwrap();
    machine.run("dpkg", &["--configure", "--pending"]);
    assert_eq!(machine.access(CONFIG), "640 root:ssm-sync-exporter");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn maintainer_scripts_are_valid_for_dash() {
    for script in ["postinst", "prerm", "postrm"] {
        let path = super::place(&format!("deploy/packages/debian/{script}"));
        succeed(Command::new("sh").arg("-n").arg(path));
    }
}

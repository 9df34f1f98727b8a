//! The rpm package below a clean root, with rpm.

use std::fs;
use std::process::Command;

use pretty_assertions::assert_eq;

use super::super::{succeed, text};
use super::machine::{Machine, Systemd, as_root};
use super::{NEXT_CONFIG, next_packages, packages, without_comments};
use crate::tools;

const CONFIG: &str = "/etc/ssm-sync-exporter/config.yaml";

impl Machine {
    fn rpm(&self) -> Command {
        let mut rpm = as_root(tools::rpm().get_program().to_str().unwrap());
        // The machine has no packages of rpm, so no dependency would be met.
        rpm.arg(format!("--root={}", self.root().display())).arg("--nodeps");
        rpm
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn a_package_is_installed_upgraded_and_removed() {
    let machine = Machine::new(Systemd::Running);
    succeed(machine.rpm().arg("--install").arg(packages().rpm()));
    assert_eq!(machine.systemctl_calls(), ["daemon-reload"]);
    // Contents, modes and owners are those of the package.
    assert!(succeed(machine.rpm().args(["--verify", "ssm-sync-exporter"])).stdout.is_empty());
    assert_eq!(without_comments(&machine.read(CONFIG)), without_comments(&text("config/minimal.yaml")));
    assert_eq!(machine.access(CONFIG), "640 root:ssm-sync-exporter");
    assert_eq!(machine.access("/etc/ssm-sync-exporter"), "750 root:ssm-sync-exporter");
    let check = ["serve", "--config.check", "--config.file", CONFIG];
    succeed(machine.command_as("ssm-sync-exporter", "ssm-sync-exporter").args(check));

    let edited = format!("{}interval: 10m\n", machine.read(CONFIG));
    fs::write(machine.path(CONFIG), &edited).unwrap();
    fs::write(machine.path("/etc/ssm-sync-exporter/environment"), "OPTIONS=--log.level=debug\n").unwrap();
    succeed(machine.rpm().arg("--upgrade").arg(next_packages().rpm()));
    assert_eq!(
        machine.systemctl_calls(),
        ["daemon-reload", "daemon-reload", "try-restart ssm-sync-exporter.service"]
    );
    assert_eq!(machine.read(CONFIG), edited);
    assert_eq!(machine.read(&format!("{CONFIG}.rpmnew")), NEXT_CONFIG);

    succeed(machine.rpm().args(["--erase", "ssm-sync-exporter"]));
    assert_eq!(
        machine.systemctl_calls(),
        [
            "--no-reload disable --now ssm-sync-exporter.socket",
            "--no-reload disable --now ssm-sync-exporter.service",
            "daemon-reload"
        ]
    );
    assert_eq!(machine.read(&format!("{CONFIG}.rpmsave")), edited);
    assert!(machine.exists("/etc/ssm-sync-exporter/environment"));
    for path in [
        "/usr/bin/ssm-sync-exporter",
        "/usr/share/doc/ssm-sync-exporter",
        "/usr/share/licenses/ssm-sync-exporter",
    ] {
        assert!(!machine.exists(path), "{path}");
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn an_upgrade_replaces_a_default_configuration_that_was_not_edited() {
    let machine = Machine::new(Systemd::NotRunning);
    succeed(machine.rpm().arg("--install").arg(packages().rpm()));
    succeed(machine.rpm().arg("--upgrade").arg(next_packages().rpm()));
    assert_eq!(machine.read(CONFIG), NEXT_CONFIG);
    assert_eq!(machine.access(CONFIG), "640 root:ssm-sync-exporter");
    // Without a running systemd, as in the build of an image, there is nothing to tell it.
    assert_eq!(machine.systemctl_calls(), Vec::<String>::new());
    succeed(machine.rpm().args(["--erase", "ssm-sync-exporter"]));
    assert!(!machine.exists("/etc/ssm-sync-exporter"));
    let disabled = ["socket", "service"].map(|unit| format!("--no-reload disable ssm-sync-exporter.{unit}"));
    assert_eq!(machine.systemctl_calls(), disabled);
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn an_installation_without_a_user_fails() {
    let machine = Machine::new(Systemd::Running);
    fs::write(machine.path("/usr/bin/systemd-sysusers"), "#!/bin/sh\nexit 1\n").unwrap();
    let output = machine.rpm().arg("--install").arg(packages().rpm()).output().unwrap();
    assert!(!output.status.success(), "{}", tools::written(&output));
    assert!(!machine.exists("/usr/bin/ssm-sync-exporter"));
}

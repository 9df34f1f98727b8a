//! Tests of the systemd units with systemd's own tools.

use std::path::Path;
use std::process::Command;

use pretty_assertions::assert_eq;

use super::{place, succeed, text};
use crate::process::{program, run, run_check};
use crate::tools;

const SERVICE: &str = "deploy/systemd/ssm-sync-exporter.service";
const SOCKET: &str = "deploy/systemd/ssm-sync-exporter.socket";
const SYSUSERS: &str = "deploy/systemd/ssm-sync-exporter.sysusers.conf";

const INSTALLED: &str = "/usr/bin/ssm-sync-exporter";

/// Maximum exposure of the service as reported by `systemd-analyze security`, in tenths of its
/// scale from 0 to 10.
const EXPOSURE: &str = "15";

/// The values of a setting in a unit, in order.
fn settings<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
}

/// The only value of a setting in a unit.
fn setting<'a>(unit: &'a str, name: &str) -> &'a str {
    let values = settings(unit, name);
    assert_eq!(values.len(), 1, "{name}: {values:?}");
    values[0]
}

/// Runs `systemd-analyze verify` on units, each with its name.
pub(super) fn verify(units: &[(String, String)]) {
    let directory = tempfile::tempdir().unwrap();
    let mut verify = tools::systemd_analyze();
    verify.arg("verify");
    for (name, unit) in units {
        // systemd-analyze checks that the program exists.
        let unit = unit.replace(INSTALLED, env!("CARGO_BIN_EXE_ssm-sync-exporter"));
        let copy = directory.path().join(name);
        std::fs::write(&copy, unit).unwrap();
        verify.arg(copy);
    }
    let output = succeed(&mut verify);
    // It only prints a warning for an unknown setting.
    assert_eq!(tools::written(&output).trim(), output.status.to_string());
}

/// Fails if the sandbox of a service is less strict than [`EXPOSURE`].
pub(super) fn check_exposure(service: &Path) {
    let mut security = tools::systemd_analyze();
    succeed(
        security
            .args(["security", "--offline=true", "--no-pager"])
            .arg(format!("--threshold={EXPOSURE}"))
            .arg(service),
    );
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_units_pass_systemd_analyze_verify() {
    verify(&[SERVICE, SOCKET].map(|path| {
        let name = Path::new(path).file_name().unwrap().to_str().unwrap();
        (name.to_owned(), text(path))
    }));
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_sandbox_of_the_service_is_strict() {
    check_exposure(&place(SERVICE));
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn sysusers_creates_the_user_of_the_service() {
    let sysusers = Path::new(tools::systemd_analyze().get_program()).with_file_name("systemd-sysusers");
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("etc")).unwrap();
    succeed(
        Command::new(sysusers).arg(format!("--root={}", directory.path().display())).arg(place(SYSUSERS)),
    );
    let service = text(SERVICE);
    let user = setting(&service, "User");
    let passwd = std::fs::read_to_string(directory.path().join("etc/passwd")).unwrap();
    let fields: Vec<&str> = passwd.trim_end().split(':').collect();
    assert_eq!((fields[0], fields[5]), (user, "/"), "{passwd}");
    assert!(fields[6].ends_with("/nologin"), "{passwd}");
    let group = std::fs::read_to_string(directory.path().join("etc/group")).unwrap();
    assert!(group.starts_with(&format!("{user}:")), "{group}");
}

/// Runs a command of the unit, with `config` instead of the installed configuration.
fn run_command(command: &str, options: &str, config: &Path) -> (Option<i32>, String, String) {
    let arguments = command.strip_prefix(INSTALLED).unwrap_or_else(|| panic!("{command}"));
    let arguments = arguments
        .replace("/etc/ssm-sync-exporter/config.yaml", config.to_str().unwrap())
        .replace("$OPTIONS", options);
    run_check(program().args(arguments.split_whitespace()))
}

#[test]
fn the_program_accepts_the_command_lines_of_the_service() {
    let service = text(SERVICE);
    let check = setting(&service, "ExecStartPre");
    let good = (Some(0), "the configuration is valid\n".to_owned(), String::new());
    let socket = text(SOCKET);
    let flag = socket.split_whitespace().find(|word| word.starts_with("--web.")).unwrap();
    for options in ["", flag, "--web.enable-lifecycle --log.format=json"] {
        assert_eq!(run_command(check, options, &place("config/organization.yaml")), good, "{options}");
    }

    // Regression test: the journal got the report of the check at each start.
    assert_eq!(
        (setting(&service, "StandardOutput"), setting(&service, "StandardError")),
        ("null", "journal")
    );
    assert_eq!(setting(&service, "ExecStart"), check.replace(" --config.check", ""));
    assert_eq!(settings(&service, "ExecReload"), [check, "/bin/kill -HUP $MAINPID"]);

    let directory = tempfile::tempdir().unwrap();
    let wrong = directory.path().join("config.yaml");
    std::fs::write(&wrong, "intervall: 5m\n").unwrap();
    let (status, _, _) = run_command(check, "", &wrong);
    assert_eq!(setting(&service, "RestartPreventExitStatus"), status.unwrap().to_string());
}

#[test]
fn the_socket_uses_the_default_port_of_the_program() {
    let (_, help, _) = run(program().arg("--help"));
    let socket = text(SOCKET);
    let port = setting(&socket, "ListenStream");
    assert!(help.contains(&format!("[default: :{port}]")), "{help}");
}

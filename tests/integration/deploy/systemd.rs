//! Units, read by a real systemd.

use std::path::Path;
use std::process::Command;

use pretty_assertions::assert_eq;

use super::{place, succeed, text};
use crate::program::{program, run};
use crate::tools;

const SERVICE: &str = "deploy/systemd/ssm-sync-exporter.service";
const SOCKET: &str = "deploy/systemd/ssm-sync-exporter.socket";
const SYSUSERS: &str = "deploy/systemd/ssm-sync-exporter.sysusers.conf";

const INSTALLED: &str = "/usr/bin/ssm-sync-exporter";

/// How exposed the service may be at most, in tenths: systemd counts from 0 to 10.
const EXPOSURE: &str = "15";

/// The values that a unit gives a setting, in their order.
fn settings<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
}

/// The only value that a unit gives a setting.
fn setting<'a>(unit: &'a str, name: &str) -> &'a str {
    let values = settings(unit, name);
    assert_eq!(values.len(), 1, "{name}: {values:?}");
    values[0]
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn systemd_has_nothing_to_say_about_the_units() {
    let directory = tempfile::tempdir().unwrap();
    let mut verify = tools::systemd_analyze();
    verify.arg("verify");
    for path in [SERVICE, SOCKET] {
        let unit = text(path);
        // It looks whether the program is there.
        let unit = unit.replace(INSTALLED, env!("CARGO_BIN_EXE_ssm-sync-exporter"));
        let copy = directory.path().join(Path::new(path).file_name().unwrap());
        std::fs::write(&copy, unit).unwrap();
        verify.arg(copy);
    }
    let output = succeed(&mut verify);
    // What it does not understand it only warns of.
    assert_eq!(tools::written(&output).trim(), output.status.to_string());
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn little_is_left_open_to_the_service() {
    let mut security = tools::systemd_analyze();
    succeed(
        security
            .args(["security", "--offline=true", "--no-pager"])
            .args([&format!("--threshold={EXPOSURE}"), place(SERVICE).to_str().unwrap()]),
    );
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_user_of_the_service_is_made() {
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

/// The command as the shell of systemd would run it, with another file in place of the
/// installed configuration.
fn checked(command: &str, options: &str, config: &Path) -> (Option<i32>, String, String) {
    let arguments = command.strip_prefix(INSTALLED).unwrap_or_else(|| panic!("{command}"));
    let arguments = arguments
        .replace("/etc/ssm-sync-exporter/config.yaml", config.to_str().unwrap())
        .replace("$OPTIONS", options);
    run(program().args(arguments.split_whitespace()))
}

#[test]
fn the_program_takes_what_the_service_gives_it() {
    let service = text(SERVICE);
    let check = setting(&service, "ExecStartPre");
    let good = (Some(0), "the configuration is valid\n".to_owned(), String::new());
    let socket = text(SOCKET);
    let flag = socket.split_whitespace().find(|word| word.starts_with("--web.")).unwrap();
    for options in ["", flag, "--web.enable-lifecycle --log.format=json"] {
        assert_eq!(checked(check, options, &place("config/organization.yaml")), good, "{options}");
    }

    assert_eq!(setting(&service, "ExecStart"), check.replace(" --config.check", ""));
    assert_eq!(settings(&service, "ExecReload"), [check, "/bin/kill -HUP $MAINPID"]);

    let directory = tempfile::tempdir().unwrap();
    let wrong = directory.path().join("config.yaml");
    std::fs::write(&wrong, "intervall: 5m\n").unwrap();
    let (status, _, _) = checked(check, "", &wrong);
    assert_eq!(setting(&service, "RestartPreventExitStatus"), status.unwrap().to_string());
}

#[test]
fn the_socket_is_where_the_program_listens_without_it() {
    let (_, help, _) = run(program().arg("--help"));
    let socket = text(SOCKET);
    let port = setting(&socket, "ListenStream");
    assert!(help.contains(&format!("[default: :{port}]")), "{help}");
}

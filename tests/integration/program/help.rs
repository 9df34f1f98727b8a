//! Tests of the help of the program and of its commands.

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;

use crate::deploy::text;
use crate::process::{program, run};

const COMMANDS: [&str; 9] = [
    "serve",
    "once",
    "doctor",
    "config",
    "config check",
    "config schema",
    "config defaults",
    "completions",
    "man",
];

/// What the program prints, and nothing else.
pub(super) fn printed(arguments: &str) -> String {
    let (status, out, err) = run(program().args(arguments.split(' ')));
    assert_eq!((status, err.as_str()), (Some(0), ""), "{arguments}");
    out
}

/// The flags that a help describes: the lines with them begin with at most six spaces.
pub(super) fn flags(help: &str) -> BTreeSet<&str> {
    let is_flag = |line: &&str| line.trim_start().starts_with('-') && !line.starts_with("        ");
    let words = help.lines().filter(is_flag).flat_map(str::split_whitespace);
    words.filter(|word| word.starts_with("--")).collect()
}

/// Each file has the exact help. After a change, write it with
/// `ssm-sync-exporter COMMAND --help > tests/golden/help/COMMAND.txt`.
#[test]
fn help_is_as_in_the_golden_files() {
    assert_eq!(printed("--help"), text("tests/golden/help/program.txt"));
    assert_eq!(printed("-h"), text("tests/golden/help/program-summary.txt"));
    for command in COMMANDS {
        let golden = text(&format!("tests/golden/help/{}.txt", command.replace(' ', "-")));
        assert_eq!(printed(&format!("{command} --help")), golden);
    }
}

/// Regression test: lines were as long as their paragraphs.
#[test]
fn no_line_of_help_has_more_than_80_columns() {
    let of_commands =
        COMMANDS.iter().flat_map(|command| ["--help", "-h"].map(|flag| format!("{command} {flag}")));
    for arguments in of_commands.chain(["--help".to_owned(), "-h".to_owned()]) {
        for columns in ["20", "300"] {
            let (status, help, _) = run(program().env("COLUMNS", columns).args(arguments.split(' ')));
            assert_eq!(status, Some(0));
            for line in help.lines() {
                assert!(line.chars().count() <= 80, "{arguments}: {line}");
                assert_eq!(line, line.trim_end(), "{arguments}");
            }
        }
    }
}

#[test]
fn every_way_to_ask_for_the_help_of_a_command_has_the_same_answer() {
    for command in COMMANDS {
        let help = printed(&format!("{command} --help"));
        assert_eq!(printed(&format!("help {command}")), help);
        assert_eq!(printed(&format!("--log.level=info {command} --help")), help);
        assert_eq!(printed(&format!("{command} --help --no-such-flag")), help);
        assert_eq!(printed(&format!("--help {command}")), help);
        assert_eq!(printed(&format!("-h {command}")), printed(&format!("{command} -h")));
    }
    assert_eq!(printed("help"), printed("--help"));
    assert_eq!(printed("--config.file once --help"), printed("--help"), "`once` is the file");
    assert_eq!(printed("--help --config.file config.yaml"), printed("--help"));
    assert_eq!(printed("config help"), printed("config --help"));
}

/// A flag that the help of a command does not have is refused, apart from those of `serve`, with which the
/// other commands that load the configuration can be run.
#[test]
fn the_help_of_a_command_has_its_flags() {
    let values = |flag: &str| match flag {
        "--web.listen-address" => Some("127.0.0.1:0"),
        "--web.telemetry-path" => Some("/metrics"),
        "--format" => Some("table"),
        "--fail-on" => Some("targets"),
        "--region" => Some("eu-west-1"),
        "--log.level" => Some("info"),
        "--log.format" => Some("json"),
        "--config.check"
        | "--web.systemd-socket"
        | "--web.enable-lifecycle"
        | "--shard.from-hostname"
        | "--record.raw" => None,
        _ => Some("1"),
    };
    let help = printed("--help");
    let of_serve = printed("serve --help");
    let all: Vec<&str> =
        flags(&help).into_iter().filter(|flag| !["--help", "--version"].contains(flag)).collect();
    assert!(all.len() > 20, "{help}");
    let mut seen = BTreeSet::new();
    for command in ["serve", "once", "doctor", "config check", "config schema", "config defaults", "man"] {
        let of_command = printed(&format!("{command} --help"));
        for flag in &all {
            let is_listed = flags(&of_command).contains(flag);
            if is_listed {
                seen.insert(*flag);
            }
            let is_printing = ["config schema", "config defaults", "man"].contains(&command);
            let is_ignored = !is_printing && flags(&of_serve).contains(flag);
            let value = values(flag).map(|value| format!("={value}")).unwrap_or_default();
            let mut program = program();
            program.args(command.split(' ')).arg(format!("{flag}{value}"));
            match *flag {
                "--record.raw" => program.arg("--record=x"),
                "--shard.index" | "--shard.from-hostname" => program.arg("--shard.total=2"),
                _ => &mut program,
            };
            if !is_printing {
                // The file does not exist, so the command does not start.
                program.arg("--config.file=/nonexistent");
            }
            let (status, _, err) = run(&mut program);
            assert_eq!(status, Some(2), "{command} {flag}: {err}");
            let is_refused = err.contains(" requires the command ");
            assert_eq!(is_refused, !is_listed && !is_ignored, "{command} {flag}: {err}");
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all, "every flag is one of a command");
}

//! Tests of the manual page, with the programs that show it.

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;

use super::help::{flags, printed};
use crate::tools::{self, written};

/// The manual page without its escape sequences.
fn page() -> String {
    let mut page = printed("man").replace("\\-", "-").replace("\\&", "");
    for font in ["\\fB", "\\fI", "\\fR"] {
        page = page.replace(font, "");
    }
    page
}

#[test]
fn the_manual_page_has_every_section() {
    let page = page();
    let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
    let expected = [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "COMMANDS",
        "OPTIONS",
        "EXAMPLES",
        "ENVIRONMENT",
        "FILES",
        "\"EXIT STATUS\"",
        "\"SEE ALSO\"",
    ];
    assert_eq!(sections, expected);
    assert!(page.contains("\nssm-sync-exporter - Prometheus exporter for "), "{page}");
}

#[test]
fn the_manual_page_has_the_flags_and_commands_of_help() {
    let (page, help) = (page(), printed("--help"));
    let terms: Vec<&str> = page.split(".TP\n").skip(1).filter_map(|item| item.lines().next()).collect();
    let of_page: BTreeSet<&str> =
        terms.iter().flat_map(|term| term.split([' ', ','])).filter(|word| word.starts_with("--")).collect();
    assert_eq!(of_page, flags(&help));
    for command in ["serve", "once", "doctor", "config check", "config schema", "config defaults", "man"] {
        assert!(terms.contains(&command), "{command}: {terms:?}");
    }
    assert!(terms.contains(&"completions SHELL"));
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn man_shows_the_page_without_warnings() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ssm-sync-exporter.1");
    std::fs::write(&path, printed("man")).unwrap();
    let mut man = tools::man();
    // A UTF-8 locale, as the page has `…`.
    man.args(["--warnings", "-l"])
        .arg(&path)
        .env("MANWIDTH", "80")
        .env("LC_ALL", "C.UTF-8")
        .env("MANPAGER", "cat");
    let output = man.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", written(&output));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("--web.listen-address HOST:PORT"), "{shown}");
    // The indented examples, too.
    for line in shown.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

/// `style` is the lowest level. Its messages are about lines of the source with more than 80 characters:
/// a paragraph is a line.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn mandoc_has_nothing_to_say_about_the_page_above_its_lowest_level() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ssm-sync-exporter.1");
    std::fs::write(&path, printed("man")).unwrap();
    let output = tools::mandoc().args(["-T", "lint", "-W", "style"]).arg(&path).output().unwrap();
    let messages = String::from_utf8(output.stdout).unwrap();
    for message in messages.lines() {
        assert!(message.contains(": STYLE: input text line longer than 80 bytes: "), "{messages}");
    }
}

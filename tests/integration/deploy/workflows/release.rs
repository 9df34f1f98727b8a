//! `.ci/release`: whether a tag may be released, and what a release is made of.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use pretty_assertions::assert_eq;
use tempfile::TempDir;

use super::super::{place, succeed, text};
use crate::{program, tools};

const BINARY: &str = env!("CARGO_BIN_EXE_ssm-sync-exporter");

fn release(command: &[&str]) -> Command {
    let mut release = Command::new(place(".ci/release"));
    release.args(command);
    release
}

/// The version as the program tells it.
fn version() -> String {
    let (_, said, _) = program::run(program::program().arg("--version"));
    said.split(' ').nth(1).unwrap().to_owned()
}

/// A repository of this version and with this changelog, and no more.
fn repository(version: &str, changelog: &str) -> TempDir {
    let repository = tempfile::tempdir().unwrap();
    let at = |path: &str| repository.path().join(path);
    fs::create_dir(at(".ci")).unwrap();
    fs::copy(place(".ci/release"), at(".ci/release")).unwrap();
    // Other versions stand around it.
    let cargo = text("Cargo.toml").replacen(
        &format!("version = \"{}\"", self::version()),
        &format!("version = \"{version}\""),
        1,
    );
    fs::write(at("Cargo.toml"), cargo).unwrap();
    fs::write(at("CHANGELOG.md"), changelog).unwrap();
    repository
}

/// What the script says there: to stdout if it succeeds, else to stderr.
fn say(repository: &Path, command: &[&str]) -> Result<String, String> {
    let output = Command::new(repository.join(".ci/release")).args(command).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

const CHANGELOG: &str = "\
# Changelog

## [Unreleased]

- Not yet.

## [1.2.3] - 2026-11-22

### Added

- One thing,
  over two lines.

### Fixed

- Another.

## [1.2.3-rc.1] - 2026-11-20

- Tried.

## 1.2.0

[1.2.3]: https://example.com/1.2.3
";

#[test]
fn the_version_is_that_of_the_program() {
    let output = succeed(&mut release(&["version"]));
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), version());
}

#[test]
fn a_tag_has_to_be_the_version_and_told_of() {
    let good = repository("1.2.3", CHANGELOG);
    assert_eq!(say(good.path(), &["check", "v1.2.3"]), Ok(String::new()));
    let candidate = repository("1.2.3-rc.1", CHANGELOG);
    assert_eq!(say(candidate.path(), &["check", "v1.2.3-rc.1"]), Ok(String::new()));

    let no = |version: &str, changelog: &str, tag: &str| {
        let repository = repository(version, changelog);
        say(repository.path(), &["check", tag]).expect_err(tag)
    };
    for tag in ["1.2.3", "v1.2.4", "v1.2", "v1.2.3-rc.1", "v1.2.3 ", ""] {
        assert_eq!(
            no("1.2.3", CHANGELOG, tag),
            format!(".ci/release: the tag {tag} is not v1.2.3, the version in Cargo.toml\n")
        );
    }
    let untold = ".ci/release: CHANGELOG.md has no section for 1.2.4\n";
    assert_eq!(no("1.2.4", CHANGELOG, "v1.2.4"), untold);
    assert_eq!(no("1.2.4", &CHANGELOG.replace("[1.2.3]", "[1.2.45]"), "v1.2.4"), untold);
    for heading in ["## [1.2.3]", "## [1.2.3] - soon", "## [1.2.3] 2026-11-22", "### [1.2.3] - 2026-11-22"] {
        let said = no("1.2.3", &CHANGELOG.replace("## [1.2.3] - 2026-11-22", heading), "v1.2.3");
        assert!(said.contains("should be '## [1.2.3] - YYYY-MM-DD', once"), "{heading}: {said}");
    }
    let twice = no("1.2.3", &format!("{CHANGELOG}\n## [1.2.3] - 2026-11-23\n\n- Twice.\n"), "v1.2.3");
    assert!(twice.contains("once"), "{twice}");
    assert_eq!(
        no("1.2.3", "## [1.2.3] - 2026-11-22\n\n\n## [1.2.2] - 2026-11-21\n\n- Old.\n", "v1.2.3"),
        ".ci/release: in CHANGELOG.md the section for 1.2.3 is empty\n"
    );
    assert_eq!(no("latest", CHANGELOG, "vlatest"), ".ci/release: 'latest' in Cargo.toml is not a version\n");
}

#[test]
fn notes_are_the_section_of_the_changelog() {
    let repository = repository("1.2.3", CHANGELOG);
    assert_eq!(
        say(repository.path(), &["notes"]).unwrap(),
        "### Added\n\n- One thing,\n  over two lines.\n\n### Fixed\n\n- Another.\n"
    );
    let last = self::repository("1.2.3", &CHANGELOG.replace("## 1.2.0\n", ""));
    assert_eq!(say(last.path(), &["notes"]), say(repository.path(), &["notes"]));
    let candidate = self::repository("1.2.3-rc.1", &CHANGELOG.replace("## 1.2.0\n", ""));
    assert_eq!(say(candidate.path(), &["notes"]).unwrap(), "- Tried.\n");
}

#[test]
fn what_it_is_not_asked_rightly_it_does_not_do() {
    for command in [&[][..], &["nothing"], &["check"], &["notes", "1.2.3"], &["archive", BINARY]] {
        let output = release(command).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), ".ci/release: see the head of this script\n");
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn archives_are_the_same_from_the_same_commit() {
    // As releases are: packing what is for a debugger takes most of a minute.
    let stripped = tempfile::tempdir().unwrap();
    let binary = stripped.path().join("stripped");
    succeed(Command::new("strip").arg("-o").args([&binary, Path::new(BINARY)]));
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let name = format!("ssm-sync-exporter-{}.linux-{architecture}", version());
    let pack = |umask: &str| {
        let directory = tempfile::tempdir().unwrap();
        let script = format!("umask {umask}; exec \"$@\"");
        succeed(
            Command::new("bash")
                .args(["-c", &script, "bash"])
                .arg(place(".ci/release"))
                .arg("archive")
                .args([&binary, directory.path()])
                .env("SOURCE_DATE_EPOCH", "1790000000"),
        );
        directory
    };
    let (one, other) = (pack("022"), pack("077"));
    let archive = one.path().join(format!("{name}.tar.gz"));
    let bytes = |path: &Path| fs::read(path).unwrap();
    assert!(bytes(&archive) == bytes(&other.path().join(archive.file_name().unwrap())), "archives differ");

    let output = succeed(
        Command::new("tar")
            .env("TZ", "UTC")
            .args(["--list", "--verbose", "--numeric-owner", "--file"])
            .arg(&archive),
    );
    let listed = String::from_utf8(output.stdout).unwrap();
    let mut there = BTreeSet::new();
    for line in listed.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [mode, owner, _, date, _, path] = fields[..] else { panic!("{line}") };
        assert_eq!((owner, date), ("0/0", "2026-09-21"), "{line}");
        let path = path.strip_prefix(&name).unwrap().trim_matches('/');
        let runs = mode.starts_with('d') || path == "ssm-sync-exporter";
        assert_eq!(&mode[1..], if runs { "rwxr-xr-x" } else { "rw-r--r--" }, "{line}");
        there.insert(path.to_owned());
    }
    for path in ["ssm-sync-exporter", "LICENSE", "README.md", "config/full.yaml", "deploy/systemd"] {
        assert!(there.contains(path), "{path}: {there:?}");
    }

    succeed(
        Command::new("tar").arg("--extract").arg("--file").arg(&archive).arg("--directory").arg(one.path()),
    );
    let unpacked = one.path().join(&name);
    assert!(bytes(&unpacked.join("ssm-sync-exporter")) == bytes(&binary));
    assert_eq!(bytes(&unpacked.join("config/full.yaml")), bytes(&place("config/full.yaml")));
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn binaries_for_newer_systems_only_are_refused() {
    let tools = tempfile::tempdir().unwrap();
    let objdump = tools.path().join("objdump");
    fs::write(&objdump, "#!/bin/sh\necho '0 DF *UND* 0 (GLIBC_2.9) a'\necho '0 DF *UND* 0 (GLIBC_2.38) b'\n")
        .unwrap();
    succeed(Command::new("chmod").arg("+x").arg(&objdump));
    let path = std::env::var("PATH").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let output = release(&["archive", BINARY])
        .arg(directory.path())
        .env("PATH", format!("{}:{path}", tools.path().display()))
        .output()
        .unwrap();
    assert!(!output.status.success(), "{}", tools::written(&output));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!(".ci/release: {BINARY} needs GLIBC_2.38, newer than 2.34\n")
    );
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_chart_has_the_image_of_its_release() {
    let version = version();
    let directory = tempfile::tempdir().unwrap();
    let image = "ghcr.io/example/ssm-sync-exporter";
    let helm = tools::helm();
    succeed(release(&["chart", image]).arg(directory.path()).env("HELM", helm.get_program()));
    let chart = directory.path().join(format!("ssm-sync-exporter-{version}.tgz"));

    let helm = |command: &[&str]| {
        let output = succeed(tools::helm().args(command).arg(&chart));
        String::from_utf8(output.stdout).unwrap()
    };
    let described = helm(&["show", "chart"]);
    for key in ["version", "appVersion"] {
        assert!(described.lines().any(|line| line == format!("{key}: {version}")), "{described}");
    }
    let rendered = helm(&["template", "exporter"]);
    let used = format!("image: {image}:{version}");
    assert!(rendered.replace('"', "").lines().any(|line| line.trim() == used), "{rendered}");
}

//! Tests of `.ci/release`: the check of a tag, and the parts of a release.

mod whole;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use pretty_assertions::assert_eq;
use tempfile::TempDir;

use super::super::{place, succeed, text};
use super::files;
use crate::process::{program, run};
use crate::tools;

const BINARY: &str = env!("CARGO_BIN_EXE_ssm-sync-exporter");

/// The man page and the completions that go into an archive.
fn generated() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    succeed(release(&["generate", BINARY]).arg(directory.path()));
    directory
}

fn release(command: &[&str]) -> Command {
    let mut release = Command::new(place(".ci/release"));
    release.args(command);
    release
}

/// The version that the program prints.
fn version() -> String {
    let (_, stdout, _) = run(program().arg("--version"));
    stdout.split(' ').nth(1).unwrap().to_owned()
}

/// A directory with only `.ci/release`, a Cargo.toml with this version, and this changelog.
fn repository(version: &str, changelog: &str) -> TempDir {
    let repository = tempfile::tempdir().unwrap();
    let at = |path: &str| repository.path().join(path);
    fs::create_dir(at(".ci")).unwrap();
    fs::copy(place(".ci/release"), at(".ci/release")).unwrap();
    // Cargo.toml has other versions too, so replace only the first match.
    let cargo = text("Cargo.toml").replacen(
        &format!("version = \"{}\"", self::version()),
        &format!("version = \"{version}\""),
        1,
    );
    fs::write(at("Cargo.toml"), cargo).unwrap();
    fs::write(at("CHANGELOG.md"), changelog).unwrap();
    repository
}

/// Runs the script in `repository`. Returns its stdout if it succeeds, and its stderr if it fails.
fn run_script(repository: &Path, command: &[&str]) -> Result<String, String> {
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
fn the_version_is_the_one_that_the_program_prints() {
    let output = succeed(&mut release(&["version"]));
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), version());
}

#[test]
fn a_tag_must_be_the_version_and_have_a_changelog_section() {
    let good = repository("1.2.3", CHANGELOG);
    assert_eq!(run_script(good.path(), &["check", "v1.2.3"]), Ok(String::new()));
    let candidate = repository("1.2.3-rc.1", CHANGELOG);
    assert_eq!(run_script(candidate.path(), &["check", "v1.2.3-rc.1"]), Ok(String::new()));

    let check_error = |version: &str, changelog: &str, tag: &str| {
        let repository = repository(version, changelog);
        run_script(repository.path(), &["check", tag]).expect_err(tag)
    };
    for tag in ["1.2.3", "v1.2.4", "v1.2", "v1.2.3-rc.1", "v1.2.3 ", ""] {
        assert_eq!(
            check_error("1.2.3", CHANGELOG, tag),
            format!(".ci/release: the tag {tag} is not v1.2.3, the version in Cargo.toml\n")
        );
    }
    let missing_section = ".ci/release: CHANGELOG.md has no section for 1.2.4\n";
    assert_eq!(check_error("1.2.4", CHANGELOG, "v1.2.4"), missing_section);
    assert_eq!(check_error("1.2.4", &CHANGELOG.replace("[1.2.3]", "[1.2.45]"), "v1.2.4"), missing_section);
    for heading in ["## [1.2.3]", "## [1.2.3] - soon", "## [1.2.3] 2026-11-22", "### [1.2.3] - 2026-11-22"] {
        let error = check_error("1.2.3", &CHANGELOG.replace("## [1.2.3] - 2026-11-22", heading), "v1.2.3");
        assert!(error.contains("must be '## [1.2.3] - YYYY-MM-DD', and only once"), "{heading}: {error}");
    }
    let twice =
        check_error("1.2.3", &format!("{CHANGELOG}\n## [1.2.3] - 2026-11-23\n\n- Twice.\n"), "v1.2.3");
    assert!(twice.contains("once"), "{twice}");
    assert_eq!(
        check_error("1.2.3", "## [1.2.3] - 2026-11-22\n\n\n## [1.2.2] - 2026-11-21\n\n- Old.\n", "v1.2.3"),
        ".ci/release: the section for 1.2.3 in CHANGELOG.md is empty\n"
    );
    assert_eq!(
        check_error("latest", CHANGELOG, "vlatest"),
        ".ci/release: 'latest' in Cargo.toml is not a version\n"
    );
}

#[test]
fn a_minor_version_must_have_upgrade_notes() {
    let changelog = |version: &str| format!("## [{version}] - 2026-11-22\n\n- One thing.\n");
    let check = |version: &str, notes: &str| {
        let repository = repository(version, &changelog(version));
        fs::write(repository.path().join("UPGRADING.md"), notes).unwrap();
        run_script(repository.path(), &["check", &format!("v{version}")])
    };
    for version in ["1.2.0", "2.0.0", "1.2.0-rc.1"] {
        let wanted = version.split('-').next().unwrap();
        assert_eq!(check(version, &format!("# Upgrading\n\n## {wanted}\n\nNothing.\n")), Ok(String::new()));
        let error = format!(".ci/release: UPGRADING.md has no section '## {wanted}'\n");
        assert_eq!(check(version, "## 11.2.0\n## 1.2.01\n"), Err(error));
    }
    assert_eq!(check("1.2.3", "## 1.2.0\n"), Ok(String::new()));
}

#[test]
fn changelog_and_upgrade_notes_have_sections_of_versions() {
    let changelog = text("CHANGELOG.md");
    let mut headings = changelog.lines().filter_map(|line| line.strip_prefix("## "));
    // There is always a place for the next entry.
    assert_eq!(headings.next(), Some("[Unreleased]"));
    let mut versions = Vec::new();
    for heading in headings {
        let version = heading.strip_prefix('[').and_then(|rest| rest.split_once("] - ")).map(|(v, _)| v);
        let version = version.unwrap_or_else(|| panic!("{heading}"));
        // The notes of every version can be extracted again.
        let repository = repository(version, &changelog);
        assert!(run_script(repository.path(), &["notes"]).is_ok(), "{heading}");
        versions.push(version);
    }
    versions.push(env!("CARGO_PKG_VERSION"));
    let notes = text("UPGRADING.md");
    let sections = notes.lines().filter_map(|line| line.strip_prefix("## "));
    for section in sections.filter(|section| section.starts_with(|first: char| first.is_ascii_digit())) {
        assert!(
            versions.contains(&section),
            "UPGRADING.md has a section for {section}, CHANGELOG.md has none"
        );
    }
}

/// The versions with three numbers in a text.
fn versions_in(text: &str) -> impl Iterator<Item = &str> {
    let pieces = text.split(|c: char| !(c.is_ascii_digit() || c == '.')).map(|piece| piece.trim_matches('.'));
    pieces.filter(|piece| piece.split('.').filter(|number| !number.is_empty()).count() == 3)
}

#[test]
fn names_of_released_files_and_images_have_the_current_version() {
    let mut found = 0;
    for path in files() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if !path.starts_with(place("deploy")) && path != place("README.md") {
            continue;
        }
        for line in text.lines().filter(|line| line.contains("ssm-sync-exporter")) {
            let words = line.split_whitespace().filter(|word| word.contains("ssm-sync-exporter"));
            let option = line.split_once(" --version ").map(|(_, version)| version);
            for version in words.chain(option).flat_map(versions_in) {
                assert_eq!(version, env!("CARGO_PKG_VERSION"), "{}: {line}", path.display());
                found += 1;
            }
        }
    }
    assert!(found >= 9, "{found}");
}

#[test]
fn a_program_that_writes_no_man_page_is_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let output = release(&["generate", "/bin/true"]).arg(directory.path()).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    let expected = format!(".ci/release: /bin/true wrote nothing to {}/", directory.path().display());
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn release_notes_are_the_section_of_the_changelog() {
    let repository = repository("1.2.3", CHANGELOG);
    assert_eq!(
        run_script(repository.path(), &["notes"]).unwrap(),
        "### Added\n\n- One thing,\n  over two lines.\n\n### Fixed\n\n- Another.\n"
    );
    let last = self::repository("1.2.3", &CHANGELOG.replace("## 1.2.0\n", ""));
    assert_eq!(run_script(last.path(), &["notes"]), run_script(repository.path(), &["notes"]));
    let candidate = self::repository("1.2.3-rc.1", &CHANGELOG.replace("## 1.2.0\n", ""));
    assert_eq!(run_script(candidate.path(), &["notes"]).unwrap(), "- Tried.\n");
}

#[test]
fn wrong_arguments_are_rejected() {
    for command in [&[][..], &["nothing"], &["check"], &["notes", "1.2.3"], &["archive", BINARY]] {
        let output = release(command).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            ".ci/release: unknown command or wrong number of arguments; see the usage at the top of this script\n"
        );
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn archives_are_reproducible() {
    // Stripped like a release: packing debug information takes most of a minute.
    let stripped = tempfile::tempdir().unwrap();
    let binary = stripped.path().join("stripped");
    succeed(Command::new("strip").arg("-o").args([&binary, Path::new(BINARY)]));
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let name = format!("ssm-sync-exporter-{}.linux-{architecture}", version());
    let generated = generated();
    let pack = |umask: &str| {
        let directory = tempfile::tempdir().unwrap();
        let script = format!("umask {umask}; exec \"$@\"");
        succeed(
            Command::new("bash")
                .args(["-c", &script, "bash"])
                .arg(place(".ci/release"))
                .arg("archive")
                .args([&binary, generated.path(), directory.path()])
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
    let mut paths = BTreeSet::new();
    for line in listed.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [mode, owner, _, date, _, path] = fields[..] else { panic!("{line}") };
        assert_eq!((owner, date), ("0/0", "2026-09-21"), "{line}");
        let path = path.strip_prefix(&name).unwrap().trim_matches('/');
        let executable = mode.starts_with('d') || path == "ssm-sync-exporter";
        assert_eq!(&mode[1..], if executable { "rwxr-xr-x" } else { "rw-r--r--" }, "{line}");
        paths.insert(path.to_owned());
    }
    for path in [
        "ssm-sync-exporter",
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "UPGRADING.md",
        "completions/_ssm-sync-exporter",
        "completions/ssm-sync-exporter.bash",
        "completions/ssm-sync-exporter.fish",
        "config/full.yaml",
        "deploy/systemd",
        "man/ssm-sync-exporter.1",
    ] {
        assert!(paths.contains(path), "{path}: {paths:?}");
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
fn binaries_that_need_a_newer_glibc_are_rejected() {
    let tools = tempfile::tempdir().unwrap();
    let objdump = tools.path().join("objdump");
    fs::write(&objdump, "#!/bin/sh\necho '0 DF *UND* 0 (GLIBC_2.9) a'\necho '0 DF *UND* 0 (GLIBC_2.38) b'\n")
        .unwrap();
    succeed(Command::new("chmod").arg("+x").arg(&objdump));
    let path = std::env::var("PATH").unwrap();
    for part in ["archive", "packages"] {
        let directory = tempfile::tempdir().unwrap();
        let output = release(&[part, BINARY, "generated"])
            .arg(directory.path())
            .env("PATH", format!("{}:{path}", tools.path().display()))
            .output()
            .unwrap();
        assert!(!output.status.success(), "{}", tools::written(&output));
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            format!(".ci/release: {BINARY} requires GLIBC_2.38, newer than the supported GLIBC_2.34\n")
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn the_packaged_chart_uses_the_image_of_the_release() {
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

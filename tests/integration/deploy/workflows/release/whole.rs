//! Tests of a whole release and of its rehearsal, with a program that stands in for the exporter and is
//! built in a moment.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pretty_assertions::assert_eq;
use tempfile::TempDir;

use super::super::super::{place, succeed};
use super::version;
use crate::tools;

/// Stands in for cargo. `cargo build` compiles `$STAND_IN`, and `cargo cyclonedx` writes the SBOM of each
/// package. DIFFERENCE is `$DIFFERENCE` with the directory of the build in it.
const CARGO: &str = r#"#!/bin/sh
set -e
case $1 in
build)
    mkdir -p "target/$PROFILE"
    cc -DVERSION="\"$VERSION\"" -DREVISION="\"$BUILD_REVISION\"" ${DIFFERENCE:+-DDIFFERENCE="\"$DIFFERENCE $PWD\""} \
        -o "target/$PROFILE/ssm-sync-exporter" "$STAND_IN"
    ;;
cyclonedx)
    for file in ssm-sync-exporter_bin.cdx.json tests/fake-aws/fake-aws_bin.cdx.json; do
        echo "{\"bom-ref\": \"path+file://$PWD#0.1.0\"}" >"$file"
    done
    ;;
*) exit 1 ;;
esac
"#;

/// Stands in for cargo-cyclonedx, which is only asked for its version.
const CYCLONEDX: &str = "#!/bin/sh\necho 'cargo-cyclonedx 0.5.9'\n";

/// A checkout of the files that a release is made of, with one commit.
struct Checkout {
    directory: TempDir,
}

impl Checkout {
    fn new() -> Self {
        let checkout = Self { directory: tempfile::tempdir().unwrap() };
        let repository = checkout.repository();
        fs::create_dir_all(repository.join("tests/fake-aws")).unwrap();
        fs::write(repository.join("tests/fake-aws/Cargo.toml"), "").unwrap();
        let files = [
            ".ci",
            ".gitignore",
            "CHANGELOG.md",
            "Cargo.toml",
            "LICENSE",
            "README.md",
            "UPGRADING.md",
            "config",
            "deploy",
        ];
        succeed(Command::new("cp").arg("-R").args(files.map(place)).arg(&repository));
        checkout.git(&["init", "--quiet"]);
        checkout.commit();
        for (path, script) in [("bin/cargo", CARGO), ("ci-tools/bin/cargo-cyclonedx", CYCLONEDX)] {
            let path = checkout.directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        checkout
    }

    fn repository(&self) -> PathBuf {
        self.directory.path().join("repository")
    }

    fn git(&self, arguments: &[&str]) {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=Test", "-c", "user.email=test@example.com"]);
        succeed(git.current_dir(self.repository()).args(arguments));
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=Commit"]);
    }

    /// Runs `.ci/release COMMAND DIRECTORY` in the directory above the repository.
    fn release(&self, command: &str, directory: &Path, difference: &str) -> Output {
        let path = std::env::var("PATH").unwrap();
        let bin = self.directory.path().join("bin");
        Command::new(self.repository().join(".ci/release"))
            .arg(command)
            .arg(directory)
            .current_dir(self.directory.path())
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("CI_TOOLS", self.directory.path().join("ci-tools"))
            .env("HELM", tools::helm().get_program())
            .env("STAND_IN", place("tests/integration/deploy/workflows/release/stand_in.c"))
            .env("VERSION", version())
            .env("PROFILE", "rehearsal")
            .env("DIFFERENCE", difference)
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .unwrap()
    }

    /// The last lines that a failing `.ci/release COMMAND DIRECTORY` prints, from the error on.
    fn error(&self, command: &str, directory: &Path, difference: &str) -> String {
        let output = self.release(command, directory, difference);
        assert!(!output.status.success(), "{}", tools::written(&output));
        let error = String::from_utf8(output.stderr).unwrap();
        let start = error.rfind(".ci/release: ").unwrap_or_else(|| panic!("{error}"));
        error[start..].to_owned()
    }
}

/// The names of the files of a release.
fn names() -> BTreeSet<String> {
    let version = version();
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let built = ["tar.gz", "deb", "rpm", "cdx.json"]
        .map(|kind| format!("ssm-sync-exporter-{version}.linux-{architecture}.{kind}"));
    let chart = format!("ssm-sync-exporter-{version}.tgz");
    let others = ["ssm-sync-exporter.1", "ssm-sync-exporter.schema.json", "SHA256SUMS"].map(str::to_owned);
    built.into_iter().chain([chart]).chain(others).collect()
}

fn listed(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn a_rehearsal_builds_the_same_release_twice() {
    let checkout = Checkout::new();
    let directory = checkout.repository().join("target/rehearsal");
    let output = checkout.release("rehearse", &directory, "");
    assert!(output.status.success(), "{}", tools::written(&output));

    for release in ["one/release", "two/release"] {
        let release = directory.join(release);
        assert_eq!(listed(&release), names());
        succeed(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&release));
        let sums = fs::read_to_string(release.join("SHA256SUMS")).unwrap();
        assert_eq!(sums.lines().count(), names().len() - 1, "{sums}");
        let schema = fs::read(release.join("ssm-sync-exporter.schema.json")).unwrap();
        assert_eq!(schema, fs::read(place("config/ssm-sync-exporter.schema.json")).unwrap());
        let sbom = names().into_iter().find(|name| name.ends_with(".cdx.json")).unwrap();
        let sbom = fs::read_to_string(release.join(sbom)).unwrap();
        assert_eq!(sbom, "{\"bom-ref\": \"path+file://.#0.1.0\"}\n");
    }
    // The checkout is as clean as before, so that the release itself can follow.
    let status =
        succeed(Command::new("git").current_dir(checkout.repository()).args(["status", "--porcelain"]));
    assert_eq!(String::from_utf8(status.stdout).unwrap(), "");

    let again = checkout.error("rehearse", &directory, "");
    assert_eq!(again, format!(".ci/release: the directory {} is not empty\n", directory.display()));
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn a_rehearsal_names_what_differs_between_two_builds() {
    let checkout = Checkout::new();
    let directory = checkout.directory.path().join("rehearsal");
    let error = checkout.error("rehearse", &directory, "built in");
    // The binary is in all of these. The others are the same.
    let differing: Vec<String> = names()
        .into_iter()
        .filter(|name| [".deb", ".rpm", ".tar.gz", "SHA256SUMS"].iter().any(|end| name.ends_with(end)))
        .collect();
    let (one, two) = (directory.join("one/release"), directory.join("two/release"));
    let (one, two) = (one.display(), two.display());
    assert_eq!(differing.len(), 4);
    assert_eq!(error, format!(".ci/release: {one} and {two} differ in: {}\n", differing.join(" ")));
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn a_release_needs_a_clean_checkout_and_an_empty_directory() {
    let checkout = Checkout::new();
    let repository = checkout.repository();
    let directory = checkout.directory.path().join("release");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("old"), "").unwrap();
    let not_empty = format!(".ci/release: the directory {} is not empty\n", directory.display());
    assert_eq!(checkout.error("all", &directory, ""), not_empty);

    fs::remove_file(directory.join("old")).unwrap();
    let dirty = |change: &str| {
        let files = "the working tree differs from the commit; commit or remove these files:";
        for command in ["all", "rehearse"] {
            assert_eq!(checkout.error(command, &directory, ""), format!(".ci/release: {files}\n{change}\n"));
        }
        assert_eq!(listed(&directory), BTreeSet::new());
    };
    fs::write(repository.join("config/new.yaml"), "").unwrap();
    dirty("?? config/new.yaml");
    checkout.git(&["add", "--all"]);
    dirty("A  config/new.yaml");
    checkout.commit();
    fs::remove_file(repository.join("LICENSE")).unwrap();
    dirty(" D LICENSE");

    fs::remove_dir_all(repository.join(".git")).unwrap();
    assert_eq!(
        checkout.error("all", &directory, ""),
        ".ci/release: this is not a git repository, and a release is built from a commit\n"
    );
}

/// Regression test: the build ended, and then the release itself was a change of the working tree.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn a_directory_that_git_does_not_ignore_is_rejected_before_the_build() {
    let checkout = Checkout::new();
    // Relative to the directory of the caller.
    for command in ["all", "rehearse"] {
        let error = checkout.error(command, Path::new("repository/out"), "");
        assert!(
            error.contains("/repository/out in the working tree; use a directory below target"),
            "{error}"
        );
        assert!(!checkout.repository().join("out").exists());
    }
}

/// Regression test: the flags for the compilers were split at the space.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn a_checkout_whose_path_has_a_space_is_rejected_before_the_build() {
    let directory = tempfile::Builder::new().prefix("with space ").tempdir().unwrap();
    let copy = directory.path().join("repository");
    succeed(Command::new("cp").arg("-R").arg(Checkout::new().repository()).arg(&copy));
    let output = Command::new(copy.join(".ci/release")).args(["all", "release"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with(".ci/release: the path of this directory, '"), "{error}");
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn two_releases_are_compared_by_name_and_content() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (directory.path().join("one"), directory.path().join("other"));
    let compare = || {
        let mut compare = super::release(&["compare"]);
        let output = compare.args([&one, &other]).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let write = |path: PathBuf, text: &str| fs::write(path, text).unwrap();
    fs::create_dir(&one).unwrap();
    fs::create_dir(&other).unwrap();
    assert_eq!(compare(), format!(".ci/release: the directory {} is empty\n", one.display()));
    write(one.join("a"), "1");
    write(other.join("a"), "1");
    assert_eq!(compare(), "");
    write(one.join("b"), "1");
    write(other.join("c"), "1");
    write(other.join("a"), "2");
    let (one, other) = (one.display(), other.display());
    assert_eq!(compare(), format!(".ci/release: {one} and {other} differ in: a b c\n"));
}

#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn names_that_github_replaces_get_no_checksum() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("package_1.0.0~rc.1.deb"), "").unwrap();
    let output = super::release(&["sums"]).arg(directory.path()).output().unwrap();
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        ".ci/release: the name of package_1.0.0~rc.1.deb has characters that GitHub replaces\n"
    );
    assert!(!directory.path().join("SHA256SUMS").exists());
}

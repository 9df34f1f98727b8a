//! Tests of the deb and rpm packages: what is in them, and what happens when they are installed into
//! a clean Debian, upgraded and removed.

mod content;
mod debian;
mod machine;
mod red_hat;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use super::{place, succeed};

const BINARY: &str = env!("CARGO_BIN_EXE_ssm-sync-exporter");

/// The time of the packages, 2026-09-21.
const EPOCH: &str = "1790000000";

const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// A version that is newer than every other.
const NEXT: &str = "99.0.0";

/// A directory with a deb and an rpm package.
struct Packages {
    directory: TempDir,
    version: String,
}

impl Packages {
    fn file(&self, extension: &str) -> PathBuf {
        let name = format!("ssm-sync-exporter-{}.linux-{ARCHITECTURE}.{extension}", self.version);
        self.directory.path().join(name)
    }

    fn deb(&self) -> PathBuf {
        self.file("deb")
    }

    fn rpm(&self) -> PathBuf {
        self.file("rpm")
    }
}

/// Builds both packages from a checkout of the repository.
fn build(checkout: &Path, version: &str, binary: &Path) -> Packages {
    let directory = tempfile::tempdir().unwrap();
    let generated = tempfile::tempdir().unwrap();
    succeed(Command::new(place(".ci/release")).args(["generate", BINARY]).arg(generated.path()));
    succeed(
        Command::new(checkout.join("deploy/packages/build"))
            .arg(version)
            .args([binary, generated.path(), directory.path()])
            .env("SOURCE_DATE_EPOCH", EPOCH)
            // Compressing the program of a dev build would take most of a minute.
            .env("COMPRESSION", "1"),
    );
    Packages { directory, version: version.to_owned() }
}

/// The packages of this version with the real program, built once.
fn packages() -> &'static Packages {
    static PACKAGES: OnceLock<Packages> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let stripped = directory.path().join("ssm-sync-exporter");
        // Like a release. The debug information is much larger than the program.
        succeed(Command::new("strip").arg("-o").args([&stripped, Path::new(BINARY)]));
        build(&place(""), env!("CARGO_PKG_VERSION"), &stripped)
    })
}

/// The packages of the next version, built once: with another default configuration, and with a small
/// program.
fn next_packages() -> &'static Packages {
    static PACKAGES: OnceLock<Packages> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let checkout = tempfile::tempdir().unwrap();
        let paths = ["config", "deploy", "CHANGELOG.md", "LICENSE", "UPGRADING.md"].map(place);
        succeed(Command::new("cp").arg("-R").args(paths).arg(checkout.path()));
        fs::write(checkout.path().join("config/minimal.yaml"), NEXT_CONFIG).unwrap();
        build(checkout.path(), NEXT, Path::new("/bin/true"))
    })
}

/// A configuration without its comments.
fn without_comments(config: &str) -> String {
    config.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
}

/// The default configuration of [`next_packages`].
const NEXT_CONFIG: &str = "regions: [eu-central-1]\n";

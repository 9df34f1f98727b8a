//! Sets the compiler version and the git revision for the crate's `build_info` module.

use std::process::Command;

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = output(Command::new(rustc).arg("--version"));
    // "rustc 1.95.0 (59807616e 2026-04-14)"
    let version = version.as_deref().and_then(|line| line.split(' ').nth(1)).unwrap_or("unknown");
    println!("cargo::rustc-env=SSM_SYNC_EXPORTER_RUSTC_VERSION={version}");

    // Images and packages are built without a git repository, so their build sets the
    // revision in this variable.
    println!("cargo::rerun-if-env-changed=BUILD_REVISION");
    if std::path::Path::new(".git/logs/HEAD").exists() {
        println!("cargo::rerun-if-changed=.git/logs/HEAD");
    }
    println!("cargo::rerun-if-changed=build.rs");
    let revision = std::env::var("BUILD_REVISION")
        .ok()
        .or_else(|| output(Command::new("git").args(["rev-parse", "--short=12", "HEAD"])))
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=SSM_SYNC_EXPORTER_REVISION={revision}");
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

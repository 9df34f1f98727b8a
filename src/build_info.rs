//! The version, the revision and the compiler of this build.

/// The version of the exporter.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The Git commit, or `unknown` for a build outside of a Git checkout.
pub const REVISION: &str = env!("SSM_SYNC_EXPORTER_REVISION");

/// The version of the Rust compiler.
pub const RUSTC_VERSION: &str = env!("SSM_SYNC_EXPORTER_RUSTC_VERSION");

/// The text of `--version`.
pub const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (revision ",
    env!("SSM_SYNC_EXPORTER_REVISION"),
    ", rustc ",
    env!("SSM_SYNC_EXPORTER_RUSTC_VERSION"),
    ")"
);

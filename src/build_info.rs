//! What this exporter was built from.

/// The version of the crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit, or `unknown` where it was built outside a checkout.
pub const REVISION: &str = env!("SSM_SYNC_EXPORTER_REVISION");

/// The version of the compiler.
pub const RUSTC_VERSION: &str = env!("SSM_SYNC_EXPORTER_RUSTC_VERSION");

/// What `--version` shows.
pub const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (revision ",
    env!("SSM_SYNC_EXPORTER_REVISION"),
    ", rustc ",
    env!("SSM_SYNC_EXPORTER_RUSTC_VERSION"),
    ")"
);

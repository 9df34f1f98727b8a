//! The configuration file with every key and its default.

/// The configuration file with every key and its default.
#[must_use]
pub fn defaults() -> String {
    super::raw::DEFAULTS.trim_start().to_owned()
}

//! The path of `--web.telemetry-path`.

use std::fmt;
use std::str::FromStr;

/// The path of the metrics; `/metrics` by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryPath(String);

/// Not a valid telemetry path.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a telemetry path; expected one such as `/metrics`, which begins with `/`, is not below `/-/` and consists of letters, digits and `-._~/`"
)]
pub struct InvalidTelemetryPath;

impl FromStr for TelemetryPath {
    type Err = InvalidTelemetryPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        if text.starts_with('/') && !text.starts_with("/-/") && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTelemetryPath)
        }
    }
}

impl Default for TelemetryPath {
    fn default() -> Self {
        Self("/metrics".to_owned())
    }
}

impl fmt::Display for TelemetryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TelemetryPath {
    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_and_reserved_paths_are_refused() {
        for text in ["/metrics", "/", "/a/b.c_d~e"] {
            assert!(text.parse::<TelemetryPath>().is_ok(), "{text}");
        }
        for text in ["", "metrics", "/-/ready", "/-/x", "/a?b", "/a b", "/ä", "/<script>"] {
            assert!(text.parse::<TelemetryPath>().is_err(), "{text}");
        }
    }
}

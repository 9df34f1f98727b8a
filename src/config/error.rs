//! What can be wrong with a configuration. Each error is one line: where it
//! stands, which key, what is wrong and what would be right.

use std::fmt;
use std::path::{Path, PathBuf};

use super::yaml::Position;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{place}{message}")]
    Invalid {
        /// Where.
        place: Place,
        /// What, beginning with the key.
        message: String,
    },
}

/// Where something in the configuration stands.
#[derive(Clone, Debug)]
pub enum Place {
    /// In the file.
    File {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// In an environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// Nowhere: it has not been written at all.
    Nowhere,
}

impl Place {
    pub(super) fn in_file(path: &Path, position: Position) -> Self {
        Self::File { path: path.to_path_buf(), line: position.line, column: position.column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}: ", path.display()),
            Self::Environment { variable } => write!(f, "environment variable {variable}: "),
            Self::Nowhere => Ok(()),
        }
    }
}

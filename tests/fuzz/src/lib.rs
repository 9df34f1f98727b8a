//! Shared code of the fuzz targets: a fake AWS whose responses they choose, and checks of what the
//! exporter serves.

pub mod aws;
pub mod exporter;
pub mod exposition;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use tempfile::TempDir;

/// The path of a file of this process with these contents, which replace those of the previous
/// input.
pub fn file(name: &str, contents: &[u8]) -> PathBuf {
    static DIRECTORY: OnceLock<TempDir> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| tempfile::tempdir().unwrap());
    let path = directory.path().join(name);
    fs::write(&path, contents).unwrap();
    path
}

/// Checks that an error and each of its causes is one line of printable characters.
pub fn check_error(error: &dyn Error) {
    let mut cause = Some(error);
    while let Some(error) = cause {
        check_line(&error.to_string());
        cause = error.source();
    }
}

/// Checks that a message is one line of printable characters.
pub fn check_line(message: &str) {
    assert!(!message.is_empty(), "the message is empty");
    assert!(!message.contains(char::is_control), "the message has control characters: {message:?}");
    assert!(message.len() < 10_000, "the message has {} bytes", message.len());
}

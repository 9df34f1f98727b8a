//! Recordings of `once --record`: what is in them, and what must not be.

mod credentials;
mod faults;
mod file;
mod managed_nodes;
mod names;

use std::path::{Path, PathBuf};
use std::process::Command;

use fake_aws::FakeAws;
use serde_json::Value;

use crate::once::{Setup, output_of};

/// A recording that was read back.
pub(crate) struct Recording {
    pub(crate) text: String,
    pub(crate) header: Value,
    /// The lines after the header.
    pub(crate) lines: Vec<Value>,
}

impl Recording {
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.ends_with('\n'), "{text}");
        let mut lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let header = lines.next().unwrap();
        let lines = lines.collect();
        Self { text, header, lines }
    }

    /// The calls of an operation.
    fn calls(&self, operation: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["operation"] == operation).collect()
    }

    fn credentials(&self) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["kind"] == "credentials").collect()
    }
}

/// The path of the recording of a test.
fn recording_path(directory: &Path) -> PathBuf {
    directory.join("recording.ndjson")
}

/// Runs a command of [`Setup::once`] with `--record`. Returns the exit status, stdout, stderr and the
/// recording.
pub(crate) async fn record(mut once: Command, directory: &Path) -> (Option<i32>, String, String, Recording) {
    let path = recording_path(directory);
    once.arg("--record").arg(&path);
    let (status, out, err) = output_of(once).await;
    assert!(path.exists(), "{status:?} {err}");
    (status, out, err, Recording::read(&path))
}

/// A configuration for a fake AWS.
fn setup(aws: FakeAws, config: &str) -> Setup {
    Setup::with_config(aws, config)
}

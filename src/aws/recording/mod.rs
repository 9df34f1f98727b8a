//! Recordings of what AWS answered, for bug reports: written by `once --record`, and read in place of
//! AWS with `--replay`.
//!
//! A [`Recorder`] observes all requests. It passes them through a [`queue`] to a thread, which makes
//! them lines of the [`format`](mod@format) in a [`transcript`], with [`pseudonyms`] in place of names, and writes
//! them to a [`file`](mod@file).
//!
//! A [`Recording`] is [read](reader) completely at start, [`lines`] by line, and then answers requests.

mod answers;
mod file;
mod format;
mod lines;
mod pseudonyms;
mod queue;
mod reader;
mod recorder;
mod replay;
mod transcript;

pub(crate) use answers::RecordedAnswer;
pub use file::{RecordingError, RecordingFile};
pub(crate) use format::{EXTERNAL_ID, FORMAT_VERSION, Header, Options};
pub use reader::ReplayError;
pub use recorder::Recorder;
pub use replay::Recording;

/// The body of a list of managed nodes, as it is recorded.
#[cfg(fuzzing)]
pub(crate) fn recorded_nodes(body: &str) -> String {
    pseudonyms::without_nodes(body)
}

/// Any other body, as it is recorded.
#[cfg(fuzzing)]
pub(crate) fn recorded_body(body: &str) -> Option<String> {
    pseudonyms::Pseudonyms::new(false).ok().map(|mut pseudonyms| pseudonyms.body(body))
}

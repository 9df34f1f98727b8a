//! Recordings of what AWS answered, for bug reports: written by `once --record`, and read in place of
//! AWS with `--replay`.
//!
//! A [`Recorder`] observes all requests. It passes them through a [`queue`] to a thread, which makes
//! them lines of the [`format`] in a [`transcript`], with [`pseudonyms`] in place of names, and writes
//! them to a [`file`].

mod file;
mod format;
mod pseudonyms;
mod queue;
mod recorder;
mod transcript;

pub use file::{RecordingError, RecordingFile};
pub(crate) use format::{EXTERNAL_ID, FORMAT_VERSION, Header, Options};
pub use recorder::Recorder;

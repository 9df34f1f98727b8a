//! Recordings of what AWS answered, for bug reports: written by `once --record`, and read in place of
//! AWS with `--replay`.

mod answers;
mod format;
mod lines;
mod reader;
mod replay;

pub(crate) use answers::RecordedAnswer;
pub use reader::ReplayError;
pub use replay::Recording;

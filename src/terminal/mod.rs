//! Where the results of a command go, and how they look on a terminal: stdout or a file, lines of
//! limited width with colours, and a progress bar on stderr.
//!
//! This module does not know what the results are.

mod output;
mod page;
mod progress;

pub use output::{Output, OutputError, print, print_styled};
pub(crate) use page::{Page, Word, message, separated_by_commas, width, words};
pub use progress::{LogWriter, ProgressBar};

//! Recordings of what AWS answered, for bug reports: written by `once --record`, and read in place of
//! AWS with `--replay`.

mod format;

pub(crate) use format::{Call, CredentialsLine, Header, Line};

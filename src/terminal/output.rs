//! The destination of results: stdout, or a file that is replaced atomically.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use console::Term;
use tempfile::NamedTempFile;
use tokio::task::JoinSet;

use crate::file;
use crate::printable::path_excerpt;

/// The destination of the results.
#[derive(Debug)]
pub struct Output(Destination);

#[derive(Debug)]
enum Destination {
    Stdout,
    /// A file, which may already exist.
    File {
        /// The file that is replaced.
        path: PathBuf,
        /// The absolute path as given, which may be a symbolic link to `path`.
        given: PathBuf,
    },
}

/// The results cannot be written to their destination.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {destination}")]
pub struct OutputError {
    /// A path, or `to stdout`.
    destination: String,
    source: io::Error,
}

impl Output {
    /// The file at `path`, or stdout if `path` is `-` or `None`. Checks that the file can be
    /// written, so that an error is reported before minutes are spent on collecting.
    ///
    /// # Errors
    /// The path exists but is not a regular file, or its directory is not writable.
    pub fn new(path: Option<&Path>) -> Result<Self, OutputError> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self(Destination::Stdout));
        };
        let resolve = || {
            // A symbolic link is kept, and the file that it points to is replaced.
            let target = if path.is_symlink() { path.canonicalize()? } else { path.to_owned() };
            if target.as_os_str().as_encoded_bytes().ends_with(b"/") {
                return Err(ErrorKind::IsADirectory.into());
            }
            match fs::metadata(&target) {
                Ok(metadata) if metadata.is_dir() => return Err(ErrorKind::IsADirectory.into()),
                Ok(metadata) if !metadata.is_file() => return Err(io::Error::other("not a regular file")),
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(_) | Err(_) => {}
            }
            // The temporary file only proves that the directory is writable. It is removed
            // immediately, so that none is left behind if the process is killed.
            temporary_file_beside(&target)?.close()?;
            Ok(Destination::File { path: target, given: std::path::absolute(path)? })
        };
        match resolve() {
            Ok(destination) => Ok(Self(destination)),
            Err(source) => Err(OutputError { destination: path_excerpt(path), source }),
        }
    }

    /// The absolute path of the file; `None` for stdout.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.0 {
            Destination::Stdout => None,
            Destination::File { given, .. } => Some(given),
        }
    }

    /// The number of columns if the destination is stdout and stdout is a terminal.
    pub(crate) fn terminal_width(&self) -> Option<u16> {
        match self.0 {
            Destination::Stdout => Term::stdout().size_checked().map(|(_, columns)| columns),
            Destination::File { .. } => None,
        }
    }

    /// Whether the destination is stdout and colours are wanted there: stdout is a terminal that
    /// has them, and the environment does not say otherwise (`NO_COLOR`, `CLICOLOR`,
    /// `CLICOLOR_FORCE`, `TERM=dumb`).
    pub(crate) fn has_color(&self) -> bool {
        match self.0 {
            Destination::Stdout => AutoStream::choice(&io::stdout()) != ColorChoice::Never,
            Destination::File { .. } => false,
        }
    }

    /// Writes the whole text. The reader of a pipe may block a write to stdout indefinitely, so
    /// that write runs on a thread of its own: dropping the future stops waiting for it. A file
    /// is written synchronously.
    pub(crate) async fn write(self, text: Vec<u8>) -> Result<(), OutputError> {
        match self.0 {
            Destination::Stdout => {
                let mut writer = JoinSet::new();
                writer.spawn_blocking(move || print(&text));
                let written = writer.join_next().await.and_then(Result::ok);
                let written = written.unwrap_or_else(|| Err(io::Error::other("the writer panicked")));
                written.map_err(|source| OutputError { destination: "to stdout".to_owned(), source })
            }
            Destination::File { path, .. } => replace(&path, &text)
                .map_err(|source| OutputError { destination: path_excerpt(&path), source }),
        }
    }
}

/// Writes a text with ANSI styles to stdout, without the styles unless stdout is a terminal that wants
/// them.
///
/// # Errors
/// See [`print`].
pub fn print_styled(text: &str) -> io::Result<()> {
    match AutoStream::choice(&io::stdout()) {
        ColorChoice::Never => print(strip_str(text).to_string().as_bytes()),
        _ => print(text.as_bytes()),
    }
}

/// Writes a text to stdout.
///
/// # Errors
/// Stdout is closed or full. If it is a pipe, its reader may close it.
pub fn print(text: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        // The reader has closed the pipe because it has read enough, as `head` does.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Replaces the file atomically: readers see the whole old file or the whole new one.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut new = temporary_file_beside(path)?;
    new.as_file_mut().write_all(text)?;
    new.as_file().sync_all()?;
    new.persist(path)?;
    Ok(())
}

fn temporary_file_beside(path: &Path) -> io::Result<NamedTempFile> {
    // `tempfile` would create a private file (0600). Mode 0666 minus the umask lets
    // node_exporter read it. The suffix is not `.prom`, so that node_exporter does not read the
    // file before it is complete.
    file::temporary_beside(path, 0o666)
}

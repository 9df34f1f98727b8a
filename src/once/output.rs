//! Where it is written.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use console::Term;
use tempfile::NamedTempFile;
use tokio::task::JoinSet;

/// Where the text goes, all of it or nothing.
#[derive(Debug)]
pub struct Output(Place);

#[derive(Debug)]
enum Place {
    Stdout,
    /// A file, which may be there already.
    File(PathBuf),
}

/// It cannot be written there.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {place}")]
pub struct OutputError {
    place: String,
    source: io::Error,
}

impl Output {
    /// A file, which is replaced whole; without a path, or by the path `-`, stdout.
    /// Whether the file can be replaced is tried out here, before minutes are spent
    /// on collecting what should be in it.
    ///
    /// # Errors
    /// It cannot be.
    pub fn open(path: Option<&Path>) -> Result<Self, OutputError> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else { return Ok(Self(Place::Stdout)) };
        let opened = || {
            // The link stays, and what it leads to is replaced.
            let path = if path.is_symlink() { path.canonicalize()? } else { path.to_owned() };
            if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
                return Err(ErrorKind::IsADirectory.into());
            }
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() => return Err(ErrorKind::IsADirectory.into()),
                Ok(found) if !found.is_file() => return Err(io::Error::other("not a regular file")),
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(_) | Err(_) => {}
            }
            // It is gone again at once: whatever ends us while we collect, nothing
            // is left behind.
            beside(&path)?.close()?;
            Ok(path)
        };
        match opened() {
            Ok(path) => Ok(Self(Place::File(path))),
            Err(source) => Err(OutputError { place: path.display().to_string(), source }),
        }
    }

    /// How many columns there are for a text, where that is a terminal.
    pub(super) fn width(&self) -> Option<u16> {
        match self.0 {
            Place::Stdout => Term::stdout().size_checked().map(|(_, columns)| columns),
            Place::File(_) => None,
        }
    }

    /// Writes the whole text. May be dropped while a reader of stdout lets it wait;
    /// a file is written without waiting.
    pub(super) async fn write(self, text: Vec<u8>) -> Result<(), OutputError> {
        match self.0 {
            Place::Stdout => {
                let mut writing = JoinSet::new();
                writing.spawn_blocking(move || print(&text));
                let written = writing.join_next().await.and_then(Result::ok);
                let written = written.unwrap_or_else(|| Err(io::Error::other("the writer panicked")));
                written.map_err(|source| OutputError { place: "to stdout".to_owned(), source })
            }
            Place::File(path) => replace(&path, &text)
                .map_err(|source| OutputError { place: path.display().to_string(), source }),
        }
    }
}

fn print(text: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        // The reader has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Readers see the old file or the new one, whole.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut new = beside(path)?;
    new.as_file_mut().write_all(text)?;
    new.as_file().sync_all()?;
    new.persist(path)?;
    Ok(())
}

/// An empty file in the same directory that goes when it is dropped.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().ok_or(ErrorKind::IsADirectory)?);
    prefix.push(".");
    // With the permissions of any new file, that is, 0666 less the umask: others are
    // to read it. And node_exporter reads whatever ends in `.prom`.
    let open = |path: &Path| File::options().write(true).create_new(true).open(path);
    tempfile::Builder::new().prefix(&prefix).suffix(".tmp").make_in(directory, open)
}

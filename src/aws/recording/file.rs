//! The file of a recording. Only its owner can read it, and it appears when it is complete.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::file;
use crate::printable::path_excerpt;

/// A file that is being written. It is removed on drop unless it has been completed.
#[derive(Debug)]
pub struct RecordingFile {
    path: PathBuf,
    temporary: NamedTempFile<File>,
}

/// A recording cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the recording {path}")]
pub struct RecordingError {
    /// As it was given.
    path: String,
    source: io::Error,
}

impl RecordingFile {
    /// Creates a temporary file beside `path`, so that an error is reported before minutes are spent on
    /// collecting. `others` are the other files of the command, each with the flag that names it.
    ///
    /// # Errors
    /// The path exists but is not a regular file, it is one of `others`, or its directory is not
    /// writable.
    pub fn create(path: &Path, others: &[(&str, Option<&Path>)]) -> Result<Self, RecordingError> {
        let create = || {
            check(path)?;
            let is_same =
                |(_, other): &&(&str, Option<&Path>)| other.is_some_and(|other| is_same(path, other));
            if let Some((flag, _)) = others.iter().find(is_same) {
                return Err(io::Error::other(format!("it is also the file of {flag}; name another one")));
            }
            // The mode of the new file counts, not that of the file that it replaces.
            Ok(Self { path: path.to_owned(), temporary: file::temporary_beside(path, 0o600)? })
        };
        create().map_err(|source| RecordingError::new(path, source))
    }

    /// Makes the file appear at its path, replacing another one.
    pub(super) fn complete(self) -> Result<(), RecordingError> {
        let Self { path, temporary } = self;
        let complete = || {
            temporary.as_file().sync_all()?;
            temporary.persist(&path)?;
            Ok(())
        };
        complete().map_err(|source| RecordingError::new(&path, source))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn error(&self, source: io::Error) -> RecordingError {
        RecordingError::new(&self.path, source)
    }
}

impl io::Write for RecordingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.as_file_mut().flush()
    }
}

impl RecordingError {
    pub(super) fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path_excerpt(path), source }
    }
}

/// Checks that a regular file is at `path`, or nothing. The target of a symbolic link may be in a
/// directory where others can read it, so none is followed.
fn check(path: &Path) -> io::Result<()> {
    if path == Path::new("-") {
        return Err(io::Error::other("a recording is not written to stdout; name a file"));
    }
    if path.as_os_str().is_empty() {
        return Err(io::Error::other("the path is empty; name a file"));
    }
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(ErrorKind::IsADirectory.into());
    }
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(ErrorKind::IsADirectory.into()),
        Ok(metadata) if metadata.is_symlink() => {
            Err(io::Error::other("it is a symbolic link; name the file that it points to"))
        }
        Ok(metadata) if !metadata.is_file() => Err(io::Error::other("not a regular file")),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Whether two paths lead to the same file, or would once it exists.
fn is_same(path: &Path, other: &Path) -> bool {
    let id = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    let place = |path: &Path| Some((id(file::parent(path))?, path.file_name()?.to_owned()));
    let is_same = |a: Option<_>, b: Option<_>| a.is_some() && a == b;
    is_same(id(path), id(other)) || place(path).is_some_and(|place_of| place(other) == Some(place_of))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn entries(directory: &Path) -> usize {
        fs::read_dir(directory).unwrap().count()
    }

    #[test]
    fn a_file_replaces_another_one_and_only_its_owner_can_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("recording.ndjson");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut file = RecordingFile::create(&path, &[]).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        file.complete().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        drop(RecordingFile::create(&path, &[]).unwrap());
        assert_eq!(entries(directory.path()), 1, "an incomplete file is removed");
    }

    #[test]
    fn a_path_that_cannot_be_written_is_rejected_and_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("results"), "").unwrap();
        fs::hard_link(at("results"), at("hard-link")).unwrap();
        symlink(at("results"), at("link")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        fs::create_dir(at("directory")).unwrap();
        symlink(directory.path(), at("directory/other")).unwrap();
        let link = "it is a symbolic link; name the file that it points to";
        let same = "it is also the file of --output; name another one";
        let before = entries(directory.path());
        for (path, error) in [
            (PathBuf::from("-"), "a recording is not written to stdout; name a file"),
            (PathBuf::new(), "the path is empty; name a file"),
            (at("link"), link),
            (at("dangling"), link),
            (at("directory"), "is a directory"),
            (at("directory/"), "is a directory"),
            (at("directory/.."), "is a directory"),
            (at("missing/recording"), "No such file or directory"),
            (at("results/recording"), "Not a directory"),
            (PathBuf::from("/dev/null"), "not a regular file"),
            (at("results"), same),
            (at("hard-link"), same),
            (at("directory/other/results"), same),
        ] {
            let others = [("--config.file", None), ("--output", Some(at("results")))];
            let others = others.each_ref().map(|(flag, path)| (*flag, path.as_deref()));
            let found = RecordingFile::create(&path, &others).unwrap_err();
            assert_eq!(found.to_string(), format!("cannot write the recording {}", path.display()));
            let found = found.source.to_string();
            assert!(found.starts_with(error), "{}: {found}", path.display());
        }
        // Neither file exists yet.
        let other = at("directory/other/new");
        assert!(RecordingFile::create(&at("new"), &[("--output", Some(&other))]).is_err());
        assert_eq!(entries(directory.path()), before);
    }
}

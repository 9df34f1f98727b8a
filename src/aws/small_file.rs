//! Reads the files that AWS credentials depend on: profiles, tokens, caches.
//!
//! The SDK reads them without a limit, and waits for whoever writes to a pipe. They are
//! therefore read here first.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Reads a file of at most `max` bytes. It must be a regular file, or a character device such as
/// `/dev/null`.
///
/// # Errors
/// The message is the reason only, without the path.
pub(super) fn read(path: &Path, max: usize) -> io::Result<Vec<u8>> {
    // With this flag, opening a pipe does not wait for its other end.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !kind.is_file() && !kind.is_char_device() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {max} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_a_limited_size_are_read_and_a_pipe_does_not_block() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("file"), "1234").unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert_eq!(read(&path("file"), 4).unwrap(), b"1234");
        assert_eq!(read(Path::new("/dev/null"), 4).unwrap(), b"");
        for (path, error) in [
            (path("file"), "it is larger than 3 bytes"),
            (path("pipe"), "it is not a regular file"),
            ("/dev/zero".into(), "it is larger than 3 bytes"),
            (directory.path().to_owned(), "is a directory"),
            (path("missing"), "No such file or directory (os error 2)"),
        ] {
            assert_eq!(read(&path, 3).unwrap_err().to_string(), error);
        }
    }
}

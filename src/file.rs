//! Reads the files that an operator names: both configuration files, certificates and keys,
//! requests in JSON, and the profiles and tokens of AWS.
//!
//! A file must not make the exporter wait or use up its memory. So it has to be a regular
//! file, or a symbolic link to one as Kubernetes mounts them, and of a limited size. The file
//! may be replaced between any two system calls, so it is opened without blocking, and the
//! open file is what is checked.
//!
//! Results are written to a [temporary file](temporary_beside) that replaces another one.

use std::ffi::OsString;
use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use tempfile::NamedTempFile;

/// The size of the largest main configuration file, file with AWS profiles, and file with the certificate
/// authorities of AWS. Ten thousand accounts, each with a role and regions, need about 3 MiB.
pub(crate) const MAX_LARGE: Size = Size::mebibytes(4);

/// The size of the largest other file. Certificates, requests and tokens need far less.
pub(crate) const MAX_SMALL: Size = Size::mebibytes(1);

/// The size of the largest recording. One of 17,000 targets has about 50 MiB.
pub(crate) const MAX_RECORDING: Size = Size::mebibytes(1024);

/// How long the exporter waits for the process that writes to a pipe. Decrypting a file with a
/// remote key can take seconds.
const PIPE_TIMEOUT: Duration = Duration::from_secs(30);

/// A file that always exists and is empty. It is a usual way to say "no file".
const EMPTY_FILE: &str = "/dev/null";

/// A size limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    mebibytes: u64,
}

impl Size {
    const fn mebibytes(mebibytes: u64) -> Self {
        Self { mebibytes }
    }

    const fn bytes(self) -> u64 {
        self.mebibytes * 1024 * 1024
    }
}

/// Reads a regular file of at most `max` bytes.
pub(crate) fn read(path: &Path, max: Size) -> io::Result<Vec<u8>> {
    if is_empty_file(path) {
        return Ok(Vec::new());
    }
    let (file, metadata) = open_regular(path)?;
    if metadata.len() > max.bytes() {
        return Err(too_large(max));
    }
    read_at_most(&file, max, &mut Vec::new())
}

/// Opens a regular file of at most `max` bytes, for a reader that does not need all of it at a time.
pub(crate) fn open(path: &Path, max: Size) -> io::Result<impl io::Read + use<>> {
    let file = if is_empty_file(path) {
        open_without_blocking(path)?
    } else {
        let (file, metadata) = open_regular(path)?;
        if metadata.len() > max.bytes() {
            return Err(too_large(max));
        }
        file
    };
    // It may grow meanwhile.
    Ok(file.take(max.bytes()))
}

/// Reads a file as [`read`] does, or a pipe that this process has inherited: stdin, or what a
/// shell makes of `<(command)`. Such a pipe can be read only once.
pub(crate) fn read_file_or_inherited_pipe(path: &Path, max: Size) -> io::Result<Vec<u8>> {
    if is_inherited(path) && std::fs::metadata(path)?.file_type().is_fifo() {
        read_pipe(&open_without_blocking(path)?, max)
    } else {
        read(path, max)
    }
}

/// The directory from which relative paths in the file start: that of the file, or the working directory
/// for a pipe that this process has inherited.
pub(super) fn directory(path: &Path) -> &Path {
    let parent = path.parent().filter(|_| !is_inherited(path));
    parent.unwrap_or(Path::new(""))
}

/// Checks that there is a regular file that can be read.
pub(crate) fn check_readable(path: &Path) -> io::Result<()> {
    if is_empty_file(path) { Ok(()) } else { open_regular(path).map(|_| ()) }
}

fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    // To open a device can have an effect, such as rewinding a tape.
    require_regular(std::fs::metadata(path)?.file_type())?;
    let file = open_without_blocking(path)?;
    let metadata = file.metadata()?;
    require_regular(metadata.file_type())?;
    Ok((file, metadata))
}

fn require_regular(file_type: FileType) -> io::Result<()> {
    let (kind, found) = if file_type.is_file() {
        return Ok(());
    } else if file_type.is_dir() {
        (ErrorKind::IsADirectory, "a directory")
    } else if file_type.is_fifo() {
        (ErrorKind::InvalidInput, "a pipe")
    } else if file_type.is_socket() {
        (ErrorKind::InvalidInput, "a socket")
    } else {
        (ErrorKind::InvalidInput, "a device")
    };
    Err(io::Error::new(kind, format!("it is {found}; expected a regular file")))
}

/// Opens a file. To open a named pipe would otherwise block until another process opens it.
fn open_without_blocking(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

fn is_empty_file(path: &Path) -> bool {
    // A symbolic link to it masks a file, as systemd does it with units.
    path.canonicalize().is_ok_and(|path| path == Path::new(EMPTY_FILE))
}

fn is_inherited(path: &Path) -> bool {
    path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd")
}

fn read_pipe(pipe: &File, max: Size) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + PIPE_TIMEOUT;
    let mut bytes = Vec::new();
    loop {
        match read_at_most(pipe, max, &mut bytes) {
            // Nothing must not count as a configuration without settings.
            Ok(bytes) if bytes.is_empty() => {
                return Err(io::Error::new(
                    ErrorKind::UnexpectedEof,
                    "the pipe is empty; check the command that writes to it",
                ));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            done => return done,
        }
        let remaining = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(remaining).map_err(io::Error::other)?;
        if poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&timeout))? == 0 {
            let message = format!("the pipe was not written and closed within {} s", PIPE_TIMEOUT.as_secs());
            return Err(io::Error::new(ErrorKind::TimedOut, message));
        }
    }
}

/// Reads to the end of the file. `bytes` is what has been read before an error.
fn read_at_most(file: &File, max: Size, bytes: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let limit = max.bytes() + 1 - bytes.len() as u64;
    file.take(limit).read_to_end(bytes)?;
    if bytes.len() as u64 > max.bytes() {
        return Err(too_large(max));
    }
    Ok(std::mem::take(bytes))
}

/// Rejects a file that is encoded in UTF-16, as redirections of PowerShell write it.
pub(crate) fn reject_utf16(bytes: &[u8]) -> Result<(), &'static str> {
    let has_mark = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    // Without a byte order mark, a file that begins with an ASCII character.
    let is_ascii_in_utf16 = matches!(bytes, [0, 1..=127, ..] | [1..=127, 0, ..]);
    if has_mark || is_ascii_in_utf16 {
        Err("the file is encoded in UTF-16; save it as UTF-8")
    } else {
        Ok(())
    }
}

/// The bytes without a byte order mark of UTF-8, which editors on Windows put at the beginning.
pub(crate) fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

fn too_large(max: Size) -> io::Error {
    io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {} MiB", max.mebibytes))
}

/// Creates an empty file beside `path`, with this mode minus the umask. It is removed on drop unless it
/// replaces the file at `path`.
///
/// # Errors
/// `path` has no file name, or its directory is not writable.
pub(crate) fn temporary_beside(path: &Path, mode: u32) -> io::Result<NamedTempFile> {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().ok_or(ErrorKind::IsADirectory)?);
    prefix.push(".");
    let open = |path: &Path| File::options().write(true).create_new(true).mode(mode).open(path);
    tempfile::Builder::new().prefix(&prefix).suffix(".tmp").make_in(parent(path), open)
}

/// The directory that contains `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests;

//! Tests with every kind of file that a path can lead to. The tests of pipes without a writer hang
//! instead of failing if a pipe is opened or read as usual.

use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use rustix::fs::{CWD, Mode, mkfifoat};

use super::*;

fn error(path: impl AsRef<Path>) -> String {
    read(path.as_ref(), MAX_SMALL).unwrap_err().to_string()
}

fn named_pipe(directory: &Path) -> PathBuf {
    let path = directory.join("pipe");
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    path
}

#[test]
fn only_regular_files_and_links_to_them_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "text").unwrap();
    // Kubernetes mounts a ConfigMap as a link to a link.
    symlink("file", directory.path().join("data")).unwrap();
    symlink("data", directory.path().join("link")).unwrap();
    assert_eq!(read(&directory.path().join("link"), MAX_SMALL).unwrap(), b"text");

    let pipe = named_pipe(directory.path());
    let socket = directory.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    for (path, found) in
        [(pipe.as_path(), "a pipe"), (directory.path(), "a directory"), (&socket, "a socket")]
    {
        let expected = format!("it is {found}; expected a regular file");
        assert_eq!(error(path), expected);
        assert_eq!(check_readable(path).unwrap_err().to_string(), expected);
        let link = directory.path().join("link to it");
        symlink(path, &link).unwrap();
        assert_eq!(error(&link), expected);
        std::fs::remove_file(link).unwrap();
    }
    assert_eq!(error("/dev/zero"), "it is a device; expected a regular file");
    assert!(error(directory.path().join("missing")).starts_with("No such file"));
}

#[test]
fn a_pipe_that_replaces_a_file_after_it_was_checked_does_not_block() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = named_pipe(directory.path());
    let file = open_without_blocking(&pipe).unwrap();
    assert!(require_regular(file.metadata().unwrap().file_type()).is_err());
}

#[test]
fn the_null_device_is_an_empty_file() {
    let directory = tempfile::tempdir().unwrap();
    let masked = directory.path().join("masked");
    symlink(EMPTY_FILE, &masked).unwrap();
    for path in [Path::new(EMPTY_FILE), &masked] {
        assert!(read(path, MAX_SMALL).unwrap().is_empty());
        check_readable(path).unwrap();
    }
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sparse");
    let file = File::create(&path).unwrap();
    file.set_len(MAX_SMALL.bytes()).unwrap();
    assert_eq!(read(&path, MAX_SMALL).unwrap().len() as u64, MAX_SMALL.bytes());
    // To read this file would take longer than any test may.
    for length in [MAX_SMALL.bytes() + 1, 1 << 40] {
        file.set_len(length).unwrap();
        assert_eq!(error(&path), "it is larger than 1 MiB");
    }
    // A file of /proc has contents although its size is 0.
    assert!(!read(Path::new("/proc/self/status"), MAX_SMALL).unwrap().is_empty());
}

/// The path of an inherited pipe with this text, as a shell passes it for `<(command)`.
fn read_inherited(text: &[u8]) -> io::Result<Vec<u8>> {
    let (reader, mut writer) = io::pipe().unwrap();
    let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
    let text = text.to_vec();
    // A pipe holds 64 KiB, so the end of a longer text is written while the pipe is read.
    let written = std::thread::spawn(move || writer.write_all(&text));
    let bytes = read_file_or_inherited_pipe(&path, MAX_SMALL);
    drop(reader);
    // Fails if the pipe was not read to its end.
    let _written = written.join().unwrap();
    bytes
}

#[test]
fn an_inherited_pipe_is_read_to_its_end() {
    assert_eq!(read_inherited(b"text").unwrap(), b"text");
    let long = vec![b'#'; 1024 * 1024];
    assert_eq!(read_inherited(&long).unwrap(), long);
    assert_eq!(
        read_inherited(&[long, vec![b'#']].concat()).unwrap_err().to_string(),
        "it is larger than 1 MiB"
    );
    // The command failed before it wrote anything.
    let error = read_inherited(b"").unwrap_err().to_string();
    assert_eq!(error, "the pipe is empty; check the command that writes to it");
}

#[test]
fn relative_paths_in_a_pipe_start_from_the_working_directory() {
    for (path, expected) in [
        ("/etc/exporter/config.yaml", "/etc/exporter"),
        ("config.yaml", ""),
        ("/dev/stdin", ""),
        ("/dev/fd/63", ""),
        ("/proc/self/fd/3", ""),
        ("/dev/shm/config.yaml", "/dev/shm"),
    ] {
        assert_eq!(directory(Path::new(path)), Path::new(expected), "{path}");
    }
}

#[test]
fn a_pipe_is_not_read_again_and_a_named_pipe_never() {
    let (reader, _writer) = io::pipe().unwrap();
    assert_eq!(error(format!("/dev/fd/{}", reader.as_raw_fd())), "it is a pipe; expected a regular file");
    let directory = tempfile::tempdir().unwrap();
    let pipe = named_pipe(directory.path());
    let error = read_file_or_inherited_pipe(&pipe, MAX_SMALL).unwrap_err().to_string();
    assert_eq!(error, "it is a pipe; expected a regular file");
}

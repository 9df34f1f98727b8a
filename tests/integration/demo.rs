//! The demo, which most people run first.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::process::demo_program;
use crate::tools::{self, KillOnDrop};

/// Regression test: SIGHUP was a reload, so that the demo went on without its terminal and kept its port.
#[test]
#[ignore = "needs the demo, which `tests/run` builds"]
fn the_demo_ends_when_its_terminal_is_closed() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/close_terminal.py");
    let mut command = tools::python();
    command.args([script, "Press Ctrl-C"]).arg(demo_program()).arg("127.0.0.1:0");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", tools::written(&output));
}

/// Regression test: the demo panicked when `head` had read enough of its instructions.
#[test]
#[ignore = "needs the demo, which `tests/run` builds"]
fn the_demo_does_not_need_a_reader_of_its_instructions() {
    let mut command = Command::new(demo_program());
    let mut demo = command.arg("127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(demo.stdout.take());
    let log = BufReader::new(demo.stderr.take().unwrap());
    let _demo = KillOnDrop(demo);
    // A summary follows each round of collections, which begins after the instructions.
    assert!(log.lines().any(|line| line.unwrap().contains("collection summary")), "the demo ended");
}

/// Regression test: `--help` was parsed as an address, and the error was printed with its backtrace.
#[test]
#[ignore = "needs the demo, which `tests/run` builds"]
fn the_demo_prints_its_usage_and_one_line_for_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (arguments, status, words) in [
        (&["--help"][..], 0, "Usage: demo [ADDRESS]"),
        (&["--web.listen-address=:1"], 1, "demo: expected an address or no argument; see --help"),
        (&["localhost"], 1, "demo: not a listen address"),
        (&[&address], 1, "Address already in use"),
    ] {
        let output =
            Command::new(demo_program()).args(arguments).env("RUST_BACKTRACE", "1").output().unwrap();
        let written = tools::written(&output);
        assert!(output.status.code() == Some(status) && written.contains(words), "{written}");
        if status == 1 {
            let errors = String::from_utf8(output.stderr).unwrap();
            assert_eq!(errors.lines().filter(|line| !line.starts_with("ts=")).count(), 1, "{errors}");
        }
    }
}

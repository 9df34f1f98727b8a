//! Tests of `--help`, of `--version` and of errors for an invalid command line.

use pretty_assertions::assert_eq;

use crate::process::{program, run};

#[test]
fn the_version_is_printed() {
    let (status, out, err) = run(program().arg("--version"));
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert!(
        out.starts_with(concat!("ssm-sync-exporter ", env!("CARGO_PKG_VERSION"), " (revision ")),
        "{out}"
    );
}

#[test]
fn a_reader_that_closes_the_pipe_has_read_enough() {
    // Regression test: `--help | head` ended with "cannot write to stdout: Broken pipe".
    for arguments in
        ["--help", "--version", "help once", "man", "completions bash", "config schema", "config defaults"]
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = program().args(arguments.split(' ')).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{arguments}");
    }
}

#[test]
fn an_invalid_command_line_is_a_one_line_error_with_status_2() {
    for (arguments, expected) in [
        (&["--config.fil=x"][..], "unexpected argument '--config.fil' found; did you mean '--config.file'?"),
        (
            &["--log.level=loud"],
            "invalid value 'loud' for '--log.level <LEVEL>' [possible values: debug, info, warn, error]; see --help",
        ),
        (
            &["--log.format=xml"],
            "invalid value 'xml' for '--log.format <FORMAT>' [possible values: logfmt, json]; see --help",
        ),
        (
            &["--config.file"],
            "a value is required for '--config.file <FILE>' but none was supplied; see --help",
        ),
        (
            &["--web.listen-address=10144"],
            "invalid value '10144' for '--web.listen-address <HOST:PORT>': not a listen address; expected a host and a port, such as `:10144`, \
             `127.0.0.1:10144` or `[::1]:10144`; see --help",
        ),
        (
            &["--web.telemetry-path=metrics"],
            "invalid value 'metrics' for '--web.telemetry-path <PATH>': not a telemetry path; expected one such as `/metrics`, which begins with \
             `/`, is not below `/-/` and consists of letters, digits and `-._~/`; see --help",
        ),
        (&["sreve"], "unknown command `sreve`; did you mean `serve`?"),
    ] {
        let (status, out, err) = run(program().args(arguments));
        assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert_eq!(err, format!("ssm-sync-exporter: {expected}\n"));
    }
}

#[test]
fn an_invalid_shard_is_a_one_line_error_with_status_2() {
    let missing_index = "--shard.total requires --shard.index or --shard.from-hostname";
    for (arguments, expected) in [
        (
            &["--shard.index", "3", "--shard.total", "3"][..],
            "shard index 3 is out of range; expected 0 to 2 for a total of 3",
        ),
        (
            &["--shard.index", "0"],
            "the following required arguments were not provided: --shard.total <NUMBER>; see --help",
        ),
        (
            &["--shard.from-hostname"],
            "the following required arguments were not provided: --shard.total <NUMBER>; see --help",
        ),
        (&["--shard.total", "3"], missing_index),
        (
            &["--shard.total", "0", "--shard.index", "0"],
            "invalid value '0' for '--shard.total <NUMBER>': expected a whole number of at least 1; see --help",
        ),
        (
            &["--shard.total", "3", "--shard.index", "0", "--shard.from-hostname"],
            "the argument '--shard.index <NUMBER>' cannot be used with '--shard.from-hostname'; see --help",
        ),
    ] {
        for check in [&["--config.check"][..], &[]] {
            let (status, out, err) = run(program().args(arguments).args(check));
            assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}");
            assert_eq!(err, format!("ssm-sync-exporter: {expected}\n"));
        }
    }
}

#[test]
fn an_error_is_one_short_line_whatever_the_arguments_are() {
    // Regression: the message ended at the first line end of an argument, and a long argument was
    // repeated whole.
    const FLAGS: [&str; 15] = [
        "--config.file",
        "--web.listen-address",
        "--web.telemetry-path",
        "--web.config.file",
        "--web.max-requests",
        "--shard.index",
        "--shard.total",
        "--output",
        "--format",
        "--fail-on",
        "--account",
        "--region",
        "--concurrency",
        "--log.level",
        "--log.format",
    ];
    let long = "x".repeat(100_000);
    for text in ["\n", "a\n\nb", "a\u{1b}[31m\r\u{9b}2J\u{202e}", &long] {
        let flags = FLAGS.iter().map(|flag| vec!["once".to_owned(), (*flag).to_owned(), text.to_owned()]);
        let others = [
            vec![text.to_owned()],
            vec![format!("--{text}")],
            vec![format!("-{text}")],
            vec![format!("--{text}=x")],
            vec![format!("--log.level={text}")],
            vec!["once".to_owned(), text.to_owned()],
            vec!["doctor".to_owned(), "--account".to_owned(), text.to_owned()],
            vec!["--web.listen-address".to_owned(), format!("{text}:1")],
        ];
        for arguments in flags.chain(others) {
            let (status, out, err) = run(program().args(&arguments));
            let line = err.strip_suffix('\n').unwrap_or_else(|| panic!("{err:?}"));
            assert!(status == Some(2) || status == Some(1), "{status:?} {line}");
            assert_eq!(out, "");
            assert!(line.starts_with("ssm-sync-exporter: ") && line.len() < 1000, "{line}");
            assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
        }
    }
    let (_, _, err) = run(program().args(["--log.level", "a\n\n\u{1b}[31mb"]));
    assert_eq!(
        err,
        "ssm-sync-exporter: invalid value 'a\\n\\n\\u{1b}[31mb' for '--log.level <LEVEL>' [possible values: debug, info, \
         warn, error]; see --help\n"
    );
}

/// The host name of this machine.
fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim_end().to_owned()
}

#[test]
fn the_shard_index_is_taken_from_the_host_name() {
    let name = hostname();
    let short = name.split('.').next().unwrap();
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let ordinal = short.rsplit_once('-').map(|(_, ordinal)| ordinal).filter(is_number);
    let (status, out, err) =
        run(program().args(["--config.check", "--shard.from-hostname", "--shard.total", "3"]));
    match ordinal.map(str::parse::<u32>) {
        Some(Ok(0..3)) => assert_eq!((status, out.as_str()), (Some(0), "the configuration is valid\n")),
        Some(Ok(index)) => {
            assert_eq!((status, out.as_str()), (Some(2), ""));
            let expected = format!("shard index {index} is out of range; expected 0 to 2 for a total of 3");
            assert_eq!(err, format!("ssm-sync-exporter: {expected}\n"));
        }
        Some(Err(_)) | None => {
            assert_eq!((status, out.as_str()), (Some(2), ""));
            let expected = format!(
                "the host name `{name}` does not end in a shard index; expected a name such as `exporter-0`, as pods of a \
                 StatefulSet have, or use --shard.index"
            );
            assert_eq!(err, format!("ssm-sync-exporter: {expected}\n"));
        }
    }
}

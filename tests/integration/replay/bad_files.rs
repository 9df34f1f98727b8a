//! Files that cannot be replayed: one line that says where and what would be right, and status 2.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{Handmade, header, once};
use crate::process::run;

/// Replays the file at `path` and returns the error about it, without the path.
fn error_about(path: &std::path::Path) -> String {
    let (status, out, err) = run(&mut once(path));
    assert_eq!((status, out.as_str()), (Some(2), ""), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.chars().all(|c| c == '\n' || !c.is_control()), "{err:?}");
    err.trim_end().replace(&path.display().to_string(), "FILE")
}

/// The error about a recording whose lines are changed by `change`.
fn error_after(change: impl FnOnce(&mut Vec<String>)) -> String {
    let mut recording = Handmade::of_one_target();
    change(&mut recording.lines);
    error_about(&recording.file())
}

/// The error about a recording of which one line has another value for a key. Null removes the key.
fn error_with(line: usize, key: &str, value: Value) -> String {
    error_after(|lines| {
        let mut parsed: Value = serde_json::from_str(&lines[line - 1]).unwrap();
        match value {
            Value::Null => drop(parsed.as_object_mut().unwrap().remove(key)),
            value => parsed[key] = value,
        }
        lines[line - 1] = parsed.to_string();
    })
}

#[test]
fn a_file_that_is_not_a_recording_is_named_for_what_it_is() {
    const EXPECTED: &str = "expected a recording that `once --record` wrote";
    let recording = Handmade::of_one_target();
    let text = recording.lines.join("\n");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16_with_mark = [b"\xff\xfe".as_slice(), &utf16].concat();
    let not_a_recording = format!("ssm-sync-exporter: FILE:1: the file is not a recording; {EXPECTED}");
    let not_json = |column: usize, problem: &str| {
        format!(
            "ssm-sync-exporter: FILE:1: the file is not a recording: column {column}: not JSON: {problem}; expected one \
             JSON object on each line; {EXPECTED}"
        )
    };
    let utf16_error = "ssm-sync-exporter: FILE:1: the file is encoded in UTF-16; save it as UTF-8".to_owned();
    let compressed = |format: &str, program: &str| {
        format!(
            "ssm-sync-exporter: FILE:1: the file is compressed with {format}; decompress it first, for example with \
             `{program}`"
        )
    };
    for (content, expected) in [
        (Vec::new(), format!("ssm-sync-exporter: FILE:1: the file is empty; {EXPECTED}")),
        (b"\n \r\n".to_vec(), format!("ssm-sync-exporter: FILE:1: the file is empty; {EXPECTED}")),
        (gzip.finish().unwrap(), compressed("gzip", "gunzip")),
        (b"\x28\xb5\x2f\xfd0000".to_vec(), compressed("zstd", "unzstd")),
        (b"PK\x03\x04\x0a\x00\n".to_vec(), compressed("zip", "unzip")),
        (utf16, utf16_error.clone()),
        (utf16_with_mark, utf16_error),
        (
            b"\x7fELF\x02\x01\xff\n".to_vec(),
            format!("ssm-sync-exporter: FILE:1: the byte 0xff is not UTF-8; {EXPECTED}"),
        ),
        (b"interval: 5m\n".to_vec(), not_json(1, "expected value")),
        // The document of `--format json`.
        (b"{\n  \"generated_at\": 1\n}\n".to_vec(), not_json(1, "EOF while parsing an object")),
        (b"{\"generated_at\": 1}\n".to_vec(), format!(
            "ssm-sync-exporter: FILE:1: the file is not a recording: its first line has no \
             `ssm_sync_exporter_recording`; {EXPECTED}"
        )),
        (b"[1]\n".to_vec(), format!(
            "ssm-sync-exporter: FILE:1: the file is not a recording: expected a JSON object; {EXPECTED}"
        )),
        (b"{\"a".to_vec(), not_a_recording),
        (
            text.as_bytes()[..150].to_vec(),
            "ssm-sync-exporter: FILE:1: the line is cut off, so the file is not complete; copy it again, or make another \
             recording"
                .to_owned(),
        ),
    ] {
        let shown = String::from_utf8_lossy(&content).into_owned();
        assert_eq!(error_about(&recording.file_of(content)), expected, "{shown:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let error = |path: &std::path::Path| {
        let cannot_read = "ssm-sync-exporter: cannot read the recording FILE: ";
        let error = error_about(path);
        error.strip_prefix(cannot_read).unwrap_or_else(|| panic!("{error}")).to_owned()
    };
    assert_eq!(error(&directory.path().join("missing")), "No such file or directory (os error 2)");
    assert_eq!(error(directory.path()), "it is a directory; expected a regular file");
    let fifo = directory.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    assert_eq!(error(&fifo), "it is a pipe; expected a regular file");
    let large = directory.path().join("large");
    std::fs::File::create(&large).unwrap().set_len((1 << 30) + 1).unwrap();
    assert_eq!(error(&large), "it is larger than 1024 MiB");
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read it anyway.
    if std::fs::read(&secret).is_err() {
        assert_eq!(error(&secret), "Permission denied (os error 13)");
    }
    let (status, _, err) = run(&mut once("/dev/null".as_ref()));
    assert_eq!(status, Some(2));
    assert!(err.starts_with("ssm-sync-exporter: /dev/null:1: the file is empty; "), "{err}");
}

#[test]
fn a_recording_of_another_format_names_the_version_that_reads_it() {
    let this = env!("CARGO_PKG_VERSION");
    for (format, version, expected) in [
        (
            json!(2),
            json!("9.9.0"),
            format!(
                "the recording has the format 2, and version {this} of the exporter reads the format 1; replay it with \
             version 9.9.0 of the exporter, which wrote it"
            ),
        ),
        (
            json!(0),
            json!(null),
            format!(
                "the recording has the format 0, and version {this} of the exporter reads the format 1; replay it with \
             another version of the exporter, which wrote it"
            ),
        ),
        (
            json!("x"),
            json!("\u{1b}[31m"),
            format!(
                "the recording has the format \"x\", and version {this} of the exporter reads the format 1; replay it with \
             version \\u{{1b}}[31m of the exporter, which wrote it"
            ),
        ),
    ] {
        // Everything else may be different as well.
        let line = json!({"ssm_sync_exporter_recording": format, "version": version});
        let error = error_after(|lines| lines[0] = line.to_string());
        assert_eq!(error, format!("ssm-sync-exporter: FILE:1: {expected}"));
    }
}

#[test]
fn an_invalid_line_is_named_with_what_would_be_right() {
    for (error, expected) in [
        (error_with(1, "version", Value::Null), "1: missing field `version`"),
        (
            error_with(1, "unix_seconds", json!("now")),
            "1: unix_seconds: invalid type: string \"now\", expected f64",
        ),
        (
            error_with(1, "unix_seconds", json!(-1)),
            "1: unix_seconds: expected seconds since 1970, before the year 10000",
        ),
        (
            error_with(1, "unix_seconds", json!(1e300)),
            "1: unix_seconds: expected seconds since 1970, before the year 10000",
        ),
        (
            error_with(1, "configuration", json!([])),
            "1: configuration: expected an object with the keys of a configuration file",
        ),
        (
            error_with(1, "options", json!({"shard_index": 0, "shard_total": 0})),
            "1: options.shard_total: expected a whole number of at least 1",
        ),
        (
            error_with(1, "options", json!({"shard_index": 3, "shard_total": 2})),
            "1: options: shard index 3 is out of range; expected 0 to 1 for a total of 2",
        ),
        (
            error_with(2, "kind", Value::Null),
            "2: the key `kind` is missing; expected `call` or `credentials`",
        ),
        (
            error_with(2, "kind", json!("x\n")),
            concat!(
                "2: kind: `x\\n` is not known to this version (",
                env!("CARGO_PKG_VERSION"),
                "); replay the recording with version ",
                env!("CARGO_PKG_VERSION"),
                ", which wrote it"
            ),
        ),
        (
            error_with(2, "access_key_id", Value::Null),
            "2: expected either `access_key_id` or `failure`, found neither",
        ),
        (
            error_with(2, "failure", json!({"reason": "x", "message": ""})),
            "2: expected either `access_key_id` or `failure`, found both",
        ),
        (error_with(4, "request", Value::Null), "4: missing field `request`"),
        (error_with(4, "endpoint", json!(1)), "4: endpoint: invalid type: integer `1`, expected a string"),
        (error_with(4, "status", json!(70_000)), "4: status: invalid value: integer `70000`, expected u16"),
        (error_with(4, "status", json!(99)), "4: status: 99 is not an HTTP status; expected 100 to 999"),
        (error_with(4, "status", Value::Null), "4: expected either `status` or `error`, found neither"),
        (
            error_with(4, "error", json!({"kind": "timeout", "message": ""})),
            "4: expected either `status` or `error`, found both",
        ),
        (
            error_with(4, "error", json!({"kind": "sulking", "message": ""})),
            "4: error.kind: unknown variant `sulking`, expected one of `timeout`, `connection`, `invalid_response`, `other`",
        ),
        (error_with(4, "headers", json!([["a b", "c"]])), "4: headers: `a b: c` is not a header of HTTP"),
        (
            error_with(4, "headers", json!([["a", "b\r\nc: d"]])),
            "4: headers: `a: b\\r\\nc: d` is not a header of HTTP",
        ),
        (
            error_with(4, "body_base64", json!("AA==")),
            "4: expected either `body` or `body_base64`, found both",
        ),
        (error_after(|lines| lines[2] = "[]".to_owned()), "3: expected a JSON object"),
        (
            error_after(|lines| lines[2] = "{\"kind\": call}".to_owned()),
            "3: column 10: not JSON: expected value; expected one JSON object on each line",
        ),
        (
            error_after(|lines| lines[2] = "[".repeat(100_000)),
            "3: column 100000: not JSON: EOF while parsing a list; expected one JSON object on each line",
        ),
    ] {
        assert_eq!(error, format!("ssm-sync-exporter: FILE:{expected}"));
    }
    let failure =
        json!({"kind": "credentials", "profile": "x", "failure": {"reason": "mood", "message": ""}});
    assert_eq!(
        error_after(|lines| lines[1] = failure.to_string()),
        "ssm-sync-exporter: FILE:2: failure.reason: `mood` is not a reason for a failure"
    );
}

#[test]
fn a_file_that_is_cut_off_is_told_from_one_with_an_invalid_line() {
    let cut = "the line is cut off, so the file is not complete; copy it again, or make another recording";
    let recording = Handmade::of_one_target();
    let text = recording.lines.join("\n");
    // Wherever the last line is cut.
    let last = text.rfind('\n').unwrap() + 1;
    for end in [last + 1, last + 40, text.len() - 1] {
        let error = error_about(&recording.file_of(&text[..end]));
        assert_eq!(error, format!("ssm-sync-exporter: FILE:5: {cut}"), "{end}");
    }
    // Also within a character.
    let within = [text.as_bytes(), b"\n{\"kind\": \"\xe2\x82"].concat();
    assert_eq!(error_about(&recording.file_of(within)), format!("ssm-sync-exporter: FILE:6: {cut}"));
    // A line that is complete is not cut off, even if the file goes on.
    let error = error_about(&recording.file_of(format!("{text}\n{{\n")));
    assert!(error.starts_with("ssm-sync-exporter: FILE:6: column "), "{error}");
    assert_eq!(
        error_about(&recording.file_of([text.as_bytes(), b"\n\xff\n"].concat())),
        "ssm-sync-exporter: FILE:6: the byte 0xff is not UTF-8; expected a recording that `once --record` wrote"
    );
}

#[test]
fn a_long_line_makes_a_short_error() {
    let long = "\u{1b}ü".repeat(1_000_000);
    for error in [
        error_with(4, "status", json!(long)),
        error_with(4, "kind", json!(long)),
        error_with(4, "headers", json!([[long, long]])),
        error_with(1, "version", json!({ long.as_str(): long })),
        error_after(|lines| {
            lines[0] = json!({"ssm_sync_exporter_recording": long, "version": long}).to_string();
        }),
    ] {
        assert!(error.len() < 2000, "{} bytes", error.len());
    }
    let error = error_after(|lines| lines[1] = " ".repeat(70 << 20) + "x");
    assert_eq!(error, "ssm-sync-exporter: FILE:2: the line is longer than 64 MiB");
}

#[test]
fn the_configuration_of_a_recording_is_checked_like_a_file() {
    let error = |configuration: &Value| error_after(|lines| lines[0] = header(configuration).to_string());
    for (configuration, expected) in [
        (json!({"region": ["eu-west-1"]}), "region: unknown key; did you mean `regions`?"),
        (json!({"regions": ["eu-wset-1"], "interval": 5}), "interval: `5` is not a valid duration"),
        (json!({"regions": "eu-west-1"}), "regions: found a string, expected a list, such as `[a, b]`"),
        (json!({"accounts": [{"id": 1}]}), "accounts[0].id: `1` is not an AWS account id"),
    ] {
        let error = error(&configuration);
        let expected = format!("ssm-sync-exporter: FILE:1:1: {expected}");
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn harmless_changes_to_a_recording_are_accepted() {
    let recording = Handmade::of_one_target();
    let text = recording.lines.join("\n");
    let windows = format!("\u{feff}{}\r\n\r\n", recording.lines.join("\r\n"));
    let mut newer = recording.lines.clone();
    for line in &mut newer {
        line.insert_str(1, "\"new\": {\"a\": [1]}, ");
    }
    for content in [text.clone(), format!("{text}\n\n"), windows, newer.join("\n")] {
        let (status, out, err) = run(&mut once(&recording.file_of(content)));
        assert_eq!((status, err.as_str()), (Some(0), ""));
        assert!(out.contains("sync_name=\"inventory\""), "{out}");
    }
}

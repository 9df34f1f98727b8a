//! Recordings from strangers: nothing that they name is read or connected to, and their texts are only
//! texts.

use std::net::TcpListener;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{ACCOUNT, Handmade, NOW, header, once};
use crate::http;
use crate::process::{ExporterProcess, program, run};

/// Escape sequences, line ends, bidirectional controls, quotes and markup.
const HOSTILE: &str = "\u{1b}[2J\u{9b}31m\r\n\t\u{202e}\"'<script>alert(1)</script>{}\\";

#[test]
fn nothing_that_a_recording_or_the_host_names_is_read_or_connected_to() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    let mut recording = Handmade::of_one_target();
    let configuration = json!({
        "regions": ["eu-west-1"],
        "accounts": [{"profile": "hub"}],
        // A path that is read would be an error.
        "aws": {
            "endpoint_url": url, "shared_config_file": "/nonexistent", "shared_credentials_file": "/nonexistent",
        },
    });
    recording.lines[0] = header(&configuration).to_string();
    for line in &mut recording.lines[1..] {
        let mut parsed: Value = serde_json::from_str(line).unwrap();
        if parsed["kind"] == "credentials" {
            parsed["profile"] = json!("hub");
        }
        parsed["endpoint"] = json!(server.local_addr().unwrap().to_string());
        parsed["proxy"] = json!(url);
        *line = parsed.to_string();
    }
    let mut once = once(&recording.file());
    // Values that would be errors, or that would lead to the server.
    once.env_remove("AWS_EC2_METADATA_DISABLED")
        .env("AWS_CONFIG_FILE", "/nonexistent")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .env("AWS_PROFILE", "missing")
        .env("AWS_REGION", "no region")
        .env("AWS_ACCESS_KEY_ID", "AKIAOFTHEHOST0000000")
        .env("AWS_SECRET_ACCESS_KEY", "secret-of-the-host")
        .env("AWS_USE_FIPS_ENDPOINT", "nonsense")
        .env("AWS_MAX_ATTEMPTS", "nonsense")
        .env("AWS_CA_BUNDLE", "/nonexistent")
        .env("AWS_ENDPOINT_URL", &url)
        .env("AWS_ENDPOINT_URL_SSM", &url)
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url)
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent")
        .env("HTTP_PROXY", &url)
        .env("HTTPS_PROXY", "no proxy at all")
        .env("HOME", "/nonexistent");
    let (status, out, err) = run(&mut once);
    assert_eq!((status, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("sync_name=\"inventory\""), "{out}");
    let connection = server.accept();
    assert!(connection.is_err(), "{connection:?}");

    for key in ["request_file", "request_file\u{0}"] {
        let expectation = json!({"name": "x", key: "/etc/hostname"});
        let configuration = json!({"regions": ["eu-west-1"], "expectations": [expectation]});
        recording.lines[0] = header(&configuration).to_string();
        let (status, _, err) = run(&mut super::once(&recording.file()));
        assert_eq!(status, Some(2), "{err}");
        assert!(err.contains("request_file") && err.lines().count() == 1, "{err}");
    }
}

#[test]
fn the_texts_of_a_recording_do_not_reach_a_terminal_or_a_log_as_they_are() {
    let mut recording = Handmade::with_items(&json!([
        {"SyncName": HOSTILE, "LastStatus": "Failed", "LastSyncStatusMessage": HOSTILE},
    ]));
    let mut header: Value = serde_json::from_str(&recording.lines[0]).unwrap();
    header["version"] = json!(HOSTILE.repeat(1000));
    header["time"] = json!(HOSTILE);
    header["configuration"]["regions"] = json!(["eu-west-1", "eu-west-2", "eu-west-3"]);
    header["configuration"]["accounts"] =
        json!([{"name": "a\u{202e}b\u{2066}"}, {"profile": "hub", "regions": ["eu-north-1"]}]);
    recording.lines[0] = header.to_string();
    // Another region fails with a recorded message, and a third one was not recorded.
    let mut failed: Value = serde_json::from_str(&recording.lines[3]).unwrap();
    failed["region"] = json!("eu-west-2");
    failed["endpoint"] = json!(HOSTILE);
    failed["proxy"] = json!(HOSTILE);
    failed.as_object_mut().unwrap().remove("status");
    failed["error"] = json!({"kind": "other", "message": HOSTILE.repeat(1000)});
    recording.lines.push(failed.to_string());
    let failure = json!({"reason": "credentials", "message": HOSTILE});
    let credentials = json!({"kind": "credentials", "profile": "hub", "failure": failure});
    recording.lines.push(credentials.to_string());
    let file = recording.file();
    for format in ["table", "prometheus", "openmetrics", "json"] {
        for log_format in ["logfmt", "json"] {
            let mut once = program();
            once.args(["once", "--format", format, "--log.format", log_format, "--replay"]).arg(&file);
            let (status, out, err) = run(&mut once);
            assert_eq!(status, Some(1), "{err}");
            let is_safe = |text: &str| {
                !text.contains(|c: char| c.is_control() && c != '\n')
                    && !text.contains(['\u{202e}', '\u{9b}'])
            };
            assert!(is_safe(&err), "{format} {log_format}: {err:?}");
            assert!(format != "table" || is_safe(&out), "{out:?}");
            assert!(err.contains("the recording has no answer to this request"), "{err}");
            assert!(err.lines().all(|line| line.len() < 8000), "{err}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_texts_of_a_recording_are_escaped_on_the_page() {
    let mut recording = Handmade::with_items(&json!([{"SyncName": HOSTILE, "LastStatus": HOSTILE}]));
    recording.lines[0] = recording.lines[0].replace(env!("CARGO_PKG_VERSION"), "<script>");
    let mut serve = program();
    serve.args(["serve", "--log.level", "info", "--replay"]).arg(recording.file());
    let exporter = ExporterProcess::start(&mut serve);
    exporter.metrics_containing("ssm_sync_exporter_target_up").await;
    for path in ["/", &format!("/?account={ACCOUNT}")] {
        let page = http::request(exporter.address, "GET", path).await.body;
        assert!(!page.contains("<script>alert") && !page.contains("<script>\""), "{page}");
    }
}

#[test]
fn a_date_of_any_year_in_a_recording_is_harmless() {
    let mut recording = Handmade::of_one_target();
    let rejected = json!({"__type": "RequestTimeTooSkewed", "message": "Signature expired"}).to_string();
    for (unix_seconds, date) in [
        (253_402_300_799_u64, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (NOW, "Sat, 22 Nov 2025 09:26:40 GMT"),
    ] {
        let mut header: Value = serde_json::from_str(&recording.lines[0]).unwrap();
        header["unix_seconds"] = json!(unix_seconds);
        recording.lines[0] = header.to_string();
        for line in &mut recording.lines[3..] {
            let mut call: Value = serde_json::from_str(line).unwrap();
            call["status"] = json!(400);
            call["headers"] = json!([["date", date]]);
            call["body"] = json!(rejected);
            *line = call.to_string();
        }
        for format in ["table", "prometheus", "json"] {
            let mut once = once(&recording.file());
            once.args(["--format", format]);
            let (status, _, err) = run(&mut once);
            assert_eq!(status, Some(1), "{err}");
            assert!(!err.contains("panicked"), "{err}");
        }
    }
}

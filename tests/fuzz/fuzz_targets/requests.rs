//! Requests to every path: the first line is path and query, each further line a header.

#![no_main]

use std::sync::OnceLock;

use fuzz::aws::{Answer, Call, FakeAws};
use fuzz::exporter::{self, Fleet};
use fuzz::exposition;
use http::{HeaderName, HeaderValue, Request, Uri, Version};
use libfuzzer_sys::fuzz_target;
use ssm_sync_exporter::fuzzing::Exporter;

fuzz_target!(|input: &str| {
    static EXPORTER: OnceLock<Exporter> = OnceLock::new();
    let exporter = EXPORTER.get_or_init(|| {
        let syncs = r#"{"ResourceDataSyncItems": [
            {"SyncName": "good", "LastStatus": "Successful", "LastSyncTime": 1763790000},
            {"SyncName": "<b>", "LastStatus": "Failed", "LastSyncStatusMessage": "\"&'"}
        ]}"#;
        let denied = Answer {
            status: 400,
            headers: Vec::new(),
            body: br#"{"__type": "AccessDeniedException"}"#.into(),
        };
        let call = Call::ListResourceDataSync;
        let answers = [(call, Answer::ok(syncs)), (call, Answer::ok(syncs)), (call, denied)];
        exporter::runtime().block_on(exporter::collect(Fleet::Everything, FakeAws::new(answers)))
    });
    let mut lines = input.lines();
    let Ok(uri) = lines.next().unwrap_or_default().parse::<Uri>() else { return };
    let mut request = Request::new(());
    *request.uri_mut() = uri;
    // Needs no `Host`, which would be the second line of most inputs.
    *request.version_mut() = Version::HTTP_2;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value.trim())) {
            request.headers_mut().append(name, value);
        }
    }
    let response = exporter::runtime().block_on(exporter.respond(request));
    assert!([200, 304, 307, 400, 404, 405, 501].contains(&response.status().as_u16()), "{response:?}");
    assert!(response.body().len() < 200_000 + 20 * input.len(), "{} bytes", response.body().len());
    let has_type = |start: &[u8]| {
        response.headers().get("content-type").is_some_and(|value| value.as_bytes().starts_with(start))
    };
    if has_type(b"application/json") && !response.headers().contains_key("content-encoding") {
        let document = serde_json::from_slice::<serde_json::Value>(response.body()).unwrap();
        assert!(document["targets"].is_array(), "{document}");
    }
    let is_text = has_type(b"text/plain; version");
    if response.status() == 200 && is_text && !response.headers().contains_key("content-encoding") {
        let text = std::str::from_utf8(response.body()).unwrap();
        if !text.is_empty() {
            exposition::check(text);
        }
    }
});

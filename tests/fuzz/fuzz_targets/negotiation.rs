//! The headers `Accept` and `Accept-Encoding`: each line is a value of both.

#![no_main]

use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use ssm_sync_exporter::metrics::Format;
use ssm_sync_exporter::negotiation::{Accept, ContentCoding};

fuzz_target!(|input: &str| {
    let coding = ContentCoding::negotiate(input.lines());
    if let Some(token) = coding.token() {
        let input = input.to_ascii_lowercase();
        assert!(input.contains(token) || input.contains('*'), "{token} was not asked for");
    }
    let format = Format::negotiate(&Accept::parse(input.lines()));
    HeaderValue::try_from(format.content_type()).unwrap();
});

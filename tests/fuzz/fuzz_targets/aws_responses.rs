//! Responses of AWS to all calls, as text:
//!
//! ```text
//! ListResourceDataSync 200
//! x-amzn-requestid: 1
//!
//! {"ResourceDataSyncItems": []}
//! ---
//! AssumeRole 403
//! …
//! ```

#![no_main]

use fuzz::aws::{Answer, Call};
use fuzz::exporter::{self, Fleet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let answers: Vec<_> = split(input, b"\n---\n").into_iter().filter_map(parse).collect();
    if !answers.is_empty() {
        exporter::check_answers(Fleet::Everything, answers);
    }
});

fn parse(text: &[u8]) -> Option<(Call, Answer)> {
    let parts = split(text, b"\n\n");
    let (head, body) = parts.split_first()?;
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let (call, status) = first.split_once(' ')?;
    let headers = lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((line[..colon].to_vec(), line[colon + 1..].trim_ascii().to_vec()))
    });
    let answer =
        Answer { status: status.parse().ok()?, headers: headers.collect(), body: body.join(&b"\n\n"[..]) };
    Some((Call::from_name(call)?, answer))
}

fn split<'a>(mut text: &'a [u8], separator: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(at) = text.windows(separator.len()).position(|window| window == separator) {
        parts.push(&text[..at]);
        text = &text[at + separator.len()..];
    }
    parts.push(text);
    parts
}

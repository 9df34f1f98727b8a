//! Applies faults to a finished response: to its headers, to its body, and to the way it is sent.

use std::io;
use std::ops::Range;
use std::time::Duration;

use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue};
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};

use crate::body::{Body, Part, Parts};
use crate::fault::Fault;

/// Maximum number of additional headers. A `HeaderMap` holds about 2,000 more.
const MAX_HEADERS: u16 = 30_000;

/// Sends the response to a call of `operation`, with the effects of `faults`. The clock of the fake
/// is `clock_offset` ahead of the system's.
pub(crate) fn send(
    response: Response<Bytes>,
    operation: &str,
    faults: &[Fault],
    clock_offset: SignedDuration,
) -> Response<Body> {
    let (mut head, text) = response.into_parts();
    let mut body = Parts::new(text);
    let mut chunked = false;
    set_date(&mut head.headers, clock_offset);
    for fault in faults {
        match fault {
            Fault::ManyItems(count) if head.status.is_success() => many_items(&mut body, operation, *count),
            Fault::Text { field, value, repeat } => replace(&mut body, field, value, *repeat),
            Fault::Headers(headers) => set_headers(&mut head.headers, headers),
            Fault::DateOffBy(seconds) => {
                set_date(&mut head.headers, clock_offset.saturating_add(SignedDuration::from_secs(*seconds)));
            }
            Fault::ClockAhead(seconds) => {
                set_date(&mut head.headers, clock_offset + SignedDuration::from_secs((*seconds).into()));
            }
            Fault::ManyHeaders(count) => {
                for number in 0..*count.min(&MAX_HEADERS) {
                    if let Ok(name) = HeaderName::try_from(format!("x-fake-{number}")) {
                        head.headers.insert(name, HeaderValue::from_static("fake"));
                    }
                }
            }
            Fault::Padding { bytes, chunked: without_length } => {
                body.queue.push_back(Part::Repeated { text: " ".to_owned(), times: *bytes });
                chunked |= without_length;
            }
            Fault::Dribble(millis) => body.dribble(Duration::from_millis(*millis)),
            _ => {}
        }
    }
    for fault in faults {
        match fault {
            Fault::TruncatedBody => body.break_in_the_middle(io::ErrorKind::Other),
            Fault::Reset => body.break_in_the_middle(io::ErrorKind::ConnectionReset),
            _ => {}
        }
    }
    if !chunked && !head.headers.contains_key(CONTENT_LENGTH) {
        head.headers.insert(CONTENT_LENGTH, body.len().into());
    }
    Response::from_parts(head, body.into_body())
}

/// Replaces the body of a list by one with `count` generated items.
fn many_items(body: &mut Parts, operation: &str, count: u64) {
    let (start, before, after, first) = match operation {
        "ListResourceDataSync" => (
            r#"{"ResourceDataSyncItems":["#,
            r#"{"SyncName":"sync-"#,
            r#"","LastStatus":"Successful","LastSyncTime":1763800000}"#,
            0,
        ),
        "DescribeInstanceInformation" => (
            r#"{"InstanceInformationList":["#,
            r#"{"InstanceId":"i-00000"#,
            r#"","PingStatus":"Online","PlatformType":"Linux","ResourceType":"EC2Instance"}"#,
            0,
        ),
        "ListAccounts" | "ListAccountsForParent" => (
            r#"{"Accounts":["#,
            r#"{"Id":""#,
            r#"","Name":"many","State":"ACTIVE","Status":"ACTIVE"}"#,
            500_000_000_000,
        ),
        "ListRegions" => {
            (r#"{"Regions":["#, r#"{"RegionName":"eu-many-"#, r#"","RegionOptStatus":"ENABLED"}"#, 1)
        }
        _ => return,
    };
    let text = |text| Part::Text(Bytes::from_static(text));
    let items = Part::Numbered { before, after, next: first, end: first.saturating_add(count) };
    body.queue = [text(start.as_bytes()), items, text(b"]}")].into();
}

/// Replaces the first value of `field`.
fn replace(body: &mut Parts, field: &str, value: &str, times: u64) {
    for index in 0..body.queue.len() {
        let Part::Text(text) = &body.queue[index] else { continue };
        let Some(Range { start, end }) = find_value(text, field) else { continue };
        let (before, after) = (text.slice(..start), text.slice(end..));
        body.queue[index] = Part::Text(before);
        body.queue.insert(index + 1, Part::Repeated { text: value.to_owned(), times });
        body.queue.insert(index + 2, Part::Text(after));
        return;
    }
}

/// Where the first value of a field is in a body of JSON or XML. The quotes of a string are not part
/// of its value.
fn find_value(body: &[u8], field: &str) -> Option<Range<usize>> {
    let text = std::str::from_utf8(body).ok()?;
    let element = format!("<{field}>");
    if let Some(tag) = text.find(&element) {
        let start = tag + element.len();
        return Some(start..start + text[start..].find('<')?);
    }
    let key = format!("\"{field}\"");
    let after_key = text.find(&key)? + key.len();
    let rest = text[after_key..].trim_start().strip_prefix(':')?.trim_start();
    let start = text.len() - rest.len();
    match rest.strip_prefix('"') {
        Some(string) => {
            let mut escaped = false;
            let length = string.find(|letter| {
                let ends = letter == '"' && !escaped;
                escaped = letter == '\\' && !escaped;
                ends
            })?;
            Some(start + 1..start + 1 + length)
        }
        None => Some(start..start + rest.find([',', '}', ']'])?),
    }
}

/// Sets `Date` to the current time plus `offset`.
fn set_date(headers: &mut HeaderMap, offset: SignedDuration) {
    let text = Timestamp::now()
        .checked_add(offset)
        .and_then(|time| DateTimePrinter::new().timestamp_to_rfc9110_string(&time));
    if let Some(Ok(value)) = text.ok().map(HeaderValue::try_from) {
        headers.insert(DATE, value);
    }
}

/// Replaces the headers of these names. Invalid names and values are ignored.
fn set_headers(headers: &mut HeaderMap, new: &[(String, Option<String>)]) {
    for (name, _) in new {
        headers.remove(name.as_str());
    }
    for (name, value) in new {
        if let (Ok(name), Some(Ok(value))) =
            (HeaderName::try_from(name), value.as_ref().map(HeaderValue::try_from))
        {
            headers.append(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of<'a>(body: &'a str, field: &str) -> Option<&'a str> {
        find_value(body.as_bytes(), field).map(|range| &body[range])
    }

    #[test]
    fn values_are_found_in_json_and_xml() {
        let json = r#"{"a": [{"SyncName":"x\"y\\","LastSyncTime": 1.5}], "other":""}"#;
        assert_eq!(value_of(json, "SyncName"), Some(r#"x\"y\\"#));
        assert_eq!(value_of(json, "LastSyncTime"), Some("1.5"));
        assert_eq!(value_of(json, "other"), Some(""));
        assert_eq!(value_of(json, "SyncType"), None);
        assert_eq!(value_of("<Error><Code>Throttling</Code></Error>", "Code"), Some("Throttling"));
    }
}

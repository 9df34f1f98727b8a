//! Corrects the time of signatures if the host's clock is wrong.
//!
//! AWS rejects a request whose signature is more than five minutes old, or as far in the
//! future. The SDK therefore signs by AWS's clock: it takes the `Date` of *every* response as the time, even
//! if AWS accepted the request, and keeps the difference for all later calls of the client.
//! A single response with a wrong date would make AWS reject the signatures for other
//! regions, and a date such as the year 9999 makes the SDK panic.
//!
//! This module restricts the SDK's correction:
//!
//! - The SDK sees a `Date` only if AWS rejected the time of the signature and the date is
//!   plausible, see [`hide_unconfirmed_date`].
//! - With a recording, a date is compared with the time at which it was recorded, and the SDK sees none: the
//!   signatures of requests that are not sent do not matter.
//! - Each target has its own [`memory`], so that no response affects another target. A client
//!   of another service is used for one lookup only, so what it remembers affects no other.

use std::sync::Arc;
use std::time::Duration;

use aws_runtime::service_clock_skew::ServiceClockSkewInterceptor;
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::warn;

use crate::clock::Clock;
use crate::model::UnixSeconds;

/// The largest difference between the host's clock and AWS's that is corrected.
const MAX_SKEW: Duration = Duration::from_hours(7 * 24);

/// Differences below this one are not reported: AWS accepts them.
const MIN_REPORTED_SKEW: Duration = Duration::from_mins(4);

/// The time between two warnings about the host's clock.
const WARNING_INTERVAL: Duration = Duration::from_hours(1);

/// How much of a body is searched for an error.
const MAX_ERROR: usize = 64 * 1024;

/// The length of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
const HTTP_DATE_LENGTH: usize = 29;

/// Error codes and beginnings of error messages by which AWS rejects the time of a signature.
/// SSM and the other services with JSON return `InvalidSignatureException`, and STS
/// `SignatureDoesNotMatch`, with one of the messages. The codes are in the lists of common
/// errors.
const SIGNING_TIME_ERRORS: [&str; 5] = [
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
    "Signature expired",
    "Signature not yet current",
];

/// Marks a response that rejects the time of the signature, and has a plausible date.
#[derive(Clone, Copy, Debug)]
struct SigningTimeRejected;

/// Keeps the date of a response for the exporter, whether or not the SDK may see the header.
#[derive(Clone, Copy, Debug)]
struct ReceivedDate(DateTime);

/// Removes the `Date` of a response, unless AWS rejected the time of the request's signature
/// and the date is plausible: only one, and within [`MAX_SKEW`] of the host's clock. The date
/// is still available from [`response_date`].
pub(super) fn hide_unconfirmed_date(response: &mut HttpResponse, body: &[u8], warning: &SkewWarning) {
    if let Some(date) = parse_date(response) {
        response.add_extension(ReceivedDate(date));
    }
    let rejected = response_date(response).filter(|_| rejects_signing_time(response, body));
    let skew = rejected.and_then(|date| skew(date, warning.now()));
    if let Some(skew) = skew {
        response.add_extension(SigningTimeRejected);
        warning.report(skew);
    }
    if skew.is_none() || warning.recorded_at.is_some() {
        response.headers_mut().remove("date");
    }
}

/// The `Date` of a response of the HTTP client. `None` if it was missing or not valid.
pub(super) fn response_date(response: &HttpResponse) -> Option<DateTime> {
    response.extension().map(|ReceivedDate(date)| *date)
}

/// The `Date` of a response as it was received. `None` if it is missing or not valid.
pub(super) fn parse_date(response: &HttpResponse) -> Option<DateTime> {
    let mut dates = response.headers().get_all_bytes("date");
    let date = dates.next().filter(|date| date.len() == HTTP_DATE_LENGTH)?;
    // A response from a cache has the date at which it was stored.
    if dates.next().is_some() || response.headers().contains_key("age") {
        return None;
    }
    DateTime::from_str(str::from_utf8(date).ok()?, Format::HttpDate).ok()
}

fn rejects_signing_time(response: &HttpResponse, body: &[u8]) -> bool {
    let contains_error = |text: &str| SIGNING_TIME_ERRORS.iter().any(|error| text.contains(error));
    response.status().is_client_error()
        && (response.headers().get("x-amzn-errortype").is_some_and(contains_error)
            || contains_error(&String::from_utf8_lossy(&body[..body.len().min(MAX_ERROR)])))
}

/// How far `date`, the current time of AWS, is from `now`, the host's time. `None` if that is not
/// plausible.
fn skew(date: DateTime, now: UnixSeconds) -> Option<Skew> {
    let now = Duration::try_from_secs_f64(now).ok()?;
    let date = Duration::from_secs(u64::try_from(date.secs()).ok()?);
    let skew = Skew { host_is_ahead: now > date, difference: now.abs_diff(date) };
    (skew.difference <= MAX_SKEW).then_some(skew)
}

/// The difference between the host's clock and AWS's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Skew {
    host_is_ahead: bool,
    difference: Duration,
}

/// Warns when AWS rejects signatures because the host's clock is wrong, at most once in
/// [`WARNING_INTERVAL`] for all calls.
#[derive(Clone, Debug, Default)]
pub(super) struct SkewWarning {
    last: Arc<Mutex<Option<Instant>>>,
    /// The host's time if the responses are from a recording.
    recorded_at: Option<UnixSeconds>,
}

impl SkewWarning {
    pub(super) fn new(recorded_at: Option<UnixSeconds>) -> Self {
        Self { recorded_at, ..Self::default() }
    }

    /// The host's time.
    fn now(&self) -> UnixSeconds {
        self.recorded_at.unwrap_or_else(|| Clock::system().now())
    }

    fn report(&self, skew: Skew) {
        // The difference is small if the host's clock has been corrected.
        if skew.difference < MIN_REPORTED_SKEW {
            return;
        }
        let mut last = self.last.lock();
        if last.is_some_and(|last| last.elapsed() < WARNING_INTERVAL) {
            return;
        }
        *last = Some(Instant::now());
        drop(last);
        let Skew { host_is_ahead, difference } = skew;
        warn!(
            host_is_ahead,
            difference_seconds = difference.as_secs(),
            "the clock of the host differs from the clock of AWS"
        );
    }
}

/// Remembers the difference between the clocks for one target. The caller adds it to the
/// configuration of each call, where it takes precedence over the client's own memory.
pub(super) fn memory() -> SharedInterceptor {
    SharedInterceptor::new(ServiceClockSkewInterceptor::new())
}

/// Retries a call whose signature had the wrong time. The SDK does that only for some error
/// codes, and not if the time was wrong because the host's clock has been corrected.
#[derive(Debug)]
pub(crate) struct RetryAfterClockSkew;

impl ClassifyRetry for RetryAfterClockSkew {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response().and_then(|response| response.extension::<SigningTimeRejected>()) {
            Some(SigningTimeRejected) => RetryAction::client_error(),
            None => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "RetryAfterClockSkew"
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    const EXPIRED: &str =
        r#"{"__type":"InvalidSignatureException","message":"Signature expired: x is now earlier than y"}"#;

    fn date(seconds_from_now: i64) -> String {
        let now = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds_from_now);
        now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// Whether the SDK sees the date of the response, and signs by it.
    fn is_believed(status: u16, headers: &[(&'static str, &str)], body: &str) -> bool {
        let mut response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
        for (name, value) in headers {
            response.headers_mut().append(*name, (*value).to_owned());
        }
        hide_unconfirmed_date(&mut response, body.as_bytes(), &SkewWarning::default());
        let is_retried = response.extension::<SigningTimeRejected>().is_some();
        assert_eq!(response.headers().contains_key("date"), is_retried);
        let has_one_date = headers.iter().filter(|(name, _)| *name == "date").count() == 1;
        assert!(!is_retried || has_one_date && response_date(&response).is_some());
        is_retried
    }

    #[test]
    fn a_date_is_believed_only_if_the_time_of_the_signature_was_rejected() {
        let date = date(3600);
        let in_header = [("date", date.as_str()), ("x-amzn-errortype", "RequestExpired")];
        assert!(is_believed(400, &in_header, "{}"));
        let is_believed = |status, body| is_believed(status, &[("date", &date)], body);
        assert!(is_believed(400, EXPIRED));
        assert!(is_believed(403, "<Code>SignatureDoesNotMatch</Code><Message>Signature not yet current: x"));
        for code in ["RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"] {
            assert!(is_believed(400, code), "{code}");
        }
        for (status, body) in [
            (200, EXPIRED),
            (503, EXPIRED),
            (400, r#"{"__type":"InvalidSignatureException","message":"The signature does not match"}"#),
            (400, r#"{"__type":"ExpiredTokenException"}"#),
            (403, ""),
        ] {
            assert!(!is_believed(status, body), "{status} {body}");
        }
    }

    #[test]
    fn a_date_of_a_recording_is_compared_with_its_time_and_hidden_from_the_sdk() {
        let retried = |recorded_at: UnixSeconds| {
            let mut response = HttpResponse::new(StatusCode::try_from(400).unwrap(), SdkBody::empty());
            response.headers_mut().append("date", "Sun, 06 Nov 1994 08:49:37 GMT");
            let warning = SkewWarning::new(Some(recorded_at));
            hide_unconfirmed_date(&mut response, EXPIRED.as_bytes(), &warning);
            assert!(!response.headers().contains_key("date"));
            response.extension::<SigningTimeRejected>().is_some()
        };
        assert!(retried(784_111_777.0 + 3600.0));
        assert!(!retried(784_111_777.0 + 8.0 * 24.0 * 3600.0));
    }

    #[test]
    fn the_exporter_sees_a_date_that_is_hidden_from_the_sdk() {
        let mut response = HttpResponse::new(StatusCode::try_from(200).unwrap(), SdkBody::empty());
        response.headers_mut().append("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        hide_unconfirmed_date(&mut response, b"", &SkewWarning::default());
        assert!(!response.headers().contains_key("date"));
        assert_eq!(response_date(&response), Some(DateTime::from_secs(784_111_777)));
    }

    #[test]
    fn only_a_plausible_date_is_believed() {
        for seconds in [0, 3600, -3600, 6 * 24 * 3600, -6 * 24 * 3600] {
            assert!(is_believed(400, &[("date", &date(seconds))], EXPIRED), "{seconds}");
        }
        for date in [
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Mon, 01 Jan 0001 00:00:00 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Sun, 06 Nov 1994 08:49:37. GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 99 Nov 2026 99:99:99 GMT",
            "Sun, 06 Nov 1994 08:49:37 G\u{fc}T",
            "1763800000",
            "",
            &date(8 * 24 * 3600),
            &date(-8 * 24 * 3600),
        ] {
            assert!(!is_believed(400, &[("date", date)], EXPIRED), "{date}");
        }
        let now = date(0);
        assert!(!is_believed(400, &[], EXPIRED));
        assert!(!is_believed(400, &[("date", &now), ("date", &now)], EXPIRED));
        assert!(!is_believed(400, &[("date", &now), ("age", "3600")], EXPIRED));
    }
}

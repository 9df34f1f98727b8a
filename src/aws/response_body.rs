//! Reads the body of a response, within limits, and tells responses that cannot be from AWS.

use std::error::Error;
use std::sync::Arc;

use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::destination::RecordedFailure;
use crate::error_chain::find_cause;

/// The maximum length of a response body in bytes. The largest genuine response, a page of
/// 50 syncs, is far smaller.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// The maximum length of a body in bytes that takes no permit of [`MAX_LARGE_BODIES`].
const MAX_SMALL_BODY: usize = 1024 * 1024;

/// How many larger bodies are in memory at the same time. Genuine responses are not that large, so
/// they do not wait for these.
const MAX_LARGE_BODIES: usize = 4;

/// The maximum number of values in a JSON body. The SDK makes several hundred bytes of each `{}`
/// in a list.
const MAX_JSON_VALUES: usize = 200_000;

/// The body of a response is not passed to the SDK.
#[derive(Debug, thiserror::Error)]
enum UnusableBody {
    #[error("the body of the response is longer than the limit of {} MiB", MAX_BODY / 1024 / 1024)]
    TooLong,
    #[error("the body of the response has more than {MAX_JSON_VALUES} values, the limit of the exporter")]
    TooManyValues,
}

impl From<UnusableBody> for ConnectorError {
    fn from(unusable: UnusableBody) -> Self {
        // Not retried: the next response would be the same.
        Self::other(unusable.into(), None)
    }
}

/// Whether a response arrived that cannot be one of AWS: its body exceeds a limit, or it is
/// not HTTP. `error` is the error of a call, or one of its causes.
pub(super) fn is_invalid_response(error: &(dyn Error + 'static)) -> bool {
    find_cause::<UnusableBody>(error).is_some()
        || find_cause::<RecordedFailure>(error).is_some_and(RecordedFailure::is_invalid_response)
        || find_cause::<hyper::Error>(error).is_some_and(hyper::Error::is_parse)
}

/// Reads bodies into memory.
#[derive(Clone, Debug)]
pub(super) struct BodyReader {
    large_bodies: Arc<Semaphore>,
}

impl Default for BodyReader {
    fn default() -> Self {
        Self { large_bodies: Arc::new(Semaphore::new(MAX_LARGE_BODIES)) }
    }
}

impl BodyReader {
    /// Reads a body. The permit, if there is one, is to be kept as long as the body is in memory.
    ///
    /// # Errors
    /// It exceeds a limit, or the connection was lost.
    pub(super) async fn read(
        &self,
        body: SdkBody,
    ) -> Result<(Vec<u8>, Option<LargeBodyPermit>), ConnectorError> {
        let (body, permit) = read(body, Arc::clone(&self.large_bodies)).await?;
        if has_too_many_values(&body) {
            return Err(UnusableBody::TooManyValues.into());
        }
        Ok((body, permit.map(|permit| LargeBodyPermit(Arc::new(permit)))))
    }
}

/// Admits one body of more than [`MAX_SMALL_BODY`].
#[derive(Clone, Debug)]
pub(super) struct LargeBodyPermit(
    #[expect(dead_code, reason = "released when it is dropped")] Arc<OwnedSemaphorePermit>,
);

/// Reads a body. The frames are copied, because each of them may be a single byte
/// that keeps a whole read buffer alive. Waits for a permit before it reads more than
/// [`MAX_SMALL_BODY`].
async fn read(
    mut body: SdkBody,
    large_bodies: Arc<Semaphore>,
) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), ConnectorError> {
    if usize::try_from(body.size_hint().lower()).map_or(true, |length| length > MAX_BODY) {
        return Err(UnusableBody::TooLong.into());
    }
    let mut bytes = Vec::new();
    let mut permit = None;
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(ConnectorError::io)?.into_data() {
            if data.len() > MAX_BODY - bytes.len() {
                return Err(UnusableBody::TooLong.into());
            }
            if permit.is_none() && data.len() + bytes.len() > MAX_SMALL_BODY {
                let acquired = Arc::clone(&large_bodies).acquire_owned().await;
                permit = Some(acquired.map_err(|closed| ConnectorError::other(closed.into(), None))?);
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok((bytes, permit))
}

/// Whether `body` is JSON with more than [`MAX_JSON_VALUES`] values. Those in an object or array
/// are counted by its opening bracket and its commas.
fn has_too_many_values(body: &[u8]) -> bool {
    if !body.trim_ascii_start().starts_with(b"{") {
        return false;
    }
    let (mut values, mut in_string, mut is_escaped) = (0_usize, false, false);
    for &byte in body {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' | b',' if !in_string => values += 1,
            _ => {}
        }
    }
    values > MAX_JSON_VALUES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_may_have_the_maximum_length_and_no_more() {
        let permits = Arc::new(Semaphore::new(1));
        let read = |length| read(SdkBody::from(vec![b' '; length]), Arc::clone(&permits));
        assert_eq!(read(0).await.unwrap().0, b"");
        assert_eq!(read(MAX_BODY).await.unwrap().0.len(), MAX_BODY);
        let error = read(MAX_BODY + 1).await.unwrap_err();
        assert!(is_invalid_response(&error));
        assert_eq!(
            crate::error_chain::with_causes(&error),
            "other: the body of the response is longer than the limit of 8 MiB"
        );
        let readme = include_str!("../../config/README.md");
        assert!(readme.contains("| body of a response | 8 MiB |"), "the limit is documented");
    }

    #[tokio::test(start_paused = true)]
    async fn only_large_bodies_wait_for_each_other() {
        let permits = Arc::new(Semaphore::new(1));
        let read = |length| read(SdkBody::from(vec![b' '; length]), Arc::clone(&permits));
        let large = read(MAX_SMALL_BODY + 1).await.unwrap();
        assert!(read(MAX_SMALL_BODY).await.unwrap().1.is_none());
        let minute = std::time::Duration::from_mins(1);
        assert!(tokio::time::timeout(minute, read(MAX_SMALL_BODY + 1)).await.is_err());
        drop(large);
        assert!(read(MAX_SMALL_BODY + 1).await.unwrap().1.is_some());
    }

    #[test]
    fn the_values_of_a_json_body_are_limited() {
        let body = |item: &str, number: usize| format!(" {{\"a\":{}0", item.repeat(number)).into_bytes();
        for item in ["{},", "[[],", "[\"\\\"\","] {
            let per_item = item.bytes().filter(|byte| matches!(byte, b'{' | b'[' | b',')).count();
            assert!(!has_too_many_values(&body(item, (MAX_JSON_VALUES - 1) / per_item)), "{item}");
            assert!(has_too_many_values(&body(item, MAX_JSON_VALUES)), "{item}");
        }
        // Not in strings, and not in XML.
        let text = format!("{{\"a\": \"{}\"}}", "{[,\\\"".repeat(MAX_JSON_VALUES));
        assert!(!has_too_many_values(text.as_bytes()));
        assert!(!has_too_many_values(&[b"<a>".as_slice(), &body("{},", MAX_JSON_VALUES)].concat()));
    }
}

//! Reports to an [`ApiObserver`] each request that the SDK sends.
//!
//! An interceptor gets the error of an operation as a type-erased value, and has to
//! downcast it to read AWS's error code. Callers therefore register the error types of
//! their operations with [`with_error`](ObserveRequests::with_error). This module
//! itself does not know any operation.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, Error, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, Metadata, OrchestratorError};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::destination::HtmlPage;
use super::errors;
use super::response_body::is_invalid_response;
use crate::error_chain::find_cause;

/// The maximum length of an error code; longer ones are reported as `other`. Codes
/// become label values, and a proxy on the way to AWS may return anything. How many unknown
/// codes become label values is up to the [`ApiObserver`].
const MAX_CODE_LENGTH: usize = 64;

/// A request that was sent to AWS. A call that is retried sends several.
#[derive(Debug)]
pub(crate) struct ApiRequest<'a> {
    /// The service as the SDK calls it, such as `SSM` or `STS`.
    pub(crate) service: &'a str,
    /// The operation, such as `ListResourceDataSync`.
    pub(crate) operation: &'a str,
    /// The time from sending the request until the response has been read.
    pub(crate) duration: Duration,
    /// `None` if the request succeeded.
    pub(crate) error_code: Option<ErrorCode>,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    /// An error code that AWS documents, a usual HTTP status, or one of `other`,
    /// `invalid_response`, `timeout`, `connection` and `abandoned`. There are about a hundred.
    Known(String),
    /// Another error code or HTTP status. AWS may have introduced it, or a proxy made it up.
    Unknown(String),
}

/// The HTTP statuses of error responses from AWS and from usual proxies.
const KNOWN_STATUSES: [u16; 16] =
    [400, 401, 403, 404, 405, 407, 408, 411, 413, 429, 431, 500, 501, 502, 503, 504];

impl ErrorCode {
    fn known(code: &str) -> Self {
        Self::Known(code.to_owned())
    }

    /// The error code of a response.
    fn from_aws(code: &str) -> Self {
        if errors::is_documented(code) {
            Self::known(code)
        } else if code.len() <= MAX_CODE_LENGTH && code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Self::Unknown(code.to_owned())
        } else {
            Self::known("other")
        }
    }

    /// The HTTP status of an error response without an error code.
    fn from_status(status: u16) -> Self {
        let code = status.to_string();
        if KNOWN_STATUSES.contains(&status) { Self::Known(code) } else { Self::Unknown(code) }
    }
}

/// Counts requests and lookups of account ids for the exporter's own metrics.
pub(crate) trait ApiObserver: fmt::Debug + Send + Sync {
    /// A request has ended.
    fn request_ended(&self, request: &ApiRequest<'_>);

    /// A lookup of the account that credentials belong to has ended. It may have taken
    /// several requests.
    fn identity_lookup_ended(&self, succeeded: bool);
}

/// Reads AWS's error code from an operation's error, if the error is of the
/// expected type.
type ReadErrorCode = fn(&Error) -> Option<&str>;

/// The interceptor that reports to an [`ApiObserver`].
#[derive(Clone, Debug)]
pub(crate) struct ObserveRequests {
    observer: Arc<dyn ApiObserver>,
    code_readers: Vec<ReadErrorCode>,
}

impl ObserveRequests {
    pub(crate) fn new(observer: &Arc<dyn ApiObserver>) -> Self {
        Self { observer: Arc::clone(observer), code_readers: Vec::new() }
    }

    /// Registers the error type `E` of an operation, so that AWS's error code is
    /// reported. Errors of other types are reported as the HTTP status.
    pub(crate) fn with_error<E>(mut self) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.code_readers.push(|error| error.downcast_ref::<E>().and_then(ProvideErrorMetadata::code));
        self
    }

    /// The value of [`ApiRequest::error_code`] for an attempt that failed.
    fn error_code(&self, error: &OrchestratorError<Error>, response: Option<&HttpResponse>) -> ErrorCode {
        let from_aws = error
            .as_operation_error()
            .and_then(|error| self.code_readers.iter().find_map(|read| read(error)));
        match (from_aws, response) {
            (Some(code), _) => ErrorCode::from_aws(code),
            (None, Some(response)) if !response.status().is_success() => {
                ErrorCode::from_status(response.status().as_u16())
            }
            (None, Some(response)) if response.body().bytes().is_some() => {
                ErrorCode::known("invalid_response")
            }
            (None, _) if error.is_timeout_error() => ErrorCode::known("timeout"),
            (None, None) => error.as_connector_error().map_or_else(connection, error_code_of_connector),
            (None, _) => connection(),
        }
    }
}

/// There was no response, or the connection was lost before the response was complete.
fn connection() -> ErrorCode {
    ErrorCode::known("connection")
}

fn error_code_of_connector(error: &ConnectorError) -> ErrorCode {
    match find_cause::<HtmlPage>(error) {
        Some(page) if page.status.is_success() => ErrorCode::known("invalid_response"),
        Some(page) => ErrorCode::from_status(page.status.as_u16()),
        None if is_invalid_response(error) => ErrorCode::known("invalid_response"),
        None if error.is_timeout() => ErrorCode::known("timeout"),
        None => connection(),
    }
}

/// A request in flight. It is reported once: when it ends, or when it is dropped before
/// that, for example because the collection or lookup that sent it has timed out.
#[derive(Debug)]
struct RequestInFlight {
    observer: Arc<dyn ApiObserver>,
    metadata: Metadata,
    sent: Instant,
    reported: AtomicBool,
}

impl Storable for RequestInFlight {
    type Storer = StoreReplace<Self>;
}

impl RequestInFlight {
    fn report(&self, error_code: Option<ErrorCode>) {
        if !self.reported.swap(true, Ordering::Relaxed) {
            let (service, operation) = (self.metadata.service(), self.metadata.name());
            let duration = self.sent.elapsed();
            self.observer.request_ended(&ApiRequest { service, operation, duration, error_code });
        }
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        self.report(Some(ErrorCode::known("abandoned")));
    }
}

#[dyn_dispatch_hint]
impl Intercept for ObserveRequests {
    fn name(&self) -> &'static str {
        "ObserveRequests"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let metadata = cfg.load::<Metadata>().cloned();
        let request = RequestInFlight {
            observer: Arc::clone(&self.observer),
            metadata: metadata.unwrap_or_else(|| Metadata::new("unknown", "unknown")),
            sent: Instant::now(),
            reported: AtomicBool::new(false),
        };
        cfg.interceptor_state().store_put(request);
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // An attempt may fail before its request is sent.
        if let Some(request) = cfg.load::<RequestInFlight>() {
            let error = context.output_or_error().and_then(Result::err);
            request.report(error.map(|error| self.error_code(error, context.response())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_codes_and_usual_statuses_are_known() {
        let known = |code: &str| ErrorCode::Known(code.to_owned());
        let unknown = |code: &str| ErrorCode::Unknown(code.to_owned());
        for code in [
            "ThrottlingException",
            "TooManyRequestsException",
            "AccessDeniedException",
            "ResourceDataSyncInvalidConfigurationException",
            "AWSOrganizationsNotInUseException",
            "ValidationException",
            "InvalidNextToken",
        ] {
            assert_eq!(ErrorCode::from_aws(code), known(code));
        }
        assert_eq!(ErrorCode::from_aws("MadeUp17"), unknown("MadeUp17"));
        for code in ["", "made up", "ü", &"x".repeat(MAX_CODE_LENGTH + 1)] {
            let expected = if code.is_empty() { unknown("") } else { known("other") };
            assert_eq!(ErrorCode::from_aws(code), expected, "{code}");
        }
        assert_eq!(ErrorCode::from_status(503), known("503"));
        assert_eq!(ErrorCode::from_status(418), unknown("418"));
        assert_eq!(ErrorCode::from_status(999), unknown("999"));
    }
}

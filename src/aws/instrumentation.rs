//! Reports each request that the SDK sends to an [`ApiObserver`].
//!
//! The SDK gives an interceptor the error of an operation with its type erased,
//! and only the type can tell AWS's error code. Whoever makes a call therefore
//! names the error types of its operations with
//! [`with_error`](ObserveRequests::with_error). This module knows no operation.

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
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// The longest error code that is reported. Codes become label values, and any
/// proxy on the way to AWS may answer.
const MAX_CODE_LENGTH: usize = 64;

/// A request that was sent to AWS. A call that is retried makes several.
#[derive(Debug)]
pub(crate) struct ApiRequest<'a> {
    /// The service as the SDK calls it, such as `SSM` or `STS`.
    pub(crate) service: &'a str,
    /// The operation, such as `ListResourceDataSync`.
    pub(crate) operation: &'a str,
    /// From sending the request to having read the response.
    pub(crate) duration: Duration,
    /// AWS's error code, or the kind of failure if AWS did not answer. `None` if
    /// the request succeeded.
    pub(crate) error_code: Option<String>,
}

/// Counts what is asked of AWS.
pub(crate) trait ApiObserver: fmt::Debug + Send + Sync {
    /// A request has ended.
    fn request_ended(&self, request: &ApiRequest<'_>);

    /// STS was asked which account some credentials belong to.
    fn identity_lookup_ended(&self, succeeded: bool);
}

/// Reads AWS's error code from an operation's error, if the error is of the
/// expected type.
type ReadErrorCode = fn(&Error) -> Option<&str>;

/// The interceptor that reports to an [`ApiObserver`].
#[derive(Clone, Debug)]
pub(crate) struct ObserveRequests {
    observer: Arc<dyn ApiObserver>,
    error_codes: Vec<ReadErrorCode>,
}

impl ObserveRequests {
    pub(crate) fn new(observer: &Arc<dyn ApiObserver>) -> Self {
        Self { observer: Arc::clone(observer), error_codes: Vec::new() }
    }

    /// Reports the codes of errors of type `E`. Without it, the error of an
    /// operation is reported by the HTTP status of the response.
    pub(crate) fn with_error<E>(mut self) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.error_codes.push(|error| error.downcast_ref::<E>().and_then(ProvideErrorMetadata::code));
        self
    }

    /// AWS's error code; or the HTTP status, if the response is not AWS's; or
    /// the kind of failure, if there is no response.
    fn error_code(&self, error: &OrchestratorError<Error>, response: Option<&HttpResponse>) -> String {
        let from_aws =
            error.as_operation_error().and_then(|error| self.error_codes.iter().find_map(|code| code(error)));
        let code = match (from_aws, response) {
            (Some(code), _)
                if code.len() <= MAX_CODE_LENGTH && code.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
            {
                code
            }
            (Some(_), _) => "other",
            (None, Some(response)) if !response.status().is_success() => {
                return response.status().as_u16().to_string();
            }
            (None, Some(response)) if response.body().bytes().is_some() => "invalid_response",
            (None, _) if error.is_timeout_error() => "timeout",
            // There was no response, or it broke off.
            (None, _) => "connection",
        };
        code.to_owned()
    }
}

/// A request in flight. It is reported once: when it ends, or when it is dropped
/// because the collection or lookup that sent it has run out of time.
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
    fn report(&self, error_code: Option<String>) {
        if !self.reported.swap(true, Ordering::Relaxed) {
            let (service, operation) = (self.metadata.service(), self.metadata.name());
            let duration = self.sent.elapsed();
            self.observer.request_ended(&ApiRequest { service, operation, duration, error_code });
        }
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        self.report(Some("abandoned".to_owned()));
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
        // An attempt may end before anything is sent.
        if let Some(request) = cfg.load::<RequestInFlight>() {
            let error = context.output_or_error().and_then(Result::err);
            request.report(error.map(|error| self.error_code(error, context.response())));
        }
        Ok(())
    }
}

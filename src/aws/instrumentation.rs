//! Watches the SDK's calls, each attempt of them, for whoever counts them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_account::operation::list_regions::ListRegionsError;
use aws_sdk_organizations::operation::list_accounts::ListAccountsError;
use aws_sdk_organizations::operation::list_accounts_for_parent::ListAccountsForParentError;
use aws_sdk_organizations::operation::list_organizational_units_for_parent::ListOrganizationalUnitsForParentError;
use aws_sdk_ssm::operation::list_resource_data_sync::ListResourceDataSyncError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityError;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, Error, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, Metadata, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// One request that was sent to AWS. A call that is retried makes several.
#[derive(Debug)]
pub struct ApiCall<'a> {
    /// The service, as the SDK calls it: `SSM`, `STS`.
    pub service: &'a str,
    /// The operation, such as `ListResourceDataSync`.
    pub operation: &'a str,
    /// From sending to having read the answer.
    pub took: Duration,
    /// AWS's code for the error, or what befell the request instead; none if
    /// all went well.
    pub error: Option<String>,
}

/// What became of an attempt to find out what is to be polled, by its kind.
#[derive(Clone, Copy, Debug)]
pub enum Finding {
    /// It has been found out.
    Succeeded(&'static str),
    /// It could not be.
    Failed(&'static str),
}

/// Is told of what is asked of AWS.
pub trait Observer: fmt::Debug + Send + Sync {
    /// A request has ended.
    fn api_call(&self, call: &ApiCall<'_>);

    /// Something was to be found out.
    fn found(&self, finding: Finding);
}

/// The interceptor that tells an [`Observer`].
#[derive(Clone, Debug)]
pub(crate) struct Observe(Arc<dyn Observer>);

impl Observe {
    pub(crate) fn new(observer: &Arc<dyn Observer>) -> Self {
        Self(Arc::clone(observer))
    }
}

/// A request that is under way. It is told of once, at its end or when it is
/// abandoned: a collection that runs out of time drops all that it does.
#[derive(Debug)]
struct Sent {
    observer: Arc<dyn Observer>,
    metadata: Metadata,
    at: Instant,
    told: AtomicBool,
}

impl Storable for Sent {
    type Storer = StoreReplace<Self>;
}

impl Sent {
    fn tell(&self, error: Option<String>) {
        if !self.told.swap(true, Ordering::Relaxed) {
            let (service, operation) = (self.metadata.service(), self.metadata.name());
            self.observer.api_call(&ApiCall { service, operation, took: self.at.elapsed(), error });
        }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.tell(Some("abandoned".to_owned()));
    }
}

#[dyn_dispatch_hint]
impl Intercept for Observe {
    fn name(&self) -> &'static str {
        "ObserveApiCalls"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let metadata = cfg.load::<Metadata>().cloned();
        let sent = Sent {
            observer: Arc::clone(&self.0),
            metadata: metadata.unwrap_or_else(|| Metadata::new("unknown", "unknown")),
            at: Instant::now(),
            told: AtomicBool::new(false),
        };
        cfg.interceptor_state().store_put(sent);
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // An attempt may also end before anything is sent.
        if let Some(sent) = cfg.load::<Sent>() {
            let error = context.output_or_error().and_then(Result::err);
            sent.tell(error.map(|error| code(error, context.response())));
        }
        Ok(())
    }
}

/// AWS's code; or, of an answer that is not AWS's, the HTTP status; or a word
/// for what befell the request.
fn code(error: &OrchestratorError<Error>, answer: Option<&HttpResponse>) -> String {
    let from_aws = error.as_operation_error().and_then(|error| {
        None.or_else(|| code_of::<ListResourceDataSyncError>(error))
            .or_else(|| code_of::<AssumeRoleError>(error))
            .or_else(|| code_of::<GetCallerIdentityError>(error))
            .or_else(|| code_of::<ListRegionsError>(error))
            .or_else(|| code_of::<ListAccountsError>(error))
            .or_else(|| code_of::<ListAccountsForParentError>(error))
            .or_else(|| code_of::<ListOrganizationalUnitsForParentError>(error))
    });
    let code = match (from_aws, answer) {
        // It becomes a label, and whatever is on the way to AWS may answer.
        (Some(code), _) if code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()) => code,
        (Some(_), _) => "other",
        (None, Some(answer)) if !answer.status().is_success() => return answer.status().as_u16().to_string(),
        (None, Some(answer)) if answer.body().bytes().is_some() => "invalid_response",
        (None, _) if error.is_timeout_error() => "timeout",
        // No answer, or one that broke off.
        (None, _) => "connection",
    };
    code.to_owned()
}

/// AWS's code for an error, if the error is an `E` and has one.
fn code_of<E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static>(
    error: &Error,
) -> Option<&str> {
    error.downcast_ref::<E>().and_then(ProvideErrorMetadata::code)
}

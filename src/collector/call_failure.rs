//! Classifies the errors of calls to SSM.

use std::error::Error;
use std::sync::Arc;

use aws_sdk_ssm::error::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::aws::{CachedCredentials, Session, Verdict, errors};
use crate::fleet::Target;
use crate::model::{Failure, Reason};

/// SSM's error code for an unknown access key.
const UNRECOGNIZED_CLIENT: &str = "UnrecognizedClientException";

/// Classifies the error of a call. SSM returns the same error code for invalid credentials
/// and for a region that the account has not enabled. If another region or STS accepts the
/// credentials, the cause is the region.
pub(super) async fn call_failure<E>(
    error: &SdkError<E>,
    session: &Session,
    target: &Target,
    credentials: &Arc<CachedCredentials>,
) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let failure = errors::call_failure(error);
    if !failure.rejects_credentials {
        return failure;
    }
    let may_be_disabled = error.code() == Some(UNRECOGNIZED_CLIENT);
    let is_accepted = may_be_disabled && credentials.accepted_only_outside(&target.region)
        || session.credentials_rejected(credentials, &failure).await == Verdict::Accepted;
    if may_be_disabled && is_accepted {
        let message = format!("the account has probably not enabled the region: {}", failure.message);
        return Failure::new(Reason::RegionDisabled, message);
    }
    failure
}

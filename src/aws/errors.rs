//! Tells from the SDK's errors which of the closed list of reasons it is.
//!
//! Most of what goes wrong is not among the errors that the API's model names,
//! so the code decides, and behind it the HTTP status. The codes are those of
//! the common errors of the SSM and STS API references.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId as _;

use crate::model::{Failure, Reason};

/// Why a call failed.
pub(crate) fn failure<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(service) => {
            let (code, message) = (service.err().code(), service.err().message());
            let reason = of_answer(code, message.unwrap_or_default(), service.raw().status());
            let mut text = match (code, message.map(without_request)) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                (Some(code), None) => code.to_owned(),
                (None, Some(message)) => message.to_owned(),
                (None, None) => format!("HTTP status {}", service.raw().status()),
            };
            if let Some(id) = service.raw().request_id() {
                text = format!("{text} (request {id})");
            }
            Failure::new(reason, line(&text))
        }
        other => Failure::new(of_broken(other), chain(other)),
    }
}

/// Why a profile or the default chain gives no credentials.
pub(super) fn credentials_failure(error: &CredentialsError) -> Failure {
    // Profiles and web identities assume roles, too.
    let of_role = find::<SdkError<AssumeRoleError, HttpResponse>>(error)
        .map(failure)
        .or_else(|| find::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>(error).map(failure));
    match (of_role, error) {
        (Some(Failure { reason, message, .. }), _) => Failure::new(
            self::of_role(reason),
            format!("cannot assume the role of the credentials: {message}"),
        ),
        (None, CredentialsError::ProviderTimedOut(_)) => Failure::new(Reason::Timeout, chain(error)),
        (None, _) => Failure::new(Reason::Credentials, chain(error)),
    }
}

/// The same reason, if what failed was to assume a role.
pub(super) fn of_role(reason: Reason) -> Reason {
    match reason {
        Reason::AccessDenied => Reason::AssumeRoleDenied,
        reason => reason,
    }
}

/// AWS answered, with an error.
fn of_answer(code: Option<&str>, message: &str, status: StatusCode) -> Reason {
    match code.unwrap_or_default() {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "NotAuthorized" => {
            if message.contains("service control policy") { Reason::ScpDenied } else { Reason::AccessDenied }
        }
        "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => Reason::Credentials,
        "OptInRequired" | "RegionDisabledException" | "SubscriptionRequiredException" => {
            Reason::RegionDisabled
        }
        code if THROTTLING_ERRORS.contains(&code) => Reason::Throttled,
        code if TRANSIENT_ERRORS.contains(&code) => Reason::Timeout,
        "InvalidNextToken" => Reason::Pagination,
        "InternalFailure" | "InternalServerError" | "ServiceUnavailable" | "ServiceUnavailableException" => {
            Reason::ServerError
        }
        "" => of_status(status),
        _ => match of_status(status) {
            Reason::InvalidResponse => Reason::Other,
            reason => reason,
        },
    }
}

/// Somebody answered, but not in AWS's words: a proxy, say.
fn of_status(status: StatusCode) -> Reason {
    match status.as_u16() {
        429 => Reason::Throttled,
        500.. => Reason::ServerError,
        _ => Reason::InvalidResponse,
    }
}

/// There was no answer, or none that could be read.
fn of_broken<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> Reason {
    match error {
        SdkError::TimeoutError(_) => Reason::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => Reason::Timeout,
        SdkError::DispatchFailure(_) => Reason::Connection,
        // Only what has been read whole was then tried to be understood.
        SdkError::ResponseError(answer) if answer.raw().body().bytes().is_none() => Reason::Connection,
        SdkError::ResponseError(answer) => of_status(answer.raw().status()),
        _ => Reason::Other,
    }
}

/// The first error of type `T` among `error` and its causes.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The error and its causes in one line. Many causes repeat what the error
/// above them says, and are said once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = without_output(cause.to_string());
        if !text.contains(&said) {
            text += ": ";
            text += &said;
        }
        next = cause.source();
    }
    line(&text)
}

/// Where a signature is wrong, AWS goes on below to repeat the request, with the
/// session token in it.
fn without_request(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// What a `credential_process` wrote may hold anything, secrets included.
fn without_output(mut said: String) -> String {
    const OUTPUT: &str = "Stderr: ";
    if let Some(at) = said.find(OUTPUT) {
        said.truncate(at + OUTPUT.len());
        said += "(not shown)";
    }
    said
}

/// One line, and not a long one.
fn line(text: &str) -> String {
    const MOST: usize = 500;
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_reasons() {
        for (code, message, status, reason) in [
            (Some("ThrottlingException"), "Rate exceeded", 400, Reason::Throttled),
            (None, "", 429, Reason::Throttled),
            (
                Some("AccessDeniedException"),
                "User is not authorized to perform: ssm:ListResourceDataSync because no identity-based policy allows it",
                400,
                Reason::AccessDenied,
            ),
            (
                Some("AccessDeniedException"),
                "not authorized to perform: x with an explicit deny in a service control policy",
                400,
                Reason::ScpDenied,
            ),
            (Some("ExpiredTokenException"), "", 400, Reason::Credentials),
            (Some("UnrecognizedClientException"), "", 400, Reason::Credentials),
            (Some("InvalidClientTokenId"), "", 403, Reason::Credentials),
            (Some("RegionDisabledException"), "", 403, Reason::RegionDisabled),
            (Some("OptInRequired"), "", 403, Reason::RegionDisabled),
            (Some("InvalidNextToken"), "", 400, Reason::Pagination),
            (Some("InternalServerError"), "", 500, Reason::ServerError),
            (Some("SomethingNew"), "", 503, Reason::ServerError),
            (None, "", 502, Reason::ServerError),
            (Some("SomethingNew"), "", 400, Reason::Other),
            (Some("ResourceDataSyncInvalidConfigurationException"), "", 400, Reason::Other),
            (None, "", 403, Reason::InvalidResponse),
        ] {
            let status = StatusCode::try_from(status).unwrap();
            assert_eq!(of_answer(code, message, status), reason, "{code:?} {status}");
        }
    }
}

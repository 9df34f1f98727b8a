//! Turns the SDK's errors into [failures](Failure), each with a [`Reason`].
//!
//! The API models declare few of the errors that occur. Errors are therefore
//! classified by their code, or by the HTTP status if the code is missing or unknown.
//! The codes are those that the API references of SSM and STS list as common errors.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId as _;

use super::credential_process::ProcessError;
use super::destination::{Destination, HtmlPage, NoResponse, NotRecorded, RecordedFailure};
use super::request_secrets::redact;
use super::response_body::is_invalid_response;
use crate::error_chain::find_cause;
use crate::model::{Denial, DenialKind, Failure, Reason};

/// Classifies the error of a call. The message contains no secrets.
pub(crate) fn call_failure<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(service) => {
            let (code, message) = (service.err().code(), service.err().message());
            let is_denied = code.and_then(reason_of_code) == Some(Reason::AccessDenied);
            let denial = message
                .filter(|_| is_denied)
                .and_then(|message| Denial::parse(&redact(message.to_owned(), service.raw())));
            let reason =
                reason_of_error(code, message.unwrap_or_default(), denial.as_ref(), service.raw().status());
            let mut text = match (code, message.map(without_echoed_request)) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                (Some(code), None) => code.to_owned(),
                (None, Some(message)) => message.to_owned(),
                (None, None) => unexplained(service.raw()),
            };
            if let Some(id) = service.raw().request_id() {
                text = format!("{text} (request {id})");
            }
            let text = redact(text, service.raw());
            Failure {
                rejects_credentials: rejects_credentials(code),
                denial: denial.map(Box::new),
                ..Failure::new(reason, text)
            }
        }
        SdkError::ResponseError(response) => Failure::new(
            reason_without_service_error(error),
            format!("{}: {}", unexplained(response.raw()), with_distinct_causes(error)),
        ),
        other => Failure::new(
            reason_without_service_error(other),
            with_distinct_causes(without_sdk_wrappers(other)),
        ),
    }
}

/// Describes a response without an error of AWS.
fn unexplained(response: &HttpResponse) -> String {
    let status = response.status();
    match response.extension::<Destination>() {
        Some(destination) => format!("HTTP status {status} without an error of AWS from {destination}"),
        None => format!("HTTP status {status}"),
    }
}

/// Classifies the error of a profile or default chain that provided no credentials.
pub(super) fn credentials_failure(error: &CredentialsError) -> Failure {
    if let Some(error) = find_cause::<ProcessError>(error) {
        let reason = if error.is_timeout() { Reason::Timeout } else { Reason::Credentials };
        return Failure::new(reason, error.to_string());
    }
    // The SDK assumes roles for profiles and web identities.
    let role_failure =
        find_cause::<SdkError<AssumeRoleError, HttpResponse>>(error).map(call_failure).or_else(|| {
            find_cause::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>(error).map(call_failure)
        });
    let cause = without_sdk_wrappers(without_wrappers(error));
    match (role_failure, error) {
        (Some(Failure { reason, message, denial, .. }), _) => {
            let message = format!("cannot assume the role of the profile or web identity: {message}");
            Failure { denial, ..Failure::new(assume_role_reason(reason), message) }
        }
        (None, CredentialsError::ProviderTimedOut(_)) => {
            Failure::new(Reason::Timeout, with_distinct_causes(cause))
        }
        (None, _) if let Some(page) = find_cause::<HtmlPage>(error) => {
            Failure::new(reason_of_status(page.status), with_distinct_causes(cause))
        }
        (None, _) if is_invalid_response(error) => {
            Failure::new(Reason::InvalidResponse, with_distinct_causes(cause))
        }
        (None, _) => Failure::new(Reason::Credentials, with_distinct_causes(cause)),
    }
}

/// The first error of a chain that says what is wrong. The SDK wraps it in errors that say no
/// more than that a provider has failed or was not properly configured.
fn without_wrappers(error: &CredentialsError) -> &(dyn Error + 'static) {
    let mut error: &(dyn Error + 'static) = error;
    while let Some(wrapper) = error.downcast_ref::<CredentialsError>()
        && let Some(source) = wrapper.source()
        && (matches!(wrapper, CredentialsError::InvalidConfiguration(_)) || source.is::<CredentialsError>())
    {
        error = source;
    }
    error
}

/// The error of a request that was not answered, which names its destination. The errors of the SDK
/// around it say no more than that there was no answer.
fn without_sdk_wrappers<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let no_response = find_cause::<NoResponse>(error).map(|cause| cause as &(dyn Error + 'static));
    no_response
        .or_else(|| find_cause::<HtmlPage>(error).map(|cause| cause as _))
        .or_else(|| find_cause::<RecordedFailure>(error).map(|cause| cause as _))
        .or_else(|| find_cause::<NotRecorded>(error).map(|cause| cause as _))
        .unwrap_or(error)
}

/// The message of the failure of a call for `error`, the error of a request that was not answered.
pub(super) fn no_response(error: &ConnectorError) -> String {
    with_distinct_causes(without_sdk_wrappers(error))
}

/// The reason for a failure to assume a role, given the reason for the failure of the
/// call. A denied `AssumeRole` has a reason of its own.
pub(super) fn assume_role_reason(reason: Reason) -> Reason {
    match reason {
        Reason::AccessDenied => Reason::AssumeRoleDenied,
        reason => reason,
    }
}

/// Documented error codes of the operations that the exporter calls for which
/// [`reason_of_code`] has no reason. The HTTP status determines the reason.
const UNCLASSIFIED_CODES: [&str; 14] = [
    "AWSOrganizationsNotInUseException",
    "IDPCommunicationError",
    "IDPRejectedClaim",
    "InternalServerException",
    "InvalidIdentityToken",
    "InvalidInputException",
    "MalformedPolicyDocument",
    "PackedPolicyTooLarge",
    "ParentNotFoundException",
    "ResourceDataSyncInvalidConfigurationException",
    "ServiceException",
    "ValidationError",
    "ValidationException",
    "UnknownOperationException",
];

/// Whether `code` is an error code that AWS documents, as opposed to one that a proxy may have
/// made up.
pub(super) fn is_documented(code: &str) -> bool {
    reason_of_code(code).is_some() || UNCLASSIFIED_CODES.contains(&code)
}

/// Whether the error means that AWS does not accept the credentials, and that other
/// credentials may be accepted. An error about a signature or its time does not: its cause is
/// the host's clock, a proxy that changes requests, or a wrong secret key, so a request with new
/// session credentials would fail again.
fn rejects_credentials(code: Option<&str>) -> bool {
    matches!(
        code,
        Some(
            "ExpiredToken"
                | "ExpiredTokenException"
                | "InvalidAccessKeyId"
                | "InvalidClientTokenId"
                | "UnrecognizedClientException"
        )
    )
}

/// The reason for an error response.
fn reason_of_error(code: Option<&str>, message: &str, denial: Option<&Denial>, status: StatusCode) -> Reason {
    let is_denied_by_scp = || match denial.map(|denial| denial.kind) {
        None | Some(DenialKind::Unstated) => message.contains("service control policy"),
        Some(kind) => kind == DenialKind::ServiceControlPolicy,
    };
    match (code.and_then(reason_of_code), code.unwrap_or_default()) {
        (Some(Reason::AccessDenied), _) if is_denied_by_scp() => Reason::ScpDenied,
        (Some(reason), _) => reason,
        (None, "") => reason_of_status(status),
        (None, _) => match reason_of_status(status) {
            Reason::InvalidResponse => Reason::Other,
            reason => reason,
        },
    }
}

/// The reason for a known error code.
fn reason_of_code(code: &str) -> Option<Reason> {
    Some(match code {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "NotAuthorized" => {
            Reason::AccessDenied
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
        | "RequestInTheFuture"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => Reason::Credentials,
        "OptInRequired" | "RegionDisabledException" | "SubscriptionRequiredException" => {
            Reason::RegionDisabled
        }
        code if THROTTLING_ERRORS.contains(&code) => Reason::Throttled,
        // `RequestTimeout` and `RequestTimeoutException`.
        code if TRANSIENT_ERRORS.contains(&code) => Reason::Timeout,
        "InvalidNextToken" => Reason::Pagination,
        "InternalFailure" | "InternalServerError" | "ServiceUnavailable" | "ServiceUnavailableException" => {
            Reason::ServerError
        }
        _ => return None,
    })
}

/// The reason for an error response without a known error code, for example from a proxy.
fn reason_of_status(status: StatusCode) -> Reason {
    match status.as_u16() {
        429 => Reason::Throttled,
        500.. => Reason::ServerError,
        _ => Reason::InvalidResponse,
    }
}

/// The reason if there was no response, or the response could not be parsed.
fn reason_without_service_error<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> Reason {
    match error {
        SdkError::TimeoutError(_) => Reason::Timeout,
        SdkError::DispatchFailure(_) if let Some(page) = find_cause::<HtmlPage>(error) => {
            reason_of_status(page.status)
        }
        SdkError::DispatchFailure(failure) if failure.is_timeout() => Reason::Timeout,
        SdkError::DispatchFailure(_) if find_cause::<NotRecorded>(error).is_some() => Reason::Other,
        SdkError::DispatchFailure(_) if is_invalid_response(error) => Reason::InvalidResponse,
        SdkError::DispatchFailure(_) => Reason::Connection,
        SdkError::ResponseError(response) => reason_of_status(response.raw().status()),
        _ => Reason::Other,
    }
}

/// The error and its causes on one line. A cause that the text already contains
/// is left out: many SDK errors repeat their cause. So is an error of the HTTP client that says no more
/// than that it has a cause.
fn with_distinct_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = without_secrets(error.to_string());
    let mut next = error.source();
    while let Some(cause) = next {
        let message = without_secrets(cause.to_string());
        let has_only_cause = message.starts_with("client error (") && cause.source().is_some();
        if !has_only_cause && !text.contains(&message) {
            text += ": ";
            text += &message;
        }
        next = cause.source();
    }
    let advice = ADVICE.iter().find(|(problem, _)| text.ends_with(problem));
    text.extend(advice.into_iter().flat_map(|(_, advice)| ["; ", advice]));
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// The ends of errors of the TLS and HTTP libraries that do not say what would be right, and what that is.
const ADVICE: [(&str, &str); 3] = [
    (
        "invalid peer certificate: UnknownIssuer",
        "if a proxy intercepts TLS, let AWS_CA_BUNDLE name a file with its certificate authority",
    ),
    (
        "tunnel error: unsuccessful",
        "the proxy refuses to connect to this host, or is not an HTTP proxy; allow the host there, or add it to NO_PROXY",
    ),
    (
        "tunnel error: proxy authorization required",
        "the URL of the proxy needs the right user and password before its host",
    ),
];

/// The first line of a message. If a signature is wrong, AWS repeats the request,
/// including the session token, on the lines after it.
fn without_echoed_request(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// Redacts what may contain secrets: the output of a `credential_process`, the request in
/// an error about an endpoint, whose body may contain an external id, and the URL of a container
/// credentials endpoint, which may contain a password.
fn without_secrets(mut message: String) -> String {
    for (variable, uri) in [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "invalid full URI for ECS provider ("),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "invalid relative URI for ECS provider ("),
    ] {
        if let Some((before, rest)) = message.split_once(uri)
            && let Some((problem, _)) = rest.split_once("): ")
        {
            return format!("{before}the environment variable {variable} cannot be used: {problem}");
        }
    }
    for marker in ["Stderr: ", "to request `"] {
        if let Some(at) = message.find(marker) {
            message.truncate(at + marker.len());
            message += "(not shown)";
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_output_in_errors_are_not_shown() {
        for (message, shown) in [
            (
                "failed to apply endpoint `foo` to request `Request { body: ExternalId=s3cr3t }`",
                "failed to apply endpoint `foo` to request `(not shown)",
            ),
            ("exited with code 1. Stderr: s3cr3t", "exited with code 1. Stderr: (not shown)"),
            (
                "invalid full URI for ECS provider (URI was invalid): http://user:s3cr3t word@host",
                "the environment variable AWS_CONTAINER_CREDENTIALS_FULL_URI cannot be used: URI was invalid",
            ),
            ("connection refused", "connection refused"),
        ] {
            assert_eq!(without_secrets(message.to_owned()), shown);
        }
    }

    #[test]
    fn error_codes_map_to_reasons() {
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
            // Regression: an older form of the message, and the name of a policy.
            (
                Some("AccessDenied"),
                "not authorized to perform: sts:AssumeRole due to an explicit deny in a Service Control Policy",
                403,
                Reason::ScpDenied,
            ),
            (
                Some("AccessDenied"),
                "not authorized to perform: a:B because no identity-based policy allows it, nor a service control policy",
                403,
                Reason::AccessDenied,
            ),
            (Some("ExpiredTokenException"), "", 400, Reason::Credentials),
            (Some("UnrecognizedClientException"), "", 400, Reason::Credentials),
            (Some("RequestInTheFuture"), "", 403, Reason::Credentials),
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
            let denial = Denial::parse(message);
            let found = reason_of_error(code, message, denial.as_ref(), status);
            assert_eq!(found, reason, "{code:?} {message} {status}");
        }
    }
}

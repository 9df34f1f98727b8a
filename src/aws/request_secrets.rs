//! Redacts the secrets of a request in the error that answers it. AWS repeats requests in some
//! errors, and a proxy may repeat anything.

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};

/// The headers of a request that contain a secret: of signed requests, of requests to the
/// credential endpoints of containers and of EC2, and of IAM Identity Center.
const SECRET_HEADERS: [&str; 4] =
    ["authorization", "x-amz-security-token", "x-amz-sso_bearer_token", "x-aws-ec2-metadata-token"];

/// The parameters of requests to STS that contain a secret.
const SECRET_PARAMETERS: [&str; 2] = ["ExternalId", "WebIdentityToken"];

/// What a recording has in place of secrets.
pub(super) const RECORDED_SECRET: &str = "redacted";

/// Shorter texts are not redacted. They could be parts of any words.
const MIN_LENGTH: usize = 4;

/// The secrets of a request. The HTTP client attaches them to the response.
#[derive(Clone)]
pub(super) struct RequestSecrets(Vec<SecretString>);

impl RequestSecrets {
    pub(super) fn of(request: &HttpRequest) -> Self {
        let headers = request.headers();
        let mut secrets: Vec<SecretString> =
            SECRET_HEADERS.iter().filter_map(|name| headers.get(name)).map(Into::into).collect();
        let is_form = headers
            .get("content-type")
            .is_some_and(|content_type| content_type.starts_with("application/x-www-form-urlencoded"));
        if let Some(body) = request.body().bytes().filter(|_| is_form) {
            let parameters = form_urlencoded::parse(body);
            let is_secret = |name: &str| SECRET_PARAMETERS.contains(&name);
            secrets.extend(
                parameters.filter(|(name, _)| is_secret(name)).map(|(_, value)| value.into_owned().into()),
            );
        }
        // In a replay, the secrets have been replaced already, also in the answers.
        let is_secret = |secret: &str| secret.len() >= MIN_LENGTH && secret != RECORDED_SECRET;
        secrets.retain(|secret| is_secret(secret.expose_secret()));
        Self(secrets)
    }

    /// Replaces the secrets in `text`, in which they may also be encoded: in JSON, for a URL, or in
    /// base64.
    pub(super) fn redact(&self, mut text: String) -> String {
        for secret in self.0.iter().map(SecretString::expose_secret) {
            let percent: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            let encoded = [
                secret.to_owned(),
                secret.replace('/', "\\/"),
                percent.to_ascii_lowercase(),
                percent.replace('+', "%20"),
                percent,
                BASE64_STANDARD_NO_PAD.encode(secret),
            ];
            for encoded in encoded {
                if text.contains(&encoded) {
                    text = text.replace(&encoded, "(redacted)");
                }
            }
        }
        text
    }
}

/// Replaces the secrets of the request that `response` answers in `text`.
pub(super) fn redact(text: String, response: &HttpResponse) -> String {
    match response.extension::<RequestSecrets>() {
        Some(secrets) => secrets.redact(text),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn redacted(request: &HttpRequest, text: &str) -> String {
        let mut response = HttpResponse::new(StatusCode::try_from(400).unwrap(), SdkBody::empty());
        response.add_extension(RequestSecrets::of(request));
        redact(text.to_owned(), &response)
    }

    #[test]
    fn the_secrets_of_the_request_are_redacted() {
        let body = "Action=AssumeRole&ExternalId=x%2Fid+of&RoleArn=arn%3Aaws&WebIdentityToken=web-token";
        let mut request = HttpRequest::new(SdkBody::from(body));
        let headers = request.headers_mut();
        headers.insert("content-type", "application/x-www-form-urlencoded");
        headers.insert("x-amz-security-token", "session-token");
        headers.insert("x-amz-date", "20261122T120000Z");
        assert_eq!(
            redacted(
                &request,
                "AccessDenied: session-token, session-token; x/id of; web-token; 20261122T120000Z"
            ),
            "AccessDenied: (redacted), (redacted); (redacted); (redacted); 20261122T120000Z"
        );
        assert_eq!(redacted(&request, "another-token arn:aws"), "another-token arn:aws");
    }

    #[test]
    fn encoded_secrets_are_redacted() {
        let mut request = HttpRequest::new(SdkBody::from("ExternalId=x%2Fid%2Bof"));
        request.headers_mut().insert("content-type", "application/x-www-form-urlencoded");
        assert_eq!(
            redacted(&request, "x%2Fid%2Bof x%2fid%2bof x\\/id+of eC9pZCtvZg=="),
            "(redacted) (redacted) (redacted) (redacted)=="
        );
    }

    /// A replay showed `((redacted))`, because the recorded answer had been redacted already.
    #[test]
    fn what_was_redacted_in_a_recording_stays_as_it_is() {
        let mut request = HttpRequest::new(SdkBody::from("ExternalId=redacted"));
        let headers = request.headers_mut();
        headers.insert("content-type", "application/x-www-form-urlencoded");
        headers.insert("x-amz-security-token", "redacted");
        assert_eq!(redacted(&request, "the external id (redacted)"), "the external id (redacted)");
    }

    #[test]
    fn short_texts_and_bodies_that_are_no_forms_are_not_searched() {
        let mut request = HttpRequest::new(SdkBody::from("ExternalId=long-enough"));
        request.headers_mut().insert("x-amz-security-token", "abc");
        assert_eq!(redacted(&request, "abc long-enough"), "abc long-enough");
        let response = HttpResponse::new(StatusCode::try_from(400).unwrap(), SdkBody::empty());
        assert_eq!(redact("no request".to_owned(), &response), "no request");
    }
}

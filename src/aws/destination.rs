//! Where a request goes, for the errors of requests that AWS did not answer. The errors of the SDK do
//! not say which host they are about, or which proxy.

use std::fmt;
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::retry::ErrorKind;
use http::Uri;

use super::outbound::{self, Proxy};
use super::request_secrets::RequestSecrets;
use crate::error_chain::find_cause;
use crate::printable::excerpt;

/// The service, the host and the port of a request, and the proxy that it goes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    service: Option<&'static str>,
    host_and_port: String,
    proxy: Option<String>,
}

/// A request was not answered, or with a response that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("no response from {destination}{}", self.duration.map(|time| format!(" within {time:?}")).unwrap_or_default())]
pub(super) struct NoResponse {
    destination: Destination,
    /// `None` if the request failed before its timeout.
    duration: Option<Duration>,
    source: Option<BoxError>,
}

impl Destination {
    /// `url` is that of `request`.
    pub(super) fn of(request: &HttpRequest, url: &Uri, proxy: Option<&Proxy>) -> Self {
        let (host, port) = (url.host().unwrap_or("an unknown host"), outbound::port(url));
        Self {
            service: service(request, host),
            host_and_port: format!("{host}:{port}"),
            proxy: proxy.map(ToString::to_string),
        }
    }

    /// The destination of a request that a recording answers: `host_and_port` and `proxy` are those of the
    /// recorded request.
    pub(super) fn recorded(request: &HttpRequest, host_and_port: String, proxy: Option<String>) -> Self {
        let host = host_and_port.rsplit_once(':').map_or("", |(host, _port)| host);
        Self { service: service(request, host), host_and_port, proxy }
    }

    /// The error of a request to this destination, of the same kind as `error`, so that the SDK retries
    /// the request as before.
    pub(super) fn failed(self, error: ConnectorError) -> ConnectorError {
        // The message of a recorded failure names its destination, and a request without a recorded answer has
        // none.
        if find_cause::<RecordedFailure>(&error).is_some() || find_cause::<NotRecorded>(&error).is_some() {
            return error;
        }
        let (is_timeout, is_user, is_io, kind) =
            (error.is_timeout(), error.is_user(), error.is_io(), error.as_other());
        let source =
            NoResponse { destination: self, duration: None, source: Some(error.into_source()) }.into();
        match (is_timeout, is_user, is_io) {
            (true, _, _) => ConnectorError::timeout(source),
            (_, true, _) => ConnectorError::user(source),
            (_, _, true) => ConnectorError::io(source),
            _ => ConnectorError::other(source, kind),
        }
    }

    /// The error of a request to this destination that took longer than `duration`.
    pub(super) fn timed_out(self, duration: Duration) -> ConnectorError {
        ConnectorError::timeout(
            NoResponse { destination: self, duration: Some(duration), source: None }.into(),
        )
    }
}

impl Destination {
    pub(crate) fn host_and_port(&self) -> &str {
        &self.host_and_port
    }

    /// The proxy, with the environment variable that names it.
    pub(crate) fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(service) = self.service {
            write!(f, "{service} at ")?;
        }
        f.write_str(&self.host_and_port)?;
        match &self.proxy {
            Some(proxy) => write!(f, " through the proxy {proxy}"),
            None => Ok(()),
        }
    }
}

/// What the signature of a request names: `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CredentialScope<'a> {
    pub(super) access_key_id: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

impl<'a> CredentialScope<'a> {
    /// `None` if the request is not signed.
    pub(super) fn of(request: &'a HttpRequest) -> Option<Self> {
        let header = request.headers().get("authorization")?;
        let mut parts = header.split_once("Credential=")?.1.split(['/', ',']);
        let (access_key_id, _date) = (parts.next()?, parts.next()?);
        Some(Self { access_key_id, region: parts.next()?, service: parts.next()? })
    }
}

/// The name of the service that `request` is for. Signed requests name it in their signature.
fn service(request: &HttpRequest, host: &str) -> Option<&'static str> {
    let headers = request.headers();
    match CredentialScope::of(request).map(|scope| scope.service) {
        Some("ssm") => Some("SSM"),
        Some("sts") => Some("STS"),
        Some("organizations") => Some("Organizations"),
        Some("account") => Some("Account Management"),
        Some(_) => None,
        None if headers.contains_key("x-amz-sso_bearer_token") => Some("IAM Identity Center"),
        None if is_web_identity(request) => Some("STS"),
        None => match host {
            "169.254.169.254" | "[fd00:ec2::254]" => Some("the instance metadata service"),
            "169.254.170.2" | "169.254.170.23" | "[fd00:ec2::23]" => {
                Some("the container credentials endpoint")
            }
            _ => None,
        },
    }
}

/// Why there was no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NoResponseKind {
    Timeout,
    /// The connection failed. Like after a timeout, the SDK may repeat the request.
    Connection,
    /// It exceeded a limit, or was not HTTP.
    InvalidResponse,
    Other,
}

/// The error of a request that was not answered when it was recorded. The message names the destination.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct RecordedFailure {
    message: String,
    kind: NoResponseKind,
}

impl RecordedFailure {
    pub(super) fn new(kind: NoResponseKind, message: String) -> Self {
        Self { message, kind }
    }

    pub(super) fn is_invalid_response(&self) -> bool {
        self.kind == NoResponseKind::InvalidResponse
    }
}

impl From<RecordedFailure> for ConnectorError {
    fn from(failure: RecordedFailure) -> Self {
        match failure.kind {
            NoResponseKind::Timeout => Self::timeout(failure.into()),
            NoResponseKind::Connection => Self::io(failure.into()),
            NoResponseKind::InvalidResponse | NoResponseKind::Other => Self::other(failure.into(), None),
        }
    }
}

/// The error of a request that the recording has no answer to.
#[derive(Debug, thiserror::Error)]
#[error("the recording has no answer to this request{hint}")]
pub(crate) struct NotRecorded {
    pub(super) hint: String,
}

impl From<NotRecorded> for ConnectorError {
    fn from(error: NotRecorded) -> Self {
        // Not retried.
        Self::other(error.into(), None)
    }
}

/// Whether the request is `AssumeRoleWithWebIdentity`, which is not signed.
fn is_web_identity(request: &HttpRequest) -> bool {
    request.body().bytes().is_some_and(|body| body.starts_with(b"Action=AssumeRoleWithWebIdentity&"))
}

/// An HTML page in place of an answer. No AWS service that the exporter calls answers with HTML.
#[derive(Debug, thiserror::Error)]
#[error(
    "HTTP status {status} and an HTML page{} from {destination} in place of an answer: a proxy, a firewall or a load \
     balancer between the exporter and AWS answered",
    title.as_ref().map(|title| format!(" (\"{}\")", excerpt(title))).unwrap_or_default()
)]
pub(super) struct HtmlPage {
    pub(super) status: StatusCode,
    title: Option<String>,
    destination: Destination,
}

impl HtmlPage {
    /// `None` if the response is not an HTML page.
    pub(super) fn of(response: &HttpResponse, body: &[u8], destination: &Destination) -> Option<Self> {
        /// How much of a page is searched, in bytes.
        const MAX_SEARCHED: usize = 16 * 1024;
        let text = String::from_utf8_lossy(body.get(..MAX_SEARCHED).unwrap_or(body));
        let lower_case = text.to_ascii_lowercase();
        let start = lower_case.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        // A server in place of AWS, such as moto, may call its JSON and XML `text/html`.
        let is_html = match start.chars().next() {
            Some('<') => {
                ["<!doctype html", "<html", "<head", "<body", "<!--"].iter().any(|tag| start.starts_with(tag))
            }
            None | Some('{' | '[') => false,
            Some(_) => response
                .headers()
                .get("content-type")
                .is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/html")),
        };
        is_html.then(|| Self {
            status: response.status(),
            title: title(&text, &lower_case),
            destination: destination.clone(),
        })
    }
}

impl HtmlPage {
    /// The page without the secrets of the request that it answers, which it may repeat.
    pub(super) fn without(self, secrets: &RequestSecrets) -> Self {
        Self { title: self.title.map(|title| secrets.redact(title)), ..self }
    }
}

impl From<HtmlPage> for ConnectorError {
    fn from(page: HtmlPage) -> Self {
        // Retried as AWS's own errors with this status are.
        let kind = match page.status.as_u16() {
            429 => Some(ErrorKind::ThrottlingError),
            500 | 502 | 503 | 504 => Some(ErrorKind::ServerError),
            _ => None,
        };
        Self::other(page.into(), kind)
    }
}

/// The title of a page. `lower_case` is the page in lower case.
fn title(page: &str, lower_case: &str) -> Option<String> {
    let start = lower_case.find("<title")?;
    let start = start + lower_case.get(start..)?.find('>')? + 1;
    let end = start + lower_case.get(start..)?.find('<')?;
    let words: Vec<&str> = page.get(start..end)?.split_whitespace().collect();
    Some(words.join(" ")).filter(|title| !title.is_empty())
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn destination(request: &HttpRequest) -> Destination {
        Destination::of(request, &request.uri().parse().unwrap(), None)
    }

    /// Describes the page that a response is, if it is one.
    fn page(content_type: &'static str, body: &str) -> Option<String> {
        let mut response = HttpResponse::new(StatusCode::try_from(403).unwrap(), SdkBody::empty());
        response.headers_mut().insert("content-type", content_type);
        let request = HttpRequest::get("http://169.254.169.254/latest/").unwrap();
        let destination = destination(&request);
        HtmlPage::of(&response, body.as_bytes(), &destination).map(|page| page.to_string())
    }

    #[test]
    fn pages_are_known_by_their_content() {
        let answered = "in place of an answer: a proxy, a firewall or a load balancer between the exporter and AWS answered";
        let from = "from the instance metadata service at 169.254.169.254:80";
        for (content_type, body, title) in [
            (
                "text/html",
                "<!DOCTYPE html><html><head><TITLE lang=en>\nAccess\n denied</TITLE>",
                " (\"Access denied\")",
            ),
            ("application/json", "\u{feff}\r\n <HTML>x", ""),
            ("text/plain", "<!-- blocked --><html><title></title>", ""),
            ("Text/HTML; charset=utf-8", "Forbidden", ""),
            ("text/html", "<html><title>\u{1b}[31mred</title>", " (\"\\u{1b}[31mred\")"),
        ] {
            let expected = format!("HTTP status 403 and an HTML page{title} {from} {answered}");
            assert_eq!(page(content_type, body), Some(expected), "{body}");
        }
        for (content_type, body) in [
            ("text/html", "{\"__type\": \"AccessDeniedException\"}"),
            ("text/html", " <?xml version=\"1.0\"?><ErrorResponse>"),
            ("text/html", "<AssumeRoleResponse xmlns=\"x\">"),
            ("text/html", ""),
            ("text/plain", "Forbidden"),
            ("application/json", "[]"),
        ] {
            assert_eq!(page(content_type, body), None, "{body}");
        }
    }

    #[test]
    fn the_service_of_a_request_is_named() {
        let request = |url: &str, name: &'static str, value: &'static str| {
            let mut request = HttpRequest::get(url).unwrap();
            request.headers_mut().insert(name, value);
            destination(&request).to_string()
        };
        let signed =
            "AWS4-HMAC-SHA256 Credential=AKIA/20261127/eu-west-1/ssm/aws4_request, SignedHeaders=host";
        assert_eq!(
            request("http://user:s3cr3t@localhost:4566/x?y=z", "authorization", signed),
            "SSM at localhost:4566"
        );
        assert_eq!(request("https://[::1]/", "authorization", "Bearer token"), "[::1]:443");
        let sso = request("https://portal.sso.eu-west-1.amazonaws.com/", "x-amz-sso_bearer_token", "token");
        assert_eq!(sso, "IAM Identity Center at portal.sso.eu-west-1.amazonaws.com:443");
        assert_eq!(
            request("http://169.254.170.23/v1/credentials", "authorization", "token"),
            "the container credentials endpoint at 169.254.170.23:80"
        );
    }
}

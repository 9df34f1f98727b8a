//! The requests that are sent to AWS and what answered them, for those who look at them from outside:
//! a recording, and `doctor`. Requests for credentials, such as those to the instance metadata
//! service, are among them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use http::Uri;

use super::clock_skew;
pub(crate) use super::destination::NoResponseKind;
use super::destination::{CredentialScope, Destination};
use super::errors;
use super::request_secrets::RequestSecrets;
use crate::model::{Failure, UnixSeconds};

/// Is told about each request after it has ended. The SDK may send several for one call.
pub(crate) trait ObserveExchanges: fmt::Debug + Send + Sync {
    /// A request has ended. Must not block for long.
    fn exchange_ended(&self, exchange: &Exchange<'_>);

    /// The credentials of a profile, or of the default chain if it is `None`, were obtained or not.
    fn credentials_obtained(&self, _profile: Option<&str>, _outcome: Result<&Credentials, &Failure>) {}
}

/// The observer of all requests, if there is one. Two are equal if they are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExchangeObserver(pub(crate) Option<Arc<dyn ObserveExchanges>>);

impl PartialEq for ExchangeObserver {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for ExchangeObserver {}

/// A request and what answered it. Both contain secrets.
pub(crate) struct Exchange<'a> {
    pub(crate) request: &'a SentRequest,
    pub(crate) outcome: Outcome<'a>,
    /// The time from sending the request until the response was read.
    pub(crate) duration: Duration,
}

/// A request.
#[derive(Clone)]
pub(crate) struct SentRequest {
    /// The service, as signatures name it: `ssm`, `sts`, `organizations` or `account`. `None` if the
    /// request is not signed, like those for credentials.
    pub(crate) service: Option<String>,
    /// The operation, such as `ListResourceDataSync`. `None` for a request that is not a call to AWS.
    pub(crate) operation: Option<String>,
    /// The region in the signature.
    pub(crate) region: Option<String>,
    /// The access key in the signature.
    pub(crate) access_key_id: Option<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) destination: Destination,
    /// What of the request a response must not repeat where people see it.
    pub(super) secrets: RequestSecrets,
}

/// What answered a request.
pub(crate) enum Outcome<'a> {
    /// The response as it was received, with its complete body. Not necessarily from AWS.
    Response { response: &'a HttpResponse, body: &'a [u8] },
    /// No response that can be used. The message is that of the failure of the call.
    NoResponse { kind: NoResponseKind, message: String },
    /// The exporter did not wait for the end, for example because a collection timed out.
    Abandoned,
}

impl Exchange<'_> {
    /// The time on AWS's clock when it answered. `None` if it did not, or if the time is not valid.
    pub(crate) fn aws_time(&self) -> Option<UnixSeconds> {
        let Outcome::Response { response, .. } = self.outcome else { return None };
        // A proxy that answers in place of AWS has no such header.
        let is_from_aws =
            self.request.service.is_some() && response.headers().contains_key("x-amzn-requestid");
        clock_skew::parse_date(response).filter(|_| is_from_aws).map(|date| date.as_secs_f64())
    }

    /// The HTTP status. `None` without a response.
    pub(crate) fn status(&self) -> Option<u16> {
        match self.outcome {
            Outcome::Response { response, .. } => Some(response.status().as_u16()),
            _ => None,
        }
    }
}

impl SentRequest {
    /// The parameter of a request in the query protocol, such as `RoleArn`.
    pub(crate) fn form_parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(&self.body)
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The text of a parameter of a request with a JSON body, such as `SyncType`.
    pub(crate) fn json_parameter(&self, name: &str) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        body.get(name)?.as_str().map(ToOwned::to_owned)
    }

    /// `url` is that of `request`.
    pub(super) fn of(request: &HttpRequest, url: &Uri, destination: &Destination) -> Self {
        let scope = CredentialScope::of(request);
        let part =
            |part: for<'a> fn(CredentialScope<'a>) -> &'a str| scope.map(|scope| part(scope).to_owned());
        let body = request.body().bytes().unwrap_or_default();
        Self {
            service: part(|scope| scope.service),
            operation: operation(request, url, body),
            region: part(|scope| scope.region),
            access_key_id: part(|scope| scope.access_key_id),
            body: body.to_owned(),
            destination: destination.clone(),
            secrets: RequestSecrets::of(request),
        }
    }
}

/// The operation of a call: in a header, as a parameter, or as the path of its URL.
fn operation(request: &HttpRequest, url: &Uri, body: &[u8]) -> Option<String> {
    if let Some(target) = request.headers().get("x-amz-target") {
        return target.rsplit('.').next().map(ToOwned::to_owned);
    }
    if let Some((_, action)) = form_urlencoded::parse(body).find(|(name, _)| name == "Action") {
        return Some(action.into_owned());
    }
    match url.path() {
        "/listRegions" => Some("ListRegions".to_owned()),
        _ => None,
    }
}

/// A request in progress. It is reported once: when it ends, or when it is dropped before that.
pub(super) struct ObservedRequest {
    observer: Arc<dyn ObserveExchanges>,
    request: SentRequest,
    sent: Instant,
    is_reported: bool,
}

impl ObservedRequest {
    /// `url` is that of `request`.
    pub(super) fn new(
        observer: &Arc<dyn ObserveExchanges>,
        request: &HttpRequest,
        url: &Uri,
        destination: &Destination,
    ) -> Self {
        let request = SentRequest::of(request, url, destination);
        Self { observer: Arc::clone(observer), request, sent: Instant::now(), is_reported: false }
    }

    pub(super) fn answered(mut self, response: &HttpResponse, body: &[u8]) {
        self.report(Outcome::Response { response, body });
    }

    pub(super) fn failed(mut self, kind: NoResponseKind, error: &ConnectorError) {
        self.report(Outcome::NoResponse { kind, message: errors::no_response(error) });
    }

    fn report(&mut self, outcome: Outcome<'_>) {
        self.is_reported = true;
        let (request, duration) = (&self.request, self.sent.elapsed());
        self.observer.exchange_ended(&Exchange { request, outcome, duration });
    }
}

impl Drop for ObservedRequest {
    fn drop(&mut self) {
        if !self.is_reported {
            self.report(Outcome::Abandoned);
        }
    }
}

//! What a recording has in place of AWS and of the host's credentials, in the order in which it was
//! recorded.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

use super::super::destination::RecordedFailure;
use super::super::exchange::{NoResponseKind, SentRequest};
use crate::model::Failure;

/// The access key of credentials, or why there were none.
pub(super) type RecordedCredentials = Result<String, Failure>;

/// The answers to all requests.
#[derive(Debug, Default)]
pub(super) struct Answers {
    calls: HashMap<CallKey, Sequence<RecordedAnswer>>,
    /// By profile. `None` is the default chain.
    credentials: HashMap<Option<String>, Sequence<RecordedCredentials>>,
}

/// What requests must have in common to be answered alike.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CallKey {
    service: String,
    operation: String,
    /// `None` for services other than SSM. Their region depends on the environment and on the endpoint, and
    /// their answers do not depend on it.
    region: Option<String>,
    access_key_id: String,
    body: String,
}

impl CallKey {
    pub(super) fn new(
        service: String,
        operation: String,
        region: Option<String>,
        access_key_id: String,
        body: String,
    ) -> Self {
        let region = region.filter(|_| service == "ssm");
        Self { service, operation, region, access_key_id, body }
    }

    /// `None` if the request is not a call.
    fn of(request: &SentRequest) -> Option<Self> {
        let body = String::from_utf8(request.body.clone()).ok()?;
        let (service, operation) = (request.service.clone()?, request.operation.clone()?);
        Some(Self::new(service, operation, request.region.clone(), request.access_key_id.clone()?, body))
    }
}

/// Answers of which each is given once, and the last one from then on.
#[derive(Debug)]
struct Sequence<T> {
    answers: Vec<T>,
    given: AtomicUsize,
}

impl<T> Default for Sequence<T> {
    fn default() -> Self {
        Self { answers: Vec::new(), given: AtomicUsize::new(0) }
    }
}

impl<T> Sequence<T> {
    fn next(&self) -> Option<&T> {
        let given = self.given.fetch_add(1, Ordering::Relaxed);
        self.answers.get(given).or(self.answers.last())
    }
}

impl Answers {
    pub(super) fn add_call(&mut self, key: CallKey, answer: RecordedAnswer) {
        self.calls.entry(key).or_default().answers.push(answer);
    }

    pub(super) fn add_credentials(&mut self, profile: Option<String>, credentials: RecordedCredentials) {
        self.credentials.entry(profile).or_default().answers.push(credentials);
    }

    /// The next answer to `request`, if there is one.
    pub(super) fn call(&self, request: &SentRequest) -> Option<&RecordedAnswer> {
        self.calls.get(&CallKey::of(request)?)?.next()
    }

    /// The next credentials of `profile`, if there are any.
    pub(super) fn credentials(&self, profile: &Option<String>) -> Option<&RecordedCredentials> {
        self.credentials.get(profile)?.next()
    }

    /// The number of recorded requests.
    pub(super) fn number_of_calls(&self) -> usize {
        self.calls.values().map(|sequence| sequence.answers.len()).sum()
    }
}

/// What answered a request.
#[derive(Clone, Debug)]
pub(crate) struct RecordedAnswer {
    /// `host:port` of the recorded request.
    pub(super) endpoint: String,
    pub(super) proxy: Option<String>,
    pub(super) outcome: AnswerOutcome,
}

#[derive(Clone, Debug)]
pub(super) enum AnswerOutcome {
    /// The status and the headers are valid.
    Response {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    Failure {
        kind: NoResponseKind,
        message: String,
    },
    /// The exporter did not wait for the end.
    Abandoned,
}

impl RecordedAnswer {
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }

    /// The response, or the error. Never ends if the request was abandoned.
    pub(crate) async fn into_response(self) -> Result<HttpResponse, ConnectorError> {
        match self.outcome {
            AnswerOutcome::Response { status, headers, body } => {
                let invalid =
                    |error: Box<dyn std::error::Error + Send + Sync>| ConnectorError::other(error, None);
                let status = StatusCode::try_from(status).map_err(|error| invalid(error.into()))?;
                let mut response = HttpResponse::new(status, SdkBody::from(body));
                for (name, value) in headers {
                    response.headers_mut().try_append(name, value).map_err(|error| invalid(error.into()))?;
                }
                Ok(response)
            }
            AnswerOutcome::Failure { kind, message } => Err(RecordedFailure::new(kind, message).into()),
            AnswerOutcome::Abandoned => std::future::pending().await,
        }
    }
}

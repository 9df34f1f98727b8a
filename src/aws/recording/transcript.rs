//! Turns what happened into the lines of a recording.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::super::exchange::{Exchange, NoResponseKind, Outcome, SentRequest};
use super::format::{Call, CallError, CredentialsFailure, CredentialsLine, Header, Line};
use super::pseudonyms::{Pseudonyms, without_nodes};
use crate::model::Failure;
use crate::printable::redact_url_users;

/// The headers of responses that are recorded. None of them has a secret.
const HEADERS: [&str; 10] = [
    "content-type",
    "date",
    "retry-after",
    "server",
    "via",
    "x-amz-request-id",
    "x-amz-retry-after",
    "x-amzn-errortype",
    "x-amzn-query-error",
    "x-amzn-requestid",
];

/// The services, as signatures name them, whose requests and responses are recorded with bodies.
const SERVICES: [&str; 4] = ["account", "organizations", "ssm", "sts"];

/// The beginning of the names of the operations of STS that are not signed.
const UNSIGNED: &str = "AssumeRoleWith";

/// The operation that lists managed nodes.
const LIST_OF_NODES: &str = "DescribeInstanceInformation";

/// The maximum number of access keys whose account is remembered.
const MAX_ACCOUNTS: usize = 100_000;

/// What happened, with secrets.
pub(super) enum Event {
    Call(Box<ObservedCall>),
    Credentials { profile: Option<String>, outcome: Result<String, Failure> },
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the secrets.
        f.write_str("Event")
    }
}

/// A request and its outcome.
pub(super) struct ObservedCall {
    request: SentRequest,
    outcome: ObservedOutcome,
    duration: Duration,
}

enum ObservedOutcome {
    Response { status: u16, headers: Vec<(&'static str, String)>, body: Option<Vec<u8>> },
    NoResponse { kind: Option<NoResponseKind>, message: String },
}

impl Event {
    pub(super) fn of_exchange(exchange: &Exchange<'_>) -> Self {
        let mut request = exchange.request.clone();
        let has_bodies = has_recorded_bodies(&request);
        if !has_bodies {
            request.body.clear();
        }
        let outcome = match &exchange.outcome {
            Outcome::Response { response, body } => ObservedOutcome::Response {
                status: response.status().as_u16(),
                headers: recorded_headers(response),
                body: has_bodies.then(|| body.to_vec()),
            },
            Outcome::NoResponse { kind, message } => {
                ObservedOutcome::NoResponse { kind: Some(*kind), message: message.clone() }
            }
            Outcome::Abandoned => ObservedOutcome::NoResponse {
                kind: None,
                message: "the exporter did not wait for the response".to_owned(),
            },
        };
        Self::Call(Box::new(ObservedCall { request, outcome, duration: exchange.duration }))
    }

    pub(super) fn of_credentials(profile: Option<&str>, outcome: Result<&Credentials, &Failure>) -> Self {
        let outcome = outcome.map(|credentials| credentials.access_key_id().to_owned()).map_err(Clone::clone);
        Self::Credentials { profile: profile.map(ToOwned::to_owned), outcome }
    }

    /// About how much memory this takes.
    pub(super) fn bytes(&self) -> usize {
        const OTHERS: usize = 2048;
        let Self::Call(call) = self else { return OTHERS };
        let body = match &call.outcome {
            ObservedOutcome::Response { body: Some(body), .. } => body.len(),
            _ => 0,
        };
        OTHERS + call.request.body.len() + body
    }
}

/// Whether bodies are recorded. Those of requests for credentials to other services than STS contain
/// little else than secrets.
fn has_recorded_bodies(request: &SentRequest) -> bool {
    match (&request.service, &request.operation) {
        (Some(service), _) => SERVICES.contains(&service.as_str()),
        (None, Some(operation)) => operation.starts_with(UNSIGNED),
        (None, None) => false,
    }
}

fn recorded_headers(response: &HttpResponse) -> Vec<(&'static str, String)> {
    let headers = response.headers();
    let values = |name: &&'static str| {
        let name = *name;
        headers.get_all(name).map(move |value| (name, value.to_owned()))
    };
    HEADERS.iter().flat_map(values).collect()
}

/// What has been recorded so far, as far as later lines depend on it.
#[derive(Debug)]
pub(super) struct Transcript {
    pseudonyms: Pseudonyms,
    /// The accounts of access keys.
    accounts: HashMap<String, String>,
}

impl Transcript {
    pub(super) fn new(pseudonyms: Pseudonyms) -> Self {
        Self { pseudonyms, accounts: HashMap::new() }
    }

    pub(super) fn header(&mut self, header: Header) -> Header {
        Header { configuration: self.pseudonyms.configuration(&header.configuration), ..header }
    }

    pub(super) fn line(&mut self, event: Event) -> Line {
        match event {
            Event::Call(call) => Line::Call(self.call(*call)),
            Event::Credentials { profile, outcome } => {
                let pseudonyms = &mut self.pseudonyms;
                let profile = profile.map(|profile| pseudonyms.name(&profile));
                let (access_key_id, failure) = match outcome {
                    Ok(id) => (Some(pseudonyms.access_key_id(&id)), None),
                    Err(Failure { reason, message, .. }) => {
                        let message = pseudonyms.message(&message);
                        (None, Some(CredentialsFailure { reason: reason.as_str().to_owned(), message }))
                    }
                };
                Line::Credentials(CredentialsLine { profile, access_key_id, failure })
            }
        }
    }

    fn call(&mut self, ObservedCall { request, outcome, duration }: ObservedCall) -> Call {
        if let ObservedOutcome::Response { status: 200, body: Some(body), .. } = &outcome {
            self.learn_account(&request, body);
        }
        let account = request.access_key_id.as_ref().and_then(|id| self.accounts.get(id));
        let account = account.cloned().map(|account| self.pseudonyms.name(&account));
        let pseudonyms = &mut self.pseudonyms;
        let mut call = Call {
            account,
            access_key_id: request.access_key_id.as_ref().map(|id| pseudonyms.access_key_id(id)),
            endpoint: pseudonyms.host(request.destination.host_and_port()),
            proxy: request.destination.proxy().map(|proxy| pseudonyms.host(proxy)),
            request: recorded_request(pseudonyms, &request),
            status: None,
            headers: Vec::new(),
            body: None,
            body_base64: None,
            error: None,
            duration_seconds: (duration.as_secs_f64() * 1e6).round() / 1e6,
            service: request.service,
            operation: request.operation,
            region: request.region,
        };
        match outcome {
            ObservedOutcome::Response { status, headers, body } => {
                call.status = Some(status);
                let header =
                    |(name, value): (&str, String)| (name.to_owned(), pseudonyms.header(name, &value));
                call.headers = headers.into_iter().map(header).collect();
                if let Some(body) = body {
                    let (text, is_utf8) = to_text(body);
                    let text = request.secrets.redact(text);
                    let text = if is_list_of_nodes(call.operation.as_deref(), status, &text) {
                        without_nodes(&text)
                    } else {
                        pseudonyms.body(&text)
                    };
                    if is_utf8 {
                        call.body = Some(text);
                    } else {
                        call.body_base64 = Some(BASE64_STANDARD.encode(to_bytes(&text)));
                    }
                }
            }
            ObservedOutcome::NoResponse { kind, message } => {
                let message = request.secrets.redact(redact_url_users(&message));
                call.error = Some(CallError { kind, message: pseudonyms.message(&message) });
            }
        }
        call
    }

    /// Remembers which account an access key belongs to, if the response tells.
    fn learn_account(&mut self, request: &SentRequest, body: &[u8]) {
        let Ok(body) = std::str::from_utf8(body) else { return };
        let learned = match request.operation.as_deref() {
            Some("GetCallerIdentity") => request.access_key_id.as_deref().zip(element(body, "Account")),
            Some(operation) if operation.starts_with("AssumeRole") => {
                let account = element(body, "Arn").and_then(|arn| arn.split(':').nth(4));
                element(body, "AccessKeyId").zip(account)
            }
            _ => None,
        };
        if let Some((key, account)) = learned.filter(|_| self.accounts.len() < MAX_ACCOUNTS) {
            self.accounts.insert(key.to_owned(), account.to_owned());
        }
    }
}

fn recorded_request(pseudonyms: &mut Pseudonyms, request: &SentRequest) -> String {
    let body = String::from_utf8_lossy(&request.body);
    match request.service.as_deref() {
        Some("sts") | None => pseudonyms.form(&body),
        Some(_) => pseudonyms.body(&body),
    }
}

/// Whether a response lists managed nodes. A web page comes from a proxy instead.
fn is_list_of_nodes(operation: Option<&str>, status: u16, body: &str) -> bool {
    let is_page = body.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').starts_with('<');
    operation == Some(LIST_OF_NODES) && (200..300).contains(&status) && !is_page
}

/// The text of the first element of this name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split('<').next()?.trim())
}

/// The first of the characters that stand for bytes that are not UTF-8.
const FIRST_BYTE: u32 = 0x10_ff00;

/// A body as text, with a character in place of each byte that is not UTF-8, and whether there was none.
fn to_text(body: Vec<u8>) -> (String, bool) {
    match String::from_utf8(body) {
        Ok(text) => (text, true),
        Err(error) => {
            let mut text = String::new();
            for chunk in error.as_bytes().utf8_chunks() {
                text.push_str(chunk.valid());
                let stand_in = |byte: &u8| char::from_u32(FIRST_BYTE + u32::from(*byte));
                text.extend(chunk.invalid().iter().filter_map(stand_in));
            }
            (text, false)
        }
    }
}

fn to_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match u32::from(character).checked_sub(FIRST_BYTE).and_then(|byte| u8::try_from(byte).ok()) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

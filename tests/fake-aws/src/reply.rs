//! Responses in the protocols of the AWS services: XML for STS, REST with JSON for Account
//! Management, and JSON 1.1 for SSM and Organizations.

use std::io;
use std::time::Duration;

use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use quick_xml::escape::escape;
use serde_json::{Value, json};

use crate::service::Service;

pub(crate) type Body = BoxBody<Bytes, io::Error>;

/// The outcome of a call, before it is encoded in the protocol of the service.
#[derive(Debug, PartialEq)]
pub(crate) enum Reply {
    /// The result of an operation of SSM, Organizations or Account Management.
    Json(String),
    /// The result of an operation of STS: the XML inside of `<OperationResult>`.
    Xml {
        operation: &'static str,
        result: String,
    },
    Error(ApiError),
}

/// An error response of AWS.
#[derive(Debug, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) code: &'static str,
    pub(crate) status: u16,
    pub(crate) message: String,
    /// The fields of the error other than the message.
    pub(crate) fields: Value,
}

impl ApiError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, status: 400, message: message.into(), fields: json!({}) }
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn fields(mut self, fields: Value) -> Self {
        self.fields = fields;
        self
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");
const REST: HeaderValue = HeaderValue::from_static("application/json");
const XML: HeaderValue = HeaderValue::from_static("text/xml");

/// Encodes a reply in the protocol of `service`.
pub(crate) fn response(service: Service, reply: Reply, request_id: &str) -> Response<Full<Bytes>> {
    // The error code, if the protocol sends it in a header.
    let mut code = None;
    let (status, content_type, body) = match reply {
        Reply::Json(text) if service == Service::Account => (200, REST, text),
        Reply::Json(text) => (200, JSON, text),
        Reply::Xml { operation, result } => (
            200,
            XML,
            format!(
                "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                 <{operation}Result>{result}</{operation}Result>\
                 <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>\
                 </{operation}Response>"
            ),
        ),
        Reply::Error(error) if service == Service::Sts => (
            error.status,
            XML,
            format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>{}</Type>\
                 <Code>{}</Code><Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
                if error.status < 500 { "Sender" } else { "Receiver" },
                error.code,
                escape(&error.message),
            ),
        ),
        Reply::Error(error) if service == Service::Account => {
            let mut body = error.fields;
            body["message"] = error.message.into();
            code = Some(error.code);
            (error.status, REST, body.to_string())
        }
        Reply::Error(error) => {
            let mut body = error.fields;
            body["__type"] = error.code.into();
            // Exceptions in the service's API model spell the field `Message`, and the errors
            // common to all services `message`.
            let in_model = match service {
                Service::Organizations => !matches!(
                    error.code,
                    "ExpiredTokenException"
                        | "SerializationException"
                        | "UnknownOperationException"
                        | "UnrecognizedClientException"
                ),
                _ => {
                    error.code.starts_with("ResourceDataSync")
                        || error.code.starts_with("Internal")
                        || error.code == "InvalidNextToken"
                }
            };
            body[if in_model { "Message" } else { "message" }] = error.message.into();
            (error.status, JSON, body.to_string())
        }
    };
    let mut response = plain(status, body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    if let Some(code) = code {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(code));
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

/// A time in seconds since the Unix epoch as the value of a `Date` header.
pub(crate) fn http_date(time: f64) -> Option<HeaderValue> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "truncates to whole seconds, and the time is in range"
    )]
    let time = jiff::Timestamp::from_second(time as i64).ok()?;
    HeaderValue::from_str(&time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()).ok()
}

/// A response without AWS headers.
pub(crate) fn plain(status: u16, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// Sends the complete response.
pub(crate) fn full(response: Response<Full<Bytes>>) -> Response<Body> {
    response.map(|body| body.map_err(|never| match never {}).boxed())
}

/// Sends the head and half of the body of the response, then breaks the connection.
pub(crate) async fn truncated(response: Response<Full<Bytes>>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    let half = body.slice(..body.len() / 2);
    let frames = stream::unfold(Some(half), |half| async {
        match half {
            Some(half) => Some((Ok(Frame::data(half)), None)),
            None => {
                // Give hyper time to send the first half before the error closes the connection.
                tokio::time::sleep(Duration::from_millis(50)).await;
                Some((Err(io::Error::other("response truncated by an injected fault")), None))
            }
        }
    });
    Response::from_parts(head, BodyExt::boxed(StreamBody::new(frames)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_the_format_of_http() {
        assert_eq!(http_date(784_111_777.9).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}

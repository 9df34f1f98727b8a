//! Responses in the protocols of the AWS services: XML for STS and IAM, REST with JSON for Account
//! Management, and JSON 1.1 for SSM and Organizations.

use std::borrow::Cow;

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use quick_xml::escape::escape;
use serde_json::{Value, json};

use crate::service::Service;

/// The outcome of a call, before it is encoded in the protocol of the service.
#[derive(Debug, PartialEq)]
pub(crate) enum Reply {
    /// The result of an operation of SSM, Organizations or Account Management.
    Json(String),
    /// The result of an operation of STS or IAM: the XML inside of `<OperationResult>`.
    Xml {
        operation: &'static str,
        result: String,
    },
    Error(ApiError),
}

/// An error response of AWS.
#[derive(Debug, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) code: Cow<'static, str>,
    pub(crate) status: u16,
    pub(crate) message: String,
    /// The fields of the error other than the message.
    pub(crate) fields: Value,
}

impl ApiError {
    pub(crate) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), status: 400, message: message.into(), fields: json!({}) }
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
pub(crate) fn response(service: Service, reply: Reply, request_id: &str) -> Response<Bytes> {
    // The error code, if the protocol sends it in a header.
    let mut code = None;
    let (status, content_type, body) = match reply {
        Reply::Json(text) if service == Service::Account => (200, REST, text),
        Reply::Json(text) => (200, JSON, text),
        Reply::Xml { operation, result } => {
            let result = if result.is_empty() {
                result
            } else {
                format!("<{operation}Result>{result}</{operation}Result>")
            };
            let body = format!(
                "<{operation}Response xmlns=\"{}\">{result}\
                 <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>\
                 </{operation}Response>",
                namespace(service),
            );
            (200, XML, body)
        }
        Reply::Error(error) if service.is_query() => (
            error.status,
            XML,
            format!(
                "<ErrorResponse xmlns=\"{}\"><Error><Type>{}</Type>\
                 <Code>{}</Code><Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
                namespace(service),
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
            body["__type"] = error.code.as_ref().into();
            // Exceptions in the service's API model spell the field `Message`, and the errors
            // common to all services `message`.
            let in_model = match service {
                Service::Organizations => !matches!(
                    error.code.as_ref(),
                    "ExpiredTokenException"
                        | "InvalidSignatureException"
                        | "SerializationException"
                        | "UnknownOperationException"
                        | "UnrecognizedClientException"
                ),
                _ => {
                    error.code.starts_with("ResourceDataSync")
                        || error.code.starts_with("Internal")
                        || matches!(error.code.as_ref(), "InvalidInstanceId" | "InvalidNextToken")
                }
            };
            body[if in_model { "Message" } else { "message" }] = error.message.into();
            (error.status, JSON, body.to_string())
        }
    };
    let mut response = plain(status, body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    if let Some(Ok(code)) = code.map(|code| HeaderValue::from_str(&code)) {
        headers.insert("x-amzn-errortype", code);
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

/// The XML namespace of a service's responses.
fn namespace(service: Service) -> &'static str {
    match service {
        Service::Iam => "https://iam.amazonaws.com/doc/2010-05-08/",
        _ => "https://sts.amazonaws.com/doc/2011-06-15/",
    }
}

/// A response without AWS headers.
pub(crate) fn plain(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

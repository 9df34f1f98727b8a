//! `GET /api/v1/status`: the state of the fleet as a JSON document.

use std::pin::Pin;

use http_body_util::{Either, Full};
use hyper::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderValue, IF_NONE_MATCH, LINK, VARY,
};
use hyper::{Request, Response, StatusCode};
use tracing::error;

use super::entity_tag::matches_any;
use super::header_texts;
use super::status::PageError;
use crate::negotiation::ContentCoding;
use crate::web::body::{BodyChunks, StreamingBody};
use crate::web::refusals::refused_as_busy;
use crate::web::response::{Body, TEXT_PLAIN, response};

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// A cache may keep the document, but has to ask whether it is still current.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// A browser that opens the document loads and runs nothing, whatever the texts in it.
const DOCUMENT_SECURITY_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Serves `/api/v1/status`. Implemented in `crate::status`.
pub trait ServeDocument: Send + Sync {
    /// The document for the query of the URL, which may be empty, compressed with `coding`.
    ///
    /// # Errors
    /// See [`DocumentError`].
    fn document<'a>(&'a self, query: &'a str, coding: ContentCoding) -> DocumentFuture<'a>;
}

/// The future of [`ServeDocument::document`].
pub type DocumentFuture<'a> =
    Pin<Box<dyn Future<Output = Result<StatusDocument, DocumentError>> + Send + 'a>>;

/// A document that is about to be sent.
pub struct StatusDocument {
    /// A text without quotes that changes whenever the content does. It is the same for every
    /// content coding.
    pub entity_tag: String,
    /// The URL of the next page, relative to the URL of this one.
    pub next: Option<String>,
    /// The body. Nothing is rendered before the first chunk is asked for.
    pub chunks: BodyChunks,
}

/// Why there is no document.
#[derive(Debug)]
pub enum DocumentError {
    /// What is wrong with the query, as a text for the client.
    InvalidQuery(String),
    /// The same as for the status page.
    Page(PageError),
}

impl From<PageError> for DocumentError {
    fn from(error: PageError) -> Self {
        Self::Page(error)
    }
}

pub(in crate::web) async fn respond<B>(
    documents: &dyn ServeDocument,
    request: &Request<B>,
) -> Response<Body> {
    let headers = request.headers();
    let coding = ContentCoding::negotiate(header_texts(headers, &ACCEPT_ENCODING));
    let query = request.uri().query().unwrap_or_default();
    let document = match documents.document(query, coding).await {
        Ok(document) => document,
        Err(DocumentError::InvalidQuery(message)) => {
            return response(StatusCode::BAD_REQUEST, TEXT_PLAIN, message + "\n");
        }
        Err(DocumentError::Page(PageError::Busy)) => {
            return refused_as_busy("too many concurrent requests for the status document\n");
        }
        Err(DocumentError::Page(PageError::Failed)) => return failed(),
    };
    let StatusDocument { entity_tag, next, chunks } = document;
    let Some(validators) = validators(&entity_tag, next.as_deref()) else {
        error!("the entity tag or the link of the status document is not a valid header, which is a bug");
        return failed();
    };
    let is_not_modified = matches_any(header_texts(headers, &IF_NONE_MATCH), &entity_tag);
    let mut response = if is_not_modified {
        let mut response = Response::new(Either::Left(Full::default()));
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let mut response = Response::new(Either::Right(StreamingBody::new(chunks)));
        response.headers_mut().insert(CONTENT_TYPE, JSON);
        if let Some(coding) = coding.token() {
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        response
    };
    response.headers_mut().extend(validators);
    response
}

/// The headers of a document whether or not its body is sent. `None` if a value is invalid.
fn validators(entity_tag: &str, next: Option<&str>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    // Weak, because the time at which the document was generated, and the bytes of the compressed
    // body, may differ under the same tag.
    headers.insert(ETAG, HeaderValue::try_from(format!("W/\"{entity_tag}\"")).ok()?);
    if let Some(next) = next {
        headers.insert(LINK, HeaderValue::try_from(format!("<{next}>; rel=\"next\"")).ok()?);
    }
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.insert(CACHE_CONTROL, REVALIDATE);
    headers.insert(CONTENT_SECURITY_POLICY, DOCUMENT_SECURITY_POLICY);
    Some(headers)
}

fn failed() -> Response<Body> {
    response(StatusCode::INTERNAL_SERVER_ERROR, TEXT_PLAIN, "cannot render the status document\n")
}

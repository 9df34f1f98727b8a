//! `GET /`: the status page and its assets; `GET /sync`: the page about one sync.

use std::pin::Pin;

use http_body_util::Either;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY};
use hyper::{Response, StatusCode};

use crate::web::body::StreamingBody;
use crate::web::refusals::refused_as_busy;
use crate::web::response::{Body, NO_STORE, TEXT_HTML, TEXT_PLAIN, response};

/// The page loads nothing but its own assets, submits forms to this server only and cannot
/// be framed. Inline scripts do not run, so a name from AWS would be harmless even if the
/// page failed to escape it.
const PAGE_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'",
);

/// The page requests an [`Asset`] with a hash of its content in the query, so the content
/// behind a URL never changes.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("max-age=31536000, immutable");

/// Keeps browsers from sending the page's URL, with its filters, to other sites.
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");

/// Serves `/` and `/sync`. Implemented in `crate::status`.
pub trait RenderPage: Send + Sync {
    /// The page as HTML. `query` is the query of the URL, and may be empty.
    ///
    /// # Errors
    /// See [`PageError`].
    fn html<'a>(&'a self, query: &'a str) -> PageFuture<'a>;

    /// The page about the sync that `query` names.
    ///
    /// # Errors
    /// See [`PageError`].
    fn sync_html<'a>(&'a self, query: &'a str) -> SyncPageFuture<'a>;

    /// The files that the page loads.
    fn assets(&self) -> &[Asset];
}

/// The future of [`RenderPage::html`].
pub type PageFuture<'a> = Pin<Box<dyn Future<Output = Result<String, PageError>> + Send + 'a>>;

/// The future of [`RenderPage::sync_html`].
pub type SyncPageFuture<'a> = Pin<Box<dyn Future<Output = Result<SyncPage, PageError>> + Send + 'a>>;

/// The page about one sync, or the page that says why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncPage {
    /// Whether the sync was found.
    pub outcome: SyncPageOutcome,
    /// The page.
    pub html: String,
}

/// What a [`SyncPage`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPageOutcome {
    /// The sync.
    Found,
    /// There is no such sync.
    NotFound,
    /// The query names no sync.
    InvalidQuery,
}

/// Why the page could not be rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageError {
    /// Other pages are being rendered, and the request has waited too long.
    Busy,
    /// Rendering failed, which is a bug.
    Failed,
}

/// A file that the page loads.
#[derive(Debug)]
pub struct Asset {
    /// The path, below `/-/`.
    pub path: &'static str,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The content.
    pub body: &'static str,
}

pub(in crate::web) async fn respond(page: &dyn RenderPage, query: &str) -> Response<Body> {
    match page.html(query).await {
        Ok(html) => page_response(StatusCode::OK, html),
        Err(error) => error_response(error),
    }
}

pub(in crate::web) async fn respond_with_sync(page: &dyn RenderPage, query: &str) -> Response<Body> {
    match page.sync_html(query).await {
        Ok(SyncPage { outcome, html }) => {
            let status = match outcome {
                SyncPageOutcome::Found => StatusCode::OK,
                SyncPageOutcome::NotFound => StatusCode::NOT_FOUND,
                SyncPageOutcome::InvalidQuery => StatusCode::BAD_REQUEST,
            };
            page_response(status, html)
        }
        Err(error) => error_response(error),
    }
}

fn error_response(error: PageError) -> Response<Body> {
    match error {
        PageError::Busy => refused_as_busy("too many concurrent requests for the status page\n"),
        PageError::Failed => {
            let text = "cannot render the status page\n";
            response(StatusCode::INTERNAL_SERVER_ERROR, TEXT_PLAIN, text)
        }
    }
}

fn page_response(status: StatusCode, html: String) -> Response<Body> {
    let mut response = Response::new(Either::Right(StreamingBody::of_text(html)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, TEXT_HTML);
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(CONTENT_SECURITY_POLICY, PAGE_SECURITY_POLICY);
    headers.insert(REFERRER_POLICY, NO_REFERRER);
    response
}

pub(in crate::web) fn respond_with_asset(asset: &Asset) -> Response<Body> {
    let mut response = response(StatusCode::OK, TEXT_PLAIN, asset.body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(CACHE_CONTROL, IMMUTABLE);
    headers.insert(REFERRER_POLICY, NO_REFERRER);
    response
}

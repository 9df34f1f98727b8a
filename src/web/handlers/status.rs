//! `GET /`: the status page and its assets.

use std::pin::Pin;

use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

use crate::gate::Caller;
use crate::web::refusals::refused_as_busy;
use crate::web::response::{Body, TEXT_HTML, TEXT_PLAIN, response};

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

/// Serves `/`. Implemented in `crate::status`.
pub trait RenderPage: Send + Sync {
    /// The page as HTML. `query` is the query of the URL, and may be empty. If too many pages
    /// are being rendered, waits for a turn that is fair to `caller`.
    ///
    /// # Errors
    /// See [`PageError`].
    fn html<'a>(&'a self, query: &'a str, caller: Caller) -> PageFuture<'a>;

    /// The files that the page loads.
    fn assets(&self) -> &[Asset];
}

/// The future of [`RenderPage::html`].
pub type PageFuture<'a> = Pin<Box<dyn Future<Output = Result<String, PageError>> + Send + 'a>>;

/// Why the page could not be rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageError {
    /// Too many pages are being rendered.
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

pub(in crate::web) async fn respond(page: &dyn RenderPage, query: &str, caller: Caller) -> Response<Body> {
    let html = match page.html(query, caller).await {
        Ok(html) => html,
        Err(PageError::Busy) => {
            return refused_as_busy("too many concurrent requests for the status page\n");
        }
        Err(PageError::Failed) => {
            let text = "cannot render the status page\n";
            return response(StatusCode::INTERNAL_SERVER_ERROR, TEXT_PLAIN, text);
        }
    };
    let mut response = response(StatusCode::OK, TEXT_HTML, html);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, PAGE_SECURITY_POLICY);
    with_browser_protection(response)
}

pub(in crate::web) fn respond_with_asset(asset: &Asset) -> Response<Body> {
    let mut response = response(StatusCode::OK, TEXT_PLAIN, asset.body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(CACHE_CONTROL, IMMUTABLE);
    with_browser_protection(response)
}

/// Keeps browsers from guessing content types, and from sending the page's URL to other
/// sites.
fn with_browser_protection(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

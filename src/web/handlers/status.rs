//! The page for people, with what belongs to it.

use std::pin::Pin;

use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

use crate::web::response::{Body, HTML, PLAIN, response};

/// A page uses nothing but what is served here, sends forms nowhere else and lets
/// nobody frame it; and nothing that stands in it is run, whoever wrote it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'",
);

/// An [`Asset`] is asked for with a mark of what is in it, so it never changes.
const KEPT: HeaderValue = HeaderValue::from_static("max-age=31536000, immutable");

/// What is served under `/`.
pub trait Page: Send + Sync {
    /// The page for the query of a URL, as HTML.
    ///
    /// # Errors
    /// There is none now.
    fn html<'a>(&'a self, query: &'a str) -> Making<'a>;

    /// What it uses.
    fn assets(&self) -> &[Asset];
}

/// A page that is being made.
pub type Making<'a> = Pin<Box<dyn Future<Output = Result<String, NoPage>> + Send + 'a>>;

/// Why there is no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPage {
    /// Too many ask for one.
    Busy,
    /// It cannot be made, which is a bug.
    Failed,
}

/// A file that a page uses.
#[derive(Debug)]
pub struct Asset {
    /// Its path, which begins with `/-/`.
    pub path: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// What is in it.
    pub body: &'static str,
}

/// Answers a request for the page.
pub(in crate::web) async fn answer(page: &dyn Page, query: &str) -> Response<Body> {
    let html = match page.html(query).await {
        Ok(html) => html,
        Err(NoPage::Busy) => {
            return response(StatusCode::SERVICE_UNAVAILABLE, PLAIN, "too many ask for the page\n");
        }
        Err(NoPage::Failed) => {
            return response(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, "cannot make the page\n");
        }
    };
    let mut response = response(StatusCode::OK, HTML, html);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
    guarded(response)
}

/// Answers a request for a file that the page uses.
pub(in crate::web) fn answer_asset(asset: &Asset) -> Response<Body> {
    let mut response = response(StatusCode::OK, PLAIN, asset.body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(CACHE_CONTROL, KEPT);
    guarded(response)
}

/// With what keeps a browser from guessing what it got, and from telling others
/// what was looked at.
fn guarded(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

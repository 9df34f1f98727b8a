//! Responds to requests: checks access, enforces the scrape limit, then calls the router.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body_util::{Either, Full};
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request, Response, StatusCode, Version};
use tracing::debug;

use crate::web::handlers::Router;
use crate::web::response::{Body, TEXT_PLAIN, response};
use crate::web::security::access::AccessControl;
use crate::web::server::connection_limit::ActiveRequest;
use crate::web::server::scrape_limit::{ScrapeLimit, ScrapePermit};

/// Keeps browsers from loading a response into a page of another site, for example as a script
/// or an image.
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
/// Keeps browsers from guessing another content type.
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");

#[derive(Debug)]
pub(in crate::web) struct RequestService {
    pub(in crate::web) router: Router,
    pub(in crate::web) access: Arc<AccessControl>,
    pub(in crate::web) scrape_limit: Arc<ScrapeLimit>,
}

impl RequestService {
    pub(in crate::web) async fn respond<B>(
        &self,
        request: &Request<B>,
        active_request: ActiveRequest,
    ) -> Response<TrackedBody> {
        let rules = self.access.current_rules();
        let (response, scrape) = match self.access.check(&rules, request).await {
            Ok(()) => self.respond_within_scrape_limit(request, &active_request).await,
            Err(refusal) => (refusal, None),
        };
        let response = if request.version() == Version::HTTP_2 && request.method() == Method::HEAD {
            without_body(response)
        } else {
            response
        };
        let (method, path, status) = (request.method(), request.uri().path(), response.status().as_u16());
        debug!(peer = %active_request.peer(), %method, path, status, "request");
        let mut response = response.map(|body| TrackedBody {
            body: Box::pin(body),
            _scrape: scrape,
            _active_request: active_request,
        });
        response.headers_mut().insert(CROSS_ORIGIN_RESOURCE_POLICY, SAME_ORIGIN);
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
        rules.add_headers(&mut response);
        response
    }

    async fn respond_within_scrape_limit<B>(
        &self,
        request: &Request<B>,
        active_request: &ActiveRequest,
    ) -> (Response<Body>, Option<ScrapePermit>) {
        if !self.router.is_scrape(request) {
            return (self.router.respond(request).await, None);
        }
        let Some(scrape) = self.scrape_limit.begin(active_request.close_token()) else {
            let text = "too many concurrent scrapes; see --web.max-requests\n";
            let mut refusal = response(StatusCode::SERVICE_UNAVAILABLE, TEXT_PLAIN, text);
            refusal.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return (refusal, None);
        };
        (self.router.respond(request).await, Some(scrape))
    }
}

/// Removes the body of a response to HEAD. hyper does this over HTTP/1 only.
fn without_body(response: Response<Body>) -> Response<Body> {
    let length = response.body().size_hint().exact();
    let mut response = response.map(|_| Either::Left(Full::default()));
    if let Some(length) = length {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    response
}

/// A response body that holds the scrape permit and keeps the connection busy until it has
/// been sent or dropped.
pub(in crate::web) struct TrackedBody {
    body: Pin<Box<Body>>,
    _scrape: Option<ScrapePermit>,
    _active_request: ActiveRequest,
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.body.as_mut().poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! Responds to requests: rejects malformed ones, checks access, enforces the limits on responses,
//! then calls the router.

use std::sync::Arc;

use http_body_util::{Either, Full};
use hyper::body::Body as _;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request, Response, StatusCode, Version};
use tracing::debug;

use crate::web::handlers::Router;
use crate::web::refusals::{RefusalReason, Refusals, refused_as_busy};
use crate::web::request::{self, CLOSE};
use crate::web::response::Body;
use crate::web::security::access::{AccessControl, ActiveRules};
use crate::web::server::connection_limit::ActiveRequest;
use crate::web::server::response_limit::{ResponseLimit, ResponsePermit};
use crate::web::server::tracked_body::TrackedBody;

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
    pub(in crate::web) scrape_limit: ResponseLimit,
    pub(in crate::web) page_limit: ResponseLimit,
    pub(in crate::web) refusals: Arc<Refusals>,
}

impl RequestService {
    pub(in crate::web) async fn respond<B>(
        &self,
        mut request: Request<B>,
        active_request: ActiveRequest,
    ) -> Response<TrackedBody> {
        let rules = self.access.current_rules();
        // Everything below sees the normalized path.
        let (response, permit) = match request::normalize(&mut request) {
            Ok(()) => self.respond_if_permitted(&rules, &request, &active_request).await,
            Err(malformed) => (malformed.response(request.version()), None),
        };
        if let Some(reason) = RefusalReason::of(&response) {
            active_request.count_refusal();
            self.refusals.record(reason, active_request.peer());
        }
        let response = match request.version() {
            Version::HTTP_2 if request.method() == Method::HEAD => without_body(response),
            Version::HTTP_10 => closing_unless_length_is_known(response),
            _ => response,
        };
        let (method, path, status) = (request.method(), request.uri().path(), response.status().as_u16());
        debug!(peer = %active_request.peer(), %method, path, status, "request");
        let is_http2 = request.version() == Version::HTTP_2;
        let mut response = response.map(|body| TrackedBody::new(body, permit, active_request, is_http2));
        response.headers_mut().insert(CROSS_ORIGIN_RESOURCE_POLICY, SAME_ORIGIN);
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
        rules.add_headers(&mut response);
        response
    }

    async fn respond_if_permitted<B>(
        &self,
        rules: &ActiveRules,
        request: &Request<B>,
        active_request: &ActiveRequest,
    ) -> (Response<Body>, Option<ResponsePermit>) {
        match self.access.check(rules, request, active_request.caller()).await {
            Ok(()) => self.respond_within_limits(request, active_request).await,
            Err(refusal) => (refusal, None),
        }
    }

    async fn respond_within_limits<B>(
        &self,
        request: &Request<B>,
        active_request: &ActiveRequest,
    ) -> (Response<Body>, Option<ResponsePermit>) {
        let (limit, refusal) = if self.router.is_scrape(request) {
            (&self.scrape_limit, "too many concurrent scrapes; see --web.max-requests\n")
        } else if self.router.is_page(request) {
            (&self.page_limit, "too many concurrent requests for the status page or document\n")
        } else {
            return (self.router.respond(request).await, None);
        };
        let Some(permit) = limit.admit(active_request).await else {
            return (refused_as_busy(refusal), None);
        };
        (self.router.respond(request).await, Some(permit))
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

/// Makes hyper close an HTTP/1.0 connection after a response without `Content-Length`. HTTP/1.0 has
/// no chunked encoding, so the end of the connection is the end of such a body. hyper would keep the
/// connection open if the client has asked for that, and the client would wait for more.
fn closing_unless_length_is_known(mut response: Response<Body>) -> Response<Body> {
    if response.body().size_hint().exact().is_none() || response.status() == StatusCode::NOT_MODIFIED {
        // hyper adds `Connection: keep-alive` to a response of version 1.1 only.
        *response.version_mut() = Version::HTTP_10;
        response.headers_mut().insert(CONNECTION, CLOSE);
    }
    response
}

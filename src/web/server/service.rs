//! From a request to its answer: whether it may be asked, and what it gets.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body_util::{Either, Full};
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode, Version};
use tracing::debug;

use crate::web::handlers::Routes;
use crate::web::response::{Body, PLAIN, response};
use crate::web::security::access::Guard;
use crate::web::server::connection_limit::Answering;
use crate::web::server::scrape_limit::{Place, Scrapes};

/// All that an answer needs.
#[derive(Debug)]
pub(in crate::web) struct Service {
    pub(in crate::web) routes: Routes,
    pub(in crate::web) guard: Arc<Guard>,
    pub(in crate::web) scrapes: Arc<Scrapes>,
}

impl Service {
    /// Answers a request.
    pub(in crate::web) async fn answer<B>(
        &self,
        request: &Request<B>,
        answering: Answering,
    ) -> Response<Answer> {
        let in_force = self.guard.in_force();
        let (answer, place) = match self.guard.admit(&in_force, request).await {
            Ok(()) => self.admitted(request, &answering).await,
            Err(refusal) => (refusal, None),
        };
        let answer = if request.version() == Version::HTTP_2 && request.method() == Method::HEAD {
            without_body(answer)
        } else {
            answer
        };
        let (method, path, status) = (request.method(), request.uri().path(), answer.status().as_u16());
        debug!(%method, path, status, "request");
        let mut answer =
            answer.map(|body| Answer { body: Box::pin(body), _place: place, _answering: answering });
        in_force.complete(&mut answer);
        answer
    }

    async fn admitted<B>(
        &self,
        request: &Request<B>,
        answering: &Answering,
    ) -> (Response<Body>, Option<Place>) {
        if !self.routes.is_scrape(request) {
            return (self.routes.answer(request).await, None);
        }
        let Some(place) = self.scrapes.begin(answering.cut()) else {
            let mut refusal =
                response(StatusCode::SERVICE_UNAVAILABLE, PLAIN, "too many scrapes are under way\n");
            refusal.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return (refusal, None);
        };
        (self.routes.answer(request).await, Some(place))
    }
}

/// hyper leaves out the body of an answer to HEAD over HTTP/1 only.
fn without_body(answer: Response<Body>) -> Response<Body> {
    let length = answer.body().size_hint().exact();
    let mut answer = answer.map(|_| Either::Left(Full::default()));
    if let Some(length) = length {
        answer.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    answer
}

/// The body of an answer, and what is taken up until it has been sent.
pub(in crate::web) struct Answer {
    body: Pin<Box<Body>>,
    _place: Option<Place>,
    _answering: Answering,
}

impl HttpBody for Answer {
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

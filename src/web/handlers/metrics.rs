//! The metrics: what a request asks for, and the answer as it is made.

use http_body_util::Either;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, VARY,
};
use hyper::{Request, Response, StatusCode};
use tracing::error;

use crate::negotiation::{Accept, Coding};
use crate::web::body::{Pieces, Streamed};
use crate::web::response::{Body, NOT_KEPT, PLAIN, response};

/// What is served under the path of the metrics.
pub trait Exposition: Send + Sync {
    /// What is asked for, as it is now. It must not wait for anything.
    ///
    /// # Errors
    /// What is wrong with what is asked for, for the client to read.
    fn expose(&self, asked: &Asked) -> Result<Exposed, String>;
}

/// What a client asks of an [`Exposition`].
#[derive(Debug)]
pub struct Asked {
    /// The media types it likes.
    pub accept: Accept,
    /// How the body is to be compressed.
    pub coding: Coding,
    /// The families it wants, if it names any.
    pub collect: Vec<String>,
    /// The families it does not want.
    pub exclude: Vec<String>,
}

/// An exposition on its way.
pub struct Exposed {
    /// Its media type.
    pub content_type: String,
    /// Its body, compressed as it was asked for.
    pub pieces: Pieces,
}

/// Answers a request for `exposition`.
pub(in crate::web) fn answer<B>(exposition: &dyn Exposition, request: &Request<B>) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default();
    let named = |name: &str| {
        let pairs = form_urlencoded::parse(query.as_bytes());
        pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
    };
    let asked = Asked {
        accept: Accept::parse(values(request.headers(), &ACCEPT)),
        coding: Coding::best(values(request.headers(), &ACCEPT_ENCODING)),
        collect: named("collect[]"),
        exclude: named("exclude[]"),
    };
    let exposed = match exposition.expose(&asked) {
        Ok(exposed) => exposed,
        Err(why) => return response(StatusCode::BAD_REQUEST, PLAIN, why + "\n"),
    };
    let Ok(content_type) = HeaderValue::try_from(exposed.content_type) else {
        error!("the type of the exposition does not fit in a header, which is a bug");
        return response(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, "cannot make the exposition\n");
    };
    let mut response = Response::new(Either::Right(Streamed::new(exposed.pieces)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    if let Some(coding) = asked.coding.token() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    headers.insert(CACHE_CONTROL, NOT_KEPT);
    response
}

/// All values of a header that are texts.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

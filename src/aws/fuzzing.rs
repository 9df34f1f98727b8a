//! Entry points of fuzz targets: replaces AWS, and rewrites texts as a recording does.

use std::cell::RefCell;

use aws_smithy_runtime_api::client::http::SharedHttpClient;

pub(crate) use super::recording::{recorded_body, recorded_nodes};

thread_local! {
    static HTTP_CLIENT: RefCell<Option<SharedHttpClient>> = const { RefCell::new(None) };
}

/// Sets the HTTP client of all sessions that the current thread creates from now on.
pub(crate) fn set_http_client(client: SharedHttpClient) {
    HTTP_CLIENT.set(Some(client));
}

pub(super) fn http_client() -> Option<SharedHttpClient> {
    HTTP_CLIENT.with_borrow(Clone::clone)
}

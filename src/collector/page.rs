//! Takes the pages of lists from the bodies of responses, before the SDK reads them.
//!
//! The SDK rejects a whole page if a single item lacks a field that the API model requires, or has
//! a value of another type, and turns an absent boolean into `false`. An odd item must not hide the
//! others, and an absent field must not become a metric with the value 0. An interceptor therefore
//! takes the body of a successful response before the SDK reads it. Everything else stays with the
//! SDK: signing, retries, and the errors of AWS.

use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextMut;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// A body without any field, which the SDK can read.
const EMPTY_BODY: &str = "{}";

/// A page of a list of syncs.
#[derive(Debug, Deserialize)]
pub(super) struct SyncPage {
    /// The items, which have not been read yet. Items that are nested deeply or have fields of a
    /// wrong type affect no other item.
    #[serde(rename = "ResourceDataSyncItems")]
    pub(super) items: Vec<Box<RawValue>>,
    #[serde(default, rename = "NextToken")]
    pub(super) next_token: Option<String>,
}

/// Reads a page. `None` if the body is not a JSON object with the fields that `P` requires, or if a
/// field has the wrong type. Bytes that are not UTF-8 are replaced by U+FFFD, so that they affect only
/// the texts that contain them.
pub(super) fn parse<P: DeserializeOwned>(body: &[u8]) -> Option<P> {
    serde_json::from_str(&String::from_utf8_lossy(body)).ok()
}

/// An interceptor that takes the page from each successful response.
#[derive(Debug)]
pub(super) struct TakePage<P>(Arc<Mutex<Option<P>>>);

impl<P> Default for TakePage<P> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<P> Clone for TakePage<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P> TakePage<P> {
    /// The page of the last response. `None` if it had none, or if there was no response since the
    /// last call of this function.
    pub(super) fn take(&self) -> Option<P> {
        self.0.lock().take()
    }
}

#[dyn_dispatch_hint]
impl<P: DeserializeOwned + fmt::Debug + Send + 'static> Intercept for TakePage<P> {
    fn name(&self) -> &'static str {
        "TakePage"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        // The HTTP client has read the whole body, see `aws::http_client`.
        let body = response.body().bytes().filter(|_| response.status().is_success());
        let page = body.and_then(parse);
        if page.is_some() {
            *response.body_mut() = SdkBody::from(EMPTY_BODY);
        }
        // A body without a page is left to the SDK, which says what is wrong with it.
        *self.0.lock() = page;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of items of a page, and its token.
    fn parsed(body: &str) -> Option<(usize, Option<String>)> {
        parse(body.as_bytes()).map(|page: SyncPage| (page.items.len(), page.next_token))
    }

    #[test]
    fn an_empty_list_is_a_page_and_an_absent_one_is_not() {
        assert_eq!(parsed(r#"{"ResourceDataSyncItems": []}"#), Some((0, None)));
        for body in ["", "[]", "{}", r#"{"ResourceDataSyncItems": null}"#, r#"{"ResourceDataSyncItems": {}}"#]
        {
            assert_eq!(parsed(body), None, "{body}");
        }
    }

    #[test]
    fn items_of_any_form_are_passed_on() {
        let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let body = format!(r#"{{"ResourceDataSyncItems": [null, 1, "a", {nested}, {{}}], "Other": 1}}"#);
        assert_eq!(parsed(&body), Some((5, None)));
    }

    #[test]
    fn the_page_token_is_a_text_or_absent() {
        for (token, expected) in [
            (r#""abc""#, Some(Some("abc".to_owned()))),
            ("null", Some(None)),
            (r#""""#, Some(Some(String::new()))),
            ("5", None),
        ] {
            let body = format!(r#"{{"ResourceDataSyncItems": [], "NextToken": {token}}}"#);
            assert_eq!(parsed(&body).map(|(_, token)| token), expected);
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced() {
        let page: SyncPage = parse(b"{\"ResourceDataSyncItems\": [{\"SyncName\": \"a\xff\"}]}").unwrap();
        assert_eq!(page.items[0].get(), "{\"SyncName\": \"a\u{fffd}\"}");
    }
}

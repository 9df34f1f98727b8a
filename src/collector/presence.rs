//! What the SDK's types cannot say: whether a field was there at all.
//!
//! The SDK turns an absent boolean into `false` and a body without a list into
//! an empty list. We must not show a 0 where AWS said nothing, nor take an
//! empty answer for an account without syncs. So the body is looked at once
//! more, for no more than that.

use std::sync::Arc;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Which fields an answer to `ListResourceDataSync` had.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Presence {
    #[serde(rename = "ResourceDataSyncItems")]
    items: Option<Vec<ItemPresence>>,
}

/// Which fields an item of it had.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct ItemPresence {
    #[serde(rename = "SyncSource")]
    source: Option<SourcePresence>,
}

/// Which of the fields that the SDK fills in a source had.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct SourcePresence {
    #[serde(default, rename = "IncludeFutureRegions", deserialize_with = "present")]
    pub(super) include_future_regions: bool,
    #[serde(default, rename = "EnableAllOpsDataSources", deserialize_with = "present")]
    pub(super) enable_all_ops_data_sources: bool,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::<IgnoredAny>::deserialize(deserializer).map(|value| value.is_some())
}

impl Presence {
    /// Whether there was a list of syncs, even an empty one.
    pub(super) fn has_items(&self) -> bool {
        self.items.is_some()
    }

    /// What the source of the item at `index` had.
    pub(super) fn source(&self, index: usize) -> SourcePresence {
        self.items
            .as_ref()
            .and_then(|items| items.get(index))
            .and_then(|item| item.source)
            .unwrap_or_default()
    }
}

/// The interceptor that looks, and keeps what it saw of the last answer.
#[derive(Clone, Debug, Default)]
pub(super) struct WatchPresence(Arc<Mutex<Option<Presence>>>);

impl WatchPresence {
    /// What the last answer had; `None` if it was not what we expect.
    pub(super) fn take(&self) -> Option<Presence> {
        self.0.lock().take()
    }
}

#[dyn_dispatch_hint]
impl Intercept for WatchPresence {
    fn name(&self) -> &'static str {
        "WatchPresence"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let presence = context.response().body().bytes().and_then(|body| serde_json::from_slice(body).ok());
        *self.0.lock() = presence;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(body: &str) -> Presence {
        serde_json::from_str(body).unwrap()
    }

    #[test]
    fn tells_an_empty_list_from_none() {
        assert!(presence(r#"{"ResourceDataSyncItems": []}"#).has_items());
        assert!(!presence("{}").has_items());
        assert!(!presence(r#"{"ResourceDataSyncItems": null}"#).has_items());
        assert!(serde_json::from_str::<Presence>("").is_err());
    }

    #[test]
    fn tells_false_from_absent() {
        let presence = presence(
            r#"{"ResourceDataSyncItems": [
                {"SyncName": "a"},
                {"SyncSource": {"IncludeFutureRegions": false}},
                {"SyncSource": {"IncludeFutureRegions": null, "EnableAllOpsDataSources": true}}
            ]}"#,
        );
        let seen = |index| {
            let source = presence.source(index);
            (source.include_future_regions, source.enable_all_ops_data_sources)
        };
        assert_eq!(
            [seen(0), seen(1), seen(2), seen(3)],
            [(false, false), (true, false), (false, true), (false, false)]
        );
    }
}

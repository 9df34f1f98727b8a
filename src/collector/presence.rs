//! Records which fields a response contained.
//!
//! The SDK turns an absent boolean into `false` and an absent list into an empty
//! one. An absent field must not become a metric with the value 0, and a response
//! without a list must not look like an account without syncs. An interceptor therefore
//! parses the body a second time, only to record which fields it contains.

use std::sync::Arc;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Which fields a response of `ListResourceDataSync` contained.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Presence {
    #[serde(rename = "ResourceDataSyncItems")]
    items: Option<Vec<ItemPresence>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct ItemPresence {
    #[serde(rename = "SyncSource")]
    source: Option<SourcePresence>,
}

/// Whether a source contained each of the fields that the SDK would otherwise fill with a
/// default.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct SourcePresence {
    #[serde(default, rename = "IncludeFutureRegions", deserialize_with = "is_present")]
    pub(super) has_include_future_regions: bool,
    #[serde(default, rename = "EnableAllOpsDataSources", deserialize_with = "is_present")]
    pub(super) has_enable_all_ops_data_sources: bool,
}

fn is_present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::<IgnoredAny>::deserialize(deserializer).map(|value| value.is_some())
}

impl Presence {
    /// Whether there was a list of syncs, possibly empty.
    pub(super) fn has_items(&self) -> bool {
        self.items.is_some()
    }

    /// Which fields the source of the item at `index` contained. If the item has no source,
    /// no field is present.
    pub(super) fn of_source(&self, index: usize) -> SourcePresence {
        self.items
            .as_ref()
            .and_then(|items| items.get(index))
            .and_then(|item| item.source)
            .unwrap_or_default()
    }
}

/// An interceptor that records which fields the last response contained.
#[derive(Clone, Debug, Default)]
pub(super) struct RecordPresence(Arc<Mutex<Option<Presence>>>);

impl RecordPresence {
    /// Takes the record of the last response. `None` if the body of the response was not a
    /// JSON object of the expected form, or if there was no response since the last call.
    pub(super) fn take(&self) -> Option<Presence> {
        self.0.lock().take()
    }
}

#[dyn_dispatch_hint]
impl Intercept for RecordPresence {
    fn name(&self) -> &'static str {
        "RecordPresence"
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
    fn an_empty_list_is_present_and_null_is_not() {
        assert!(presence(r#"{"ResourceDataSyncItems": []}"#).has_items());
        assert!(!presence("{}").has_items());
        assert!(!presence(r#"{"ResourceDataSyncItems": null}"#).has_items());
        assert!(serde_json::from_str::<Presence>("").is_err());
    }

    #[test]
    fn false_is_present_and_null_is_not() {
        let presence = presence(
            r#"{"ResourceDataSyncItems": [
                {"SyncName": "a"},
                {"SyncSource": {"IncludeFutureRegions": false}},
                {"SyncSource": {"IncludeFutureRegions": null, "EnableAllOpsDataSources": true}}
            ]}"#,
        );
        let present = |index| {
            let source = presence.of_source(index);
            (source.has_include_future_regions, source.has_enable_all_ops_data_sources)
        };
        assert_eq!(
            [present(0), present(1), present(2), present(3)],
            [(false, false), (true, false), (false, true), (false, false)]
        );
    }
}

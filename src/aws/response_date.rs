//! The time at which AWS sent a response, according to the `Date` header.

use std::sync::Arc;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use parking_lot::Mutex;

use super::clock_skew::response_date;

/// An interceptor that keeps the date of the latest response.
#[derive(Clone, Debug, Default)]
pub(super) struct ResponseDate(Arc<Mutex<Option<DateTime>>>);

impl ResponseDate {
    /// `None` if the response had no valid date.
    pub(super) fn get(&self) -> Option<DateTime> {
        *self.0.lock()
    }
}

#[dyn_dispatch_hint]
impl Intercept for ResponseDate {
    fn name(&self) -> &'static str {
        "ResponseDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *self.0.lock() = response_date(context.response());
        Ok(())
    }
}

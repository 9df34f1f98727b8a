//! The time at which AWS sent a response, according to the `Date` header.

use std::sync::Arc;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;
use parking_lot::Mutex;

/// The length of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
const HTTP_DATE_LENGTH: usize = 29;

/// The time at which a response was sent. The HTTP client attaches it to each response, because
/// it removes the header.
#[derive(Clone, Copy, Debug)]
struct SentAt(DateTime);

/// When the response was sent. `None` if it has no date, several or an invalid one, or if it
/// comes from a cache, so that its date is old.
pub(super) fn date(response: &HttpResponse) -> Option<DateTime> {
    if response.headers().contains_key("age") {
        return None;
    }
    let mut dates = response.headers().get_all("date");
    let date = dates.next().filter(|date| date.len() == HTTP_DATE_LENGTH)?;
    if dates.next().is_some() {
        return None;
    }
    DateTime::from_str(date, Format::HttpDate).ok()
}

/// Attaches the date of a response, so that [`ResponseDate`] finds it without the header.
pub(super) fn attach(response: &mut HttpResponse) {
    if let Some(date) = date(response) {
        response.add_extension(SentAt(date));
    }
}

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
        *self.0.lock() = context.response().extension::<SentAt>().map(|SentAt(date)| *date);
        Ok(())
    }
}

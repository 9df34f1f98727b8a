//! The time of day, passed to whatever needs it, so that tests can set it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::model::UnixSeconds;

/// A source of the time of day. Intervals and deadlines come from tokio's clock instead,
/// which never jumps.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UnixSeconds + Send + Sync>);

impl Clock {
    /// The system's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the time of day")]
    pub fn system() -> Self {
        Self::new(|| {
            // A clock before 1970 counts as 1970.
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
        })
    }

    /// A clock that returns what `now` does.
    pub fn new(now: impl Fn() -> UnixSeconds + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Seconds since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> UnixSeconds {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// A duration in whole milliseconds; `u64::MAX` if there are more.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

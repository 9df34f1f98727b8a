//! The wall clock. It is passed in wherever it is needed, so that tests can set the time.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::model::UnixSeconds;

/// A wall clock. Intervals and deadlines use tokio's monotonic clock instead, because a
/// wall clock can jump.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UnixSeconds + Send + Sync>);

impl Clock {
    /// The clock of the operating system.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn system() -> Self {
        Self::new(|| {
            // A clock before 1970 counts as 1970.
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
        })
    }

    /// A clock that stands still at `time`.
    #[must_use]
    pub fn fixed(time: UnixSeconds) -> Self {
        Self::new(move || time)
    }

    /// A clock that calls `now` for the time.
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

/// A duration in whole milliseconds, at most `u64::MAX`.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

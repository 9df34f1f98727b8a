//! Points in time as the page shows them.

use crate::duration;
use crate::model::UnixSeconds;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Timestamp {
    /// For programs, such as `2026-11-22T08:26:40Z`.
    pub(super) rfc3339: String,
    /// For people, to the minute, such as `2026-11-22 08:26 UTC`.
    pub(super) short: String,
    /// For people, to the second, such as `2026-11-22 08:26:40 UTC`.
    pub(super) exact: String,
    /// The age, such as `3h 5m ago`.
    pub(super) age: String,
}

impl Timestamp {
    /// `None` if `at` is not finite or not in the range of years that RFC 3339 can express.
    pub(super) fn new(at: UnixSeconds, now: UnixSeconds) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds are enough, and `as` saturates")]
        let seconds = Some(at).filter(|at| at.is_finite())?.floor() as i64;
        let rfc3339 = jiff::Timestamp::from_second(seconds).ok()?.to_string();
        let (day, time) = rfc3339.split_once('T')?;
        let short = format!("{day} {} UTC", time.get(..5)?);
        let exact = format!("{day} {} UTC", time.get(..8)?);
        Some(Self { short, exact, age: duration::format_age(now - at), rfc3339 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = 1_763_800_000.0;

    #[test]
    fn a_timestamp_has_a_time_and_an_age() {
        let timestamp = Timestamp::new(NOW - 93_600.5, NOW).unwrap();
        assert_eq!(timestamp.rfc3339, "2025-11-21T06:26:39Z");
        assert_eq!(timestamp.short, "2025-11-21 06:26 UTC");
        assert_eq!(timestamp.exact, "2025-11-21 06:26:39 UTC");
        assert_eq!(timestamp.age, "1d 2h ago");
        assert_eq!(Timestamp::new(NOW + 7_200.0, NOW).unwrap().age, "in 2h");
    }

    #[test]
    fn a_time_out_of_range_has_no_timestamp() {
        for at in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300] {
            assert_eq!(Timestamp::new(at, NOW), None, "{at}");
        }
        assert_eq!(Timestamp::new(-1.0, NOW).unwrap().short, "1969-12-31 23:59 UTC");
    }
}

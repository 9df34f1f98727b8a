//! Times as people read them.

use crate::model::UnixSeconds;

/// A moment, seen from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// For programs, such as `2026-11-22T08:26:40Z`.
    pub(super) exact: String,
    /// The same for people, to the minute, such as `2026-11-22 08:26 UTC`.
    pub(super) at: String,
    /// How long ago it is, such as `3 h 5 min ago`.
    pub(super) ago: String,
}

impl Moment {
    /// The moment `at`, seen from `now`; nothing if no calendar has it.
    pub(super) fn new(at: UnixSeconds, now: UnixSeconds) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds are enough, and `as` saturates")]
        let seconds = Some(at).filter(|at| at.is_finite())?.floor() as i64;
        let exact = jiff::Timestamp::from_second(seconds).ok()?.to_string();
        let (day, time) = exact.split_once('T')?;
        let at_minute = format!("{day} {} UTC", time.get(..5)?);
        Some(Self { at: at_minute, ago: ago(now - at), exact })
    }
}

fn ago(seconds: f64) -> String {
    match seconds {
        seconds if seconds >= 0.0 => format!("{} ago", length(seconds)),
        // Clocks differ a little.
        seconds if seconds > -60.0 => "just now".to_owned(),
        seconds => format!("in {}", length(-seconds)),
    }
}

/// A length of time in its two largest units.
pub(super) fn length(seconds: f64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    let seconds = seconds.floor() as u64;
    let Some(first) = UNITS.iter().position(|(unit, _)| seconds >= *unit) else {
        return "0 s".to_owned();
    };
    let (unit, name) = UNITS[first];
    let larger = format!("{} {name}", seconds / unit);
    match UNITS.get(first + 1).map(|(smaller, name)| (seconds % unit / smaller, name)) {
        // Nobody needs the seconds of minutes, or the hours of months.
        Some((number, name)) if number > 0 && unit > 60 && seconds < 10 * 86_400 => {
            format!("{larger} {number} {name}")
        }
        _ => larger,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = 1_763_800_000.0;

    #[test]
    fn a_moment_says_when_and_how_long_ago() {
        let moment = Moment::new(NOW - 93_600.5, NOW).unwrap();
        assert_eq!(moment.exact, "2025-11-21T06:26:39Z");
        assert_eq!(moment.at, "2025-11-21 06:26 UTC");
        assert_eq!(moment.ago, "1 d 2 h ago");
        for (seconds, said) in [
            (0.0, "0 s ago"),
            (59.9, "59 s ago"),
            (61.0, "1 min ago"),
            (3_600.0, "1 h ago"),
            (3_660.0, "1 h 1 min ago"),
            (9.5 * 86_400.0, "9 d 12 h ago"),
            (400.5 * 86_400.0, "400 d ago"),
            (-5.0, "just now"),
            (-7_200.0, "in 2 h"),
        ] {
            assert_eq!(Moment::new(NOW - seconds, NOW).unwrap().ago, said);
        }
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for at in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300] {
            assert_eq!(Moment::new(at, NOW), None, "{at}");
        }
        assert_eq!(Moment::new(-1.0, NOW).unwrap().at, "1969-12-31 23:59 UTC");
    }
}

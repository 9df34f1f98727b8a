//! Formats durations and ages for people: on the status page, and in the table and the
//! errors of one-shot mode.
//!
//! Durations in the configuration have a different syntax (`1h30m`), which `config` parses
//! and formats.

use std::time::Duration;

/// Durations of at least this many seconds are shown in whole days.
const WHOLE_DAYS_FROM_SECS: u64 = 10 * 86_400;

/// Formats a duration in its largest unit, followed by the next smaller unit unless its
/// number is zero: `2m 5s`, `1h`, `1d 2h`. Fractions of a second are dropped. From 10 days
/// on, hours are dropped, too.
pub(crate) fn format(duration: Duration) -> String {
    const UNITS: [(u64, char); 4] = [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];
    let seconds = duration.as_secs();
    let largest = UNITS.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(UNITS.len() - 1);
    let (unit, symbol) = UNITS[largest];
    let count = seconds / unit;
    let next_unit = UNITS.get(largest + 1).filter(|_| seconds < WHOLE_DAYS_FROM_SECS);
    match next_unit.map(|(next_unit, next_symbol)| (seconds % unit / next_unit, next_symbol)) {
        Some((rest, next_symbol)) if rest > 0 => format!("{count}{symbol} {rest}{next_symbol}"),
        _ => format!("{count}{symbol}"),
    }
}

/// Formats how long a collection took: `5ms`, `1.2s`.
pub(crate) fn format_elapsed(elapsed: Duration) -> String {
    if elapsed < Duration::from_secs(1) {
        format!("{}ms", elapsed.as_millis())
    } else {
        format!("{:.1}s", elapsed.as_secs_f64())
    }
}

/// Formats the age of something that happened `seconds` ago: `3h 5m ago`. A negative age
/// means a time in the future: `in 2h`. A time up to a minute in the future is attributed
/// to clock skew and shown as `just now`.
pub(crate) fn format_age(seconds: f64) -> String {
    let absolute = Duration::try_from_secs_f64(seconds.abs()).unwrap_or_default();
    match seconds {
        ..-60.0 => format!("in {}", format(absolute)),
        ..0.0 => "just now".to_owned(),
        _ => format!("{} ago", format(absolute)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_at_most_two_units() {
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (125, "2m 5s"),
            (3_600, "1h"),
            (3_659, "1h"),
            (3_660, "1h 1m"),
            (93_606, "1d 2h"),
            (86_400 * 19 / 2, "9d 12h"),
            (864_000, "10d"),
            (86_400 * 801 / 2, "400d"),
        ] {
            assert_eq!(format(Duration::from_secs(seconds)), expected);
        }
        assert_eq!(format(Duration::from_millis(59_900)), "59s");
    }

    #[test]
    fn elapsed_times_below_a_second_are_in_milliseconds() {
        for (millis, expected) in [(0, "0ms"), (999, "999ms"), (1_000, "1.0s"), (61_250, "61.2s")] {
            assert_eq!(format_elapsed(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn negative_ages_are_in_the_future() {
        for (seconds, expected) in [
            (93_600.5, "1d 2h ago"),
            (59.9, "59s ago"),
            (0.0, "0s ago"),
            (-5.0, "just now"),
            (-60.0, "just now"),
            (-7_200.0, "in 2h"),
        ] {
            assert_eq!(format_age(seconds), expected);
        }
    }
}

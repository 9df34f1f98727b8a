//! How long credentials are used before they are refreshed.
//!
//! Most sources only name the time of expiry, which is compared with the clock of this
//! host. That clock may be wrong. If it is an hour ahead, all credentials look as if they
//! had expired, and would be obtained again for every collection.

use std::time::{Duration, SystemTime};

use crate::clock::Clock;

/// How long before their expiry credentials are refreshed. Credentials that expire in less
/// than twice this time are refreshed after half of the time left.
pub(super) const REFRESH_BEFORE_EXPIRY: Duration = Duration::from_mins(5);

/// How long credentials that do not expire are cached. They are obtained again because
/// the operator may have changed them.
const TTL_WITHOUT_EXPIRY: Duration = Duration::from_mins(15);

/// The longest lifetime of temporary credentials of AWS. (STS API reference,
/// `GetSessionToken`.) Credentials that claim to live longer do not expire, or the clock
/// of this host is behind.
const MAX_LIFETIME: Duration = Duration::from_hours(36);

/// The shortest lifetime of temporary credentials of AWS. If less is left according to the
/// clock of this host, the clock may be ahead.
const SUSPICIOUSLY_SHORT: Duration = Duration::from_mins(15);

/// If less is left, credentials have expired for practical purposes.
const EXPIRED: Duration = Duration::from_secs(2);

/// The minimum time until the next refresh after the first credentials with little time left.
/// It doubles each time that the next credentials have little time left as well.
const INITIAL_BACKOFF: Duration = Duration::from_mins(1);

/// The maximum of the doubled [`INITIAL_BACKOFF`].
const MAX_BACKOFF: Duration = Duration::from_mins(15);

/// How long credentials are still valid when they are obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validity {
    /// They do not expire.
    Unlimited,
    /// By AWS's clock.
    Known(Duration),
    /// By the clock of this host, which may be wrong.
    Estimated(Duration),
}

impl Validity {
    /// The time until `expiry` by the clock of this host.
    pub(super) fn until(expiry: Option<SystemTime>) -> Self {
        let Some(expiry) = expiry else { return Self::Unlimited };
        // AWS's expiry is in real time, even if the exporter runs with a test clock.
        let now = Duration::try_from_secs_f64(Clock::system().now()).unwrap_or_default();
        // An expiry before 1970 counts as 1970.
        let expiry = expiry.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self::Estimated(expiry.saturating_sub(now))
    }
}

/// When credentials are refreshed, and when they expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) refresh_after: Duration,
    /// `None` if they do not expire.
    pub(super) expires_after: Option<Duration>,
    /// Whether so little time is left that the next refresh is delayed if its credentials
    /// have little time left as well.
    pub(super) is_short: bool,
    /// Whether the credentials have expired already.
    pub(super) has_expired: bool,
}

impl Lifetime {
    /// The lifetime of new credentials. `earlier_short` is how many in a row had little time
    /// left before these.
    pub(super) fn new(validity: Validity, earlier_short: u32) -> Self {
        let (left, short) = match validity {
            Validity::Unlimited => return Self::UNLIMITED,
            Validity::Known(left) => (left, EXPIRED),
            Validity::Estimated(left) => (left, SUSPICIOUSLY_SHORT),
        };
        if left > MAX_LIFETIME {
            return Self::UNLIMITED;
        }
        let (is_short, has_expired) = (left < short, left < EXPIRED);
        let until_refresh = left.saturating_sub(REFRESH_BEFORE_EXPIRY.min(left / 2));
        let min_until_refresh = match earlier_short {
            _ if !is_short => Duration::ZERO,
            0 if !has_expired => Duration::ZERO,
            number => INITIAL_BACKOFF.saturating_mul(1 << number.saturating_sub(1).min(16)).min(MAX_BACKOFF),
        };
        let refresh_after = until_refresh.max(min_until_refresh);
        // The credentials are used until the refresh. AWS rejects them if they really have
        // expired.
        Self { refresh_after, expires_after: Some(left.max(refresh_after)), is_short, has_expired }
    }

    const UNLIMITED: Self =
        Self { refresh_after: TTL_WITHOUT_EXPIRY, expires_after: None, is_short: false, has_expired: false };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refresh_after(validity: Validity, earlier_short: u32) -> Duration {
        Lifetime::new(validity, earlier_short).refresh_after
    }

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn credentials_are_refreshed_before_they_expire() {
        for left in [Validity::Known, Validity::Estimated] {
            assert_eq!(refresh_after(left(MINUTE * 60), 0), MINUTE * 55);
            assert_eq!(refresh_after(left(MINUTE * 60), 9), MINUTE * 55);
            assert_eq!(refresh_after(left(MINUTE * 8), 0), MINUTE * 4);
            assert_eq!(refresh_after(left(Duration::from_secs(8)), 0), Duration::from_secs(4));
        }
        assert_eq!(refresh_after(Validity::Known(Duration::from_secs(8)), 9), Duration::from_secs(4));
    }

    #[test]
    fn credentials_that_seem_to_have_expired_are_refreshed_with_backoff() {
        // A host whose clock is an hour ahead obtained credentials for every collection.
        for left in [Duration::ZERO, Duration::from_secs(1)] {
            for validity in [Validity::Known(left), Validity::Estimated(left)] {
                let minutes =
                    [0, 1, 2, 3, 4, 5, 6, u32::MAX].map(|n| refresh_after(validity, n).as_secs() / 60);
                assert_eq!(minutes, [1, 1, 2, 4, 8, 15, 15, 15], "{validity:?}");
                assert!(Lifetime::new(validity, 0).has_expired);
            }
        }
        // The clock is almost an hour ahead.
        let minutes = [0, 1, 2, 3, 4, 5].map(|n| refresh_after(Validity::Estimated(MINUTE * 2), n) / 60);
        assert_eq!(minutes.map(|time| time.as_secs()), [1, 1, 2, 4, 8, 15]);
    }

    #[test]
    fn an_expiry_far_in_the_future_counts_as_no_expiry() {
        for left in [MAX_LIFETIME + Duration::from_secs(1), Duration::from_hours(70_000_000), Duration::MAX] {
            for validity in [Validity::Known(left), Validity::Estimated(left)] {
                assert_eq!(Lifetime::new(validity, 0), Lifetime::UNLIMITED);
            }
        }
    }

    #[test]
    fn any_time_of_expiry_is_converted() {
        let year_9999 = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
        let before_1970 = SystemTime::UNIX_EPOCH - Duration::from_secs(1 << 40);
        assert_eq!(Validity::until(None), Validity::Unlimited);
        assert!(matches!(Validity::until(Some(year_9999)), Validity::Estimated(left) if left > MAX_LIFETIME));
        for past in [SystemTime::UNIX_EPOCH, before_1970] {
            assert_eq!(Validity::until(Some(past)), Validity::Estimated(Duration::ZERO));
        }
    }
}

//! The rate limit, and the budgets of requests that fail authentication.
//!
//! Each peer has a budget of the same size as the configured rate limit, so that failed
//! requests of one client use up neither the rate limit nor the budget of another.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota};
use parking_lot::Mutex;
use tokio::time::Instant;

/// How many peers have budgets of their own. Further peers share one, so that an attacker
/// with many addresses can neither exhaust memory nor renew a budget by having it evicted.
const MAX_PEERS: usize = 4096;

/// A limit on the rate of requests, over all clients together. Requests that fail
/// authentication have a limit of the same size for each client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The average time between two requests. Not zero.
    pub interval: Duration,
    /// The largest burst of requests that is admitted.
    pub burst: NonZeroU32,
}

/// Enforces a [`RateLimit`].
pub(super) struct RateLimiter {
    requests: DefaultDirectRateLimiter,
    failures: FailureBudget,
}

impl RateLimiter {
    /// `None` if the interval is zero.
    pub(super) fn new(limit: RateLimit) -> Option<Arc<Self>> {
        let quota = Quota::with_period(limit.interval)?.allow_burst(limit.burst);
        let requests = DefaultDirectRateLimiter::direct(quota);
        Some(Arc::new(Self { requests, failures: FailureBudget::new(limit) }))
    }

    /// Counts a request. `false` if it exceeds the limit.
    pub(super) fn admit(&self) -> bool {
        self.requests.check().is_ok()
    }

    /// Counts a request that has failed authentication. `false` if the peer has exceeded the
    /// limit on those.
    pub(super) fn admit_failure(&self, peer: IpAddr) -> bool {
        self.failures.take(peer)
    }
}

/// The budgets of all peers.
#[derive(Debug)]
struct FailureBudget {
    limit: RateLimit,
    budgets: Mutex<Budgets>,
}

/// For each budget, the time at which it is full again. A peer without an entry has its full
/// budget.
#[derive(Debug)]
struct Budgets {
    by_peer: HashMap<IpAddr, Instant>,
    /// The budget of the peers for which there is no room.
    shared: Instant,
}

impl FailureBudget {
    fn new(limit: RateLimit) -> Self {
        let budgets = Mutex::new(Budgets { by_peer: HashMap::new(), shared: Instant::now() });
        Self { limit, budgets }
    }

    /// Takes a failed request from the budget of `peer`. `false` if the budget is used up.
    fn take(&self, peer: IpAddr) -> bool {
        let now = Instant::now();
        let mut budgets = self.budgets.lock();
        let Budgets { by_peer, shared } = &mut *budgets;
        if by_peer.len() >= MAX_PEERS && !by_peer.contains_key(&peer) {
            by_peer.retain(|_, full_at| *full_at > now);
        }
        let full_at = if by_peer.len() < MAX_PEERS || by_peer.contains_key(&peer) {
            by_peer.entry(peer).or_insert(now)
        } else {
            shared
        };
        let RateLimit { interval, burst } = self.limit;
        let next_full_at = (*full_at).max(now) + interval;
        let is_within_budget = next_full_at - now <= interval.saturating_mul(burst.get());
        if is_within_budget {
            *full_at = next_full_at;
        }
        is_within_budget
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::time::advance;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    fn budget(burst: u32) -> FailureBudget {
        FailureBudget::new(RateLimit { interval: INTERVAL, burst: NonZeroU32::new(burst).unwrap() })
    }

    fn peer(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_budget_is_used_up_by_a_burst_and_refills_with_time() {
        let budget = budget(3);
        let take = |number| (0..5).filter(|_| budget.take(peer(number))).count();
        assert_eq!(take(1), 3);
        assert_eq!(take(2), 3, "every peer has its own budget");
        advance(INTERVAL).await;
        assert_eq!(take(1), 1);
        advance(INTERVAL * 60).await;
        assert_eq!(take(1), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_neither_renew_a_budget_nor_use_more_memory() {
        let budget = budget(2);
        let attacker = peer(0);
        assert!(budget.take(attacker) && budget.take(attacker) && !budget.take(attacker));
        let admitted = (1..10_000).filter(|number| budget.take(peer(*number))).count();
        assert_eq!(admitted, MAX_PEERS - 1 + 2, "further peers share one budget");
        assert!(!budget.take(attacker));
        assert_eq!(budget.budgets.lock().by_peer.len(), MAX_PEERS);
        // Full budgets make room.
        advance(INTERVAL).await;
        assert!(budget.take(peer(200_000)) && budget.take(peer(200_000)));
        assert!(budget.budgets.lock().by_peer.len() < MAX_PEERS);
        assert!(budget.take(attacker) && !budget.take(attacker));
    }
}

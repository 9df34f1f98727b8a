//! What has been called, and what is to go wrong.

use std::time::Instant;

use serde_json::{Value, json};

use super::World;
use crate::fault::{Fault, FaultRule};

/// How many times are kept of an operation in an account and region.
const MAX_TIMES: usize = 1000;

/// The calls of an operation in an account and region.
#[derive(Debug, Default)]
pub(super) struct Calls {
    number: u64,
    begun: Vec<Instant>,
}

impl World {
    /// Replaces all faults.
    pub fn set_faults(&self, faults: Vec<FaultRule>) {
        self.lock().faults = faults;
    }

    /// How many calls of `operation` have come in, in all.
    #[must_use]
    pub fn calls(&self, operation: &str) -> u64 {
        self.lock()
            .calls
            .iter()
            .filter(|((_, _, of), _)| of == operation)
            .map(|(_, calls)| calls.number)
            .sum()
    }

    /// How many calls of `operation` have come in from an account for a
    /// region.
    #[must_use]
    pub fn calls_of(&self, account: &str, region: &str, operation: &str) -> u64 {
        let key = (account.to_owned(), region.to_owned(), operation.to_owned());
        self.lock().calls.get(&key).map_or(0, |calls| calls.number)
    }

    /// Whether it is kept from now on when calls come in, see [`World::begun`].
    pub fn keep_times(&self, keep: bool) {
        self.lock().keeps_times = keep;
    }

    /// When the calls of `operation` from an account for a region have come
    /// in, as far as [`World::keep_times`] was set; not more than the first
    /// 1,000.
    #[must_use]
    pub fn begun(&self, account: &str, region: &str, operation: &str) -> Vec<Instant> {
        let key = (account.to_owned(), region.to_owned(), operation.to_owned());
        self.lock().calls.get(&key).map(|calls| calls.begun.clone()).unwrap_or_default()
    }

    /// All numbers of calls, as JSON.
    pub(crate) fn calls_as_json(&self) -> Value {
        self.lock()
            .calls
            .iter()
            .map(|((account, region, operation), calls)| {
                json!({"account": account, "region": region, "operation": operation, "calls": calls.number})
            })
            .collect()
    }

    /// Counts a call and tells how it is to go wrong.
    pub(crate) fn call(&self, account: &str, region: &str, operation: &str) -> Option<Fault> {
        let mut inner = self.lock();
        let keeps_times = inner.keeps_times;
        let key = (account.to_owned(), region.to_owned(), operation.to_owned());
        let calls = inner.calls.entry(key).or_default();
        calls.number += 1;
        if keeps_times && calls.begun.len() < MAX_TIMES {
            calls.begun.push(Instant::now());
        }
        let rule = inner.faults.iter_mut().find(|rule| rule.matches(account, region, operation))?;
        if let Some(times) = &mut rule.times {
            *times -= 1;
        }
        Some(rule.fault.clone())
    }

    /// An id for the next request.
    pub(crate) fn request_id(&self) -> String {
        let mut inner = self.lock();
        inner.requests += 1;
        format!("00000000-0000-4000-8000-{:012}", inner.requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_times_if_told_so() {
        let world = World::new();
        let call = || world.call("111122223333", "eu-west-1", "ListResourceDataSync");
        let begun = || world.begun("111122223333", "eu-west-1", "ListResourceDataSync");
        call();
        assert_eq!(begun(), []);
        world.keep_times(true);
        let before = Instant::now();
        call();
        call();
        let times = begun();
        assert!(times.len() == 2 && before <= times[0] && times[0] <= times[1], "{times:?}");
        for _ in 0..MAX_TIMES {
            call();
        }
        assert_eq!(begun().len(), MAX_TIMES);
        assert_eq!(begun()[..2], times);
        assert_eq!(world.calls("ListResourceDataSync"), 1003);
    }
}

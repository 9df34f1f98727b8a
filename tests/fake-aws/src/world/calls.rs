//! Records calls and selects the faults to inject.

use std::time::Instant;

use serde_json::{Value, json};

use super::World;
use crate::fault::{Fault, FaultRule};

/// Maximum number of call times that are recorded per operation, account and region.
const MAX_TIMES: usize = 1000;

/// The calls of an operation in an account and region.
#[derive(Debug, Default)]
pub(super) struct Calls {
    number: u64,
    times: Vec<Instant>,
}

impl World {
    /// Replaces all fault rules. The first matching rule applies.
    pub fn set_faults(&self, faults: Vec<FaultRule>) {
        self.lock().faults = faults;
    }

    /// Number of calls of `operation`, by all accounts and in all regions.
    #[must_use]
    pub fn calls(&self, operation: &str) -> u64 {
        self.lock()
            .calls
            .iter()
            .filter(|((_, _, of), _)| of == operation)
            .map(|(_, calls)| calls.number)
            .sum()
    }

    /// Number of calls of `operation` by an account in a region.
    #[must_use]
    pub fn calls_of(&self, account: &str, region: &str, operation: &str) -> u64 {
        let key = (account.to_owned(), region.to_owned(), operation.to_owned());
        self.lock().calls.get(&key).map_or(0, |calls| calls.number)
    }

    /// Starts or stops recording the times of calls, see [`World::call_times`].
    pub fn record_call_times(&self, record: bool) {
        self.lock().records_call_times = record;
    }

    /// The times of the calls of `operation` by an account in a region while
    /// [`World::record_call_times`] was on. Only the first 1,000 are kept.
    #[must_use]
    pub fn call_times(&self, account: &str, region: &str, operation: &str) -> Vec<Instant> {
        let key = (account.to_owned(), region.to_owned(), operation.to_owned());
        self.lock().calls.get(&key).map(|calls| calls.times.clone()).unwrap_or_default()
    }

    /// The number of calls of each operation by account and region, as JSON.
    pub(crate) fn calls_as_json(&self) -> Value {
        self.lock()
            .calls
            .iter()
            .map(|((account, region, operation), calls)| {
                json!({"account": account, "region": region, "operation": operation, "calls": calls.number})
            })
            .collect()
    }

    /// Counts a call and returns the faults to inject.
    pub(crate) fn record_call(
        &self,
        service: &str,
        account: &str,
        region: &str,
        operation: &str,
    ) -> Vec<Fault> {
        let mut inner = self.lock();
        let records_call_times = inner.records_call_times;
        let key = (account.to_owned(), region.to_owned(), operation.to_owned());
        let calls = inner.calls.entry(key).or_default();
        calls.number += 1;
        if records_call_times && calls.times.len() < MAX_TIMES {
            calls.times.push(Instant::now());
        }
        let mut rules = inner.faults.iter_mut();
        let Some(rule) = rules.find(|rule| rule.matches(service, account, region, operation)) else {
            return Vec::new();
        };
        if let Some(times) = &mut rule.times {
            *times -= 1;
        }
        rule.fault.clone().into_list()
    }

    /// Counts a request and returns its number.
    pub(crate) fn count_request(&self) -> u64 {
        let mut inner = self.lock();
        inner.requests += 1;
        inner.requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_times_are_only_recorded_on_request() {
        let world = World::new();
        let call = || world.record_call("ssm", "111122223333", "eu-west-1", "ListResourceDataSync");
        let call_times = || world.call_times("111122223333", "eu-west-1", "ListResourceDataSync");
        call();
        assert_eq!(call_times(), []);
        world.record_call_times(true);
        let before = Instant::now();
        call();
        call();
        let times = call_times();
        assert!(times.len() == 2 && before <= times[0] && times[0] <= times[1], "{times:?}");
        for _ in 0..MAX_TIMES {
            call();
        }
        assert_eq!(call_times().len(), MAX_TIMES);
        assert_eq!(call_times()[..2], times);
        assert_eq!(world.calls("ListResourceDataSync"), 1003);
    }
}

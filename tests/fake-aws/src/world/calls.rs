//! What has been called, and what is to go wrong.

use serde_json::{Value, json};

use super::World;
use crate::fault::{Fault, FaultRule};

impl World {
    /// Replaces all faults.
    pub fn set_faults(&self, faults: Vec<FaultRule>) {
        self.lock().faults = faults;
    }

    /// How many calls of `operation` have come in, in all.
    #[must_use]
    pub fn calls(&self, operation: &str) -> u64 {
        self.lock().calls.iter().filter(|((_, _, of), _)| of == operation).map(|(_, number)| number).sum()
    }

    /// How many calls of `operation` have come in from an account for a
    /// region.
    #[must_use]
    pub fn calls_of(&self, account: &str, region: &str, operation: &str) -> u64 {
        let key = (account.to_owned(), region.to_owned(), operation.to_owned());
        self.lock().calls.get(&key).copied().unwrap_or_default()
    }

    /// All numbers of calls, as JSON.
    pub(crate) fn calls_as_json(&self) -> Value {
        self.lock()
            .calls
            .iter()
            .map(|((account, region, operation), number)| {
                json!({"account": account, "region": region, "operation": operation, "calls": number})
            })
            .collect()
    }

    /// Counts a call and tells how it is to go wrong.
    pub(crate) fn call(&self, account: &str, region: &str, operation: &str) -> Option<Fault> {
        let mut inner = self.lock();
        *inner.calls.entry((account.to_owned(), region.to_owned(), operation.to_owned())).or_default() += 1;
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

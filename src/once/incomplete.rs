//! The error of `once` if something could not be collected.

use std::time::Duration;

use super::{Results, escape_control_characters, pluralize, target_name};
use crate::duration;
use crate::fleet::{FailingLookups, Shard};

/// Everything that could not be collected, as one line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct IncompleteCollection(Vec<String>);

impl IncompleteCollection {
    /// Lists everything that is missing from `results` after `ready_after`, or returns
    /// `None` if nothing is missing. `pending_lookups` is the number of discovery lookups
    /// without a first result.
    pub(super) fn find(
        results: &Results,
        failing_lookups: &FailingLookups,
        pending_lookups: usize,
        ready_after: Duration,
        shard: Shard,
    ) -> Option<Self> {
        let FailingLookups { organization, units, accounts } = failing_lookups;
        let ready_after = duration::format(ready_after);
        let mut missing = Vec::new();
        if let Some(failure) = organization {
            let (reason, message) = (failure.reason, escape_control_characters(&failure.message));
            missing.push(format!("cannot list the accounts of the organization ({reason}: {message})"));
        }
        if let Some(failure) = units {
            let (reason, message) = (failure.reason, escape_control_characters(&failure.message));
            missing.push(format!(
                "cannot list the organizational units of the configuration ({reason}: {message})"
            ));
        }
        if *accounts > 0 {
            missing.push(format!("cannot list the enabled regions of {}", pluralize(*accounts, "account")));
        }
        // `pending_lookups` also counts the listing of the organization if it has only failed
        // so far. That failure has an entry above.
        let unanswered = pending_lookups.saturating_sub(usize::from(organization.is_some()));
        if unanswered > 0 {
            let lookups = pluralize(unanswered, "discovery lookup");
            missing.push(format!("{lookups} not answered within {ready_after} (`ready_after`)"));
        }

        let targets = pluralize(results.targets.len(), "target");
        if let Some(example) = results.with_up(None).next() {
            let (number, example) = (results.with_up(None).count(), target_name(example));
            missing.push(format!(
                "{number} of {targets} not collected within {ready_after} (`ready_after`), for example {example}"
            ));
        }
        if let Some(example) = results.with_up(Some(false)).next() {
            let failure = example.state().last.as_ref().and_then(|last| last.failure.as_ref());
            let reason = failure.map(|failure| format!(" ({})", failure.reason)).unwrap_or_default();
            let (number, example) = (results.with_up(Some(false)).count(), target_name(example));
            missing.push(format!("{number} of {targets} failed, for example {example}{reason}"));
        }

        // It is normal for one of several shards to have no targets.
        if results.targets.is_empty() && missing.is_empty() && !shard.is_one_of_many() {
            missing.push("no targets to poll; check `accounts`, `organization` and `regions`".to_owned());
        }
        (!missing.is_empty()).then_some(Self(missing))
    }
}

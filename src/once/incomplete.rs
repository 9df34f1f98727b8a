//! What is missing from that which was to be collected.

use std::time::Duration;

use super::{Known, Number, harmless, spoken};
use crate::fleet::Shard;
use crate::fleet::Unresolved;
use crate::snapshot::TargetView;

/// What could not be collected, in one line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct Incomplete(Vec<String>);

impl Incomplete {
    /// What is missing from what is `known` after `patience`, if anything is.
    /// `pending` answers could have brought more targets.
    pub(super) fn of(
        known: &Known,
        unresolved: &Unresolved,
        pending: usize,
        patience: Duration,
        shard: Shard,
    ) -> Option<Self> {
        let Unresolved { organization, accounts } = unresolved;
        let mut missing = Vec::new();
        if let Some(failure) = organization {
            let (reason, message) = (failure.reason, harmless(&failure.message));
            missing.push(format!("the accounts of the organization cannot be listed ({reason}: {message})"));
        }
        if *accounts > 0 {
            let them = Number(*accounts, "account");
            missing.push(format!("not known which regions are enabled in {them}"));
        }
        let pending = pending - usize::from(organization.is_some()).min(pending);
        let patience = spoken(patience);
        if pending > 0 {
            let them = Number(pending, "answer");
            missing.push(format!("{them} about accounts and regions did not come within {patience}"));
        }

        let all = Number(known.views.len(), "target");
        let waiting: Vec<_> = known.views.iter().filter(|view| view.up().is_none()).collect();
        if let Some(example) = waiting.first() {
            let (number, example) = (waiting.len(), name(example));
            missing.push(format!("{number} of {all} not collected within {patience}, such as {example}"));
        }
        let failed: Vec<_> = known.views.iter().filter(|view| view.up() == Some(false)).collect();
        if let Some(example) = failed.first() {
            let reason = example.state.last.as_ref().and_then(|last| last.failure.as_ref());
            let reason = reason.map(|failure| format!(" ({})", failure.reason)).unwrap_or_default();
            let (number, example) = (failed.len(), name(example));
            missing.push(format!("{number} of {all} failed, such as {example}{reason}"));
        }

        // One of many exporters may have none of a few targets.
        if known.views.is_empty() && missing.is_empty() && !shard.is_one_of_many() {
            missing.push("there is nothing to poll".to_owned());
        }
        (!missing.is_empty()).then_some(Self(missing))
    }
}

/// A target as the log has it.
fn name(view: &TargetView) -> String {
    let target = view.target();
    harmless(&format!("{}/{}", target.account.display_id(view.state.account.as_ref()), target.region))
}

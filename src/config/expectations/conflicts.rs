//! Finds expectations that no fleet can meet together.
//!
//! Two expectations conflict only if some target is certainly selected by both: they have the same
//! selectors, or one of them selects every target, or both select a target that `accounts` and `regions`
//! name. Everything else depends on names and units that are not known here.

use std::collections::BTreeSet;

use super::polled::Polled;
use crate::expectations::{Expectation, Presence, TextPattern};
use crate::fleet::{Selected, Target, TargetSelector};
use crate::model::{ManagedBy, Quota, SyncType};

/// An expectation, by its index, that conflicts with others, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    pub(super) expectation: usize,
    pub(super) message: String,
}

/// The first conflict among expectations.
pub(super) fn find(expectations: &[Expectation], quota: Quota, polled: &Polled<'_>) -> Option<Conflict> {
    forbidden_requirement(expectations, polled).or_else(|| too_many_syncs(expectations, quota, polled))
}

/// A sync that one expectation requires and another one forbids.
fn forbidden_requirement(expectations: &[Expectation], polled: &Polled<'_>) -> Option<Conflict> {
    let with = |presence| {
        expectations.iter().enumerate().filter(move |(_, expectation)| expectation.presence == presence)
    };
    for (required_index, required) in with(Presence::Required) {
        for (forbidden_index, forbidden) in with(Presence::Forbidden) {
            if forbids(forbidden, required) && overlap(&required.targets, &forbidden.targets, polled) {
                return Some(Conflict {
                    expectation: required_index.max(forbidden_index),
                    message: format!(
                        "`{}` requires a sync that `{}` forbids in the same targets; change one of the two",
                        required.name, forbidden.name
                    ),
                });
            }
        }
    }
    None
}

/// Whether no sync can be as `required` describes it without being as `forbidden` describes it.
fn forbids(forbidden: &Expectation, required: &Expectation) -> bool {
    let Some(name) = required.request.single_name() else { return false };
    let has_manager = || {
        forbidden.managed_by.is_empty()
            || name
                .literal_text()
                .is_some_and(|name| forbidden.managed_by.contains(&ManagedBy::from_sync_name(name)))
    };
    let has_name = match forbidden.request.names.as_slice() {
        [] => has_manager(),
        names => names.contains(name),
    };
    forbidden.request.sync_type == required.request.sync_type
        && has_name
        && forbidden.request.values().all(|(field, value)| required.request.value(field) == Some(value))
}

/// Whether some target is certainly selected by both.
fn overlap(a: &TargetSelector, b: &TargetSelector, polled: &Polled<'_>) -> bool {
    a == b
        || a.selects_all()
        || b.selects_all()
        || polled
            .certain_targets()
            .any(|target| certainly_selects(a, &target) && certainly_selects(b, &target))
}

fn certainly_selects(selector: &TargetSelector, target: &Target) -> bool {
    selector.selects(target, target.account.id.as_ref()) == Selected::Yes
}

/// More syncs of a type that are required in a target than AWS allows.
fn too_many_syncs(expectations: &[Expectation], quota: Quota, polled: &Polled<'_>) -> Option<Conflict> {
    for sync_type in [SyncType::ToDestination, SyncType::FromSource] {
        let Some(limit) = quota.of(&sync_type).and_then(|limit| usize::try_from(limit).ok()) else {
            continue;
        };
        let required: Vec<Requirement<'_>> = expectations
            .iter()
            .enumerate()
            .filter(|(_, expectation)| {
                expectation.presence == Presence::Required && expectation.request.sync_type == sync_type
            })
            .filter_map(|(index, expectation)| {
                Some(Requirement {
                    index,
                    name: expectation.request.single_name()?,
                    targets: &expectation.targets,
                })
            })
            .collect();
        if names(&required).len() <= limit {
            continue;
        }
        // The selector of one expectation stands for the targets that it selects.
        let alike = required.iter().map(|one| {
            let has_all_targets_of =
                |other: &&Requirement<'_>| other.targets == one.targets || other.targets.selects_all();
            required.iter().filter(has_all_targets_of).copied().collect::<Vec<_>>()
        });
        let of_target = polled.certain_targets().map(|target| {
            let selects = |one: &&Requirement<'_>| certainly_selects(one.targets, &target);
            required.iter().filter(selects).copied().collect::<Vec<_>>()
        });
        let mut groups = alike.chain(of_target);
        if let Some(group) = groups.find(|group| names(group).len() > limit) {
            let count = names(&group).len();
            let last = group.iter().map(|one| one.index).max()?;
            let message = format!(
                "the expectations up to this one require {count} syncs of the type {sync_type} in the same targets, but \
                 `quota.{sync_type}` is {limit}; require fewer, or raise the quota if AWS allows more"
            );
            return Some(Conflict { expectation: last, message });
        }
    }
    None
}

/// A required sync that has only one name.
#[derive(Clone, Copy)]
struct Requirement<'a> {
    index: usize,
    name: &'a TextPattern,
    targets: &'a TargetSelector,
}

/// The distinct names.
fn names(required: &[Requirement<'_>]) -> BTreeSet<String> {
    required.iter().map(|one| one.name.to_string()).collect()
}

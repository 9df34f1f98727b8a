//! The state of the fleet as a JSON document, for programs: the API and `once --format json`.
//!
//! The keys are a public interface: new keys may be added, but no key may be renamed. Keys are
//! named after the labels of the metrics and the fields of AWS. What AWS leaves out, and what is
//! not known, is left out here as well. `config/README.md` describes every key.

mod expectation;
mod stream;
mod target;

use serde::{Serialize, Serializer};

use super::managed_nodes::ManagedNodeCounts;
use crate::build_info;
use crate::expectations::Expectation;
use crate::fleet::FailingLookups;
use crate::health::{AssessedSync, AssessedTarget, ConcernKind, Health, HealthCounts};
use crate::model::{Failure, Reason, UnixSeconds};

use expectation::ExpectationCounts;
pub(super) use stream::{DocumentPage, Position, SelectedTarget};
use target::Target;

/// The document up to its targets.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) generated_at: UnixSeconds,
    pub(crate) summary: Summary,
    /// The URL of the next page, relative to the URL of this one.
    pub(crate) next: Option<String>,
}

/// A [`Head`] as it is written.
#[derive(Serialize)]
struct HeadItem<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    generated_at: Option<String>,
    /// The version of the exporter.
    version: &'static str,
    summary: &'a Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
}

/// Counts everything that the document is about, on all of its pages.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    targets: usize,
    targets_up: usize,
    targets_failed: usize,
    /// Targets whose first collection has not ended. In `once`, they were not collected within
    /// `ready_after`.
    targets_not_collected: usize,
    /// Whether discovery has found every target.
    targets_complete: bool,
    #[serde(serialize_with = "all_counts")]
    targets_by_health: HealthCounts,
    syncs: usize,
    /// Syncs whose status is `Failed` or whose source has a fault.
    syncs_failed: usize,
    #[serde(serialize_with = "sync_counts")]
    syncs_by_health: HealthCounts,
    #[serde(serialize_with = "concern_counts")]
    concerns: [usize; ConcernKind::ALL.len()],
    /// The number of targets by the state of their managed nodes. Left out if lookups are not enabled for
    /// any of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    managed_nodes: Option<ManagedNodeCounts>,
    targets_not_as_expected: usize,
    expectations: ExpectationCounts,
    discovery: Discovery,
    /// Left out if the configuration cannot be reloaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    config_last_reload_successful: Option<bool>,
}

/// The discovery lookups because of which targets may be missing or outdated.
#[derive(Debug, Serialize)]
struct Discovery {
    pending_lookups: usize,
    /// Why the accounts of the organization could not be listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    organization_failure: Option<LookupFailure>,
    /// Why the organizational units of accounts could not be looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    units_failure: Option<LookupFailure>,
    /// Accounts whose enabled regions could not be listed.
    failing_region_lookups: usize,
}

#[derive(Debug, Serialize)]
struct LookupFailure {
    reason: &'static str,
    message: String,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: HeadItem<'a>,
    targets: Vec<Target<'a>>,
}

/// Renders the whole document indented, with a newline at its end. The targets were judged by
/// `expectations`.
pub(crate) fn to_vec_pretty<'a>(
    head: &Head,
    expectations: &'a [Expectation],
    targets: impl IntoIterator<Item = &'a AssessedTarget>,
) -> serde_json::Result<Vec<u8>> {
    let targets =
        targets.into_iter().map(|target| Target::new(target, expectations, target.syncs())).collect();
    let mut text = serde_json::to_vec_pretty(&Document { head: head.dated(true), targets })?;
    text.push(b'\n');
    Ok(text)
}

impl Head {
    fn dated(&self, is_dated: bool) -> HeadItem<'_> {
        HeadItem {
            generated_at: rfc3339(self.generated_at).filter(|_| is_dated),
            version: build_info::VERSION,
            summary: &self.summary,
            next: self.next.as_deref(),
        }
    }
}

impl Summary {
    /// A summary without targets.
    pub(crate) fn new(
        pending_lookups: usize,
        failing_lookups: &FailingLookups,
        expectations: &[Expectation],
    ) -> Self {
        let FailingLookups { organization, units, accounts } = failing_lookups;
        let failure = |Failure { reason, message, .. }: &Failure| LookupFailure {
            reason: Reason::as_str(*reason),
            message: message.clone(),
        };
        Self {
            targets: 0,
            targets_up: 0,
            targets_failed: 0,
            targets_not_collected: 0,
            targets_complete: pending_lookups == 0 && !failing_lookups.may_hide_targets(),
            targets_by_health: HealthCounts::default(),
            syncs: 0,
            syncs_failed: 0,
            syncs_by_health: HealthCounts::default(),
            concerns: [0; ConcernKind::ALL.len()],
            managed_nodes: None,
            targets_not_as_expected: 0,
            expectations: ExpectationCounts::new(expectations),
            discovery: Discovery {
                pending_lookups,
                organization_failure: organization.as_ref().map(failure),
                units_failure: units.as_ref().map(failure),
                failing_region_lookups: *accounts,
            },
            config_last_reload_successful: None,
        }
    }

    /// Adds whether the last reload of the configuration succeeded.
    pub(super) fn set_last_reload(&mut self, is_successful: bool) {
        self.config_last_reload_successful = Some(is_successful);
    }

    /// Counts a target, and of its syncs these.
    pub(crate) fn add<'a>(
        &mut self,
        target: &AssessedTarget,
        syncs: impl IntoIterator<Item = AssessedSync<'a>>,
    ) {
        self.targets += 1;
        match target.up() {
            Some(true) => self.targets_up += 1,
            Some(false) => self.targets_failed += 1,
            None => self.targets_not_collected += 1,
        }
        self.targets_by_health.add(target.health);
        for sync in syncs {
            self.syncs += 1;
            self.syncs_failed += usize::from(sync.health.is_failed_sync());
            self.syncs_by_health.add(sync.health);
        }
        for concern in target.concerns() {
            self.concerns[concern.kind as usize] += 1;
        }
        ManagedNodeCounts::add(&mut self.managed_nodes, target);
        self.targets_not_as_expected += usize::from(target.is_violated());
        self.expectations.add(target.judgements());
    }
}

fn all_counts<S: Serializer>(counts: &HealthCounts, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(Health::ALL.iter().map(|health| (health.as_str(), counts.get(*health))))
}

fn sync_counts<S: Serializer>(counts: &HealthCounts, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(Health::SYNC_VALUES.map(|health| (health.as_str(), counts.get(health))))
}

fn concern_counts<S: Serializer>(
    counts: &[usize; ConcernKind::ALL.len()],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer
        .collect_map(std::iter::zip(ConcernKind::ALL, counts).map(|(kind, count)| (kind.as_str(), count)))
}

/// In UTC and to the millisecond, the precision of AWS. `None` beyond the year 9999.
pub(crate) fn rfc3339(seconds: UnixSeconds) -> Option<String> {
    let since_epoch = jiff::SignedDuration::try_from_secs_f64(seconds).ok()?;
    let time = jiff::Timestamp::from_duration(since_epoch).ok()?;
    Some(time.round(jiff::Unit::Millisecond).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        assert_eq!(rfc3339(1_763_800_000.0).unwrap(), "2025-11-22T08:26:40Z");
        assert_eq!(rfc3339(1_763_800_000.123).unwrap(), "2025-11-22T08:26:40.123Z");
        assert_eq!(rfc3339(-0.5).unwrap(), "1969-12-31T23:59:59.5Z");
        for beyond in [1e15, f64::INFINITY, f64::NAN] {
            assert_eq!(rfc3339(beyond), None);
        }
    }
}

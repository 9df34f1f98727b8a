//! Which targets and syncs a query selects.
//!
//! All filters of a query have to match: account, region, status, reason, expectation and search. What
//! each value of the status selects is documented at [`HealthFilter`].

use super::TargetRow;
use crate::expectations::{Expectation, ExpectationState, Judgement, ViolationSubject};
use crate::health::{AssessedSync, Difference};
use crate::model::{DataSync, Failure};
use crate::snapshot::ManagedNodes;
use crate::status::query::{HealthFilter, PageQuery};

/// The filters of a query, prepared for comparing them with many targets.
#[derive(Clone, Debug)]
pub(super) struct Selection<'a> {
    query: &'a PageQuery,
    expectations: &'a [Expectation],
    /// The index of the expectation that the query names.
    expectation: Option<usize>,
    account: Needle,
    search: Needle,
}

impl<'a> Selection<'a> {
    /// `expectations` are all that are configured.
    pub(super) fn new(query: &'a PageQuery, expectations: &'a [Expectation]) -> Self {
        let index = || expectations.iter().position(|expectation| expectation.name == query.expectation);
        // An expectation that a reload has removed meanwhile selects nothing.
        let expectation = (!query.expectation.is_empty()).then(|| index().unwrap_or(usize::MAX));
        let (account, search) = (Needle::new(&query.account), Needle::new(&query.search));
        Self { query, expectations, expectation, account, search }
    }

    /// Whether the account, by its id or name, is selected.
    pub(super) fn account(&self, id: &str, name: Option<&str>) -> bool {
        self.account.is_in(id) || name.is_some_and(|name| self.account.is_in(name))
    }

    /// Whether the region of the target is selected.
    pub(super) fn region(&self, target: &TargetRow) -> bool {
        self.query.region.as_ref().is_none_or(|region| region == target.region())
    }

    /// Whether the reason why the target is down is selected.
    pub(super) fn reason(&self, target: &TargetRow) -> bool {
        self.query.reason.is_none_or(|reason| target.failure().is_some_and(|it| it.reason == reason))
    }

    /// Whether the expectation that the query names is, or may be, about the target.
    pub(super) fn expectation(&self, target: &TargetRow) -> bool {
        self.expectation.is_none() || self.judgements(target).next().is_some()
    }

    /// The judgements of the target by the expectations that the query selects.
    pub(super) fn judgements<'t>(&self, target: &'t TargetRow) -> impl Iterator<Item = &'t Judgement> {
        let wanted = self.expectation;
        let judgements = target.assessed.judgements().iter();
        judgements.filter(move |judgement| wanted.is_none_or(|wanted| wanted == judgement.expectation))
    }

    fn is_violated_by(&self, target: &TargetRow) -> bool {
        self.judgements(target).any(|judgement| judgement.state.is_violation())
    }

    /// Whether status, reason, expectation and search select the target. The search finds a target by
    /// its failure or that of its managed-node lookup, by any of its syncs, and by a sync that is missing.
    pub(super) fn target(&self, target: &TargetRow) -> bool {
        self.query.health.is_none_or(|filter| self.status_of_target(filter, target))
            && self.reason(target)
            && self.expectation(target)
            && (self.search.is_empty()
                || [target.failure(), target.node_failure()]
                    .into_iter()
                    .flatten()
                    .any(|it| self.finds_failure(it))
                || target.assessed.syncs().any(|sync| self.finds_sync(sync.sync))
                || self.judgements(target).any(|judgement| self.finds_missing(target, judgement)))
    }

    fn status_of_target(&self, filter: HealthFilter, target: &TargetRow) -> bool {
        match filter {
            HealthFilter::AnyProblem => target.is_in_trouble(),
            HealthFilter::Only(wanted) => wanted == target.health(),
            HealthFilter::NotAsExpected => self.is_violated_by(target),
            HealthFilter::Concern(kind) => target.concerns.iter().any(|concern| concern.kind == kind),
            HealthFilter::NoManagedNodes => target.assessed.managed_nodes() == Some(ManagedNodes::Absent),
            HealthFilter::ManagedNodesUnknown => target.node_failure().is_some(),
        }
    }

    /// Whether `filter`, the expectation and the search select the sync, which is at `index` among those
    /// of its target.
    pub(super) fn sync(
        &self,
        filter: Option<HealthFilter>,
        target: &TargetRow,
        index: usize,
        assessed: &AssessedSync<'_>,
    ) -> bool {
        let sync = assessed.sync;
        filter.is_none_or(|filter| self.status_of_sync(filter, target, index, assessed))
            && (self.expectation.is_none() || self.expectation_of_sync(target, sync))
            && (self.search.is_empty() || self.finds_sync(sync))
    }

    fn status_of_sync(
        &self,
        filter: HealthFilter,
        target: &TargetRow,
        index: usize,
        AssessedSync { sync, health, managed_nodes, .. }: &AssessedSync<'_>,
    ) -> bool {
        match filter {
            HealthFilter::AnyProblem => health.is_problem(),
            HealthFilter::Only(wanted) => wanted == *health,
            HealthFilter::NotAsExpected => {
                self.judgements(target).any(|judgement| judgement.is_violated_by(index))
            }
            HealthFilter::Concern(kind) => {
                let mut concerns = target.concerns.iter();
                concerns.any(|concern| concern.kind == kind && concern.is_about(index, &sync.sync_type))
            }
            HealthFilter::NoManagedNodes => *managed_nodes == Some(ManagedNodes::Absent),
            HealthFilter::ManagedNodesUnknown => matches!(managed_nodes, Some(ManagedNodes::Unknown(_))),
        }
    }

    /// Whether the expectation that the query names is about the sync.
    fn expectation_of_sync(&self, target: &TargetRow, sync: &DataSync) -> bool {
        self.judgements(target).any(|judgement| {
            let expectation = self.expectations.get(judgement.expectation);
            judgement.state != ExpectationState::Unknown
                && expectation.is_some_and(|it| {
                    it.is_about_sync(target.assessed.target(), target.assessed.state().account.as_ref(), sync)
                })
        })
    }

    /// Whether the search finds the violation of an expectation: by the name of the expectation, or by
    /// the sync that violates it.
    pub(super) fn finds_violation(
        &self,
        target: &TargetRow,
        judgement: &Judgement,
        subject: ViolationSubject,
    ) -> bool {
        let name = self.expectations.get(judgement.expectation).map(|expectation| &expectation.name);
        let sync = subject.sync().and_then(|index| target.assessed.sync(index));
        self.search.is_empty()
            || name.is_some_and(|name| self.search.is_in(name))
            || sync.is_some_and(|sync| self.finds_sync(sync.sync))
            || self.finds_missing(target, judgement)
    }

    /// Whether the search finds the sync that is missing according to the judgement.
    fn finds_missing(&self, target: &TargetRow, judgement: &Judgement) -> bool {
        if judgement.state != ExpectationState::Missing {
            return false;
        }
        let Some(expectation) = self.expectations.get(judgement.expectation) else { return false };
        judgement.violations.iter().any(|violation| {
            let name = Difference::new(&target.assessed, expectation, violation).sync_name;
            name.is_some_and(|name| self.search.is_in(&name))
        })
    }

    /// Whether the search finds the failure of a target.
    pub(super) fn finds_failure(&self, failure: &Failure) -> bool {
        self.search.is_in(failure.reason.as_str()) || self.search.is_in(&failure.message)
    }

    fn finds_sync(&self, sync: &DataSync) -> bool {
        let bucket = sync.destination.as_ref().and_then(|destination| destination.bucket_name.as_deref());
        self.search.is_in(&sync.name)
            || bucket.is_some_and(|bucket| self.search.is_in(bucket))
            || sync.last_status_message.as_deref().is_some_and(|message| self.search.is_in(message))
    }
}

/// A text to look for in other texts, without regard to case. An empty text is in every text.
#[derive(Clone, Debug)]
struct Needle {
    lowercase: String,
}

impl Needle {
    fn new(text: &str) -> Self {
        Self { lowercase: text.to_lowercase() }
    }

    fn is_empty(&self) -> bool {
        self.lowercase.is_empty()
    }

    fn is_in(&self, text: &str) -> bool {
        self.is_empty() || text.to_lowercase().contains(&self.lowercase)
    }
}

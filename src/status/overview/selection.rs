//! Which targets and syncs a query selects.
//!
//! All filters of a query have to match: account, region, status, reason and search. What each
//! value of the status selects is documented at [`HealthFilter`].

use super::TargetRow;
use crate::health::{AssessedSync, Concern, Health};
use crate::model::{DataSync, Failure};
use crate::status::query::{HealthFilter, PageQuery};

/// The filters of a query, prepared for comparing them with many targets.
#[derive(Clone, Debug)]
pub(super) struct Selection<'a> {
    query: &'a PageQuery,
    account: Needle,
    search: Needle,
}

impl<'a> Selection<'a> {
    pub(super) fn new(query: &'a PageQuery) -> Self {
        Self { query, account: Needle::new(&query.account), search: Needle::new(&query.search) }
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

    /// Whether status, reason and search select the target. The search finds a target by its failure
    /// and by any of its syncs.
    pub(super) fn target(&self, target: &TargetRow) -> bool {
        self.query.health.is_none_or(|filter| filter.selects_target(target.health(), &target.concerns))
            && self.reason(target)
            && (self.search.is_empty()
                || target.failure().is_some_and(|failure| self.finds_failure(failure))
                || target.assessed.syncs().any(|sync| self.finds_sync(sync.sync)))
    }

    /// Whether `filter` and the search select the sync, which is at `index` among those of its target.
    pub(super) fn sync(
        &self,
        filter: Option<HealthFilter>,
        target: &TargetRow,
        index: usize,
        assessed: &AssessedSync<'_>,
    ) -> bool {
        let AssessedSync { sync, health, .. } = assessed;
        filter.is_none_or(|filter| filter.selects_sync(sync, index, *health, &target.concerns))
            && (self.search.is_empty() || self.finds_sync(sync))
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

impl HealthFilter {
    fn selects_target(self, health: Health, concerns: &[Concern]) -> bool {
        match self {
            Self::AnyProblem => {
                health.is_problem() || concerns.iter().any(|concern| concern.kind.is_trouble())
            }
            Self::Only(wanted) => wanted == health,
            Self::Concern(kind) => concerns.iter().any(|concern| concern.kind == kind),
        }
    }

    fn selects_sync(self, sync: &DataSync, index: usize, health: Health, concerns: &[Concern]) -> bool {
        match self {
            Self::AnyProblem => health.is_problem(),
            Self::Only(wanted) => wanted == health,
            Self::Concern(kind) => {
                concerns.iter().any(|concern| concern.kind == kind && is_about(concern, sync, index))
            }
        }
    }
}

/// Whether the concern is about the sync, which is at `index` among those of its target.
fn is_about(concern: &Concern, sync: &DataSync, index: usize) -> bool {
    match concern.sync {
        Some(concerned) => concerned == index,
        None => concern.sync_type == sync.sync_type,
    }
}

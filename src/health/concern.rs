//! What needs attention although nothing is broken: quotas that are used up or nearly so, a sync that
//! the unified console needs, and settings of syncs that may cost more than expected.

use std::collections::BTreeMap;

use crate::model::{DataSync, ManagedBy, Quota, SyncType, UNIFIED_CONSOLE_SYNC};

/// Something about a target, or about one of its syncs, that needs attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Concern {
    pub(crate) kind: ConcernKind,
    pub(crate) sync_type: SyncType,
    /// The index of the sync among those of the target; `None` if the concern is about all syncs of
    /// the type, or about a sync that is missing.
    pub(crate) sync: Option<usize>,
    /// How many syncs of the type there are, and how many there may be.
    pub(crate) quota: Option<(u64, u32)>,
}

impl Concern {
    /// There are managed nodes, and the required sync of the unified console is missing.
    pub(super) fn unified_console_sync_missing() -> Self {
        let kind = ConcernKind::UnifiedConsoleSyncMissing;
        Self { kind, sync_type: SyncType::FromSource, sync: None, quota: None }
    }

    /// Whether the concern is about the sync with this index and type.
    pub(crate) fn is_about(&self, index: usize, sync_type: &SyncType) -> bool {
        match self.sync {
            Some(concerned) => concerned == index,
            None => self.missing_sync().is_none() && self.sync_type == *sync_type,
        }
    }

    /// The name of the sync that is missing, if that is the concern.
    pub(crate) fn missing_sync(&self) -> Option<&'static str> {
        (self.kind == ConcernKind::UnifiedConsoleSyncMissing).then_some(UNIFIED_CONSOLE_SYNC)
    }
}

/// The kinds of [`Concern`], most urgent first.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum ConcernKind {
    /// No further sync of the type can be created.
    QuotaUsed,
    /// Only few further syncs of the type can be created.
    QuotaNearlyUsed,
    /// The quota is used up and Amazon Inspector has no sync. Inspector needs to create one, and
    /// its scans of instances fail otherwise.
    InspectorSyncBlocked,
    /// There are managed nodes, and the required sync of the unified console is missing. Without it, the
    /// console does not list them together with the nodes of other accounts and regions.
    UnifiedConsoleSyncMissing,
    /// A sync from an organization enables all `OpsData` sources in all accounts. AWS charges for
    /// `OpsData`.
    AllOpsDataSources,
    /// A sync from an organization includes regions that AWS opens later. AWS charges for `OpsData`.
    FutureRegions,
}

impl ConcernKind {
    /// Every kind, most urgent first.
    pub(crate) const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Whether an operator has to act soon: every further rollout in the account fails.
    pub(crate) fn is_trouble(self) -> bool {
        self == Self::QuotaUsed
    }

    /// The name in labels and in JSON, such as `quota_used`.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The share of a quota from which on it counts as nearly used, as a fraction.
const NEARLY_USED: (u64, u64) = (4, 5);

/// The concerns about a target with these syncs, by type.
pub(super) fn of_syncs(syncs: &[DataSync], quota: Quota) -> Vec<Concern> {
    let mut concerns = Vec::new();
    let mut used_by_type: BTreeMap<&SyncType, u64> = BTreeMap::new();
    for sync in syncs {
        *used_by_type.entry(&sync.sync_type).or_default() += 1;
    }
    for (sync_type, used) in used_by_type {
        let Some(limit) = quota.of(sync_type) else { continue };
        let mut add = |kind| {
            let sync_type = sync_type.clone();
            concerns.push(Concern { kind, sync_type, sync: None, quota: Some((used, limit)) });
        };
        if used >= u64::from(limit) {
            add(ConcernKind::QuotaUsed);
            let is_inspector = |sync: &DataSync| sync.managed_by() == ManagedBy::Inspector;
            if *sync_type == SyncType::ToDestination && !syncs.iter().any(is_inspector) {
                add(ConcernKind::InspectorSyncBlocked);
            }
        } else if used * NEARLY_USED.1 >= u64::from(limit) * NEARLY_USED.0 {
            add(ConcernKind::QuotaNearlyUsed);
        }
    }
    for (index, sync) in syncs.iter().enumerate() {
        for kind in cost_risks(sync) {
            let sync_type = sync.sync_type.clone();
            concerns.push(Concern { kind, sync_type, sync: Some(index), quota: None });
        }
    }
    concerns
}

/// The concerns about the source of a sync. Only a source with an organization is a concern, because
/// there, one setting affects all accounts.
pub(crate) fn cost_risks(sync: &DataSync) -> impl Iterator<Item = ConcernKind> {
    let source = sync.source.as_ref().filter(|source| {
        let source_type = source.source_type.as_deref().unwrap_or_default();
        source_type.eq_ignore_ascii_case("AwsOrganizations")
    });
    let all_sources = source.is_some_and(|source| source.enable_all_ops_data_sources == Some(true));
    let future_regions = source.is_some_and(|source| source.include_future_regions == Some(true));
    [(all_sources, ConcernKind::AllOpsDataSources), (future_regions, ConcernKind::FutureRegions)]
        .into_iter()
        .filter_map(|(holds, kind)| holds.then_some(kind))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::expectations::{Expectation, ExpectedSync, Presence, TextPattern};
    use crate::fleet::{Account, Target, TargetList, TargetSelector};
    use crate::health::tests::sync;
    use crate::health::{AssessedTarget, HealthPolicy};
    use crate::model::{Failure, Reason, Source};
    use crate::snapshot::{NodeReport, Report, Store};

    /// The kinds of the concerns about `number` syncs to a bucket, the first with this name.
    fn kinds(number: usize, first: &str) -> Vec<ConcernKind> {
        let name = |index: usize| if index == 0 { first.to_owned() } else { format!("sync-{index}") };
        let syncs: Vec<DataSync> = (0..number).map(|index| sync(&name(index), None)).collect();
        of_syncs(&syncs, Quota::default()).into_iter().map(|concern| concern.kind).collect()
    }

    #[test]
    fn a_quota_is_a_concern_from_four_fifths_on() {
        use ConcernKind::{InspectorSyncBlocked, QuotaNearlyUsed, QuotaUsed};
        assert_eq!(kinds(0, "a"), []);
        assert_eq!(kinds(3, "a"), []);
        assert_eq!(kinds(4, "a"), [QuotaNearlyUsed]);
        assert_eq!(kinds(5, "a"), [QuotaUsed, InspectorSyncBlocked]);
        assert_eq!(kinds(6, "a"), [QuotaUsed, InspectorSyncBlocked]);
        assert_eq!(kinds(5, "InspectorResourceDataSync-do-not-delete"), [QuotaUsed]);
    }

    #[test]
    fn the_two_types_have_quotas_of_their_own() {
        let mut syncs: Vec<DataSync> = (0..6).map(|index| sync(&index.to_string(), None)).collect();
        for sync in &mut syncs[3..] {
            sync.sync_type = SyncType::FromSource;
        }
        assert_eq!(of_syncs(&syncs, Quota::default()), []);
        let quota = Quota { to_destination: 5, from_source: 3 };
        let concerns = of_syncs(&syncs, quota);
        let expected = Concern {
            kind: ConcernKind::QuotaUsed,
            sync_type: SyncType::FromSource,
            sync: None,
            quota: Some((3, 3)),
        };
        assert_eq!(concerns, [expected]);
    }

    /// The concerns about a target whose only sync has this name, in which `required` is expected, and
    /// whose managed-node lookup had the result `nodes`.
    fn concerns_with_nodes(nodes: Option<Result<bool, Failure>>, name: &str, required: &str) -> Vec<Concern> {
        const NOW: f64 = 1_763_800_000.0;
        let account = Account { managed_nodes_interval: Some(Duration::from_hours(6)), ..Account::default() };
        let target = Target { account: Arc::new(account), region: "eu-west-1".parse().unwrap() };
        let store = Store::new(Duration::from_hours(1));
        let slots = store.set_targets(&TargetList { targets: vec![target], ..TargetList::default() });
        let outcome = Ok(vec![DataSync::new(SyncType::FromSource, name.to_owned())]);
        let report = Report { account: None, ended: NOW, took: Duration::ZERO, outcome, invalid_items: None };
        store.record(&slots[0], report);
        if let Some(outcome) = nodes {
            store.record_managed_nodes(&slots[0], NodeReport { account: None, ended: NOW, outcome });
        }
        let expectation = Expectation {
            name: "console".to_owned(),
            targets: TargetSelector::default(),
            managed_by: Vec::new(),
            presence: Presence::Required,
            request: ExpectedSync {
                names: vec![TextPattern::literal(required)],
                ..ExpectedSync::any(SyncType::FromSource)
            },
        };
        let policy = HealthPolicy { expectations: vec![expectation], ..HealthPolicy::default() };
        AssessedTarget::of_slot(&store, &slots[0], &policy, NOW).concerns()
    }

    #[test]
    fn the_required_sync_of_the_unified_console_is_a_concern_where_there_are_managed_nodes() {
        let missing = [Concern::unified_console_sync_missing()];
        assert_eq!(concerns_with_nodes(Some(Ok(true)), "a", UNIFIED_CONSOLE_SYNC), missing);
        for (nodes, name, required) in [
            (Some(Ok(true)), UNIFIED_CONSOLE_SYNC, UNIFIED_CONSOLE_SYNC),
            (Some(Ok(true)), "a", "AWS-QuickSetup-other"),
            (Some(Ok(false)), "a", UNIFIED_CONSOLE_SYNC),
            (Some(Err(Failure::new(Reason::Timeout, ""))), "a", UNIFIED_CONSOLE_SYNC),
            (None, "a", UNIFIED_CONSOLE_SYNC),
        ] {
            let context = format!("{nodes:?} {name} {required}");
            assert_eq!(concerns_with_nodes(nodes, name, required), [], "{context}");
        }
    }

    #[test]
    fn the_concern_about_a_missing_sync_is_about_no_other_sync() {
        let concern = |kind, sync| Concern { kind, sync, ..Concern::unified_console_sync_missing() };
        let missing = concern(ConcernKind::UnifiedConsoleSyncMissing, None);
        assert!(!missing.is_about(0, &SyncType::FromSource));
        let used_up = concern(ConcernKind::QuotaUsed, None);
        assert!(used_up.is_about(0, &SyncType::FromSource) && !used_up.is_about(0, &SyncType::ToDestination));
        let costs = concern(ConcernKind::FutureRegions, Some(1));
        assert!(costs.is_about(1, &SyncType::FromSource) && !costs.is_about(0, &SyncType::FromSource));
    }

    #[test]
    fn only_a_source_with_an_organization_can_surprise_with_its_cost() {
        use ConcernKind::{AllOpsDataSources, FutureRegions};
        let with = |source_type: &str, all, future| {
            let source = Source {
                source_type: Some(source_type.to_owned()),
                enable_all_ops_data_sources: all,
                include_future_regions: future,
                ..Source::default()
            };
            cost_risks(&DataSync { source: Some(source), ..sync("a", None) }).collect::<Vec<_>>()
        };
        assert_eq!(with("AwsOrganizations", Some(true), Some(true)), [AllOpsDataSources, FutureRegions]);
        assert_eq!(with("awsorganizations", Some(true), None), [AllOpsDataSources]);
        assert_eq!(with("AwsOrganizations", Some(false), Some(true)), [FutureRegions]);
        assert_eq!(with("SingleAccountMultiRegions", Some(true), Some(true)), []);
    }
}

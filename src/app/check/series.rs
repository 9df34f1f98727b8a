//! How many series a configuration leads to. They are counted in what the exporter renders for an example.

use std::collections::BTreeSet;
use std::iter::{repeat, repeat_n};
use std::sync::Arc;
use std::time::Duration;

use super::calls::ApiCalls;
use crate::app::BuildError;
use crate::app::stages::exposition_settings;
use crate::clock::Clock;
use crate::config::Config;
use crate::discovery::{AccountSources, LookupKind};
use crate::fleet::{Account, AccountId, Partition, Shard, Target, TargetList};
use crate::health::HealthPolicy;
use crate::metrics::{ExporterMetrics, Exposition, ExpositionSettings, FamilyFilter, Format};
use crate::model::{DataSync, Destination, SyncStatus, SyncType, UnixSeconds};
use crate::negotiation::ContentCoding;
use crate::snapshot::{NodeReport, Report, Store};

/// The time of the example.
const NOW: UnixSeconds = 1_763_800_000.0;

/// Numbers of series without problems, failures and expectations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeriesCounts {
    /// About the exporter itself and its calls to AWS, and totals.
    pub(super) exporter: usize,
    /// Of each target that has a sync, without the series of the sync.
    pub(super) target: usize,
    /// Of each sync to a bucket.
    pub(super) sync: usize,
    /// Additional series of each target whose managed nodes are looked up. 0 if lookups are not enabled
    /// for any account.
    pub(super) node_lookup: usize,
}

/// What the exporter counts of what it does.
#[derive(Debug)]
pub(super) struct Activity {
    /// The operations of AWS.
    pub(super) operations: BTreeSet<&'static str>,
    /// The kinds of lookups of discovery.
    pub(super) lookups: Vec<&'static str>,
    /// Whether managed nodes are looked up in any account.
    looks_up_nodes: bool,
}

impl Activity {
    pub(super) fn new(sources: &AccountSources, calls: &ApiCalls) -> Self {
        let lookups = [
            ("identity", calls.identified_accounts > 0),
            (LookupKind::Regions.into(), sources.needs_region_lookups()),
            (LookupKind::Organization.into(), sources.organization.is_some()),
        ];
        let lookups = lookups.into_iter().filter_map(|(kind, is_made)| is_made.then_some(kind)).collect();
        Self { operations: calls.operations(), lookups, looks_up_nodes: sources.looks_up_managed_nodes() }
    }
}

impl SeriesCounts {
    pub(super) fn new(config: &Config, shard: Shard, activity: &Activity) -> Result<Self, BuildError> {
        let health = HealthPolicy {
            expectations: Vec::new(),
            expectation_rules: Vec::new(),
            ..HealthPolicy::clone(&config.health)
        };
        let settings = ExpositionSettings { health: Arc::new(health), ..exposition_settings(config) };
        let count = |syncs: &[usize]| rendered_series(settings.clone(), shard, activity, syncs, 0);
        let (none, one, two_syncs, two_targets) = (count(&[])?, count(&[1])?, count(&[2])?, count(&[1, 1])?);
        let node_lookup = if activity.looks_up_nodes {
            rendered_series(settings.clone(), shard, activity, &[1], 1)?.saturating_sub(one)
        } else {
            0
        };
        let sync = two_syncs.saturating_sub(one);
        // The first target also adds totals.
        let target = two_targets.saturating_sub(one).saturating_sub(sync);
        let exporter = one.saturating_sub(target).saturating_sub(sync).max(none);
        Ok(Self { exporter, target, sync, node_lookup })
    }

    /// The number of series of targets with the same number of syncs. In `with_lookups` of them, managed
    /// nodes are looked up.
    pub(super) fn total(self, targets: usize, with_lookups: usize, syncs: usize) -> usize {
        self.exporter + targets * (self.target + syncs * self.sync) + with_lookups * self.node_lookup
    }
}

/// The number of series if each target has this many syncs, and managed nodes are looked up in the first
/// `with_lookups` targets.
pub(super) fn rendered_series(
    settings: ExpositionSettings,
    shard: Shard,
    activity: &Activity,
    syncs: &[usize],
    with_lookups: usize,
) -> Result<usize, BuildError> {
    let account = |managed_nodes_interval| {
        Arc::new(Account { id: Some(AccountId::example()), managed_nodes_interval, ..Account::default() })
    };
    let lookup = Some(Duration::from_hours(1));
    let accounts = repeat_n(account(lookup), with_lookups).chain(repeat(account(None)));
    let regions = Partition::Aws.always_enabled().take(syncs.len());
    let targets = regions.zip(accounts).map(|(region, account)| Target { account, region }).collect();
    let store = Arc::new(Store::new(Duration::from_hours(1)));
    let slots = store.set_targets(&TargetList { targets, ..TargetList::default() });
    for (slot, syncs) in slots.iter().zip(syncs) {
        let outcome = Ok((0..*syncs).map(example_sync).collect());
        let report = Report {
            account: None,
            ended: NOW,
            took: Duration::from_millis(100),
            outcome,
            invalid_items: None,
        };
        store.record(slot, report);
    }
    for slot in slots.iter().take(with_lookups) {
        store.record_managed_nodes(slot, NodeReport { account: None, ended: NOW, outcome: Ok(true) });
    }
    let exporter = ExporterMetrics::new(shard, Arc::default());
    let exporter = Arc::new(exporter.map_err(|error| BuildError::Metrics(error.into()))?);
    exporter.config_loaded(NOW);
    for operation in &activity.operations {
        exporter.record_api_request("example", operation, Duration::from_millis(100), None);
    }
    for lookup in &activity.lookups {
        exporter.discovery_succeeded(lookup, NOW);
    }
    let exposition = Exposition::new(store, exporter, settings, Clock::fixed(NOW));
    let scrape = exposition.scrape(Format::Text0_0_4, ContentCoding::Identity, &FamilyFilter::All);
    let text: Vec<u8> = scrape.flatten().collect();
    Ok(text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#').count())
}

/// A healthy sync to a bucket. AWS reports when it was modified only for syncs from a source.
fn example_sync(number: usize) -> DataSync {
    DataSync {
        last_status: Some(SyncStatus::Successful),
        last_sync: Some(NOW - 60.0),
        last_successful_sync: Some(NOW - 60.0),
        created: Some(NOW - 1e6),
        destination: Some(Destination {
            bucket_name: Some("example".to_owned()),
            region: Some("eu-west-1".to_owned()),
            format: Some("JsonSerDe".to_owned()),
            ..Destination::default()
        }),
        ..DataSync::new(SyncType::ToDestination, format!("example-{number}"))
    }
}

//! Checks both configuration files without starting anything, and says what would be polled. Nothing is sent
//! to AWS.

mod calls;
mod report;
mod series;

use std::path::Path;
use std::sync::Arc;

use super::BuildError;
use super::stages::Stages;
use crate::clock::Clock;
use crate::config::{Config, WebConfig};
use crate::discovery::AccountSources;
use crate::fleet::{Account, Partition, RegionName, Selected, Shard, Target};
use calls::ApiCalls;
use series::{Activity, SeriesCounts};

/// What a configuration makes the exporter do.
#[derive(Debug)]
pub struct CheckReport {
    /// The warnings about both configurations, and about profiles without credentials.
    pub warnings: Vec<String>,
    config: Config,
    sources: AccountSources,
    shard: Shard,
    targets: KnownTargets,
    series: SeriesCounts,
    calls: ApiCalls,
}

/// The targets that are certain without AWS.
#[derive(Debug)]
struct KnownTargets {
    /// All of them, also those of other shards.
    all: Vec<Target>,
    /// Whether AWS may tell of more.
    are_all: bool,
}

impl KnownTargets {
    fn new(sources: &AccountSources) -> Self {
        let mut all = Vec::new();
        // Only an organization has names and units of accounts.
        let units = sources.organization.is_none().then(Vec::new);
        for entry in &sources.configured {
            let account =
                Arc::new(Account { organizational_units: units.clone(), ..Account::clone(&entry.account) });
            // The enabled regions are not known, but those that cannot be disabled are among them.
            let partition = entry.account.default_region.as_ref().map(RegionName::partition);
            let enabled: Vec<RegionName> =
                partition.into_iter().flat_map(Partition::always_enabled).collect();
            let regions = entry.regions.choose(&enabled).into_iter();
            all.extend(regions.map(|region| Target { account: Arc::clone(&account), region }));
        }
        Self { all, are_all: sources.organization.is_none() && !sources.needs_region_lookups() }
    }

    /// The targets that belong to the shard.
    fn of_shard(&self, shard: Shard) -> Vec<&Target> {
        self.all.iter().filter(|target| shard.owns(target)).collect()
    }

    /// How many of the targets `selects` certainly selects, and for how many AWS decides.
    fn selected(&self, selects: impl Fn(&Target) -> Selected) -> (usize, usize) {
        let count = |wanted| self.all.iter().filter(|target| selects(target) == wanted).count();
        (count(Selected::Yes), count(Selected::Unknown))
    }
}

/// Checks everything for which [`App::build`](super::App::build) fails, apart from what depends on the moment:
/// whether the addresses are free.
///
/// # Errors
/// Those of [`App::build`](super::App::build).
pub async fn check(
    config: Config,
    web_config_file: Option<&Path>,
    shard: Shard,
    clock: Clock,
) -> Result<CheckReport, BuildError> {
    let web_config = web_config_file.map(WebConfig::load).transpose()?;
    let stages = Stages::build(config, shard, String::new(), Arc::default(), clock).await?;
    let applier = stages.applier;
    let mut warnings = applier.config().warnings.clone();
    warnings.extend(applier.unusable_profiles());
    warnings.extend(web_config.into_iter().flat_map(|web_config| web_config.warnings));
    let sources = applier.sources();
    CheckReport::new(applier.into_config(), sources, shard, warnings)
}

impl CheckReport {
    fn new(
        config: Config,
        sources: AccountSources,
        shard: Shard,
        warnings: Vec<String>,
    ) -> Result<Self, BuildError> {
        let targets = KnownTargets::new(&sources);
        let calls = ApiCalls::new(&config, &sources, &targets.of_shard(shard), shard);
        let series = SeriesCounts::new(&config, shard, &Activity::new(&sources, &calls))?;
        Ok(Self { warnings, config, sources, shard, targets, series, calls })
    }
}

#[cfg(test)]
mod tests;

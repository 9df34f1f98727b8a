//! The stages from what is asked for to what is shown, put together, for whoever
//! serves and for whoever looks but [once](crate::once).

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::BuildError;
use crate::aws::{ApiObserver, ApiRequest, Sessions};
use crate::clock::Clock;
use crate::collector::Collector;
use crate::config::{Config, ConfigError, Found};
use crate::discovery::{self, AccountSources, AwsLookups, Discovery, LookupKind, LookupObserver};
use crate::fleet::{Access, Account, RegionName, Shard};
use crate::metrics::{ExporterMetrics, Exposition};
use crate::readiness::Readiness;
use crate::scheduler::{self, Scheduler};
use crate::snapshot::Store;

/// All stages, ready to run.
#[derive(Debug)]
pub(crate) struct Stages {
    pub(crate) discovery: Discovery<AwsLookups>,
    pub(crate) scheduler: Scheduler<Collector>,
    pub(crate) store: Arc<Store>,
    pub(crate) metrics: Arc<Exposition>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) applier: ConfigApplier,
}

/// What steers the stages while they run.
#[derive(Debug)]
pub(crate) struct ConfigApplier {
    discovery: watch::Sender<Arc<discovery::Settings<AwsLookups>>>,
    scheduler: watch::Sender<Arc<scheduler::Settings<Collector>>>,
    store: Arc<Store>,
    metrics: Arc<Exposition>,
    readiness: Arc<Readiness>,
    own: Arc<ExporterMetrics>,
    observer: Arc<dyn ApiObserver>,
    clock: Clock,
    config: Config,
    way: AwsClients,
    found: SdkDefaults,
}

/// A configuration that has been found to be good, with all that could still have
/// been wrong with it.
#[derive(Debug)]
pub(crate) struct ValidatedConfig {
    config: Config,
    way: AwsClients,
    found: SdkDefaults,
    sources: AccountSources,
}

/// What was found outside of our configuration, by the credentials it goes with and
/// the region that was known before.
type SdkDefaults = HashMap<(Access, Option<RegionName>), Found>;

/// The way to AWS, shared by the two stages that go it.
#[derive(Clone, Debug)]
struct AwsClients {
    sessions: Arc<Sessions>,
    /// Another one would mean to discovery that others are asked.
    lookups: Arc<AwsLookups>,
}

impl AwsClients {
    fn new(config: &Config, observer: &Arc<dyn ApiObserver>) -> Self {
        let sessions = Arc::new(Sessions::new(config.aws.clone(), config.timeout, Arc::clone(observer)));
        let lookups = Arc::new(AwsLookups::new(Arc::clone(&sessions)));
        Self { sessions, lookups }
    }
}

impl Stages {
    /// Prepares the way to every account and makes all stages. Nothing runs yet.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub(crate) async fn build(
        config: Config,
        shard: Shard,
        replica: String,
        clock: Clock,
    ) -> Result<Self, BuildError> {
        let own = ExporterMetrics::new(shard).map_err(|error| BuildError::Metrics(error.into()))?;
        let own = Arc::new(own);
        let counter = Arc::new(Observed { own: Arc::clone(&own), clock: clock.clone() });
        let observer: Arc<dyn ApiObserver> = Arc::clone(&counter) as _;
        let way = AwsClients::new(&config, &observer);
        let (sources, found) = sources(&config, &way.sessions).await?;

        let (to_discovery, settings) = watch::channel(for_discovery(&config, &way, sources));
        let (discovery, plans) = Discovery::new(settings, shard, replica.clone(), counter);
        let store = Arc::new(Store::new(config.stale_after));
        let (to_scheduler, settings) = watch::channel(for_scheduler(&config, &way, &clock));
        let scheduler = Scheduler::new(settings, Arc::clone(&store), plans, replica, clock.clone());
        let metrics = Arc::new(Exposition::new(
            Arc::clone(&store),
            Arc::clone(&own),
            config.quota,
            config.disabled_families.clone(),
            clock.clone(),
        ));
        let readiness = Arc::new(Readiness::new(Arc::clone(&store), config.ready_after));
        own.config_loaded(clock.now());
        let applier = ConfigApplier {
            discovery: to_discovery,
            scheduler: to_scheduler,
            store: Arc::clone(&store),
            metrics: Arc::clone(&metrics),
            readiness: Arc::clone(&readiness),
            own,
            observer,
            clock,
            config,
            way,
            found,
        };
        Ok(Self { discovery, scheduler, store, metrics, readiness, applier })
    }
}

impl ConfigApplier {
    /// The configuration in force.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Checks another configuration, all that can be wrong with it. Nothing changes.
    ///
    /// # Errors
    /// It does not fit what was found.
    pub(crate) async fn check(&self, config: Config) -> Result<ValidatedConfig, ConfigError> {
        // What was found before may not hold any longer.
        let way = AwsClients::new(&config, &self.observer);
        let (sources, found) = sources(&config, &way.sessions).await?;
        // Without need, dropping the old ones would drop credentials that are still good.
        let is_alike = config.aws == self.config.aws
            && config.timeout == self.config.timeout
            && found
                .iter()
                .all(|(access, found)| self.found.get(access).is_none_or(|before| before == found));
        let way = if is_alike { self.way.clone() } else { way };
        Ok(ValidatedConfig { config, way, found, sources })
    }

    /// Puts another configuration into force. What it does not change stays as it is.
    pub(crate) fn put_in_force(&mut self, validated: ValidatedConfig) {
        let ValidatedConfig { config, way, found, sources } = validated;
        let kinds =
            [("organization", sources.organization.is_some()), ("regions", sources.needs_region_lookups())];
        // In this order: what the one finds out is for the other to collect.
        self.scheduler.send_replace(for_scheduler(&config, &way, &self.clock));
        self.discovery.send_replace(for_discovery(&config, &way, sources));
        for (kind, _) in kinds.into_iter().filter(|(_, is_asked)| !is_asked) {
            self.own.forget_discovery(kind);
        }
        self.readiness.set_timeout(config.ready_after);
        let shown = |config: &Config| (config.stale_after, config.quota, config.disabled_families.clone());
        if shown(&config) != shown(&self.config) {
            self.store.set_stale_after(config.stale_after);
            self.metrics.configure(config.quota, config.disabled_families.clone());
        }
        (self.config, self.way, self.found) = (config, way, found);
        self.own.config_loaded(self.clock.now());
    }

    /// Another configuration was of no use.
    pub(crate) fn refused(&self) {
        self.own.config_reload_failed();
    }
}

fn for_discovery(
    config: &Config,
    way: &AwsClients,
    sources: AccountSources,
) -> Arc<discovery::Settings<AwsLookups>> {
    let lookups = Arc::clone(&way.lookups);
    Arc::new(discovery::Settings { lookups, sources, concurrency: config.concurrency })
}

fn for_scheduler(config: &Config, way: &AwsClients, clock: &Clock) -> Arc<scheduler::Settings<Collector>> {
    let collector = Collector::new(Arc::clone(&way.sessions), config.timeout, clock.clone());
    let (collector, interval, concurrency) = (Arc::new(collector), config.interval, config.concurrency);
    Arc::new(scheduler::Settings { collector, interval, concurrency })
}

/// What to poll, once the SDK has been asked what only it can tell: the region
/// that goes with credentials, and which kind of endpoints is set outside of our
/// configuration.
async fn sources(config: &Config, sessions: &Sessions) -> Result<(AccountSources, SdkDefaults), ConfigError> {
    let mut found = SdkDefaults::new();
    for account in config.first_accounts() {
        let region = sessions.default_region(account).await;
        let endpoints = sessions.endpoint_kind(account).await;
        found.insert(surroundings_of(account), Found { region, endpoints });
    }
    let sources = config.fleet(|account| found.get(&surroundings_of(account)).cloned())?;
    Ok((sources, found))
}

fn surroundings_of(account: &Account) -> (Access, Option<RegionName>) {
    (account.access.clone(), account.default_region.clone())
}

/// Counts calls to AWS and lookups.
#[derive(Debug)]
struct Observed {
    own: Arc<ExporterMetrics>,
    clock: Clock,
}

impl Observed {
    fn discovery_ended(&self, kind: &str, succeeded: bool) {
        if succeeded {
            self.own.discovery_succeeded(kind, self.clock.now());
        } else {
            self.own.discovery_failed(kind);
        }
    }
}

impl ApiObserver for Observed {
    fn request_ended(&self, request: &ApiRequest<'_>) {
        let ApiRequest { service, operation, duration, error_code } = request;
        self.own.record_api_request(service, operation, *duration, error_code.as_deref());
    }

    fn identity_lookup_ended(&self, succeeded: bool) {
        self.discovery_ended("identity", succeeded);
    }
}

impl LookupObserver for Observed {
    fn lookup_ended(&self, kind: LookupKind, succeeded: bool) {
        self.discovery_ended(kind.into(), succeeded);
    }
}

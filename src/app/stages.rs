//! Connects the stages from discovery to the metrics, for the daemon, for [one-shot
//! mode](crate::once) and for [`doctor`](crate::doctor), and applies new configurations to them while they run.

use std::sync::Arc;

use tokio::sync::watch;

use super::BuildError;
use crate::aws::{ApiObserver, ApiRequest, CredentialProcesses, Sessions};
use crate::clock::Clock;
use crate::collector::Collector;
use crate::config::{AccountDefaults, Config, ConfigError, SdkDefaults};
use crate::discovery::{
    self, AccountSources, AwsLookups, Discovery, LookupKind, LookupObserver, Organization,
};
use crate::failure_log::FailureLog;
use crate::fleet::Shard;
use crate::logging::LogCounters;
use crate::metrics::{ExporterMetrics, Exposition, ExpositionSettings};
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
    pub(crate) failure_log: Arc<FailureLog>,
    pub(crate) applier: ConfigApplier,
}

/// Applies a configuration to the stages while they run.
#[derive(Debug)]
pub(crate) struct ConfigApplier {
    discovery: watch::Sender<Arc<discovery::Settings<AwsLookups>>>,
    scheduler: watch::Sender<Arc<scheduler::Settings<Collector>>>,
    store: Arc<Store>,
    metrics: Arc<Exposition>,
    readiness: Arc<Readiness>,
    exporter_metrics: Arc<ExporterMetrics>,
    observer: Arc<dyn ApiObserver>,
    failure_log: Arc<FailureLog>,
    processes: Arc<CredentialProcesses>,
    clock: Clock,
    config: Config,
    clients: AwsClients,
    defaults: SdkDefaults,
}

/// A configuration that has passed all checks, so that applying it cannot fail.
#[derive(Debug)]
pub(crate) struct ValidatedConfig {
    config: Config,
    clients: AwsClients,
    defaults: SdkDefaults,
    sources: AccountSources,
}

/// The access to AWS that discovery and the collector share.
#[derive(Clone, Debug)]
struct AwsClients {
    sessions: Arc<Sessions>,
    /// Discovery starts from scratch when it gets other lookups.
    lookups: Arc<AwsLookups>,
}

impl AwsClients {
    fn new(
        config: &Config,
        observer: &Arc<dyn ApiObserver>,
        processes: &Arc<CredentialProcesses>,
        failure_log: &Arc<FailureLog>,
    ) -> Self {
        let sessions = Arc::new(Sessions::new(
            config.aws.clone(),
            config.timeout,
            Arc::clone(observer),
            Arc::clone(processes),
            Arc::clone(failure_log),
        ));
        let lookups = Arc::new(AwsLookups::new(Arc::clone(&sessions)));
        Self { sessions, lookups }
    }

    /// Asks the SDK for the defaults of the accounts and validates the configuration with
    /// them. Adds the warnings about them to those of the configuration.
    async fn validate(&self, config: &mut Config) -> Result<(AccountSources, SdkDefaults), ConfigError> {
        let mut defaults = SdkDefaults::default();
        for account in config.entry_accounts() {
            let region = self.sessions.sdk_region(account).await;
            let endpoints = self.sessions.endpoint_kind(account).await;
            let ca_bundle = self.sessions.ca_bundle(account).await;
            let diagnosis = self.sessions.diagnosis(account).await;
            let endpoint_url = self.sessions.endpoint_url(account).await;
            let account_defaults = AccountDefaults { region, endpoints, endpoint_url, ca_bundle, diagnosis };
            defaults.insert(account, account_defaults);
        }
        let sources = config.account_sources(&defaults)?;
        config.warnings.extend(defaults.warnings());
        Ok((sources, defaults))
    }
}

impl Stages {
    /// Builds all stages. Nothing runs yet.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub(crate) async fn build(
        mut config: Config,
        shard: Shard,
        replica: String,
        log_counters: Arc<LogCounters>,
        clock: Clock,
    ) -> Result<Self, BuildError> {
        let exporter_metrics =
            ExporterMetrics::new(shard, log_counters).map_err(|error| BuildError::Metrics(error.into()))?;
        let exporter_metrics = Arc::new(exporter_metrics);
        let metrics_observer =
            Arc::new(MetricsObserver { metrics: Arc::clone(&exporter_metrics), clock: clock.clone() });
        let observer: Arc<dyn ApiObserver> = Arc::clone(&metrics_observer) as _;
        let (processes, failure_log) = (Arc::default(), Arc::new(FailureLog::default()));
        let clients = AwsClients::new(&config, &observer, &processes, &failure_log);
        let (sources, defaults) = clients.validate(&mut config).await?;

        let (to_discovery, settings) = watch::channel(discovery_settings(&config, &clients, sources));
        let (discovery, target_lists) =
            Discovery::new(settings, shard, replica.clone(), metrics_observer, Arc::clone(&failure_log));
        let store = Arc::new(Store::new(config.stale_after));
        let (to_scheduler, settings) = watch::channel(scheduler_settings(&config, &clients, &clock));
        let scheduler = Scheduler::new(
            settings,
            Arc::clone(&store),
            target_lists,
            replica,
            clock.clone(),
            Arc::clone(&failure_log),
        );
        let metrics = Arc::new(Exposition::new(
            Arc::clone(&store),
            Arc::clone(&exporter_metrics),
            exposition_settings(&config),
            clock.clone(),
        ));
        let readiness = Arc::new(Readiness::new(Arc::clone(&store), config.ready_after));
        exporter_metrics.config_loaded(clock.now());
        let applier = ConfigApplier {
            discovery: to_discovery,
            scheduler: to_scheduler,
            store: Arc::clone(&store),
            metrics: Arc::clone(&metrics),
            readiness: Arc::clone(&readiness),
            exporter_metrics,
            observer,
            failure_log: Arc::clone(&failure_log),
            processes,
            clock,
            config,
            clients,
            defaults,
        };
        Ok(Self { discovery, scheduler, store, metrics, readiness, failure_log, applier })
    }
}

impl ConfigApplier {
    /// The configuration in force.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The configuration in force for a recording.
    ///
    /// # Errors
    /// See [`Config::replayable`].
    pub(crate) fn replayable_config(&self) -> Result<serde_json::Value, ConfigError> {
        self.config.replayable(&self.defaults)
    }

    /// The sessions of all accounts.
    pub(crate) fn sessions(&self) -> &Sessions {
        &self.clients.sessions
    }

    /// The organization whose accounts are polled, if there is one.
    pub(crate) fn organization(&self) -> Option<Organization> {
        self.discovery.borrow().sources.organization.clone()
    }

    /// The accounts that are polled, and the regions in them.
    pub(crate) fn sources(&self) -> AccountSources {
        self.discovery.borrow().sources.clone()
    }

    /// The configuration in force, without the stages.
    pub(crate) fn into_config(self) -> Config {
        self.config
    }

    /// Describes the AWS profiles of the configuration in force that provide no credentials at the
    /// moment.
    pub(crate) fn unusable_profiles(&self) -> Vec<String> {
        self.config.unusable_profiles(&self.defaults)
    }

    /// The metrics about the exporter itself.
    pub(crate) fn exporter_metrics(&self) -> Arc<ExporterMetrics> {
        Arc::clone(&self.exporter_metrics)
    }

    /// Validates another configuration. Changes nothing.
    ///
    /// # Errors
    /// See [`Config::account_sources`].
    pub(crate) async fn validate(&self, mut config: Config) -> Result<ValidatedConfig, ConfigError> {
        // Ask the SDK through new clients, because the old ones cache its defaults.
        let clients = AwsClients::new(&config, &self.observer, &self.processes, &self.failure_log);
        let (sources, defaults) = clients.validate(&mut config).await?;
        // Keep the old clients if their settings are the same, because they hold credentials
        // that are still valid.
        let is_same_access = config.aws == self.config.aws
            && config.timeout == self.config.timeout
            && defaults.agree_with(&self.defaults);
        let clients = if is_same_access { self.clients.clone() } else { clients };
        Ok(ValidatedConfig { config, clients, defaults, sources })
    }

    /// Applies another configuration. Stages whose settings are the same are not disturbed.
    pub(crate) fn apply(&mut self, validated: ValidatedConfig) {
        let ValidatedConfig { config, clients, defaults, sources } = validated;
        let discovered_kinds =
            [("organization", sources.organization.is_some()), ("regions", sources.needs_region_lookups())];
        // The scheduler comes first, so that it collects newly discovered targets with the new
        // settings.
        self.scheduler.send_replace(scheduler_settings(&config, &clients, &self.clock));
        self.discovery.send_replace(discovery_settings(&config, &clients, sources));
        for (kind, _) in discovered_kinds.into_iter().filter(|(_, is_discovered)| !is_discovered) {
            self.exporter_metrics.forget_discovery_success(kind);
        }
        self.readiness.set_timeout(config.ready_after);
        let exposed = |config: &Config| (config.stale_after, exposition_settings(config));
        if exposed(&config) != exposed(&self.config) {
            self.store.set_stale_after(config.stale_after);
            self.metrics.configure(exposition_settings(&config));
        }
        (self.config, self.clients, self.defaults) = (config, clients, defaults);
        self.exporter_metrics.config_loaded(self.clock.now());
    }

    /// Records that another configuration was rejected.
    pub(crate) fn reload_failed(&self) {
        self.exporter_metrics.config_reload_failed();
    }
}

fn discovery_settings(
    config: &Config,
    clients: &AwsClients,
    sources: AccountSources,
) -> Arc<discovery::Settings<AwsLookups>> {
    let lookups = Arc::clone(&clients.lookups);
    Arc::new(discovery::Settings { lookups, sources, concurrency: config.concurrency })
}

pub(super) fn exposition_settings(config: &Config) -> ExpositionSettings {
    ExpositionSettings {
        health: Arc::clone(&config.health),
        disabled_families: config.disabled_families.clone(),
        sparse_states: config.sparse_states,
        run_labels: config.run_labels.clone(),
    }
}

fn scheduler_settings(
    config: &Config,
    clients: &AwsClients,
    clock: &Clock,
) -> Arc<scheduler::Settings<Collector>> {
    let collector = Collector::new(Arc::clone(&clients.sessions), config.timeout, clock.clone());
    let (collector, interval, concurrency) = (Arc::new(collector), config.interval, config.concurrency);
    let health = Arc::clone(&config.health);
    Arc::new(scheduler::Settings { collector, interval, concurrency, health })
}

/// Records API requests and discovery lookups in the exporter's own metrics.
#[derive(Debug)]
struct MetricsObserver {
    metrics: Arc<ExporterMetrics>,
    clock: Clock,
}

impl MetricsObserver {
    fn record_lookup(&self, kind: &str, succeeded: bool) {
        if succeeded {
            self.metrics.discovery_succeeded(kind, self.clock.now());
        } else {
            self.metrics.discovery_failed(kind);
        }
    }
}

impl ApiObserver for MetricsObserver {
    fn request_ended(&self, request: &ApiRequest<'_>) {
        let ApiRequest { service, operation, duration, error_code } = request;
        self.metrics.record_api_request(service, operation, *duration, error_code.as_ref());
    }

    fn identity_lookup_ended(&self, succeeded: bool) {
        self.record_lookup("identity", succeeded);
    }
}

impl LookupObserver for MetricsObserver {
    fn lookup_ended(&self, kind: LookupKind, succeeded: bool) {
        self.record_lookup(kind.into(), succeeded);
    }
}

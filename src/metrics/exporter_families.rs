//! The exporter's own metrics.

use std::fmt;
use std::time::Duration;

use prometheus::core::Collector as _;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use super::family::{Kind, count, flag, metric_family};
use crate::build_info;
use crate::fleet::Shard;
use crate::model::UnixSeconds;
use crate::snapshot::Store;

/// The names of all families that [`ExporterMetrics::gather`] may bring.
pub(super) const NAMES: [&str; 21] = [
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
    "process_virtual_memory_bytes",
    "ssm_sync_exporter_api_request_duration_seconds",
    "ssm_sync_exporter_api_request_failures_total",
    "ssm_sync_exporter_api_requests_total",
    "ssm_sync_exporter_build_info",
    "ssm_sync_exporter_collection_overruns_total",
    "ssm_sync_exporter_collections_in_flight",
    "ssm_sync_exporter_config_last_reload_success_timestamp_seconds",
    "ssm_sync_exporter_config_last_reload_successful",
    "ssm_sync_exporter_discovery_failing_lookups",
    "ssm_sync_exporter_discovery_failures_total",
    "ssm_sync_exporter_discovery_last_success_timestamp_seconds",
    "ssm_sync_exporter_shard_index",
    "ssm_sync_exporter_shards",
    "ssm_sync_exporter_targets",
];

/// What the exporter counts about itself. The registry is its own and not the
/// process's, so that several exporters in one process stay apart.
pub struct ExporterMetrics {
    registry: Registry,
    shard: Shard,
    requests: IntCounterVec,
    request_failures: IntCounterVec,
    request_duration: HistogramVec,
    reload_successful: Gauge,
    reload_success: Gauge,
    discovery_success: GaugeVec,
    discovery_failures: IntCounterVec,
    discovery_unanswered: GaugeVec,
}

impl ExporterMetrics {
    /// Fresh counters of the exporter that polls this shard.
    ///
    /// # Errors
    /// Only by a bug: a name that is no name, or that is used twice.
    pub fn new(shard: Shard) -> Result<Self, prometheus::Error> {
        let own = Self {
            registry: Registry::new(),
            shard,
            requests: IntCounterVec::new(
                Opts::new(
                    "ssm_sync_exporter_api_requests_total",
                    "Total number of requests sent to AWS, each retry included.",
                ),
                &["service", "operation"],
            )?,
            request_failures: IntCounterVec::new(
                Opts::new(
                    "ssm_sync_exporter_api_request_failures_total",
                    "Total number of failed requests to AWS, by AWS error code, or by kind of failure if AWS sent no error code.",
                ),
                &["service", "operation", "code"],
            )?,
            request_duration: HistogramVec::new(
                HistogramOpts::new(
                    "ssm_sync_exporter_api_request_duration_seconds",
                    "Duration in seconds of requests to AWS, from sending a request to reading the whole response. Each retry counts as a request.",
                )
                .buckets(vec![0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0]),
                &["service", "operation"],
            )?,
            reload_successful: Gauge::with_opts(Opts::new(
                "ssm_sync_exporter_config_last_reload_successful",
                "1 if the last attempt to load the configuration succeeded, 0 if it failed.",
            ))?,
            reload_success: Gauge::with_opts(Opts::new(
                "ssm_sync_exporter_config_last_reload_success_timestamp_seconds",
                "Unix time in seconds at which the configuration was last loaded successfully.",
            ))?,
            discovery_success: GaugeVec::new(
                Opts::new(
                    "ssm_sync_exporter_discovery_last_success_timestamp_seconds",
                    "Unix time in seconds of the last successful discovery lookup, by kind.",
                ),
                &["kind"],
            )?,
            discovery_failures: IntCounterVec::new(
                Opts::new(
                    "ssm_sync_exporter_discovery_failures_total",
                    "Total number of failed attempts at a discovery lookup, by kind.",
                ),
                &["kind"],
            )?,
            discovery_unanswered: GaugeVec::new(
                Opts::new(
                    "ssm_sync_exporter_discovery_failing_lookups",
                    "Number of discovery lookups whose last attempt failed, by kind. A lookup is no longer counted once it succeeds.",
                ),
                &["kind"],
            )?,
        };
        // Born at 0, so that the first failure shows as an increase.
        for kind in ["identity", "organization", "regions"] {
            own.discovery_failures.with_label_values(&[kind]);
        }
        let build = GaugeVec::new(
            Opts::new(
                "ssm_sync_exporter_build_info",
                "Version, source revision and compiler of the running exporter as labels. Always 1.",
            ),
            &["version", "revision", "rustc_version"],
        )?;
        build
            .with_label_values(&[build_info::VERSION, build_info::REVISION, build_info::RUSTC_VERSION])
            .set(1.0);
        let registry = &own.registry;
        registry.register(Box::new(build))?;
        registry.register(Box::new(own.requests.clone()))?;
        registry.register(Box::new(own.request_failures.clone()))?;
        registry.register(Box::new(own.request_duration.clone()))?;
        registry.register(Box::new(own.reload_successful.clone()))?;
        registry.register(Box::new(own.reload_success.clone()))?;
        registry.register(Box::new(own.discovery_success.clone()))?;
        registry.register(Box::new(own.discovery_failures.clone()))?;
        registry.register(Box::new(own.discovery_unanswered.clone()))?;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        Ok(own)
    }

    /// A request to AWS has ended, with `error` if it failed.
    pub fn api_request(&self, service: &str, operation: &str, took: Duration, error: Option<&str>) {
        self.requests.with_label_values(&[service, operation]).inc();
        self.request_duration.with_label_values(&[service, operation]).observe(took.as_secs_f64());
        if let Some(code) = error {
            self.request_failures.with_label_values(&[service, operation, code]).inc();
        }
    }

    /// The configuration has been loaded at `now`.
    pub fn config_loaded(&self, now: UnixSeconds) {
        self.reload_successful.set(1.0);
        self.reload_success.set(now);
    }

    /// The configuration could not be loaded.
    pub fn config_refused(&self) {
        self.reload_successful.set(0.0);
    }

    /// What is to be polled has been found out at `now`.
    pub fn discovered(&self, kind: &str, now: UnixSeconds) {
        self.discovery_success.with_label_values(&[kind]).set(now);
    }

    /// What is to be polled is not to be found out in this way any longer.
    pub fn not_discovered(&self, kind: &str) {
        // It may never have been.
        let _never = self.discovery_success.remove_label_values(&[kind]);
    }

    /// What is to be polled could not be found out.
    pub fn discovery_failed(&self, kind: &str) {
        self.discovery_failures.with_label_values(&[kind]).inc();
    }

    /// All of them, and those that are read off the store.
    pub(super) fn gather(&self, store: &Store) -> Vec<MetricFamily> {
        let plain = |name: &str, help: &str, kind: Kind, value: f64| {
            metric_family(name, help, kind.metric_type(), vec![kind.metric(value)])
        };
        let stats = &store.stats;
        let (index, shards) = (self.shard.index(), self.shard.total());
        let unresolved = store.unresolved();
        let of_kind = |kind| self.discovery_unanswered.with_label_values(&[kind]);
        of_kind("organization").set(flag(unresolved.organization.is_some()));
        of_kind("regions").set(count(unresolved.accounts as u64));
        let mut families = self.registry.gather();
        families.extend([
            plain(
                "ssm_sync_exporter_shard_index",
                "Configured index of this shard, counted from 0.",
                Kind::Gauge,
                f64::from(index),
            ),
            plain(
                "ssm_sync_exporter_shards",
                "Configured number of shards. 1 without sharding.",
                Kind::Gauge,
                f64::from(shards),
            ),
            plain(
                "ssm_sync_exporter_targets",
                "Number of targets (pairs of account and region) that this exporter should poll.",
                Kind::Gauge,
                count(store.len() as u64),
            ),
            plain(
                "ssm_sync_exporter_collections_in_flight",
                "Number of collections in progress.",
                Kind::Gauge,
                count(stats.in_flight() as u64),
            ),
            plain(
                "ssm_sync_exporter_collection_overruns_total",
                "Total number of scheduled collections that were missed because the previous collection of the target ended too late.",
                Kind::Counter,
                count(stats.overruns()),
            ),
        ]);
        families
    }
}

impl fmt::Debug for ExporterMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExporterMetrics").field("requests", &self.requests.desc()).finish_non_exhaustive()
    }
}

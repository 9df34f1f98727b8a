//! The families about the exporter itself.
//!
//! Other modules record events in [`ExporterMetrics`] as they happen. Each scrape reads the
//! remaining values from the snapshot and from `/proc`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector as _;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{LabelPair, MetricFamily};
use prometheus::{Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use super::error_codes::ErrorCodes;
use super::family::{Kind, count, flag, metric_family};
use crate::aws::ErrorCode;
use crate::build_info;
use crate::fleet::Shard;
use crate::logging::LogCounters;
use crate::model::{Quota, SyncType, UnixSeconds};
use crate::snapshot::Store;
use crate::web::{CountRefusals, RefusalReason};

/// The name of the only histogram.
pub(super) const HISTOGRAM: &str = "ssm_sync_exporter_api_request_duration_seconds";

/// The names of all families that [`ExporterMetrics::gather`] may return, sorted.
pub(super) const NAMES: [&str; 27] = [
    "aws_ssm_resource_data_sync_quota",
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
    "process_virtual_memory_bytes",
    HISTOGRAM,
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
    "ssm_sync_exporter_http_refused_total",
    "ssm_sync_exporter_log_lines_dropped_total",
    "ssm_sync_exporter_panics_total",
    "ssm_sync_exporter_shard_index",
    "ssm_sync_exporter_shards",
    "ssm_sync_exporter_snapshot_median_age_seconds",
    "ssm_sync_exporter_snapshot_oldest_age_seconds",
    "ssm_sync_exporter_targets",
];

/// The metrics about the exporter itself. They are in a registry of their own instead of
/// the global one, so that several exporters in one process do not share counters.
pub struct ExporterMetrics {
    registry: Registry,
    shard: Shard,
    api_requests: IntCounterVec,
    api_request_failures: IntCounterVec,
    error_codes: ErrorCodes,
    api_request_duration: HistogramVec,
    reload_successful: Gauge,
    reload_success_timestamp: Gauge,
    discovery_success_timestamp: GaugeVec,
    discovery_failures: IntCounterVec,
    discovery_failing_lookups: GaugeVec,
    http_refused: IntCounterVec,
    log_counters: Arc<LogCounters>,
}

impl ExporterMetrics {
    /// Metrics of an exporter that polls `shard`, before any event has been recorded.
    ///
    /// # Errors
    /// If a metric name is invalid or registered twice, which is a bug.
    pub fn new(shard: Shard, log_counters: Arc<LogCounters>) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            registry: Registry::new(),
            shard,
            api_requests: IntCounterVec::new(
                Opts::new(
                    "ssm_sync_exporter_api_requests_total",
                    "Total number of requests sent to AWS, each retry included.",
                ),
                &["service", "operation"],
            )?,
            api_request_failures: IntCounterVec::new(
                Opts::new(
                    "ssm_sync_exporter_api_request_failures_total",
                    "Total number of failed requests to AWS, by AWS error code, or by kind of failure if AWS sent no error code.",
                ),
                &["service", "operation", "code"],
            )?,
            error_codes: ErrorCodes::default(),
            api_request_duration: HistogramVec::new(
                HistogramOpts::new(
                    HISTOGRAM,
                    "Duration in seconds of requests to AWS, from sending a request to reading the whole response. Each retry counts as a request.",
                )
                .buckets(vec![0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0]),
                &["service", "operation"],
            )?,
            reload_successful: Gauge::with_opts(Opts::new(
                "ssm_sync_exporter_config_last_reload_successful",
                "1 if the last attempt to load the configuration succeeded, 0 if it failed.",
            ))?,
            reload_success_timestamp: Gauge::with_opts(Opts::new(
                "ssm_sync_exporter_config_last_reload_success_timestamp_seconds",
                "Unix time in seconds at which the configuration was last loaded successfully.",
            ))?,
            discovery_success_timestamp: GaugeVec::new(
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
            discovery_failing_lookups: GaugeVec::new(
                Opts::new(
                    "ssm_sync_exporter_discovery_failing_lookups",
                    "Number of discovery lookups whose last attempt failed, by kind. A lookup is no longer counted once it succeeds.",
                ),
                &["kind"],
            )?,
            http_refused: IntCounterVec::new(
                Opts::new(
                    "ssm_sync_exporter_http_refused_total",
                    "Total number of HTTP requests, TLS handshakes and connections that were refused or ended to admit others, by reason. Clients that disconnect without sending a byte are not counted.",
                ),
                &["reason"],
            )?,
            log_counters,
        };
        // Exposed as 0 from the start, so that the first failure is an increase.
        for reason in RefusalReason::ALL {
            metrics.http_refused.with_label_values(&[reason.name()]);
        }
        for kind in ["identity", "organization", "regions"] {
            metrics.discovery_failures.with_label_values(&[kind]);
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
        let registry = &metrics.registry;
        registry.register(Box::new(build))?;
        registry.register(Box::new(metrics.api_requests.clone()))?;
        registry.register(Box::new(metrics.api_request_failures.clone()))?;
        registry.register(Box::new(metrics.api_request_duration.clone()))?;
        registry.register(Box::new(metrics.reload_successful.clone()))?;
        registry.register(Box::new(metrics.reload_success_timestamp.clone()))?;
        registry.register(Box::new(metrics.discovery_success_timestamp.clone()))?;
        registry.register(Box::new(metrics.discovery_failures.clone()))?;
        registry.register(Box::new(metrics.discovery_failing_lookups.clone()))?;
        registry.register(Box::new(metrics.http_refused.clone()))?;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// Counts a request to AWS. `error` is `None` if the request succeeded.
    pub(crate) fn record_api_request(
        &self,
        service: &str,
        operation: &str,
        duration: Duration,
        error: Option<&ErrorCode>,
    ) {
        self.api_requests.with_label_values(&[service, operation]).inc();
        self.api_request_duration.with_label_values(&[service, operation]).observe(duration.as_secs_f64());
        if let Some(code) = error {
            let code = self.error_codes.label(code);
            self.api_request_failures.with_label_values(&[service, operation, code]).inc();
        }
    }

    /// Records that the configuration was loaded at `now`, at startup or by a reload.
    pub(crate) fn config_loaded(&self, now: UnixSeconds) {
        self.reload_successful.set(1.0);
        self.reload_success_timestamp.set(now);
    }

    /// Records that a reload of the configuration failed.
    pub(crate) fn config_reload_failed(&self) {
        self.reload_successful.set(0.0);
    }

    /// Records that a discovery lookup of this kind succeeded at `now`.
    pub(crate) fn discovery_succeeded(&self, kind: &str, now: UnixSeconds) {
        self.discovery_success_timestamp.with_label_values(&[kind]).set(now);
    }

    /// Records that a discovery lookup of this kind failed.
    pub(crate) fn discovery_failed(&self, kind: &str) {
        self.discovery_failures.with_label_values(&[kind]).inc();
    }

    /// Removes the time of the last success of a discovery lookup of this kind. Called when
    /// the configuration no longer needs such lookups.
    pub(crate) fn forget_discovery_success(&self, kind: &str) {
        // An error means that no lookup of this kind has ever succeeded.
        let _absent = self.discovery_success_timestamp.remove_label_values(&[kind]);
    }

    /// Gathers all families about the exporter at `now`, including those whose values are in the
    /// store or in the configuration.
    pub(super) fn gather(&self, store: &Store, quota: Quota, now: UnixSeconds) -> Vec<MetricFamily> {
        let family = |name: &str, help: &str, kind: Kind, value: f64| {
            metric_family(name, help, kind.metric_type(), vec![kind.metric(value)])
        };
        let stats = &store.stats;
        let (index, shards) = (self.shard.index(), self.shard.total());
        let failing_lookups = store.failing_lookups();
        let failing_lookups_of = |kind| self.discovery_failing_lookups.with_label_values(&[kind]);
        // One lookup lists both the accounts and the units.
        let organization_is_failing =
            failing_lookups.organization.is_some() || failing_lookups.units.is_some();
        failing_lookups_of("organization").set(flag(organization_is_failing));
        failing_lookups_of("regions").set(count(failing_lookups.accounts as u64));
        let mut families = self.registry.gather();
        families.extend([
            family(
                "ssm_sync_exporter_shard_index",
                "Configured index of this shard, counted from 0.",
                Kind::Gauge,
                f64::from(index),
            ),
            family(
                "ssm_sync_exporter_shards",
                "Configured number of shards. 1 without sharding.",
                Kind::Gauge,
                f64::from(shards),
            ),
            family(
                "ssm_sync_exporter_targets",
                "Number of targets (pairs of account and region) that this exporter should poll.",
                Kind::Gauge,
                count(store.len() as u64),
            ),
            family(
                "ssm_sync_exporter_collections_in_flight",
                "Number of collections in progress.",
                Kind::Gauge,
                count(stats.in_flight() as u64),
            ),
            family(
                "ssm_sync_exporter_collection_overruns_total",
                "Total number of scheduled collections that were missed because the previous collection of the target ended too late.",
                Kind::Counter,
                count(stats.overruns()),
            ),
            family(
                "ssm_sync_exporter_log_lines_dropped_total",
                "Total number of log lines that were not written because stderr could not take them.",
                Kind::Counter,
                count(self.log_counters.dropped_lines()),
            ),
            family(
                "ssm_sync_exporter_panics_total",
                "Total number of panics. Each one is a bug in the exporter.",
                Kind::Counter,
                count(self.log_counters.panics()),
            ),
        ]);
        families.push(quota_family(quota));
        if let Some(ages) = store.snapshot_ages(now) {
            families.extend([
                family(
                    "ssm_sync_exporter_snapshot_oldest_age_seconds",
                    "Maximum, over all targets that are up, of the seconds since the last successful collection. Absent while no target is up.",
                    Kind::Gauge,
                    ages.oldest,
                ),
                family(
                    "ssm_sync_exporter_snapshot_median_age_seconds",
                    "Median, over all targets that are up, of the seconds since the last successful collection. Absent while no target is up.",
                    Kind::Gauge,
                    ages.median,
                ),
            ]);
        }
        families
    }
}

fn quota_family(quota: Quota) -> MetricFamily {
    let of_type = |sync_type: &SyncType| {
        let mut metric = Kind::Gauge.metric(f64::from(quota.of(sync_type)?));
        let mut label = LabelPair::default();
        label.set_name("sync_type".to_owned());
        label.set_value(sync_type.as_str().to_owned());
        metric.set_label(vec![label]);
        Some(metric)
    };
    // Sorted by label value, as the registry sorts the metrics of its families.
    let metrics = SyncType::KNOWN.iter().rev().filter_map(of_type).collect();
    metric_family(
        "aws_ssm_resource_data_sync_quota",
        "Maximum number of resource data syncs of one type per account and region, as configured.",
        Kind::Gauge.metric_type(),
        metrics,
    )
}

impl CountRefusals for ExporterMetrics {
    fn refused(&self, reason: RefusalReason) {
        self.http_refused.with_label_values(&[reason.name()]).inc();
    }
}

impl fmt::Debug for ExporterMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExporterMetrics")
            .field("api_requests", &self.api_requests.desc())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Account, Target, TargetList};
    use crate::model::{DataSync, Failure, Reason};
    use crate::snapshot::Report;

    fn report(ended: UnixSeconds, outcome: Result<Vec<DataSync>, Failure>) -> Report {
        Report { account: None, ended, took: Duration::from_secs(1), outcome, invalid_items: None }
    }

    /// A store of targets that are up and were collected at these times.
    fn store_of_targets_collected_at(times: &[UnixSeconds]) -> Store {
        let store = Store::new(Duration::from_mins(30));
        let target = |account: usize| {
            let account =
                Account { id: Some(format!("{account:012}").parse().unwrap()), ..Account::default() };
            Target { account: Arc::new(account), region: "eu-west-1".parse().unwrap() }
        };
        let targets = (0..times.len()).map(target).collect();
        let slots = store.set_targets(&TargetList { targets, ..TargetList::default() });
        for (slot, ended) in slots.iter().zip(times) {
            store.record(slot, report(*ended, Ok(Vec::new())));
        }
        store
    }

    #[test]
    fn the_ages_of_the_snapshot_are_those_of_the_targets_that_are_up() {
        let store = store_of_targets_collected_at(&[1000.0, 1090.0, 1060.0, 1095.0]);
        let failed = Err(Failure::new(Reason::Timeout, "message"));
        store.record(&store.slots()[0], report(1100.0, failed));
        let ages = |store: &Store| store.snapshot_ages(1100.0).map(|ages| (ages.oldest, ages.median));
        assert_eq!(ages(&store), Some((40.0, 10.0)));
        assert_eq!(ages(&store_of_targets_collected_at(&[1000.0])), Some((100.0, 100.0)));
        assert_eq!(ages(&store_of_targets_collected_at(&[])), None);
        // The clock was set back.
        assert_eq!(ages(&store_of_targets_collected_at(&[1200.0])), Some((0.0, 0.0)));
    }

    #[test]
    fn the_list_of_names_is_complete() {
        let store = store_of_targets_collected_at(&[1000.0]);
        let metrics = ExporterMetrics::new(Shard::default(), Arc::default()).unwrap();
        metrics.record_api_request(
            "ssm",
            "ListResourceDataSync",
            Duration::from_millis(1),
            Some(&ErrorCode::Known("ThrottlingException".to_owned())),
        );
        metrics.discovery_succeeded("regions", 1_763_800_000.25);
        let mut names: Vec<String> = metrics
            .gather(&store, Quota::default(), 0.0)
            .iter()
            .map(|family| family.name().to_owned())
            .collect();
        names.sort_unstable();
        assert_eq!(names, NAMES);
    }

    #[test]
    fn the_counters_of_the_log_are_exposed() {
        let log_counters = Arc::new(LogCounters::default());
        let metrics = ExporterMetrics::new(Shard::default(), Arc::clone(&log_counters)).unwrap();
        log_counters.count_panic();
        log_counters.count_dropped_lines(3);
        let families = metrics.gather(&Store::new(Duration::from_mins(30)), Quota::default(), 0.0);
        let value = |name: &str| {
            let family = families.iter().find(|family| family.name() == name).unwrap();
            family.get_metric()[0].get_counter().value()
        };
        assert_eq!(value("ssm_sync_exporter_panics_total").to_bits(), 1_f64.to_bits());
        assert_eq!(value("ssm_sync_exporter_log_lines_dropped_total").to_bits(), 3_f64.to_bits());
    }
}

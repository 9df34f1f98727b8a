//! One-shot mode (`once`): collects every target once, writes all results and exits. It
//! serves cron jobs, `node_exporter`'s textfile collector and people at a terminal.
//!
//! This module takes the place of `web` at the end of the stages that the daemon uses. It
//! runs the stages until the daemon would be ready, stops them and renders the snapshot as
//! metrics, as JSON, for people or as a configuration.

mod expectations;
mod incomplete;
mod table;
mod unmet;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use incomplete::IncompleteCollection;
pub use unmet::UnmetExpectations;

use crate::app::{BuildError, Collected, RoundError, Stages, log_replay, log_warnings};
use crate::aws::{FORMAT_VERSION, Recorder, RecordingError, RecordingHeader, RecordingOptions};
use crate::build_info;
use crate::clock::Clock;
use crate::config::Config;
use crate::expectations::ExpectationTotals;
use crate::fleet::{FailingLookups, Shard};
use crate::health::{AssessedSync, AssessedTarget, HealthPolicy};
use crate::logging::LogCounters;
use crate::metrics::{self, Exposition, FamilyFilter, FamilyName};
use crate::model::UnixSeconds;
use crate::negotiation::ContentCoding;
use crate::printable::escape_control_characters;
use crate::snapshot::Slot;
use crate::status::document::{self, Head, Summary};
use crate::terminal::{Output, OutputError, ProgressBar};

/// The format of the results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The metrics, in Prometheus's text format 0.0.4.
    #[default]
    Prometheus,
    /// The metrics, in OpenMetrics 1.0.0.
    Openmetrics,
    /// One JSON document with all targets and their syncs.
    Json,
    /// For people: what failed and why, all syncs by account and region, worst first, and totals.
    Table,
    /// `expectations` for a configuration, generated so that all collected targets meet them.
    Expectations,
}

/// What makes a run fail, besides a result that cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    /// Targets that were not collected, and accounts or regions that could not be discovered.
    #[default]
    Targets,
    /// In addition, targets that violate an expectation or for which that is unknown, and expectations
    /// that are about no target.
    Violations,
}

/// The stages of one-shot mode, ready to run.
///
/// ```no_run
/// use ssm_sync_exporter::clock::Clock;
/// use ssm_sync_exporter::config::Config;
/// use ssm_sync_exporter::fleet::Shard;
/// use ssm_sync_exporter::logging::Log;
/// use ssm_sync_exporter::once::{FailOn, Format, Once};
/// use ssm_sync_exporter::terminal::{Output, ProgressBar};
/// use tokio_util::sync::CancellationToken;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::load(None, std::env::vars_os())?;
/// let log = Log::new(Clock::system());
/// let output = Output::new(Some("syncs.prom".as_ref()))?;
/// let (shard, clock) = (Shard::default(), Clock::system());
/// let once = Once::build(config, output, None, shard, String::new(), log.counters(), clock).await?;
/// let progress = ProgressBar::new(true);
/// let (format, fail_on) = (Format::Prometheus, FailOn::Targets);
/// once.run(format, fail_on, &progress, &CancellationToken::new()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Once {
    stages: Stages,
    shard: Shard,
    ready_after: Duration,
    health: Arc<HealthPolicy>,
    output: Output,
    recorder: Option<Recorder>,
    clock: Clock,
}

/// Why [`Once::run`] failed.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// Something could not be collected. The results without it have been written.
    #[error(transparent)]
    Incomplete(#[from] IncompleteCollection),
    /// Expectations are violated, or it is unknown whether they are. The results have been written.
    #[error(transparent)]
    Unmet(#[from] UnmetExpectations),
    /// Both of the above.
    #[error("{0}; {1}")]
    IncompleteAndUnmet(IncompleteCollection, UnmetExpectations),
    /// The results could not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A signal interrupted the run before the results were written.
    #[error("interrupted by a signal; nothing was written")]
    Interrupted,
    /// Discovery or the scheduler ended early, or panicked.
    #[error("discovery or the scheduler ended unexpectedly, which is a bug")]
    StageEnded,
    /// The results could not be serialized.
    #[error("cannot serialize the results as JSON, which is a bug")]
    Json(#[from] serde_json::Error),
    /// The recording could not be written. The results have been written.
    #[error(transparent)]
    Recording(#[from] RecordingError),
}

impl From<RoundError> for OnceError {
    fn from(error: RoundError) -> Self {
        match error {
            RoundError::Interrupted => Self::Interrupted,
            RoundError::StageEnded => Self::StageEnded,
        }
    }
}

/// Everything that was collected, to be rendered.
#[derive(Debug)]
struct Results {
    targets: Vec<AssessedTarget>,
    /// What the targets were judged by.
    policy: Arc<HealthPolicy>,
    /// Whether discovery has found every target.
    targets_complete: bool,
    now: UnixSeconds,
}

impl Results {
    /// The targets that are up, down (`Some(false)`), or not collected (`None`).
    fn with_up(&self, up: Option<bool>) -> impl Iterator<Item = &AssessedTarget> {
        self.targets.iter().filter(move |target| target.up() == up)
    }

    /// How the targets compare with each expectation.
    fn expectation_totals(&self) -> ExpectationTotals {
        let mut totals = ExpectationTotals::new(self.policy.expectations.len());
        self.targets.iter().for_each(|target| totals.add(target.judgements()));
        totals
    }

    fn syncs(&self) -> impl Iterator<Item = (&AssessedTarget, AssessedSync<'_>)> {
        self.targets.iter().flat_map(|target| target.syncs().map(move |sync| (target, sync)))
    }
}

impl Once {
    /// Builds the stages for the targets of `shard`. Nothing runs yet.
    ///
    /// With a `recorder`, `clock` should be [fixed](Clock::fixed), because a replay has a single time.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub async fn build(
        mut config: Config,
        output: Output,
        mut recorder: Option<Recorder>,
        shard: Shard,
        replica: String,
        log_counters: Arc<LogCounters>,
        clock: Clock,
    ) -> Result<Self, BuildError> {
        if let Some(recorder) = &recorder {
            config.aws.exchange_observer = recorder.observer();
        }
        let (ready_after, health) = (config.ready_after, Arc::clone(&config.health));
        // node_exporter has process metrics of its own and rejects a textfile that repeats
        // them.
        config.disabled_families.extend(FamilyName::process_families());
        config.run_labels = run_labels(output.file(), config.file(), shard);
        let stages = Stages::build(config, shard, replica, log_counters, clock.clone()).await?;
        log_replay(&stages.applier);
        log_warnings(&stages.applier);
        if let Some(recorder) = &mut recorder {
            let configuration = stages.applier.replayable_config()?;
            recorder.begin(recording_header(configuration, shard, recorder.keeps_names(), clock.now()));
        }
        Ok(Self { stages, shard, ready_after, health, output, recorder, clock })
    }

    /// Collects every target once and writes the results to the output, even if they are
    /// incomplete. Nothing is written after `shutdown` is cancelled.
    ///
    /// # Errors
    /// See [`OnceError`].
    pub async fn run(
        self,
        format: Format,
        fail_on: FailOn,
        progress: &ProgressBar,
        shutdown: &CancellationToken,
    ) -> Result<(), OnceError> {
        let Collected { store, metrics, .. } = self.stages.collect_once(progress, shutdown).await?;
        let now = self.clock.now();
        let slots = store.slots();
        let assess = |slot: &Arc<Slot>| AssessedTarget::of_slot(&store, slot, &self.health, now);
        let targets = slots.iter().map(assess).collect();
        let failing_lookups = store.failing_lookups();
        let pending_lookups = store.pending_lookups();
        let targets_complete = pending_lookups == 0 && !failing_lookups.may_hide_targets();
        let results = Results { targets, policy: Arc::clone(&self.health), targets_complete, now };
        let output = self.output;
        let text = match format {
            Format::Prometheus => exposition(&metrics, metrics::Format::Text0_0_4),
            Format::Openmetrics => exposition(&metrics, metrics::Format::OpenMetrics1_0_0),
            Format::Json => document(&results, pending_lookups, &failing_lookups)?,
            Format::Table => {
                table::render(&results, output.terminal_width(), output.has_color()).into_bytes()
            }
            Format::Expectations => expectations::render(&results).into_bytes(),
        };
        if shutdown.run_until_cancelled(output.write(text)).await.transpose()?.is_none() {
            return Err(OnceError::Interrupted);
        }
        // After the results, which do not wait for the recording.
        if let Some(recorder) = self.recorder {
            let finished = shutdown.run_until_cancelled(recorder.finish()).await;
            finished.transpose()?.ok_or(OnceError::Interrupted)?;
        }
        let incomplete = IncompleteCollection::find(
            &results,
            &failing_lookups,
            pending_lookups,
            self.ready_after,
            self.shard,
        );
        let unmet = match fail_on {
            FailOn::Targets => None,
            FailOn::Violations => UnmetExpectations::find(&results, self.shard),
        };
        match (incomplete, unmet) {
            (None, None) => Ok(()),
            (Some(incomplete), None) => Err(incomplete.into()),
            (None, Some(unmet)) => Err(unmet.into()),
            (Some(incomplete), Some(unmet)) => Err(OnceError::IncompleteAndUnmet(incomplete, unmet)),
        }
    }
}

/// The labels of the samples without an account id. Without them, `node_exporter` would drop these
/// samples from all but one of several files, because it merges the files.
fn run_labels(
    output: Option<&Path>,
    config_file: Option<&Path>,
    shard: Shard,
) -> Vec<(&'static str, String)> {
    if let Some(output) = output {
        // As in node_exporter's metrics about the file.
        return vec![("file", output.display().to_string())];
    }
    let config_file = config_file.map(|file| {
        let file = std::path::absolute(file).unwrap_or_else(|_error| file.to_owned());
        ("config_file", file.display().to_string())
    });
    let shard = (shard.total() > 1).then(|| ("shard", shard.index().to_string()));
    config_file.into_iter().chain(shard).collect()
}

fn recording_header(
    configuration: serde_json::Value,
    shard: Shard,
    raw: bool,
    unix_seconds: UnixSeconds,
) -> RecordingHeader {
    #[expect(clippy::cast_possible_truncation, reason = "a time of this century")]
    let time = jiff::Timestamp::from_second(unix_seconds as i64).unwrap_or_default();
    RecordingHeader {
        ssm_sync_exporter_recording: FORMAT_VERSION,
        version: build_info::VERSION.to_owned(),
        time: time.to_string(),
        unix_seconds,
        raw,
        options: RecordingOptions { shard_index: shard.index(), shard_total: shard.total() },
        configuration,
    }
}

fn exposition(metrics: &Exposition, format: metrics::Format) -> Vec<u8> {
    metrics.scrape(format, ContentCoding::Identity, &FamilyFilter::All).flatten().collect()
}

fn document(
    results: &Results,
    pending_lookups: usize,
    failing_lookups: &FailingLookups,
) -> serde_json::Result<Vec<u8>> {
    let expectations = &results.policy.expectations;
    let mut summary = Summary::new(pending_lookups, failing_lookups, expectations);
    for target in &results.targets {
        summary.add(target, target.syncs());
    }
    let head = Head { generated_at: results.now, summary, next: None };
    document::to_vec_pretty(&head, expectations, &results.targets)
}

/// A number with its noun, such as `1 sync` and `2 syncs`.
fn pluralize(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The target as in log messages: account and region.
fn target_name(target: &AssessedTarget) -> String {
    escape_control_characters(&format!("{}/{}", target.display_id(), target.target().region))
}

//! The command `doctor`: takes every step that the daemon takes, once, and says which of them fail and
//! what to do about it.
//!
//! It runs the same stages as `once`, so no check differs from what the daemon does, and reads what
//! happened afterwards:
//!
//! - `exchanges`: keeps where each request went and what time it was there;
//! - `check`: a step, and how it ended;
//! - `access_chain`: the steps to the credentials of an account;
//! - `examination`: turns what happened into checks;
//! - `cause`: groups failed checks by cause, with what to do about each;
//! - `report`: the checks and their causes;
//! - `document`, `table`: the results for programs and for people.

mod access_chain;
mod cause;
mod check;
mod document;
mod examination;
mod exchanges;
mod report;
mod table;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::{BuildError, Collected, RoundError, Stages};
use crate::aws::ExchangeObserver;
use crate::clock::Clock;
use crate::config::Config;
use crate::fleet::{Narrowing, NotPolled, Shard};
use crate::logging::LogCounters;
use crate::status::text::{pluralize, with_commas};
use crate::terminal::{Output, OutputError, ProgressBar};
use examination::Examination;
use exchanges::ExchangeLog;
use report::{Counts, Report};

/// The format of the results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: the checks, and what to do about those that failed.
    #[default]
    Table,
    /// One JSON document with all checks and causes.
    Json,
}

/// What to look at, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where to look.
    pub narrowing: Narrowing,
    /// Replaces the `concurrency` of the configuration.
    pub concurrency: Option<NonZeroUsize>,
    /// The part of the targets to look at.
    pub shard: Shard,
    /// The name of this exporter, such as its host name.
    pub replica: String,
}

/// The stages of the daemon, ready to run, and what watches them.
#[derive(Debug)]
pub struct Doctor {
    stages: Stages,
    exchanges: Arc<ExchangeLog>,
    shard: Shard,
    ready_after: Duration,
    output: Output,
    clock: Clock,
}

/// Why [`Doctor::run`] failed.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// Checks failed. The results have been written.
    #[error(transparent)]
    Failed(#[from] FailedChecks),
    /// What should be looked at is not polled. Nothing was written.
    #[error(transparent)]
    NotPolled(#[from] NotPolled),
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
}

/// How many checks failed, and for how many causes.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{} of {} failed for {}", with_commas(*.failed), pluralize(*.checks, "check"), pluralize(*.causes, "cause"))]
pub struct FailedChecks {
    failed: usize,
    checks: usize,
    causes: usize,
}

impl From<RoundError> for DoctorError {
    fn from(error: RoundError) -> Self {
        match error {
            RoundError::Interrupted => Self::Interrupted,
            RoundError::StageEnded => Self::StageEnded,
        }
    }
}

impl Doctor {
    /// Builds the stages. Nothing runs yet.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub async fn build(
        mut config: Config,
        options: Options,
        output: Output,
        log_counters: Arc<LogCounters>,
        clock: Clock,
    ) -> Result<Self, BuildError> {
        let Options { narrowing, concurrency, shard, replica } = options;
        let ready_after = config.ready_after;
        let exchanges = Arc::new(ExchangeLog::new(clock.clone()));
        config.narrowing = narrowing;
        config.concurrency = concurrency.unwrap_or(config.concurrency);
        config.aws.exchange_observer = ExchangeObserver(Some(Arc::clone(&exchanges) as _));
        let stages = Stages::build(config, shard, replica, log_counters, clock.clone()).await?;
        Ok(Self { stages, exchanges, shard, ready_after, output, clock })
    }

    /// Takes every step once and writes the results to the output. Nothing is written after `shutdown`
    /// is cancelled.
    ///
    /// # Errors
    /// See [`DoctorError`].
    pub async fn run(
        self,
        format: Format,
        progress: &ProgressBar,
        shutdown: &CancellationToken,
    ) -> Result<(), DoctorError> {
        let Collected { store, applier, .. } = self.stages.collect_once(progress, shutdown).await?;
        if let Some(not_polled) = store.not_polled().first() {
            return Err(not_polled.clone().into());
        }
        applier.sessions().find_origins().await;
        let organization = applier.organization();
        let now = self.clock.now();
        let examination = Examination {
            store: &store,
            sessions: applier.sessions(),
            exchanges: &self.exchanges,
            organization: organization.as_ref(),
            ready_after: self.ready_after,
            shard: self.shard,
            now,
        };
        let report = Report::new(examination.checks(), now);
        let output = self.output;
        let text = match format {
            Format::Json => document::render(&report)?,
            Format::Table => table::render(&report, output.terminal_width(), output.has_color()).into_bytes(),
        };
        if shutdown.run_until_cancelled(output.write(text)).await.transpose()?.is_none() {
            return Err(DoctorError::Interrupted);
        }
        let Counts { passed, failed, not_tested } = report.counts();
        let (checks, causes) = (passed + failed + not_tested, report.causes.len());
        if failed == 0 { Ok(()) } else { Err(FailedChecks { failed, checks, causes }.into()) }
    }
}

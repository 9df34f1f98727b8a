//! Looks but once: every target has one collection, and what is known then is
//! written in one piece. For cron jobs, `node_exporter`'s textfile collector and
//! people.
//!
//! It stands where the web does, at the end of the same stages, and runs them until
//! the exporter would be ready.

mod incomplete;
mod json;
mod output;
mod progress;
mod table;

use std::fmt;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use incomplete::Incomplete;
pub use output::{Output, OutputError};
pub use progress::Progress;

use crate::app::{BuildError, Stages, log_warnings};
use crate::clock::Clock;
use crate::config::Config;
use crate::fleet::Shard;
use crate::fleet::Unresolved;
use crate::metrics::{self, Exposition, FamilyFilter, FamilyName};
use crate::model::{DataSync, SyncStatus, UnixSeconds};
use crate::negotiation::Coding;
use crate::readiness::{NotReady, Readiness};
use crate::snapshot::{Store, TargetView};

/// How often to look whether all is known.
const LOOK: Duration = Duration::from_millis(50);

/// In which form to write what is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The metrics, in Prometheus's text format 0.0.4.
    #[default]
    Prometheus,
    /// The metrics, in OpenMetrics 1.0.0.
    Openmetrics,
    /// One JSON document with all targets and their syncs.
    Json,
    /// Tables for people: syncs, those that failed first, and targets that failed.
    Table,
}

/// One collection of everything, ready to run.
#[derive(Debug)]
pub struct Once {
    stages: Stages,
    shard: Shard,
    patience: Duration,
    clock: Clock,
}

/// Why it did not do all that it should.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// Not everything could be collected. What could has been written.
    #[error(transparent)]
    Short(#[from] Incomplete),
    /// What is known could not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// It was told to end.
    #[error("ended by a signal; nothing was written")]
    Interrupted,
    /// A part of it ended by itself.
    #[error("a stage ended, which is a bug")]
    Broken,
    /// What is known cannot be written as JSON.
    #[error("cannot write JSON, which is a bug")]
    Json(#[from] serde_json::Error),
}

/// What is known when all has been collected.
#[derive(Debug)]
struct Known {
    views: Vec<TargetView>,
    now: UnixSeconds,
    /// Whether there may be more targets than these.
    complete: bool,
}

impl Once {
    /// Prepares the way to every account of a `shard`. Nothing runs yet.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub async fn build(
        mut config: Config,
        shard: Shard,
        replica: String,
        clock: Clock,
    ) -> Result<Self, BuildError> {
        let patience = config.ready_after;
        // No target has its second turn before half of this has passed.
        config.interval = 2 * patience;
        // Nor is anything asked again that was answered.
        config.refresh_interval = 2 * patience;
        if let Some(entry) = &mut config.organization {
            entry.organization.refresh_interval = 2 * patience;
        }
        // node_exporter, which reads what is written, has these itself, and would
        // refuse to show any of its own metrics.
        config.disabled_families.extend(FamilyName::process_families());
        let stages = Stages::build(config, shard, replica, clock.clone()).await?;
        log_warnings(&stages.applier);
        Ok(Self { stages, shard, patience, clock })
    }

    /// Collects, and writes what is known then into `sink`, even if it is not all
    /// that there is. After `shutdown` nothing is written.
    ///
    /// # Errors
    /// See [`OnceError`].
    pub async fn run(
        self,
        format: Format,
        sink: Output,
        progress: &Progress,
        shutdown: &CancellationToken,
    ) -> Result<(), OnceError> {
        let Stages { discovery, scheduler, store, metrics, readiness, applier: _helm } = self.stages;
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(discovery.run(stop.clone()));
        tasks.spawn(scheduler.run(stop.clone()));
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Err(OnceError::Interrupted),
            _ended = tasks.join_next() => return Err(OnceError::Broken),
            () = collected(&store, &readiness, progress) => {}
        }
        stop.cancel();
        while tasks.join_next().await.is_some() {}
        progress.clear();

        let now = self.clock.now();
        let views: Vec<TargetView> = store.slots().iter().map(|slot| store.view(slot, now)).collect();
        let unresolved = store.unresolved();
        let pending = store.pending();
        let known = Known { complete: pending == 0 && *unresolved == Unresolved::default(), views, now };
        let text = match format {
            Format::Prometheus => exposition(&metrics, metrics::Format::Text0_0_4),
            Format::Openmetrics => exposition(&metrics, metrics::Format::OpenMetrics1_0_0),
            Format::Json => json::document(&known)?,
            Format::Table => table::tables(&known, sink.width()).into_bytes(),
        };
        if shutdown.run_until_cancelled(sink.write(text)).await.transpose()?.is_none() {
            return Err(OnceError::Interrupted);
        }
        let shortfall = Incomplete::of(&known, &unresolved, pending, self.patience, self.shard);
        shortfall.map_or(Ok(()), |shortfall| Err(shortfall.into()))
    }
}

/// Waits until it is known what to poll and every target has been collected, or
/// there has been patience enough. An organization is asked once, and not again
/// while there is nothing else to wait for.
async fn collected(store: &Store, readiness: &Readiness, progress: &Progress) {
    while let Err(waiting) = readiness.check() {
        let NotReady { waiting: uncollected, pending, .. } = waiting;
        if uncollected == 0 && pending == 1 && store.unresolved().organization.is_some() {
            break;
        }
        progress.show(store, pending > 0);
        tokio::time::sleep(LOOK).await;
    }
}

fn exposition(metrics: &Exposition, format: metrics::Format) -> Vec<u8> {
    let pieces: Vec<Vec<u8>> = metrics.scrape(format, Coding::Identity, &FamilyFilter::All).collect();
    pieces.concat()
}

/// Whether the last attempt of a sync failed, or there is something wrong with its
/// source: all states that AWS reports are faults.
fn is_failed(sync: &DataSync) -> bool {
    let fault = sync.source.as_ref().is_some_and(|source| source.state.is_some());
    fault || sync.last_status == Some(SyncStatus::Failed)
}

/// A text that others have chosen, made harmless for a terminal: characters that
/// control it are shown as they would be written in Rust.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}

/// Seconds as people say them, such as `1d 2h`.
fn spoken(age: Duration) -> String {
    const UNITS: [(u64, char); 4] = [(86_400, 'd'), (3600, 'h'), (60, 'm'), (1, 's')];
    let seconds = age.as_secs();
    let first = UNITS.iter().position(|(length, _)| seconds >= *length).unwrap_or(UNITS.len() - 1);
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (length, unit) in UNITS.into_iter().skip(first).take(2) {
        let number = rest / length;
        rest %= length;
        if number > 0 || parts.is_empty() {
            parts.push(format!("{number}{unit}"));
        }
    }
    parts.join(" ")
}

/// So many of something.
struct Number(usize, &'static str);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, thing) = self;
        write!(f, "{number} {thing}{}", if *number == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units_at_most() {
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (125, "2m 5s"),
            (3600, "1h"),
            (3659, "1h"),
            (93_606, "1d 2h"),
            (864_000, "10d"),
        ] {
            assert_eq!(spoken(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn what_would_control_a_terminal_is_shown() {
        assert_eq!(harmless("plain \"ünï\" \\ 日本"), "plain \"ünï\" \\ 日本");
        assert_eq!(
            harmless("\u{1b}[2J\u{9b}31m\r\n\t\u{7f}\u{202e}"),
            "\\u{1b}[2J\\u{9b}31m\\r\\n\\t\\u{7f}\\u{202e}"
        );
    }
}

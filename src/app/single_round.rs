//! Collects every target once and then stops all stages, for the commands that look only once.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::stages::{ConfigApplier, Stages};
use crate::metrics::Exposition;
use crate::readiness::{NotReady, Readiness};
use crate::snapshot::Store;
use crate::terminal::ProgressBar;

/// How often to check whether every target has been collected.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// What is left of the stages after a round. Nothing runs any longer.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) store: Arc<Store>,
    pub(crate) metrics: Arc<Exposition>,
    pub(crate) applier: ConfigApplier,
}

/// Why a round has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoundError {
    /// A signal interrupted it.
    Interrupted,
    /// Discovery or the scheduler ended early, or panicked.
    StageEnded,
}

impl Stages {
    /// Collects every target once, until each has been collected or `ready_after` has passed. Ends early
    /// if what the command line selects turns out not to be polled.
    ///
    /// # Errors
    /// See [`RoundError`].
    pub(crate) async fn collect_once(
        self,
        progress: &ProgressBar,
        shutdown: &CancellationToken,
    ) -> Result<Collected, RoundError> {
        // The stages receive their settings over channels that close if the applier is
        // dropped.
        let Self { discovery, scheduler, store, metrics, readiness, failure_log, applier } = self;
        let collected = Collected { store: Arc::clone(&store), metrics, applier };
        if !store.not_polled().is_empty() {
            return Ok(collected);
        }
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(discovery.without_refresh().run(stop.clone()));
        tasks.spawn(scheduler.single_round().run(stop.clone()));
        let failure_log_stop = stop.clone();
        tasks.spawn(async move { failure_log.run(failure_log_stop).await });
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Err(RoundError::Interrupted),
            _ended = tasks.join_next() => return Err(RoundError::StageEnded),
            () = wait_until_collected(&store, &readiness, progress) => {}
        }
        stop.cancel();
        while tasks.join_next().await.is_some() {}
        progress.clear();
        Ok(collected)
    }
}

/// Waits until discovery has found every target, each has been collected, and each managed-node lookup
/// has ended, or `ready_after` has passed. Does not wait for the retry of a failed listing of the
/// organization if everything else has been collected.
async fn wait_until_collected(store: &Store, readiness: &Readiness, progress: &ProgressBar) {
    while let Err(not_ready) = readiness.check() {
        let NotReady { uncollected, pending_lookups, .. } = not_ready;
        let only_organization_failed =
            uncollected == 0 && pending_lookups == 1 && store.failing_lookups().organization.is_some();
        if !store.not_polled().is_empty() {
            return;
        }
        if only_organization_failed {
            break;
        }
        progress.update(store, pending_lookups > 0);
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    while store.pending_node_lookups() > 0 && !readiness.has_timed_out() {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

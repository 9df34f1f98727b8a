//! Collects every target once and then stops all stages, for the commands that look only once.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

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
    loop {
        let targets = store.pending_node_lookups();
        if targets == 0 {
            return;
        }
        if readiness.has_timed_out() {
            warn!(
                targets,
                "managed nodes were not looked up within ready_after, so idle syncs may be reported as stale or stuck"
            );
            return;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Account, Target, TargetList};
    use crate::logging::captured::Lines;
    use crate::snapshot::{NodeReport, Report};

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_does_not_end_in_time_is_logged_and_waited_for_no_longer() {
        for ends in [true, false] {
            let (lines, _guard) = Lines::of("single_round");
            let store = Store::new(Duration::ZERO);
            let account = Account {
                id: Some("111122223333".parse().unwrap()),
                managed_nodes_interval: Some(Duration::from_hours(6)),
                ..Account::default()
            };
            let target = Target { account: Arc::new(account), region: "eu-west-1".parse().unwrap() };
            let slots = store.set_targets(&TargetList { targets: vec![target], ..TargetList::default() });
            let (took, outcome) = (Duration::ZERO, Ok(Vec::new()));
            let report = Report { account: None, ended: 0.0, took, outcome, invalid_items: None };
            store.record(&slots[0], report);
            let store = Arc::new(store);
            let readiness = Readiness::new(Arc::clone(&store), Duration::from_mins(10));
            let started = tokio::time::Instant::now();
            let lookup = async {
                tokio::time::sleep(Duration::from_mins(9)).await;
                if ends {
                    let report = NodeReport { account: None, ended: 0.0, outcome: Ok(true) };
                    store.record_managed_nodes(&slots[0], report);
                }
            };
            let progress = ProgressBar::new(false);
            tokio::join!(wait_until_collected(&store, &readiness, &progress), lookup);
            assert_eq!(started.elapsed().as_secs() / 60, if ends { 9 } else { 10 });
            let expected = "WARN managed nodes were not looked up within ready_after, so idle syncs may be reported as \
                            stale or stuck targets=1";
            assert_eq!(lines.take(), if ends { vec![] } else { vec![expected] });
        }
    }
}

//! Collects one target: calls AWS and turns the responses into plain data. Also looks up whether a
//! target has managed nodes.
//!
//! The [scheduler](crate::scheduler) decides when a target is collected, and when its managed
//! nodes are looked up. Collections and lookups always return a report; if they fail, the report
//! contains the failure. This module does not know who uses the reports.

mod call_failure;
mod item;
mod list;
mod managed_nodes;
mod page;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;

use crate::aws::{CachedCredentials, Session, Sessions, catch_panic};
use crate::clock::Clock;
use crate::fleet::{AccountId, Target};
use crate::model::{Failure, Reason};
use crate::snapshot::{NodeReport, Report};
use list::SyncList;

/// Collects targets for the scheduler.
pub trait Collect: Send + Sync + 'static {
    /// Collects `target` once. The implementation limits how long that takes.
    fn collect(&self, target: &Target) -> impl Future<Output = Report> + Send;

    /// Looks up once whether `target` has managed nodes. The implementation limits how long that takes.
    fn look_up_managed_nodes(&self, target: &Target) -> impl Future<Output = NodeReport> + Send;
}

/// Collects from AWS.
#[derive(Debug)]
pub(crate) struct Collector {
    sessions: Arc<Sessions>,
    timeout: Duration,
    clock: Clock,
}

impl Collector {
    /// A collection or a managed-node lookup fails if it takes longer than `timeout`.
    pub(crate) fn new(sessions: Arc<Sessions>, timeout: Duration, clock: Clock) -> Self {
        Self { sessions, timeout, clock }
    }

    /// Lists the syncs of `target`.
    async fn list_syncs(&self, target: &Target, progress: &mut Progress) -> Result<SyncList, Failure> {
        let (session, credentials) = self.access(target, progress).await?;
        list::list(session, credentials, target).await
    }

    /// Whether there are managed nodes in `target`.
    async fn has_managed_nodes(&self, target: &Target, progress: &mut Progress) -> Result<bool, Failure> {
        let (session, credentials) = self.access(target, progress).await?;
        managed_nodes::are_present(session, credentials, target).await
    }

    /// Obtains the credentials for `target` and checks that they belong to its account.
    async fn access<'a>(
        &self,
        target: &Target,
        progress: &'a mut Progress,
    ) -> Result<(&'a Arc<Session>, &'a Arc<CachedCredentials>), Failure> {
        let session = self.sessions.get(&target.account).await;
        let credentials = session.credentials.get().await?;
        let (session, credentials) = progress.access.insert((session, credentials));
        match &target.account.id {
            // Nothing to check: the account id is taken from the ARN of the last role.
            Some(_) if !target.account.access.roles.is_empty() => {}
            Some(configured) => session.check_account_id(credentials, configured).await?,
            None => match session.account_id(credentials, self.timeout / 2).await {
                Ok(id) => progress.account = Some(id),
                Err(failure) => {
                    // STS itself has rejected them.
                    if failure.rejects_credentials {
                        session.credentials.reject(credentials, &failure);
                    }
                    return Err(failure);
                }
            },
        }
        Ok((session, credentials))
    }

    /// Runs `work` with the timeout. `what` names the work in messages.
    // Not an `async fn`, because its future would reserve space for `work` twice.
    fn limit<T>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> impl Future<Output = Result<T, Unsuccessful>> {
        let timeout = self.timeout;
        tokio::time::timeout(timeout, catch_panic(what, work)).map(move |ended| match ended {
            Ok(Ok(outcome)) => outcome.map_err(Unsuccessful::Failed),
            Ok(Err(panic)) => Err(Unsuccessful::Panicked(panic)),
            Err(_elapsed) => {
                let message = format!("{what} did not end within {timeout:?}");
                Err(Unsuccessful::Failed(Failure::new(Reason::Timeout, message)))
            }
        })
    }
}

/// Why there is no result.
enum Unsuccessful {
    Failed(Failure),
    /// The SDK or this crate panicked, which may have left the client in a broken state.
    Panicked(Failure),
}

/// How far a collection or a managed-node lookup has come, in case it times out or panics.
#[derive(Default)]
struct Progress {
    /// The account id according to STS, if none is configured.
    account: Option<AccountId>,
    access: Option<(Arc<Session>, Arc<CachedCredentials>)>,
}

impl Progress {
    /// The failure to report. After a panic, drops the SSM client, which may be broken.
    fn failure(&self, unsuccessful: Unsuccessful, target: &Target) -> Failure {
        match unsuccessful {
            Unsuccessful::Failed(failure) => failure,
            Unsuccessful::Panicked(failure) => {
                if let Some((session, credentials)) = &self.access {
                    session.drop_ssm_client(credentials, &target.region);
                }
                failure
            }
        }
    }
}

impl Collect for Collector {
    async fn collect(&self, target: &Target) -> Report {
        let started = Instant::now();
        let mut progress = Progress::default();
        let listed = self.limit("the collection", self.list_syncs(target, &mut progress)).await;
        let (outcome, invalid_items) = match listed {
            Ok(SyncList { syncs, invalid_items }) => (Ok(syncs), invalid_items),
            Err(unsuccessful) => (Err(progress.failure(unsuccessful, target)), None),
        };
        let (account, ended, took) = (progress.account, self.clock.now(), started.elapsed());
        Report { account, ended, took, outcome, invalid_items }
    }

    async fn look_up_managed_nodes(&self, target: &Target) -> NodeReport {
        let mut progress = Progress::default();
        let found =
            self.limit("the managed-node lookup", self.has_managed_nodes(target, &mut progress)).await;
        let outcome = found.map_err(|unsuccessful| progress.failure(unsuccessful, target));
        NodeReport { account: progress.account, ended: self.clock.now(), outcome }
    }
}

#[cfg(test)]
mod tests;

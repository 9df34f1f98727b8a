//! Collects one target: calls AWS and turns the responses into plain data.
//!
//! The [scheduler](crate::scheduler) decides when a target is collected. A collection
//! always returns a [`Report`]; if it fails, the report contains the failure. This module
//! does not know who uses the reports.

mod item;
mod list;
mod page;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::aws::{CachedCredentials, Session, Sessions, catch_panic};
use crate::clock::Clock;
use crate::fleet::{AccountId, Target};
use crate::model::{Failure, Reason};
use crate::snapshot::Report;
use list::SyncList;

/// Collects targets for the scheduler.
pub trait Collect: Send + Sync + 'static {
    /// Collects `target` once. The implementation limits how long that takes.
    fn collect(&self, target: &Target) -> impl Future<Output = Report> + Send;
}

/// Collects from AWS.
#[derive(Debug)]
pub(crate) struct Collector {
    sessions: Arc<Sessions>,
    timeout: Duration,
    clock: Clock,
}

impl Collector {
    /// A collection fails if it takes longer than `timeout`.
    pub(crate) fn new(sessions: Arc<Sessions>, timeout: Duration, clock: Clock) -> Self {
        Self { sessions, timeout, clock }
    }

    /// Lists the syncs of `target`.
    async fn list_syncs(&self, target: &Target, progress: &mut Progress) -> Result<SyncList, Failure> {
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
        list::list(session, credentials, target).await
    }
}

/// How far a collection has come, in case it times out or panics.
#[derive(Default)]
struct Progress {
    /// The account id according to STS, if none is configured.
    account: Option<AccountId>,
    access: Option<(Arc<Session>, Arc<CachedCredentials>)>,
}

impl Collect for Collector {
    async fn collect(&self, target: &Target) -> Report {
        let started = Instant::now();
        let mut progress = Progress::default();
        let syncs = catch_panic("the collection", self.list_syncs(target, &mut progress));
        let outcome = match tokio::time::timeout(self.timeout, syncs).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => {
                if let Some((session, credentials)) = &progress.access {
                    session.drop_ssm_client(credentials, &target.region);
                }
                Err(panic)
            }
            Err(_elapsed) => {
                let message = format!("the collection did not end within {:?}", self.timeout);
                Err(Failure::new(Reason::Timeout, message))
            }
        };
        let (outcome, invalid_items) = match outcome {
            Ok(SyncList { syncs, invalid_items }) => (Ok(syncs), invalid_items),
            Err(failure) => (Err(failure), None),
        };
        let (account, ended, took) = (progress.account, self.clock.now(), started.elapsed());
        Report { account, ended, took, outcome, invalid_items }
    }
}

#[cfg(test)]
mod tests;

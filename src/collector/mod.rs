//! Collects one target: calls AWS and turns the responses into plain data.
//!
//! The [scheduler](crate::scheduler) decides when a target is collected. A collection
//! always returns a [`Report`]; if it fails, the report contains the failure. This module
//! does not know who uses the reports.

mod convert;
mod list;
mod presence;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::aws::Sessions;
use crate::clock::Clock;
use crate::fleet::{AccountId, Target};
use crate::model::{DataSync, Failure, Reason};
use crate::snapshot::Report;

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

    /// Lists the syncs of `target`. If the account id is not configured, it is stored in
    /// `looked_up_id` as soon as STS has returned it, so that the report contains the id even if
    /// the collection fails or times out afterwards.
    async fn list_syncs(
        &self,
        target: &Target,
        looked_up_id: &mut Option<AccountId>,
    ) -> Result<Vec<DataSync>, Failure> {
        let session = self.sessions.get(&target.account).await;
        let credentials = session.credentials.get().await?;
        match &target.account.id {
            // Nothing to check: the account id is taken from the ARN of the last role.
            Some(_) if !target.account.access.roles.is_empty() => {}
            Some(configured) => session.check_account_id(&credentials, configured).await?,
            None => *looked_up_id = Some(session.account_id(&credentials, self.timeout / 2).await?),
        }
        let account_id = looked_up_id.as_ref().or(target.account.id.as_ref()).map_or("", AccountId::as_str);
        list::list(&session, &credentials, account_id, target).await
    }
}

impl Collect for Collector {
    async fn collect(&self, target: &Target) -> Report {
        let started = Instant::now();
        let mut looked_up_id = None;
        let syncs = tokio::time::timeout(self.timeout, self.list_syncs(target, &mut looked_up_id));
        let outcome = syncs.await.unwrap_or_else(|_elapsed| {
            let message = format!("the collection did not end within {:?}", self.timeout);
            Err(Failure::new(Reason::Timeout, message))
        });
        Report { account: looked_up_id, ended: self.clock.now(), took: started.elapsed(), outcome }
    }
}

//! One collection of one target: the calls to AWS, and plain data out of them.
//!
//! It knows nothing of when it is called or what becomes of its reports. A
//! collection never fails as such: what went wrong is a part of its
//! [`Report`].

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

/// Something that can collect a target; the scheduler drives it.
pub trait Collect: Send + Sync + 'static {
    /// Collects `target` once, within a time of its own.
    fn collect(&self, target: &Target) -> impl Future<Output = Report> + Send;
}

/// Collects from AWS.
#[derive(Debug)]
pub struct Collector {
    sessions: Arc<Sessions>,
    timeout: Duration,
    clock: Clock,
}

impl Collector {
    /// A collector over `sessions`, which gives each collection `timeout`.
    pub fn new(sessions: Arc<Sessions>, timeout: Duration, clock: Clock) -> Self {
        Self { sessions, timeout, clock }
    }

    async fn attempt(
        &self,
        target: &Target,
        account: &mut Option<AccountId>,
    ) -> Result<Vec<DataSync>, Failure> {
        let session = self.sessions.of(&target.account).await;
        let observer = self.sessions.observer();
        let lent = session.credentials.get().await?;
        match &target.account.id {
            // The ARN of a role tells the account for sure.
            Some(_) if !target.account.access.roles.is_empty() => {}
            Some(given) => session.check_account_id(&lent, given, observer).await?,
            None => *account = Some(session.account_id(&lent, self.timeout / 2, observer).await?),
        }
        let id = account.as_ref().or(target.account.id.as_ref()).map_or("", AccountId::as_str);
        list::list(&session, &lent, id, target, observer).await
    }
}

impl Collect for Collector {
    async fn collect(&self, target: &Target) -> Report {
        let started = Instant::now();
        let mut account = None;
        let attempt = tokio::time::timeout(self.timeout, self.attempt(target, &mut account));
        let outcome = attempt.await.unwrap_or_else(|_elapsed| {
            let message = format!("the collection took longer than {:?}", self.timeout);
            Err(Failure::new(Reason::Timeout, message))
        });
        Report { account, ended: self.clock.now(), took: started.elapsed(), outcome }
    }
}

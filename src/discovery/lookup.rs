//! Who is asked.

use std::sync::Arc;
use std::time::Duration;

use super::sources::{Members, Organization};
use super::{organization, regions};
use crate::aws::Sessions;
use crate::fleet::{Account, RegionName};
use crate::model::{Failure, Reason};

/// How long listing an organization may take. A thousand units take a thousand
/// calls, and AWS allows only some a second.
const ORGANIZATION_LIMIT: Duration = Duration::from_mins(10);

/// How long listing the regions of an account may take.
const REGIONS_LIMIT: Duration = Duration::from_mins(1);

/// Something that knows the answers, and gives each within a time of its own.
pub trait Lookups: Send + Sync + 'static {
    /// The accounts of an organization that can be polled.
    fn members(&self, organization: &Organization) -> impl Future<Output = Result<Members, Failure>> + Send;

    /// The regions that an account has enabled; at least one.
    fn regions(&self, account: &Account) -> impl Future<Output = Result<Vec<RegionName>, Failure>> + Send;

    /// No other accounts than these will be called any longer.
    fn retain(&self, accounts: &[&Account]);
}

/// Asks AWS.
#[derive(Debug)]
pub struct AwsLookups(Arc<Sessions>);

impl AwsLookups {
    /// One that calls AWS over `sessions`.
    #[must_use]
    pub fn new(sessions: Arc<Sessions>) -> Self {
        Self(sessions)
    }
}

impl Lookups for AwsLookups {
    async fn members(&self, organization: &Organization) -> Result<Members, Failure> {
        within(ORGANIZATION_LIMIT, Box::pin(organization::members(&self.0, organization))).await
    }

    async fn regions(&self, account: &Account) -> Result<Vec<RegionName>, Failure> {
        within(REGIONS_LIMIT, Box::pin(regions::enabled(&self.0, account))).await
    }

    fn retain(&self, accounts: &[&Account]) {
        self.0.retain(accounts.iter().copied());
    }
}

async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, Failure>> + Send,
) -> Result<T, Failure> {
    let late = || Failure::new(Reason::Timeout, format!("no answer within {limit:?}"));
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_elapsed| Err(late()))
}

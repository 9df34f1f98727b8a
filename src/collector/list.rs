//! Lists the syncs of a target: both types, all pages.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use aws_sdk_ssm::config::retry::RetryPartition;
use aws_sdk_ssm::config::{Builder, Region};
use aws_sdk_ssm::error::SdkError;
use aws_sdk_ssm::operation::list_resource_data_sync::ListResourceDataSyncError;
use aws_sdk_ssm::{Client, Config};
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;

use super::convert;
use super::presence::WatchPresence;
use crate::aws::{CachedCredentials, Observer, Session, errors};
use crate::fleet::Target;
use crate::model::{DataSync, Failure, Reason, SyncType};

/// The most that AWS puts on a page.
const PAGE_SIZE: i32 = 50;

/// No account has thousands of syncs. Whatever needs more pages than this
/// would never end.
const MAX_PAGES: usize = 100;

/// How SSM says that it does not know an access key.
const UNKNOWN_HERE: &str = "UnrecognizedClientException";

type ListError = SdkError<ListResourceDataSyncError>;

/// Asks for each type by itself, because what a call without a type brings is
/// documented nowhere.
pub(super) async fn list(
    session: &Session,
    lent: &Arc<CachedCredentials>,
    account: &str,
    target: &Target,
    observer: &Arc<dyn Observer>,
) -> Result<Vec<DataSync>, Failure> {
    let client = session.ssm(lent);
    // The SDK meters its retries by partition, by default one for each service
    // and region: one account that AWS throttles would use up the retries of
    // all others there.
    let retry_partition = RetryPartition::new(format!("ssm-{account}-{}", target.region));
    let here = Config::builder()
        .region(Region::new(target.region.as_str().to_owned()))
        .retry_partition(retry_partition);

    // A sync that is listed twice, by a list that shifts between two pages or
    // by a call that does not keep to the type, is still one sync.
    let mut syncs = BTreeMap::new();
    for asked in SyncType::KNOWN {
        let found = |sync: DataSync| {
            syncs.insert((sync.sync_type.clone(), sync.name.clone()), sync);
        };
        match list_type(client, &here, asked, found).await {
            Ok(()) => {}
            Err(Refusal::Call(error)) => return Err(explain(&error, session, target, lent, observer).await),
            Err(Refusal::Answer(failure)) => return Err(failure),
        }
    }
    lent.worked_in(&target.region);
    Ok(syncs.into_values().collect())
}

/// Tells bad credentials from a region that does not know them: an account
/// that has not enabled a region is refused there in the same words. That they
/// are good is known where they have worked in another region, and STS tells.
async fn explain(
    error: &ListError,
    session: &Session,
    target: &Target,
    lent: &Arc<CachedCredentials>,
    observer: &Arc<dyn Observer>,
) -> Failure {
    let failure = errors::failure(error);
    if failure.reason != Reason::Credentials {
        return failure;
    }
    if error.code() == Some(UNKNOWN_HERE)
        && (lent.work_only_elsewhere(&target.region) || session.are_good(lent, observer).await)
    {
        let message = format!("the account has not enabled the region, it seems: {}", failure.message);
        return Failure::new(Reason::RegionDisabled, message);
    }
    session.credentials.discard(lent);
    failure
}

/// Why a list could not be had.
enum Refusal {
    /// The call failed.
    Call(Box<ListError>),
    /// The answer is of no use.
    Answer(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Answer(failure)
    }
}

async fn list_type(
    client: &Client,
    here: &Builder,
    asked: &SyncType,
    mut found: impl FnMut(DataSync),
) -> Result<(), Refusal> {
    let presence = WatchPresence::default();
    let mut seen = HashSet::new();
    let mut token = None;
    for _ in 0..MAX_PAGES {
        let page = client
            .list_resource_data_sync()
            .sync_type(asked.as_str())
            .max_results(PAGE_SIZE)
            .set_next_token(token)
            .customize()
            .config_override(here.clone())
            .interceptor(presence.clone())
            .send()
            .await
            .map_err(|error| Refusal::Call(Box::new(error)))?;
        let presence = presence.take().unwrap_or_default();
        if !presence.has_items() {
            let message = format!("the answer to ListResourceDataSync for {asked} holds no list of syncs");
            return Err(Failure::new(Reason::InvalidResponse, message).into());
        }
        for (index, item) in page.resource_data_sync_items.unwrap_or_default().into_iter().enumerate() {
            found(convert::data_sync(item, asked, presence.source(index))?);
        }
        match page.next_token.filter(|token| !token.is_empty()) {
            None => return Ok(()),
            Some(next) if !seen.insert(next.clone()) => {
                let message = format!("the pages of {asked} repeat themselves");
                return Err(Failure::new(Reason::Pagination, message).into());
            }
            next => token = next,
        }
    }
    Err(Failure::new(Reason::Pagination, format!("{asked} has more than {MAX_PAGES} pages")).into())
}

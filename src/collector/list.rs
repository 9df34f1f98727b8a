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
use super::presence::RecordPresence;
use crate::aws::{CachedCredentials, ObserveRequests, Session, errors};
use crate::fleet::Target;
use crate::model::{DataSync, Failure, Reason, SyncType};

/// The largest page that AWS returns.
const PAGE_SIZE: i32 = 50;

/// A limit on pagination that never ends: no account has thousands of syncs.
const MAX_PAGES: usize = 100;

/// The code of SSM for an access key that it does not know.
const UNRECOGNIZED_CLIENT: &str = "UnrecognizedClientException";

type ListError = SdkError<ListResourceDataSyncError>;

/// Lists the syncs of each type with calls of its own, because what a call
/// without a type returns is not documented.
pub(super) async fn list(
    session: &Session,
    credentials: &Arc<CachedCredentials>,
    account: &str,
    target: &Target,
) -> Result<Vec<DataSync>, Failure> {
    let client = session.ssm(credentials);
    // The SDK limits retries per partition, by default one per service and
    // region: one throttled account would use up the retries of all others there.
    let retry_partition = RetryPartition::new(format!("ssm-{account}-{}", target.region));
    let config = Config::builder()
        .region(Region::new(target.region.as_str().to_owned()))
        .retry_partition(retry_partition)
        .interceptor(ObserveRequests::new(&session.observer).with_error::<ListResourceDataSyncError>());

    // The key removes duplicates: a list may shift between two pages, or a
    // response may contain syncs of the other type.
    let mut syncs = BTreeMap::new();
    for sync_type in SyncType::KNOWN {
        let add = |sync: DataSync| {
            syncs.insert((sync.sync_type.clone(), sync.name.clone()), sync);
        };
        match list_type(client, &config, sync_type, add).await {
            Ok(()) => {}
            Err(ListTypeError::Call(error)) => {
                return Err(call_failure(&error, session, target, credentials).await);
            }
            Err(ListTypeError::Response(failure)) => return Err(failure),
        }
    }
    credentials.mark_accepted_in(&target.region);
    Ok(syncs.into_values().collect())
}

/// Distinguishes invalid credentials from a region that the account has not
/// enabled, which SSM rejects with the same code. If the credentials are accepted
/// in another region or by STS, it is the region.
async fn call_failure(
    error: &ListError,
    session: &Session,
    target: &Target,
    credentials: &Arc<CachedCredentials>,
) -> Failure {
    let failure = errors::call_failure(error);
    if failure.reason != Reason::Credentials {
        return failure;
    }
    if error.code() == Some(UNRECOGNIZED_CLIENT)
        && (credentials.accepted_only_outside(&target.region)
            || session.are_accepted_by_sts(credentials).await)
    {
        let message = format!("the account has probably not enabled the region: {}", failure.message);
        return Failure::new(Reason::RegionDisabled, message);
    }
    session.credentials.evict(credentials);
    failure
}

/// Why the syncs of a type could not be listed.
enum ListTypeError {
    /// The call failed.
    Call(Box<ListError>),
    /// The response is not usable.
    Response(Failure),
}

impl From<Failure> for ListTypeError {
    fn from(failure: Failure) -> Self {
        Self::Response(failure)
    }
}

async fn list_type(
    client: &Client,
    config: &Builder,
    sync_type: &SyncType,
    mut add: impl FnMut(DataSync),
) -> Result<(), ListTypeError> {
    let record_presence = RecordPresence::default();
    let mut seen_tokens = HashSet::new();
    let mut token = None;
    for _ in 0..MAX_PAGES {
        let page = client
            .list_resource_data_sync()
            .sync_type(sync_type.as_str())
            .max_results(PAGE_SIZE)
            .set_next_token(token)
            .customize()
            .config_override(config.clone())
            .interceptor(record_presence.clone())
            .send()
            .await
            .map_err(|error| ListTypeError::Call(Box::new(error)))?;
        let presence = record_presence.take().unwrap_or_default();
        if !presence.has_items() {
            let message =
                format!("the response to ListResourceDataSync for {sync_type} has no list of syncs");
            return Err(Failure::new(Reason::InvalidResponse, message).into());
        }
        for (index, item) in page.resource_data_sync_items.unwrap_or_default().into_iter().enumerate() {
            add(convert::data_sync(item, sync_type, presence.source(index))?);
        }
        match page.next_token.filter(|token| !token.is_empty()) {
            None => return Ok(()),
            Some(next) if !seen_tokens.insert(next.clone()) => {
                let message =
                    format!("ListResourceDataSync for {sync_type} returned the same page token twice");
                return Err(Failure::new(Reason::Pagination, message).into());
            }
            next => token = next,
        }
    }
    let message = format!("ListResourceDataSync for {sync_type} returned more than {MAX_PAGES} pages");
    Err(Failure::new(Reason::Pagination, message).into())
}

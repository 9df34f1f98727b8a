//! Lists the syncs of a target: both types, all pages.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::Builder;
use aws_sdk_ssm::error::SdkError;
use aws_sdk_ssm::operation::list_resource_data_sync::ListResourceDataSyncError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;

use super::convert;
use super::presence::RecordPresence;
use crate::aws::{CachedCredentials, ObserveRequests, Session, Verdict, errors};
use crate::fleet::Target;
use crate::model::limits::{self, MAX_PAGES, MAX_SYNCS};
use crate::model::{DataSync, Failure, Reason, SyncType};

/// The largest page size that AWS allows.
const PAGE_SIZE: i32 = 50;

/// SSM's error code for an unknown access key.
const UNRECOGNIZED_CLIENT: &str = "UnrecognizedClientException";

type ListError = SdkError<ListResourceDataSyncError>;

/// Lists the syncs of each type with separate calls, because it is not documented what a
/// call without a type returns.
pub(super) async fn list(
    session: &Session,
    credentials: &Arc<CachedCredentials>,
    target: &Target,
) -> Result<Vec<DataSync>, Failure> {
    let client = session.ssm_client(credentials);
    let config = session
        .ssm_region_config(&target.region)
        .interceptor(ObserveRequests::new(&session.observer).with_error::<ListResourceDataSyncError>());

    // The key removes duplicates, which occur if the list changes between two pages or if a
    // response contains syncs of the other type.
    let mut syncs = BTreeMap::new();
    for sync_type in SyncType::KNOWN {
        let add = |sync: DataSync| {
            syncs.insert((sync.sync_type.clone(), sync.name.clone()), sync);
            limits::check_number("syncs in the target", syncs.len(), MAX_SYNCS)
        };
        match list_type(&client, &config, sync_type, add).await {
            Ok(()) => {}
            Err(ListTypeError::Call(error)) => {
                return Err(list_failure(&error, session, target, credentials).await);
            }
            Err(ListTypeError::Response(failure)) => return Err(failure),
        }
    }
    credentials.mark_accepted_in(&target.region);
    session.credentials.record_acceptance(credentials);
    Ok(syncs.into_values().collect())
}

/// Classifies the error of a call. SSM returns the same error code for invalid credentials
/// and for a region that the account has not enabled. If another region or STS accepts the
/// credentials, the cause is the region.
async fn list_failure(
    error: &ListError,
    session: &Session,
    target: &Target,
    credentials: &Arc<CachedCredentials>,
) -> Failure {
    let failure = errors::call_failure(error);
    if !failure.rejects_credentials {
        return failure;
    }
    let may_be_disabled = error.code() == Some(UNRECOGNIZED_CLIENT);
    let is_accepted = may_be_disabled && credentials.accepted_only_outside(&target.region)
        || session.credentials_rejected(credentials, &failure).await == Verdict::Accepted;
    if may_be_disabled && is_accepted {
        let message = format!("the account has probably not enabled the region: {}", failure.message);
        return Failure::new(Reason::RegionDisabled, message);
    }
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
    mut add: impl FnMut(DataSync) -> Result<(), Failure>,
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
        let in_response = |failure: Failure| {
            failure.in_context(&format!("the response to ListResourceDataSync for {sync_type}"))
        };
        for (index, item) in page.resource_data_sync_items.unwrap_or_default().into_iter().enumerate() {
            convert::data_sync(item, sync_type, presence.of_source(index))
                .and_then(&mut add)
                .map_err(in_response)?;
        }
        limits::check_text("the page token", page.next_token.as_deref().unwrap_or_default())
            .map_err(in_response)?;
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
    let message = format!("ListResourceDataSync for {sync_type} did not end within {MAX_PAGES} pages");
    Err(Failure::new(Reason::Pagination, message).into())
}

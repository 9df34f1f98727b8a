//! Asks STS whether credentials are valid after another call has rejected them.
//!
//! All regions of an account share its credentials, and all roles those that they are assumed
//! with. A single endpoint that wrongly calls them expired must not take them from the others.
//! They are therefore replaced only if STS rejects them as well. If STS cannot be asked, they are
//! refreshed, and stay in use if that fails.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;

use super::instrumentation::ApiObserver;
use super::single_flight::{Fetched, SingleFlight};
use super::sts::caller_account;
use crate::model::Failure;

/// How long an answer of STS is used.
const TTL: Duration = Duration::from_mins(1);

/// What STS says about credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    Rejected,
    /// STS cannot be reached, or its answer says nothing about the credentials.
    Unknown,
}

/// The latest verdict about some credentials. Concurrent callers share one request.
#[derive(Debug, Default)]
pub(super) struct CachedVerdict(SingleFlight<Verdict>);

impl CachedVerdict {
    /// The verdict about `credentials`, at most [`TTL`] old. The call needs no permission.
    pub(super) async fn get(
        &self,
        config: &SdkConfig,
        credentials: &Credentials,
        observer: &Arc<dyn ApiObserver>,
        timeout: Duration,
    ) -> Verdict {
        let check = async {
            // Boxed, because the future is large and rarely polled.
            let lookup = Box::pin(caller_account(config, credentials, observer));
            let verdict = match tokio::time::timeout(timeout, lookup).await {
                Ok(Ok(_account)) => Verdict::Accepted,
                Ok(Err(Failure { rejects_credentials: true, .. })) => Verdict::Rejected,
                Ok(Err(_)) | Err(_) => Verdict::Unknown,
            };
            Fetched::Value(Arc::new(verdict), Some(TTL))
        };
        // A failure is a panic of the check.
        self.0.get(check).await.map_or(Verdict::Unknown, |verdict| *verdict)
    }
}

//! Access to AWS: credentials, sessions, the HTTP client, request counts, and the
//! classification of errors.
//!
//! The [collector](crate::collector) and the [discovery](crate::discovery) use this
//! module to call AWS. No other module uses the AWS SDK. This module itself calls
//! only STS. It does not know which other calls are made, when, or why.
//!
//! The files of the shared AWS configuration are read here, and the SDK gets their content. It would
//! reject all profiles for one bad line, and its errors do not say what to correct. For the same
//! reason, the sources of the default credential chain are tried here one by one.
//!
//! Credentials are checked when they are obtained, because the SDK panics if a request cannot
//! carry them. A `credential_process` is run here and not by the SDK, which would leave it
//! behind on a timeout.
//!
//! To save memory and connections, all calls use one HTTP client with one connection
//! pool, and all targets of an account use the same cached credentials and SSM client.

mod access;
mod ambient;
mod clock_skew;
mod credential_check;
mod credential_process;
mod credentials;
mod destination;
mod endpoints;
mod environment;
pub(crate) mod errors;
mod exchange;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod http_client;
mod instrumentation;
mod lifetime;
mod origin;
mod outbound;
mod panics;
mod process_group;
mod profile;
mod profile_source;
mod recording;
mod request_secrets;
mod response_body;
mod response_date;
mod sdk;
mod session;
mod shared_config;
mod single_flight;
mod sts;
mod verdict;

pub(crate) use access::{AccessStep, AccessStepKind, StepOutcome};
pub(crate) use clock_skew::RetryAfterClockSkew;
pub(crate) use credential_process::CredentialProcesses;
pub(crate) use credentials::CachedCredentials;
pub use endpoints::EndpointKind;
pub(crate) use endpoints::{
    EXPECTED_URL as EXPECTED_ENDPOINT_URL, UNENCRYPTED as UNENCRYPTED_ENDPOINT,
    is_unencrypted as is_unencrypted_endpoint, is_usable_url as is_usable_endpoint_url,
};
pub(crate) use exchange::{Exchange, ExchangeObserver, ObserveExchanges};
pub(crate) use instrumentation::{ApiObserver, ApiRequest, ErrorCode, ObserveRequests};
pub(crate) use origin::CredentialOrigin;
#[cfg(test)]
pub(crate) use origin::Provider as CredentialProvider;
pub use outbound::OutboundSettings;
pub(crate) use outbound::{CaBundle, UnusableVariable};
pub(crate) use panics::catch_panic;
pub(crate) use recording::{
    EXTERNAL_ID as RECORDED_EXTERNAL_ID, FORMAT_VERSION, Header as RecordingHeader,
    Options as RecordingOptions,
};
pub use recording::{Recorder, Recording, RecordingError, RecordingFile, ReplayError};
pub use sdk::AwsSettings;
pub(crate) use sdk::own_retry_partition;
pub(crate) use session::{Diagnosis, Session, Sessions};
pub(crate) use sts::ROLE_RENEWAL_INTERVAL;
pub(crate) use verdict::Verdict;

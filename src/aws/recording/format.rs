//! The lines of a recording: NDJSON, one [`Header`] and then one [`Line`] for each call and each
//! request for credentials, in the order in which they ended.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::exchange::NoResponseKind;
use super::super::request_secrets::RECORDED_SECRET;
use crate::model::UnixSeconds;

/// The version of the format. A reader accepts only its own.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// What external ids are replaced with, in requests and in the configuration.
pub(crate) const EXTERNAL_ID: &str = RECORDED_SECRET;

/// The first line.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Header {
    /// [`FORMAT_VERSION`]. The first field, so that a file is known for a recording by its beginning.
    pub(crate) ssm_sync_exporter_recording: u32,
    /// The version of the exporter.
    pub(crate) version: String,
    /// The start of the recording, RFC 3339 in UTC, for people.
    pub(crate) time: String,
    /// The same in seconds since the Unix epoch. All times of the results are this one.
    pub(crate) unix_seconds: UnixSeconds,
    /// Whether names are as they are (`--record.raw`).
    pub(crate) raw: bool,
    /// The flags of the command that matter, such as the shard.
    pub(crate) options: Options,
    /// The settings that decide what is polled and how it is judged, in the form of a configuration
    /// file, with what the environment and the AWS profiles add to them.
    pub(crate) configuration: Value,
}

/// The flags of the recorded command.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Options {
    pub(crate) shard_index: u32,
    pub(crate) shard_total: u32,
}

/// Any other line.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "most lines are calls, and few are in memory")]
pub(crate) enum Line {
    Call(Call),
    Credentials(CredentialsLine),
}

/// A request to AWS, one of several if the SDK repeated it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Call {
    /// As signatures name it: `ssm`, `sts`, `organizations` or `account`.
    pub(crate) service: Option<String>,
    pub(crate) operation: Option<String>,
    /// The account of the credentials, as far as it is known from earlier answers.
    pub(crate) account: Option<String>,
    pub(crate) region: Option<String>,
    /// A pseudonym, even with `--record.raw`. Tells apart who made a call.
    pub(crate) access_key_id: Option<String>,
    /// `host:port` that the request went to.
    pub(crate) endpoint: String,
    pub(crate) proxy: Option<String>,
    /// The body of the request.
    pub(crate) request: String,
    /// The HTTP status. `None` if there was no response that can be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// Allow-listed headers of the response.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) headers: Vec<(String, String)>,
    /// The body of the response. `None` for requests for credentials other than STS's, and if there is
    /// `body_base64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
    /// The body of the response if it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body_base64: Option<String>,
    /// Why there is no response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<CallError>,
    pub(crate) duration_seconds: f64,
}

/// Why a call has no response.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct CallError {
    /// `None` if the exporter did not wait for the end of the call.
    pub(crate) kind: Option<NoResponseKind>,
    pub(crate) message: String,
}

/// The credentials of a profile or of the default chain, before any role is assumed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct CredentialsLine {
    /// `None` is the default chain.
    pub(crate) profile: Option<String>,
    /// The same pseudonym as in the calls that are made with them. `None` if there are none.
    pub(crate) access_key_id: Option<String>,
    /// Why there are none: a reason from the closed list, and a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<CredentialsFailure>,
}

/// Why credentials could not be obtained.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct CredentialsFailure {
    pub(crate) reason: String,
    pub(crate) message: String,
}

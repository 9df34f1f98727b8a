//! A recording that answers in place of AWS.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::destination::NotRecorded;
use super::super::exchange::SentRequest;
use super::answers::{Answers, RecordedAnswer};
use super::format::Header;
use crate::build_info;
use crate::clock::Clock;
use crate::fleet::Shard;
use crate::model::{Failure, Reason, UnixSeconds};

/// A recording that was read completely.
pub struct Recording {
    path: PathBuf,
    header: Header,
    shard: Shard,
    answers: Answers,
}

impl Recording {
    pub(super) fn new(path: PathBuf, header: Header, shard: Shard, answers: Answers) -> Self {
        Self { path, header, shard, answers }
    }

    /// The file that it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The shard whose targets were recorded.
    #[must_use]
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// A clock that stands still at the time of the recording.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock::fixed(self.unix_seconds())
    }

    /// The time of the recording.
    #[must_use]
    pub fn unix_seconds(&self) -> UnixSeconds {
        self.header.unix_seconds
    }

    /// The time of the recording for people, in RFC 3339.
    pub(crate) fn time(&self) -> String {
        #[expect(clippy::cast_possible_truncation, reason = "checked when it was read")]
        let seconds = self.unix_seconds() as i64;
        jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
    }

    /// The version of the exporter that wrote it. May be any text that is short and printable.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.header.version
    }

    /// The number of requests that it has answers to.
    #[must_use]
    pub fn number_of_calls(&self) -> usize {
        self.answers.number_of_calls()
    }

    /// The settings that it was made with: an object in the form of a configuration file.
    pub(crate) fn configuration(&self) -> &Value {
        &self.header.configuration
    }

    /// The answer to `request`. The same request gets the next one, until the last.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn answer(&self, request: &SentRequest) -> Result<RecordedAnswer, NotRecorded> {
        self.answers.call(request).cloned().ok_or_else(|| NotRecorded { hint: self.hint() })
    }

    /// The access key of `profile`, or of the default chain.
    ///
    /// # Errors
    /// There was none, or it was not recorded.
    pub(crate) fn credentials(&self, profile: &Option<String>) -> Result<String, Failure> {
        self.answers.credentials(profile).cloned().unwrap_or_else(|| {
            let message = format!("the recording has no credentials of this source{}", self.hint());
            Err(Failure::new(Reason::Credentials, message))
        })
    }

    /// What may be the reason that something is not recorded.
    fn hint(&self) -> String {
        if self.header.version == build_info::VERSION {
            return String::new();
        }
        format!("; replay it with version {} of the exporter, which wrote it", self.header.version)
    }
}

/// Two recordings are equal if they are the same.
impl PartialEq for Recording {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Recording {}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("path", &self.path).finish_non_exhaustive()
    }
}

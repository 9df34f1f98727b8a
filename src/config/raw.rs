//! The shape of the configuration: which keys there are, and how the text
//! under each is read. What values have to do with each other is checked
//! elsewhere.

use std::io;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::fleet::{
    AccountId, ExternalId, MemberRole, OrganizationalUnitId, RegionName, RegionOrPattern, RoleArn,
    SessionName,
};
use crate::metrics::FamilyName;

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawConfig {
    pub(super) interval: Option<Text<Duration>>,
    pub(super) timeout: Option<Text<Duration>>,
    pub(super) concurrency: Option<Text<NonZeroUsize>>,
    pub(super) stale_after: Option<Text<Duration>>,
    pub(super) ready_after: Option<Text<Duration>>,
    #[serde(deserialize_with = "list")]
    pub(super) regions: Option<Vec<Text<RegionOrPattern>>>,
    pub(super) refresh_interval: Option<Text<Duration>>,
    #[serde(deserialize_with = "or_default")]
    pub(super) quota: RawQuota,
    #[serde(deserialize_with = "list")]
    pub(super) accounts: Option<Vec<RawAccount>>,
    #[serde(deserialize_with = "filled")]
    pub(super) organization: Option<RawOrganization>,
    #[serde(deserialize_with = "or_default")]
    pub(super) metrics: RawMetrics,
    #[serde(deserialize_with = "or_default")]
    pub(super) aws: RawAws,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawMetrics {
    pub(super) disable: Vec<Text<FamilyName>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawQuota {
    #[serde(rename = "SyncToDestination")]
    pub(super) to_destination: Option<Text<u32>>,
    #[serde(rename = "SyncFromSource")]
    pub(super) from_source: Option<Text<u32>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAccount {
    pub(super) id: Option<Text<AccountId>>,
    pub(super) name: Option<Text<Label>>,
    pub(super) profile: Option<Text<Label>>,
    pub(super) assume_roles: Vec<RawRole>,
    #[serde(deserialize_with = "list")]
    pub(super) regions: Option<Vec<Text<RegionOrPattern>>>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOrganization {
    #[serde(default)]
    pub(super) profile: Option<Text<Label>>,
    #[serde(default)]
    pub(super) assume_roles: Vec<RawRole>,
    pub(super) member_role: Text<MemberRole>,
    #[serde(default)]
    pub(super) member_assume_roles: Vec<RawRole>,
    #[serde(default)]
    pub(super) external_id: Option<Text<ExternalId>>,
    #[serde(default)]
    pub(super) session_name: Option<Text<SessionName>>,
    #[serde(default, deserialize_with = "list")]
    pub(super) organizational_units: Option<Vec<Text<OrganizationalUnitId>>>,
    #[serde(default)]
    pub(super) exclude_accounts: Vec<Text<AccountId>>,
    #[serde(default)]
    pub(super) refresh_interval: Option<Text<Duration>>,
    #[serde(default, deserialize_with = "list")]
    pub(super) regions: Option<Vec<Text<RegionOrPattern>>>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRole {
    pub(super) arn: Text<RoleArn>,
    #[serde(default)]
    pub(super) external_id: Option<Text<ExternalId>>,
    #[serde(default)]
    pub(super) session_name: Option<Text<SessionName>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAws {
    pub(super) use_fips: Option<Text<bool>>,
    pub(super) use_dualstack: Option<Text<bool>>,
    pub(super) session_policy: Option<Text<bool>>,
    pub(super) sts_region: Option<Text<RegionName>>,
    pub(super) endpoint_url: Option<Text<EndpointUrl>>,
    pub(super) shared_config_file: Option<Text<PathBuf>>,
    pub(super) shared_credentials_file: Option<Text<PathBuf>>,
}

/// A list, which has to be one if its key is there: with all of its entries
/// commented out it must not turn into the default.
pub(super) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    Vec::deserialize(deserializer).map(Some)
}

/// Keys and values, of which some have to be there: with all of them commented
/// out it must not count as left out.
pub(super) fn filled<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Keys and values; without any, the defaults.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A value that is written as one piece of text.
#[derive(Debug)]
pub(super) struct Text<T>(pub(super) T);

/// How a value is read from its text.
pub(super) trait FromText: Sized {
    /// What has to be written, as in "expected ...".
    const EXPECTED: &'static str;

    /// Reads it. An error says what is wrong and what would be right.
    fn from_text(text: &str) -> Result<Self, String>;
}

impl<'de, T: FromText> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor<T>(PhantomData<T>);

        impl<T: FromText> Visitor<'_> for TextVisitor<T> {
            type Value = Text<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(T::EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                T::from_text(text).map(Text).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

/// Thirty days. Nobody who writes more means it, and timers have their limits.
pub(super) const LONGEST: Duration = Duration::from_hours(720);

impl FromText for Duration {
    const EXPECTED: &'static str = "a duration, such as 30s, 5m or 1h30m";

    fn from_text(text: &str) -> Result<Self, String> {
        jiff::SignedDuration::from_str(text)
            .ok()
            .and_then(|duration| Self::try_from(duration).ok())
            .filter(|duration| !duration.is_zero() && *duration <= LONGEST)
            .ok_or_else(|| {
                format!("`{text}` is not a duration above zero and of at most 720h, such as 30s, 5m or 1h30m")
            })
    }
}

impl FromText for NonZeroUsize {
    const EXPECTED: &'static str = "a whole number from 1";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("`{text}` is not a whole number from 1"))
    }
}

impl FromText for u32 {
    const EXPECTED: &'static str = "a whole number from 0";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("`{text}` is not a whole number from 0"))
    }
}

impl FromText for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("`{text}` is neither true nor false"))
    }
}

impl FromText for PathBuf {
    const EXPECTED: &'static str = "the path of a file";

    fn from_text(text: &str) -> Result<Self, String> {
        // Whoever reads it later could only say it in every collection anew.
        let readable = std::fs::metadata(text).and_then(|metadata| {
            if metadata.is_dir() {
                Err(io::ErrorKind::IsADirectory.into())
            } else {
                std::fs::File::open(text)
            }
        });
        match readable {
            Ok(_) => Ok(Self::from(text)),
            Err(error) => Err(format!("cannot read {text}: {error}")),
        }
    }
}

macro_rules! from_text_by_from_str {
    ($($type:ty: $expected:literal),+ $(,)?) => {
        $(impl $crate::config::raw::FromText for $type {
            const EXPECTED: &'static str = $expected;

            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|error: <$type as std::str::FromStr>::Err| error.to_string())
            }
        })+
    };
}
pub(super) use from_text_by_from_str;

from_text_by_from_str! {
    FamilyName: "the name of a metric family",
    AccountId: "an AWS account id",
    ExternalId: "an external id",
    MemberRole: "the ARN of a role with `{account_id}` in it",
    RegionName: "the name of an AWS region",
    RegionOrPattern: "the name of an AWS region, or a wildcard such as `eu-*`",
    RoleArn: "the ARN of a role",
    SessionName: "the name of a role session",
    OrganizationalUnitId: "the id of an organizational unit",
}

/// A name that is shown as it is.
#[derive(Debug)]
pub(super) struct Label(pub(super) String);

impl FromText for Label {
    const EXPECTED: &'static str = "a name";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("a name cannot be empty".to_owned());
        }
        if text.chars().any(char::is_control) {
            return Err(format!("{text:?} has control characters in it"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A URL that AWS calls go to instead of AWS's own.
#[derive(Debug)]
pub(super) struct EndpointUrl(pub(super) String);

impl FromText for EndpointUrl {
    const EXPECTED: &'static str = "a URL";

    fn from_text(text: &str) -> Result<Self, String> {
        let uri = text.parse::<http::Uri>().ok();
        let usable = uri.as_ref().is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
                && uri.query().is_none()
        });
        if usable {
            Ok(Self(text.to_owned()))
        } else {
            // Not repeated: somebody may have put a password into it.
            Err("not a URL of the form http://host:port or https://host, without user or query".to_owned())
        }
    }
}

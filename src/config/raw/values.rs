//! How the values of the configuration are parsed from their texts.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::aws::{EXPECTED_ENDPOINT_URL, is_usable_endpoint_url};
use crate::config::scalar::{
    FromText, Printable, Printed, boolean, from_text_by_from_str, integer, printable,
};
use crate::file;
use crate::fleet::{
    AccountId, ExternalId, MemberRoleTemplate, OrganizationalUnitId, RegionName, RegionOrPattern, RoleArn,
    SessionName,
};
use crate::metrics::FamilyName;
use crate::printable::{excerpt, is_printable};

/// Thirty days: a longer duration is a mistake, and timers have their limits.
pub(in crate::config) const MAX_DURATION: Duration = Duration::from_hours(720);

impl FromText for Duration {
    const EXPECTED: &'static str = "a duration, such as 30s, 5m or 1h30m";

    fn from_text(text: &str) -> Result<Self, String> {
        jiff::SignedDuration::from_str(text)
            .ok()
            .and_then(|duration| Self::try_from(duration).ok())
            .filter(|duration| !duration.is_zero() && *duration <= MAX_DURATION)
            .ok_or_else(|| {
                format!("`{text}` is not a valid duration; expected more than 0s and at most 720h, such as 30s, 5m or 1h30m")
            })
    }
}

impl FromText for NonZeroUsize {
    const EXPECTED: &'static str = "a whole number of at least 1";

    fn from_text(text: &str) -> Result<Self, String> {
        integer(text)
            .and_then(|number| usize::try_from(number).ok())
            .and_then(Self::new)
            .ok_or_else(|| format!("`{text}` is invalid; expected a whole number of at least 1"))
    }
}

impl FromText for u32 {
    const EXPECTED: &'static str = "a whole number of at least 0";

    fn from_text(text: &str) -> Result<Self, String> {
        integer(text)
            .and_then(|number| Self::try_from(number).ok())
            .ok_or_else(|| format!("`{text}` is invalid; expected a whole number from 0 to {}", Self::MAX))
    }
}

impl FromText for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_text(text: &str) -> Result<Self, String> {
        boolean(text).ok_or_else(|| format!("`{text}` is not a boolean; expected true or false"))
    }
}

impl FromText for PathBuf {
    const EXPECTED: &'static str = "the path of a file";

    fn from_text(text: &str) -> Result<Self, String> {
        // Without this check, the SDK would report a missing file in every collection.
        match file::check_readable(Path::new(text)) {
            Ok(()) => Ok(Self::from(text)),
            Err(error) => Err(format!("cannot read {text}: {error}")),
        }
    }
}

// `ExternalId` is missing here because it is a secret.
printable! {
    Duration, PathBuf, FamilyName, AccountId, MemberRoleTemplate, RegionName, RegionOrPattern, RoleArn,
    SessionName, OrganizationalUnitId, Name, ProfileName,
}

from_text_by_from_str! {
    FamilyName: "the name of a metric family",
    AccountId: "an AWS account id",
    ExternalId: "an external id",
    MemberRoleTemplate: "the ARN of a role with the placeholder `{account_id}`",
    RegionName: "an AWS region",
    RegionOrPattern: "an AWS region, or a wildcard such as `eu-*`",
    RoleArn: "a role ARN",
    SessionName: "a role session name",
    OrganizationalUnitId: "the id of an organizational unit",
}

/// The maximum length of the name of an account in bytes. The names of AWS have at most 50
/// characters.
pub(super) const MAX_NAME: usize = 1024;

/// The maximum length of the name of a profile.
pub(super) const MAX_PROFILE_NAME: usize = 256;

/// The name of an account: any text that is not blank and has no control characters.
#[derive(Debug)]
pub(in crate::config) struct Name(pub(in crate::config) String);

impl FromText for Name {
    const EXPECTED: &'static str = "a name";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("the name is empty; set a name or remove the key".to_owned());
        }
        if text.chars().any(char::is_control) {
            return Err(format!("the name \"{}\" contains control characters; remove them", excerpt(text)));
        }
        if text.len() > MAX_NAME {
            return Err(format!("the name `{text}` is too long; expected at most {MAX_NAME} bytes"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name of an AWS profile. The AWS CLI accepts any characters.
#[derive(Debug)]
pub(in crate::config) struct ProfileName(pub(in crate::config) String);

impl FromText for ProfileName {
    const EXPECTED: &'static str = "the name of an AWS profile";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("the name is empty; set a name or remove the key".to_owned());
        }
        if text.len() > MAX_PROFILE_NAME || !text.chars().all(is_printable) {
            return Err(format!(
                "`{text}` is not the name of an AWS profile; expected at most {MAX_PROFILE_NAME} bytes of printable characters"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The URL that all calls go to instead of AWS's own endpoints.
#[derive(Debug)]
pub(in crate::config) struct EndpointUrl(pub(in crate::config) String);

impl FromText for EndpointUrl {
    const EXPECTED: &'static str = "a URL";

    fn from_text(text: &str) -> Result<Self, String> {
        if is_usable_endpoint_url(text) {
            Ok(Self(text.to_owned()))
        } else {
            // The text is not repeated: it may contain a password.
            Err(EXPECTED_ENDPOINT_URL.to_owned())
        }
    }
}

impl Printable for bool {
    fn printed(text: &str) -> Printed {
        boolean(text).map_or_else(|| Printed::Text(text.to_owned()), Printed::Bool)
    }
}

macro_rules! printable_numbers {
    ($($type:ty),+) => {
        $(impl Printable for $type {
            fn printed(text: &str) -> Printed {
                integer(text).map_or_else(|| Printed::Text(text.to_owned()), Printed::Number)
            }
        })+
    };
}

printable_numbers! { NonZeroUsize, u32 }

impl Printable for EndpointUrl {
    // `from_text` rejects a URL with credentials, but redaction must not depend on a check
    // elsewhere.
    fn printed(text: &str) -> Printed {
        let url = text.split(['?', '#']).next().unwrap_or_default();
        Printed::Text(match (url.split_once("://"), url.rsplit_once('@')) {
            (_, None) => url.to_owned(),
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://<secret>@{host}"),
            (None, Some((_, host))) => format!("<secret>@{host}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::Limit;
    use crate::config::scalar::tests::error;
    use crate::model::{ManagedBy, SyncType};

    #[test]
    fn an_error_repeats_only_the_beginning_of_a_long_or_multi_line_text() {
        let long = "x".repeat(1_000_000);
        for text in ["s\n", "s\r\n", "s\0", "s\u{1b}[31m", "", &long] {
            for error in [
                error::<ProfileName>(text),
                error::<Name>(text),
                error::<RegionName>(text),
                error::<RegionOrPattern>(text),
                error::<RoleArn>(text),
                error::<MemberRoleTemplate>(text),
                error::<SessionName>(text),
                error::<AccountId>(text),
                error::<OrganizationalUnitId>(text),
                error::<FamilyName>(text),
                error::<Duration>(text),
                error::<Limit>(text),
                error::<SyncType>(text),
                error::<ManagedBy>(text),
                error::<bool>(text),
                error::<u32>(text),
                error::<PathBuf>(text),
                error::<EndpointUrl>(text),
            ] {
                assert!(!error.contains(char::is_control), "{error:?}");
                assert!(error.len() < 500, "{error}");
            }
        }
    }

    #[test]
    fn a_url_is_printed_without_credentials() {
        for (url, printed) in [
            ("https://aws.example:1/a", "https://aws.example:1/a"),
            ("https://me:swordfish@aws.example/a?token=swordfish#x", "https://<secret>@aws.example/a"),
            ("me:sword@fish@aws.example", "<secret>@aws.example"),
        ] {
            assert_eq!(EndpointUrl::printed(url), Printed::Text(printed.to_owned()));
        }
    }
}

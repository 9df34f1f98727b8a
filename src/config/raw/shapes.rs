//! The shapes of the values, for the JSON Schema of the configuration.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use schemars::{Schema, json_schema};
use strum::VariantArray as _;

use super::expectations::{
    ExpectationName, ExpectedName, MAX_EXPECTATION_NAME, MAX_PATH, MAX_SYNC_NAME, Preset, RequestFile,
};
use super::health::{Limit, SyncNamePattern};
use super::patterns::{BRACES, PLAIN, REGION, UNIT, text_of_request};
use super::values::{EndpointUrl, MAX_NAME, MAX_PROFILE_NAME, Name, ProfileName};
use crate::config::shape::{Shape, boolean, integer, limited, one_of, string, text};
use crate::expectations::{Presence, TextPattern};
use crate::fleet::{
    AccountEntry, AccountId, ExternalId, MemberRoleTemplate, OrganizationalUnitId, Partition, RegionName,
    RegionOrPattern, RoleArn, SessionName,
};
use crate::metrics::FamilyName;
use crate::model::limits::MAX_TEXT_CHARS;
use crate::model::{ManagedBy, SyncType};

/// The types of syncs that a configuration can name.
const SYNC_TYPES: [SyncType; 2] = [SyncType::ToDestination, SyncType::FromSource];

const REGION_WILDCARD: &str = "[a-z0-9-]*[*?][a-z0-9*?-]*";
/// A character of the name of a role or of a session.
const NAME_CHARACTER: &str = "[A-Za-z0-9_+=,.@-]";

/// A character that is not a control character.
const PRINTED: &str = r"[^\x00-\x1F\x7F-\x9F]";

/// A character that is neither a control character nor a blank.
const NOT_BLANK: &str = r"[^\x00-\x20\x7F-\x9F]";

/// Blanks, as far as every dialect agrees on them.
const BLANKS: &str = r"[\x09-\x0D ]*";

/// The names of all partitions as a pattern.
static PARTITION: LazyLock<String> = LazyLock::new(|| {
    Partition::VARIANTS.iter().map(|partition| partition.as_str()).collect::<Vec<_>>().join("|")
});

/// The pattern of a text that is not blank and has no control characters.
fn not_blank() -> String {
    format!("^{PRINTED}*{NOT_BLANK}{PRINTED}*$")
}

/// The pattern of a duration that has the units `units`, `zero_units` with zero, and `iso` in front of the `T`
/// of ISO 8601.
fn duration(units: &str, zero_units: &str, iso: &str, example: &str) -> Schema {
    let blanks = r"[\x09\x0A\x0C\x0D ]*";
    let number = format!(r"[0-9]+{blanks}([.,][0-9]{{1,9}})?{blanks}");
    let friendly = format!(r"({number}({units}),?{blanks}|0+{blanks}({zero_units}),?{blanks})*");
    let clock = "([0-9]+:[0-9]+:[0-9]+([.,][0-9]{1,9})?)?";
    let iso = format!("[Pp]{iso}([Tt]([0-9]+([.,][0-9]{{1,9}})?[HhMmSs])+)?");
    json_schema!({
        "type": "string",
        "pattern": format!(r"^\+?({friendly}{clock}|{iso})$"),
        // Zero is no duration. Other types, such as null, have no digits.
        "allOf": [{ "pattern": "[1-9]" }],
        "examples": [example]
    })
}

const SMALL_UNITS: &str = "hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s|milliseconds?|millis?|msecs?|ms|\
                           microseconds?|micros?|usecs?|us|µsecs?|µs|nanoseconds?|nanos?|nsecs?|ns";

impl Shape for Duration {
    fn shape() -> Schema {
        duration(SMALL_UNITS, "years?|yrs?|y|months?|mos?|mo|weeks?|wks?|w|days?|d", "(0+[YyMmWwDd])*", "5m")
    }
}

impl Shape for Limit {
    fn shape() -> Schema {
        let units = format!("weeks?|wks?|w|days?|d|{SMALL_UNITS}");
        duration(&units, "years?|yrs?|y|months?|mos?|mo", "(0+[YyMm])*([0-9]+[WwDd])*", "48h")
    }
}

impl Shape for NonZeroUsize {
    fn shape() -> Schema {
        integer(1)
    }
}

impl Shape for u32 {
    fn shape() -> Schema {
        let mut number = integer(0);
        number.insert("maximum".to_owned(), Self::MAX.into());
        number
    }
}

impl Shape for bool {
    fn shape() -> Schema {
        boolean()
    }
}

impl Shape for PathBuf {
    fn shape() -> Schema {
        limited(MAX_PATH, text(r"^[^\x00]+$", "/etc/ssm-sync-exporter/aws-config"))
    }
}

impl Shape for RequestFile {
    fn shape() -> Schema {
        limited(MAX_PATH, text(r"^[^\x00]+$", "org-inventory.json"))
    }
}

impl Shape for AccountId {
    fn shape() -> Schema {
        // Without quotes, an id is a number to YAML, which has no zeros in front.
        json_schema!({
            "type": ["string", "integer"],
            "pattern": "^[0-9]{12}$",
            "minimum": 0,
            "maximum": 999_999_999_999_u64,
            "examples": ["111122223333"]
        })
    }
}

impl Shape for AccountEntry {
    fn shape() -> Schema {
        let id = format!("!?{BLANKS}[0-9]{{12}}{BLANKS}");
        let name_of_digits = format!(r"!?{BLANKS}[0-9]+[\x09-\x0D ]+[0-9][0-9\x09-\x0D ]*");
        let other = r"[^0-9\x09-\x0D ]";
        let rest = r"[\s\S]*";
        let name = format!(r"(![\s\S]*{other}|[^!0-9\x09-\x0D ]|[0-9\x09-\x0D ]{rest}{other}){rest}");
        text(&format!("^({id}|{name_of_digits}|{name})$"), "prod-*")
    }
}

impl Shape for ExternalId {
    fn shape() -> Schema {
        limited(1224, text("^[A-Za-z0-9_+=,.@:/-]{2,}$", "example"))
    }
}

impl Shape for MemberRoleTemplate {
    fn shape() -> Schema {
        let placeholder = r"\{account_id\}|\{partition\}";
        let path = format!(r"/([\x21-\x7A|\x7E\x7F]|\{{\{{|\}}\}}|{placeholder})+");
        let pattern = format!(
            r"^arn:({}|\{{partition\}}):iam::\{{account_id\}}:role({path})?/({NAME_CHARACTER}|{placeholder})+$",
            *PARTITION
        );
        string(&pattern, "arn:{partition}:iam::{account_id}:role/SsmSyncExporter")
    }
}

impl Shape for RegionName {
    fn shape() -> Schema {
        string(&format!("^{REGION}$"), "eu-west-1")
    }
}

impl Shape for RegionOrPattern {
    fn shape() -> Schema {
        string(&format!("^({REGION}|{REGION_WILDCARD})$"), "eu-west-1")
    }
}

impl Shape for RoleArn {
    fn shape() -> Schema {
        let pattern = format!(
            r"^arn:({}):iam::[0-9]{{12}}:role(/[\x21-\x7F]{{1,510}})?/{NAME_CHARACTER}{{1,64}}$",
            *PARTITION
        );
        string(&pattern, "arn:aws:iam::111122223333:role/SsmSyncExporter")
    }
}

impl Shape for SessionName {
    fn shape() -> Schema {
        // A placeholder is not longer than the text that it stands for.
        let placeholder = r"\{account_id\}|\{region\}";
        let any = format!("({NAME_CHARACTER}|{placeholder})*");
        let pattern = format!("^({NAME_CHARACTER}{{2,}}|{any}({placeholder}){any})$");
        limited(64, text(&pattern, Self::DEFAULT))
    }
}

impl Shape for OrganizationalUnitId {
    fn shape() -> Schema {
        string(&format!("^{UNIT}$"), "ou-abcd-11111111")
    }
}

impl Shape for FamilyName {
    fn shape() -> Schema {
        one_of(Self::all().map(Self::as_str))
    }
}

impl Shape for Name {
    fn shape() -> Schema {
        limited(MAX_NAME, text(&not_blank(), "production"))
    }
}

impl Shape for ProfileName {
    fn shape() -> Schema {
        limited(MAX_PROFILE_NAME, text(&not_blank(), "production"))
    }
}

impl Shape for EndpointUrl {
    fn shape() -> Schema {
        string("^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+(/[^?#]*)?(#.*)?$", "http://localhost:4566")
    }
}

impl Shape for SyncType {
    fn shape() -> Schema {
        one_of(SYNC_TYPES.iter().map(Self::as_str))
    }
}

impl Shape for ManagedBy {
    fn shape() -> Schema {
        one_of(Self::VARIANTS.iter().map(|manager| manager.as_str()))
    }
}

impl Shape for SyncNamePattern {
    fn shape() -> Schema {
        limited(MAX_NAME, text(r"[^\x09-\x0D ]", "org-*"))
    }
}

impl Shape for Presence {
    fn shape() -> Schema {
        one_of(Self::VARIANTS.iter().map(|presence| presence.as_str()))
    }
}

impl Shape for Preset {
    fn shape() -> Schema {
        one_of(Self::VARIANTS.iter().map(Into::into))
    }
}

impl Shape for ExpectationName {
    fn shape() -> Schema {
        limited(MAX_EXPECTATION_NAME, text("^[A-Za-z0-9_-]+$", "org-inventory"))
    }
}

impl Shape for ExpectedName {
    fn shape() -> Schema {
        let plain = format!("{PLAIN}{{1,{MAX_SYNC_NAME}}}");
        limited(MAX_TEXT_CHARS, text(&text_of_request(&plain), "org-inventory"))
    }
}

impl Shape for TextPattern {
    fn shape() -> Schema {
        limited(MAX_TEXT_CHARS, text(&format!("^({PLAIN}|[*?]|{BRACES})+$"), "org-inventory"))
    }
}

#[cfg(test)]
mod tests;

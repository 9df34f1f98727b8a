//! The environment variables that set keys of the configuration.

use std::ffi::OsStr;

use figment::error::Kind;
use figment::value::{Dict, Value};
use serde::de::DeserializeOwned;

use super::raw::RawConfig;
use crate::printable::excerpt;
use crate::suggestion::squash;

/// The prefix of the environment variables that are read.
pub(crate) const ENV_PREFIX: &str = "SSM_SYNC_EXPORTER_";

/// The spelling of keys that are not in lower case.
const OTHER_KEYS: [&str; 2] = ["SyncToDestination", "SyncFromSource"];

/// How many levels of mappings are below another. Variables cannot set keys in a list.
const LEVELS: usize = 3;

/// The key for a part of a variable's name: the part in lower case. Sync types are the
/// exception, because the configuration spells them as AWS does.
pub(super) fn key_of_part(part: &str) -> String {
    let other = OTHER_KEYS.into_iter().find(|key| key.to_uppercase() == part);
    other.map_or_else(|| part.to_lowercase(), str::to_owned)
}

/// The variable that sets a key of the configuration, if `name` names one, apart from letter case and
/// from what separates its words and levels, and from the plural: `aws_use_fips`, `AWS__USE__FIPS` and `aws.use-fips` are
/// `SSM_SYNC_EXPORTER_AWS__USE_FIPS`.
pub(crate) fn variable_for(name: &str) -> Option<String> {
    let wanted = squash(name);
    // An error on the command line, or in the environment, is the only reason to search the keys.
    let mut levels = vec![Vec::new()];
    while let Some(parents) = levels.pop() {
        for &key in known_keys::<RawConfig>(&parents) {
            let path: Vec<&str> = parents.iter().copied().chain([key]).collect();
            let squashed = squash(&path.concat());
            // `REGION` is `REGIONS`.
            if squashed == wanted || squashed.strip_suffix('s') == Some(&wanted) {
                let parts: Vec<String> = path.iter().map(|key| key.to_uppercase()).collect();
                return Some(format!("{ENV_PREFIX}{}", parts.join("__")));
            }
            if wanted.starts_with(&squashed) && path.len() < LEVELS {
                levels.push(path);
            }
        }
    }
    None
}

/// The warning about a variable that is not read because its name is not in upper case.
pub(super) fn in_lower_case(name: &OsStr) -> Option<String> {
    let name = name.to_str()?;
    let meant = variable_for(name.to_uppercase().strip_prefix(ENV_PREFIX)?)?;
    Some(format!("the environment variable {} is ignored; did you mean `{meant}`?", excerpt(name)))
}

/// The keys of the mapping at `parents`; none if there is no mapping.
fn known_keys<T: DeserializeOwned>(parents: &[&str]) -> &'static [&'static str] {
    // The error for an unknown key has the known ones.
    let unknown = Value::from(Dict::from([(String::new(), Value::from(""))]));
    let nest = |value, key: &&str| Value::from(Dict::from([((*key).to_owned(), value)]));
    let value = parents.iter().rev().fold(unknown, nest);
    match T::deserialize(&value).map_err(|error| error.kind) {
        Err(Kind::UnknownField(_, known)) => known,
        Ok(_) | Err(_) => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_found_however_its_words_are_separated() {
        for name in ["aws_use_fips", "AWS__USE__FIPS", "AWS_USE__FIPS", "__aws.use-fips", "awsUseFips"] {
            assert_eq!(variable_for(name).as_deref(), Some("SSM_SYNC_EXPORTER_AWS__USE_FIPS"), "{name}");
        }
        for (name, variable) in [
            ("_INTERVAL", "INTERVAL"),
            ("STALE__AFTER", "STALE_AFTER"),
            ("QUOTA_SYNC_TO_DESTINATION", "QUOTA__SYNCTODESTINATION"),
            ("health_max_success_age", "HEALTH__MAX_SUCCESS_AGE"),
            ("ORGANIZATION_REFRESH_INTERVAL", "ORGANIZATION__REFRESH_INTERVAL"),
            ("METRICS_DISABLE", "METRICS__DISABLE"),
            ("Accounts", "ACCOUNTS"),
            ("REGION", "REGIONS"),
        ] {
            assert_eq!(variable_for(name), Some(format!("{ENV_PREFIX}{variable}")), "{name}");
        }
        for name in ["", "_", "AWS_USE_FI", "ACCOUNTS_ID", "CONFIG_FILE", "INTERVAL_INTERVAL"] {
            assert_eq!(variable_for(name), None, "{name}");
        }
    }
}

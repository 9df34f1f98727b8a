//! What is asked for: defaults, a YAML file and the environment, checked.
//!
//! [`Config`] is what the other stages are made from. All that could be wrong
//! with it is found out here, before anything starts, and nothing after it
//! parses a text again.

mod entries;
mod error;
mod key_path;
mod layers;
mod raw;
mod redacted;
mod validate;
mod web;
mod yaml;

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use figment::error::Kind;

pub use entries::{AccountEntry, Found, OrganizationEntry, Regions};
pub use error::{ConfigError, Place};
pub use web::{SeenFiles, WebConfig};

use crate::aws::AwsSettings;
use crate::discovery::{AccountSources, ConfiguredAccount};
use crate::fleet::Account;
use crate::metrics::FamilyName;
use crate::model::Quota;
use entries::Entries;
use key_path::KeyPath;
use layers::{ENV_PREFIX, Layers};
use raw::RawConfig;

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    /// From one collection of a target to its next.
    pub interval: Duration,
    /// For one collection, retries included.
    pub timeout: Duration,
    /// How many collections may be under way at once.
    pub concurrency: NonZeroUsize,
    /// How long a failing target's last good syncs are served.
    pub stale_after: Duration,
    /// When readiness stops waiting for slow targets.
    pub ready_after: Duration,
    /// How many syncs AWS lets there be.
    pub quota: Quota,
    /// The accounts and where to look in each. Empty only beside an
    /// organization.
    pub accounts: Vec<AccountEntry>,
    /// An organization whose accounts are polled as well.
    pub organization: Option<OrganizationEntry>,
    /// How often accounts are asked anew which regions they have enabled.
    pub refresh_interval: Duration,
    /// Metric families that are not to be shown.
    pub disabled_families: Vec<FamilyName>,
    /// How AWS is called.
    pub aws: AwsSettings,
    /// Oddities that are worth a warning, each a sentence.
    pub warnings: Vec<String>,
    /// All of this as it was written, as YAML, with defaults and without secrets.
    pub redacted: String,
    source: Source,
}

/// Where a configuration comes from.
#[derive(Clone)]
struct Source {
    file: Option<PathBuf>,
    /// Those variables that are ours. A process's environment does not change.
    environment: Vec<(OsString, OsString)>,
}

impl Config {
    /// Loads the configuration from `file`, if one is given, and from those
    /// of the `environment`'s variables that are ours.
    ///
    /// # Errors
    /// The first thing that is wrong with it, in one line.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let ours = |(name, _): &(OsString, _)| name.to_string_lossy().starts_with(ENV_PREFIX);
        Source { file: file.map(Path::to_owned), environment: environment.into_iter().filter(ours).collect() }
            .load()
    }

    /// Loads it anew, from where it came from; see [`load`](Self::load). It may be
    /// waited for elsewhere, for files take their time.
    pub fn loading_again(&self) -> impl FnOnce() -> Result<Self, ConfigError> + Send + use<> {
        let source = self.source.clone();
        || source.load()
    }

    /// The accounts through which AWS is asked first: those that are listed,
    /// and that of the organization.
    pub fn first_accounts(&self) -> impl Iterator<Item = &Account> {
        let listed = self.accounts.iter().map(|entry| &*entry.account);
        listed.chain(self.organization.iter().map(|entry| &*entry.organization.administrator))
    }

    /// What to poll, once it is known what only the SDK can tell of each of the
    /// [first accounts](Self::first_accounts).
    ///
    /// # Errors
    /// Two accounts that get into each other's way, an account without any
    /// region, or a region that it cannot be called in.
    pub fn fleet(&self, found: impl Fn(&Account) -> Option<Found>) -> Result<AccountSources, ConfigError> {
        let entries = Entries { accounts: &self.accounts, organization: self.organization.as_ref() };
        let (of_accounts, of_organization) = entries.checked(found, self.aws.endpoint_kind())?;
        let at_home = |account: &Account, home| Arc::new(Account { default_region: home, ..account.clone() });
        let configured = self
            .accounts
            .iter()
            .zip(of_accounts)
            .map(|(entry, found)| ConfiguredAccount {
                account: at_home(&entry.account, found.home),
                regions: found.regions,
            })
            .collect();
        let organization = self.organization.as_ref().zip(of_organization).map(|(entry, found)| {
            let mut organization = entry.organization.clone();
            organization.administrator = at_home(&organization.administrator, found.home);
            organization.regions = found.regions;
            organization
        });
        Ok(AccountSources { configured, organization, refresh_interval: self.refresh_interval })
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The values may be secrets.
        let variables: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        f.debug_struct("Source").field("file", &self.file).field("variables", &variables).finish()
    }
}

impl Source {
    fn load(self) -> Result<Config, ConfigError> {
        let layers = Layers::read(self.file.as_deref(), self.environment.clone())?;
        let merged = layers.merged()?;
        let raw: RawConfig = serde_path_to_error::deserialize(&merged)
            .map_err(|error| refused(&layers, &KeyPath::from(error.path()), error.inner()))?;
        let config = validate::validate(raw, &layers, self)?;
        Ok(Config { redacted: redacted::written(&merged, &config), ..config })
    }
}

/// Says what serde found wrong, in our words.
fn refused(layers: &Layers, path: &KeyPath, error: &figment::Error) -> ConfigError {
    let unknown = matches!(error.kind, Kind::UnknownField(..));
    let (path, message) = match &error.kind {
        Kind::UnknownField(found, known) => {
            // The path may or may not include the offending key itself.
            let path = match path.segments().last() {
                Some(key_path::Segment::Key(last)) if last == found => path.clone(),
                _ => path.join(found.as_str()),
            };
            (path, format!("unknown key{}", hint(found, known)))
        }
        Kind::MissingField(name) => (path.clone(), format!("the key `{name}` is missing{}", example(name))),
        Kind::InvalidType(found, expected) => {
            (path.clone(), format!("found {}, expected {}", shown(found), wanted(expected)))
        }
        Kind::Message(message) => (path.clone(), message.clone()),
        other => (path.clone(), other.to_string()),
    };
    let place = if unknown { layers.place_of_key(&path) } else { layers.place(&path) };
    let message = if path.segments().is_empty() { message } else { format!("{path}: {message}") };
    ConfigError::Invalid { place, message }
}

/// The kind of a value but never the value, which might be a secret.
fn shown(found: &figment::error::Actual) -> &'static str {
    match found {
        figment::error::Actual::Unit | figment::error::Actual::Option => "nothing",
        figment::error::Actual::Seq => "a list",
        figment::error::Actual::Map => "keys and values",
        figment::error::Actual::Str(_) => "a text",
        _ => "something else",
    }
}

/// serde speaks of sequences and structs, the people who write YAML do not.
fn wanted(expected: &str) -> &str {
    match expected {
        "a sequence" => "a list, such as [a, b]",
        "struct RawTls" => "keys and values, of which `cert_file` and `key_file` have to be there",
        "struct RawOrganization" => "keys and values, of which `member_role` has to be there",
        "a map" => "names of users, each with the bcrypt hash of a password, or {} to let everybody in",
        expected if expected.starts_with("struct ") => "keys and values",
        expected => expected,
    }
}

/// What would be right for a key that is missing.
fn example(key: &str) -> &'static str {
    match key {
        "arn" => ", such as `arn: arn:aws:iam::111122223333:role/SsmSyncExporter`",
        "member_role" => {
            ", such as `member_role: \"arn:{partition}:iam::{account_id}:role/SsmSyncExporter\"`"
        }
        _ => "",
    }
}

fn hint(found: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|known| (strsim::jaro_winkler(found, known), known))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .filter(|(similarity, _)| *similarity > 0.7);
    match nearest {
        Some((_, nearest)) => format!("; did you mean `{nearest}`?"),
        None => format!("; known here are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests;

//! The configuration: built-in defaults, a YAML file and environment variables, read
//! into the types that the other modules use.
//!
//! A [`Config`] is loaded without a call to AWS. Before it is applied,
//! [`Config::account_sources`] checks it against the defaults of the SDK. No setting
//! is parsed after that. This module does not know what the values are used for.

mod defaults;
mod encoding;
mod entries;
mod error;
mod expectations;
mod health;
mod key_path;
mod layers;
mod managed_nodes;
mod mapping;
mod raw;
mod recorded;
mod redacted;
mod replayable;
mod scalar;
mod schema;
mod selectors;
mod setting;
mod shape;
mod validate;
mod variables;
mod web;
mod yaml;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use defaults::defaults;
pub(crate) use entries::{AccountDefaults, SdkDefaults};
pub use error::{ConfigError, Place};
pub use schema::schema;
pub(crate) use variables::{ENV_PREFIX, variable_for};
pub(crate) use web::FileHashes;
pub use web::WebConfig;

use crate::aws::{AwsSettings, OutboundSettings, Recording, UnusableVariable};
use crate::discovery::{AccountSources, ConfiguredAccount};
use crate::file;
use crate::fleet::{Account, Narrowing};
use crate::health::HealthPolicy;
use crate::metrics::FamilyName;
use entries::{AccountEntry, Entries, OrganizationEntry};
use layers::Layers;
use raw::RawConfig;
use recorded::RecordedLayer;

/// A shorter interval would only exceed AWS's rate limits.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// A loaded configuration.
#[derive(Debug)]
pub struct Config {
    /// The time between the starts of two collections of a target.
    pub(crate) interval: Duration,
    /// The time limit of a collection, including retries.
    pub(crate) timeout: Duration,
    /// How many collections may run concurrently.
    pub(crate) concurrency: NonZeroUsize,
    /// How long the last good syncs of a failing target are served.
    pub(crate) stale_after: Duration,
    /// How long readiness waits for slow targets.
    pub(crate) ready_after: Duration,
    /// What the health of syncs and targets is judged by, the quota included.
    pub(crate) health: Arc<HealthPolicy>,
    /// Empty only if there is an organization.
    pub(crate) accounts: Vec<AccountEntry>,
    pub(crate) organization: Option<OrganizationEntry>,
    /// How often the enabled regions of accounts are looked up again.
    pub(crate) refresh_interval: Duration,
    pub(crate) disabled_families: Vec<FamilyName>,
    /// Whether families with a label for a state leave out the states that do not hold.
    pub(crate) sparse_states: bool,
    /// See [`ExpositionSettings`](crate::metrics::ExpositionSettings). Not configurable.
    pub(crate) run_labels: Vec<(&'static str, String)>,
    /// Which of the accounts and regions are polled. Not configurable.
    pub(crate) narrowing: Narrowing,
    pub(crate) aws: AwsSettings,
    /// Settings that are valid but probably not what was meant.
    pub warnings: Vec<String>,
    /// The settings in YAML, with defaults and without secrets.
    pub(crate) redacted: String,
    /// The same settings for a recording.
    document: serde_json::Value,
    source: Source,
}

/// Where a configuration was loaded from.
#[derive(Clone)]
struct Source {
    file: Option<PathBuf>,
    /// The variables that begin with [`ENV_PREFIX`]. A reload uses the same variables,
    /// because nothing changes the environment of the process.
    environment: Vec<(OsString, OsString)>,
    /// The variables with proxies and certificate authorities.
    outbound_variables: Vec<(OsString, OsString)>,
    /// Warnings about variables that would set a key if their names were in upper case.
    misspelt_variables: Vec<String>,
    /// What answers in place of AWS, and says what is polled.
    recording: Option<Arc<Recording>>,
}

impl Config {
    /// Loads the configuration from `file`, if there is one, and from the variables of
    /// `environment` that begin with `SSM_SYNC_EXPORTER_` or name proxies or certificate authorities.
    ///
    /// The file may be a pipe that the process has inherited, such as stdin.
    ///
    /// # Errors
    /// The first error in the configuration. Conflicts between accounts are found by
    /// [`app::check`](crate::app::check).
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        Source::new(file, environment, None).load(file::read_file_or_inherited_pipe)
    }

    /// Loads the configuration for a recording, which says what is polled and how. The other settings of
    /// `file` and `environment` replace those of the recording. Reloads use the same recording.
    ///
    /// # Errors
    /// See [`load`](Self::load).
    pub fn load_for_recording(
        recording: &Arc<Recording>,
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let source = Source::new(file, environment, Some(Arc::clone(recording)));
        source.load(file::read_file_or_inherited_pipe)
    }

    /// What answers in place of AWS, if it is a recording.
    pub(crate) fn recording(&self) -> Option<&Arc<Recording>> {
        self.source.recording.as_ref()
    }

    /// Whether the configuration says what should be there.
    #[must_use]
    pub fn has_expectations(&self) -> bool {
        !self.health.expectations.is_empty()
    }

    /// The file that the configuration was loaded from.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.source.file.as_deref()
    }

    /// Returns a function that loads the configuration again from the same file and
    /// variables. It blocks, because it reads files. A pipe is an error, because it was read to its
    /// end at start.
    pub(crate) fn loader(&self) -> impl FnOnce() -> Result<Self, ConfigError> + Send + use<> {
        let source = self.source.clone();
        || source.load(file::read)
    }

    /// The accounts whose [`AccountDefaults`] decide what is polled: the listed accounts,
    /// and the account that lists the members of the organization.
    pub(crate) fn entry_accounts(&self) -> impl Iterator<Item = &Account> {
        let listed = self.accounts.iter().map(|entry| &*entry.account);
        listed.chain(self.organization.iter().map(|entry| &*entry.organization.administrator))
    }

    /// Describes the AWS profiles that provide no credentials at the moment, each once.
    pub(crate) fn unusable_profiles(&self, defaults: &SdkDefaults) -> Vec<String> {
        let entries = Entries { accounts: &self.accounts, organization: self.organization.as_ref() };
        entries.unusable_profiles(defaults)
    }

    /// Resolves and checks the accounts, given the defaults of the
    /// [entry accounts](Self::entry_accounts).
    ///
    /// # Errors
    /// Two accounts conflict, an account has no region, a role is in another partition than
    /// a region, or a region has no endpoint of the kind that is set.
    pub(crate) fn account_sources(&self, defaults: &SdkDefaults) -> Result<AccountSources, ConfigError> {
        let entries = Entries { accounts: &self.accounts, organization: self.organization.as_ref() };
        let (resolved_accounts, resolved_organization) =
            entries.resolve(defaults, self.aws.endpoint_kind())?;
        let with_default_region =
            |account: &Account, default_region| Arc::new(Account { default_region, ..account.clone() });
        let configured = self
            .accounts
            .iter()
            .zip(resolved_accounts)
            .map(|(entry, resolved)| ConfiguredAccount {
                account: with_default_region(&entry.account, resolved.default_region),
                regions: resolved.regions,
            })
            .collect();
        let organization = self.organization.as_ref().zip(resolved_organization).map(|(entry, resolved)| {
            let mut organization = entry.organization.clone();
            organization.administrator =
                with_default_region(&organization.administrator, resolved.default_region);
            organization.regions = resolved.regions;
            organization
        });
        let sources = AccountSources {
            configured,
            organization,
            refresh_interval: self.refresh_interval,
            narrowing: Narrowing::default(),
        };
        Ok(sources.narrowed(self.narrowing.clone()))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The values may be secrets.
        let variables: Vec<_> =
            self.environment.iter().chain(&self.outbound_variables).map(|(name, _)| name).collect();
        f.debug_struct("Source")
            .field("file", &self.file)
            .field("variables", &variables)
            .field("recording", &self.recording)
            .finish_non_exhaustive()
    }
}

impl Source {
    fn new(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        recording: Option<Arc<Recording>>,
    ) -> Self {
        let has_prefix = |(name, _): &(OsString, _)| name.to_string_lossy().starts_with(ENV_PREFIX);
        let (environment, others): (_, Vec<_>) = environment.into_iter().partition(has_prefix);
        let is_outbound = |(name, _): &(OsString, _)| OutboundSettings::is_variable(name);
        // Nothing is sent.
        let is_used = |variable: &(OsString, _)| recording.is_none() && is_outbound(variable);
        let misspelt_variables =
            others.iter().filter_map(|(name, _)| variables::in_lower_case(name)).collect();
        let outbound_variables = others.into_iter().filter(is_used).collect();
        let file = file.map(Path::to_owned);
        Self { file, environment, outbound_variables, misspelt_variables, recording }
    }

    fn load(self, read: fn(&Path, file::Size) -> io::Result<Vec<u8>>) -> Result<Config, ConfigError> {
        let unreadable = |path: &Path, source| ConfigError::Unreadable { path: path.to_path_buf(), source };
        let file = self.file.as_deref().map(|path| {
            read(path, file::MAX_LARGE).map(|bytes| (path, bytes)).map_err(|error| unreadable(path, error))
        });
        let recorded = self.recording.as_deref().map(RecordedLayer::new).transpose()?;
        let layers = Layers::read(file.transpose()?, self.environment.clone(), recorded)?;
        let raw: RawConfig = layers.deserialize(raw::DEFAULTS)?;
        let (redacted, document) = (redacted::to_yaml(&raw), replayable::document(&raw));
        let ignored = layers.ignored_settings();
        let outbound =
            OutboundSettings::new(&self.outbound_variables).map_err(|error| unusable_variable(&error))?;
        let recording = self.recording.clone();
        let misspelt_variables = self.misspelt_variables.clone();
        let mut config = validate::validate(raw, &layers, self)?;
        config.warnings.extend(ignored);
        config.warnings.extend(misspelt_variables);
        config.warnings.extend(outbound.warnings());
        config.aws.outbound = Arc::new(outbound);
        config.aws.recording = recording;
        Ok(Config { redacted, document, ..config })
    }
}

fn unusable_variable(error: &UnusableVariable) -> ConfigError {
    let place = Place::Environment { variable: error.variable.to_owned() };
    ConfigError::Invalid { place, message: error.to_string() }
}

#[cfg(test)]
mod tests;

//! The shared AWS configuration: the files with profiles, by default `~/.aws/config` and
//! `~/.aws/credentials`.
//!
//! The SDK's parser rejects both files for one bad line, and silently ignores profiles that the
//! AWS CLI reads: those with indented keys, or with a name in quotes. The files are therefore read
//! here, and the SDK gets [their content](SharedConfig::for_sdk) in the form that it understands.
//! A bad line affects only the profiles that it belongs to, and every error names the file and the
//! line.

mod file;
mod header;
mod ini;

use std::path::Path;

use aws_config::profile::ProfileSet;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_types::os_shim_internal::{Env, Fs};

use super::environment::Environment;
use crate::printable::{escape_control_characters, excerpt};
use file::{ParsedFile, SharedFile};
use header::{FileKind, Header};
use ini::Entry;

/// The maximum number of profiles in a chain. Few chains have more than three.
pub(super) const MAX_CHAIN: usize = 32;

/// The maximum length of the names of profiles that an error suggests.
const MAX_NAME: usize = 256;

/// How many names of profiles an error lists.
const MAX_LISTED: usize = 5;

/// Both files, and the profile that is selected.
#[derive(Debug)]
pub(super) struct SharedConfig {
    files: [SharedFile; 2],
    selected: String,
    /// What selects the profile. `None` if nothing does, so that it is `default`.
    selected_by: Option<&'static str>,
}

/// What is in both files as they were last read, for all profiles.
#[derive(Debug, Default)]
pub(super) struct ParsedFiles {
    config: ParsedFile,
    credentials: ParsedFile,
}

/// The paths of the files in the exporter's configuration.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConfiguredPaths<'a> {
    pub(super) config: Option<&'a Path>,
    pub(super) credentials: Option<&'a Path>,
}

/// Why a profile cannot be used: one line that names the file and, if possible, the line in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", escape_control_characters(.0))]
pub(super) struct ProfileError(pub(super) String);

impl SharedConfig {
    /// Reads both files. `paths`, those of the configuration, and `profile`, a profile of the
    /// configuration, override the environment. The files are parsed only if they are not `parsed` yet.
    pub(super) fn read(
        paths: ConfiguredPaths<'_>,
        environment: &Environment,
        profile: Option<&str>,
        parsed: &ParsedFiles,
    ) -> Self {
        let (selected, selected_by) = match (profile, environment.profile()) {
            (Some(profile), _) => (profile.to_owned(), Some("`profile`")),
            // As for the SDK, this selects nothing.
            (None, Some((profile, _))) if profile == "default" => (profile, None),
            (None, Some((profile, variable))) => (profile, Some(variable)),
            (None, None) => ("default".to_owned(), None),
        };
        let configured = (paths.config, "`aws.shared_config_file`");
        let variable = "AWS_CONFIG_FILE";
        let config = SharedFile::read(FileKind::Config, configured, variable, environment, &parsed.config);
        let configured = (paths.credentials, "`aws.shared_credentials_file`");
        let variable = "AWS_SHARED_CREDENTIALS_FILE";
        let credentials =
            SharedFile::read(FileKind::Credentials, configured, variable, environment, &parsed.credentials);
        Self { files: [config, credentials], selected, selected_by }
    }

    /// The name of the selected profile, as the SDK gets it.
    pub(super) fn sdk_profile_name(&self) -> String {
        header::encode(&self.selected)
    }

    /// The selected profile and the files, for an error about it.
    pub(super) fn describe_selected(&self) -> String {
        let unreadable: Vec<String> = self.unreadable_files().collect();
        let unreadable = match unreadable.as_slice() {
            [] => String::new(),
            unreadable => format!(" ({})", unreadable.join("; ")),
        };
        let [config, credentials] = &self.files;
        escape_control_characters(&format!(
            "the profile `{}` of {} and {}{unreadable}",
            excerpt(&self.selected),
            config.path.display(),
            credentials.path.display()
        ))
    }

    /// The error about the selected profile if it has no credentials.
    pub(super) fn no_credentials(&self) -> ProfileError {
        ProfileError(format!(
            "{} has no credentials; add `role_arn` with its source, `sso_session`, `credential_process`, or keys",
            self.describe_selected()
        ))
    }

    /// What both files say of the selected profile and its source profiles, for the SDK. `additional`
    /// takes precedence.
    pub(super) fn for_sdk(&self, additional: &str) -> EnvConfigFiles {
        let [config, credentials] = &self.files;
        let profiles = self.chain();
        EnvConfigFiles::builder()
            .with_contents(EnvConfigFileKind::Config, config.for_sdk(&profiles))
            .with_contents(EnvConfigFileKind::Credentials, credentials.for_sdk(&profiles))
            .with_contents(EnvConfigFileKind::Config, additional)
            .build()
    }

    /// The selected profile and its source profiles, at most one more than are allowed.
    fn chain(&self) -> Vec<&str> {
        let mut names = vec![self.selected.as_str()];
        while let Some(last) = names.last().filter(|_| names.len() <= MAX_CHAIN)
            && let Some((_, source)) = self.entry(last, "source_profile")
            && !names.contains(&source.value.as_str())
        {
            names.push(&source.value);
        }
        names
    }

    /// The entry of a profile that applies, and the file that it is in: the credentials file takes
    /// precedence.
    fn entry(&self, profile: &str, key: &str) -> Option<(&SharedFile, &Entry)> {
        self.files.iter().rev().find_map(|file| Some((file, file.entry(profile, key)?)))
    }

    /// The selected profile and its source profiles as the SDK reads them.
    ///
    /// # Errors
    /// The SDK cannot read its own format, which is a bug.
    pub(super) async fn profiles(&self) -> Result<ProfileSet, ProfileError> {
        let name = Some(self.sdk_profile_name().into());
        aws_config::profile::load(&Fs::real(), &Env::from_slice(&[]), &self.for_sdk(""), name)
            .await
            .map_err(|error| ProfileError(format!("cannot read the shared AWS configuration: {error}")))
    }

    /// Checks that the selected profile exists, if one is selected explicitly, and that all of its
    /// lines can be read.
    ///
    /// # Errors
    /// It cannot be used.
    pub(super) fn check_selected(&self) -> Result<(), ProfileError> {
        if let (Some(selected_by), true) = (self.selected_by, self.selected.contains(char::is_control)) {
            return Err(ProfileError(format!(
                "the environment variable {selected_by} contains a control character, such as a line end"
            )));
        }
        match (self.is_defined(&self.selected), self.selected_by) {
            (false, Some(selected_by)) => {
                let what = format!("the profile `{}` (selected by {selected_by})", excerpt(&self.selected));
                Err(self.missing(&what, &self.selected))
            }
            (false, None) => Ok(()),
            (true, _) => self.check(&self.selected),
        }
    }

    /// Checks that all lines of a profile can be read. `sdk_name` is its name for the SDK.
    ///
    /// # Errors
    /// The first line that cannot.
    pub(super) fn check_sdk_name(&self, sdk_name: &str) -> Result<(), ProfileError> {
        self.check(&header::decode(sdk_name))
    }

    fn check(&self, name: &str) -> Result<(), ProfileError> {
        let defects = self.files.iter().find_map(|file| {
            let mut sections = file.sections_of(name);
            sections.find_map(|section| Some(file.describe(section.defects.first()?)))
        });
        match defects {
            Some(defect) => {
                Err(ProfileError(format!("the profile `{}` cannot be read: {defect}", excerpt(name))))
            }
            None => Ok(()),
        }
    }

    /// Checks that a section other than a profile exists, and that all of its lines can be read.
    /// `kind` is `sso-session` or `services`.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn check_section(&self, kind: &str, sdk_name: &str) -> Result<(), String> {
        let [config, _] = &self.files;
        let name = header::decode(sdk_name);
        let mut sections = config.sections().filter(|(header, section)| match header {
            Header::SsoSession(found) => kind == "sso-session" && found == sdk_name && !section.is_unclosed(),
            Header::Services(found) => kind == "services" && *found == name && !section.is_unclosed(),
            _ => false,
        });
        let Some((_, first)) = sections.next() else {
            if kind == "sso-session" && !ini::is_identifier(sdk_name) {
                return Err(format!(
                    "the SDK does not accept the name of `[{kind} {}]`; use letters, digits, `-` and `_`, here and in \
                     the profile",
                    excerpt(sdk_name)
                ));
            }
            let unreadable = config.describe_error().map(|error| format!("; {error}")).unwrap_or_default();
            let path = config.path.display();
            return Err(format!("`[{kind} {}]` is not defined in {path}{unreadable}", excerpt(&name)));
        };
        let mut defects = first.defects.iter().chain(sections.flat_map(|(_, section)| &section.defects));
        defects.next().map_or(Ok(()), |defect| Err(config.describe(defect)))
    }

    /// The name of a profile in the file, given its name for the SDK.
    pub(super) fn shown_name(sdk_name: &str) -> String {
        header::decode(sdk_name)
    }

    /// The error about a source profile that does not exist. `sdk_name` is its name for the SDK.
    pub(super) fn missing_source(&self, profile: &str, sdk_name: &str) -> ProfileError {
        let name = header::decode(sdk_name);
        let place = self.place(profile, "source_profile");
        let what = format!(
            "the profile `{}`, the `source_profile` of `{}`{place},",
            excerpt(&name),
            excerpt(&header::decode(profile))
        );
        self.missing(&what, &name)
    }

    /// The error about source profiles that lead to `next` again.
    pub(super) fn cycle(&self, chain: &[&str], next: &str) -> ProfileError {
        let place = chain.last().map(|last| self.place(last, "source_profile")).unwrap_or_default();
        let names: Vec<String> =
            chain.iter().chain([&next]).map(|name| excerpt(&header::decode(name))).collect();
        ProfileError(format!(
            "the source profiles form a cycle{place}: {}; the last one needs credentials of its own",
            names.join(" -> ")
        ))
    }

    /// The error about a profile that comes after too many others.
    pub(super) fn long_chain(sdk_name: &str) -> ProfileError {
        let name = header::decode(sdk_name);
        ProfileError(format!("more than {MAX_CHAIN} source profiles lead to `{}`; use fewer", excerpt(&name)))
    }

    /// Where a profile has a key: ` (file:line)`, or nothing if it does not have the key.
    pub(super) fn place(&self, sdk_name: &str, key: &str) -> String {
        self.place_of(sdk_name, key).map(|place| format!(" ({place})")).unwrap_or_default()
    }

    /// Where a profile has a key: `file:line`.
    pub(super) fn place_of(&self, sdk_name: &str, key: &str) -> Option<String> {
        let (file, entry) = self.entry(&header::decode(sdk_name), key)?;
        Some(format!("{}:{}", file.path.display(), entry.line))
    }

    /// Why the selected profile has no region: the end of an error about that.
    pub(super) fn describe_missing_region(&self) -> String {
        if let Err(error) = self.check_selected() {
            return format!("; {error}");
        }
        let section = self.files.iter().find_map(|file| {
            let section = file.sections_of(&self.selected).next()?;
            Some(format!(" ({}:{})", file.path.display(), section.line))
        });
        let misspelt = || self.files.iter().find_map(|file| file.describe_misspelt(&self.selected));
        let others = || misspelt().into_iter().chain(self.unreadable_files()).map(|text| format!("; {text}"));
        escape_control_characters(&section.unwrap_or_else(|| others().collect()))
    }

    /// The error about a file that the configuration names and that cannot be read.
    pub(super) fn unreadable_configured_file(&self) -> Option<ProfileError> {
        let is_configured = |file: &&SharedFile| file.named_by.is_some_and(|name| name.starts_with('`'));
        self.files.iter().filter(is_configured).find_map(SharedFile::describe_error).map(ProfileError)
    }

    /// The error about a file that the configuration or the environment names and that cannot be read.
    pub(super) fn unreadable_named_file(&self) -> Option<ProfileError> {
        let is_named = |file: &&SharedFile| file.named_by.is_some();
        self.files.iter().filter(is_named).find_map(SharedFile::describe_error).map(ProfileError)
    }

    /// The files that cannot be read although they exist, or although a setting names them.
    pub(super) fn unreadable_files(&self) -> impl Iterator<Item = String> {
        self.files.iter().filter_map(SharedFile::describe_error)
    }

    fn is_defined(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.sections_of(name).next().is_some())
    }

    /// The error about a profile that does not exist: where it was sought, and what is there
    /// instead.
    fn missing(&self, what: &str, name: &str) -> ProfileError {
        let [config, credentials] = &self.files;
        let mut message =
            format!("{what} is not defined in {} or {}", config.path.display(), credentials.path.display());
        let misspelt = self.files.iter().find_map(|file| file.describe_misspelt(name));
        let unreadable: Vec<String> = self.unreadable_files().collect();
        if let Some(misspelt) = misspelt {
            message.extend(["; ", &misspelt]);
        } else if !unreadable.is_empty() {
            message.extend(["; ", &unreadable.join("; ")]);
        } else {
            message += &self.describe_others(name);
        }
        ProfileError(message)
    }

    /// The profiles that exist, the most similar one if there is one.
    fn describe_others(&self, name: &str) -> String {
        // Comparing names takes long if they are.
        let names = self.files.iter().flat_map(SharedFile::profile_names);
        let mut names: Vec<&str> = names.filter(|name| name.len() <= MAX_NAME).collect();
        names.sort_unstable();
        names.dedup();
        let similarity = |other: &str| strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
        let nearest = names.iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
        match nearest.filter(|nearest| similarity(nearest) > 0.8) {
            Some(nearest) => format!("; did you mean `{}`?", excerpt(nearest)),
            None if names.is_empty() => "; they have no profiles".to_owned(),
            None => {
                let listed: Vec<String> =
                    names.iter().take(MAX_LISTED).map(|name| format!("`{}`", excerpt(name))).collect();
                let more = names.len() - listed.len();
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("; they have {}{more}", listed.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests;

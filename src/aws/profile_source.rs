//! Checks what a profile obtains credentials from: its keys, and the files that they name.
//!
//! The SDK's errors about these name neither the line of the profile nor the file, speak of cargo
//! features, or do not occur at all, because the SDK silently uses another source.

use std::path::{Path, PathBuf};

use aws_config::profile::{Profile, ProfileSet};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::{Map, Value};

use super::environment::{CONTAINER_URIS, Environment};
use super::shared_config::{ProfileError, SharedConfig};
use crate::clock::Clock;
use crate::file;
use crate::printable::excerpt;

const CREDENTIAL_SOURCES: [&str; 3] = ["Environment", "EcsContainer", "Ec2InstanceMetadata"];

/// The keys of which any makes the SDK use IAM Identity Center.
const SSO_KEYS: [&str; 5] = ["sso_session", "sso_start_url", "sso_region", "sso_account_id", "sso_role_name"];

/// The profile to check, and what it refers to.
pub(super) struct Checked<'a> {
    pub(super) profile: &'a Profile,
    pub(super) profiles: &'a ProfileSet,
    pub(super) files: &'a SharedConfig,
    pub(super) environment: &'a Environment,
}

impl Checked<'_> {
    /// Checks the lines of a profile, and the sections that it refers to.
    ///
    /// # Errors
    /// A line cannot be read, or a section does not exist.
    pub(super) fn check_lines(&self) -> Result<(), ProfileError> {
        self.files.check_sdk_name(self.profile.name())?;
        for (key, kind) in [("sso_session", "sso-session"), ("services", "services")] {
            if let Some(name) = self.profile.get(key) {
                self.files.check_section(kind, name).map_err(|error| self.error(key, error))?;
            }
        }
        Ok(())
    }

    /// Checks the keys of a profile with a role, except for the profile that it names as its source.
    ///
    /// # Errors
    /// The source of credentials is ambiguous or missing.
    pub(super) fn check_role_source(&self) -> Result<(), ProfileError> {
        match (self.profile.get("source_profile"), self.profile.get("credential_source")) {
            (Some(_), Some(_)) => Err(self.error(
                "credential_source",
                "it has both `source_profile` and `credential_source`; remove one of the two",
            )),
            (None, None) => Err(self.error(
                "role_arn",
                "it has a `role_arn` but no source of credentials; add `source_profile`, `credential_source` or \
                 `web_identity_token_file`",
            )),
            (Some(_), None) => Ok(()),
            (None, Some(_)) => self.check_credential_source(),
        }
    }

    fn check_credential_source(&self) -> Result<(), ProfileError> {
        match self.profile.get("credential_source") {
            Some(source) if source.eq_ignore_ascii_case("Environment") => {
                self.check_variables(source, &["AWS_ACCESS_KEY_ID"])
            }
            Some(source) if source.eq_ignore_ascii_case("EcsContainer") => {
                self.check_variables(source, &CONTAINER_URIS)
            }
            Some(source) if !CREDENTIAL_SOURCES.iter().any(|known| known.eq_ignore_ascii_case(source)) => {
                Err(self.error(
                    "credential_source",
                    format!(
                        "the `credential_source` `{}` is unknown; expected one of {}",
                        excerpt(source),
                        CREDENTIAL_SOURCES.join(", ")
                    ),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Checks that one of the variables that a `credential_source` needs is set.
    fn check_variables(&self, source: &str, variables: &[&str]) -> Result<(), ProfileError> {
        if variables.iter().any(|variable| self.environment.get(variable).is_some()) {
            return Ok(());
        }
        Err(self.error(
            "credential_source",
            format!(
                "the `credential_source` is `{source}`, but the environment variable {} is not set",
                variables.join(" or ")
            ),
        ))
    }

    /// Checks a profile that is the source of credentials, and the file with its token.
    ///
    /// # Errors
    /// Keys are missing, or the token cannot be used.
    pub(super) fn check_source(&self) -> Result<(), ProfileError> {
        if self.has("credential_source") {
            return self.check_credential_source();
        }
        if let Some(path) = self.profile.get("web_identity_token_file") {
            if !self.has("role_arn") {
                let problem = "it has `web_identity_token_file` but no `role_arn`; add it";
                return Err(self.error("web_identity_token_file", problem));
            }
            let path = Path::new(path);
            return read_token(path).map(drop).map_err(|problem| {
                let problem = format!("the web identity token file {} {problem}", path.display());
                self.error("web_identity_token_file", problem)
            });
        }
        if SSO_KEYS.iter().any(|key| self.has(key)) {
            return self.check_sso();
        }
        if self.has("login_session") {
            return Err(self.error(
                "login_session",
                "the exporter does not support `login_session` (`aws login`); use a role, IAM Identity Center \
                 (`sso_session`), or a `credential_process` with `aws configure export-credentials`",
            ));
        }
        if self.has("credential_process") {
            return Ok(());
        }
        for (key, other) in [
            ("aws_access_key_id", "aws_secret_access_key"),
            ("aws_secret_access_key", "aws_access_key_id"),
            ("aws_session_token", "aws_access_key_id"),
        ] {
            if self.has(key) && !self.has(other) {
                return Err(self.error(key, format!("it has `{key}` but no `{other}`; add it")));
            }
        }
        Ok(())
    }

    /// Whether the profile has anything that credentials can be obtained with.
    pub(super) fn has_credentials(&self) -> bool {
        let keys =
            ["credential_source", "web_identity_token_file", "credential_process", "aws_access_key_id"];
        keys.iter().chain(&SSO_KEYS).any(|key| self.has(key))
    }

    /// The error about a profile that has no credentials.
    pub(super) fn no_credentials(&self) -> ProfileError {
        self.error(
            "region",
            "it has no credentials; add `role_arn` with its source, `sso_session`, `credential_process`, or keys",
        )
    }

    /// The error about a profile that assumes a role with credentials of its own, but has none.
    pub(super) fn own_source_without_credentials(&self) -> ProfileError {
        self.error(
            "source_profile",
            "its `source_profile` is the profile itself, but it has no `credential_process` and no keys; add them, or \
             name another profile",
        )
    }

    fn check_sso(&self) -> Result<(), ProfileError> {
        for key in ["sso_account_id", "sso_role_name"] {
            if !self.has(key) {
                return Err(self.error("sso_session", format!("`{key}` is missing; add it to the profile")));
            }
        }
        let (identifier, has_session) = match self.profile.get("sso_session") {
            Some(name) => {
                let session = self.profiles.sso_session(name);
                let session = |key| session.and_then(|session| session.get(key));
                for key in ["sso_start_url", "sso_region"] {
                    if session(key).is_none() {
                        let problem =
                            format!("`{key}` is missing; add it to `[sso-session {}]`", excerpt(name));
                        return Err(self.error("sso_session", problem));
                    }
                    if self.profile.get(key).is_some() {
                        let problem = format!(
                            "`{key}` belongs into `[sso-session {}]`; remove it from the profile",
                            excerpt(name)
                        );
                        return Err(self.error(key, problem));
                    }
                }
                (name, true)
            }
            None => match (self.profile.get("sso_start_url"), self.has("sso_region")) {
                (Some(url), true) => (url, false),
                (Some(_), false) => {
                    return Err(self.error("sso_start_url", "`sso_region` is missing; add it to the profile"));
                }
                (None, _) => {
                    let problem = "`sso_session` is missing; add it to the profile";
                    return Err(self.error("sso_account_id", problem));
                }
            },
        };
        self.check_sso_token(identifier, has_session)
    }

    /// Checks the token that `aws sso login` has left in the cache.
    fn check_sso_token(&self, identifier: &str, has_session: bool) -> Result<(), ProfileError> {
        let key = if has_session { "sso_session" } else { "sso_start_url" };
        let Some(path) = sso_token_path(identifier, self.environment) else {
            return Err(
                self.error(key, "HOME is not set, so the token of `aws sso login` cannot be found; set it")
            );
        };
        let checked = read_token(&path).and_then(|token| check_sso_token(&token, has_session));
        checked.map_err(|problem| {
            let login = sso_login(&self.name());
            self.error(key, format!("the SSO token {} {problem}; run `{login}`", path.display()))
        })
    }

    /// The profile's name in the file.
    fn name(&self) -> String {
        SharedConfig::shown_name(self.profile.name())
    }

    fn has(&self, key: &str) -> bool {
        self.profile.get(key).is_some()
    }

    /// An error about the profile, with the line that has `key`.
    fn error(&self, key: &str, problem: impl std::fmt::Display) -> ProfileError {
        let (name, place) = (self.name(), self.files.place(self.profile.name(), key));
        ProfileError(format!("the profile `{}`{place} is unusable: {problem}", excerpt(&name)))
    }
}

/// The command that renews the token of a profile.
pub(super) fn sso_login(profile: &str) -> String {
    let quote = if profile.contains(' ') { "'" } else { "" };
    format!("aws sso login --profile {quote}{}{quote}", excerpt(profile))
}

/// Reads a file with a token.
///
/// # Errors
/// What is wrong with the file, as the end of a sentence about it.
pub(super) fn read_token(path: &Path) -> Result<Vec<u8>, String> {
    let token = file::read(path, file::MAX_SMALL).map_err(|error| format!("cannot be read: {error}"))?;
    if token.trim_ascii().is_empty() { Err("is empty".to_owned()) } else { Ok(token) }
}

/// Where the AWS CLI leaves the token of a session, or of a start URL without a session.
fn sso_token_path(identifier: &str, environment: &Environment) -> Option<PathBuf> {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, identifier.as_bytes());
    let hex = hash.as_ref().iter().flat_map(|byte| format!("{byte:02x}").into_bytes());
    let name: String = hex.map(char::from).collect();
    Some(PathBuf::from(environment.home()?).join(".aws/sso/cache").join(name + ".json"))
}

/// The file with the token of a profile that uses IAM Identity Center. `None` if it does not.
pub(super) fn sso_token_file(profile: &Profile, environment: &Environment) -> Option<PathBuf> {
    let identifier = profile.get("sso_session").or_else(|| profile.get("sso_start_url"))?;
    sso_token_path(identifier, environment)
}

/// Checks that a token is valid, or that the SDK can renew it.
fn check_sso_token(token: &[u8], has_session: bool) -> Result<(), String> {
    let Ok(Value::Object(token)) = serde_json::from_slice(token) else {
        return Err("is not a JSON object".to_owned());
    };
    if text(&token, "accessToken").is_none() {
        return Err("has no `accessToken`".to_owned());
    }
    let time =
        |key| text(&token, key).map(|time| (time, DateTime::from_str(time, Format::DateTimeWithOffset)));
    let Some((shown, Ok(expires_at))) = time("expiresAt") else {
        return Err("has no `expiresAt` with a time such as `2030-01-31T23:59:59Z`".to_owned());
    };
    let now = Clock::system().now();
    let is_over = |time: DateTime| time.as_secs_f64() <= now;
    let can_be_renewed = has_session
        && ["refreshToken", "clientId", "clientSecret"].iter().all(|key| text(&token, key).is_some())
        && time("registrationExpiresAt").is_some_and(|(_, time)| time.is_ok_and(|time| !is_over(time)));
    if is_over(expires_at) && !can_be_renewed {
        return Err(format!("has expired at {}", excerpt(shown)));
    }
    Ok(())
}

fn text<'a>(token: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    token.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).and_then(|(_, value)| value.as_str())
}

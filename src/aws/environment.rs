//! The environment variables of the AWS SDK that are read here in its place.
//!
//! A variable that is empty or blank counts as not set, because container platforms, Helm charts
//! and Compose files create such variables. The SDK takes most of them literally, and can neither
//! be given another environment nor change its own.

use std::env::VarError;
use std::fmt;
use std::path::PathBuf;

use aws_types::os_shim_internal::Env;

/// The variables that switch something on. The SDK ignores other values without a word.
const SWITCHES: [&str; 3] =
    ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"];

pub(super) const RELATIVE_URI: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";

/// The variables of which one is set in a container with credentials.
pub(super) const CONTAINER_URIS: [&str; 2] = [RELATIVE_URI, "AWS_CONTAINER_CREDENTIALS_FULL_URI"];

/// The environment of the process.
#[derive(Clone)]
pub(super) struct Environment(Env);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The values may be secrets.
        f.write_str("Environment")
    }
}

impl Environment {
    pub(super) fn of_process() -> Self {
        Self(Env::real())
    }

    /// An environment without variables.
    pub(super) fn empty() -> Self {
        Self(Env::from_slice(&[]))
    }

    #[cfg(test)]
    pub(super) fn of(variables: &[(&str, &str)]) -> Self {
        Self(Env::from_slice(variables))
    }

    /// The value of a variable. `None` if it is not set, blank or not UTF-8.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).ok().filter(|value| !value.trim().is_empty())
    }

    /// Whether a variable has a value, usable or not.
    pub(super) fn has(&self, name: &str) -> bool {
        match self.0.get(name) {
            Ok(value) => !value.trim().is_empty(),
            Err(VarError::NotUnicode(_)) => true,
            Err(VarError::NotPresent) => false,
        }
    }

    /// Whether a variable is set, but to nothing.
    pub(super) fn is_blank(&self, name: &str) -> bool {
        self.0.get(name).is_ok_and(|value| value.trim().is_empty())
    }

    /// Replaces the `~` at the beginning of a path, as the SDK does.
    pub(super) fn expand_home(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), self.home()) {
            (Some(below), Some(home)) => PathBuf::from(home).join(below),
            _ => PathBuf::from(path),
        }
    }

    /// The home directory.
    pub(super) fn home(&self) -> Option<String> {
        self.get("HOME")
    }

    /// The region, and the variable that it is from.
    pub(super) fn region(&self) -> Option<(String, &'static str)> {
        ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(|name| Some((self.get(name)?, name)))
    }

    /// The profile, and the variable that it is from. The SDK does not read the second one, but the AWS CLI
    /// does.
    pub(super) fn profile(&self) -> Option<(String, &'static str)> {
        ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"].into_iter().find_map(|name| Some((self.get(name)?, name)))
    }

    /// A switch. `None` if it is not set.
    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        self.get(name).map(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Describes the first switch with a value other than `true` or `false`.
    pub(super) fn invalid_switch(&self) -> Option<String> {
        let is_valid =
            |value: String| ["true", "false"].iter().any(|valid| value.eq_ignore_ascii_case(valid));
        let name = SWITCHES.into_iter().find(|name| self.get(name).is_some_and(|value| !is_valid(value)))?;
        Some(format!("the environment variable {name} is invalid; expected `true` or `false`"))
    }

    /// The role that the environment says to assume with a token. EKS sets both variables.
    ///
    /// # Errors
    /// There is a token but no role. Credentials of another source may belong to another account.
    pub(super) fn web_identity(&self) -> Result<Option<WebIdentity>, String> {
        let (file, role) = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN");
        match (self.get(file), self.get(role)) {
            (Some(token_file), Some(role_arn)) => Ok(Some(WebIdentity {
                token_file: token_file.into(),
                role_arn,
                session_name: self.get("AWS_ROLE_SESSION_NAME"),
            })),
            // A role alone may be meant for other programs.
            (None, _) => Ok(None),
            (Some(_), None) => Err(format!(
                "the environment variable {file} is set, but {role} is not; set both, or neither"
            )),
        }
    }
}

/// A role that is assumed with a token in a file.
pub(super) struct WebIdentity {
    pub(super) token_file: PathBuf,
    pub(super) role_arn: String,
    pub(super) session_name: Option<String>,
}

//! Finds the credentials that the roles of a profile are assumed with.
//!
//! The SDK resolves profiles itself, but neither checks the credentials before it assumes a
//! role with them nor ends a `credential_process`. This module follows the chain of source
//! profiles to its end by the SDK's rules, so that the credentials there can be obtained in
//! another way. It tells the SDK so in an additional profile file, in memory.

use aws_config::profile::{Profile, ProfileSet};

use super::credential_check::{
    MAX_ACCESS_KEY_ID, MAX_EXTERNAL_ID, MAX_ROLE_ARN, MAX_SECRET_ACCESS_KEY, MAX_SESSION_NAME, MAX_TOKEN,
    UnusableText, check_text,
};
use super::credential_process::CredentialProcess;

/// The name of the credential source to which the additional profile file refers.
pub(super) const CREDENTIAL_SOURCE: &str = "ssm-sync-exporter";

/// A profile in the additional profile file. It has no secrets.
const SOURCE_PROFILE: &str = "ssm-sync-exporter-source";

/// A profile that leads to a role or to a `credential_process`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProfileChain {
    /// The credentials at its end. `None` if they need not be obtained in another way.
    pub(super) base: Option<Base>,
}

/// The credentials at the end of a chain, and the profile file that makes the SDK use
/// [`CREDENTIAL_SOURCE`] in their place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) source: BaseSource,
    pub(super) profile_file: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum BaseSource {
    Process(CredentialProcess),
    /// A profile without a role of its own.
    Profile(String),
}

/// A profile with a value that no request can carry.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the profile `{profile}` is unusable: {error}")]
pub(super) struct UnusableProfile {
    profile: String,
    #[source]
    error: UnusableText,
}

/// Follows the selected profile to the end of its chain. `None` if the SDK can resolve the
/// profile by itself, or if the profile is invalid, so that the SDK reports the error.
///
/// # Errors
/// A role or key in the chain contains characters that no request can carry.
pub(super) fn resolve(profiles: &ProfileSet) -> Result<Option<ProfileChain>, UnusableProfile> {
    let mut visited = Vec::new();
    let mut name = profiles.selected_profile();
    loop {
        let Some(profile) = profiles.get_profile(name).filter(|_| !visited.contains(&name)) else {
            return Ok(None);
        };
        let is_selected = visited.is_empty();
        visited.push(name);
        let unusable = |error| UnusableProfile { profile: name.to_owned(), error };
        check_role(profile).map_err(unusable)?;
        // In a source profile, access keys take precedence over everything else.
        if !is_selected && has_access_key(profile) {
            check_access_key(profile).map_err(unusable)?;
            return Ok(Some(ProfileChain { base: None }));
        }
        let assumes_role =
            profile.get("role_arn").is_some() && profile.get("web_identity_token_file").is_none();
        if !assumes_role {
            return Ok(end_of_chain(profile, is_selected));
        }
        match (profile.get("source_profile"), profile.get("credential_source")) {
            (Some(source), None) if source == name => {
                check_access_key(profile).map_err(unusable)?;
                return Ok(Some(own_source(profile)));
            }
            (Some(source), None) => name = source,
            (None, Some(_)) => return Ok(Some(ProfileChain { base: None })),
            (Some(_), Some(_)) | (None, None) => return Ok(None),
        }
    }
}

/// A chain that ends at `profile`, which has no role.
fn end_of_chain(profile: &Profile, is_selected: bool) -> Option<ProfileChain> {
    let name = profile.name();
    let source = match process(profile) {
        Some(process) => BaseSource::Process(process),
        // The profile's own credentials are checked when they have been obtained.
        None if is_selected => return None,
        None if profile.get("credential_source").is_some() => return Some(ProfileChain { base: None }),
        None => BaseSource::Profile(name.to_owned()),
    };
    let profile_file = format!("[profile {name}]\ncredential_source = {CREDENTIAL_SOURCE}\n");
    Some(ProfileChain { base: Some(Base { source, profile_file }) })
}

/// A chain that ends at a profile with a role, whose source profile is the profile itself.
fn own_source(profile: &Profile) -> ProfileChain {
    let base = process(profile).map(|process| Base {
        source: BaseSource::Process(process),
        // A profile must not have both a source profile and a credential source.
        profile_file: format!(
            "[profile {}]\nsource_profile = {SOURCE_PROFILE}\n[profile {SOURCE_PROFILE}]\ncredential_source = \
             {CREDENTIAL_SOURCE}\n",
            profile.name()
        ),
    });
    ProfileChain { base }
}

/// The `credential_process` of a profile, unless the profile has a source that takes
/// precedence.
fn process(profile: &Profile) -> Option<CredentialProcess> {
    const PRECEDING: [&str; 8] = [
        "credential_source",
        "web_identity_token_file",
        "sso_account_id",
        "sso_region",
        "sso_role_name",
        "sso_start_url",
        "sso_session",
        "login_session",
    ];
    if PRECEDING.iter().any(|key| profile.get(key).is_some()) {
        return None;
    }
    Some(CredentialProcess {
        profile: profile.name().to_owned(),
        command: profile.get("credential_process")?.to_owned(),
        account_id: profile.get("aws_account_id").map(ToOwned::to_owned),
    })
}

fn has_access_key(profile: &Profile) -> bool {
    profile.get("aws_access_key_id").is_some() && profile.get("aws_secret_access_key").is_some()
}

/// Checks the parameters of the role, if the profile has one.
fn check_role(profile: &Profile) -> Result<(), UnusableText> {
    check_optional(profile, "role ARN", "role_arn", MAX_ROLE_ARN)?;
    check_optional(profile, "role session name", "role_session_name", MAX_SESSION_NAME)?;
    check_optional(profile, "external id", "external_id", MAX_EXTERNAL_ID)
}

/// Checks the access key, if the profile has one.
fn check_access_key(profile: &Profile) -> Result<(), UnusableText> {
    check_optional(profile, "access key id", "aws_access_key_id", MAX_ACCESS_KEY_ID)?;
    check_optional(profile, "secret access key", "aws_secret_access_key", MAX_SECRET_ACCESS_KEY)?;
    check_optional(profile, "session token", "aws_session_token", MAX_TOKEN)
}

fn check_optional(profile: &Profile, name: &str, key: &str, max: usize) -> Result<(), UnusableText> {
    profile.get(key).map_or(Ok(()), |value| check_text(name, value, max))
}

#[cfg(test)]
mod tests {
    use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
    use aws_types::os_shim_internal::{Env, Fs};

    use super::*;

    /// Resolves the profile `app`. Settings of the credentials file follow after `---`.
    async fn resolve_app(files: &str) -> Result<Option<ProfileChain>, UnusableProfile> {
        let (config, credentials) = files.split_once("---").unwrap_or((files, ""));
        let files = EnvConfigFiles::builder()
            .with_contents(EnvConfigFileKind::Config, config)
            .with_contents(EnvConfigFileKind::Credentials, credentials)
            .build();
        let name = Some("app".into());
        resolve(
            &aws_config::profile::load(&Fs::from_slice(&[]), &Env::from_slice(&[]), &files, name)
                .await
                .unwrap(),
        )
    }

    fn is_process_of(chain: Option<ProfileChain>, expected: &str) -> bool {
        matches!(
            chain,
            Some(ProfileChain { base: Some(Base { source: BaseSource::Process(process), .. }) })
                if process.profile == expected && process.command == "get creds"
        )
    }

    const ROLE: &str = "role_arn = arn:aws:iam::111122223333:role/x";

    #[tokio::test]
    async fn a_process_is_found_anywhere_in_a_chain_of_profiles() {
        for (files, profile) in [
            ("[profile app]\ncredential_process = get creds", "app"),
            ("---[app]\ncredential_process = get creds", "app"),
            ("[profile app]\nregion = eu-west-1\n---[app]\ncredential_process = get creds", "app"),
            (
                "[profile app]\nROLE\nsource_profile = hub\n[profile hub]\ncredential_process = get creds",
                "hub",
            ),
            (
                "[profile app]\nROLE\nsource_profile = default\n[default]\ncredential_process = get creds",
                "default",
            ),
            ("[profile app]\nROLE\nsource_profile = hub\n---[hub]\ncredential_process = get creds", "hub"),
            ("[profile app]\nROLE\nsource_profile = app\ncredential_process = get creds", "app"),
            (
                "[profile app]\nROLE\nsource_profile = mid\n[profile mid]\nROLE\nsource_profile = hub\n[profile hub]\ncredential_process = get creds",
                "hub",
            ),
            // In the selected profile, a process takes precedence over keys.
            (
                "[profile app]\ncredential_process = get creds\naws_access_key_id = a\naws_secret_access_key = b",
                "app",
            ),
        ] {
            let chain = resolve_app(&files.replace("ROLE", ROLE)).await.unwrap();
            assert!(is_process_of(chain, profile), "{files}");
        }
    }

    #[tokio::test]
    async fn sources_that_take_precedence_over_a_process_are_left_to_the_sdk() {
        for (files, expected) in [
            ("[profile other]\ncredential_process = get creds", None),
            ("[profile app]\nregion = eu-west-1", None),
            ("[profile app]\ncredential_process = get creds\nsso_session = x", None),
            ("[profile app]\ncredential_process = get creds\nROLE\nweb_identity_token_file = x", None),
            ("[profile app]\ncredential_process = get creds\nlogin_session = x", None),
            ("[profile app]\ncredential_process = get creds\nROLE", None),
            ("[profile app]\ncredential_process = get creds\nROLE\nsource_profile = missing", None),
            (
                "[profile app]\nROLE\nsource_profile = b\n[profile b]\nROLE\nsource_profile = app\ncredential_process = get creds",
                None,
            ),
            (
                "[profile app]\ncredential_process = get creds\nROLE\ncredential_source = Environment",
                Some(ProfileChain { base: None }),
            ),
            (
                "[profile app]\nROLE\nsource_profile = hub\n[profile hub]\ncredential_process = get creds\naws_access_key_id = a\naws_secret_access_key = b",
                Some(ProfileChain { base: None }),
            ),
        ] {
            assert_eq!(resolve_app(&files.replace("ROLE", ROLE)).await.unwrap(), expected, "{files}");
        }
    }

    #[tokio::test]
    async fn roles_and_keys_that_no_request_can_carry_are_rejected() {
        let long = "x".repeat(1024 * 1024);
        for (line, error) in [
            (
                "role_session_name = s3cr3t\u{1b}",
                "the role session name contains a control character, such as a line end",
            ),
            ("role_session_name = s3cr3t s", "the role session name contains a space"),
            ("role_session_name =", "the role session name is empty"),
            (&format!("role_session_name = {long}"), "the role session name is longer than 64 characters"),
            ("external_id = s3cr3tä", "the external id contains a character that is not ASCII"),
            ("external_id = s3cr3t\0", "the external id contains a control character, such as a line end"),
            ("role_arn = arn:s3cr3t\u{7f}", "the role ARN contains a control character, such as a line end"),
        ] {
            let files =
                format!("[profile app]\n{ROLE}\nsource_profile = hub\n{line}\n[profile hub]\nregion = x\n");
            let unusable = resolve_app(&files).await.unwrap_err().to_string();
            assert_eq!(unusable, format!("the profile `app` is unusable: {error}"));
        }
        for hub in [
            "[profile app]\nROLE\nsource_profile = hub\n[profile hub]\n",
            "[profile app]\nROLE\nsource_profile = app\n",
        ] {
            let keys = "aws_access_key_id = s3cr3t\u{1b}\naws_secret_access_key = x\n";
            let unusable = resolve_app(&(hub.replace("ROLE", ROLE) + keys)).await.unwrap_err().to_string();
            let expected = "is unusable: the access key id contains a control character, such as a line end";
            assert!(unusable.ends_with(expected), "{unusable}");
        }
    }
}

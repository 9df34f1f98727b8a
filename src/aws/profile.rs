//! Finds the credentials that the roles of a profile are assumed with.
//!
//! The SDK resolves profiles itself, but neither checks the credentials before it assumes a
//! role with them nor ends a `credential_process`. This module follows the chain of source
//! profiles to its end by the SDK's rules, so that the credentials there can be obtained in
//! another way. It tells the SDK so in an additional profile file, in memory. It also checks
//! each profile of the chain, because the SDK's errors do not name the line at fault.

use aws_config::profile::{Profile, ProfileSet};

use super::credential_check::{
    MAX_ACCESS_KEY_ID, MAX_EXTERNAL_ID, MAX_ROLE_ARN, MAX_SECRET_ACCESS_KEY, MAX_SESSION_NAME, MAX_TOKEN,
    UnusableText, check_text,
};
use super::credential_process::CredentialProcess;
use super::environment::Environment;
use super::profile_source::Checked;
use super::shared_config::{MAX_CHAIN, ProfileError, SharedConfig};

/// The name of the credential source to which the additional profile file refers.
pub(super) const CREDENTIAL_SOURCE: &str = "ssm-sync-exporter";

/// A profile in the additional profile file. It has no secrets.
const SOURCE_PROFILE: &str = "ssm-sync-exporter-source";

/// Where the credentials of a profile come from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resolution {
    /// The profile does not exist, or has no credentials.
    NoCredentials,
    /// The SDK can resolve the profile by itself.
    Plain,
    Chain(ProfileChain),
}

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

/// Why the credentials of a profile cannot be obtained.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ResolveError {
    #[error(transparent)]
    Unusable(#[from] UnusableProfile),
    #[error(transparent)]
    Profile(#[from] ProfileError),
}

/// Follows the selected profile to the end of its chain.
///
/// # Errors
/// A profile in the chain is invalid, or a role or key contains characters that no request can
/// carry.
pub(super) fn resolve(
    profiles: &ProfileSet,
    files: &SharedConfig,
    environment: &Environment,
) -> Result<Resolution, ResolveError> {
    let mut visited: Vec<&str> = Vec::new();
    let mut name = profiles.selected_profile();
    loop {
        let Some(profile) = profiles.get_profile(name) else {
            return match visited.last() {
                Some(previous) => Err(files.missing_source(previous, name).into()),
                None => Ok(Resolution::NoCredentials),
            };
        };
        if visited.contains(&name) {
            return Err(files.cycle(&visited, name).into());
        }
        if visited.len() == MAX_CHAIN {
            return Err(SharedConfig::long_chain(name).into());
        }
        let is_selected = visited.is_empty();
        visited.push(name);
        let checked = Checked { profile, profiles, files, environment };
        checked.check_lines()?;
        let unusable = |error| UnusableProfile { profile: SharedConfig::shown_name(name), error };
        check_role(profile).map_err(unusable)?;
        // In a source profile, access keys take precedence over everything else.
        if !is_selected && has_access_key(profile) {
            check_access_key(profile).map_err(unusable)?;
            return Ok(Resolution::Chain(ProfileChain { base: None }));
        }
        let assumes_role =
            profile.get("role_arn").is_some() && profile.get("web_identity_token_file").is_none();
        if !assumes_role {
            checked.check_source()?;
            return match (checked.has_credentials(), is_selected) {
                (false, true) => Ok(Resolution::NoCredentials),
                (false, false) => Err(checked.no_credentials().into()),
                (true, _) => Ok(end_of_chain(profile, is_selected)),
            };
        }
        checked.check_role_source()?;
        match profile.get("source_profile") {
            Some(source) if source == name => {
                checked.check_source()?;
                check_access_key(profile).map_err(unusable)?;
                if !checked.has_credentials() {
                    return Err(checked.own_source_without_credentials().into());
                }
                return Ok(Resolution::Chain(own_source(profile)));
            }
            Some(source) => name = source,
            None => return Ok(Resolution::Chain(ProfileChain { base: None })),
        }
    }
}

/// A chain that ends at `profile`, which has no role.
fn end_of_chain(profile: &Profile, is_selected: bool) -> Resolution {
    let name = profile.name();
    let source = match process(profile) {
        Some(process) => BaseSource::Process(process),
        // The profile's own credentials are checked when they have been obtained.
        None if is_selected => return Resolution::Plain,
        None if profile.get("credential_source").is_some() => {
            return Resolution::Chain(ProfileChain { base: None });
        }
        None => BaseSource::Profile(name.to_owned()),
    };
    let profile_file = format!("[profile {name}]\ncredential_source = {CREDENTIAL_SOURCE}\n");
    Resolution::Chain(ProfileChain { base: Some(Base { source, profile_file }) })
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
        profile: SharedConfig::shown_name(profile.name()),
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
    use super::*;
    use crate::aws::shared_config::{ConfiguredPaths, ParsedFiles};

    /// Resolves the profile `app`. Settings of the credentials file follow after `---`. The
    /// directory of the files is not shown in errors.
    async fn resolve_app(files: &str) -> Result<Resolution, String> {
        let (config, credentials) = files.split_once("---").unwrap_or((files, ""));
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let paths = (path("config", config), path("credentials", credentials));
        let paths = ConfiguredPaths { config: Some(&paths.0), credentials: Some(&paths.1) };
        let home = directory.path().to_str().unwrap();
        let environment = Environment::of(&[("HOME", home)]);
        let files = SharedConfig::read(paths, &environment, Some("app"), &ParsedFiles::default());
        let profiles = files.profiles().await.unwrap();
        resolve(&profiles, &files, &environment)
            .map_err(|error| error.to_string().replace(&format!("{home}/"), ""))
    }

    fn is_process_of(resolution: &Resolution, expected: &str) -> bool {
        matches!(
            resolution,
            Resolution::Chain(ProfileChain { base: Some(Base { source: BaseSource::Process(process), .. }) })
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
            assert!(is_process_of(&chain, profile), "{files}");
        }
    }

    #[tokio::test]
    async fn sources_that_take_precedence_over_a_process_are_left_to_the_sdk() {
        for (files, expected) in [
            ("[profile other]\ncredential_process = get creds", Resolution::NoCredentials),
            ("[profile app]\nregion = eu-west-1", Resolution::NoCredentials),
            (
                "[profile app]\ncredential_process = get creds\ncredential_source = Ec2InstanceMetadata",
                Resolution::Plain,
            ),
            (
                "[profile app]\ncredential_process = get creds\nROLE\nweb_identity_token_file = /proc/self/comm",
                Resolution::Plain,
            ),
            (
                "[profile app]\ncredential_process = get creds\nROLE\ncredential_source = Ec2InstanceMetadata",
                Resolution::Chain(ProfileChain { base: None }),
            ),
            (
                "[profile app]\nROLE\nsource_profile = hub\n[profile hub]\ncredential_process = get creds\naws_access_key_id = a\naws_secret_access_key = b",
                Resolution::Chain(ProfileChain { base: None }),
            ),
        ] {
            assert_eq!(resolve_app(&files.replace("ROLE", ROLE)).await.unwrap(), expected, "{files}");
        }
    }

    /// The SDK's errors about these named no line, spoke of cargo features, or did not occur,
    /// because the SDK used the credentials of another source.
    #[tokio::test]
    async fn an_invalid_profile_is_an_error_with_the_line_and_what_would_be_right() {
        let sso = "sso_account_id = 111122223333\nsso_role_name = x\n";
        let token = "34c6fceca75e456f25e7e99531e2425c6c1de443";
        for (files, error) in [
            (
                "[profile app]\nROLE",
                "the profile `app` (config:2) is unusable: it has a `role_arn` but no source of credentials; add \
                 `source_profile`, `credential_source` or `web_identity_token_file`",
            ),
            (
                "[profile app]\nROLE\nsource_profile = b\ncredential_source = Environment",
                "the profile `app` (config:4) is unusable: it has both `source_profile` and `credential_source`; remove \
                 one of the two",
            ),
            (
                "[profile app]\nROLE\ncredential_source = Ec2",
                "the profile `app` (config:3) is unusable: the `credential_source` `Ec2` is unknown; expected one of \
                 Environment, EcsContainer, Ec2InstanceMetadata",
            ),
            (
                "[profile app]\nROLE\nsource_profile = hubb\n[profile hub]\nregion = x",
                "the profile `hubb`, the `source_profile` of `app` (config:3), is not defined in config or credentials; \
                 did you mean `hub`?",
            ),
            (
                "[profile app]\nROLE\nsource_profile = hub\n[hub]\nregion = x",
                "the profile `hub`, the `source_profile` of `app` (config:3), is not defined in config or credentials; \
                 config:4: `[hub]` is not a profile; write `[profile hub]`",
            ),
            (
                "[profile app]\nROLE\nsource_profile = hub\n[profile hub]\nregion = x",
                "the profile `hub` (config:5) is unusable: it has no credentials; add `role_arn` with its source, \
                 `sso_session`, `credential_process`, or keys",
            ),
            (
                "[profile app]\nROLE\nsource_profile = b\n[profile b]\nROLE\nsource_profile = app",
                "the source profiles form a cycle (config:6): app -> b -> app; the last one needs credentials of its own",
            ),
            (
                "[profile app]\nROLE\nsource_profile = hub\n[profile hub]\naws_access_key_id s3cr3t",
                "the profile `hub` cannot be read: config:5: expected `key = value`",
            ),
            (
                "[profile app]\nweb_identity_token_file = x",
                "the profile `app` (config:2) is unusable: it has `web_identity_token_file` but no `role_arn`; add it",
            ),
            (
                "[profile app]\nROLE\nweb_identity_token_file = /nope",
                "the profile `app` (config:3) is unusable: the web identity token file /nope cannot be read: No such file \
                 or directory (os error 2)",
            ),
            (
                "[profile app]\nROLE\nweb_identity_token_file = /dev/null",
                "the profile `app` (config:3) is unusable: the web identity token file /dev/null is empty",
            ),
            (
                "[profile app]\nlogin_session = arn:aws:iam::111122223333:user/x",
                "the profile `app` (config:2) is unusable: the exporter does not support `login_session` (`aws login`); \
                 use a role, IAM Identity Center (`sso_session`), or a `credential_process` with `aws configure \
                 export-credentials`",
            ),
            (
                "[profile app]\nregion = x\n---[app]\naws_access_key_id = AKIA",
                "the profile `app` (credentials:2) is unusable: it has `aws_access_key_id` but no \
                 `aws_secret_access_key`; add it",
            ),
            (
                &format!("[profile app]\nsso_session = dev\n{sso}"),
                "the profile `app` (config:2) is unusable: `[sso-session dev]` is not defined in config",
            ),
            (
                "[profile app]\nsso_session = dev\nsso_role_name = x\n[sso-session dev]\n",
                "the profile `app` (config:2) is unusable: `sso_account_id` is missing; add it to the profile",
            ),
            (
                &format!("[profile app]\nsso_session = dev\n{sso}[sso-session dev]\nsso_start_url = x\n"),
                "the profile `app` (config:2) is unusable: `sso_region` is missing; add it to `[sso-session dev]`",
            ),
            (
                &format!("[profile app]\nsso_session = dev\n{sso}[sso-session dev]\nsso_start_url x\n"),
                "the profile `app` (config:2) is unusable: config:6: expected `key = value`",
            ),
            (
                &format!(
                    "[profile app]\nsso_session = dev\n{sso}[sso-session dev]\nsso_start_url = x\nsso_region = x\n"
                ),
                &format!(
                    "the profile `app` (config:2) is unusable: the SSO token .aws/sso/cache/{token}.json cannot be read: No \
                     such file or directory (os error 2); run `aws sso login --profile app`"
                ),
            ),
            (
                "[profile app]\nservices = local\nROLE\ncredential_source = Environment",
                "the profile `app` (config:2) is unusable: `[services local]` is not defined in config",
            ),
        ] {
            let error_of_files = resolve_app(&files.replace("ROLE", ROLE)).await.unwrap_err();
            assert_eq!(error_of_files, error, "{files}");
        }
    }

    /// Regression test: of the first of these, the SDK said only that "the credential provider was not
    /// enabled".
    #[tokio::test]
    async fn a_source_of_credentials_that_is_not_set_up_is_named() {
        for (files, error) in [
            (
                "[profile app]\nROLE\nsource_profile = app",
                "the profile `app` (config:3) is unusable: its `source_profile` is the profile itself, but it has no \
                 `credential_process` and no keys; add them, or name another profile",
            ),
            (
                "[profile app]\nROLE\ncredential_source = Environment",
                "the profile `app` (config:3) is unusable: the `credential_source` is `Environment`, but the environment \
                 variable AWS_ACCESS_KEY_ID is not set",
            ),
            (
                "[profile app]\nROLE\nsource_profile = hub\n[profile hub]\ncredential_source = EcsContainer",
                "the profile `hub` (config:5) is unusable: the `credential_source` is `EcsContainer`, but the environment \
                 variable AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or AWS_CONTAINER_CREDENTIALS_FULL_URI is not set",
            ),
            (
                "[profile app]\nsso_session = my sso\n[sso-session 'my sso']\n",
                "the profile `app` (config:2) is unusable: the SDK does not accept the name of `[sso-session my sso]`; use \
                 letters, digits, `-` and `_`, here and in the profile",
            ),
        ] {
            assert_eq!(resolve_app(&files.replace("ROLE", ROLE)).await.unwrap_err(), error, "{files}");
        }
    }

    #[tokio::test]
    async fn a_chain_of_thousands_of_profiles_is_rejected() {
        let link = |from: usize| format!("[profile {from}]\n{ROLE}\nsource_profile = {}\n", from + 1);
        let long: String = (0..10_000).map(link).collect();
        let error =
            resolve_app(&format!("[profile app]\n{ROLE}\nsource_profile = 0\n{long}")).await.unwrap_err();
        assert_eq!(error, "more than 32 source profiles lead to `31`; use fewer");
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
            let unusable = resolve_app(&files).await.unwrap_err();
            assert_eq!(unusable, format!("the profile `app` is unusable: {error}"));
        }
        for hub in [
            "[profile app]\nROLE\nsource_profile = hub\n[profile hub]\n",
            "[profile app]\nROLE\nsource_profile = app\n",
        ] {
            let keys = "aws_access_key_id = s3cr3t\u{1b}\naws_secret_access_key = x\n";
            let unusable = resolve_app(&(hub.replace("ROLE", ROLE) + keys)).await.unwrap_err();
            let expected = "is unusable: the access key id contains a control character, such as a line end";
            assert!(unusable.ends_with(expected), "{unusable}");
        }
    }
}

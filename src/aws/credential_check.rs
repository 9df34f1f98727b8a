//! Checks credentials, and the texts with which they are obtained, before they are used.
//!
//! The SDK copies access keys and session tokens into HTTP headers and panics if a header
//! cannot carry them. A line end at the end of a key is a common mistake: a Kubernetes
//! Secret made with `echo`, a file with CRLF line ends, the output of a
//! `credential_process`. Such credentials count as a failure to obtain credentials.
//!
//! No message contains any part of the text, which may be a secret.

use std::env::VarError;
use std::path::Path;

use aws_config::environment::credentials::EnvironmentVariableCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;

use crate::error_chain::find_cause;
use crate::file;
use crate::model::{Failure, Reason};
use crate::printable::path_excerpt;

/// The name of the provider in the credentials of roles that the exporter assumes.
pub(super) const ASSUME_ROLE_PROVIDER: &str = "SsmSyncExporterAssumeRole";

/// The maximum length of an access key id. (IAM API reference, `AccessKey`.)
pub(super) const MAX_ACCESS_KEY_ID: usize = 128;

/// The maximum length of a secret access key. Those of AWS have 40 characters.
pub(super) const MAX_SECRET_ACCESS_KEY: usize = 1024;

/// The maximum length of a session or authorization token. AWS names none for session
/// tokens; those with many session tags have a few kilobytes.
pub(super) const MAX_TOKEN: usize = 64 * 1024;

// The limits of the STS API. (STS API reference, `AssumeRole`.)
pub(super) const MAX_ROLE_ARN: usize = 2048;
pub(super) const MAX_SESSION_NAME: usize = 64;
pub(super) const MAX_EXTERNAL_ID: usize = 1224;

/// The maximum length of a URL or of the name of a profile.
const MAX_URL: usize = 2048;

const WEB_IDENTITY_TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {name} {problem}")]
pub(super) struct UnusableText {
    name: String,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("is empty")]
    Empty,
    #[error("is longer than {0} characters")]
    TooLong(usize),
    #[error("contains a control character, such as a line end")]
    ControlCharacter,
    #[error("contains a character that is not ASCII")]
    NotAscii,
    #[error("contains a space")]
    Space,
    #[error("is not valid UTF-8")]
    NotUtf8,
    #[error("cannot be read: {0}")]
    Unreadable(String),
}

/// Checks that `text` has between 1 and `max` characters, all of them printable ASCII and
/// none a space.
///
/// # Errors
/// It does not. The error calls the text `name`.
pub(super) fn check_text(name: &str, text: &str, max: usize) -> Result<(), UnusableText> {
    let character_problem = |byte: u8| match byte {
        0..=0x1f | 0x7f => Some(Problem::ControlCharacter),
        b' ' => Some(Problem::Space),
        0x80.. => Some(Problem::NotAscii),
        _ => None,
    };
    let problem = match text.len() {
        0 => Some(Problem::Empty),
        length if length > max => Some(Problem::TooLong(max)),
        _ => text.bytes().find_map(character_problem),
    };
    problem.map_or(Ok(()), |problem| Err(UnusableText { name: name.to_owned(), problem }))
}

/// Checks that HTTP headers can carry the credentials.
///
/// # Errors
/// They cannot. The reason is [`Reason::Credentials`], and the message names the provider.
pub(super) fn check_credentials(credentials: &Credentials) -> Result<(), Failure> {
    check_texts(credentials).map_err(|error| {
        let message = format!("{error}; the credentials are from {}", provider_in_words(credentials));
        Failure::new(Reason::Credentials, message)
    })
}

fn check_texts(credentials: &Credentials) -> Result<(), UnusableText> {
    check_text("access key id", credentials.access_key_id(), MAX_ACCESS_KEY_ID)?;
    check_text("secret access key", credentials.secret_access_key(), MAX_SECRET_ACCESS_KEY)?;
    // Some endpoints send an empty token with credentials that need none.
    let token = credentials.session_token().filter(|token| !token.is_empty());
    token.map_or(Ok(()), |token| check_text("session token", token, MAX_TOKEN))
}

/// Where the credentials are from, in words that an operator knows.
fn provider_in_words(credentials: &Credentials) -> &'static str {
    // The SDK shows the name only in the debug format, as the first field.
    let debug = format!("{credentials:?}");
    match debug.split('"').nth(1).unwrap_or_default() {
        "EnvironmentVariable" => "environment variables",
        "ProfileFile" => "a profile in the shared AWS configuration",
        "CredentialProcess" => "the output of a `credential_process`",
        "WebIdentityToken" => "AssumeRoleWithWebIdentity",
        "SSO" => "IAM Identity Center (SSO)",
        "Login" => "a console session (`aws login`)",
        "EcsContainer" => "the container credentials endpoint (ECS or EKS)",
        "IMDSv2" => "the EC2 instance metadata service",
        "AssumeRoleProvider" | ASSUME_ROLE_PROVIDER => "AssumeRole",
        _ => "an unknown provider",
    }
}

/// Checks the texts in the environment with which the default chain obtains credentials:
/// those of web identities, of containers and of the instance metadata service. `error` is the
/// error of that chain. Blank texts count as not set.
///
/// # Errors
/// One of them cannot be used.
pub(super) fn check_environment(error: &CredentialsError) -> Result<(), UnusableText> {
    for (variable, max) in [
        ("AWS_PROFILE", MAX_URL),
        ("AWS_ROLE_ARN", MAX_ROLE_ARN),
        ("AWS_ROLE_SESSION_NAME", MAX_SESSION_NAME),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", MAX_URL),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", MAX_URL),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", MAX_TOKEN),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", MAX_URL),
    ] {
        let name = format!("environment variable {variable}");
        match std::env::var(variable) {
            Ok(value) if value.trim().is_empty() => {}
            // An authorization token is two words: the scheme and the credentials. The name of a
            // profile may have spaces, too.
            Ok(value) => check_text(&name, &value.replace(' ', ""), max)?,
            Err(VarError::NotUnicode(_)) => return Err(UnusableText { name, problem: Problem::NotUtf8 }),
            Err(VarError::NotPresent) => {}
        }
    }
    for variable in [WEB_IDENTITY_TOKEN_FILE, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] {
        let path = std::env::var(variable).ok().filter(|path| !path.trim().is_empty());
        let Some(path) = path else { continue };
        let name = format!("file {} that {variable} names", path_excerpt(Path::new(&path)));
        let content = match file::read(Path::new(&path), file::MAX_SMALL) {
            Ok(content) => content,
            Err(error) => return Err(UnusableText { name, problem: Problem::Unreadable(error.to_string()) }),
        };
        let mut content = String::from_utf8_lossy(&content).replace(' ', "");
        if variable == WEB_IDENTITY_TOKEN_FILE && !is_token_rejected(error) {
            // The token is not sent in a header, and STS may accept one that ends in a line end.
            content.truncate(content.trim_end_matches(['\r', '\n']).len());
        }
        check_text(&name, &content, MAX_TOKEN)?;
    }
    Ok(())
}

/// Whether STS did not accept the token of a web identity.
fn is_token_rejected(error: &CredentialsError) -> bool {
    find_cause::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>(error)
        .is_some_and(|error| error.code() == Some("InvalidIdentityToken"))
}

/// Provides the credentials in environment variables.
#[derive(Debug)]
pub(super) struct EnvironmentProvider;

impl EnvironmentProvider {
    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        // The error of the SDK would contain the value, or the SDK would ignore the token.
        for variable in
            ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
        {
            if let Err(VarError::NotUnicode(_)) = std::env::var(variable) {
                let name = format!("environment variable {variable}");
                return Err(CredentialsError::invalid_configuration(UnusableText {
                    name,
                    problem: Problem::NotUtf8,
                }));
            }
        }
        // The SDK would use credentials of another source, which may belong to another account.
        let is_set = |variable| std::env::var(variable).is_ok_and(|value| !value.trim().is_empty());
        if is_set("AWS_ACCESS_KEY_ID") && !is_set("AWS_SECRET_ACCESS_KEY") && !is_set("SECRET_ACCESS_KEY") {
            return Err(CredentialsError::invalid_configuration(
                "the environment variable AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not; set both, or \
                 neither",
            ));
        }
        EnvironmentVariableCredentialsProvider::new().provide_credentials().await
    }
}

impl ProvideCredentials for EnvironmentProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

/// A provider whose credentials are checked. The SDK itself assumes roles with the
/// credentials of a profile.
#[derive(Debug)]
pub(super) struct CheckedProvider<P>(pub(super) P);

impl<P: ProvideCredentials> ProvideCredentials for CheckedProvider<P> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let credentials = self.0.provide_credentials().await?;
            match check_credentials(&credentials) {
                Ok(()) => Ok(credentials),
                Err(failure) => Err(CredentialsError::invalid_configuration(failure.message)),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(key: &str, secret: &str, token: Option<&str>, provider: &'static str) -> Credentials {
        Credentials::new(key, secret, token.map(ToOwned::to_owned), None, provider)
    }

    #[test]
    fn credentials_that_a_header_cannot_carry_are_rejected_without_showing_them() {
        // A line end in an access key id made the SDK panic in every collection.
        let long = "s3cr3t".repeat(200_000);
        for (text, problem) in [
            ("s3cr3t\n", "contains a control character, such as a line end"),
            ("s3cr3t\r\n", "contains a control character, such as a line end"),
            ("\ns3cr3t", "contains a control character, such as a line end"),
            ("s3cr3t\0", "contains a control character, such as a line end"),
            ("s3cr3t\u{1b}[31m", "contains a control character, such as a line end"),
            ("s3cr3t\u{7f}", "contains a control character, such as a line end"),
            ("s3cr3t\u{85}", "contains a character that is not ASCII"),
            ("s3cr3t\u{feff}", "contains a character that is not ASCII"),
            ("s3cr3tä", "contains a character that is not ASCII"),
            ("s3cr3t ", "contains a space"),
            ("", "is empty"),
            (long.as_str(), "is longer than"),
        ] {
            for (name, credentials) in [
                ("access key id", credentials(text, "secret", None, "EnvironmentVariable")),
                ("secret access key", credentials("AKIA", text, None, "EnvironmentVariable")),
                ("session token", credentials("AKIA", "secret", Some(text), "EnvironmentVariable")),
            ] {
                if (name, text) == ("session token", "") {
                    assert_eq!(check_credentials(&credentials), Ok(()), "an empty token is none");
                    continue;
                }
                let failure = check_credentials(&credentials).unwrap_err();
                assert_eq!(failure.reason, Reason::Credentials);
                let expected = format!("the {name} {problem}");
                assert!(failure.message.starts_with(&expected), "{}", failure.message);
                assert!(failure.message.ends_with("; the credentials are from environment variables"));
                assert!(!failure.message.contains("s3cr3t") && failure.message.len() < 200);
            }
        }
    }

    #[test]
    fn usual_credentials_are_accepted() {
        let token = "IQoJb3JpZ2luX2VjEA+/=".repeat(500);
        for token in [None, Some(token.as_str())] {
            let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
            assert_eq!(check_credentials(&credentials("AKIAIOSFODNN7EXAMPLE", secret, token, "SSO")), Ok(()));
        }
    }

    #[test]
    fn the_provider_is_named_in_words() {
        for (provider, words) in [
            ("CredentialProcess", "the output of a `credential_process`"),
            ("ProfileFile", "a profile in the shared AWS configuration"),
            ("WebIdentityToken", "AssumeRoleWithWebIdentity"),
            ("EcsContainer", "the container credentials endpoint (ECS or EKS)"),
            ("IMDSv2", "the EC2 instance metadata service"),
            ("SomethingNew", "an unknown provider"),
        ] {
            // A key that looks like the debug format does not confuse the check.
            let key = "\n\", provider_name: \"IMDSv2\"";
            let message = check_credentials(&credentials(key, "secret", None, provider)).unwrap_err().message;
            assert!(message.ends_with(&format!("the credentials are from {words}")), "{message}");
        }
    }
}

//! Where credentials come from: the provider, and the file, variable or endpoint that it reads. Tells
//! this for credentials that cannot be obtained as well, without a request.

use std::fmt;

use aws_config::profile::{Profile, ProfileSet};

use super::ambient;
use super::environment::CONTAINER_URIS;
use super::profile_source::sso_token_file;
use super::sdk::SdkConfigLoader;
use super::shared_config::{MAX_CHAIN, SharedConfig};
use crate::printable::{excerpt, path_excerpt};

/// Where the credentials of a profile or of the default chain come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CredentialOrigin {
    /// The profile of the configuration. `None` is the default chain.
    pub(crate) profile: Option<String>,
    /// `None` if none is known: the profile cannot be used.
    pub(crate) provider: Option<Provider>,
    /// The file, variable or endpoint that the provider reads.
    pub(crate) source: Option<String>,
}

/// What provides credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Provider {
    Environment,
    ProfileKeys,
    CredentialProcess,
    WebIdentity,
    SsoCache,
    Container,
    InstanceMetadata,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "environment variables",
            Self::ProfileKeys => "access keys",
            Self::CredentialProcess => "credential_process",
            Self::WebIdentity => "web identity token",
            Self::SsoCache => "IAM Identity Center",
            Self::Container => "container credentials endpoint",
            Self::InstanceMetadata => "EC2 instance metadata service",
        })
    }
}

const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";

/// A provider and what it reads.
type Selected = (Provider, String);

impl SdkConfigLoader {
    /// Where [`credentials`](Self::credentials) obtains them.
    pub(super) async fn origin(&self) -> CredentialOrigin {
        let (provider, source) = self.selected_provider().await.unzip();
        CredentialOrigin { profile: self.profile.clone(), provider, source }
    }

    async fn selected_provider(&self) -> Option<Selected> {
        if self.profile.is_none() && self.environment.has(ACCESS_KEY_ID) {
            return Some((Provider::Environment, ACCESS_KEY_ID.to_owned()));
        }
        let files =
            self.settings.shared_config(&self.environment, self.profile.as_deref(), &self.parsed_files);
        let profiles = files.profiles().await.ok()?;
        let of_profile =
            last_of_chain(&profiles).and_then(|profile| self.provider_of_profile(&files, &profiles, profile));
        if self.profile.is_some() || of_profile.is_some() || files.check_selected().is_err() {
            return of_profile;
        }
        self.ambient_provider(&profiles)
    }

    /// The provider of a profile that assumes no role with another profile.
    fn provider_of_profile(
        &self,
        files: &SharedConfig,
        profiles: &ProfileSet,
        profile: &Profile,
    ) -> Option<Selected> {
        let has = |key: &str| profile.get(key).is_some();
        let in_profile = |key: &str| place_in(files, profile, key);
        let is_source = profile.name() != profiles.selected_profile();
        // As in the SDK: in a source profile, access keys come first, otherwise last.
        if is_source && has("aws_access_key_id") && has("aws_secret_access_key") {
            return Some((Provider::ProfileKeys, in_profile("aws_access_key_id")));
        }
        if let Some(source) = profile.get("credential_source") {
            let (provider, reads) = match source.to_ascii_lowercase().as_str() {
                "environment" => (Provider::Environment, ACCESS_KEY_ID.to_owned()),
                "ecscontainer" => self.container_provider()?,
                _ => self.instance_provider(profiles)?,
            };
            return Some((provider, format!("{reads}, selected by {}", in_profile("credential_source"))));
        }
        if let Some(path) = profile.get("web_identity_token_file") {
            let place = in_profile("web_identity_token_file");
            return Some((
                Provider::WebIdentity,
                format!("{}, selected by {place}", path_excerpt(path.as_ref())),
            ));
        }
        if let Some(path) = sso_token_file(profile, &self.environment) {
            let key = if has("sso_session") { "sso_session" } else { "sso_start_url" };
            return Some((
                Provider::SsoCache,
                format!("{}, selected by {}", path_excerpt(&path), in_profile(key)),
            ));
        }
        if has("credential_process") {
            return Some((Provider::CredentialProcess, in_profile("credential_process")));
        }
        has("aws_access_key_id").then(|| (Provider::ProfileKeys, in_profile("aws_access_key_id")))
    }

    /// The provider of the default chain if neither the environment nor a profile has keys.
    fn ambient_provider(&self, profiles: &ProfileSet) -> Option<Selected> {
        if let Some(identity) = self.environment.web_identity().transpose() {
            let file = identity.ok()?.token_file;
            let source = format!("{} (AWS_WEB_IDENTITY_TOKEN_FILE)", path_excerpt(&file));
            return Some((Provider::WebIdentity, source));
        }
        self.container_provider().or_else(|| self.instance_provider(profiles))
    }

    /// The endpoint is not shown, because its URL may contain a password.
    fn container_provider(&self) -> Option<Selected> {
        let variable = CONTAINER_URIS.into_iter().find(|name| self.environment.get(name).is_some())?;
        Some((Provider::Container, variable.to_owned()))
    }

    fn instance_provider(&self, profiles: &ProfileSet) -> Option<Selected> {
        let endpoint = ambient::metadata_endpoint(&self.environment, profiles).ok()?;
        Some((Provider::InstanceMetadata, excerpt(&endpoint)))
    }
}

/// The last profile of the chain of source profiles: the one with credentials.
fn last_of_chain(profiles: &ProfileSet) -> Option<&Profile> {
    let mut profile = profiles.get_profile(profiles.selected_profile())?;
    for _ in 0..MAX_CHAIN {
        let assumes_role =
            profile.get("role_arn").is_some() && profile.get("web_identity_token_file").is_none();
        match profile.get("source_profile").filter(|_| assumes_role) {
            Some(source) if source != profile.name() => profile = profiles.get_profile(source)?,
            _ => break,
        }
    }
    Some(profile)
}

/// The profile, and where it has a key.
fn place_in(files: &SharedConfig, profile: &Profile, key: &str) -> String {
    let name = excerpt(&SharedConfig::shown_name(profile.name()));
    match files.place_of(profile.name(), key) {
        Some(place) => format!("profile `{name}`, {place}"),
        None => format!("profile `{name}`"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use pretty_assertions::assert_eq;

    use super::super::environment::Environment;
    use super::super::http_client::HttpClients;
    use super::super::sdk::AwsSettings;
    use super::*;

    /// The provider and its source, without the path of `directory`.
    async fn origin(
        directory: &Path,
        profile: Option<&str>,
        variables: &[(&str, &str)],
    ) -> (Option<Provider>, Option<String>) {
        let home = directory.to_str().unwrap();
        let config = directory.join("config");
        let variables =
            [variables, &[("HOME", home), ("AWS_CONFIG_FILE", config.to_str().unwrap())]].concat();
        let timeout = Duration::from_mins(1);
        let loader = SdkConfigLoader {
            profile: profile.map(ToOwned::to_owned),
            region: None,
            settings: AwsSettings::default(),
            environment: Environment::of(&variables),
            collection_timeout: timeout,
            http_client: HttpClients::new(&AwsSettings::default(), timeout).get(None),
            processes: Arc::default(),
            parsed_files: Arc::default(),
        };
        let CredentialOrigin { profile: shown, provider, source } = loader.origin().await;
        assert_eq!(shown.as_deref(), profile);
        (provider, source.map(|source| source.replace(home, "~")))
    }

    #[tokio::test]
    async fn the_provider_of_a_profile_and_the_line_that_selects_it_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let text = "\
            [profile keys]\naws_access_key_id = AKIA\naws_secret_access_key = x\n\
            [profile process]\ncredential_process = /bin/secret --token s3cr3t\n\
            [profile web]\nrole_arn = arn:aws:iam::111122223333:role/r\nweb_identity_token_file = /run/token\n\
            [profile sso]\nsso_session = dev\nsso_account_id = 1\nsso_role_name = r\n\
            [sso-session dev]\nsso_region = eu-west-1\nsso_start_url = https://example.com/start\n\
            [profile instance]\ncredential_source = Ec2InstanceMetadata\nrole_arn = arn:aws:iam::111122223333:role/r\n\
            [profile container]\ncredential_source = EcsContainer\nrole_arn = arn:aws:iam::111122223333:role/r\n\
            [profile role]\nrole_arn = arn:aws:iam::111122223333:role/r\nsource_profile = process\n\
            [profile both]\ncredential_process = x\naws_access_key_id = AKIA\naws_secret_access_key = x\n\
            [profile 'from both']\nrole_arn = arn:aws:iam::111122223333:role/r\nsource_profile = both\n\
            [profile nothing]\nregion = eu-west-1\n";
        std::fs::write(directory.path().join("config"), text).unwrap();
        let uri = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://user:s3cr3t@127.0.0.1/x")];
        for (profile, variables, provider, source) in [
            ("keys", &[][..], Some(Provider::ProfileKeys), Some("profile `keys`, ~/config:2")),
            ("process", &[], Some(Provider::CredentialProcess), Some("profile `process`, ~/config:5")),
            (
                "web",
                &[],
                Some(Provider::WebIdentity),
                Some("/run/token, selected by profile `web`, ~/config:8"),
            ),
            (
                "sso",
                &[],
                Some(Provider::SsoCache),
                Some(
                    "~/.aws/sso/cache/34c6fceca75e456f25e7e99531e2425c6c1de443.json, selected by profile `sso`, \
                     ~/config:10",
                ),
            ),
            (
                "instance",
                &[],
                Some(Provider::InstanceMetadata),
                Some("http://169.254.169.254, selected by profile `instance`, ~/config:17"),
            ),
            (
                "container",
                &uri,
                Some(Provider::Container),
                Some("AWS_CONTAINER_CREDENTIALS_FULL_URI, selected by profile `container`, ~/config:20"),
            ),
            ("role", &[], Some(Provider::CredentialProcess), Some("profile `process`, ~/config:5")),
            ("both", &[], Some(Provider::CredentialProcess), Some("profile `both`, ~/config:26")),
            ("from both", &[], Some(Provider::ProfileKeys), Some("profile `both`, ~/config:27")),
            ("nothing", &[], None, None),
            ("missing", &[], None, None),
        ] {
            // Keys in the environment are not those of a configured profile.
            let variables = [variables, &[("AWS_ACCESS_KEY_ID", "AKIA")]].concat();
            let found = origin(directory.path(), Some(profile), &variables).await;
            assert_eq!(found, (provider, source.map(ToOwned::to_owned)), "{profile}");
        }
    }

    #[tokio::test]
    async fn the_provider_of_the_default_chain_is_the_first_that_is_set_up() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config");
        let mut variables = vec![
            ("AWS_ACCESS_KEY_ID", "AKIA"),
            ("AWS_PROFILE", "dev"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/run/token"),
            ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/r"),
            ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1"),
        ];
        std::fs::write(&config, "[profile dev]\naws_access_key_id = AKIA\naws_secret_access_key = x\n")
            .unwrap();
        for (removed, provider, source) in [
            (0, Some(Provider::Environment), "AWS_ACCESS_KEY_ID"),
            (1, Some(Provider::ProfileKeys), "profile `dev`, ~/config:2"),
            (1, Some(Provider::WebIdentity), "/run/token (AWS_WEB_IDENTITY_TOKEN_FILE)"),
            (2, Some(Provider::Container), "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
            (1, Some(Provider::InstanceMetadata), "http://127.0.0.1:1"),
            (1, Some(Provider::InstanceMetadata), "http://169.254.169.254"),
        ] {
            variables.drain(..removed);
            let found = origin(directory.path(), None, &variables).await;
            assert_eq!(found, (provider, Some(source.to_owned())), "{variables:?}");
        }
        // The profile that is selected does not exist, and no other source is used in its place.
        assert_eq!(origin(directory.path(), None, &[("AWS_PROFILE", "nosuch")]).await, (None, None));
    }
}

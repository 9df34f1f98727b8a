//! The web configuration: a file in the format of the Prometheus exporter-toolkit,
//! with the certificates and keys that it refers to.
//!
//! All exporters of a machine can share the file, so neither defaults nor environment
//! variables of this exporter are added to it. Certificates and keys are read and checked
//! here, so that a loaded web configuration can be applied as a whole.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::header::{
    CONTENT_SECURITY_POLICY, HeaderMap, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    X_XSS_PROTECTION,
};
use rustls_pki_types::UnixTime;
use secrecy::ExposeSecret as _;

mod raw;

use super::error::ConfigError;
use super::key_path::KeyPath;
use super::layers::{self, Layers};
use super::scalar::{Secret, Shown};
use crate::file;
use crate::printable::path_excerpt;
use crate::web::{
    AccessRules, Authorities, CipherSuite, ClientAuth, ClientAuthType, Identity, InvalidTls, RateLimit, Tls,
    TlsSettings, TlsVersion,
};
use raw::{FileName, Pem, RawHeaders, RawRateLimit, RawTls, RawWebConfig};

/// The longest time that a burst may cover, at one request per interval.
const MAX_BURST_DURATION: Duration = Duration::from_hours(720);

/// A valid web configuration.
#[derive(Debug)]
pub struct WebConfig {
    pub(crate) rules: AccessRules,
    /// Settings that are valid but probably not what was meant.
    pub warnings: Vec<String>,
    /// The files that the configuration was read from, to detect changes.
    pub(crate) files: FileHashes,
}

impl WebConfig {
    /// Loads the file at `path` and the files that it refers to. Relative paths in the file
    /// start from its directory.
    ///
    /// # Errors
    /// The first error in the web configuration.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut files = FileHashes::default();
        let bytes = files
            .read(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_path_buf(), source })?;
        let text = layers::decode(path, bytes)?;
        let layers = Layers::from_text(path, &text, "rate_limit: {interval: 1s, burst: 10}")?;
        let raw: RawWebConfig = layers.deserialize("{}")?;
        let directory = path.parent().unwrap_or(Path::new(""));
        let mut validator = Validator { layers: &layers, directory, files, warnings: Vec::new() };
        let rules = validator.rules(raw)?;
        Ok(Self { rules, warnings: validator.warnings, files: validator.files })
    }
}

/// The files that were read, each with a hash of its contents.
#[derive(Debug, Default)]
pub(crate) struct FileHashes(Vec<(PathBuf, u64)>);

impl FileHashes {
    /// Whether any of the files has other contents now or can no longer be read. Blocks.
    pub(crate) fn have_changed(&self) -> bool {
        self.0
            .iter()
            .any(|(path, hash_when_read)| read(path).map_or(true, |bytes| hash(&bytes) != *hash_when_read))
    }

    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let bytes = read(path)?;
        self.0.push((path.to_path_buf(), hash(&bytes)));
        Ok(bytes)
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    file::read(path, file::MAX_SMALL)
}

/// The hash need not be cryptographic, because a user who could forge a collision can write
/// the file and thus set any configuration.
fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

struct Validator<'a> {
    layers: &'a Layers,
    directory: &'a Path,
    files: FileHashes,
    warnings: Vec<String>,
}

impl Validator<'_> {
    fn rules(&mut self, raw: RawWebConfig) -> Result<AccessRules, ConfigError> {
        let http2 = raw.http_server_config.http2.is_none_or(Shown::into_value);
        let tls = raw.tls_server_config.filter(|tls| !tls.is_empty());
        let tls = tls.map(|tls| self.tls(tls, http2)).transpose()?;
        let users: crate::web::Users = raw
            .basic_auth_users
            .unwrap_or_default()
            .into_iter()
            .map(|(name, hash)| (name, hash.into_value()))
            .collect();
        if let Some(user) = users.keys().find(|user| user.contains(':')) {
            let message = "a user name cannot contain a colon: HTTP basic authentication ends the name there";
            return Err(self.invalid(&["basic_auth_users", user], message));
        }
        if tls.is_none() && !users.is_empty() {
            let warning = "basic_auth_users is set without tls_server_config, so passwords cross the network unencrypted";
            self.warnings.push(warning.to_owned());
        }
        let excluded_paths = Shown::into_values(raw.auth_excluded_paths.unwrap_or_default());
        let rate_limit = self.rate_limit(&raw.rate_limit)?;
        if users.is_empty() && rate_limit.is_none() && !Vec::is_empty(&excluded_paths) {
            let message = "has no effect without basic_auth_users or rate_limit; client certificates are checked before the path is known";
            return Err(self.invalid(&["auth_excluded_paths"], message));
        }
        let headers = headers(raw.http_server_config.headers);
        Ok(AccessRules { tls, headers, users, excluded_paths, rate_limit })
    }

    fn tls(&mut self, raw: RawTls, http2: bool) -> Result<Tls, ConfigError> {
        let identity = self.identity(raw.cert, raw.cert_file, raw.key, raw.key_file)?;

        let auth_type = raw.client_auth_type.map(Shown::into_value).unwrap_or_default();
        let client_ca = self.pem("client_ca", raw.client_ca, raw.client_ca_file)?;
        if client_ca.is_some() && auth_type == ClientAuthType::NoClientCert {
            let message = "client_ca is set, but client_auth_type NoClientCert requests no client certificate; use \
                        RequireAndVerifyClientCert";
            return Err(self.invalid(&["tls_server_config"], message));
        }
        let authorities = match &client_ca {
            Some((key, pem)) => {
                Some(Authorities::from_pem(pem).map_err(|error| self.invalid_tls(key, &error.to_string()))?)
            }
            None => auth_type.verifies().then(|| self.authorities_of_system(auth_type)),
        };
        let allowed_sans: Option<BTreeSet<_>> =
            raw.client_allowed_sans.map(|names| names.into_iter().map(Shown::into_value).collect());
        match &allowed_sans {
            Some(_) if !auth_type.verifies() => {
                let message = format!(
                    "client_auth_type {auth_type:?} does not verify certificates, so the names in them prove nothing; use \
                     RequireAndVerifyClientCert"
                );
                return Err(self.invalid_tls("client_allowed_sans", &message));
            }
            Some(names) if names.is_empty() => {
                let message = "the list is empty, so every certificate would be rejected; remove the key to accept all verified ones";
                return Err(self.invalid_tls("client_allowed_sans", message));
            }
            _ => {}
        }

        let min_version = raw.min_version.map_or(TlsVersion::Tls12, Shown::into_value);
        if !min_version.is_offered() {
            let warning = "tls_server_config.min_version: TLS 1.0 and 1.1 are insecure and not offered; the oldest version is TLS12";
            self.warnings.push(warning.to_owned());
        }
        let cipher_suites = Shown::into_values(raw.cipher_suites.unwrap_or_default());
        let not_offered: Vec<_> =
            cipher_suites.iter().copied().filter_map(CipherSuite::name_unless_offered).collect();
        if !not_offered.is_empty() {
            self.warnings.push(format!(
                "tls_server_config.cipher_suites: suites with CBC or without ECDHE are weak and not offered: {}",
                not_offered.join(", ")
            ));
        }

        let settings = TlsSettings {
            identity,
            client_auth: ClientAuth { auth_type, authorities, allowed_sans },
            min_version,
            max_version: raw.max_version.map_or(TlsVersion::Tls13, Shown::into_value),
            cipher_suites,
            prefer_server_order: raw.prefer_server_cipher_suites.is_none_or(Shown::into_value),
            curves: Shown::into_values(raw.curve_preferences.unwrap_or_default()),
            http2,
        };
        Tls::new(&settings).map_err(|error| {
            let key = match error {
                InvalidTls::Versions => "min_version",
                InvalidTls::MaxVersion => "max_version",
                InvalidTls::Suites(_) => "cipher_suites",
                InvalidTls::Curves => "curve_preferences",
            };
            self.invalid_tls(key, &error.to_string())
        })
    }

    /// The authorities that Go uses if none is configured.
    fn authorities_of_system(&mut self, auth_type: ClientAuthType) -> Authorities {
        let authorities = Authorities::of_system();
        let accepted = if authorities.is_empty() {
            "the system trusts no authority, so no client certificate is accepted"
        } else {
            "certificates of every authority that the system trusts are accepted, those of public ones included"
        };
        self.warnings.push(format!(
            "tls_server_config.client_auth_type: {auth_type:?} is set without client_ca_file: {accepted}; set \
             client_ca_file to the authority of your clients"
        ));
        authorities
    }

    fn identity(
        &mut self,
        cert: Option<Secret<Pem>>,
        cert_file: Option<Shown<FileName>>,
        key: Option<Secret<Pem>>,
        key_file: Option<Shown<FileName>>,
    ) -> Result<Identity, ConfigError> {
        let chain = self.pem("cert", cert, cert_file)?;
        let key = self.pem("key", key, key_file)?;
        let missing = |setting, example| {
            let message = format!(
                "{setting}_file and {setting} are both missing; add one, for example `{setting}_file: {example}`"
            );
            self.invalid(&["tls_server_config"], &message)
        };
        let (cert_setting, chain) = chain.ok_or_else(|| missing("cert", "server.crt"))?;
        let (key_setting, key) = key.ok_or_else(|| missing("key", "server.key"))?;
        let identity = Identity::from_pem(&chain, &key).map_err(|error| {
            let setting = if error.is_certificate_error() { &cert_setting } else { &key_setting };
            self.invalid_tls(setting, &error.to_string())
        })?;
        let warnings = identity.warnings(UnixTime::now()).into_iter();
        self.warnings.extend(warnings.map(|warning| format!("tls_server_config.{cert_setting}: {warning}")));
        Ok(identity)
    }

    /// The PEM that `key` sets, or the contents of the file that the key `{key}_file` names,
    /// together with the name of the key that is set. An empty string counts as absent, as in
    /// the toolkit.
    fn pem(
        &mut self,
        key: &str,
        inline: Option<Secret<Pem>>,
        file: Option<Shown<FileName>>,
    ) -> Result<Option<(String, Vec<u8>)>, ConfigError> {
        let inline = inline.map(|pem| pem.into_value().0).filter(|pem| !pem.expose_secret().is_empty());
        let file = file.map(|name| name.value.0).filter(|name| !name.is_empty());
        let key_of_file = format!("{key}_file");
        match (inline, file) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => {
                let message = format!("{key} and {key_of_file} are both set; remove one of the two");
                Err(self.invalid_tls(key, &message))
            }
            (Some(pem), None) => Ok(Some((key.to_owned(), pem.expose_secret().as_bytes().to_vec()))),
            (None, Some(name)) => {
                let path = self.directory.join(name);
                let pem = self.files.read(&path).map_err(|error| error.to_string());
                match pem.and_then(|pem| file::reject_utf16(&pem).map(|()| pem).map_err(str::to_owned)) {
                    Ok(pem) => Ok(Some((key_of_file, pem))),
                    Err(reason) => {
                        let message = format!("cannot read {}: {reason}", path_excerpt(&path));
                        Err(self.invalid_tls(&key_of_file, &message))
                    }
                }
            }
        }
    }

    fn rate_limit(&self, raw: &RawRateLimit) -> Result<Option<RateLimit>, ConfigError> {
        let interval = raw.interval.as_ref().map(|interval| interval.value.0).unwrap_or_default();
        if interval.is_zero() {
            return Ok(None);
        }
        let Some(burst) = raw.burst() else {
            let key: &[&str] = if raw.burst.is_some() { &["rate_limit", "burst"] } else { &["rate_limit"] };
            let message = "a burst of 0 refuses every request; expected a whole number of at least 1, such as `burst: 10`";
            return Err(self.invalid(key, message));
        };
        if interval.checked_mul(burst.get()).is_none_or(|all| all > MAX_BURST_DURATION) {
            let message = "the burst covers more than 720h of intervals; expected less, such as `burst: 10`";
            return Err(self.invalid(&["rate_limit", "burst"], message));
        }
        Ok(Some(RateLimit { interval, burst }))
    }

    fn invalid_tls(&self, key: &str, message: &str) -> ConfigError {
        self.invalid(&["tls_server_config", key], message)
    }

    fn invalid(&self, keys: &[&str], message: &str) -> ConfigError {
        let path = keys.iter().fold(KeyPath::default(), |path, key| path.join(*key));
        ConfigError::Invalid { place: self.layers.place(&path), message: format!("{path}: {message}") }
    }
}

/// The headers that are set to a non-empty value.
fn headers(raw: RawHeaders) -> HeaderMap {
    let set = [
        (CONTENT_SECURITY_POLICY, raw.content_security_policy.map(|text| text.value.0)),
        (X_FRAME_OPTIONS, raw.x_frame_options.map(|text| text.value.0)),
        (X_CONTENT_TYPE_OPTIONS, raw.x_content_type_options.map(|text| text.value.0)),
        (X_XSS_PROTECTION, raw.x_xss_protection.map(|text| text.value.0)),
        (STRICT_TRANSPORT_SECURITY, raw.strict_transport_security.map(|text| text.value.0)),
    ];
    set.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

#[cfg(test)]
mod tests;

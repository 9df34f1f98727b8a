//! The web configuration: a file of the exporter-toolkit's format, and the
//! certificates and keys that it names.
//!
//! It is a file of its own, so that it is the same for all exporters of a machine,
//! and has no layers. All that is wrong with it, or with what it names, is found out
//! here, so that a new one can be put into force as a whole.

use std::collections::BTreeSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::header::{
    CONTENT_SECURITY_POLICY, HeaderMap, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    X_XSS_PROTECTION,
};
use secrecy::ExposeSecret as _;

mod raw;

use super::error::ConfigError;
use super::key_path::KeyPath;
use super::layers::Layers;
use super::raw::Text;
use super::refused;
use crate::web::{
    AccessRules, Authorities, ClientAuth, Identity, InvalidTls, RateLimit, Tls, TlsSettings, TlsVersion,
};
use raw::{FileName, Pem, RawHeaders, RawRateLimit, RawTls, RawWebConfig};

/// Far more than certificates need.
const MAX_BYTES: u64 = 1024 * 1024;

/// A checked web configuration.
#[derive(Debug)]
pub struct WebConfig {
    /// What it asks for.
    pub rules: AccessRules,
    /// Oddities that are worth a warning, each a sentence.
    pub warnings: Vec<String>,
    /// What it has been read from.
    pub files: SeenFiles,
}

impl WebConfig {
    /// Loads the file at `path` and what it names. Paths in it that are relative
    /// begin at its directory.
    ///
    /// # Errors
    /// The first thing that is wrong with it, in one line.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut files = SeenFiles::default();
        let text = files
            .read(path)
            .and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other))
            .map_err(|source| ConfigError::Unreadable { path: path.to_path_buf(), source })?;
        let layers = Layers::of_text(path, &text, "rate_limit: {interval: 1s, burst: 10}")?;
        let raw: RawWebConfig = serde_path_to_error::deserialize(&layers.merged()?)
            .map_err(|error| refused(&layers, &KeyPath::from(error.path()), error.inner()))?;
        let directory = path.parent().unwrap_or(Path::new(""));
        let mut check = Check { layers: &layers, directory, files };
        let (rules, warnings) = check.rules(raw)?;
        Ok(Self { rules, warnings, files: check.files })
    }
}

/// How long the requests of a burst may be worth.
const MAX_BURST: Duration = Duration::from_hours(720);

/// Files as they were read.
#[derive(Debug, Default)]
pub struct SeenFiles(Vec<(PathBuf, u64)>);

impl SeenFiles {
    /// Whether any of them is another by now.
    #[must_use]
    pub fn have_changed(&self) -> bool {
        self.0.iter().any(|(path, seen)| read(path).map_or(true, |bytes| hash(&bytes) != *seen))
    }

    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let bytes = read(path)?;
        self.0.push((path.to_path_buf(), hash(&bytes)));
        Ok(bytes)
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 1 MiB"));
    }
    Ok(bytes)
}

/// Tells contents from others; nobody gains by two that look alike.
fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

struct Check<'a> {
    layers: &'a Layers,
    directory: &'a Path,
    files: SeenFiles,
}

impl Check<'_> {
    fn rules(&mut self, raw: RawWebConfig) -> Result<(AccessRules, Vec<String>), ConfigError> {
        let mut warnings = Vec::new();
        let http2 = raw.http_server_config.http2.is_none_or(|http2| http2.0);
        let tls = raw.tls_server_config.map(|tls| self.tls(tls, http2)).transpose()?;
        let users: crate::web::Users =
            raw.basic_auth_users.unwrap_or_default().into_iter().map(|(name, hash)| (name, hash.0)).collect();
        if let Some(user) = users.keys().find(|user| user.contains(':')) {
            let what = "the name of a user cannot have a colon in it: what stands behind it would count as the password";
            return Err(self.wrong(&["basic_auth_users", user], what));
        }
        if tls.is_none() && !users.is_empty() {
            let warning = "basic_auth_users without tls_server_config: passwords can be read on the network";
            warnings.push(warning.to_owned());
        }
        let excluded_paths =
            raw.auth_excluded_paths.unwrap_or_default().into_iter().map(|path| path.0).collect();
        let rate_limit = self.rate_limit(&raw.rate_limit)?;
        if users.is_empty() && rate_limit.is_none() && !Vec::is_empty(&excluded_paths) {
            let what = "there is nothing to except from: neither basic_auth_users nor a rate_limit (and a client certificate is asked for before a path is known)";
            return Err(self.wrong(&["auth_excluded_paths"], what));
        }
        let headers = headers(raw.http_server_config.headers);
        Ok((AccessRules { tls, headers, users, excluded_paths, rate_limit }, warnings))
    }

    fn tls(&mut self, raw: RawTls, http2: bool) -> Result<Tls, ConfigError> {
        let identity = self.identity(raw.cert, raw.cert_file, raw.key, raw.key_file)?;

        let kind = raw.client_auth_type.map(|kind| kind.0).unwrap_or_default();
        let authorities = self.pem("client_ca", raw.client_ca, raw.client_ca_file)?;
        let authorities = match &authorities {
            Some((key, pem)) => {
                Some(Authorities::from_pem(pem).map_err(|error| self.wrong_tls(key, &error.to_string()))?)
            }
            None if kind.verifies() => {
                let what = format!(
                    "{kind:?} needs client_ca_file or client_ca, to know whose certificates are good"
                );
                return Err(self.wrong_tls("client_auth_type", &what));
            }
            None => None,
        };
        if authorities.is_some() && kind == crate::web::ClientAuthType::NoClientCert {
            let what = "there are authorities for client certificates, but client_auth_type does not ask for any; use \
                        RequireAndVerifyClientCert";
            return Err(self.wrong(&["tls_server_config"], what));
        }
        let allowed_sans: Option<BTreeSet<_>> =
            raw.client_allowed_sans.map(|names| names.into_iter().map(|name| name.0).collect());
        match &allowed_sans {
            Some(_) if !kind.verifies() => {
                let what = format!(
                    "with client_auth_type {kind:?} nobody checks who has signed a certificate, and anybody can write \
                     names into one; use RequireAndVerifyClientCert"
                );
                return Err(self.wrong_tls("client_allowed_sans", &what));
            }
            Some(names) if names.is_empty() => {
                let what = "the list is empty, so no certificate would do; leave it out to take them all";
                return Err(self.wrong_tls("client_allowed_sans", what));
            }
            _ => {}
        }

        let settings = TlsSettings {
            identity,
            client_auth: ClientAuth { auth_type: kind, authorities, allowed_sans },
            min_version: raw.min_version.map_or(TlsVersion::Tls12, |version| version.0),
            max_version: raw.max_version.map_or(TlsVersion::Tls13, |version| version.0),
            cipher_suites: plain(raw.cipher_suites),
            prefer_server_order: raw.prefer_server_cipher_suites.is_none_or(|prefer| prefer.0),
            curves: plain(raw.curve_preferences),
            http2,
        };
        Tls::new(&settings).map_err(|error| {
            let key = match error {
                InvalidTls::Versions => "min_version",
                InvalidTls::Suites(_) => "cipher_suites",
                InvalidTls::Curves => "curve_preferences",
                InvalidTls::Authorities => "client_auth_type",
            };
            self.wrong_tls(key, &error.to_string())
        })
    }

    fn identity(
        &mut self,
        cert: Option<Text<Pem>>,
        cert_file: Option<Text<FileName>>,
        key: Option<Text<Pem>>,
        key_file: Option<Text<FileName>>,
    ) -> Result<Identity, ConfigError> {
        let chain = self.pem("cert", cert, cert_file)?;
        let key = self.pem("key", key, key_file)?;
        let missing = |what, example| {
            let what = format!("there is neither {what}_file, such as `{what}_file: {example}`, nor {what}");
            self.wrong(&["tls_server_config"], &what)
        };
        let (cert_key, chain) = chain.ok_or_else(|| missing("cert", "server.crt"))?;
        let (key_key, key) = key.ok_or_else(|| missing("key", "server.key"))?;
        Identity::from_pem(&chain, &key).map_err(|error| {
            let wrong = if error.is_certificate_error() { &cert_key } else { &key_key };
            self.wrong_tls(wrong, &error.to_string())
        })
    }

    /// What stands under a key or in the file that another names, and which of the
    /// two it is. An empty text counts as none, as it does in the toolkit.
    fn pem(
        &mut self,
        key: &str,
        inline: Option<Text<Pem>>,
        file: Option<Text<FileName>>,
    ) -> Result<Option<(String, Vec<u8>)>, ConfigError> {
        let inline = inline.map(|Text(Pem(pem))| pem).filter(|pem| !pem.expose_secret().is_empty());
        let file = file.map(|Text(FileName(name))| name).filter(|name| !name.is_empty());
        let key_of_file = format!("{key}_file");
        match (inline, file) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => {
                let what = format!("both {key} and {key_of_file} are there; use one of them");
                Err(self.wrong_tls(key, &what))
            }
            (Some(pem), None) => Ok(Some((key.to_owned(), pem.expose_secret().as_bytes().to_vec()))),
            (None, Some(name)) => {
                let path = self.directory.join(name);
                match self.files.read(&path) {
                    Ok(pem) => Ok(Some((key_of_file, pem))),
                    Err(error) => {
                        let what = format!("cannot read {}: {error}", path.display());
                        Err(self.wrong_tls(&key_of_file, &what))
                    }
                }
            }
        }
    }

    fn rate_limit(&self, raw: &RawRateLimit) -> Result<Option<RateLimit>, ConfigError> {
        let interval = raw.interval.as_ref().map(|interval| interval.0.0).unwrap_or_default();
        if interval.is_zero() {
            return Ok(None);
        }
        let Some(burst) = raw.burst() else {
            let key: &[&str] = if raw.burst.is_some() { &["rate_limit", "burst"] } else { &["rate_limit"] };
            let what = "with a burst of 0 every request would be refused; expected a whole number from 1, such as `burst: 10`";
            return Err(self.wrong(key, what));
        };
        if interval.checked_mul(burst.get()).is_none_or(|all| all > MAX_BURST) {
            let what =
                "a burst of more than 720h worth of intervals is none; expected less, such as `burst: 10`";
            return Err(self.wrong(&["rate_limit", "burst"], what));
        }
        Ok(Some(RateLimit { interval, burst }))
    }

    fn wrong_tls(&self, key: &str, what: &str) -> ConfigError {
        self.wrong(&["tls_server_config", key], what)
    }

    fn wrong(&self, keys: &[&str], what: &str) -> ConfigError {
        let path = keys.iter().fold(KeyPath::default(), |path, key| path.join(*key));
        ConfigError::Invalid { place: self.layers.place(&path), message: format!("{path}: {what}") }
    }
}

fn plain<T>(list: Option<Vec<Text<T>>>) -> Vec<T> {
    list.unwrap_or_default().into_iter().map(|text| text.0).collect()
}

/// Those that are set, and not to nothing.
fn headers(raw: RawHeaders) -> HeaderMap {
    let set = [
        (CONTENT_SECURITY_POLICY, raw.content_security_policy.map(|text| text.0.0)),
        (X_FRAME_OPTIONS, raw.x_frame_options.map(|text| text.0.0)),
        (X_CONTENT_TYPE_OPTIONS, raw.x_content_type_options.map(|text| text.0.0)),
        (X_XSS_PROTECTION, raw.x_xss_protection.map(|text| text.0.0)),
        (STRICT_TRANSPORT_SECURITY, raw.strict_transport_security.map(|text| text.0.0)),
    ];
    set.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

#[cfg(test)]
mod tests;

//! An outbound proxy.

use std::ffi::OsStr;
use std::fmt;

use aws_smithy_http_client::proxy::ProxyConfig;
use http::Uri;
use http::uri::Authority;
use secrecy::{ExposeSecret as _, SecretString};

use super::UnusableVariable;

/// A proxy, and the environment variable that names it. Displayed without its user and password.
#[derive(Clone)]
pub(crate) struct Proxy {
    variable: &'static str,
    host: String,
    port: u16,
    /// The URL with the user and the password, if there are any.
    url: SecretString,
    config: ProxyConfig,
}

impl Proxy {
    /// Reads the value of an environment variable. A value without a scheme counts as `http`.
    ///
    /// # Errors
    /// The value is not the URL of a proxy that can be used. The error does not repeat the value, which
    /// may contain a password.
    pub(super) fn new((variable, value): (&'static str, &OsStr)) -> Result<Self, UnusableVariable> {
        let unusable = |problem: &str| UnusableVariable {
            variable,
            problem: format!(
                "{problem}; expected a URL such as `http://proxy.example.com:3128`, or unset the variable"
            ),
        };
        let not_a_url = || unusable("the proxy is not a URL");
        let text = value.to_str().ok_or_else(not_a_url)?.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let scheme = scheme.to_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") {
            let is_scheme = scheme.chars().all(|c| c.is_ascii_alphanumeric()) && !scheme.is_empty();
            let unsupported = || unusable(&format!("proxies with `{scheme}` are not supported"));
            return Err(if is_scheme { unsupported() } else { not_a_url() });
        }
        // A path has no meaning. An `@` in it belongs to a password.
        let (authority, path) = rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
        let not_encoded =
            || unusable("the user or password of the proxy has characters that must be percent-encoded");
        if path.contains('@') || authority.matches('@').count() > 1 {
            return Err(not_encoded());
        }
        let url = format!("{scheme}://{authority}/").parse::<Uri>();
        let url = url.map_err(|_| match authority.split_once('@') {
            Some((_, host)) if host.parse::<Authority>().is_ok() => not_encoded(),
            _ => not_a_url(),
        })?;
        let (Some(host), Some(authority)) = (url.host(), url.authority()) else { return Err(not_a_url()) };
        if host.is_empty() {
            return Err(unusable("the proxy has no host"));
        }
        let host_and_port = authority.as_str().rsplit('@').next().unwrap_or_default();
        let port = match host_and_port.strip_prefix(host) {
            Some("") => Some(if scheme == "https" { 443 } else { 80 }),
            _ => url.port_u16().filter(|&port| port != 0),
        };
        let port = port.ok_or_else(|| unusable("the port of the proxy is invalid"))?;
        let (host, url) = (host.to_owned(), url.to_string());
        let config = ProxyConfig::all(url.as_str()).map_err(|_| not_a_url())?;
        Ok(Self { variable, host, port, url: url.into(), config })
    }

    /// The setting of an HTTP client that sends every request through the proxy.
    pub(crate) fn config(&self) -> ProxyConfig {
        self.config.clone()
    }
}

impl PartialEq for Proxy {
    fn eq(&self, other: &Self) -> bool {
        (self.variable, self.url.expose_secret()) == (other.variable, other.url.expose_secret())
    }
}

impl Eq for Proxy {}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ({})", self.host, self.port, self.variable)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

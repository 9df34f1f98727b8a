//! How calls leave the host: through which proxy, and which certificate authorities are trusted.
//!
//! The AWS SDK for Rust reads neither `AWS_CA_BUNDLE` nor, with an HTTP client of one's own, the
//! proxy variables. This module reads both as the AWS CLI does.

mod ca_bundle;
mod no_proxy;
mod proxy;

use std::ffi::{OsStr, OsString};

use ca_bundle::UnusableCaBundle;
pub(crate) use ca_bundle::{CaBundle, CaBundles};
pub(super) use no_proxy::is_loopback;
pub(super) use proxy::Proxy;

use no_proxy::NoProxy;

/// The variable with the path of a [`CaBundle`].
const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// The variables for requests to URLs with `https`, with `http`, and with both. The first that is set
/// and not empty applies.
const HTTPS_PROXY: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const HTTP_PROXY: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const ALL_PROXY: [&str; 2] = ["ALL_PROXY", "all_proxy"];
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The variables with the URLs of endpoints for credentials. With `http`, the SDK only uses them if
/// their host is the host itself or link-local.
const LOCAL_ENDPOINTS: [&str; 2] =
    ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_SERVICE_ENDPOINT"];

/// The proxies and certificate authorities of the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboundSettings {
    https_proxy: Option<Proxy>,
    http_proxy: Option<Proxy>,
    no_proxy: NoProxy,
    /// The hosts of [`LOCAL_ENDPOINTS`], in lower case.
    local_hosts: Vec<String>,
    /// Replaces the certificate authorities of the system. `None` leaves them to the profile.
    pub(super) ca_bundle: Option<CaBundle>,
}

/// An environment variable that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(crate) struct UnusableVariable {
    pub(crate) variable: &'static str,
    problem: String,
}

impl OutboundSettings {
    /// Whether [`new`](Self::new) reads the variable of this name.
    pub(crate) fn is_variable(name: &OsStr) -> bool {
        let names = [HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY].into_iter().flatten();
        names.chain(LOCAL_ENDPOINTS).chain([CA_BUNDLE]).any(|variable| name == variable)
    }

    /// Reads the settings from environment variables, and the file that `AWS_CA_BUNDLE` names. An empty
    /// variable counts as not set.
    ///
    /// # Errors
    /// The first variable that cannot be used.
    pub(crate) fn new(variables: &[(OsString, OsString)]) -> Result<Self, UnusableVariable> {
        let value = |name: &'static str| {
            let (_, value) = variables.iter().find(|(variable, _)| variable == name)?;
            Some((name, value.as_os_str())).filter(|(_, value)| !is_blank(value))
        };
        let first = |names: [&'static str; 2]| names.into_iter().find_map(value);
        let proxy = |names| first(names).or_else(|| first(ALL_PROXY)).map(Proxy::new).transpose();
        let no_proxy = first(NO_PROXY).map(|(_, value)| NoProxy::new(&value.to_string_lossy()));
        let ca_bundle = value(CA_BUNDLE).map(|(variable, path)| {
            let unusable =
                |error: UnusableCaBundle| UnusableVariable { variable, problem: error.to_string() };
            CaBundle::read(path.as_ref()).map_err(unusable)
        });
        let local_host = |name| {
            let url: http::Uri = value(name)?.1.to_str()?.parse().ok()?;
            let is_local = url.scheme_str() == Some("http");
            url.host().filter(|_| is_local).map(str::to_lowercase)
        };
        Ok(Self {
            https_proxy: proxy(HTTPS_PROXY)?,
            http_proxy: proxy(HTTP_PROXY)?,
            no_proxy: no_proxy.unwrap_or_default(),
            local_hosts: LOCAL_ENDPOINTS.into_iter().filter_map(local_host).collect(),
            ca_bundle: ca_bundle.transpose()?,
        })
    }

    /// What is set but has no effect, one sentence each.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = String> {
        self.no_proxy.unusable().map(|entry| {
            format!(
                "the entry `{entry}` of NO_PROXY matches no host; expected a domain such as `.amazonaws.com`, an address, \
                 a network such as `10.0.0.0/8`, or `*`"
            )
        })
    }

    /// The proxy for a request to `url`. Addresses of the host itself and link-local addresses, such as
    /// those of the credential endpoints of EC2, ECS and EKS, are never requested through a proxy.
    pub(super) fn proxy_for(&self, url: &http::Uri) -> Option<&Proxy> {
        let proxy = match url.scheme_str() {
            Some("https") => self.https_proxy.as_ref()?,
            Some("http") => self.http_proxy.as_ref()?,
            _ => return None,
        };
        let host = url.host()?;
        let is_direct = no_proxy::is_local(host)
            || self.local_hosts.contains(&host.to_lowercase())
            || self.no_proxy.contains(host, port(url));
        (!is_direct).then_some(proxy)
    }

    /// The proxies that requests may use.
    pub(super) fn proxies(&self) -> impl Iterator<Item = &Proxy> {
        self.https_proxy.iter().chain(&self.http_proxy)
    }
}

/// The port of a URL, by default that of its scheme.
pub(super) fn port(url: &http::Uri) -> u16 {
    let default_port = if url.scheme_str() == Some("http") { 80 } else { 443 };
    url.port_u16().unwrap_or(default_port)
}

fn is_blank(value: &OsStr) -> bool {
    value.to_str().is_some_and(|text| text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<OutboundSettings, UnusableVariable> {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        assert!(variables.iter().all(|(name, _): &(OsString, _)| OutboundSettings::is_variable(name)));
        OutboundSettings::new(&variables)
    }

    fn proxy_for(variables: &[(&str, &str)], url: &str) -> Option<String> {
        settings(variables).unwrap().proxy_for(&url.parse().unwrap()).map(ToString::to_string)
    }

    const SSM: &str = "https://ssm.eu-west-1.amazonaws.com/";

    #[test]
    fn the_first_variable_that_is_set_and_not_empty_applies() {
        let (upper, lower) = (("HTTPS_PROXY", "http://upper:1"), ("https_proxy", "http://lower:2"));
        let all = ("all_proxy", "http://all:3");
        let shown = |name: &str| Some(name.to_owned());
        assert_eq!(proxy_for(&[lower, all, upper], SSM), shown("upper:1 (HTTPS_PROXY)"));
        assert_eq!(proxy_for(&[("HTTPS_PROXY", " "), lower, all], SSM), shown("lower:2 (https_proxy)"));
        assert_eq!(proxy_for(&[all], SSM), shown("all:3 (all_proxy)"));
        assert_eq!(proxy_for(&[all, upper], "http://example.com/"), shown("all:3 (all_proxy)"));
        assert_eq!(proxy_for(&[upper], "http://example.com/"), None);
        assert_eq!(proxy_for(&[("HTTP_PROXY", "http://plain:4")], SSM), None);
        assert_eq!(proxy_for(&[], SSM), None);
    }

    #[test]
    fn local_addresses_are_never_requested_through_a_proxy() {
        // Regression: with HTTP_PROXY set, the credentials of EKS Pod Identity were requested from the
        // proxy.
        let proxy = ("ALL_PROXY", "http://proxy:3128");
        for host in [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.170.23",
            "[fd00:ec2::23]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[::ffff:169.254.169.254]",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:80",
            "localhost",
            "LocalHost:4566",
            "fake.localhost",
        ] {
            for scheme in ["http", "https"] {
                assert_eq!(proxy_for(&[proxy], &format!("{scheme}://{host}/x")), None, "{host}");
            }
        }
        for host in ["10.0.0.1", "169.253.0.1", "[fd00:ec3::23]", "notlocalhost", "localhost.example.com"] {
            assert!(proxy_for(&[proxy], &format!("http://{host}/x")).is_some(), "{host}");
        }
    }

    #[test]
    fn endpoints_for_credentials_are_not_requested_through_a_proxy_by_their_names_either() {
        let proxy = ("ALL_PROXY", "http://proxy:3128");
        let endpoint = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://Agent.internal/credentials");
        assert_eq!(proxy_for(&[proxy, endpoint], "http://agent.internal/credentials"), None);
        assert!(proxy_for(&[proxy, endpoint], "http://other.internal/").is_some());
        // The SDK uses any host with TLS.
        let remote = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://agent.internal/credentials");
        assert!(proxy_for(&[proxy, remote], "https://agent.internal/credentials").is_some());
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_an_error() {
        let expected = "; expected a URL such as `http://proxy.example.com:3128`, or unset the variable";
        for (value, problem) in [
            ("http://", "the proxy is not a URL"),
            ("http://proxy:port", "the port of the proxy is invalid"),
            ("http://proxy:99999", "the port of the proxy is invalid"),
            ("http://proxy:", "the port of the proxy is invalid"),
            ("http://proxy:0", "the port of the proxy is invalid"),
            ("http://:3128", "the proxy has no host"),
            ("http:/proxy:3128", "the port of the proxy is invalid"),
            ("http://pro xy", "the proxy is not a URL"),
            ("http://proxy\r\nx", "the proxy is not a URL"),
            (
                "http://user:p@ss@proxy:3128",
                "the user or password of the proxy has characters that must be percent-encoded",
            ),
            (
                "http://user:p/ss@proxy:3128",
                "the user or password of the proxy has characters that must be percent-encoded",
            ),
            (
                "http://user:p#ss@proxy:3128",
                "the user or password of the proxy has characters that must be percent-encoded",
            ),
            (
                "http://domain\\user:p^ss@proxy:3128",
                "the user or password of the proxy has characters that must be percent-encoded",
            ),
            ("socks5://proxy:1080", "proxies with `socks5` are not supported"),
            ("ftp://proxy", "proxies with `ftp` are not supported"),
        ] {
            let error = settings(&[("HTTPS_PROXY", value)]).unwrap_err();
            assert_eq!(error.to_string(), format!("{problem}{expected}"), "{value}");
            assert_eq!(error.variable, "HTTPS_PROXY");
        }
        // A variable without an effect may have any value.
        let proxies = [("HTTPS_PROXY", "http://a"), ("HTTP_PROXY", "http://b"), ("ALL_PROXY", "socks5://c")];
        assert!(settings(&proxies).is_ok());
    }

    #[test]
    fn a_proxy_is_shown_without_its_password() {
        for (value, shown) in [
            ("http://user:s3cr3t@proxy.example.com:3128/", "proxy.example.com:3128 (HTTPS_PROXY)"),
            ("https://s3cr3t@proxy.example.com", "proxy.example.com:443 (HTTPS_PROXY)"),
            ("proxy.example.com", "proxy.example.com:80 (HTTPS_PROXY)"),
            (" user:s3cr3t@proxy:8080 ", "proxy:8080 (HTTPS_PROXY)"),
            ("http://[::1]:3128", "[::1]:3128 (HTTPS_PROXY)"),
        ] {
            let settings = settings(&[("HTTPS_PROXY", value)]).unwrap();
            assert_eq!(settings.proxy_for(&SSM.parse().unwrap()).unwrap().to_string(), shown);
            assert!(!format!("{settings:?}").contains("s3cr3t"));
        }
    }

    #[test]
    fn entries_of_no_proxy_that_match_nothing_are_warned_of() {
        let settings = settings(&[("NO_PROXY", "localhost, 10.*,*.internal,a*b")]).unwrap();
        let warnings: Vec<String> = settings.warnings().collect();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].starts_with("the entry `10.*` of NO_PROXY matches no host; expected a domain"));
    }
}

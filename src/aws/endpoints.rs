//! Which regions have FIPS and dual-stack endpoints of SSM, and which URLs can replace the
//! endpoints.
//!
//! The SDK builds an endpoint's host name for any region, even if the host does not exist.
//! This check rejects a configuration with such a region. Without the check, the target
//! would merely be down.

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

use super::outbound::is_loopback;
use crate::fleet::{Partition, RegionName};

/// The variant of the endpoints to use. If both fields are `false`, that is the standard
/// endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointKind {
    /// FIPS 140 validated endpoints.
    pub fips: bool,
    /// Endpoints that are reachable over IPv4 and IPv6.
    pub dualstack: bool,
}

/// The regions in which `ssm-fips.REGION.amazonaws.com` exists. (AWS General
/// Reference, Systems Manager endpoints.)
const FIPS_REGIONS: [&str; 6] =
    ["ca-central-1", "ca-west-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"];

impl EndpointKind {
    /// Why SSM has no endpoint of this kind in `region`; `None` if it has one.
    #[must_use]
    pub fn missing_in(self, region: &RegionName) -> Option<String> {
        let partition = region.partition();
        // In GovCloud, the standard endpoints are FIPS validated.
        if self.fips && partition != Partition::AwsUsGov && !FIPS_REGIONS.contains(&region.as_str()) {
            return Some(format!(
                "use_fips: SSM has no FIPS endpoint in {region}, only in {} and in GovCloud",
                FIPS_REGIONS.join(", ")
            ));
        }
        let dualstack_partitions =
            [Partition::Aws, Partition::AwsCn, Partition::AwsUsGov, Partition::AwsEusc];
        if self.dualstack && !dualstack_partitions.contains(&partition) {
            return Some(format!(
                "use_dualstack: the partition {partition} of {region} has no dual-stack endpoints"
            ));
        }
        None
    }
}

/// The services that are called, as the SDK and as environment variables name them.
const SERVICES: [(&str, &str); 6] = [
    ("SSM", "SSM"),
    ("STS", "STS"),
    ("Organizations", "ORGANIZATIONS"),
    ("Account", "ACCOUNT"),
    ("SSO", "SSO"),
    ("SSO OIDC", "SSO_OIDC"),
];

/// The environment variable with the URL of all endpoints.
const ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";

/// What [`is_usable_url`] requires.
pub(crate) const EXPECTED_URL: &str =
    "expected a URL such as `http://host:port` or `https://host`, without a user and without a query";

/// Whether `text` can replace the endpoints of AWS.
pub(crate) fn is_usable_url(text: &str) -> bool {
    text.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && uri.query().is_none()
    })
}

/// Describes the first endpoint URL in the environment or the shared AWS configuration that
/// cannot be used. With an empty one, the SDK panics in every call, and an error about
/// another one may contain the request. The URL is not repeated: it may contain a password.
pub(super) fn unusable_url(config: &SdkConfig) -> Option<String> {
    let origin = origin_of_url(config, |url| !is_usable_url(url))?;
    Some(match origin {
        UrlOrigin::Variable(variable) => {
            format!("the environment variable {variable} is invalid; {EXPECTED_URL}, or unset it")
        }
        UrlOrigin::Profile(service) => {
            format!(
                "the `endpoint_url` of {service} in the shared AWS configuration is invalid; {EXPECTED_URL}"
            )
        }
    })
}

/// Describes the first endpoint URL in the environment or the shared AWS configuration to which
/// [requests are sent unencrypted](is_unencrypted).
pub(super) fn unencrypted_url(config: &SdkConfig) -> Option<String> {
    let origin = match origin_of_url(config, is_unencrypted)? {
        UrlOrigin::Variable(variable) => format!("the environment variable {variable}"),
        UrlOrigin::Profile(service) => {
            format!("the `endpoint_url` of {service} in the shared AWS configuration")
        }
    };
    Some(format!("{origin}: {UNENCRYPTED}"))
}

/// What [`is_unencrypted`] means.
pub(crate) const UNENCRYPTED: &str =
    "requests are sent unencrypted, and with them session tokens; use `https://`, or a server on this host";

/// Whether requests to `url` are sent over a network without TLS.
pub(crate) fn is_unencrypted(url: &str) -> bool {
    is_without_tls(url)
        && url.parse::<http::Uri>().is_ok_and(|url| url.host().is_some_and(|host| !is_loopback(host)))
}

/// Whether `url` begins with `http://`, in upper or lower case.
pub(super) fn is_without_tls(url: &str) -> bool {
    url.parse::<http::Uri>().is_ok_and(|url| url.scheme_str() == Some("http"))
}

/// Where an endpoint URL is set.
enum UrlOrigin {
    /// In the environment variable of this name.
    Variable(String),
    /// In the shared AWS configuration, for this service.
    Profile(&'static str),
}

/// Where the first endpoint URL is set for which `matches` returns true.
fn origin_of_url(config: &SdkConfig, matches: impl Fn(&str) -> bool) -> Option<UrlOrigin> {
    let configured = |service: &str| {
        let key = ServiceConfigKey::builder()
            .service_id(service)
            .env(ENDPOINT_URL)
            .profile("endpoint_url")
            .build()
            .ok()?;
        config.service_config()?.load_config(key)
    };
    let has_match = |service: &str| configured(service).is_some_and(|url| matches(&url));
    let (service, suffix) = SERVICES.into_iter().find(|(service, _)| has_match(service))?;
    let is_set = |variable: &String| std::env::var_os(variable).is_some();
    let variable = [format!("{ENDPOINT_URL}_{suffix}"), ENDPOINT_URL.to_owned()].into_iter().find(is_set);
    Some(variable.map_or(UrlOrigin::Profile(service), UrlOrigin::Variable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_of_an_endpoint_may_be_in_upper_case() {
        for (url, without_tls, unencrypted) in [
            ("http://aws.example:4566", true, true),
            ("HTTP://aws.example", true, true),
            ("http://127.0.0.1:4566", true, false),
            ("https://aws.example", false, false),
            ("aws.example", false, false),
        ] {
            assert_eq!((is_without_tls(url), is_unencrypted(url)), (without_tls, unencrypted), "{url}");
        }
    }

    #[test]
    fn fips_endpoints_are_only_allowed_where_ssm_has_them() {
        let (fips, standard) =
            (EndpointKind { fips: true, dualstack: true }, EndpointKind { fips: false, dualstack: false });
        for region in FIPS_REGIONS.into_iter().chain(["us-gov-west-1", "us-gov-east-1"]) {
            assert_eq!(fips.missing_in(&region.parse().unwrap()), None, "{region}");
        }
        for region in ["eu-west-1", "ap-southeast-2", "mx-central-1", "cn-north-1"] {
            let region = region.parse().unwrap();
            let error = fips.missing_in(&region).unwrap();
            assert!(
                error.starts_with(&format!("use_fips: SSM has no FIPS endpoint in {region}, only in ca-")),
                "{error}"
            );
            assert_eq!(standard.missing_in(&region), None);
        }
    }
}

//! The hosts that are not requested through a proxy.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};

use crate::printable::excerpt;

/// The entries of `NO_PROXY`, by the rules of curl and Go: a domain matches itself and all domains
/// below it, with or without `.` or `*.` before it. An address or a network matches addresses in URLs.
/// `*` matches everything. A port after the host limits the entry to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NoProxy(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    Network(IpNet),
    /// In lower case, without a dot at its ends.
    Domain(String),
    /// Matches nothing.
    Unusable(String),
}

impl NoProxy {
    pub(super) fn new(text: &str) -> Self {
        let entries = text.split(|c: char| c == ',' || c.is_whitespace());
        Self(entries.filter(|entry| !entry.is_empty()).map(Entry::new).collect())
    }

    pub(super) fn contains(&self, host: &str, port: u16) -> bool {
        let host = Host::new(host);
        let is_port = |entry: &Entry| entry.port.is_none_or(|expected| expected == port);
        self.0.iter().any(|entry| is_port(entry) && host.is_in(&entry.hosts))
    }

    /// The entries that match nothing.
    pub(super) fn unusable(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|entry| match &entry.hosts {
            Hosts::Unusable(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

impl Entry {
    fn new(text: &str) -> Self {
        if let Some(network) = network(text) {
            return Self { hosts: Hosts::Network(network), port: None };
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => match port.parse() {
                Ok(port) => (host, Some(port)),
                Err(_) => return Self { hosts: Hosts::Unusable(excerpt(text)), port: None },
            },
            None => (text, None),
        };
        let domain = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        let domain = domain.trim_matches('.').to_lowercase();
        let hosts = match network(host) {
            Some(network) => Hosts::Network(network),
            None if host == "*" => Hosts::All,
            None if domain.is_empty() || !domain.chars().all(is_in_domain) => Hosts::Unusable(excerpt(text)),
            None => Hosts::Domain(domain),
        };
        Self { hosts, port }
    }
}

fn is_in_domain(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '.' | '-' | '_')
}

fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| Some(address(text)?.into()))
}

/// An address. In a URL, one of IPv6 is in brackets.
fn address(host: &str) -> Option<IpAddr> {
    let without_brackets = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    without_brackets.unwrap_or(host).parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// The host of a URL.
enum Host {
    Address(IpAddr),
    /// In lower case.
    Name(String),
}

impl Host {
    fn new(host: &str) -> Self {
        match address(host) {
            Some(address) => Self::Address(address),
            None => Self::Name(host.trim_end_matches('.').to_lowercase()),
        }
    }

    fn is_in(&self, hosts: &Hosts) -> bool {
        match (hosts, self) {
            (Hosts::All, _) => true,
            (Hosts::Network(network), Self::Address(address)) => network.contains(address),
            (Hosts::Domain(domain), Self::Name(name)) => is_within(name, domain),
            _ => false,
        }
    }
}

/// Whether `name` is `domain` or below it.
fn is_within(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether `host` is this host, or a link-local address. AWS uses a network of unique local addresses
/// like link-local ones, for the instance metadata service and for the credentials of EKS Pod Identity.
pub(super) fn is_local(host: &str) -> bool {
    const AWS_LOCAL: Ipv6Net =
        match Ipv6Net::new(std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32) {
            Ok(network) => network,
            Err(_) => unreachable!(),
        };
    is_loopback(host)
        || match Host::new(host) {
            Host::Address(IpAddr::V4(address)) => address.is_link_local(),
            Host::Address(IpAddr::V6(address)) => {
                address.is_unicast_link_local() || AWS_LOCAL.contains(&address)
            }
            Host::Name(_) => false,
        }
}

/// Whether `host` is this host.
pub(in crate::aws) fn is_loopback(host: &str) -> bool {
    match Host::new(host) {
        Host::Address(address) => address.is_loopback(),
        Host::Name(name) => is_within(&name, "localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_match_as_in_curl_and_go() {
        for (entries, hosts, others) in [
            (
                "amazonaws.com",
                "amazonaws.com ssm.eu-west-1.amazonaws.com AMAZONAWS.COM. x.amazonaws.com.",
                "notamazonaws.com amazonaws.com.cn com",
            ),
            (".amazonaws.com", "amazonaws.com a.amazonaws.com", "notamazonaws.com"),
            // Regression: this entry matched nothing.
            (
                "*.amazonaws.com",
                "ssm.eu-west-1.amazonaws.com a.amazonaws.com",
                "notamazonaws.com amazonaws.com.cn",
            ),
            ("*", "a.b 10.0.0.1 [::2]", ""),
            ("a.example, B.example", "a.example b.example", "c.example"),
            ("a.example b.example\t c.example.", "a.example b.example c.example", "d.example"),
            ("10.0.0.0/8,192.168.1.1", "10.1.2.3 192.168.1.1", "11.0.0.1 192.168.1.2 a.10"),
            ("fd00::/8,[2001:db8::1]", "[fd00::1] [2001:db8::1]", "[fe00::1] [2001:db8::2]"),
            ("10.0.0.1", "10.0.0.1 [::ffff:10.0.0.1]", "10.0.0.10"),
            (",, ,", "", "a.b 10.0.0.1"),
        ] {
            let no_proxy = NoProxy::new(entries);
            assert_eq!(no_proxy.unusable().count(), 0, "{entries}");
            for host in hosts.split_whitespace() {
                assert!(no_proxy.contains(host, 443), "{entries}: {host}");
            }
            for host in others.split_whitespace() {
                assert!(!no_proxy.contains(host, 443), "{entries}: {host}");
            }
        }
    }

    #[test]
    fn a_port_limits_an_entry() {
        for entries in ["a.example:8443", "*.example:8443", "10.0.0.1:8443", "[fd00::1]:8443", "*:8443"] {
            let no_proxy = NoProxy::new(entries);
            let host = match entries.rsplit_once(':').unwrap().0 {
                "*.example" | "*" => "a.example",
                host => host,
            };
            assert!(no_proxy.contains(host, 8443), "{entries}");
            assert!(!no_proxy.contains(host, 443), "{entries}");
        }
    }

    #[test]
    fn entries_that_match_nothing_are_known() {
        let text =
            "10.* *example.com a.*.com http://a.example 10.0.0.0/33 . a:b *. *.a.example|b.example a;b \"a\"";
        let no_proxy = NoProxy::new(text);
        assert_eq!(no_proxy.unusable().collect::<Vec<_>>().join(" "), text);
    }
}

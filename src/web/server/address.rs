//! The addresses of `--web.listen-address`.

use std::fmt;
use std::str::FromStr;

/// An address to listen on: `host:port`, or `:port` for all addresses of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    host: Option<String>,
    port: u16,
}

/// Not a valid listen address.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a listen address; expected a host and a port, such as `:10144`, `127.0.0.1:10144` or `[::1]:10144`"
)]
pub struct InvalidListenAddress;

/// The longest host: DNS names have at most 253 characters.
const MAX_HOST: usize = 253;

impl ListenAddress {
    /// The host, without the brackets of an IPv6 address; `None` for all addresses.
    pub(in crate::web) fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The port; with 0 the system chooses one.
    pub(in crate::web) fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for ListenAddress {
    type Err = InvalidListenAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidListenAddress)?;
        let port = port.parse().map_err(|_| InvalidListenAddress)?;
        let host = match host.strip_prefix('[').map(|host| host.strip_suffix(']')) {
            Some(Some(inside)) => Some(inside),
            Some(None) => return Err(InvalidListenAddress),
            // Without brackets it is ambiguous where the port begins.
            None if host.contains(':') => return Err(InvalidListenAddress),
            None if host.is_empty() => None,
            None => Some(host),
        };
        let is_invalid = |c: char| c.is_whitespace() || c.is_control() || c == '/';
        if host.is_some_and(|host| !(1..=MAX_HOST).contains(&host.len()) || host.contains(is_invalid)) {
            return Err(InvalidListenAddress);
        }
        Ok(Self { host: host.map(ToOwned::to_owned), port })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host() {
            Some(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            host => write!(f, "{}:{}", host.unwrap_or_default(), self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_addresses_parse_and_display_unchanged() {
        for text in [":10144", "127.0.0.1:0", "[::1]:9100", "localhost:80", "[::]:65535"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in [
            "",
            "10144",
            "localhost",
            "::1:80",
            "[::1:80",
            "[]:80",
            ":65536",
            ":http",
            "http://a:80",
            "a b:1",
            "a\u{1b}[31m:1",
            &format!("{}:1", "a".repeat(254)),
        ] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
    }
}

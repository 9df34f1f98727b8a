//! The client that a connection comes from.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The key of limits per client: an IPv4 address, or the /64 network of an IPv6 address, because
/// one host usually has a whole /64 network. An IPv4-mapped IPv6 address, as a
/// dual-stack socket reports it, is the IPv4 address.
///
/// A peer can be more than one client: everything behind a NAT gateway or a reverse proxy has
/// one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::web) struct Peer(IpAddr);

impl Peer {
    /// The address, or the network with an address part of zeros.
    pub(in crate::web) fn address(self) -> IpAddr {
        self.0
    }
}

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{address}"),
            IpAddr::V6(network) => write!(f, "{network}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::from(address.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn an_ipv4_mapped_address_is_the_ipv4_address() {
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
        assert_ne!(peer("192.0.2.1"), peer("192.0.2.2"));
        assert_eq!(peer("::ffff:192.0.2.1").to_string(), "192.0.2.1");
    }

    #[test]
    fn the_addresses_of_a_64_bit_network_are_one_peer() {
        assert_eq!(peer("2001:db8:0:1::1"), peer("2001:db8:0:1:ffff:ffff:ffff:ffff"));
        assert_ne!(peer("2001:db8:0:1::1"), peer("2001:db8:0:2::1"));
        assert_eq!(peer("2001:db8:0:1:2:3:4:5").to_string(), "2001:db8:0:1::/64");
        assert_ne!(peer("::1"), peer("127.0.0.1"));
    }
}

//! The place that a connection comes from, as far as bounds per address need it: an IPv4 address, or the network of an IPv6
//! address, because a client that has one address of a network has all of them.

use std::net::IpAddr;

/// Bits of an IPv6 address that name a network.
const NETWORK_BITS: u32 = 64;

/// The place that a connection comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Peer {
    /// The place that bounds count.
    place: String,
    /// The whole address, for the log.
    address: Option<IpAddr>,
}

impl Peer {
    /// The place of an address.
    pub(crate) fn of(address: IpAddr) -> Self {
        let place = match address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let network = address.to_bits() >> (u128::BITS - NETWORK_BITS) << (u128::BITS - NETWORK_BITS);
                format!("{}/{NETWORK_BITS}", std::net::Ipv6Addr::from_bits(network))
            }
        };
        Self { place, address: Some(address.to_canonical()) }
    }

    /// Its name.
    pub(crate) fn as_str(&self) -> &str {
        &self.place
    }

    /// The whole address.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;

    #[test]
    fn one_network_is_one_place() {
        let of = |address: &str| Peer::of(address.parse().unwrap());
        let place = |address: &str| of(address).as_str().to_owned();
        assert_eq!(place("2001:db8:1:2:3::4"), place("2001:db8:1:2:ffff::1"));
        assert_ne!(place("2001:db8:1:2::1"), place("2001:db8:1:3::1"));
        assert_eq!(of("2001:db8:1:2:3::4").address(), "2001:db8:1:2:3::4".parse().ok());
        assert_eq!(of("2001:db8:1:2::1").as_str(), "2001:db8:1:2::/64");
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}

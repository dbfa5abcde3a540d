//! What an address can be used for, whether a person, a DHCP server or a router names it.

use std::net::IpAddr;

/// Whether one machine can have it: neither of 0/8 or `::`, loopback, multicast, reserved, broadcast, nor an IPv4 address in the disguise of IPv6.
pub fn is_unicast(address: impl Into<IpAddr>) -> bool {
    match address.into() {
        IpAddr::V4(address) => {
            let [first, ..] = address.octets();
            (1..=223).contains(&first) && first != 127
        }
        IpAddr::V6(address) => {
            let is_disguised = address.to_ipv4_mapped().is_some();
            !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_disguised)
        }
    }
}

/// Whether one machine of a network of `prefix` bits can have it: unicast, and of IPv4 neither the network's own nor its broadcast address. /31 (RFC 3021) and
/// /32 have neither of them.
pub fn is_host(address: impl Into<IpAddr>, prefix: u8) -> bool {
    let address = address.into();
    let is_reserved = match address {
        IpAddr::V4(address) if prefix < 31 => {
            let host = u32::MAX >> prefix;
            let part = u32::from(address) & host;
            part == 0 || part == host
        }
        _ => false,
    };
    is_unicast(address) && !is_reserved
}

/// Whether both are of one family and have their first `prefix` bits in common.
pub fn same_network(one: impl Into<IpAddr>, other: impl Into<IpAddr>, prefix: u8) -> bool {
    let (difference, bits) = match (one.into(), other.into()) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (u128::from(u32::from(one) ^ u32::from(other)), 32u32),
        (IpAddr::V6(one), IpAddr::V6(other)) => (u128::from(one) ^ u128::from(other), 128),
        _ => return false,
    };
    difference.checked_shr(bits.saturating_sub(prefix.into())).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn networks_are_compared_by_their_bits_and_families_never_meet() {
        assert!(same_network(ip("10.0.0.1"), ip("10.0.0.254"), 24));
        assert!(!same_network(ip("10.0.0.1"), ip("10.0.1.1"), 24));
        assert!(same_network(ip("10.0.0.1"), ip("192.0.2.1"), 0));
        assert!(!same_network(ip("10.0.0.1"), ip("10.0.0.0"), 32));
        assert!(same_network(ip("2001:db8::1"), ip("2001:db8::ffff:0:0:1"), 64));
        assert!(!same_network(ip("2001:db8::1"), ip("2001:db8::2"), 128));
        assert!(same_network(ip("2001:db8::1"), ip("fe80::1"), 0));
        assert!(!same_network(ip("10.0.0.1"), ip("::ffff:10.0.0.1"), 0));
        // More bits than there are.
        assert!(!same_network(ip("10.0.0.1"), ip("10.0.0.0"), 200));
    }

    #[test]
    fn the_ends_of_a_network_are_no_hosts() {
        for address in ["10.0.0.0", "10.0.0.255", "0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255"] {
            assert!(!is_host(ip(address), 24), "{address}");
        }
        assert!(is_host(ip("10.0.0.0"), 31) && is_host(ip("10.0.0.255"), 32) && is_host(ip("10.0.0.1"), 0));
        for address in ["::", "::1", "ff02::1", "::ffff:10.0.0.1"] {
            assert!(!is_host(ip(address), 64), "{address}");
        }
        assert!(is_host(ip("2001:db8::"), 64) && is_host(ip("fe80::1"), 64));
    }
}

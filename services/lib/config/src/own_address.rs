//! An address that a person gives the unit, and its router: `address` and `gateway` of `[network]`, and for IPv6 `address6` and `gateway6`.

use std::{
    fmt::Display,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::{Range, RangeInclusive},
    str::FromStr,
};

use toml::de::DeTable;

use crate::{
    ip::{is_host, same_network},
    network::{PREFIX, shown},
    reader::Reader,
};

/// An address that a person gave the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Static<A> {
    pub address: A,
    /// Bits of the network part: IPv4 1 to 30, IPv6 1 to 128.
    pub prefix: u8,
    /// In the same network; of IPv6 also one of the link alone.
    pub gateway: Option<A>,
}

/// It takes the place of DHCP's.
pub type StaticAddress = Static<Ipv4Addr>;
/// It takes the place of those that router advertisements would make, and its router that of advertised ones.
pub type StaticIpv6 = Static<Ipv6Addr>;

/// What differs between IPv4 and IPv6.
pub(crate) trait Family: Copy + Display + FromStr + Into<IpAddr> + PartialEq {
    const ADDRESS: &'static str;
    const ADDRESS_EXAMPLE: &'static str;
    /// What `ADDRESS` holds.
    const ADDRESS_KIND: &'static str;
    const PREFIXES: RangeInclusive<u8>;
    const GATEWAY: &'static str;
    const GATEWAY_EXAMPLE: &'static str;
    const GATEWAY_KIND: &'static str;

    /// Whether it holds on one link only, whatever the network is.
    fn is_of_link(self) -> bool;

    /// Why this is no router of `own`, and what would be right.
    fn outside(self, own: Static<Self>) -> String;
}

impl Family for Ipv4Addr {
    const ADDRESS: &'static str = "address";
    const ADDRESS_EXAMPLE: &'static str = "\"192.168.1.20/24\"";
    const ADDRESS_KIND: &'static str = "the address";
    const PREFIXES: RangeInclusive<u8> = 1..=30;
    const GATEWAY: &'static str = "gateway";
    const GATEWAY_EXAMPLE: &'static str = "\"192.168.1.1\"";
    const GATEWAY_KIND: &'static str = "an IPv4 address";

    /// 169.254/16 is a network like others here.
    fn is_of_link(self) -> bool {
        false
    }

    fn outside(self, Static { address, prefix, .. }: Static<Self>) -> String {
        format!(
            "{self} is not a host of the network of {address}/{prefix}; write the address of a router in it"
        )
    }
}

impl Family for Ipv6Addr {
    const ADDRESS: &'static str = "address6";
    const ADDRESS_EXAMPLE: &'static str = "\"2001:db8:1::20/64\"";
    const ADDRESS_KIND: &'static str = "the IPv6 address";
    const PREFIXES: RangeInclusive<u8> = 1..=128;
    const GATEWAY: &'static str = "gateway6";
    const GATEWAY_EXAMPLE: &'static str = "\"fe80::1\"";
    const GATEWAY_KIND: &'static str = "an IPv6 address";

    fn is_of_link(self) -> bool {
        self.is_unicast_link_local()
    }

    fn outside(self, Static { address, prefix, .. }: Static<Self>) -> String {
        format!(
            "{self} is neither in the network of {address}/{prefix} nor an address of the link; write the address of a router there"
        )
    }
}

/// `192.168.1.20/24`: an address that one host can have, without a router.
fn parse<A: Family>(text: &str) -> Option<Static<A>> {
    let (address, prefix) = text.split_once('/')?;
    let prefix = prefix.parse().ok().filter(|prefix| A::PREFIXES.contains(prefix))?;
    let address: A = address.parse().ok()?;
    (is_host(address, prefix) && !address.is_of_link()).then_some(Static { address, prefix, gateway: None })
}

/// The outer `None` only with a problem noted.
pub(crate) fn own_address<A: Family>(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
) -> Option<Option<Static<A>>> {
    let address = reader.string(table, PREFIX, A::ADDRESS, A::ADDRESS_EXAMPLE).ok()?;
    let gateway = reader.string(table, PREFIX, A::GATEWAY, A::GATEWAY_EXAMPLE).ok()?;
    let advice = format!("write {} = {}", A::ADDRESS, A::ADDRESS_EXAMPLE);
    let Some((text, place)) = address else {
        let Some((_, place)) = gateway else { return Some(None) };
        reader.problem(place, format!("{PREFIX}{}: needs an address; {advice}", A::GATEWAY));
        return None;
    };
    let Some(mut found) = parse::<A>(text) else {
        let (name, kind, text) = (A::ADDRESS, A::ADDRESS_KIND, shown(text));
        let problem = format!("{text:?} is not {kind} of a host with its network's bits; {advice}");
        reader.problem(place, format!("{PREFIX}{name}: {problem}"));
        return None;
    };
    if let Some((text, place)) = gateway {
        found.gateway = Some(router(reader, found, text, place)?);
    }
    Some(Some(found))
}

fn router<A: Family>(reader: &mut Reader<'_>, own: Static<A>, text: &str, place: Range<usize>) -> Option<A> {
    let Static { address, prefix, .. } = own;
    let problem = match text.parse::<A>() {
        Err(_) => {
            let (name, kind, text) = (A::GATEWAY, A::GATEWAY_KIND, shown(text));
            format!("{text:?} is not {kind}; write {name} = {}", A::GATEWAY_EXAMPLE)
        }
        Ok(other) if other == address => {
            "is the unit's own address; write the router's, or leave it out".to_owned()
        }
        Ok(other) if other.is_of_link() => return Some(other),
        Ok(other) if is_host(other, prefix) && same_network(other, address, prefix) => return Some(other),
        Ok(other) => other.outside(own),
    };
    reader.problem(place, format!("{PREFIX}{}: {problem}", A::GATEWAY));
    None
}

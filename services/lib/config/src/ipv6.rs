//! The IPv6 address that a person gives the unit: `address6` and `gateway6` of `[network]`.

use std::{net::Ipv6Addr, ops::Range};

use toml::de::DeTable;

use crate::reader::Reader;

const PREFIX: &str = "network.";
const ADDRESS_EXAMPLE: &str = "\"2001:db8:1::20/64\"";
const GATEWAY_EXAMPLE: &str = "\"fe80::1\"";

/// An IPv6 address that takes the place of those that router advertisements would make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticIpv6 {
    pub address: Ipv6Addr,
    /// Bits of the network part, 1 to 128.
    pub prefix: u8,
    /// In the same network, or of the link alone; when there is one, it takes the place of advertised routers.
    pub gateway: Option<Ipv6Addr>,
}

impl StaticIpv6 {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let prefix = prefix.parse().ok().filter(|prefix| (1..=128).contains(prefix))?;
        let address: Ipv6Addr = address.parse().ok()?;
        let is_own = is_host(address) && !address.is_unicast_link_local();
        is_own.then_some(Self { address, prefix, gateway: None })
    }
}

/// Whether one host can have it: neither `::`, loopback, multicast nor an IPv4 address in disguise.
fn is_host(address: Ipv6Addr) -> bool {
    let is_disguised = address.to_ipv4_mapped().is_some();
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_disguised)
}

/// The outer `None` only with a problem noted.
pub(crate) fn ipv6(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<Option<StaticIpv6>> {
    let address = reader.string(table, PREFIX, "address6", ADDRESS_EXAMPLE).ok()?;
    let gateway = reader.string(table, PREFIX, "gateway6", GATEWAY_EXAMPLE).ok()?;
    match (address, gateway) {
        (None, None) => Some(None),
        (None, Some((_, place))) => {
            let text = format!("network.gateway6: needs an address; write address6 = {ADDRESS_EXAMPLE}");
            reader.problem(place, text);
            None
        }
        (Some((text, place)), gateway) => {
            let Some(mut found) = StaticIpv6::parse(text) else {
                let text: String = text.chars().take(80).collect();
                reader.problem(place, format!("network.address6: {text:?} is not the IPv6 address of a host with its network's bits; write address6 = {ADDRESS_EXAMPLE}"));
                return None;
            };
            if let Some((text, place)) = gateway {
                found.gateway = Some(router(reader, found, text, place)?);
            }
            Some(Some(found))
        }
    }
}

fn router(reader: &mut Reader<'_>, own: StaticIpv6, text: &str, place: Range<usize>) -> Option<Ipv6Addr> {
    let StaticIpv6 { address, prefix, .. } = own;
    let same_network =
        |other: Ipv6Addr| (u128::from(other) ^ u128::from(address)) >> (128 - u32::from(prefix)) == 0;
    let problem = match text.parse::<Ipv6Addr>() {
        Err(_) => {
            let text: String = text.chars().take(80).collect();
            format!("{text:?} is not an IPv6 address; write gateway6 = {GATEWAY_EXAMPLE}")
        }
        Ok(other) if other == address => {
            "is the unit's own address; write the router's, or leave it out".to_owned()
        }
        Ok(other) if other.is_unicast_link_local() || (is_host(other) && same_network(other)) => {
            return Some(other);
        }
        Ok(other) => format!(
            "{other} is neither in the network of {address}/{prefix} nor an address of the link; write the address of a router there"
        ),
    };
    reader.problem(place, format!("network.gateway6: {problem}"));
    None
}

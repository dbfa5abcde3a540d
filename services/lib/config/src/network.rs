//! How a unit reaches its network: the table `[network]`.

use std::net::{IpAddr, Ipv4Addr};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    address::HostPort,
    ipv6::{self, StaticIpv6},
    reader::{self, Reader},
    roughtime::Roughtime,
};

/// Most DNS servers: the C library asks no more than three of its file (`MAXNS` of musl and glibc).
pub const MAX_DNS: usize = 3;
/// Most time sources of each kind.
pub const MAX_NTP: usize = 8;
/// The port of NTP (RFC 5905).
const NTP_PORT: u16 = 123;

const KEYS: [&str; 9] =
    ["dhcp", "address", "gateway", "address6", "gateway6", "dns", "vlan", "ntp", "roughtime"];
const ROUGHTIME_EXAMPLE: &str = "\"time.example.com:5319 PUBLIC-KEY-IN-BASE64\"";
const PREFIX: &str = "network.";
const ADDRESS_EXAMPLE: &str = "\"192.168.1.20/24\"";
const GATEWAY_EXAMPLE: &str = "\"192.168.1.1\"";

/// Addresses, name servers and time sources. The default asks DHCP for all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    pub addressing: Addressing,
    /// Without it IPv6 addresses are made from router advertisements.
    pub ipv6: Option<StaticIpv6>,
    /// In order of preference, at most [`MAX_DNS`]; when not empty they take the place of those that DHCP offers.
    pub dns: Vec<IpAddr>,
    /// 802.1Q tag, 1 to 4094.
    pub vlan: Option<u16>,
    /// At most [`MAX_NTP`]; when not empty they take the place of those that DHCP offers.
    pub ntp: Vec<HostPort>,
    /// At most [`MAX_NTP`]; when not empty they take the place of the built-in ones.
    pub roughtime: Vec<Roughtime>,
}

/// Where the IPv4 address comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Addressing {
    #[default]
    Dhcp,
    Static(StaticAddress),
}

/// An address that a person gave the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticAddress {
    pub address: Ipv4Addr,
    /// Bits of the network part, 1 to 30.
    pub prefix: u8,
    /// In the same network.
    pub gateway: Option<Ipv4Addr>,
}

impl StaticAddress {
    /// `"192.168.1.20/24"`: an address that one host can have, not its network's first or last.
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let prefix = prefix.parse().ok().filter(|prefix| (1..=30).contains(prefix))?;
        let found = Self { address: address.parse().ok()?, prefix, gateway: None };
        is_host(found.address, prefix).then_some(found)
    }
}

/// Whether one host of a network of `prefix` bits can have this address: unicast, neither the network itself nor its broadcast.
fn is_host(address: Ipv4Addr, prefix: u8) -> bool {
    let host = u32::MAX >> prefix;
    let part = u32::from(address) & host;
    let [first, ..] = address.octets();
    (1..=223).contains(&first) && first != 127 && part != 0 && part != host
}

/// `None` only with a problem noted.
pub(crate) fn network(reader: &mut Reader<'_>, root: &DeTable<'_>) -> Option<Network> {
    let Some((_, value)) = reader::entry(root, "network") else { return Some(Network::default()) };
    let DeValue::Table(table) = value.get_ref() else {
        let kind = reader::kind(value.get_ref());
        reader.problem(value.span(), format!("network: {kind} where a table belongs; write [network]"));
        return None;
    };
    reader.only(table, PREFIX, &KEYS);
    let addressing = addressing(reader, table);
    let ipv6 = ipv6::ipv6(reader, table);
    let dns = list(reader, table, "dns", MAX_DNS, GATEWAY_EXAMPLE, |text| text.parse().ok());
    let vlan = vlan(reader, table);
    let ntp =
        list(reader, table, "ntp", MAX_NTP, "\"time.example.com\"", |text| HostPort::parse(text, NTP_PORT));
    let roughtime = list(reader, table, "roughtime", MAX_NTP, ROUGHTIME_EXAMPLE, Roughtime::parse);
    let (ipv6, dns, vlan, ntp, roughtime) = (ipv6?, dns?, vlan?, ntp?, roughtime?);
    Some(Network { addressing: addressing?, ipv6, dns, vlan, ntp, roughtime })
}

fn addressing(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<Addressing> {
    let dhcp = dhcp(reader, table)?;
    let address = reader.string(table, PREFIX, "address", ADDRESS_EXAMPLE).ok()?;
    let gateway = reader.string(table, PREFIX, "gateway", GATEWAY_EXAMPLE).ok()?;
    match (dhcp, address, gateway) {
        (Some((true, _)) | None, None, None) => Some(Addressing::Dhcp),
        (Some((false, place)), None, _) => {
            let text = format!("network.dhcp: false needs an address; write address = {ADDRESS_EXAMPLE}");
            reader.problem(place, text);
            None
        }
        (_, None, Some((_, place))) => {
            let text = format!("network.gateway: needs an address; write address = {ADDRESS_EXAMPLE}");
            reader.problem(place, text);
            None
        }
        (Some((true, _)), Some((_, place)), _) => {
            let text = "network.address: DHCP gives the address; leave out address or write dhcp = false";
            reader.problem(place, text.to_owned());
            None
        }
        (_, Some((text, place)), gateway) => {
            let Some(mut found) = StaticAddress::parse(text) else {
                let text = format!(
                    "network.address: {:?} is not the address of a host with its network's bits; write address = {ADDRESS_EXAMPLE}",
                    shown(text)
                );
                reader.problem(place, text);
                return None;
            };
            if let Some((text, place)) = gateway {
                found.gateway = Some(self::gateway(reader, found, text, place)?);
            }
            Some(Addressing::Static(found))
        }
    }
}

fn gateway(
    reader: &mut Reader<'_>,
    own: StaticAddress,
    text: &str,
    place: std::ops::Range<usize>,
) -> Option<Ipv4Addr> {
    let StaticAddress { address, prefix, .. } = own;
    let same_network = |other: Ipv4Addr| (u32::from(other) ^ u32::from(address)) >> (32 - prefix) == 0;
    let problem = match text.parse::<Ipv4Addr>() {
        Err(_) => {
            format!("{:?} is not an IPv4 address; write gateway = {GATEWAY_EXAMPLE}", shown(text))
        }
        Ok(other) if other == address => {
            "is the unit's own address; write the router's, or leave it out".to_owned()
        }
        Ok(other) if same_network(other) && is_host(other, prefix) => return Some(other),
        Ok(other) => format!(
            "{other} is not a host of the network of {address}/{prefix}; write the address of a router in it"
        ),
    };
    reader.problem(place, format!("network.gateway: {problem}"));
    None
}

type Flag = Option<(bool, std::ops::Range<usize>)>;

fn dhcp(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<Flag> {
    let Some((_, value)) = reader::entry(table, "dhcp") else { return Some(None) };
    let DeValue::Boolean(flag) = value.get_ref() else {
        let kind = reader::kind(value.get_ref());
        let text = format!("network.dhcp: {kind} where true or false belongs; write dhcp = true");
        reader.problem(value.span(), text);
        return None;
    };
    Some(Some((*flag, value.span())))
}

fn vlan(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<Option<u16>> {
    let Some((_, value)) = reader::entry(table, "vlan") else { return Some(None) };
    let problem = match value.get_ref() {
        DeValue::Integer(number) if number.radix() == 10 => match number.as_str().parse() {
            Ok(tag @ 1..=4094) => return Some(Some(tag)),
            _ => format!("{} is not a VLAN from 1 to 4094", shown(number.as_str())),
        },
        other => format!("{} where a number from 1 to 4094 belongs", reader::kind(other)),
    };
    reader.problem(value.span(), format!("network.vlan: {problem}; write vlan = 20"));
    None
}

/// A list of texts, each of which `read` understands.
fn list<T>(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    name: &str,
    most: usize,
    example: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Option<Vec<T>> {
    let Some((_, value)) = reader::entry(table, name) else { return Some(Vec::new()) };
    let DeValue::Array(entries) = value.get_ref() else {
        let kind = reader::kind(value.get_ref());
        let text = format!("network.{name}: {kind} where a list belongs; write {name} = [{example}]");
        reader.problem(value.span(), text);
        return None;
    };
    if let Some(surplus) = entries.get(most) {
        let text = format!("network.{name}: {} are too many; at most {most} are used", entries.len());
        reader.problem(surplus.span(), text);
        return None;
    }
    let read_one = |reader: &mut Reader<'_>, entry: &Spanned<DeValue<'_>>| {
        let problem = match entry.get_ref() {
            DeValue::String(text) => match read(text) {
                Some(found) => return Some(found),
                None => format!("{:?} is not understood", shown(text)),
            },
            other => format!("{} where a text belongs", reader::kind(other)),
        };
        reader.problem(entry.span(), format!("network.{name}: {problem}; write {name} = [{example}]"));
        None
    };
    let found: Vec<_> = entries.iter().map(|entry| read_one(reader, entry)).collect();
    found.into_iter().collect()
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

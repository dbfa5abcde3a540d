//! How a unit reaches its network: the table `[network]`.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::Range,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    address::HostPort,
    own_address::{Family, StaticAddress, StaticIpv6, own_address},
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
pub(crate) const PREFIX: &str = "network.";

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
    let ipv6 = own_address::<Ipv6Addr>(reader, table);
    let dns = list(reader, table, "dns", MAX_DNS, Ipv4Addr::GATEWAY_EXAMPLE, |text| text.parse().ok());
    let vlan = vlan(reader, table);
    let ntp =
        list(reader, table, "ntp", MAX_NTP, "\"time.example.com\"", |text| HostPort::parse(text, NTP_PORT));
    let roughtime = list(reader, table, "roughtime", MAX_NTP, ROUGHTIME_EXAMPLE, Roughtime::parse);
    let (ipv6, dns, vlan, ntp, roughtime) = (ipv6?, dns?, vlan?, ntp?, roughtime?);
    Some(Network { addressing: addressing?, ipv6, dns, vlan, ntp, roughtime })
}

fn addressing(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<Addressing> {
    let address = reader::entry(table, Ipv4Addr::ADDRESS);
    match (dhcp(reader, table)?, address) {
        (Some((false, place)), None) => {
            let example = Ipv4Addr::ADDRESS_EXAMPLE;
            reader.problem(place, format!("network.dhcp: false needs an address; write address = {example}"));
            None
        }
        (Some((true, _)), Some((_, value))) => {
            let text = "network.address: DHCP gives the address; leave out address or write dhcp = false";
            reader.problem(value.span(), text.to_owned());
            None
        }
        _ => Some(own_address(reader, table)?.map_or(Addressing::Dhcp, Addressing::Static)),
    }
}

type Flag = Option<(bool, Range<usize>)>;

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

/// As much of a value as a message shows.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

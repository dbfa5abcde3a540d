//! The table `[network]`: what it means, and the exact lines that answer a mistake.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use adit_config::{Addressing, Config, HostPort, Network, StaticAddress, StaticIpv6};
use proptest::prelude::*;

const POOL: &str = "version = 1\n[[pool]]\nurl = \"stratum+tcp://host:1\"\nuser = \"u\"\n";

fn parse(lines: &str) -> Result<Network, Vec<String>> {
    let text = format!("{POOL}[network]\n{lines}");
    Config::parse(&text, "adit.toml").map(|config| config.network).map_err(|errors| errors.lines().collect())
}

#[test]
fn without_a_table_everything_comes_from_dhcp() {
    let expected = Network {
        addressing: Addressing::Dhcp,
        ipv6: None,
        dns: vec![],
        vlan: None,
        ntp: vec![],
        roughtime: vec![],
    };
    assert_eq!(Config::parse(POOL, "f").unwrap().network, expected);
    assert_eq!(parse("").unwrap(), expected);
    assert_eq!(parse("dhcp = true").unwrap(), expected);
}

#[test]
fn a_full_table_is_understood() {
    let network = parse(
        "dhcp = false\naddress = \"10.1.2.3/8\"\ngateway = \"10.0.0.1\"\ndns = [\"10.0.0.1\", \"2001:db8::53\"]\nvlan = 4094\nntp = [\"Time.Example.com\", \"10.0.0.1:1123\", \"2001:db8::1\", \"[2001:db8::2]:1\"]\nroughtime = [\"10.0.0.1:2002 S3AzfZJ5CjSdkJ21ZJGbxqdYP/SoE8fXKY0+aicsehI=\"]",
    )
    .unwrap();
    let expected = StaticAddress {
        address: "10.1.2.3".parse().unwrap(),
        prefix: 8,
        gateway: Some("10.0.0.1".parse().unwrap()),
    };
    assert_eq!(network.addressing, Addressing::Static(expected));
    assert_eq!(
        network.dns,
        ["10.0.0.1".parse::<std::net::IpAddr>().unwrap(), "2001:db8::53".parse().unwrap()]
    );
    assert_eq!(network.vlan, Some(4094));
    let ntp = [("time.example.com", 123), ("10.0.0.1", 1123), ("2001:db8::1", 123), ("2001:db8::2", 1)]
        .map(|(host, port)| HostPort { host: host.to_owned(), port });
    assert_eq!(network.ntp, ntp);
    assert_eq!(network.roughtime.len(), 1);
    assert_eq!(network.roughtime[0].server.host, "10.0.0.1");
}

#[test]
fn an_ipv6_address_may_stand_beside_dhcp_and_its_router_may_be_of_the_link() {
    let found = parse("address6 = \"2001:db8:1::20/64\"\ngateway6 = \"fe80::1\"").unwrap();
    let expected = StaticIpv6 {
        address: "2001:db8:1::20".parse().unwrap(),
        prefix: 64,
        gateway: Some("fe80::1".parse().unwrap()),
    };
    assert_eq!((found.addressing, found.ipv6), (Addressing::Dhcp, Some(expected)));
    let gateway = |lines| parse(lines).map(|found| found.ipv6.unwrap().gateway.is_some());
    assert_eq!(gateway("address6 = \"2001:db8:1::20/64\"\ngateway6 = \"2001:db8:1::1\""), Ok(true));
    assert_eq!(gateway("address6 = \"fd00::1/128\""), Ok(false));
}

#[test]
fn every_mistake_is_answered_with_its_line_and_the_right_form() {
    for (lines, answer) in [
        ("addres = 1", "6: network.addres: unknown key; did you mean address?"),
        ("dhcp = \"yes\"", "6: network.dhcp: a text where true or false belongs; write dhcp = true"),
        ("dhcp = false", "6: network.dhcp: false needs an address; write address = \"192.168.1.20/24\""),
        (
            "gateway = \"10.0.0.1\"",
            "6: network.gateway: needs an address; write address = \"192.168.1.20/24\"",
        ),
        (
            "dhcp = true\naddress = \"10.0.0.2/24\"",
            "7: network.address: DHCP gives the address; leave out address or write dhcp = false",
        ),
        (
            "address = \"10.0.0.2\"",
            "6: network.address: \"10.0.0.2\" is not the address of a host with its network's bits; write address = \"192.168.1.20/24\"",
        ),
        (
            "address = \"10.0.0.255/24\"",
            "6: network.address: \"10.0.0.255/24\" is not the address of a host with its network's bits; write address = \"192.168.1.20/24\"",
        ),
        (
            "address = \"10.0.0.2/24\"\ngateway = \"10.0.1.1\"",
            "7: network.gateway: 10.0.1.1 is not a host of the network of 10.0.0.2/24; write the address of a router in it",
        ),
        (
            "address = \"10.0.0.2/24\"\ngateway = \"10.0.0.2\"",
            "7: network.gateway: is the unit's own address; write the router's, or leave it out",
        ),
        (
            "address = \"10.0.0.2/24\"\ngateway = \"router\"",
            "7: network.gateway: \"router\" is not an IPv4 address; write gateway = \"192.168.1.1\"",
        ),
        (
            "gateway6 = \"fe80::1\"",
            "6: network.gateway6: needs an address; write address6 = \"2001:db8:1::20/64\"",
        ),
        (
            "address6 = \"fe80::20/64\"",
            "6: network.address6: \"fe80::20/64\" is not the IPv6 address of a host with its network's bits; write address6 = \"2001:db8:1::20/64\"",
        ),
        (
            "address6 = \"::ffff:10.0.0.1/96\"",
            "6: network.address6: \"::ffff:10.0.0.1/96\" is not the IPv6 address of a host with its network's bits; write address6 = \"2001:db8:1::20/64\"",
        ),
        (
            "address6 = \"2001:db8:1::20/64\"\ngateway6 = \"2001:db8:2::1\"",
            "7: network.gateway6: 2001:db8:2::1 is neither in the network of 2001:db8:1::20/64 nor an address of the link; write the address of a router there",
        ),
        (
            "address6 = \"2001:db8:1::20/64\"\ngateway6 = \"10.0.0.1\"",
            "7: network.gateway6: \"10.0.0.1\" is not an IPv6 address; write gateway6 = \"fe80::1\"",
        ),
        ("dns = \"10.0.0.1\"", "6: network.dns: a text where a list belongs; write dns = [\"192.168.1.1\"]"),
        (
            "dns = [\n\"10.0.0.1\",\n\"dns.example\"]",
            "8: network.dns: \"dns.example\" is not understood; write dns = [\"192.168.1.1\"]",
        ),
        (
            "dns = [\"1.1.1.1\", \"1.1.1.2\", \"1.1.1.3\", \"1.1.1.4\"]",
            "6: network.dns: 4 are too many; at most 3 are used",
        ),
        ("vlan = 0", "6: network.vlan: 0 is not a VLAN from 1 to 4094; write vlan = 20"),
        ("vlan = 4095", "6: network.vlan: 4095 is not a VLAN from 1 to 4094; write vlan = 20"),
        ("vlan = \"7\"", "6: network.vlan: a text where a number from 1 to 4094 belongs; write vlan = 20"),
        (
            "ntp = [\"time example\"]",
            "6: network.ntp: \"time example\" is not understood; write ntp = [\"time.example.com\"]",
        ),
        (
            "ntp = [\"time.example.com:0\"]",
            "6: network.ntp: \"time.example.com:0\" is not understood; write ntp = [\"time.example.com\"]",
        ),
        (
            "roughtime = [\"time.example.com:2002\"]",
            "6: network.roughtime: \"time.example.com:2002\" is not understood; write roughtime = [\"time.example.com:5319 PUBLIC-KEY-IN-BASE64\"]",
        ),
        ("ntp = [7]", "6: network.ntp: a number where a text belongs; write ntp = [\"time.example.com\"]"),
    ] {
        assert_eq!(parse(lines).unwrap_err(), [format!("adit.toml:{answer}")], "{lines}");
    }
}

#[test]
fn something_else_than_a_table_is_refused() {
    let errors = Config::parse(&format!("network = 7\n{POOL}"), "adit.toml").unwrap_err();
    let lines: Vec<_> = errors.lines().collect();
    assert_eq!(lines, ["adit.toml:1: network: a number where a table belongs; write [network]"]);
}

proptest! {
    #[test]
    fn an_accepted_address_is_one_that_a_host_can_have(text in "[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2}") {
        if let Ok(Network { addressing: Addressing::Static(found), .. }) = parse(&format!("address = \"{text}\"")) {
            let host = u32::MAX >> found.prefix;
            let part = u32::from(found.address) & host;
            prop_assert!(part != 0 && part != host);
            prop_assert!(!found.address.is_loopback() && !found.address.is_multicast() && !found.address.is_broadcast());
        }
    }
}

//! IPv6 on a real segment: Debian's dnsmasq advertises, the kernel, asked by `ip`, is the judge.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod segment;

use segment::Segment;

const ADVERTISE: [&str; 4] = [
    "--enable-ra",
    "--dhcp-range=fd00:7::,ra-only,64,2m",
    "--dhcp-option=option6:dns-server,[fd00:7::53],[fe80::53]",
    "--dhcp-range=10.7.0.50,10.7.0.60,255.255.255.0,2m",
];

fn with_prefix() -> Segment {
    let segment = Segment::new();
    segment.server(&["ip", "address", "add", "fd00:7::1/64", "dev", "server0", "nodad"]);
    segment
}

fn addresses(segment: &Segment) -> String {
    segment.unit(&["ip", "-6", "address", "show", "dev", "unit0", "scope", "global"])
}

#[test]
fn a_network_of_ipv6_alone_brings_an_address_a_router_and_name_servers() {
    let mut segment = with_prefix();
    segment.dnsmasq(&ADVERTISE[..3]);
    let service = segment.start("");
    let expected = "nameserver fd00:7::53\nnameserver fe80::53%unit0\n";
    segment.wait_for_line("name servers from a router");
    segment.wait("name servers", || segment.resolver().contains(expected));
    segment.wait("an address", || addresses(&segment).contains("inet6 fd00:7::"));
    assert!(segment.unit(&["ip", "-6", "route"]).contains("default via fe80::"));
    // They are asked for again, not waited for.
    segment.end(service);
    segment.unit(&["rm", "/run/adit/resolv.conf"]);
    segment.start("");
    segment.wait("name servers again", || {
        segment.unit(&["sh", "-c", "cat /run/adit/resolv.conf || true"]).contains(expected)
    });
}

#[test]
fn a_dhcp_server_s_name_servers_come_first() {
    let mut segment = with_prefix();
    let dns = "--dhcp-option=option:dns-server,10.7.0.1";
    segment.dnsmasq(&[&ADVERTISE[..], &[dns]].concat());
    segment.start("");
    segment.wait_for_line("address 10.7.0.");
    segment.wait("an address", || addresses(&segment).contains("inet6 fd00:7::"));
    segment.wait("one name server", || {
        segment.resolver().contains("nameserver 10.7.0.1\n") && !segment.resolver().contains("fd00")
    });
}

#[test]
fn a_static_address_and_router_take_the_place_of_advertised_ones() {
    let mut segment = with_prefix();
    segment.dnsmasq(&ADVERTISE[..3]);
    segment.start("address6 = \"fd00:7::77/64\"\ngateway6 = \"fd00:7::9\"");
    segment.wait_for_line("address fd00:7::77/64");
    let knock = ["bash", "-c", "(echo > /dev/tcp/fd00:7::77/9) 2>&1 || true"];
    segment.wait("an answer", || segment.server(&knock).contains("refused"));
    // An advertisement was heard: its name servers are here, its address and its route are not.
    segment.wait("name servers", || segment.resolver().contains("nameserver fd00:7::53\n"));
    let (addresses, routes) = (addresses(&segment), segment.unit(&["ip", "-6", "route"]));
    assert!(
        addresses.contains("inet6 fd00:7::77/64") && addresses.matches("inet6").count() == 1,
        "{addresses}"
    );
    let routers: Vec<_> = routes.lines().filter(|line| line.starts_with("default")).collect();
    assert!(matches!(routers[..], [one] if one.starts_with("default via fd00:7::9 dev unit0")), "{routes}");
}

#[test]
fn an_address_that_another_machine_has_is_not_used() {
    let mut segment = with_prefix();
    segment.server(&["ip", "address", "add", "fd00:7::77/64", "dev", "server0", "nodad"]);
    segment.start("address6 = \"fd00:7::77/64\"\naddress = \"10.7.0.77/24\"");
    segment.wait("the other one's answer", || addresses(&segment).contains("dadfailed"));
    segment.wait_for_line("answers to rack1-unit7.local");
}

//! What is taken from a DHCP answer and what is not.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::net::{IpAddr, Ipv4Addr};

use adit_network::lease::{Ipv4, Refused};
use mozim::DhcpV4Lease;
use proptest::prelude::*;

fn lease(address: &str, mask: &str, seconds: u32) -> DhcpV4Lease {
    let mut lease = DhcpV4Lease::default();
    lease.yiaddr = address.parse().unwrap();
    lease.subnet_mask = mask.parse().unwrap();
    lease.lease_time_sec = seconds;
    lease
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

#[test]
fn addresses_and_masks_that_no_host_can_have_are_refused() {
    for address in ["0.0.0.0", "0.1.2.3", "127.0.0.5", "224.0.0.1", "240.0.0.1", "255.255.255.255"] {
        assert_eq!(
            Ipv4::from_lease(&lease(address, "255.255.255.0", 60)),
            Err(Refused::Address(ip(address)))
        );
    }
    for mask in ["0.0.0.0", "255.0.255.0", "0.0.0.255", "127.255.255.255"] {
        assert_eq!(Ipv4::from_lease(&lease("10.0.0.5", mask, 60)), Err(Refused::Mask(ip(mask))));
    }
    for address in ["10.0.0.0", "10.0.0.255"] {
        let refused = Refused::NotAHost { address: ip(address), prefix: 24 };
        assert_eq!(Ipv4::from_lease(&lease(address, "255.255.255.0", 60)), Err(refused));
    }
    assert_eq!(Ipv4::from_lease(&lease("10.0.0.5", "255.0.0.0", 9)), Err(Refused::TooShort(9)));
}

#[test]
fn point_to_point_networks_have_no_broadcast_address() {
    assert_eq!(Ipv4::from_lease(&lease("10.0.0.0", "255.255.255.254", 60)).unwrap().prefix, 31);
    assert_eq!(Ipv4::from_lease(&lease("10.0.0.1", "255.255.255.255", 60)).unwrap().prefix, 32);
}

#[test]
fn a_router_outside_of_the_network_is_left_out_and_the_next_taken() {
    let mut lease = lease("10.0.0.5", "255.255.255.0", u32::MAX);
    lease.gateways = Some(vec![ip("10.0.1.1"), ip("224.0.0.1"), ip("10.0.0.5"), ip("10.0.0.1")]);
    let found = Ipv4::from_lease(&lease).unwrap();
    assert_eq!((found.gateway, found.lifetime_s), (Some(ip("10.0.0.1")), None));
    lease.classless_routes = Some(Vec::new());
    assert_eq!(Ipv4::from_lease(&lease).unwrap().gateway, None, "RFC 3442: routes put the router aside");
}

#[test]
fn servers_are_bounded_and_none_is_named_twice() {
    let mut lease = lease("10.0.0.5", "255.255.255.0", 60);
    let many = (0..200u8).map(|last| Ipv4Addr::new(10, 0, 0, last / 2));
    lease.dns_srvs = Some([ip("0.0.0.0"), ip("127.0.0.1")].into_iter().chain(many.clone()).collect());
    lease.ntp_srvs = Some(many.collect());
    let found = Ipv4::from_lease(&lease).unwrap();
    assert_eq!(found.dns, ["10.0.0.0", "10.0.0.1", "10.0.0.2"].map(|text| IpAddr::V4(ip(text))));
    assert_eq!(found.ntp.len(), 8);
}

proptest! {
    #[test]
    fn whatever_a_server_says_the_kernel_gets_a_host_and_a_router_of_one_network(
        address: u32, mask in prop_oneof![any::<u32>(), (0..33u32).prop_map(|bits| !u32::MAX.checked_shr(bits).unwrap_or(0))],
        seconds: u32, routers in prop::collection::vec(any::<u32>(), 0..4),
    ) {
        let mut lease = DhcpV4Lease::default();
        (lease.yiaddr, lease.subnet_mask, lease.lease_time_sec) = (address.into(), mask.into(), seconds);
        lease.gateways = Some(routers.into_iter().map(|router| (router & !mask | address & mask).into()).collect());
        if let Ok(found) = Ipv4::from_lease(&lease) {
            prop_assert!((1..=32).contains(&found.prefix));
            prop_assert!(!found.address.is_loopback() && !found.address.is_multicast() && !found.address.is_broadcast());
            if let Some(router) = found.gateway {
                prop_assert!(router != found.address);
                prop_assert_eq!(u32::from(router) & mask, address & mask);
            }
        }
    }
}

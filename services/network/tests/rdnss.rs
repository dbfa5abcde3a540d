//! Name servers from router advertisements: what the kernel hands over, and for how long it holds.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::{
    net::Ipv6Addr,
    time::{Duration, Instant},
};

use adit_network::rdnss::{Advertised, Servers, parse};
use proptest::prelude::*;

/// A message as the kernel lays it out (`struct nlmsghdr`, `struct nduseroptmsg`), with the options of an advertisement on interface 3.
fn message(options: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(32 + options.len()).unwrap().to_ne_bytes().to_vec();
    bytes.extend(68u16.to_ne_bytes());
    bytes.extend([0; 10]);
    bytes.extend([10, 0]);
    bytes.extend(u16::try_from(options.len()).unwrap().to_ne_bytes());
    bytes.extend(3i32.to_ne_bytes());
    bytes.extend([134, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(options);
    bytes
}

fn server(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)
}

/// RFC 8106 §5.1.
fn option(seconds: u32, servers: &[Ipv6Addr]) -> Vec<u8> {
    let mut bytes = vec![25, u8::try_from(1 + 2 * servers.len()).unwrap(), 0, 0];
    bytes.extend(seconds.to_be_bytes());
    bytes.extend(servers.iter().flat_map(Ipv6Addr::octets));
    bytes
}

#[test]
fn servers_are_found_beside_other_options() {
    // DNSSL (31), then RDNSS.
    let mut options = vec![31, 2, 0, 0, 0, 0, 0, 60, 3, b'l', b'a', b'n', 0, 0, 0, 0];
    options.extend(option(600, &[server(1), Ipv6Addr::LOCALHOST, server(2)]));
    let expected = Advertised { index: 3, seconds: 600, servers: vec![server(1), server(2)] };
    assert_eq!(parse(&message(&options)), [expected]);
    // Another kind of message, of ICMP, and an option that is longer than the message.
    let mut other = message(&options);
    other[4] = 16;
    assert_eq!(parse(&other), []);
    let mut other = message(&options);
    other[24] = 137;
    assert_eq!(parse(&other), []);
    assert_eq!(parse(&message(&[25, 200, 0, 0])), []);
    assert_eq!(parse(&message(&[25, 0, 0, 0, 25, 0])), []);
}

#[test]
fn a_server_is_asked_for_as_long_as_its_router_says() {
    let (mut servers, start) = (Servers::default(), Instant::now());
    let after = |seconds| start + Duration::from_secs(seconds);
    let hear = |servers: &mut Servers, seconds, last: &[u16], at| {
        let found = last.iter().map(|last| server(*last)).collect();
        servers.hear(&Advertised { index: 3, seconds, servers: found }, after(at));
    };
    let now = |servers: &Servers| servers.addresses().collect::<Vec<_>>();
    hear(&mut servers, 10, &[1, 2, 3, 4, 5], 0);
    assert_eq!(now(&servers), [server(1), server(2), server(3)]);
    hear(&mut servers, 20, &[2], 5);
    hear(&mut servers, 0, &[1], 5);
    assert_eq!((now(&servers), servers.deadline()), (vec![server(2), server(3)], Some(after(10))));
    servers.expire(after(10));
    assert_eq!(now(&servers), [server(2)]);
    hear(&mut servers, u32::MAX, &[2], 12);
    servers.expire(after(1_000_000));
    assert_eq!((now(&servers), servers.deadline()), (vec![server(2)], None));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300), options in prop::collection::vec(any::<u8>(), 0..300)) {
        parse(&bytes);
        for advertised in parse(&message(&options)) {
            prop_assert!(advertised.servers.len() * 16 <= options.len());
        }
    }
}

//! What the unit says about itself: its addresses, and the two services that people look for.

use std::{net::IpAddr, time::Instant};

use simple_dns::{
    CLASS, Name, ResourceRecord, TYPE,
    rdata::{A, AAAA, NSEC, PTR, RData, SRV, TXT},
};

/// RFC 6762 §10: records that depend on a host's name or address, and all others.
const HOST_TTL_S: u32 = 120;
const OTHER_TTL_S: u32 = 4500;

/// Addresses beyond these are not said: all records fit into one packet of an Ethernet frame.
pub(crate) const MAX_ADDRESSES: usize = 8;

/// adit-gateway's port.
const HTTP_PORT: u16 = 80;

/// `_http._tcp` for browsers, `_adit._tcp` for programs that look for units of this kind; both lead to adit-gateway.
const SERVICES: [(&str, &str); 2] = [("_http", "path=/"), ("_adit", "api=/api/v1/status")];

/// A record and how it is used.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) record: ResourceRecord<'static>,
    pub(super) role: Role,
    /// When it was multicast last.
    pub(super) sent: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nobody else may have one of this name and type; others are told to forget older ones.
    Unique,
    /// Every host of this kind has one.
    Shared,
    /// Says that a name has no record of another type (RFC 6762 §6.1).
    Nothing,
}

/// Every record of a unit of this name. `label` is one label of a host name.
pub(super) fn records(label: &str, addresses: &[IpAddr]) -> Vec<Own> {
    let host = name(&format!("{label}.local"));
    let mut all = Vec::new();
    let mut add = |name: &Name<'static>, ttl, role, rdata| {
        let record = ResourceRecord::new(name.clone(), CLASS::IN, ttl, rdata);
        all.push(Own { record: record.with_cache_flush(role != Role::Shared), role, sent: None });
    };
    let mut types = Vec::new();
    for address in addresses.iter().take(MAX_ADDRESSES) {
        let (kind, rdata) = match address {
            IpAddr::V4(address) => (TYPE::A, RData::A(A { address: (*address).into() })),
            IpAddr::V6(address) => (TYPE::AAAA, RData::AAAA(AAAA { address: (*address).into() })),
        };
        add(&host, HOST_TTL_S, Role::Unique, rdata);
        types.push(kind);
    }
    add(&host, HOST_TTL_S, Role::Nothing, RData::NSEC(NSEC::from_types(host.clone(), &types)));
    for (service, text) in SERVICES {
        let kind = name(&format!("{service}._tcp.local"));
        let instance = name(&format!("{label}.{service}._tcp.local"));
        let all_kinds = name("_services._dns-sd._udp.local");
        let txt = TXT::new().with_string(text).expect("shorter than 256 bytes");
        let srv = SRV { priority: 0, weight: 0, port: HTTP_PORT, target: host.clone() };
        let nothing = NSEC::from_types(instance.clone(), &[TYPE::TXT, TYPE::SRV]);
        add(&kind, OTHER_TTL_S, Role::Shared, RData::PTR(PTR(instance.clone())));
        add(&all_kinds, OTHER_TTL_S, Role::Shared, RData::PTR(PTR(kind.clone())));
        add(&instance, HOST_TTL_S, Role::Unique, RData::SRV(srv));
        add(&instance, OTHER_TTL_S, Role::Unique, RData::TXT(txt));
        add(&instance, HOST_TTL_S, Role::Nothing, RData::NSEC(nothing));
    }
    all
}

fn name(text: &str) -> Name<'static> {
    Name::new(text).expect("labels are checked by adit-config").into_owned()
}

/// The label that is tried after `attempt` conflicts: NAME, NAME-2 … NAME-9, then with the port's own number, so that a hall full of units without
/// a name does not count up one by one.
pub(super) fn label(wished: &str, mac: [u8; 6], attempt: u32) -> String {
    const TRIED_BY_NUMBER: u32 = 9;
    const LONGEST: usize = 63;
    let [.., a, b, c] = mac;
    let suffix = match attempt {
        0 => String::new(),
        n if n < TRIED_BY_NUMBER => format!("-{}", n + 1),
        TRIED_BY_NUMBER => format!("-{a:02x}{b:02x}{c:02x}"),
        n => format!("-{a:02x}{b:02x}{c:02x}-{}", n - TRIED_BY_NUMBER + 1),
    };
    let kept: String = wished.chars().take(LONGEST - suffix.len()).collect();
    format!("{}{suffix}", kept.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_name_counts_up_and_then_takes_the_ports_number() {
        let mac = [2, 0, 0, 0xa1, 0xb2, 0xc3];
        let tried = |attempt| label("adit", mac, attempt);
        assert_eq!([tried(0), tried(1), tried(8)], ["adit", "adit-2", "adit-9"]);
        assert_eq!([tried(9), tried(10)], ["adit-a1b2c3", "adit-a1b2c3-2"]);
        let long = "a".repeat(63);
        for attempt in [0, 1, 9, u32::MAX] {
            assert!(label(&long, mac, attempt).len() <= 63);
        }
    }

    #[test]
    fn everything_fits_into_one_frame() {
        let addresses = [IpAddr::from([0x2001_u16, 0xdb8, 0, 0, 0, 0, 0, 1]); 100];
        let mut packet = simple_dns::Packet::new_reply(0);
        let all = records(&"a".repeat(63), &addresses);
        assert!(all.len() <= 64, "a mask of 64 bits names them");
        packet.answers = all.into_iter().map(|own| own.record).collect();
        assert!(packet.build_bytes_vec_compressed().unwrap().len() <= 1232);
    }
}

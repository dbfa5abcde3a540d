//! What the unit says about itself: its addresses, and the two services that people look for.

use std::{net::IpAddr, time::Instant};

use simple_dns::{
    CLASS, Name, QCLASS, QTYPE, Question, ResourceRecord, TYPE,
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

/// Records by their place in the list, a bit each.
pub(super) type Mask = u64;

/// Every record of a unit.
#[derive(Debug, Default)]
pub(super) struct Records(Vec<Own>);

impl Records {
    /// `label` is one label of a host name.
    pub(super) fn new(label: &str, addresses: &[IpAddr]) -> Self {
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
        Self(all)
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Own> {
        self.0.iter()
    }

    pub(super) fn mask(&self, is_in: impl Fn(&Own) -> bool) -> Mask {
        self.iter().enumerate().filter(|(_, own)| is_in(own)).fold(0, |mask, (place, _)| mask | 1 << place)
    }

    fn of(&self, mask: Mask) -> impl Iterator<Item = &Own> {
        self.iter().enumerate().filter(move |(place, _)| mask >> place & 1 == 1).map(|(_, own)| own)
    }

    /// Copies, for a packet.
    pub(super) fn pick(&self, mask: Mask) -> impl Iterator<Item = ResourceRecord<'static>> {
        self.of(mask).map(|own| own.record.clone())
    }

    pub(super) fn note_sent(&mut self, mask: Mask, now: Instant) {
        for (place, own) in self.0.iter_mut().enumerate() {
            if mask >> place & 1 == 1 {
                own.sent = Some(now);
            }
        }
    }

    /// Of those records that were there before, when they were sent.
    pub(super) fn remember_sent(&mut self, before: &Self) {
        for own in &mut self.0 {
            own.sent =
                before.iter().find(|before| before.record == own.record).and_then(|before| before.sent);
        }
    }

    pub(super) fn last_sent(&self) -> Option<Instant> {
        self.iter().filter_map(|own| own.sent).max()
    }

    /// What there is to say to a question.
    pub(super) fn answers(&self, question: &Question<'_>) -> Mask {
        if !matches!(question.qclass, QCLASS::ANY | QCLASS::CLASS(CLASS::IN)) {
            return 0;
        }
        let named = self.mask(|own| own.record.name == question.qname);
        let nothing = self.mask(|own| own.role == Role::Nothing);
        let wanted = self.mask(|own| match question.qtype {
            QTYPE::ANY => true,
            QTYPE::TYPE(kind) => own.record.rdata.type_code() == kind,
            _ => false,
        });
        match named & wanted & !nothing {
            0 => named & nothing,
            found => found,
        }
    }

    /// What whoever gets these answers will ask for next (RFC 6763 §12).
    pub(super) fn additional(&self, answers: Mask) -> Mask {
        let unique = |name: &Name<'_>| self.mask(|own| own.role == Role::Unique && own.record.name == *name);
        let mut found = 0;
        for own in self.of(answers) {
            found |= match &own.record.rdata {
                RData::PTR(target) => unique(&target.0) | self.additional(unique(&target.0)),
                RData::SRV(srv) => unique(&srv.target),
                // Of the two families, the other one (RFC 6762 §6.2); where there is none, that.
                RData::A(_) | RData::AAAA(_) => {
                    self.mask(|other| other.role != Role::Shared && other.record.name == own.record.name)
                }
                _ => 0,
            };
        }
        found & !answers
    }
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
        let all = Records::new(&"a".repeat(63), &addresses);
        assert!(all.0.len() <= 64, "a mask of 64 bits names them");
        packet.answers = all.pick(Mask::MAX).collect();
        assert!(packet.build_bytes_vec_compressed().unwrap().len() <= 1232);
    }
}

//! The responder's decisions: RFC 6762 §6 (answering), §8 (probing, announcing), §9 (conflicts). Packets and time in, packets out.
//!
//! What it keeps does not grow with what it hears: nothing of a stranger's packet is remembered but that a record of ours is to be said, or that our name is
//! contested. What it sends does not either: a record is multicast once a second at most (in defence of the name four times), and answers to single askers
//! come out of a bucket.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use adit_config::same_network;
use simple_dns::{CLASS, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE};

use super::{
    bucket::Bucket,
    packet::{canonical, readable, reply},
    records::{MAX_ADDRESSES, Mask, Own, Records, Role, label},
};

/// mDNS's port. Whoever asks from another one is a plain DNS client (§6.7).
pub(crate) const PORT: u16 = 5353;

/// §8.1: three probes, this far apart; the first one after a random part of it, for units that were switched on together.
const PROBES: u8 = 3;
const PROBE_PAUSE: Duration = Duration::from_millis(250);
/// §8.2: whoever loses against a probe of the same moment.
const LOST_PAUSE: Duration = Duration::from_secs(1);
/// §8.1: from so many conflicts on, each costs this long. They are forgotten after a quiet time.
const MANY_CONFLICTS: u32 = 15;
const CONFLICT_PAUSE: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_secs(60);
/// §8.3: two announcements.
const ANNOUNCEMENTS: u8 = 2;
const ANNOUNCE_PAUSE: Duration = Duration::from_secs(1);
/// §6: a record is not multicast again within this time; the second is for the defence against a probe.
const REPEAT_PAUSE: Duration = Duration::from_secs(1);
const DEFENCE_PAUSE: Duration = Duration::from_millis(250);
/// §6: answers that others may give too are delayed by a random time.
const SHARED_DELAY_MS: std::ops::Range<u64> = 20..120;
/// §6.7: a plain DNS client must not keep an answer for longer.
const LEGACY_TTL_S: u32 = 10;
/// Answers to single askers, a second.
const UNICAST_RATE: u32 = 10;

/// An address of the unit with the bits of its network.
pub type Address = (IpAddr, u8);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is no address.
    Idle,
    Probing {
        sent: u8,
        next: Instant,
    },
    Announcing {
        sent: u8,
        next: Instant,
    },
    Established,
}

/// What is to be multicast, and when.
#[derive(Debug, Clone, Copy)]
struct Pending {
    at: Instant,
    answers: Mask,
    additional: Mask,
    /// Somebody probes for our name.
    defence: bool,
}

/// Answers for one name on one interface.
#[derive(Debug)]
pub struct Responder {
    wished: String,
    mac: [u8; 6],
    attempt: u32,
    label: String,
    addresses: Vec<Address>,
    own: Records,
    phase: Phase,
    pending: Option<Pending>,
    conflicts: u32,
    last_conflict: Option<Instant>,
    unicast: Bucket,
}

impl Responder {
    /// `wished`: one label of a host name. Silent until it has addresses.
    pub fn new(wished: &str, mac: [u8; 6], now: Instant) -> Self {
        Self {
            wished: wished.to_owned(),
            mac,
            attempt: 0,
            label: wished.to_owned(),
            addresses: Vec::new(),
            own: Records::default(),
            phase: Phase::Idle,
            pending: None,
            conflicts: 0,
            last_conflict: None,
            unicast: Bucket::new(UNICAST_RATE, now),
        }
    }

    /// The name that the unit answers to, `NAME.local`; none while it is not settled.
    pub fn name(&self) -> Option<String> {
        matches!(self.phase, Phase::Announcing { .. } | Phase::Established)
            .then(|| format!("{}.local", self.label))
    }

    /// The unit's addresses now. New ones are announced; the first ones begin with probing.
    pub fn set_addresses(&mut self, mut addresses: Vec<Address>, now: Instant) {
        addresses.truncate(MAX_ADDRESSES);
        if addresses == self.addresses {
            return;
        }
        self.addresses = addresses;
        self.rebuild();
        self.phase = match self.phase {
            _ if self.addresses.is_empty() => Phase::Idle,
            Phase::Idle => probing(now),
            Phase::Probing { .. } => self.phase,
            // Whoever sends router advertisements can change addresses as often as they like.
            _ => {
                let next = self.own.last_sent().map_or(now, |last| now.max(last + ANNOUNCE_PAUSE));
                Phase::Announcing { sent: 0, next }
            }
        };
    }

    /// The cable was out: this may be another network, and the name is asked for anew.
    pub fn begin_again(&mut self, now: Instant) {
        self.attempt = 0;
        self.rebuild();
        if self.phase != Phase::Idle {
            self.phase = probing(now);
        }
    }

    /// When [`Self::tick`] wants to be called.
    pub fn deadline(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Probing { next, .. } | Phase::Announcing { next, .. } => Some(next),
            Phase::Idle | Phase::Established => None,
        };
        [phase, self.pending.map(|pending| pending.at)].into_iter().flatten().min()
    }

    /// What is to be multicast now: a packet at most.
    pub fn tick(&mut self, now: Instant) -> Option<Vec<u8>> {
        match self.phase {
            Phase::Probing { sent, next } if next <= now => {
                if sent == PROBES {
                    self.phase = Phase::Announcing { sent: 0, next: now };
                    return None;
                }
                self.phase = Phase::Probing { sent: sent + 1, next: now + PROBE_PAUSE };
                Some(self.probe())
            }
            Phase::Announcing { sent, next } if next <= now => {
                self.phase = match sent + 1 {
                    ANNOUNCEMENTS => Phase::Established,
                    sent => Phase::Announcing { sent, next: now + ANNOUNCE_PAUSE },
                };
                let all = self.own.mask(|own| own.role != Role::Nothing);
                self.multicast(all, 0, now)
            }
            _ => {
                let pending = self.pending.take_if(|pending| pending.at <= now)?;
                let pause = if pending.defence { DEFENCE_PAUSE } else { REPEAT_PAUSE };
                let fresh =
                    self.own.mask(|own| own.sent.is_none_or(|sent| now.duration_since(sent) >= pause));
                self.multicast(pending.answers & fresh, pending.additional & fresh & !pending.answers, now)
            }
        }
    }

    /// Takes the name back (§10.1): for a unit that goes down in order.
    pub fn goodbye(&self) -> Option<Vec<u8>> {
        self.name()?;
        let mut packet = reply(0);
        packet.answers = self.own.pick(self.own.mask(|own| own.role != Role::Nothing)).collect();
        packet.answers.iter_mut().for_each(|record| record.ttl = 0);
        packet.build_bytes_vec_compressed().ok()
    }

    /// A packet that came in on the interface. What comes back goes to its sender alone.
    pub fn receive(&mut self, bytes: &[u8], from: SocketAddr, now: Instant) -> Option<Vec<u8>> {
        if self.phase == Phase::Idle {
            return None;
        }
        let bytes = readable(bytes)?;
        let packet = Packet::parse(&bytes).ok()?;
        // §18.3, §18.11: anything else is of a protocol to come.
        if packet.opcode() != OPCODE::StandardQuery || packet.rcode() != RCODE::NoError {
            return None;
        }
        if packet.has_flags(PacketFlag::RESPONSE) {
            // §6: an answer from another port is none.
            if from.port() == PORT {
                self.hear_answer(&packet, now);
            }
            return None;
        }
        match self.phase {
            Phase::Probing { .. } => {
                self.hear_probe(&packet, now);
                None
            }
            _ => self.hear_question(&packet, from, now),
        }
    }

    /// Somebody says something about a name: is it ours?
    fn hear_answer(&mut self, packet: &Packet<'_>, now: Instant) {
        let is_probing = matches!(self.phase, Phase::Probing { .. });
        let is_contested = packet.answers.iter().any(|theirs| {
            let is_negative = theirs.rdata.type_code() == TYPE::NSEC;
            let is_ours = |own: &Own| {
                let same_type = own.record.rdata.type_code() == theirs.rdata.type_code();
                own.role == Role::Unique && own.record.name == theirs.name && (is_probing || same_type)
            };
            theirs.class == CLASS::IN
                && theirs.ttl > 0
                && !is_negative
                && self.own.iter().any(is_ours)
                && !self.own.iter().any(|own| own.record == *theirs)
        });
        if !is_contested {
            return;
        }
        // §9: a name that was ours is asked for again; whoever has it too will say so to the probe, and keep it.
        if is_probing {
            self.attempt = self.attempt.saturating_add(1);
            self.rebuild();
        }
        if self.last_conflict.is_none_or(|last| now.duration_since(last) > QUIET) {
            self.conflicts = 0;
        }
        self.conflicts = self.conflicts.saturating_add(1);
        self.last_conflict = Some(now);
        // Nothing is said under a name that may be another's.
        self.pending = None;
        self.phase = match self.conflicts {
            ..MANY_CONFLICTS => probing(now),
            _ => Phase::Probing { sent: 0, next: now + CONFLICT_PAUSE },
        };
    }

    /// §8.2: two that probe for a name at the same moment; the later records in the order of their bytes win.
    fn hear_probe(&mut self, packet: &Packet<'_>, now: Instant) {
        let theirs = packet.name_servers.iter().filter(|record| record.class == CLASS::IN);
        let ours = self.own.iter().filter(|own| own.role == Role::Unique).map(|own| &own.record);
        // The host's name decides where both want it: were each name judged for itself, both could lose one.
        for name in ours.clone().map(|record| &record.name) {
            let in_order = |records: Vec<&ResourceRecord<'_>>| {
                let mut all: Vec<_> = records.into_iter().filter_map(canonical).collect();
                all.sort();
                all
            };
            let theirs = in_order(theirs.clone().filter(|record| record.name == *name).collect());
            if theirs.is_empty() {
                continue;
            }
            if theirs > in_order(ours.clone().filter(|record| record.name == *name).collect()) {
                self.phase = Phase::Probing { sent: 0, next: now + LOST_PAUSE };
            }
            return;
        }
    }

    fn hear_question(&mut self, packet: &Packet<'_>, from: SocketAddr, now: Instant) -> Option<Vec<u8>> {
        let is_legacy = from.port() != PORT;
        let (mut multicast, mut unicast) = (0, 0);
        let is_known = |own: &Own| {
            let is_fresh = |known: &&ResourceRecord<'_>| known.ttl >= own.record.ttl / 2;
            packet.answers.iter().filter(is_fresh).any(|known| *known == own.record)
        };
        let known = if is_legacy { 0 } else { self.own.mask(is_known) };
        for question in &packet.questions {
            let answers = self.own.answers(question) & !known;
            if is_legacy {
                unicast |= answers;
            } else if question.unicast_response {
                // §5.4: what was not multicast for a quarter of its life is, so that every cache has it.
                let recent = |own: &Own| {
                    let life = Duration::from_secs(u64::from(own.record.ttl));
                    own.sent.is_some_and(|sent| now.duration_since(sent) < life / 4)
                };
                let recent = self.own.mask(recent);
                unicast |= answers & recent;
                multicast |= answers & !recent;
            } else {
                multicast |= answers;
            }
        }
        if multicast != 0 {
            self.schedule(multicast, !packet.name_servers.is_empty(), now);
        }
        // Answers to addresses outside of the link would make the unit a mirror for floods (§11).
        if unicast == 0 || !self.is_on_link(from.ip()) || !self.unicast.take(now) {
            return None;
        }
        let mut answer = reply(if is_legacy { packet.id() } else { 0 });
        answer.answers = self.own.pick(unicast).collect();
        answer.additional_records = self.own.pick(self.own.additional(unicast) & !unicast).collect();
        if is_legacy {
            answer.questions.clone_from(&packet.questions);
            for record in answer.answers.iter_mut().chain(&mut answer.additional_records) {
                record.ttl = record.ttl.min(LEGACY_TTL_S);
                record.cache_flush = false;
            }
        }
        answer.build_bytes_vec_compressed().ok()
    }

    fn schedule(&mut self, answers: Mask, defence: bool, now: Instant) {
        let shared = self.own.mask(|own| own.role == Role::Shared);
        let delay = if answers & shared == 0 { 0 } else { fastrand::u64(SHARED_DELAY_MS) };
        let at = now + Duration::from_millis(delay);
        let additional = self.own.additional(answers);
        let before = self.pending.unwrap_or(Pending { at, answers: 0, additional: 0, defence: false });
        self.pending = Some(Pending {
            at: before.at.min(at),
            answers: before.answers | answers,
            additional: before.additional | additional,
            defence: before.defence || defence,
        });
    }

    fn multicast(&mut self, answers: Mask, additional: Mask, now: Instant) -> Option<Vec<u8>> {
        if answers == 0 {
            return None;
        }
        let mut packet = reply(0);
        packet.answers = self.own.pick(answers).collect();
        packet.additional_records = self.own.pick(additional).collect();
        self.own.note_sent(answers | additional, now);
        packet.build_bytes_vec_compressed().ok()
    }

    /// §8.1: whether anybody has the names, and what we would say under them.
    fn probe(&self) -> Vec<u8> {
        let mut packet = Packet::new_query(0);
        for own in self.own.iter().filter(|own| own.role == Role::Unique) {
            if !packet.questions.iter().any(|question| question.qname == own.record.name) {
                // Answers by multicast: one by unicast could end at another program of the unit that uses this port too.
                let (any, class) = (QTYPE::ANY, QCLASS::CLASS(CLASS::IN));
                packet.questions.push(Question::new(own.record.name.clone(), any, class, false));
            }
            packet.name_servers.push(own.record.clone().with_cache_flush(false));
        }
        packet.build_bytes_vec_compressed().expect("our own records can be written")
    }

    fn rebuild(&mut self) {
        self.label = label(&self.wished, self.mac, self.attempt);
        let addresses: Vec<IpAddr> = self.addresses.iter().map(|(address, _)| *address).collect();
        let before = std::mem::replace(&mut self.own, Records::new(&self.label, &addresses));
        self.own.remember_sent(&before);
        self.pending = None;
    }

    fn is_on_link(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => true,
            _ => self.addresses.iter().any(|(own, prefix)| same_network(*own, ip, *prefix)),
        }
    }
}

fn probing(now: Instant) -> Phase {
    let part = fastrand::u64(0..PROBE_PAUSE.as_millis() as u64);
    Phase::Probing { sent: 0, next: now + Duration::from_millis(part) }
}

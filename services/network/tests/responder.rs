//! What the responder says to packets, without a network: the rules of RFC 6762 at given moments.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use adit_network::mdns::responder::Responder;
use proptest::prelude::*;
use simple_dns::{
    CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, ResourceRecord, TYPE,
    rdata::{A, RData},
};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OURS: Ipv4Addr = Ipv4Addr::new(169, 254, 99, 200);
/// Somebody on the link that speaks multicast DNS, and a plain DNS client.
const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(169, 254, 200, 50)), 5353);
const CLIENT: SocketAddr = SocketAddr::new(PEER.ip(), 40000);

struct Clock(Instant);

impl Clock {
    /// Lets the responder do what it does until it has nothing to do, for `limit` at most; returns when each packet was sent.
    fn run(&mut self, responder: &mut Responder, limit: Duration) -> Vec<(Duration, Vec<u8>)> {
        let (start, mut sent) = (self.0, Vec::new());
        while let Some(next) = responder.deadline().filter(|next| *next <= start + limit) {
            self.0 = self.0.max(next);
            sent.extend(responder.tick(self.0).map(|packet| (self.0 - start, packet)));
        }
        self.0 = start + limit;
        sent
    }
}

fn responder(clock: &Clock) -> Responder {
    let mut responder = Responder::new("MyPrinter", MAC, clock.0);
    responder.set_addresses(vec![(OURS.into(), 16)], clock.0);
    responder
}

fn established() -> (Responder, Clock) {
    let mut clock = Clock(Instant::now());
    let mut responder = responder(&clock);
    clock.run(&mut responder, Duration::from_secs(60));
    (responder, clock)
}

fn record(name: &'static str, address: Ipv4Addr) -> ResourceRecord<'static> {
    ResourceRecord::new(Name::new(name).unwrap(), CLASS::IN, 120, RData::A(A { address: address.into() }))
}

fn question(name: &'static str, kind: TYPE, unicast: bool) -> Packet<'static> {
    let mut packet = Packet::new_query(0);
    let name = Name::new(name).unwrap();
    packet.questions.push(Question::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), unicast));
    packet
}

fn bytes(packet: &Packet<'_>) -> Vec<u8> {
    packet.build_bytes_vec_compressed().unwrap()
}

/// What another host says that has `name`.
fn claim(name: &'static str, address: Ipv4Addr) -> Vec<u8> {
    let mut packet = Packet::new_reply(0);
    packet.answers.push(record(name, address));
    bytes(&packet)
}

#[test]
fn a_name_is_asked_for_three_times_and_announced_twice() {
    let mut clock = Clock(Instant::now());
    let mut responder = responder(&clock);
    assert_eq!(responder.name(), None);
    let sent = clock.run(&mut responder, Duration::from_secs(10));
    assert_eq!(sent.len(), 5);
    let first = sent[0].0;
    let after: Vec<_> = sent.iter().map(|(at, _)| (*at - first).as_millis()).collect();
    assert!(first < Duration::from_millis(250) && after == [0, 250, 500, 750, 1750], "{first:?} {after:?}");
    for (_, probe) in &sent[..3] {
        let probe = Packet::parse(probe).unwrap();
        assert!(!probe.has_flags(PacketFlag::RESPONSE) && probe.answers.is_empty());
        assert!(probe.questions.iter().all(|question| question.qtype == QTYPE::ANY));
        assert!(probe.name_servers.contains(&record("MyPrinter.local", OURS)));
        assert!(probe.name_servers.iter().all(|record| !record.cache_flush));
    }
    let announced = Packet::parse(&sent[4].1).unwrap();
    assert!(announced.has_flags(PacketFlag::RESPONSE | PacketFlag::AUTHORITATIVE_ANSWER));
    // Ours alone: others forget older ones. Shared ones (PTR) leave other hosts' alone.
    assert!(
        announced.answers.iter().all(|record| record.cache_flush == (record.rdata.type_code() != TYPE::PTR))
    );
    assert_eq!(responder.name().as_deref(), Some("MyPrinter.local"));
}

/// The example of RFC 6762 §8.2: the host with 169.254.200.50 wins over the one with 169.254.99.200.
#[test]
fn of_two_probes_at_one_moment_the_later_address_wins() {
    for (theirs, first_ms) in [("169.254.200.50", 1000), ("169.254.99.199", 0), ("169.254.99.200", 0)] {
        let mut clock = Clock(Instant::now());
        let mut responder = responder(&clock);
        clock.run(&mut responder, Duration::from_millis(300));
        let mut probe = question("myprinter.LOCAL", TYPE::A, false);
        probe.name_servers.push(record("MyPrinter.local", theirs.parse().unwrap()));
        assert_eq!(responder.receive(&bytes(&probe), PEER, clock.0), None);
        let next = responder.deadline().unwrap() - clock.0;
        let (least, most) = (Duration::from_millis(first_ms), Duration::from_millis(first_ms + 250));
        assert!((least..=most).contains(&next), "{theirs}: {next:?}");
        clock.run(&mut responder, Duration::from_secs(60));
        assert_eq!(responder.name().as_deref(), Some("MyPrinter.local"), "nobody has it in the end");
    }
}

#[test]
fn a_name_that_is_taken_is_left_and_one_that_is_contested_is_asked_for_again() {
    let mut clock = Clock(Instant::now());
    let mut responder = responder(&clock);
    clock.run(&mut responder, Duration::from_millis(300));
    responder.receive(&claim("myprinter.local", Ipv4Addr::new(169, 254, 1, 1)), PEER, clock.0);
    clock.run(&mut responder, Duration::from_secs(10));
    assert_eq!(responder.name().as_deref(), Some("MyPrinter-2.local"));
    responder.receive(&claim("MyPrinter-2.local", Ipv4Addr::new(169, 254, 1, 1)), PEER, clock.0);
    assert_eq!(responder.name(), None);
    clock.run(&mut responder, Duration::from_secs(10));
    assert_eq!(responder.name().as_deref(), Some("MyPrinter-2.local"), "nobody defended it");
    // The same address (a mirror of our own packet), a farewell, another name, an answer from another port.
    let mut farewell = Packet::new_reply(0);
    farewell.answers.push(record("MyPrinter-2.local", Ipv4Addr::new(169, 254, 1, 1)));
    farewell.answers[0].ttl = 0;
    for (packet, from) in [
        (claim("MyPrinter-2.local", OURS), PEER),
        (bytes(&farewell), PEER),
        (claim("other.local", Ipv4Addr::new(169, 254, 1, 1)), PEER),
        (claim("MyPrinter-2.local", Ipv4Addr::new(169, 254, 1, 1)), CLIENT),
    ] {
        responder.receive(&packet, from, clock.0);
        assert!(responder.name().is_some());
    }
}

#[test]
fn who_takes_every_name_costs_little() {
    let mut clock = Clock(Instant::now());
    let mut responder = responder(&clock);
    let mut packets = 0;
    for _ in 0..600 {
        packets += clock.run(&mut responder, Duration::from_millis(500)).len();
        let label = format!("{}.local", responder.name().unwrap_or_default().trim_end_matches(".local"));
        let name: &'static str = Box::leak(label.into_boxed_str());
        responder.receive(&claim(name, Ipv4Addr::new(169, 254, 1, 1)), PEER, clock.0);
    }
    assert!(packets < 600, "{packets} packets in five minutes");
}

#[test]
fn nothing_is_said_under_a_name_that_is_contested() {
    let (mut responder, mut clock) = established();
    let ask = bytes(&question("_adit._tcp.local", TYPE::PTR, false));
    assert_eq!(responder.receive(&ask, PEER, clock.0), None);
    responder.receive(&claim("MyPrinter.local", Ipv4Addr::new(169, 254, 1, 1)), PEER, clock.0);
    // The answer would have gone out after 120 ms at most; three probes are done after a second.
    for (_, packet) in clock.run(&mut responder, Duration::from_millis(700)) {
        assert!(!Packet::parse(&packet).unwrap().has_flags(PacketFlag::RESPONSE));
    }
}

/// Router advertisements of strangers make addresses come and go.
#[test]
fn addresses_that_come_and_go_are_told_once_a_second() {
    let (mut responder, mut clock) = established();
    let ask = bytes(&question("_adit._tcp.local", TYPE::PTR, false));
    let mut sent = 0;
    for round in 0..100u8 {
        let other = Ipv4Addr::new(169, 254, 7, round % 2);
        responder.set_addresses(vec![(OURS.into(), 16), (other.into(), 16)], clock.0);
        responder.receive(&ask, PEER, clock.0);
        sent += clock.run(&mut responder, Duration::from_millis(50)).len();
    }
    // Five seconds.
    assert!((1..=12).contains(&sent), "{sent} packets");
    let told = clock.run(&mut responder, Duration::from_secs(3));
    let last = Packet::parse(&told.last().unwrap().1).unwrap();
    assert!(last.answers.contains(&record("MyPrinter.local", Ipv4Addr::new(169, 254, 7, 1))));
}

#[test]
fn questions_are_answered_once_a_second_and_known_answers_not_at_all() {
    let (mut responder, mut clock) = established();
    let ask = bytes(&question("MYPRINTER.local", TYPE::A, false));
    assert_eq!(responder.receive(&ask, PEER, clock.0), None);
    let sent = clock.run(&mut responder, Duration::from_millis(100));
    let answer = Packet::parse(&sent[0].1).unwrap();
    assert_eq!(
        (sent.len(), sent[0].0, &answer.answers),
        (1, Duration::ZERO, &vec![record("MyPrinter.local", OURS)])
    );
    for _ in 0..500 {
        responder.receive(&ask, PEER, clock.0);
        assert!(clock.run(&mut responder, Duration::from_millis(1)).is_empty());
    }
    clock.0 += Duration::from_secs(1);
    let mut knows = question("MyPrinter.local", TYPE::A, false);
    knows.answers.push(record("MyPrinter.local", OURS));
    responder.receive(&bytes(&knows), PEER, clock.0);
    assert!(clock.run(&mut responder, Duration::from_secs(1)).is_empty());
    // Half of its life is over: said again.
    knows.answers[0].ttl = 59;
    responder.receive(&bytes(&knows), PEER, clock.0);
    assert_eq!(clock.run(&mut responder, Duration::from_secs(1)).len(), 1);
}

#[test]
fn a_type_that_is_not_there_is_denied_and_a_name_that_is_not_ours_is_left_alone() {
    let (mut responder, mut clock) = established();
    responder.receive(&bytes(&question("MyPrinter.local", TYPE::AAAA, false)), PEER, clock.0);
    let sent = clock.run(&mut responder, Duration::from_secs(1));
    let answer = Packet::parse(&sent[0].1).unwrap();
    let [only] = &answer.answers[..] else { panic!("{answer:?}") };
    assert!(matches!(&only.rdata, RData::NSEC(nsec) if nsec.contains(TYPE::A) && !nsec.contains(TYPE::AAAA)));
    for name in ["MyPrinter-2.local", "MyPrinter", "local", "_printer._tcp.local"] {
        responder.receive(&bytes(&question(name, TYPE::A, false)), PEER, clock.0);
        assert!(clock.run(&mut responder, Duration::from_secs(1)).is_empty(), "{name}");
    }
}

#[test]
fn a_browser_gets_everything_with_the_pointer_after_a_moment() {
    let (mut responder, mut clock) = established();
    responder.receive(&bytes(&question("_adit._tcp.local", TYPE::PTR, false)), PEER, clock.0);
    let sent = clock.run(&mut responder, Duration::from_secs(1));
    assert!((20..120).contains(&sent[0].0.as_millis()), "{:?}", sent[0].0);
    let answer = Packet::parse(&sent[0].1).unwrap();
    let RData::PTR(instance) = &answer.answers[0].rdata else { panic!("{answer:?}") };
    assert_eq!(instance.0.to_string(), "MyPrinter._adit._tcp.local");
    let mut kinds: Vec<_> = answer.additional_records.iter().map(|record| record.rdata.type_code()).collect();
    kinds.sort_by_key(|kind| u16::from(*kind));
    assert_eq!(kinds, [TYPE::A, TYPE::TXT, TYPE::SRV]);
    responder.receive(&bytes(&question("_services._dns-sd._udp.local", TYPE::PTR, false)), PEER, clock.0);
    let sent = clock.run(&mut responder, Duration::from_secs(1));
    assert_eq!(Packet::parse(&sent[0].1).unwrap().answers.len(), 2);
}

#[test]
fn a_plain_client_gets_its_own_answer_and_a_stranger_from_elsewhere_none() {
    let (mut responder, mut clock) = established();
    let mut ask = question("MyPrinter.local", TYPE::A, false);
    ask.set_id(0x4711);
    let answer = responder.receive(&bytes(&ask), CLIENT, clock.0).unwrap();
    let answer = Packet::parse(&answer).unwrap();
    assert_eq!((answer.id(), answer.questions.len(), answer.answers.len()), (0x4711, 1, 1));
    assert!(answer.answers[0].ttl <= 10 && !answer.answers[0].cache_flush);
    assert!(clock.run(&mut responder, Duration::from_secs(1)).is_empty());
    let elsewhere = SocketAddr::from(([198, 51, 100, 7], 40000));
    assert_eq!(responder.receive(&bytes(&ask), elsewhere, clock.0), None);
    let answers = (0..1000).filter(|_| responder.receive(&bytes(&ask), CLIENT, clock.0).is_some()).count();
    assert!(answers <= 10, "{answers}");
}

#[test]
fn a_probe_for_our_name_is_answered_at_once() {
    let (mut responder, mut clock) = established();
    responder.receive(&bytes(&question("MyPrinter.local", TYPE::A, false)), PEER, clock.0);
    assert_eq!(clock.run(&mut responder, Duration::from_millis(300)).len(), 1);
    let mut probe = question("MyPrinter.local", TYPE::A, true);
    probe.name_servers.push(record("MyPrinter.local", Ipv4Addr::new(169, 254, 200, 50)));
    let alone = responder.receive(&bytes(&probe), PEER, clock.0);
    assert!(alone.is_some(), "it asked for an answer to itself");
    probe.questions[0].unicast_response = false;
    responder.receive(&bytes(&probe), PEER, clock.0);
    let sent = clock.run(&mut responder, Duration::from_millis(300));
    assert_eq!(sent.len(), 1, "within the second, for defence");
}

#[test]
fn a_farewell_takes_every_record_back() {
    let (responder, _) = established();
    let farewell = responder.goodbye().unwrap();
    let farewell = Packet::parse(&farewell).unwrap();
    assert!(farewell.answers.len() >= 9 && farewell.answers.iter().all(|record| record.ttl == 0));
}

/// python-zeroconf 0.47's defence of a service's name, as captured: its NSEC record is malformed.
#[test]
fn a_claim_counts_though_another_record_of_its_packet_is_malformed() {
    let mut clock = Clock(Instant::now());
    let mut responder = Responder::new("rack1-unit7", MAC, clock.0);
    responder.set_addresses(vec![(OURS.into(), 16)], clock.0);
    clock.run(&mut responder, Duration::from_millis(300));
    let packet = b"\0\0\x84\0\0\0\0\x02\0\0\0\x02\x0brack1-unit7\x05_http\x04_tcp\x05local\0\0\x10\x80\x01\0\0\x11\x94\0\0\
        \xc0\x0c\0!\x80\x01\0\0\0x\0\x10\0\0\0\0\0P\x07printer\xc0#\xc0F\0\x01\x80\x01\0\0\0x\0\x04\n\x07\0\x01\
        \xc0F\0/\x80\x01\0\0\x11\x94\0\n\xc0F\0\0\0\x04\0\0\0\x08";
    assert!(Packet::parse(packet).is_err());
    responder.receive(packet, PEER, clock.0);
    clock.run(&mut responder, Duration::from_secs(10));
    assert_eq!(responder.name().as_deref(), Some("rack1-unit7-2.local"));
}

#[test]
fn counts_that_a_packet_cannot_hold_are_not_believed() {
    let (mut responder, clock) = established();
    let mut packet = bytes(&question("MyPrinter.local", TYPE::A, false));
    packet[6..10].fill(0xff);
    assert_eq!(responder.receive(&packet, CLIENT, clock.0), None);
}

proptest! {
    #[test]
    fn whatever_comes_in_little_goes_out(
        packets in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200), any::<bool>(), any::<bool>()), 1..60),
    ) {
        let (mut responder, mut clock) = established();
        let (ask, mut sent, mut answered) = (bytes(&question("MyPrinter.local", TYPE::A, false)), 0, 0);
        for (junk, is_peer, has_question) in packets {
            // Junk behind a header and a question that would be answered, or alone.
            let mut packet = if has_question { ask.clone() } else { Vec::new() };
            packet.extend(&junk);
            if let (true, Some(&[a, b, ..])) = (has_question, junk.get(..2)) {
                (packet[7], packet[9]) = (a % 4, b % 4);
            }
            let from = if is_peer { PEER } else { CLIENT };
            answered += usize::from(responder.receive(&packet, from, clock.0).is_some());
            sent += clock.run(&mut responder, Duration::from_millis(10)).len();
        }
        // 600 ms at most.
        prop_assert!(sent <= 4 && answered <= 16, "{} {}", sent, answered);
    }
}

//! Packets as bytes: what of a stranger's is looked at, how ours begin, and how two that probe are compared.

use simple_dns::{Name, Packet, PacketFlag, ResourceRecord};

/// Packets of more than an Ethernet frame's content are not read.
pub(super) const LONGEST_PACKET: usize = 1500;

const HEADER: usize = 12;

/// An answer that is empty yet.
pub(super) fn reply(id: u16) -> Packet<'static> {
    let mut packet = Packet::new_reply(id);
    packet.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    packet
}

/// The part of a packet that is of use here, with its header's counts made to fit; none of one that cannot be.
///
/// The parser refuses a packet for one record that it does not understand, and reserves memory by the counts. Records that only come along are where
/// others err (python-zeroconf 0.47 writes NSEC wrongly), and whoever has a name says so in the answers: of an answer only those are read, of a
/// question all but the additional records.
pub(super) fn readable(bytes: &[u8]) -> Option<Vec<u8>> {
    /// A question for the root's name.
    const SHORTEST: usize = 5;
    if !(HEADER..=LONGEST_PACKET).contains(&bytes.len()) {
        return None;
    }
    let mut bytes = bytes.to_vec();
    let is_answer = bytes[2] & 0x80 != 0;
    bytes[if is_answer { 8 } else { 10 }..HEADER].fill(0);
    let all: usize = bytes[4..HEADER]
        .chunks_exact(2)
        .map(|pair| usize::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    (all * SHORTEST <= bytes.len() - HEADER).then_some(bytes)
}

/// Class, type and content as RFC 6762 §8.2 compares them: names in the content are not compressed.
pub(super) fn canonical(record: &ResourceRecord<'_>) -> Option<(u16, u16, Vec<u8>)> {
    // The root's name, type, class, life and length come before the content.
    const BEFORE: usize = HEADER + 1 + 10;
    let mut packet = Packet::new_reply(0);
    let mut record = record.clone();
    let (class, kind) = (record.class as u16, record.rdata.type_code().into());
    record.name = Name::new_with_labels(&[]);
    packet.answers.push(record);
    let bytes = packet.build_bytes_vec().ok()?;
    Some((class, kind, bytes.get(BEFORE..)?.to_vec()))
}

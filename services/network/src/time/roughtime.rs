//! Roughtime (RFC 10049): a question, and a signed answer that only the owner of a pinned key can have made for it. Pure.
//!
//! Packets are taken apart by `roughenough-protocol`; what makes an answer valid (RFC 10049 §5.4) is checked here.

use std::time::Duration;

use ed25519_dalek::{Signature, VerifyingKey};
use roughenough_protocol::{
    FromFrame, ToFrame,
    cursor::ParseCursor,
    error::Error,
    header::find_value_range,
    request::Request,
    response::Response,
    tag::Tag,
    tags::{Nonce, ProtocolVersion, SrvCommitment},
    wire::FRAME_OVERHEAD,
};
use sha2::{Digest, Sha512};

use super::interval::{Interval, Micros, micros};

/// Longest answer that is read: an Ethernet frame's, which is more than a server may send (no more than the question's 1024).
pub const LONGEST_ANSWER: usize = 1_472;
/// Version 1, and the number that the drafts before it used: servers of both kinds are in service, and only context strings differ.
const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::RFC, ProtocolVersion::DRAFT];
/// A server that doubts itself more than this, seconds, says too little.
const MOST_RADIUS_S: u32 = 60;
/// 9999-12-31: later than any limit that an answer is held against, and far from overflow.
const LAST_MIDPOINT_S: u64 = 253_402_300_799;
/// A slower answer says too little.
const MOST_DELAY: Duration = Duration::from_secs(3);

/// Why an answer does not count.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    #[error("{0}")]
    Malformed(#[from] Error),
    #[error("it answers another question")]
    Nonce,
    #[error("its certificate is not signed by the pinned key")]
    Certificate,
    #[error("its time is not signed by the key of its certificate")]
    Time,
    #[error("its proof does not lead from our question to what is signed")]
    Proof,
    #[error("a time outside of its certificate's")]
    Validity,
    #[error("a radius of {0} s")]
    Radius(u32),
    #[error("an absurd time")]
    Absurd,
    #[error("more than {} ms on the way", MOST_DELAY.as_millis())]
    Delay,
}

/// A question of 1024 bytes to the server of this key. `nonce` must be random: it is what keeps an old answer from counting.
pub fn question(nonce: [u8; 32], key: &VerifyingKey) -> Vec<u8> {
    let server = SrvCommitment::from(hash(&[SrvCommitment::HASH_PREFIX_SRV, key.as_bytes()]));
    Request::new_with_server_and_versions(&Nonce::from(nonce), &server, &VERSIONS)
        .as_frame_bytes()
        .expect("a question of fixed size fits its own buffer")
}

/// When the crystal's count was zero, by this answer to `question`. `sent` and `received` are its counts.
pub fn answer(
    packet: &[u8],
    question: &[u8],
    key: &VerifyingKey,
    sent: Duration,
    received: Duration,
) -> Result<Interval, Rejected> {
    let mut copy = packet.to_vec();
    let response = Response::from_frame(&mut ParseCursor::new(&mut copy))?;
    let asked = Request::from_frame(&mut ParseCursor::new(&mut question.to_vec()))?;
    if response.nonc() != asked.nonc() {
        return Err(Rejected::Nonce);
    }
    // Signatures are over the bytes as they came, tags that we do not know included.
    let message = packet.get(FRAME_OVERHEAD..).unwrap_or_default();
    let (delegation, time) = (
        &message[find_value_range(message, &[Tag::CERT, Tag::DELE])?],
        &message[find_value_range(message, &[Tag::SREP])?],
    );
    let (cert, srep) = (response.cert(), response.srep());
    // A version that we did not offer has not been parsed.
    let version = srep.ver();
    if !signed(key, version.dele_prefix(), delegation, cert.sig().as_ref()) {
        return Err(Rejected::Certificate);
    }
    let online = cert.dele().pubk().as_ref().try_into().ok();
    let online = online.and_then(|bytes| VerifyingKey::from_bytes(bytes).ok()).ok_or(Rejected::Time)?;
    if !signed(&online, version.srep_prefix(), time, response.sig().as_ref()) {
        return Err(Rejected::Time);
    }
    if root(question, response.indx(), response.path().elements()) != Some(*srep.root().as_ref()) {
        return Err(Rejected::Proof);
    }
    if !(cert.dele().mint()..=cert.dele().maxt()).contains(&srep.midp()) {
        return Err(Rejected::Validity);
    }
    if !(1..=MOST_RADIUS_S).contains(&srep.radi()) {
        return Err(Rejected::Radius(srep.radi()));
    }
    let middle = Some(srep.midp()).filter(|seconds| *seconds <= LAST_MIDPOINT_S).ok_or(Rejected::Absurd)?;
    if received.saturating_sub(sent) > MOST_DELAY {
        return Err(Rejected::Delay);
    }
    let middle = Micros::try_from(middle).expect("checked above") * 1_000_000;
    let radius = Micros::from(srep.radi()) * 1_000_000;
    // The server looked at its clock some time between question and answer; whole seconds hide up to one more.
    Ok(Interval {
        earliest: middle - radius - micros(received),
        latest: middle + radius + 1_000_000 - micros(sent),
    })
}

fn signed(key: &VerifyingKey, context: &[u8], value: &[u8], signature: &[u8]) -> bool {
    Signature::from_slice(signature)
        .is_ok_and(|signature| key.verify_strict(&[context, value].concat(), &signature).is_ok())
}

/// The first half of SHA-512.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha512::new();
    parts.iter().for_each(|part| hash.update(part));
    *hash.finalize().first_chunk().expect("SHA-512 has 64 bytes")
}

/// The Merkle tree's root that leaf `index` and its path lead to (RFC 10049 §5.3.1); none when the index does not fit the path.
fn root<'a>(leaf: &[u8], mut index: u32, path: impl Iterator<Item = &'a [u8]>) -> Option<[u8; 32]> {
    let mut node = hash(&[&[0], leaf]);
    for sibling in path {
        node = if index & 1 == 0 { hash(&[&[1], &node, sibling]) } else { hash(&[&[1], sibling, &node]) };
        index >>= 1;
    }
    (index == 0).then_some(node)
}

//! Roughtime answers: real ones are believed, and nothing else is.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::time::Duration;

use adit_config::Roughtime;
use adit_network::time::{
    interval::Interval,
    roughtime::{Rejected, answer, question},
};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use proptest::prelude::*;
use sha2::{Digest, Sha512};

const V1: (&[u8], &[u8]) = (include_bytes!("roughtime/v1-request"), include_bytes!("roughtime/v1-response"));
const DRAFT: (&[u8], &[u8]) =
    (include_bytes!("roughtime/draft-request"), include_bytes!("roughtime/draft-response"));
const V1_KEY: &str = "GX9rI+FshTLGq8g4+s1ep4m+DHaykgM0A5v6iz02jWE=";
const DRAFT_KEY: &str = "AW5uAoTSTDfG5NfY1bTh08GUnOqlRb+HVhbJ3ODJvsE=";

/// Where the nonce stands in a question: behind frame, count, four offsets, five tags, two versions and the server's mark.
const NONCE: usize = 12 + 4 + 16 + 20 + 8 + 32;
const SENT: Duration = Duration::from_millis(10_000);
const RECEIVED: Duration = Duration::from_millis(10_250);

fn key(text: &str) -> VerifyingKey {
    VerifyingKey::from_bytes(&Roughtime::parse(&format!("host {text}")).unwrap().key).unwrap()
}

fn check(packet: &[u8], question: &[u8], key: &VerifyingKey) -> Result<Interval, Rejected> {
    answer(packet, question, key, SENT, RECEIVED)
}

/// What `midpoint` and `radius`, seconds, say of the count's zero when they came between SENT and RECEIVED.
fn expected(midpoint: i64, radius: i64) -> Interval {
    Interval {
        earliest: (midpoint - radius) * 1_000_000 - 10_250_000,
        latest: (midpoint + radius + 1) * 1_000_000 - 10_000_000,
    }
}

#[test]
fn answers_of_real_servers_are_believed() {
    // 2025-05-22 20:07:30 and a radius of 5 s, as the capture's own notes say.
    assert_eq!(check(DRAFT.1, DRAFT.0, &key(DRAFT_KEY)).unwrap(), expected(1_747_944_450, 5));
    assert_eq!(check(V1.1, V1.0, &key(V1_KEY)).unwrap(), expected(1_795_360_852, 5));
}

#[test]
fn our_question_is_the_one_that_a_real_server_has_answered() {
    let nonce = V1.0[NONCE..].first_chunk().unwrap();
    assert_eq!(question(*nonce, &key(V1_KEY)), V1.0);
}

#[test]
fn an_answer_with_one_bit_turned_is_not_believed() {
    let key = key(V1_KEY);
    for bit in 0..V1.1.len() * 8 {
        let mut packet = V1.1.to_vec();
        packet[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&packet, V1.0, &key).is_err(), "bit {bit}");
    }
}

#[test]
fn a_part_of_an_answer_is_not_believed() {
    let key = key(V1_KEY);
    for length in 0..V1.1.len() {
        assert!(check(&V1.1[..length], V1.0, &key).is_err(), "{length} bytes");
    }
}

#[test]
fn an_answer_counts_for_its_own_question_and_key_only() {
    let (v1, draft) = (key(V1_KEY), key(DRAFT_KEY));
    assert!(matches!(check(V1.1, V1.0, &draft), Err(Rejected::Certificate)));
    assert!(matches!(check(V1.1, DRAFT.0, &v1), Err(Rejected::Nonce)));
    // The nonce is the same, the rest of the question is not what the server has seen.
    let mut other = V1.0.to_vec();
    *other.last_mut().unwrap() = 1;
    assert!(matches!(check(V1.1, &other, &v1), Err(Rejected::Proof)));
    assert!(matches!(
        answer(V1.1, V1.0, &v1, SENT, SENT + Duration::from_millis(3_001)),
        Err(Rejected::Delay)
    ));
}

/// A server that signs whatever it is told to.
struct Server {
    midpoint: u64,
    radius: u32,
    valid: (u64, u64),
    index: u32,
    path: Vec<[u8; 32]>,
}

const HONEST: Server =
    Server { midpoint: 1_800_000_000, radius: 3, valid: (0, u64::MAX), index: 0, path: Vec::new() };

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    *Sha512::digest(parts.concat()).first_chunk().unwrap()
}

/// A message of the RFC's §4: tags in the order given.
fn message(tags: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut bytes = (tags.len() as u32).to_le_bytes().to_vec();
    let mut offset = 0;
    for (_, value) in &tags[..tags.len() - 1] {
        offset += value.len() as u32;
        bytes.extend(offset.to_le_bytes());
    }
    tags.iter().for_each(|(tag, _)| bytes.extend(*tag));
    tags.iter().for_each(|(_, value)| bytes.extend(value));
    bytes
}

impl Server {
    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn answer(&self, question: &[u8]) -> Vec<u8> {
        let online = SigningKey::from_bytes(&[8; 32]);
        let sign = |key: &SigningKey, context: &str, value: &[u8]| {
            key.sign(&[context.as_bytes(), b"\0", value].concat()).to_bytes().to_vec()
        };
        let mut root = hash(&[&[0], question]);
        for sibling in &self.path {
            root = hash(&[&[1], &root, sibling]);
        }
        let time = message(&[
            (b"VER\0", 1u32.to_le_bytes().to_vec()),
            (b"RADI", self.radius.to_le_bytes().to_vec()),
            (b"MIDP", self.midpoint.to_le_bytes().to_vec()),
            (b"VERS", 1u32.to_le_bytes().to_vec()),
            (b"ROOT", root.to_vec()),
        ]);
        let delegation = message(&[
            (b"PUBK", online.verifying_key().to_bytes().to_vec()),
            (b"MINT", self.valid.0.to_le_bytes().to_vec()),
            (b"MAXT", self.valid.1.to_le_bytes().to_vec()),
        ]);
        let certificate = message(&[
            (b"SIG\0", sign(&Self::key(), "Roughtime v1 delegation signature", &delegation)),
            (b"DELE", delegation),
        ]);
        let message = message(&[
            (b"SIG\0", sign(&online, "Roughtime v1 response signature", &time)),
            (b"NONC", question[NONCE..NONCE + 32].to_vec()),
            (b"TYPE", 1u32.to_le_bytes().to_vec()),
            (b"PATH", self.path.concat()),
            (b"SREP", time),
            (b"CERT", certificate),
            (b"INDX", self.index.to_le_bytes().to_vec()),
        ]);
        [b"ROUGHTIM".as_slice(), &(message.len() as u32).to_le_bytes(), &message].concat()
    }

    fn asked(&self) -> Result<Interval, Rejected> {
        let key = Self::key().verifying_key();
        let question = question([9; 32], &key);
        check(&self.answer(&question), &question, &key)
    }
}

#[test]
fn what_is_signed_must_make_sense_too() {
    assert_eq!(HONEST.asked().unwrap(), expected(1_800_000_000, 3));
    let two = vec![[1; 32], [2; 32]];
    assert!(Server { path: two.clone(), ..HONEST }.asked().is_ok());
    for index in [1, 2, 4, 1 << 31] {
        assert!(matches!(Server { index, path: two.clone(), ..HONEST }.asked(), Err(Rejected::Proof)));
    }
    for valid in [(0, 1_799_999_999), (1_800_000_001, u64::MAX), (u64::MAX, 0)] {
        assert!(matches!(Server { valid, ..HONEST }.asked(), Err(Rejected::Validity)));
    }
    for radius in [0, 61, u32::MAX] {
        assert!(matches!(Server { radius, ..HONEST }.asked(), Err(Rejected::Radius(_))));
    }
    for midpoint in [253_402_300_800, u64::MAX] {
        assert!(matches!(Server { midpoint, ..HONEST }.asked(), Err(Rejected::Absurd)));
    }
}

proptest! {
    #[test]
    fn no_packet_stops_the_unit(packet in prop::collection::vec(any::<u8>(), 0..1_472)) {
        prop_assert!(check(&packet, V1.0, &key(V1_KEY)).is_err());
    }

    #[test]
    fn no_change_of_an_answer_stops_the_unit(
        at in 0..V1.1.len(), with in prop::collection::vec(any::<u8>(), 1..16), length in 0usize..1_472,
    ) {
        let mut packet = V1.1.to_vec();
        packet.splice(at..(at + with.len()).min(V1.1.len()), with);
        packet.resize(length, 0);
        prop_assume!(packet.get(..V1.1.len()) != Some(V1.1));
        prop_assert!(check(&packet, V1.0, &key(V1_KEY)).is_err());
    }
}

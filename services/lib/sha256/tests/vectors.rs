//! Judged by FIPS 180-4's example, by real blocks, and by the `sha2` crate.
#![allow(clippy::unwrap_used)]

use adit_sha256::{Hit, Implementation, Nonces, Search, leading_zero_bits, midstate};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

/// Header, hash as block explorers print it, and the state after 64 bytes.
const BLOCKS: [(&str, &str, &str); 3] = [
    (
        "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c",
        "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
        "bc909a336358bff090ccac7d1e59caa8c3c8d8e94f0103c896b187364719f91b",
    ),
    (
        "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000e320b6c2fffc8d750423db8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74df2b9441a42a14695",
        "00000000000000001e8d6829a8a21adc5d38d0a473b144b6765798e61f98bd1d",
        "9524c59305c5671316e669ba2d2810a007e86e372f56a9dacd5bce697a78da2d",
    ),
    (
        "0060592ee3c96a8a70ca15fe215e99f84ab64c43e1b5d2c43b540100000000000000000076f63a35f1b8b5016d3eb0cce2eebbdf58bf8fbea4e870c8f770346bdfcf622d69c19a678a9a021702fb05ff",
        "0000000000000000000269d52c24ea451225613aab095d90d771d4e29aa96cdd",
        "9e96646d30ae1c0890d085550f85939b6d4db3dd592173218fadf862fbab5614",
    ),
];

fn header(hex: &str) -> [u8; 80] {
    hex::decode(hex).unwrap().try_into().unwrap()
}

fn search_for(header: &[u8; 80]) -> (Search, u32) {
    let state = midstate(header[..64].try_into().unwrap());
    let nonce = u32::from_be_bytes(header[76..].try_into().unwrap());
    (Search::new(state, header[64..76].try_into().unwrap()), nonce)
}

fn double_sha256(header: &[u8]) -> [u8; 32] {
    Sha256::digest(Sha256::digest(header)).into()
}

fn hits(search: &Search, implementation: Implementation, nonces: Nonces, zero_bits: u32) -> Vec<Hit> {
    let mut hits = Vec::new();
    search.run(implementation, nonces, zero_bits, |hit| hits.push(hit));
    hits
}

#[test]
fn the_two_block_example_of_fips_180_has_the_published_digest() {
    // FIPS 180-4 example B.2 needs padding of our own: 56 bytes fill the first block to its length field.
    let message = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    let mut first = [0; 64];
    first[..56].copy_from_slice(message);
    first[56] = 0x80;
    let state = midstate(&first);
    assert_eq!(
        state,
        [
            0x85e6_55d6,
            0x417a_1795,
            0x3363_376a,
            0x624c_de5c,
            0x76e0_9589,
            0xcac5_f811,
            0xcc4b_32c1,
            0xf20e_533a
        ],
        "the state that NIST prints after the example's first block"
    );
}

#[test]
fn real_blocks_have_their_midstates_and_hashes() {
    for (text, hash, state) in BLOCKS {
        let bytes = header(text);
        let (search, nonce) = search_for(&bytes);
        let words: Vec<u8> =
            midstate(bytes[..64].try_into().unwrap()).into_iter().flat_map(u32::to_be_bytes).collect();
        assert_eq!(hex::encode(words), state);
        let mut found = search.hash(nonce);
        found.reverse();
        assert_eq!(hex::encode(found), hash);
    }
}

#[test]
fn every_implementation_finds_the_nonces_of_real_blocks_and_no_others() {
    for (text, _, _) in BLOCKS {
        let bytes = header(text);
        let (search, nonce) = search_for(&bytes);
        for implementation in Implementation::available() {
            for stride in [1, 1 << 20, 0xDEAD_BEEF] {
                let first = nonce.wrapping_sub(137u32.wrapping_mul(stride));
                let found = hits(&search, implementation, Nonces { first, stride, count: 1000 }, 32);
                assert_eq!(found.len(), 1, "{implementation} stride {stride:x}");
                assert_eq!(found[0].nonce, nonce);
                assert_eq!(found[0].hash, double_sha256(&bytes));
            }
        }
    }
}

#[test]
fn more_zero_bits_than_word_seven_has_are_checked_on_the_whole_hash() {
    let (search, nonce) = search_for(&header(BLOCKS[0].0));
    for implementation in Implementation::available() {
        let nonces = Nonces { first: nonce, stride: 1, count: 1 };
        assert_eq!(hits(&search, implementation, nonces, 43).len(), 1, "{implementation}");
        assert_eq!(hits(&search, implementation, nonces, 44).len(), 0, "{implementation}");
        assert_eq!(hits(&search, implementation, nonces, 256).len(), 0, "{implementation}");
    }
}

#[test]
fn zero_bits_are_counted_from_the_last_byte() {
    assert_eq!(leading_zero_bits(&[0; 32]), 256);
    assert_eq!(leading_zero_bits(&[0xFF; 32]), 0);
    let mut hash = [0; 32];
    hash[29] = 0x20;
    assert_eq!(leading_zero_bits(&hash), 18);
}

#[test]
fn the_portable_implementation_runs_everywhere() {
    assert_eq!(Implementation::available().last(), Some(Implementation::Portable));
}

proptest! {
    /// At low thresholds every lane decides often, so a wrong lane shows.
    #[test]
    fn every_implementation_agrees_with_the_sha2_crate(
        bytes in proptest::array::uniform32(any::<u8>()),
        rest in proptest::array::uniform32(any::<u8>()),
        tail in proptest::array::uniform12(any::<u8>()),
        first: u32,
        stride: u32,
        count in 0u32..70,
        zero_bits in 0u32..5,
    ) {
        let mut header = [&bytes[..], &rest[..], &tail[..], &[0; 4]].concat();
        let search = Search::new(midstate(header[..64].try_into().unwrap()), &tail);
        let mut expected = Vec::new();
        for i in 0..count {
            let nonce = first.wrapping_add(stride.wrapping_mul(i));
            header[76..].copy_from_slice(&nonce.to_be_bytes());
            let hash = double_sha256(&header);
            if leading_zero_bits(&hash) >= zero_bits {
                expected.push((nonce, hash));
            }
        }
        for implementation in Implementation::available() {
            let found: Vec<_> = hits(&search, implementation, Nonces { first, stride, count }, zero_bits)
                .into_iter()
                .map(|hit| (hit.nonce, hit.hash))
                .collect();
            prop_assert_eq!(&found, &expected, "{}", implementation);
        }
    }
}

//! Jobs with midstates, and the versions that they are made of, against published frames (`docs/asic.md` names the sources).
#![allow(clippy::unwrap_used)]

use adit_asic::{BM1387, MidstateJob, command::Generation, nth_version, versions};
use proptest::prelude::*;

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

/// Midstates as they stand in a frame, H7 first.
fn midstates(text: &str) -> Vec<[u32; 8]> {
    let words = |chunk: &[u8]| {
        let mut words: Vec<u32> =
            chunk.chunks_exact(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect();
        words.reverse();
        words.try_into().unwrap()
    };
    bytes(text).chunks_exact(32).map(words).collect()
}

struct Golden {
    id: u8,
    nbits: u32,
    ntime: u32,
    merkle_tail: &'static str,
    midstates: &'static str,
    /// Without preamble.
    head: &'static str,
    crc: &'static str,
}

/// The open S9 FPGA's test bench: 1, 2 and 4 midstates.
const BM1387_JOBS: &[Golden] = &[
    Golden {
        id: 0,
        nbits: u32::MAX,
        ntime: u32::MAX,
        merkle_tail: "ffffffff",
        midstates: "0000000000000000000000000000000000000000000000000000000000000000",
        head: "2136 0001 00000000 ffffffff ffffffff ffffffff",
        crc: "5fd3",
    },
    Golden {
        id: 0,
        nbits: 0,
        ntime: 0,
        merkle_tail: "00000000",
        midstates: "0000000000000000000000000000000000000000000000000000000000000000",
        head: "2136 0001 00000000 00000000 00000000 00000000",
        crc: "9899",
    },
    Golden {
        id: 1,
        nbits: 0,
        ntime: 0,
        merkle_tail: "00000000",
        midstates: "0000000000000000000000000000000000000000000000000000000000000000",
        head: "2136 0101 00000000 00000000 00000000 00000000",
        crc: "8aef",
    },
    Golden {
        id: 0,
        nbits: 0x1725_fd03,
        ntime: 0x5d0b_7d52,
        merkle_tail: "744047de",
        midstates: "41e79803634a932bd79ae784fe7179a61ff0ccd207d0c195c34829b38a307647 \
                    beb7e7f600de500f01e28acf7a97e115a389322127b159fedc0c20817294fef6",
        head: "2156 0002 00000000 03fd2517 527d0b5d 744047de",
        crc: "c118",
    },
    Golden {
        id: 0x31,
        nbits: 0x1736_5a17,
        ntime: 0x5b51_c8e6,
        merkle_tail: "9d4b0166",
        midstates: "1df9f7a3ba9aca03c42b0a8cd89fc91a1046e72e46a47e9af01c1b8eebc3c539 \
                    e578935dc6419d971ff8d3277bf6698ed757b9eb980317d2eafd359f9544a768 \
                    0e1d09afc9316c8489bbde77cb13866a805beaaaffbbfdb1a1b617a9a81b497c \
                    93c5272dcd1b277096ab39057bfafae3f1004cdbb08d4078d82c00afe75b218b",
        head: "2196 3104 00000000 175a3617 e6c8515b 9d4b0166",
        crc: "370a",
    },
];

#[test]
fn jobs_of_one_two_and_four_midstates_are_the_published_ones() {
    for golden in BM1387_JOBS {
        let midstates = midstates(golden.midstates);
        let job = MidstateJob {
            id: golden.id,
            ntime: golden.ntime,
            nbits: golden.nbits,
            merkle_tail: bytes(golden.merkle_tail).try_into().unwrap(),
            midstates: &midstates,
        };
        let whole = format!("{}{}{}", golden.head, golden.midstates, golden.crc);
        assert_eq!(job.encode(Generation::Old).as_bytes(), bytes(&whole));
    }
}

/// The genesis block for BM1397, recomputed by the source.
#[test]
fn the_genesis_header_as_a_midstate_job_is_that_of_the_vectors() {
    let midstates = midstates("4719F91B 96B18736 4F0103C8 C3C8D8E9 1E59CAA8 90CCAC7D 6358BFF0 BC909A33");
    let job = MidstateJob {
        id: 0,
        ntime: 0x495f_ab29,
        nbits: 0x1d00_ffff,
        merkle_tail: [0x4b, 0x1e, 0x5e, 0x4a],
        midstates: &midstates,
    };
    let golden = "55AA2136 00 01 00000000 FFFF001D 29AB5F49 4B1E5E4A 4719F91B 96B18736 4F0103C8 C3C8D8E9 \
        1E59CAA8 90CCAC7D 6358BFF0 BC909A33 A3B2";
    assert_eq!(job.encode(Generation::New).as_bytes(), bytes(golden));
}

#[test]
fn a_fifth_midstate_is_left_out() {
    let job = MidstateJob { id: 0, ntime: 0, nbits: 0, merkle_tail: [0; 4], midstates: &[[1; 8]; 5] };
    let frame = job.encode(BM1387.generation);
    assert_eq!((frame.as_bytes()[1], frame.as_bytes()[3], frame.as_bytes().len()), (0x96, 4, 150));
}

#[test]
fn versions_are_counted_through_the_bits_of_the_mask() {
    let mask = 0x1fff_e000;
    assert_eq!((versions(mask), versions(0), versions(0xffff_ffff)), (65_536, 1, 65_536));
    assert_eq!(nth_version(0x2000_0000, mask, 0), 0x2000_0000);
    assert_eq!(nth_version(0x2000_0000, mask, 0x05a2), 0x20b4_4000);
    assert_eq!(nth_version(0x2000_0000, 0x0100_8000, 3), 0x2100_8000);
    assert_eq!(nth_version(1, 0, 7), 1);
}

proptest! {
    #[test]
    fn every_version_of_a_mask_comes_once_and_changes_nothing_else(mask in any::<u32>(), version in any::<u32>()) {
        let version = version & !0x1fff_e000;
        let count = versions(mask).min(2000);
        let mut all: Vec<u32> = (0..count).map(|index| nth_version(version, mask, index)).collect();
        prop_assert!(all.iter().all(|rolled| rolled & !(mask & 0x1fff_e000) == version));
        all.sort_unstable();
        all.dedup();
        prop_assert_eq!(all.len() as u32, count);
    }
}

//! Responses as captured, the parser amid disturbance, and the worked example from job frame to hash.
#![allow(clippy::unwrap_used)]

use adit_asic::{
    BM1362, BM1366, BM1368, BM1370, BM1387, BM1397, Counters, Job, Parser, Response, Width, rolled_version,
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

fn parse(width: Width, stream: &[u8]) -> (Vec<Response>, Counters) {
    let mut parser = Parser::new(width);
    let responses = stream.iter().filter_map(|byte| parser.push(*byte)).collect();
    (responses, parser.counters())
}

fn one(width: Width, frame: &str) -> Response {
    let (responses, counters) = parse(width, &bytes(frame));
    assert_eq!(responses.len(), 1, "{frame}");
    assert_eq!(counters, Counters { responses: 1, ..Default::default() });
    responses[0]
}

#[test]
fn chip_ids_are_read_in_both_widths() {
    let id = |value: u32, chip| Response::Register { value, chip, register: 0 };
    assert_eq!(one(Width::Nine, "AA55 13971800 00 00 06"), id(0x1397_1800, 0));
    assert_eq!(one(Width::Nine, "AA55 13981800 00 00 04"), id(0x1398_1800, 0));
    assert_eq!(one(Width::Nine, "AA55 13620300 00 00 0D"), id(0x1362_0300, 0));
    let addressed = [(0xca, "08"), (0xcc, "12"), (0xf4, "02"), (0xf6, "17"), (0xf8, "13"), (0xfa, "06")];
    for (address, crc) in addressed {
        let frame = format!("AA55 136203{address:02X} {address:02X} 00 0000 {crc}");
        assert_eq!(one(Width::Eleven, &frame), id(0x1362_0300 | u32::from(address), address));
    }
    assert_eq!(one(Width::Eleven, "AA55 13660000 00 00 0000 05"), id(0x1366_0000, 0));
    assert_eq!(one(Width::Eleven, "AA55 13680000 00 00 0000 0F"), id(0x1368_0000, 0));
    assert_eq!(one(Width::Eleven, "AA55 13700000 00 00 0000 10"), id(0x1370_0000, 0));
    let misc = Response::Register { value: 0x0000_c100, chip: 0, register: 0x18 };
    assert_eq!(one(Width::Nine, "AA55 0000C100 00 18 02"), misc);
}

#[test]
fn captured_nonces_of_bm1370_are_read() {
    // nonce as header integer, job byte, core, small core, version bits
    let captured = [
        ("AA55 1800A640 02 99 22F9 91", 0x40a6_0018, 0x48, 12, 9, 0x22f9),
        ("AA55 0735CDCF 02 5E 002E 96", 0xcfcd_3507, 0x28, 3, 14, 0x002e),
        ("AA55 460332E7 00 C3 2C83 99", 0xe732_0346, 0x60, 35, 3, 0x2c83),
        ("AA55 7B8D8160 02 55 0085 81", 0x6081_8d7b, 0x28, 61, 5, 0x0085),
        ("AA55 322A845A 02 52 01B2 8C", 0x5a84_2a32, 0x28, 25, 2, 0x01b2),
        ("AA55 500341D6 00 81 1801 9B", 0xd641_0350, 0x40, 40, 1, 0x1801),
        ("AA55 4C035275 0C D2 05A2 9C", 0x7552_034c, 0x68, 38, 2, 0x05a2),
    ];
    for (frame, nonce, job, core, small_core, version_bits) in captured {
        let Response::Nonce { nonce: raw, excess, job: byte, version_bits: bits } = one(Width::Eleven, frame)
        else {
            panic!("{frame} is not a nonce");
        };
        let report = BM1370.nonce_report(raw, excess, byte, bits);
        assert_eq!(
            (report.nonce, report.job, report.core, report.small_core, report.version_bits),
            (nonce, job, core, small_core, version_bits),
            "{frame}"
        );
        assert_eq!(BM1370.place(report.nonce, 1), Some(0));
    }
}

/// Captured from an S19j Pro, and read by its source: core 0x36, address DC, so chip 110 of 126.
#[test]
fn the_captured_nonce_of_a_bm1362_names_its_chip() {
    let bm1362 = one(Width::Eleven, "AA55 6DB88EE1 01 04 0354 94");
    let raw = [0x6d, 0xb8, 0x8e, 0xe1];
    assert_eq!(bm1362, Response::Nonce { nonce: raw, excess: 1, job: 4, version_bits: 0x0354 });
    let report = BM1362.nonce_report(raw, 1, 4, 0x0354);
    assert_eq!((report.nonce, report.job, report.core, report.small_core), (0xe18e_b86d, 0, 0x36, 4));
    assert_eq!(BM1362.place(report.nonce, 126), Some(110));
    assert_eq!(BM1362.place(report.nonce, 108), None, "a chain of 108 has no chip 110");
}

/// The job byte as the host sent it comes back in different places: BM1362 in bits 7..3 as it is, BM1368 and BM1370 shifted left by one.
#[test]
fn job_bytes_are_found_in_the_responses_of_each_chip() {
    for (chip, response, job, small_core) in [
        (&BM1362, 0x7d, 0x78, 5),
        (&BM1362, 0x08, 0x08, 0),
        (&BM1366, 0x7d, 0x78, 5),
        (&BM1368, 0xd2, 0x68, 2),
        (&BM1368, 0x3f, 0x18, 15),
        (&BM1370, 0xd2, 0x68, 2),
    ] {
        let report = chip.nonce_report([0; 4], 0, response, 0);
        assert_eq!((report.job, report.small_core), (job, small_core), "{} {response:02x}", chip.name);
    }
    assert_eq!([BM1362.next_job(0), BM1368.next_job(0)], [8, 24]);
    assert_eq!([BM1362.next_job(0x78), BM1368.next_job(0x68)], [0, 0]);
}

/// From the open S9 FPGA's test bench: ids, and answers to the dummy jobs that wake the cores.
#[test]
fn responses_of_bm1387_are_read_without_preamble() {
    for (frame, address) in [
        ("13879000 0000 07", 0),
        ("13879004 0000 10", 4),
        ("138790E8 0000 16", 0xe8),
        ("138790F4 0000 1C", 0xf4),
    ] {
        let id = Response::Register { value: 0x1387_9000 | u32::from(address), chip: address, register: 0 };
        assert_eq!(one(Width::Seven, frame), id);
    }
    for (frame, nonce, fifth, job) in [
        ("7203EA83 0003 98", [0x72, 0x03, 0xea, 0x83], 0, 0x03),
        ("7203EA83 0070 80", [0x72, 0x03, 0xea, 0x83], 0, 0x70),
        ("E16BF809 016F 9C", [0xe1, 0x6b, 0xf8, 0x09], 1, 0x6f),
        ("48063C08 0012 99", [0x48, 0x06, 0x3c, 0x08], 0, 0x12),
    ] {
        let read = Response::Nonce { nonce, excess: fifth, job, version_bits: 0 };
        assert_eq!(one(Width::Seven, frame), read);
    }
    let report = BM1387.nonce_report([0xe1, 0x6b, 0xf8, 0x09], 1, 0x6f, 0);
    assert_eq!((report.job, report.midstate, report.core), (0x6c, 3, 9));
}

/// Nonces (header integers), chips and cores of an S9, from the open driver.
#[test]
fn nonces_of_bm1387_name_chip_and_core() {
    for (nonce, chip, core) in [
        (0x2a10_5d5d_u32, 23, 42),
        (0xd257_38d3, 52, 82),
        (0x4726_8d19, 6, 71),
        (0xa5e0_9223, 8, 37),
        (0xd57c_1ce4, 57, 85),
        (0x40e5_5650, 20, 64),
    ] {
        let report = BM1387.nonce_report(nonce.to_le_bytes(), 0, 0, 0);
        assert_eq!((report.nonce, report.core), (nonce, core));
        assert_eq!(BM1387.place(nonce, 63), Some(chip), "{nonce:08x}");
    }
    assert_eq!(BM1387.place(u32::MAX, 64), Some(63));
    assert_eq!(BM1387.place(u32::MAX, 63), Some(62), "behind the last chip's address, so its own");
    assert_eq!(BM1387.nonce_report([0xff; 4], 0, 0, 0).core, 0x7f);
}

/// Six chips (addresses 0, 42, … 210): the second byte's low six bits are the address's high ones, whatever the two above them are. Source: cgminer's table for such sticks.
#[test]
fn nonces_of_bm1397_name_chip_and_core() {
    for (second_byte, chip) in
        [(0, 0), (10, 0), (11, 1), (21, 2), (31, 2), (32, 3), (42, 4), (53, 5), (63, 5)]
    {
        for group in 0..4 {
            let wire = [0xa7, group << 6 | second_byte, 0, 0];
            let report = BM1397.nonce_report(wire, 0, 0, 0);
            assert_eq!(BM1397.place(report.nonce, 6), Some(chip), "{second_byte}");
            assert_eq!((report.core, report.small_core), (0xa7, group));
        }
    }
    let report = BM1397.nonce_report([0; 4], 0, 0x7e, 0);
    assert_eq!((report.job, report.midstate), (0x7c, 2));
}

#[test]
fn midstate_jobs_have_thirty_two_ids_that_leave_room_for_the_midstate() {
    for chip in [&BM1387, &BM1397] {
        let ids = std::iter::successors(Some(0), |id| Some(chip.next_job(*id)));
        let ids: Vec<u8> = ids.take(33).collect();
        assert!(ids.iter().all(|id| id & 0x83 == 0) && ids[32] == 0);
        let mut slots: Vec<usize> = ids[..32].iter().map(|id| chip.job_slot(*id)).collect();
        slots.sort_unstable();
        assert_eq!(slots, (0..32).collect::<Vec<_>>());
    }
}

/// Shown by their source without preamble.
#[test]
fn responses_of_bm1391_are_those_of_its_generation() {
    let nonces = ["01513782002D90", "1C0D4F78023D93", "99 2E E4 B2 01 22 99", "D5 84 C3 E1 01 13 9D"];
    for frame in nonces {
        assert!(matches!(one(Width::Nine, &format!("AA55{frame}")), Response::Nonce { .. }), "{frame}");
    }
    for (frame, value, chip, register) in
        [("13910000000005", 0x1391_0000, 0, 0), ("00006131 24 18 1F", 0x6131, 0x24, 0x18)]
    {
        let read = one(Width::Nine, &format!("AA55{frame}"));
        assert_eq!(read, Response::Register { value, chip, register });
    }
}

#[test]
fn the_genesis_nonce_is_read_in_both_widths() {
    // The genesis block's nonce as a chip would report it.
    for (width, frame) in
        [(Width::Nine, "AA55 1DAC2B7C 00 00 87"), (Width::Eleven, "AA55 1DAC2B7C 00 00 0000 90")]
    {
        let Response::Nonce { nonce, .. } = one(width, frame) else { panic!("not a nonce") };
        assert_eq!(u32::from_le_bytes(nonce), 2_083_236_893);
    }
}

/// A job of 2025-06-19, its frame, the chip's answer, and the share that a pool accepted for it. Source: mujina's published capture.
#[test]
fn the_accepted_share_is_rebuilt_from_job_frame_and_response() {
    let merkle_root: [u8; 32] =
        bytes("06ddf5f08c36414b95ea54db71a0c28761a98bcf6355919e044f88725519a7cb").try_into().unwrap();
    let prev_hash: [u8; 32] =
        bytes("fd55646bc162b96dfcd4f201a3f4670d1d3996bc965201000000000000000000").try_into().unwrap();
    let job = Job {
        id: 0x68,
        version: 0x2000_0000,
        prev_hash: &prev_hash,
        merkle_root: &merkle_root,
        ntime: 0x6854_68d7,
        nbits: 0x1702_3a04,
    };
    let golden = "55AA2156 68 01 00000000 043A0217 D7685468 \
        5519A7CB 044F8872 6355919E 61A98BCF 71A0C287 95EA54DB 8C36414B 06DDF5F0 \
        00000000 00000000 96520100 1D3996BC A3F4670D FCD4F201 C162B96D FD55646B 00000020 721C";
    assert_eq!(hex::encode_upper(BM1370.job_frame(&job).as_bytes()), golden.replace(' ', ""));

    let Response::Nonce { nonce, excess, job: byte, version_bits } =
        one(Width::Eleven, "AA55 4C035275 0C D2 05A2 9C")
    else {
        panic!("not a nonce")
    };
    let report = BM1370.nonce_report(nonce, excess, byte, version_bits);
    assert_eq!(report.job, job.id);
    let version = rolled_version(job.version, 0x1fff_e000, report.version_bits).unwrap();
    assert_eq!(version, 0x20b4_4000);
    let hash = |version: u32| {
        let header = [
            &version.to_le_bytes()[..],
            &prev_hash,
            &merkle_root,
            &job.ntime.to_le_bytes(),
            &job.nbits.to_le_bytes(),
            &report.nonce.to_le_bytes(),
        ]
        .concat();
        let mut hash = Sha256::digest(Sha256::digest(header)).to_vec();
        hash.reverse();
        hex::encode(hash)
    };
    // Excess difficulty: 46 zero bits, of which the mask of 256 asks for 40.
    assert_eq!((hash(version).trim_start_matches('0').len(), report.excess), (64 - 11, 2 * (46 - 40)));
    assert_eq!(
        report.version_bits & 0x0f,
        u16::from(report.small_core),
        "the version slot is the sub-core's"
    );
    assert_eq!(hash(version), "0000000000023704cface997bcf7388694ea43dae96c51d80658687a7d8827fe");
    assert!(hash(job.version).starts_with("6e517123a748"));
}

#[test]
fn the_genesis_header_as_a_job_is_that_of_the_vectors() {
    // The merkle root of block 0 as header bytes.
    let root: [u8; 32] =
        bytes("3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a").try_into().unwrap();
    let job = Job {
        id: 0,
        version: 1,
        prev_hash: &[0; 32],
        merkle_root: &root,
        ntime: 0x495f_ab29,
        nbits: 0x1d00_ffff,
    };
    let body = "00010000 0000 FFFF001D 29AB5F49 4B1E5E4A 3A9FB8AA 888A5132 7FC81BC3 67768F61 7AC72C3E \
        7A7B12B2 3BA3EDFD";
    let expected = |length: &str, crc: &str| {
        format!("55AA21{length}{body}{}01000000{crc}", "00".repeat(32)).replace(' ', "")
    };
    assert_eq!(hex::encode_upper(job.encode(0x56).as_bytes()), expected("56", "C95D"));
    assert_eq!(hex::encode_upper(job.encode(0x36).as_bytes()), expected("36", "ED19"));
}

#[test]
fn a_version_bit_that_the_mask_forbids_is_refused() {
    assert_eq!(rolled_version(0x2000_0000, 0x1fff_e000, 0xffff), Some(0x3fff_e000));
    assert_eq!(rolled_version(0x2000_0000, 0x00ff_e000, 0x0800), None);
    assert_eq!(rolled_version(0x2000_0000, 0, 0), Some(0x2000_0000));
}

#[test]
fn job_ids_are_sixteen_and_each_has_its_slot() {
    for chip in [&BM1362, &BM1366, &BM1368, &BM1370] {
        let mut job = 0;
        let mut slots = Vec::new();
        for _ in 0..16 {
            slots.push(chip.job_slot(job));
            assert_eq!(job & 0x87, 0, "the id is in bits 6..3 of the job byte");
            job = chip.next_job(job);
        }
        assert_eq!(job, 0);
        slots.sort_unstable();
        assert_eq!(slots, (0..16).collect::<Vec<_>>());
    }
}

#[test]
fn chips_that_share_nonces_by_offset_are_found_by_range() {
    let chips = std::num::NonZeroU16::new(65).unwrap();
    for chip in 0..65 {
        let start = adit_asic::register::nonce_offset(chip, chips) & 0xffff;
        let wire = (start << 9) | 0x6c00_0000;
        assert_eq!(BM1370.place(wire.swap_bytes(), 65), Some(chip));
        let last = if chip == 64 {
            0xffff
        } else {
            (adit_asic::register::nonce_offset(chip + 1, chips) & 0xffff) - 1
        };
        assert_eq!(BM1370.place((last << 9 | 0x1ff).swap_bytes(), 65), Some(chip));
    }
}

#[test]
fn without_preamble_the_next_response_but_one_is_found_after_a_lost_byte() {
    let good = bytes("13879004 0000 10");
    for lost in 0..7 {
        let mut short = good.clone();
        short.remove(lost);
        let stream = [good.clone(), short, good.repeat(4)].concat();
        let (responses, counters) = parse(Width::Seven, &stream);
        let right =
            responses.iter().filter(|response| matches!(response, Response::Register { chip: 4, .. }));
        assert!(right.count() >= 4, "byte {lost}: {responses:x?}");
        assert!(counters.crc_errors <= 2, "one loss, and one more when garbage looked right: {counters:?}");
    }
}

#[test]
fn a_silence_ends_what_was_begun_without_a_preamble() {
    let mut parser = Parser::new(Width::Seven);
    let good = bytes("13879004 0000 10");
    let mut found = 0;
    for part in [&good[..3], &good[..], &good[..]] {
        found += part.iter().filter_map(|byte| parser.push(*byte)).count();
        parser.silence();
    }
    assert_eq!((found, parser.counters().crc_errors, parser.counters().skipped_bytes), (2, 1, 3));
}

#[test]
fn a_flipped_bit_costs_its_own_response_and_no_other() {
    let good = bytes("AA55 4C035275 0C D2 05A2 9C");
    for bit in 16..88 {
        let mut damaged = good.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let stream = [good.clone(), damaged, good.clone()].concat();
        let (responses, counters) = parse(Width::Eleven, &stream);
        assert_eq!(responses.len(), 2, "bit {bit}");
        assert!(counters.crc_errors >= 1);
        assert_eq!(counters.skipped_bytes, 11);
    }
}

#[test]
fn a_lost_byte_costs_its_own_response_and_no_other() {
    let good = bytes("AA55 4C035275 0C D2 05A2 9C");
    for lost in 0..11 {
        let mut short = good.clone();
        short.remove(lost);
        let (responses, _) = parse(Width::Eleven, &[good.clone(), short, good.clone()].concat());
        assert_eq!(responses.len(), 2, "byte {lost}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived_and_accounted_for(stream in proptest::collection::vec(any::<u8>(), 0..2000)) {
        for (width, length) in [(Width::Seven, 7), (Width::Nine, 9), (Width::Eleven, 11)] {
            let (responses, counters) = parse(width, &stream);
            prop_assert_eq!(counters.responses, responses.len() as u64);
            let accounted = counters.responses * length + counters.skipped_bytes;
            prop_assert!(accounted <= stream.len() as u64 && stream.len() as u64 - accounted < length);
        }
    }

    /// Garbage without a preamble in it hides nothing; with one, the parser recovers by the next response but one.
    #[test]
    fn responses_are_found_amid_garbage(chunks in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..40), 1..20))
    {
        let good = bytes("AA55 4C035275 0C D2 05A2 9C");
        let mut stream = Vec::new();
        for garbage in &chunks {
            stream.extend(garbage.iter().map(|byte| if *byte == 0xaa { 0xab } else { *byte }));
            stream.extend_from_slice(&good);
        }
        let (responses, _) = parse(Width::Eleven, &stream);
        prop_assert_eq!(responses.len(), chunks.len());
    }

    /// Whatever came before, two quiet responses in a row are both found when the first is preceded by a response's length of silence bytes.
    #[test]
    fn nothing_keeps_the_parser_from_coming_back(garbage in proptest::collection::vec(any::<u8>(), 0..400)) {
        let good = bytes("AA55 4C035275 0C D2 05A2 9C");
        let stream = [garbage, vec![0; 11], good.clone(), good].concat();
        let (responses, _) = parse(Width::Eleven, &stream);
        prop_assert!(responses.len() >= 2);
    }
}

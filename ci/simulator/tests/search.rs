//! The search finds what real chips found, and only nonces that are true.
#![allow(clippy::unwrap_used)]

use adit_simulator::{
    BM1362, BM1366, BM1368, BM1370, BM1397, Chain, ChipWork, Command, Cores, Dialect, Effect, Found, Model,
    Parser, Position, Sweep, Target, TicketMask, Work,
};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Commands from hex, through the parser.
fn commands(hex: &str) -> Vec<Command> {
    let mut parser = Parser::default();
    let mut found = Vec::new();
    for byte in hex::decode(hex.replace([' ', '\n'], "")).unwrap() {
        parser.push(byte, 0, 0);
        while let Some(received) = parser.next() {
            found.push(received.command.unwrap());
        }
    }
    found
}

const REAL_JOB: &str = "55 AA 21 56 68 01 00000000 043A0217 D7685468
    5519A7CB 044F8872 6355919E 61A98BCF 71A0C287 95EA54DB 8C36414B 06DDF5F0
    00000000 00000000 96520100 1D3996BC A3F4670D FCD4F201 C162B96D FD55646B 00000020 721C";

const GENESIS_JOB: &str = "55AA2156 00 01 00000000 FFFF001D 29AB5F49 4B1E5E4A 3A9FB8AA 888A5132 7FC81BC3 67768F61
    7AC72C3E 7A7B12B2 3BA3EDFD 0000000000000000000000000000000000000000000000000000000000000000 01000000 C95D";

/// The captured bring-up of a single BM1370, from the first write to the last before jobs.
const BM1370_BRING_UP: &str = "
    55AA510900A49000FFFF1C 55AA510900A49000FFFF1C 55AA510900A49000FFFF1C 55AA520500000A
    55AA510900A49000FFFF1C 55AA510900A80007000003 55AA51090018F000C10004 55AA5305000003 55AA400500001C
    55AA5109003C80008B0012 55AA5109003C8000800C11 55AA51090014000000FF08 55AA51090058000111110D
    55AA410900A8000701F015 55AA41090018F000C1000C 55AA4109003C80008B001A 55AA4109003C8000800C19
    55AA4109003C800082AA05 55AA510900B9000044800D 55AA5109005400000002 18 55AA510900B9000044800D
    55AA5109003C80008DEE1B 55AA51090008 50D20240 05 55AA51090010 00001EB5 0F 55AA510900A49000FFFF1C";

fn run(chain: &mut Chain, hex: &str) -> Vec<Effect> {
    commands(hex).into_iter().flat_map(|command| chain.execute(command, usize::MAX)).collect()
}

fn write(chain: &mut Chain, register: u8, value: u32) {
    chain.execute(Command::Write { target: Target::All, register, value }, usize::MAX);
}

fn brought_up() -> Chain {
    let mut chain = Chain::new(&BM1370, 1);
    chain.set_powered(true);
    let effects = run(&mut chain, BM1370_BRING_UP);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Refused(_))), "{effects:?}");
    chain
}

/// Returns the hashes that they took.
fn steps(sweep: &mut Sweep, count: usize, found: &mut Vec<Found>) -> u64 {
    (0..count).map(|_| sweep.step(found)).sum()
}

fn frame(found: &Found, job_id: u8) -> String {
    hex::encode_upper(found.response(&BM1370, job_id, true).as_bytes())
}

#[test]
fn the_captured_share_is_found_at_its_place_and_answered_with_the_captured_bytes() {
    let mut chain = brought_up();
    run(&mut chain, REAL_JOB);
    let work = chain.work(1, 32).unwrap();
    // Version 0x05A2 = batch 0x5A, slot 2; counter 0x0035275 on core 0x26.
    let mut sweep = Sweep::at(work, 0, Position { batch: 0x5A, step: 0x0003_5275 });
    let mut found = Vec::new();
    sweep.step(&mut found);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(frame(&found[0], 0x68), "AA554C0352750CD205A29C");
}

/// ESP-Miner's start of a BM1397, at 425 MHz, then the genesis header as one midstate; all CRCs recomputed by the source.
#[test]
fn a_bm1397_answers_the_genesis_midstate_with_the_bytes_of_the_vector() {
    const BRING_UP: &str =
        "55AA520500000A 55AA5305000003 55AA400500001C 55AA51090080000000001C 55AA510900840000000011
        55AA510900200000000102 55AA5109003C8000807410 55AA5109001400000000 1C 55AA51090068C070011100
        55AA510900280600000F18 55AA5109001800007A3115 55AA510900700F0F0F0019";
    const JOB: &str = "55AA2136 00 01 00000000 FFFF001D 29AB5F49 4B1E5E4A 4719F91B 96B18736 4F0103C8 C3C8D8E9
        1E59CAA8 90CCAC7D 6358BFF0 BC909A33 A3B2";
    let mut chain = Chain::new(&BM1397, 1);
    chain.set_powered(true);
    let mut parser = Parser::new(Dialect::Bm1397);
    let mut run = |chain: &mut Chain, hex: &str| {
        let mut effects = Vec::new();
        for byte in hex::decode(hex.replace([' ', '\n'], "")).unwrap() {
            parser.push(byte, 0, 0);
            while let Some(received) = parser.next() {
                effects.extend(chain.execute(received.command.unwrap(), usize::MAX));
            }
        }
        effects
    };
    let effects = run(&mut chain, BRING_UP);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Refused(_))), "{effects:?}");
    write(&mut chain, 0x08, 0x4044_0221);
    assert_eq!(chain.mhz(), Some(425.0));
    assert!(matches!(run(&mut chain, JOB)[..], [Effect::Job(_)]));
    let work = chain.work(1, 32).unwrap();
    assert_eq!(work.hashes_per_second(), 425e6 * 672.0);
    // 1DAC2B7C: small core 118, counter 2C2B7C.
    let mut sweep = Sweep::at(work, 0, Position { batch: 0, step: 0x002C_2B7C });
    let mut found = Vec::new();
    assert_eq!(sweep.step(&mut found), 672);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(hex::encode_upper(found[0].response(&BM1397, 0, false).as_bytes()), "AA551DAC2B7C000087");
}

/// Register 8C counts 2^32 hashes: 2040 cores at 525 MHz make 249.4 times as many in a second.
#[test]
fn hashes_are_counted_at_the_rate_of_silicon() {
    let mut chain = brought_up();
    let count = |chain: &mut Chain| {
        let read = Command::Read { target: Target::All, register: 0x8C };
        match &chain.execute(read, usize::MAX)[..] {
            [Effect::Answer(answer)] => u32::from_be_bytes(answer.as_bytes()[2..6].try_into().unwrap()),
            other => panic!("{other:?}"),
        }
    };
    chain.advance(1.0, 50.0);
    assert_eq!(count(&mut chain), 0, "no job");
    run(&mut chain, REAL_JOB);
    chain.advance(1.0, 50.0);
    assert_eq!(count(&mut chain), 249);
}

#[test]
fn the_genesis_block_is_found_from_an_offset_below_it() {
    let mut chain = brought_up();
    // Counter 0x1AC2B7C is 380 above offset 0xD615 << 9; difficulty 2048 leaves no excess over the block's 43 zero bits.
    write(&mut chain, 0x0C, 0x8000_D615);
    write(&mut chain, 0x14, 0x0000_E0FF);
    run(&mut chain, GENESIS_JOB);
    let mut sweep = Sweep::new(chain.work(1, 32).unwrap(), 0);
    let mut found = Vec::new();
    assert_eq!(steps(&mut sweep, 400, &mut found), 400 * 2040, "2040 small cores");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(frame(&found[0], 0x00), "AA551DAC2B7C0000000090");
}

/// A core that lacks one step of the bring-up does not hash.
#[test]
fn every_step_of_the_bring_up_that_hashing_needs_is_needed() {
    for (missing, what) in [
        ("55AA4109003C800082AA05", "core enable"),
        ("55AA51090010 00001EB5 0F", "hash counting number"),
        ("55AA51090008 50D20240 05", "PLL"),
        ("55AA410900A8000701F015", "release of the cores"),
    ] {
        let mut chain = Chain::new(&BM1370, 1);
        chain.set_powered(true);
        let cut = BM1370_BRING_UP.replace(missing, "");
        assert_ne!(cut, BM1370_BRING_UP);
        run(&mut chain, &cut);
        run(&mut chain, REAL_JOB);
        assert!(chain.work(1, 32).is_none(), "hashes without {what}");
    }
    let mut chain = brought_up();
    assert!(chain.work(1, 32).is_none(), "hashes without a job");
    run(&mut chain, REAL_JOB);
    assert!(chain.work(1, 32).is_some());
    write(&mut chain, 0xA8, 0x0007_0000);
    assert!(chain.work(1, 32).is_none(), "hashes in soft reset");
}

#[test]
fn masked_quarters_do_not_report() {
    let mut chain = brought_up();
    write(&mut chain, 0x14, 0);
    write(&mut chain, 0x18, 0x4000_C100); // bit 30: cores 64 to 95
    run(&mut chain, REAL_JOB);
    let mut sweep = Sweep::new(chain.work(1, 8).unwrap(), 77);
    let mut found = Vec::new();
    steps(&mut sweep, 8, &mut found);
    assert!(found.len() > 4, "{}", found.len());
    assert!(found.iter().all(|found| (64..96).contains(&(found.nonce >> 25))), "{found:?}");
    write(&mut chain, 0x18, 0x0000_C100);
    sweep.update(chain.work(1, 8).unwrap());
    found.clear();
    steps(&mut sweep, 8, &mut found);
    assert!(found.is_empty(), "reports with every enable clear");
}

#[test]
fn every_reported_nonce_is_true_with_its_version_and_its_excess() {
    for (mask, base, ticket) in [(0x9000_FFFF, 8, 0x0000_00E0), (0x9000_0105, 8, 0), (0x8000_0000, 8, 0)] {
        let mut chain = brought_up();
        write(&mut chain, 0xA4, mask);
        write(&mut chain, 0x14, ticket);
        run(&mut chain, REAL_JOB);
        let Some(Command::Job(job)) = commands(REAL_JOB).pop() else { panic!("a job") };
        let asked = base + TicketMask::from_register(ticket).bits();
        let mut sweep = Sweep::new(chain.work(1, base).unwrap(), 0x123_4567);
        let mut found = Vec::new();
        steps(&mut sweep, 40, &mut found);
        assert!(found.len() > 10, "{mask:08x}: {}", found.len());
        for found in &found {
            assert_eq!(u32::from(found.version) & !mask, 0, "rolled outside the mask: {found:?}");
            let mut header = job.header(u32::from(found.version) << 13).unwrap().to_vec();
            header.extend(found.nonce.to_be_bytes());
            let mut hash: [u8; 32] = Sha256::digest(Sha256::digest(&header)).into();
            hash.reverse();
            let zeros = u128::from_be_bytes(hash[..16].try_into().unwrap()).leading_zeros();
            assert!(zeros >= asked, "{found:?}");
            assert_eq!(u32::from(found.excess), 2 * (zeros - asked), "{found:?}");
        }
        let mut seen: Vec<_> = found.iter().map(|found| (found.nonce, found.version)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), found.len(), "the same nonce twice");
    }
}

#[test]
fn versions_roll_on_after_a_sweep_and_slots_are_sub_cores() {
    let work = work_of_one_chip(&BM1370, 5);
    let mut sweep = Sweep::new(work, 0);
    let mut found = Vec::new();
    steps(&mut sweep, 12, &mut found);
    for found in &found {
        assert_eq!(u32::from(found.version & 15), u32::from(found.sub_core));
        let step = found.nonce & 0x01FF_FFFF;
        assert!(step < 5, "beyond the sweep: {found:?}");
        assert!(found.version >> 4 < 3, "twelve steps are two sweeps and a bit: {found:?}");
    }
    assert!(found.iter().any(|found| found.version >> 4 == 2));
}

/// A chip set up by hand, which reports everything.
fn work_of_one_chip(model: &'static Model, length: u32) -> Work {
    let Some(Command::Job(job)) = commands(REAL_JOB).pop() else { panic!("a job") };
    let all = u128::MAX >> (128 - model.cores);
    let sweeping = adit_simulator::Sweeping {
        mhz: 525.0,
        start: Some(0),
        length,
        cores: Cores::Each { hashing: all, reporting: all },
    };
    let ticket = TicketMask::default();
    Work {
        model,
        job: Arc::new(*job),
        job_serial: 1,
        chips: vec![ChipWork { index: 0, sweeping, ticket, version_mask: 0xFFFF }],
        base_bits: 8,
    }
}

#[test]
fn small_cores_are_as_many_as_published() {
    for (model, small_cores) in [(&BM1370, 2040u32), (&BM1368, 1276), (&BM1366, 894), (&BM1362, 514)] {
        let work = work_of_one_chip(model, 100);
        assert_eq!(work.hashes_per_second(), 525e6 * f64::from(small_cores));
        assert_eq!(Sweep::new(work, 0).step(&mut Vec::new()), u64::from(small_cores));
    }
}

#[test]
fn bm1362_chips_stamp_their_addresses_into_nonces() {
    let mut chain = Chain::new(&BM1362, 126);
    chain.set_powered(true);
    run(&mut chain, "55AA510900A49000FFFF1C 55AA510900A80000000001 55AA51090018B000C10014 55AA5305000003");
    (0..126).for_each(|i| drop(chain.execute(Command::SetAddress(i * 2), usize::MAX)));
    run(
        &mut chain,
        "55AA5109003C8000800805 55AA5109003C800085400C 55AA51090008 40A80230 03 55AA51090010 00001381 08",
    );
    write(&mut chain, 0xA8, 2);
    for word in [0x8000_8540, 0x8000_8008, 0x8000_82AA] {
        write(&mut chain, 0x3C, word);
    }
    run(&mut chain, REAL_JOB);
    let mut sweep = Sweep::new(chain.work(126, 8).unwrap(), 0);
    let mut found = Vec::new();
    assert_eq!(sweep.step(&mut found), 126 * 514);
    assert!(found.len() > 100);
    for found in &found {
        assert_eq!((found.nonce >> 17 & 0xFF) as usize, found.chip * 2);
        assert!(found.nonce >> 25 < 65);
        let response = found.response(&BM1362, 0x68, true);
        assert_eq!(response.as_bytes()[7], 0x68 | found.sub_core);
    }
}

/// ESP-Miner's start-up and its formula: chip = (nonce >> 17 & 0xFF) / interval, job byte = (result & 0xF0) >> 1.
#[test]
fn bm1368_chips_stamp_their_addresses_into_nonces() {
    let mut chain = Chain::new(&BM1368, 108);
    chain.set_powered(true);
    run(
        &mut chain,
        "55AA510900A49000FFFF1C 55AA5305000003 55AA510900A80007000003 55AA51090018FF0FC10000
        55AA5109003C80008B0012 55AA5109003C800080181F 55AA51090054000000031D 55AA510900580211111106",
    );
    (0..128).for_each(|i| drop(chain.execute(Command::SetAddress(i * 2), usize::MAX)));
    for i in 0..108u8 {
        let words = [(0xA8, 0x0007_01F0), (0x18, 0xF000_C100), (0x3C, 0x8000_8B00), (0x3C, 0x8000_8018)];
        for (register, value) in words.into_iter().chain([(0x3C, 0x8000_82AA)]) {
            let target = Target::Chip(i * 2);
            assert_eq!(chain.execute(Command::Write { target, register, value }, usize::MAX), []);
        }
    }
    write(&mut chain, 0x08, 0x50C4_0240);
    run(&mut chain, "55AA51090010000015A40A");
    run(&mut chain, REAL_JOB);
    let mut sweep = Sweep::new(chain.work(108, 8).unwrap(), 0);
    let mut found = Vec::new();
    assert_eq!(sweep.step(&mut found), 108 * 1276);
    assert!(found.len() > 100);
    for found in &found {
        assert_eq!((found.nonce >> 17 & 0xFF) as usize / 2, found.chip);
        assert!(found.nonce >> 25 < 80);
        let response = found.response(&BM1368, 0x68, true);
        assert_eq!((response.as_bytes()[7] & 0xF0) >> 1, 0x68);
        assert_eq!(response.as_bytes()[7] & 0x0F, found.sub_core);
    }
}

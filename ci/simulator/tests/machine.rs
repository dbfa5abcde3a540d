//! The whole machine, on its sockets.
#![allow(clippy::unwrap_used)]

mod support;

use adit_simulator::{Event, Fault};
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};
use support::{
    BRING_UP, Bench, READ_ID, REAL_JOB, REAL_JOB_HEADER, SILENCE, VERSION_ROLLING, bytes, connect,
    hear_until, listen, takes,
};

#[test]
fn without_power_or_in_reset_the_chip_is_silent() {
    let mut bench = Bench::new(|_| {});
    bench.send(READ_ID);
    assert!(bench.listen(SILENCE).is_empty(), "answers without power");
    bench.power_up();
    bench.send(READ_ID);
    assert_eq!(bench.hear(9).len(), 9);
    bench.ask_board("07 00 00 00 06 00 00");
    bench.send(READ_ID);
    assert!(bench.listen(SILENCE).is_empty(), "answers in reset");
    bench.ask_board("07 00 00 00 06 00 01");
    bench.send(VERSION_ROLLING);
    bench.send(READ_ID);
    assert_eq!(bench.hear(11), bytes("AA55 13700000 00 00 0000 10"));
    bench.ask_board("08 00 00 00 05 20 24 01 00");
    bench.until("rail off", |state| !state.rail.on);
    bench.send(READ_ID);
    assert!(bench.listen(SILENCE).is_empty(), "answers without a rail");
    let edges: Vec<_> = bench.all_events().into_iter().map(|record| record.event).collect();
    let expected = [
        Event::Rail { on: true },
        Event::Reset { held: false },
        Event::Reset { held: true },
        Event::Reset { held: false },
        Event::Rail { on: false },
    ];
    assert_eq!(edges, expected);
}

#[test]
fn it_hashes_reports_true_nonces_and_keeps_its_rate() {
    // 128 kH/s: an eighth of a processor is enough for that.
    let mut bench = Bench::powered(|config| (config.slowdown_bits, config.base_bits) = (23, 13));
    let rate = 525e6 * 2040.0 / f64::from(1 << 23);
    let start = Instant::now();
    bench.send(BRING_UP);
    bench.send(REAL_JOB);
    // One second of those in which no other program had the processors; that it never hurries follows below.
    bench.until("a second at the chip's rate", |state| (0.8..1.1).contains(&(state.mhs * 1e6 / rate)));
    bench.until("320 thousand hashes", |state| state.hashes >= 320_000);
    bench.ask_board("07 00 00 00 06 00 00");
    let state = bench.handle.state();
    let most = 1.1 * rate * start.elapsed().as_secs_f64();
    assert!((state.hashes as f64) < most, "{} hashes, not {most}", state.hashes);

    let heard = bench.hear(state.chain.nonces as usize * 11);
    assert_eq!(heard.len() % 11, 0);
    // 39 nonces of 320 thousand hashes on average; the spread is Poisson's.
    let count = heard.len() / 11;
    let average = state.hashes as f64 / f64::from(1 << 13);
    assert!((0.4 * average..1.8 * average).contains(&(count as f64)), "{count} nonces, {average} expected");
    for frame in heard.chunks(11) {
        assert_eq!((frame[0], frame[1], frame[7] & 0xF0), (0xAA, 0x55, 0xD0), "{frame:02x?}");
        let version = 0x2000_0000 | u32::from(u16::from_be_bytes([frame[8], frame[9]])) << 13;
        let mut header = bytes(REAL_JOB_HEADER);
        header[..4].copy_from_slice(&version.to_le_bytes());
        header.extend(&frame[2..6]);
        let hash = Sha256::digest(Sha256::digest(&header));
        assert!(hash[31] == 0 && hash[30] < 8, "not a hash with 13 zero bits: {frame:02x?}");
    }
    assert_eq!(state.chain.jobs, 1);
    let nonces =
        bench.all_events().into_iter().filter(|record| matches!(record.event, Event::Nonce { .. })).count();
    assert_eq!(nonces, count);
    let previous = "000000000000000000015296bc96391d0d67f4a301f2d4fc6db962c16b6455fd";
    assert!(bench.happened(|event| {
        matches!(event, Event::Job { job_id: 0x68, prev_hash, .. } if *prev_hash == previous)
    }));
}

#[test]
fn a_new_job_silences_the_old_one_at_once() {
    let mut bench = Bench::powered(|config| config.base_bits = 12);
    bench.send(BRING_UP);
    bench.send(REAL_JOB);
    bench.until("the first job reports", |state| state.chain.nonces > 0);
    // The same work under job byte 0x18: CRC by the test's own hand.
    let mut second = bytes(REAL_JOB);
    second[4] = 0x18;
    let crc = crc16(&second[2..86]);
    second[86..].copy_from_slice(&crc.to_be_bytes());
    bench.send(&hex::encode(&second));
    bench.until("the second job reports", |_| {
        bench.happened(|event| matches!(event, Event::Nonce { job_id: 0x18, .. }))
    });
    std::thread::sleep(Duration::from_millis(300)); // for an old one to show
    bench.ask_board("07 00 00 00 06 00 00");
    let ids: Vec<u8> = bench.listen(SILENCE).chunks(11).map(|frame| frame[7] >> 4).collect();
    let first_new = ids.iter().position(|id| *id == 3).expect("the new job reports");
    assert!(ids[first_new..].iter().all(|id| *id == 3), "{ids:?}");
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).rev().fold(crc, |crc: u16, bit| {
            let out = crc >> 15 ^ u16::from(byte >> bit & 1);
            (crc << 1) ^ if out == 1 { 0x1021 } else { 0 }
        })
    })
}

#[test]
fn a_host_may_leave_and_come_back_while_the_machine_goes_on() {
    let mut bench = Bench::powered(|_| {});
    bench.send(BRING_UP);
    bench.send(REAL_JOB);
    bench.until("hashing", |state| state.hashes > 0);
    bench.chain.shutdown(std::net::Shutdown::Both).unwrap();
    let hashes = bench.handle.state().hashes;
    bench.until("hashing on", |state| state.hashes > hashes);
    bench.chain = connect(&bench.folder.path().join("chain"));
    bench.send(READ_ID);
    hear_until(&mut bench.chain, |heard| heard.windows(4).any(|window| window == [0xAA, 0x55, 0x13, 0x70]));
}

#[test]
fn the_fan_spins_up_in_about_a_second_and_its_tachometer_tells() {
    let mut bench = Bench::new(|_| {});
    let count = |bench: &mut Bench| {
        let low = bench.ask_board("00 00 01 00 05 40 4C 46 01")[3];
        u16::from_le_bytes([low, bench.ask_board("00 00 01 00 05 40 4C 47 01")[3]])
    };
    bench.ask_board("00 00 01 00 05 20 4C 03 04");
    assert_eq!(count(&mut bench), 0xFFFF, "at rest");
    let before = Instant::now();
    bench.ask_board("00 00 01 00 05 20 4C 4C 3F");
    let state = takes(&bench.handle, (before, Instant::now()), 0.4..2.0, |state| state.fan.rpm > 6300);
    assert_eq!(state.fan.percent, 100);
    let rpm = 5_400_000 / u32::from(count(&mut bench));
    assert!((6300..=7000).contains(&rpm), "{rpm}");
    bench.handle.fault(Fault::FanStopped(true));
    bench.until("stopped", |state| state.fan.rpm < 100);
    assert!(bench.happened(|event| *event == Event::Fan { percent: 100 }));
}

#[test]
fn heat_rises_with_hashing_and_a_hot_chip_is_recorded() {
    let mut bench = Bench::powered(|_| {});
    bench.send(BRING_UP);
    bench.send(REAL_JOB);
    bench.until("warmer", |state| state.celsius.chip > 26.0 && state.watts > 15.0);
    bench.handle.fault(Fault::Temperature(90.0));
    let reading = bench.ask_board("00 00 01 00 05 40 4C 01 01")[3];
    assert!((115..=125).contains(&reading), "{reading}");
    assert!(bench.happened(|event| matches!(event, Event::OverTemperature { celsius } if *celsius > 110.0)));
}

#[test]
fn faults_do_what_they_say() {
    let mut bench = Bench::powered(|_| {});
    bench.send(VERSION_ROLLING);
    let good = bytes("AA55 13700000 00 00 0000 10");

    bench.handle.fault(Fault::FlipResponseBits(1));
    bench.send(READ_ID);
    let flipped = bench.hear(11);
    let distance: u32 = good.iter().zip(&flipped).map(|(a, b)| (a ^ b).count_ones()).sum();
    assert_eq!((flipped.len(), distance), (11, 1));
    bench.send(READ_ID);
    assert_eq!(bench.hear(11), good, "only one answer was to be flipped");

    bench.handle.fault(Fault::ChainSilent(true));
    bench.send(READ_ID);
    assert!(bench.listen(SILENCE).is_empty());
    bench.handle.fault(Fault::ChainSilent(false));

    bench.handle.fault(Fault::MissingChips(1));
    bench.send(READ_ID);
    assert!(bench.listen(SILENCE).is_empty());
    bench.handle.fault(Fault::MissingChips(0));

    bench.handle.fault(Fault::GarbageBytes(33));
    assert_eq!(bench.hear(33).len(), 33);

    bench.handle.fault(Fault::DuplicateNonces(true));
    bench.send(BRING_UP);
    bench.send(REAL_JOB);
    let heard = hear_until(&mut bench.chain, |heard| heard.len() >= 4 * 11);
    let frames: Vec<_> = heard.chunks_exact(11).collect();
    assert!(frames.chunks_exact(2).all(|pair| pair[0] == pair[1]), "{frames:02x?}");

    bench.handle.fault(Fault::RailStuckOff(true));
    bench.until("rail off", |state| !state.rail.on);
    bench.handle.fault(Fault::BoardSilent(true));
    use std::io::Write as _;
    bench.board.write_all(&bytes("06 00 00 00 06 00")).unwrap();
    assert!(listen(&mut bench.board, SILENCE).is_empty());
}

#[test]
fn wrong_nonces_have_good_checksums_and_bad_hashes() {
    let mut bench = Bench::powered(|_| {});
    bench.handle.fault(Fault::WrongNonces(1_000_000));
    bench.send(BRING_UP);
    bench.send(REAL_JOB);
    bench.until("thirty nonces", |state| state.chain.nonces >= 30);
    bench.ask_board("07 00 00 00 06 00 00");
    let heard = bench.hear(30 * 11);
    for frame in heard.chunks(11) {
        let version = 0x2000_0000 | u32::from(u16::from_be_bytes([frame[8], frame[9]])) << 13;
        let mut header = bytes(REAL_JOB_HEADER);
        header[..4].copy_from_slice(&version.to_le_bytes());
        header.extend(&frame[2..6]);
        assert_ne!(Sha256::digest(Sha256::digest(&header))[30..], [0, 0]);
    }
}

//! Chains at their full length: every chip is found and addressed, and every nonce is put down to the chip that found it.
//!
//! Their start-up takes most of a second on the wire, longer than any pause in it: a host that changes its rate too early is not understood, and the machine counts garbled bytes.
#![allow(clippy::unwrap_used)]

mod bench;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use adit_bus::hardware::HardwareStatus;
use adit_simulator::{BM1362, BM1366, BM1368, BM1370, BM1387, BM1397, Event, Fault, Model};
use adit_work::frame::{FromHardware, Nonce, Work};
use bench::{Bench, QUICK, machine, work, zero_bits};

/// How the simulated machine has come through the start-up.
struct Expected {
    profile: &'static str,
    model: &'static Model,
    chips: usize,
    mhz: f64,
    baud: u32,
}

const S19J_PRO: Expected =
    Expected { profile: "bench-bm1362", model: &BM1362, chips: 126, mhz: 525.0, baud: 3_125_000 };
const S21: Expected =
    Expected { profile: "bench-bm1368", model: &BM1368, chips: 108, mhz: 490.0, baud: 1_041_666 };
const ULTRA: Expected =
    Expected { profile: "bench-ultra", model: &BM1366, chips: 1, mhz: 485.0, baud: 1_041_666 };
const S19_XP: Expected =
    Expected { profile: "bench-bm1366", model: &BM1366, chips: 110, mhz: 475.0, baud: 1_041_666 };
const S21_PRO: Expected =
    Expected { profile: "bench-bm1370", model: &BM1370, chips: 65, mhz: 600.0, baud: 3_125_000 };
const MAX: Expected =
    Expected { profile: "bench-max", model: &BM1397, chips: 1, mhz: 425.0, baud: 3_125_000 };
const S17: Expected =
    Expected { profile: "bench-bm1397", model: &BM1397, chips: 48, mhz: 650.0, baud: 6_250_000 };
const S9: Expected =
    Expected { profile: "bench-bm1387", model: &BM1387, chips: 63, mhz: 650.0, baud: 1_562_500 };

async fn brings_up_and_hashes(expected: &Expected) {
    let bench = machine(expected.profile, expected.model, expected.chips, &[]);
    let _driver = bench.drive();
    let status = bench.until_status("hashing", |status| status.stage == "hashing").await;
    let chain = &status.chains[0];
    assert_eq!(
        (chain.chips_found, chain.mhz, chain.baud),
        (expected.chips as u16, expected.mhz, expected.baud)
    );
    let truth = bench.state().chain;
    assert_eq!((truth.addressed, truth.baud, truth.mhz), (expected.chips, expected.baud, expected.mhz));
    let (bytes, mask) = match expected.model.name {
        "BM1387" => (7, 0),
        "BM1397" => (9, 0),
        _ => (11, 0xffff),
    };
    assert_eq!((truth.response_bytes, truth.ticket_bits, truth.version_mask), (bytes, 4, mask));

    let mut miner = bench.miner().await;
    let nonces = miner.mine(1, 1, 12).await;
    // A nonce is recorded when it has left, which the driver may be told of sooner.
    let recorded = |nonce: &Nonce| finders(&bench).contains_key(&format!("{:08x}", nonce.nonce));
    bench.until("a record of every nonce", |_| nonces.iter().all(|(nonce, _)| recorded(nonce))).await;
    let finders = finders(&bench);
    let mut chips = HashSet::new();
    let mut versions = HashSet::new();
    for (nonce, work) in &nonces {
        assert!(zero_bits(nonce, work) >= 20, "{nonce:?}");
        assert_eq!(nonce.version & !work.version_mask, work.version);
        versions.insert(nonce.version);
        let finder = finders[&format!("{:08x}", nonce.nonce)];
        assert_eq!(usize::from(nonce.chip), finder, "{nonce:?}");
        chips.insert(nonce.chip);
    }
    assert!(versions.len() >= 3, "versions are not rolled: {versions:x?}");
    assert!(chips.len() >= expected.chips.min(5), "all from few chips: {chips:?}");
    let truth = bench.state().chain;
    assert_eq!(
        (truth.crc_errors, truth.garbled_bytes, truth.protocol_errors, truth.dropped_responses),
        (0, 0, 0, 0),
        "{:#?}",
        bench.events()
    );
    let chain = &bench.status().await.chains[0];
    assert_eq!((chain.crc_errors, chain.impossible), (0, 0));
}

/// The place of the chip that found each nonce, from the machine's own record.
fn finders(bench: &Bench) -> HashMap<String, usize> {
    let found = |event| match event {
        Event::Nonce { nonce, chip, .. } => Some((nonce, chip)),
        _ => None,
    };
    bench.events().into_iter().filter_map(found).collect()
}

#[tokio::test]
async fn a_chain_of_126_bm1362_hashes_and_every_nonce_names_its_chip() {
    brings_up_and_hashes(&S19J_PRO).await;
}

#[tokio::test]
async fn a_chain_of_108_bm1368_hashes_and_every_nonce_names_its_chip() {
    brings_up_and_hashes(&S21).await;
}

#[tokio::test]
async fn a_single_bm1366_hashes() {
    brings_up_and_hashes(&ULTRA).await;
}

#[tokio::test]
async fn a_chain_of_110_bm1366_hashes_and_every_nonce_names_its_chip() {
    brings_up_and_hashes(&S19_XP).await;
}

#[tokio::test]
async fn a_chain_of_65_bm1370_hashes_and_every_nonce_names_its_chip() {
    brings_up_and_hashes(&S21_PRO).await;
}

#[tokio::test]
async fn a_single_bm1397_hashes_versions_that_the_driver_rolls() {
    brings_up_and_hashes(&MAX).await;
}

#[tokio::test]
async fn a_chain_of_48_bm1397_hashes_and_every_nonce_names_its_chip() {
    brings_up_and_hashes(&S17).await;
}

#[tokio::test]
async fn a_chain_of_63_bm1387_hashes_and_every_nonce_names_its_chip() {
    brings_up_and_hashes(&S9).await;
}

#[tokio::test]
async fn chips_missing_at_the_far_end_are_counted_and_the_chain_is_not_run() {
    let bench = machine("bench-bm1362", &BM1362, 126, &[QUICK]);
    bench.simulator.fault(Fault::MissingChips(3));
    let _driver = bench.drive();
    let status = bench.until_status("fault", |status| status.stage == "fault").await;
    assert_eq!(status.fault, "chain 0: 123 of 126 BM1362 answered");
    bench.until("rail off", |truth| !truth.rail.on && truth.reset).await;
    bench.simulator.fault(Fault::MissingChips(0));
    bench.until_status("hashing", |status| status.stage == "hashing").await;
}

#[tokio::test]
async fn dies_of_bm1368_tell_their_temperature_and_their_hashes() {
    let bench = machine("bench-bm1368", &BM1368, 108, &[]);
    let _driver = bench.drive();
    let told = |status: &HardwareStatus| {
        let chain = &status.chains[0];
        !chain.die_celsius.is_nan() && chain.chip_hashes > 0
    };
    let mut miner = bench.miner().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    miner.mine(1, 1, 1).await;
    let status = bench.until_status("telemetry", told).await;
    let (die, truth) = (status.chains[0].die_celsius, bench.state().celsius.chip);
    assert!((die - truth).abs() < 10.0, "{die} °C, {truth} °C");
    assert_eq!((status.chains[0].impossible, status.chains[0].chip_errors), (0, 0));
}

#[tokio::test]
async fn errors_that_chips_count_are_in_the_status() {
    let bench = machine("bench-bm1397", &BM1397, 48, &[]);
    let _driver = bench.drive();
    let mut miner = bench.miner().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    bench.simulator.fault(Fault::WrongNonces(3));
    miner.mine(1, 1, 4).await;
    bench.until_status("errors", |status| status.chains[0].chip_errors == 3).await;
}

/// Four versions are one job: the next work goes out when the chips are through with it, long before the interval of works.
#[tokio::test]
async fn a_work_of_few_versions_is_followed_as_soon_as_they_are_used_up() {
    let bench = machine("bench-max", &BM1397, 1, &[("work_interval_ms = 1000", "work_interval_ms = 60000")]);
    let _driver = bench.drive();
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    let miner = bench.miner().await;
    for sequence in 1..=2 {
        miner.send(Work { version_mask: 0x0000_6000, ..work(1, sequence) });
    }
    bench.until("the second work", |truth| truth.chain.jobs == 2).await;
    let status = bench.until_status("two works", |status| status.chains[0].works_sent == 2).await;
    assert_eq!(status.chains[0].impossible, 0);
}

#[tokio::test]
async fn versions_of_an_older_generation_are_rolled_no_further() {
    let bench = machine("bench-max", &BM1397, 1, &[]);
    let _driver = bench.drive();
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    let mut miner = bench.miner().await;
    miner.send(work(1, 1));
    bench.until("jobs of one work", |truth| truth.chain.jobs >= 3).await;
    // One version, so one job; and credit says that it is on the wire.
    miner.send(Work { version_mask: 0, ..work(2, 1) });
    let written = FromHardware::Credit { chain: 0, generation: 2, sequence: 3 };
    while miner.receive().await != written {}
    tokio::time::sleep(Duration::from_millis(100)).await;
    let jobs = bench.state().chain.jobs;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(bench.state().chain.jobs, jobs, "a job each 200 ms before");
}

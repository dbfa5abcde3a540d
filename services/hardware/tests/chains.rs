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

/// A shipped profile, and how its machine has come through the start-up: at so many MHz, at this line rate.
async fn brings_up_and_hashes(profile: &str, model: &'static Model, chips: usize, mhz: f64, baud: u32) {
    let bench = machine(profile, model, chips, &[]);
    let _driver = bench.drive().await;
    let status = bench.until_status("hashing", |status| status.stage == "hashing").await;
    let chain = &status.chains[0];
    assert_eq!((chain.chips_found, chain.mhz, chain.baud), (chips as u16, mhz, baud));
    let truth = bench.state().chain;
    assert_eq!((truth.addressed, truth.baud, truth.mhz), (chips, baud, mhz));
    let (bytes, mask) = match model.name {
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
    let mut found_by = HashSet::new();
    let mut versions = HashSet::new();
    for (nonce, work) in &nonces {
        assert!(zero_bits(nonce, work) >= 20, "{nonce:?}");
        assert_eq!(nonce.version & !work.version_mask, work.version);
        versions.insert(nonce.version);
        let finder = finders[&format!("{:08x}", nonce.nonce)];
        assert_eq!(usize::from(nonce.chip), finder, "{nonce:?}");
        found_by.insert(nonce.chip);
    }
    assert!(versions.len() >= 3, "versions are not rolled: {versions:x?}");
    assert!(found_by.len() >= chips.min(5), "all from few chips: {found_by:?}");
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
    brings_up_and_hashes("bench-bm1362", &BM1362, 126, 525.0, 3_125_000).await;
}

#[tokio::test]
async fn a_chain_of_108_bm1368_hashes_and_every_nonce_names_its_chip() {
    brings_up_and_hashes("bench-bm1368", &BM1368, 108, 490.0, 1_041_666).await;
}

#[tokio::test]
async fn a_single_bm1366_hashes() {
    brings_up_and_hashes("bench-ultra", &BM1366, 1, 485.0, 1_041_666).await;
}

#[tokio::test]
async fn a_chain_of_110_bm1366_hashes_and_every_nonce_names_its_chip() {
    brings_up_and_hashes("bench-bm1366", &BM1366, 110, 475.0, 1_041_666).await;
}

#[tokio::test]
async fn a_chain_of_65_bm1370_hashes_and_every_nonce_names_its_chip() {
    brings_up_and_hashes("bench-bm1370", &BM1370, 65, 600.0, 3_125_000).await;
}

#[tokio::test]
async fn a_single_bm1397_hashes_versions_that_the_driver_rolls() {
    brings_up_and_hashes("bench-max", &BM1397, 1, 425.0, 3_125_000).await;
}

#[tokio::test]
async fn a_chain_of_48_bm1397_hashes_and_every_nonce_names_its_chip() {
    brings_up_and_hashes("bench-bm1397", &BM1397, 48, 650.0, 6_250_000).await;
}

#[tokio::test]
async fn a_chain_of_63_bm1387_hashes_and_every_nonce_names_its_chip() {
    brings_up_and_hashes("bench-bm1387", &BM1387, 63, 650.0, 1_562_500).await;
}

#[tokio::test]
async fn chips_missing_at_the_far_end_are_counted_and_the_chain_is_not_run() {
    let bench = machine("bench-bm1362", &BM1362, 126, &[QUICK]);
    bench.simulator.fault(Fault::MissingChips(3));
    let _driver = bench.drive().await;
    let status = bench.until_status("fault", |status| status.stage == "fault").await;
    assert_eq!(status.fault, "chain 0: 123 of 126 BM1362 answered");
    bench.until("rail off", |truth| !truth.rail.on && truth.reset).await;
    bench.simulator.fault(Fault::MissingChips(0));
    bench.until_status("hashing", |status| status.stage == "hashing").await;
}

#[tokio::test]
async fn dies_of_bm1368_tell_their_temperature_and_their_hashes() {
    let bench = machine("bench-bm1368", &BM1368, 108, &[]);
    let _driver = bench.drive().await;
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
    let _driver = bench.drive().await;
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
    let _driver = bench.drive().await;
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
    let _driver = bench.drive().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    let mut miner = bench.miner().await;
    miner.send(work(1, 1));
    bench.until("jobs of one work", |truth| truth.chain.jobs >= 3).await;
    // One version, so one job; and credit says that it is on the wire.
    miner.send(Work { version_mask: 0, ..work(2, 1) });
    let written = FromHardware::Credit { chain: 0, generation: 2, sequence: 3 };
    while miner.receive().await != written {}
    // And a nonce for it says that the chips have it.
    while !matches!(miner.receive().await, FromHardware::Nonce(Nonce { generation: 2, .. })) {}
    let jobs = bench.state().chain.jobs;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(bench.state().chain.jobs, jobs, "a job each 200 ms before");
}

#[tokio::test]
async fn a_chip_that_dies_while_hashing_is_told() {
    let bench = machine("bench-bm1362", &BM1362, 126, &[QUICK]);
    let _driver = bench.drive().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    let mut miner = bench.miner().await;
    miner.mine(1, 1, 1).await;
    bench.simulator.fault(Fault::DeadChip(Some(60)));
    let seen = |status: &HardwareStatus| status.stage == "hashing" && status.chains[0].chips_found == 60;
    bench.until_status("chips that are gone, in the status of a chain that hashes", seen).await;
    let status = bench.until_status("fault", |status| status.stage == "fault").await;
    let reason = "chain 0: chip 60 (address 0x78) does not answer any more; 60 of 126 BM1362 do";
    assert_eq!(status.fault, reason);
    bench.until("rail off", |truth| !truth.rail.on && truth.reset).await;
    let status = bench.until_status("tried again", |status| status.fault != reason).await;
    assert_eq!(status.fault, "chain 0: 60 of 126 BM1362 answered");
    bench.simulator.fault(Fault::DeadChip(None));
    bench.until_status("hashing", |status| status.stage == "hashing").await;
}

#[tokio::test]
async fn a_chip_that_takes_no_address_is_named() {
    let bench = machine("bench-bm1362", &BM1362, 126, &[QUICK]);
    bench.simulator.fault(Fault::StuckAddress(Some(1)));
    let _driver = bench.drive().await;
    let status = bench.until_status("fault", |status| status.stage == "fault").await;
    assert_eq!(status.fault, "chain 0: 126 BM1362 answered, none of them at 0x02, the address of chip 1");
    bench.until("rail off", |truth| !truth.rail.on && truth.reset).await;
    bench.simulator.fault(Fault::StuckAddress(None));
    bench.until_status("hashing", |status| status.stage == "hashing").await;
}

/// Both sensors of the board are allowed more than the chips are, so that only the dies' own thermometers are left to tell.
#[tokio::test]
async fn a_chain_whose_dies_get_too_hot_is_taken_off_power_by_their_own_thermometers() {
    let lenient = [
        ("of = \"chip\"", "of = \"chip\"\nmax_celsius = 110.0"),
        ("of = \"board\"", "of = \"board\"\nmax_celsius = 110.0"),
    ];
    let bench = machine("bench-bm1368", &BM1368, 108, &[QUICK, lenient[0], lenient[1]]);
    let _driver = bench.drive().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    bench.until_status("temperatures", |status| !status.chains[0].die_celsius.is_nan()).await;
    // No faster than a sound sensor may follow, so that none of the others is taken for absurd.
    for seconds in 1.. {
        bench.simulator.fault(Fault::Temperature(f64::from(seconds) * 5.0));
        if bench.state().celsius.chip >= 80.0 {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let status = bench.until_status("fault", |status| status.stage == "fault").await;
    assert!(
        status.fault.contains("die: chip hot (") && status.fault.ends_with("limit 75.0)"),
        "{}",
        status.fault
    );
    bench.until("rail off", |truth| !truth.rail.on && truth.reset).await;
    bench.simulator.fault(Fault::Temperature(0.0));
    let status = bench.until_status("hashing", |status| status.stage == "hashing").await;
    assert_eq!(status.faults, []);
}

//! From reset to nonces, and everything that may be wrong with what comes from the miner or up the line.
#![allow(clippy::unwrap_used)]

mod bench;

use std::{collections::HashSet, time::Duration};

use adit_simulator::{Event, Fault};
use adit_work::frame::{FromHardware, Nonce, ToHardware};
use bench::{QUICK, bench, work, zero_bits};

#[tokio::test]
async fn a_chain_is_found_sped_up_and_hashes_and_every_nonce_is_a_ticket() {
    let bench = bench(&[]);
    let _driver = bench.drive().await;
    let status = bench.until_status("hashing", |status| status.stage == "hashing").await;
    let chain = &status.chains[0];
    assert_eq!((status.machine.as_str(), status.simulated), ("bench-bitaxe", true));
    assert_eq!((chain.chips_found, chain.mhz, chain.baud, chain.ticket_bits), (1, 525.0, 1_041_666, 20));
    let truth = bench.state();
    assert_eq!((truth.chain.baud, truth.chain.mhz, truth.chain.addressed), (1_041_666, 525.0, 1));
    assert_eq!((truth.fan.percent, truth.chain.ticket_bits, truth.chain.version_mask), (100, 4, 0xffff));

    let mut miner = bench.miner().await;
    let found = miner.mine(1, 1, 8).await;
    let mut headers = HashSet::new();
    for (nonce, work) in &found {
        assert!(zero_bits(nonce, work) >= 20, "{nonce:?}");
        assert_eq!(nonce.version & !work.version_mask, work.version);
        assert!(headers.insert((nonce.sequence, nonce.version, nonce.nonce)));
        assert_eq!(nonce.chip, 0);
    }
    let truth = bench.state().chain;
    assert_eq!(
        (truth.crc_errors, truth.garbled_bytes, truth.protocol_errors),
        (0, 0, 0),
        "{:#?}",
        bench.events()
    );
    let status = bench.status().await;
    assert!(status.chains[0].nonces >= 8 && status.chains[0].works_sent >= 1);
    assert_eq!((status.chains[0].crc_errors, status.chains[0].impossible), (0, 0));
    assert!((1.1..1.2).contains(&status.rail_volts) && status.fan_rpm[0] > 5000, "{status:?}");
}

/// As in QEMU: a port that can do nothing faster than the rate after reset.
#[tokio::test]
async fn a_chain_may_stay_at_the_rate_of_reset() {
    let bench = bench(&[("baud = 1_041_666", "baud = 115_740")]);
    let _driver = bench.drive().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    let mut miner = bench.miner().await;
    assert_eq!(miner.mine(1, 1, 2).await.len(), 2);
    assert!(!bench.events().iter().any(|event| matches!(event, Event::Baud { .. })));
}

#[tokio::test]
async fn a_new_generation_goes_out_at_once_and_older_work_never_again() {
    let bench = bench(&[("work_interval_ms = 500", "work_interval_ms = 1200")]);
    let _driver = bench.drive().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    let miner = bench.miner().await;
    miner.send(work(1, 1));
    miner.send(work(1, 2));
    bench.until("first job", |truth| truth.chain.jobs == 1).await;
    let sent_us = adit_sys::clock::monotonic_us();
    miner.send(work(2, 1));
    bench.until("second job", |truth| truth.chain.jobs == 2).await;
    miner.send(work(1, 3));
    tokio::time::sleep(Duration::from_millis(1500)).await;

    let jobs: Vec<(String, u64)> = bench
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Job { prev_hash, last_byte_us, .. } => Some((prev_hash, last_byte_us)),
            _ => None,
        })
        .collect();
    let generations: Vec<&str> = jobs.iter().map(|(prev_hash, _)| &prev_hash[..2]).collect();
    assert_eq!(generations, ["01", "02"], "work 2 of generation 1 was dropped, work 3 came too late");
    let switch_us = jobs[1].1.saturating_sub(sent_us);
    assert!(switch_us < 300_000, "{switch_us} µs from the miner's send to the last byte on the wire");
    eprintln!("job switch: {switch_us} µs, of which 845 µs are the wire's");
}

#[tokio::test]
async fn credit_bounds_what_waits_and_a_bad_packet_changes_nothing() {
    let bench = bench(&[]);
    let _driver = bench.drive().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    let mut miner = bench.miner().await;
    miner.send_packet(&[]).unwrap_or(());
    let mut miner = {
        // An empty packet counts as closing; the path is simply acquired again.
        let _ = miner.receive_ever().await;
        bench.miner().await
    };
    miner.send_packet(&[9; 20]).unwrap();
    miner.send_packet(&[1; 92]).unwrap();
    for sequence in 1..=200 {
        miner.send(work(1, sequence));
    }
    let mut credit = 2;
    while credit < 4 {
        if let FromHardware::Credit { generation: 1, sequence, .. } = miner.receive().await {
            let jobs = bench.state().chain.jobs;
            assert!(u64::from(sequence) <= jobs + 1 + 2, "credit {sequence} after {jobs} jobs");
            credit = sequence;
        }
    }
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let jobs = bench.state().chain.jobs;
    assert!(jobs <= 5, "{jobs} jobs: works beyond the credit were dropped, not kept");
    for sequence in 3..=200 {
        miner.send(work(1, sequence));
    }
    bench.until("more jobs", |truth| truth.chain.jobs > jobs).await;
}

#[tokio::test]
async fn idle_stops_work_and_a_second_holder_takes_over() {
    let bench = bench(&[]);
    let _driver = bench.drive().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    let mut first = bench.miner().await;
    first.send(work(5, 1));
    bench.until("a job", |truth| truth.chain.jobs == 1).await;
    first.send(work(5, 2));
    first.send_packet(ToHardware::Idle { generation: 6 }.encode().as_bytes()).unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(bench.state().chain.jobs, 1, "the work that waited was dropped");

    let mut second = bench.miner().await;
    let closed = async { while first.receive_ever().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(2), closed).await.expect("the first path is closed");
    for (nonce, work) in second.mine(1, 1, 4).await {
        assert!(zero_bits(&nonce, &work) >= 20, "a nonce of the first holder's work reached the second");
    }
}

#[tokio::test]
async fn flipped_bits_and_garbage_are_counted_and_survived() {
    let bench = bench(&[]);
    let _driver = bench.drive().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    let mut miner = bench.miner().await;
    miner.mine(1, 1, 1).await;
    bench.simulator.fault(Fault::FlipResponseBits(6));
    for _ in 0..5 {
        bench.simulator.fault(Fault::GarbageBytes(500));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let found = miner.mine(2, 1, 12).await;
    let good = found.iter().filter(|(nonce, work)| zero_bits(nonce, work) >= 20).count();
    assert!(good >= 8, "{good} of {} nonces are tickets", found.len());
    let status = bench.status().await;
    assert_eq!(status.stage, "hashing");
    assert!(status.chains[0].crc_errors > 0, "{status:?}");
}

#[tokio::test]
async fn wrong_and_repeated_nonces_are_passed_on_for_the_miner_to_judge() {
    let bench = bench(&[]);
    let _driver = bench.drive().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    let mut miner = bench.miner().await;
    bench.simulator.fault(Fault::WrongNonces(2));
    bench.simulator.fault(Fault::DuplicateNonces(true));
    let found = miner.mine(1, 1, 8).await;
    let wrong = found.iter().filter(|(nonce, work)| zero_bits(nonce, work) < 20).count();
    assert!(wrong >= 1, "the driver does not hash");
    let mut seen = HashSet::new();
    let mut again = |nonce: &Nonce| !seen.insert((nonce.sequence, nonce.version, nonce.nonce));
    let repeated = found.iter().map(|(nonce, _)| nonce).filter(|nonce| again(nonce)).count();
    assert!(repeated >= 3, "{repeated} of {} nonces came twice: {found:?}", found.len());
    assert_eq!(bench.status().await.chains[0].impossible, 0);
}

#[tokio::test]
async fn a_pool_that_allows_fewer_version_bits_is_obeyed() {
    let bench = bench(&[]);
    let _driver = bench.drive().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    let miner = bench.miner().await;
    miner.send(adit_work::frame::Work { version_mask: 0x00ff_e000, ..work(1, 1) });
    bench.until("the mask", |truth| truth.chain.version_mask == 0x07ff && truth.chain.jobs == 1).await;
}

#[tokio::test]
async fn chips_that_do_not_answer_are_named_in_the_status_and_tried_again() {
    let bench = bench(&[QUICK]);
    bench.simulator.fault(Fault::ChainSilent(true));
    let _driver = bench.drive().await;
    let status = bench.until_status("fault", |status| status.stage == "fault").await;
    assert_eq!(status.fault, "chain 0: 0 of 1 BM1370 answered");
    assert!(!bench.state().rail.on && bench.state().reset);
    bench.simulator.fault(Fault::ChainSilent(false));
    let status = bench.until_status("hashing", |status| status.stage == "hashing").await;
    assert_eq!(status.fault, "");
    let rails = bench.events().iter().filter(|event| matches!(event, Event::Rail { on: true })).count();
    assert!(rails >= 2, "power was cycled");
}

#[tokio::test]
async fn a_chain_that_falls_silent_is_given_up() {
    let bench = bench(&[QUICK]);
    let _driver = bench.drive().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    bench.simulator.fault(Fault::ChainSilent(true));
    let status = bench.until_status("fault", |status| status.stage == "fault").await;
    assert_eq!(status.fault, "chain 0: no answer from the chips for 9 s");
}

#[tokio::test]
async fn an_idle_chain_is_not_taken_for_a_dead_one() {
    let bench = bench(&[QUICK]);
    let _driver = bench.drive().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(bench.status().await.stage, "hashing");
}

//! Services killed inside a running unit.

use std::time::{Duration, Instant};

use adit_lab::{console::Event, truth};
use adit_simulator::Event as Truth;

use crate::support::{BOOT, mining_unit, shares, with_agent};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_miner_comes_back_and_the_rail_stays_on() {
    let (_disk, backend, rig) = mining_unit(with_agent()).await;
    let cursor = rig.unit.now();
    let before = truth::newest(&rig.simulator);
    assert_eq!(rig.agent("signal adit-miner 9").await.unwrap(), "ok 1");
    rig.unit
        .wait_event(cursor, BOOT, "the miner's restart", |event| match event {
            Event::Service { name, state, .. } if name == "miner" && state == "ready" => Some(()),
            _ => None,
        })
        .await
        .unwrap();
    let accepted = backend.pool.state().shares_accepted;
    shares(&backend, &rig, accepted, BOOT).await;
    let cut = truth::events(&rig.simulator, before)
        .unwrap()
        .into_iter()
        .find(|record| matches!(record.event, Truth::Rail { on: false }));
    assert!(cut.is_none(), "a restart of the miner cycled the rail");
    rig.stop().await;
    backend.stop().await;
}

/// Emulated and on a busy computer; on hardware the limit is a tenth of this.
const SAFE_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rail_is_off_while_a_killed_driver_is_away_and_hashing_resumes() {
    let (_disk, backend, rig) = mining_unit(with_agent()).await;
    let cursor = rig.unit.now();
    let before = truth::newest(&rig.simulator);
    // Both clocks are CLOCK_MONOTONIC: an Instant can be told in the machine's microseconds.
    let (kill, kill_us) = (Instant::now(), adit_sys::clock::monotonic_us());
    let us_of = |at: Instant| kill_us + u64::try_from(at.duration_since(kill).as_micros()).unwrap();
    assert_eq!(rig.agent("signal adit-hardware 9").await.unwrap(), "ok 1");
    let ((reason, ms), _) = rig
        .unit
        .wait_event(cursor, BOOT, "safe state", |event| match event {
            Event::SafeState { reason, ms } => Some((reason.clone(), *ms)),
            _ => None,
        })
        .await
        .unwrap();
    assert!(reason.contains("hardware"), "{reason}");
    let (restart_us, _) = rig
        .unit
        .wait_from(cursor, BOOT, "the driver's restart", |said| match &said.event {
            Some(Event::Service { name, state, .. }) if name == "hardware" && state == "starting" => {
                Some(us_of(said.at))
            }
            _ => None,
        })
        .await
        .unwrap();
    rig.unit
        .wait_event(cursor, BOOT, "the chain's return", |event| match event {
            Event::ChainUp(_) => Some(()),
            _ => None,
        })
        .await
        .unwrap();
    let accepted = backend.pool.state().shares_accepted;
    shares(&backend, &rig, accepted, BOOT).await;

    let events = truth::events(&rig.simulator, before).unwrap();
    let rail =
        |on: bool| events.iter().find(|record| record.event == Truth::Rail { on }).map(|record| record.us);
    let (off, on) =
        (rail(false).expect("the rail was never off"), rail(true).expect("the rail never came back"));
    assert!(off < restart_us, "the rail was still on when the next driver started");
    assert!(off - kill_us < SAFE_WITHIN.as_micros() as u64, "the rail stayed on for {} us", off - kill_us);
    assert!(restart_us < on);
    let worked = events.iter().any(
        |record| matches!(&record.event, Truth::Nonce { last_byte_us, .. } if (off..on).contains(last_byte_us)),
    );
    assert!(!worked, "a nonce was found without power");
    println!(
        "kill to rail off {} ms, of which the safe state {ms} ms; off for {} ms",
        (off - kill_us) / 1000,
        (on - off) / 1000
    );
    rig.stop().await;
    backend.stop().await;
}

//! Whether jobs and nonces cost an allocation. None is allowed: what is allocated per job or nonce fragments the memory of a unit that runs for years, and is late when memory is short.
//!
//! The driver's thread also looks at fan, rail and temperatures, at most every two seconds, and that may allocate. So allocations are told apart by when they were: what begins a look comes no closer
//! than the profile's interval behind the one before, and a look is over soon.

use std::time::Duration;

use adit_simulator::{BM1362, BM1397, Model};
use adit_sys::allocations;
use serde_json::{Value, json};

use crate::{bench::machine_with, load::Load, nonces::EVERY_NONCE};

/// The profile's longest: between the end of a look and the beginning of the next one.
const LOOKS: (&str, &str) = ("[temperature]", "[safety]\ninterval_ms = 2000\n\n[temperature]");
const INTERVAL_US: u64 = 2_000_000;
/// A look is over after this.
const LOOK_US: u64 = 300_000;
const BASE_BITS: u32 = 8;
const JOBS: Duration = Duration::from_millis(4);
/// Where the driver rolls versions: slower, or each job is replaced before the simulated chips find anything.
const ROLLED_JOBS: Duration = Duration::from_millis(24);
/// Buffers grow to what they need.
const START_UP: Duration = Duration::from_secs(1);

/// With chips that roll versions themselves, and with chips whose versions the driver rolls.
pub(crate) async fn measure(length: Duration) -> Value {
    let four = ("job_interval_us = 200_000", "job_interval_us = 12_000");
    let [base, ticket] = EVERY_NONCE;
    json!([
        measure_with("bench-bm1362", &BM1362, 126, &[base, ticket, LOOKS], JOBS, length).await,
        measure_with("bench-bm1397", &BM1397, 48, &[base, ticket, LOOKS, four], ROLLED_JOBS, length).await,
    ])
}

async fn measure_with(
    profile: &str,
    model: &'static Model,
    chips: usize,
    changes: &[(&str, &str)],
    every: Duration,
    length: Duration,
) -> Value {
    let bench = machine_with(profile, model, chips, changes, |config| config.base_bits = BASE_BITS);
    let _driver = bench.drive_after(allocations::note_this_thread).await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    allocations::take();
    let mut miner = bench.miner().await;
    assert_ne!(allocations::take().count, 0, "the driver answered a call, and no allocation was noted");
    let mut load = Load::default();
    load.run(&mut miner, START_UP, every).await;
    let (jobs, nonces) = (bench.state().chain.jobs, load.nonces);
    allocations::take();
    load.run(&mut miner, length, every).await;
    let noted = allocations::take();
    let (looks, stray) = told_apart(&noted, length);
    json!({
        "chip": model.name,
        "jobs": bench.state().chain.jobs - jobs,
        "nonces": load.nonces - nonces,
        "looks": looks,
        "allocations": noted.count,
        "stray": stray,
    })
}

/// Looks, and allocations that cannot have been part of one. The first look may have begun before anything was noted, so that the second one comes sooner behind what was.
fn told_apart(noted: &allocations::Taken, length: Duration) -> (usize, usize) {
    let (mut looks, mut stray) = (0, noted.count - noted.times_us.len());
    let mut began: Option<u64> = None;
    for &time in &noted.times_us {
        match began {
            Some(look) if time < look + LOOK_US => {}
            Some(look) if looks == 1 && time >= look + INTERVAL_US - LOOK_US => {
                looks += 1;
                began = Some(time);
            }
            Some(look) if time < look + INTERVAL_US => stray += 1,
            _ => {
                looks += 1;
                began = Some(time);
            }
        }
    }
    let most = 1 + length.as_micros() as usize / INTERVAL_US as usize;
    (looks, stray + looks.saturating_sub(most))
}

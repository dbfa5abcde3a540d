//! How long a work takes through the driver and over the line.

use std::time::{Duration, Instant};

use adit_simulator::{BM1362, Event};
use serde_json::{Value, json};

use crate::bench::{Bench, machine_with, work};

/// Between two works: no multiple of anything that happens regularly.
const PAUSE: Duration = Duration::from_millis(23);
const LOOK: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(5);
/// Hashing takes the processor that the driver is to be measured on; on a unit the chips do it.
const SLOWER_BITS: u32 = 10;

/// A chain as long as an S19j Pro's. Each work is the first of a new generation, so it goes out at once.
pub(crate) async fn measure(jobs: u32) -> Value {
    let bench = machine_with("bench-bm1362", &BM1362, 126, &[], |config| config.slowdown_bits += SLOWER_BITS);
    let _driver = bench.drive().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    let baud = bench.state().chain.baud;
    let miner = bench.miner().await;
    let mut after = newest(&bench);
    let (mut total_us, mut wire_us) = (Vec::new(), Vec::new());
    for generation in 1..=jobs {
        tokio::time::sleep(PAUSE).await;
        let sent_us = adit_sys::clock::monotonic_us();
        miner.send(work(generation, 1));
        let (first, last) = job(&bench, &mut after).await;
        total_us.push(last.saturating_sub(sent_us));
        wire_us.push(last - first);
    }
    json!({ "baud": baud, "total_us": total_us, "wire_us": wire_us })
}

/// The next job's first and last byte on the line.
async fn job(bench: &Bench, after: &mut u64) -> (u64, u64) {
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < LONGEST, "no job on the line");
        tokio::time::sleep(LOOK).await;
        for record in bench.simulator.events(*after).events {
            *after = record.seq;
            if let Event::Job { first_byte_us, last_byte_us, .. } = record.event {
                return (first_byte_us, last_byte_us);
            }
        }
    }
}

fn newest(bench: &Bench) -> u64 {
    let mut newest = 0;
    while let Some(record) = bench.simulator.events(newest).events.last() {
        newest = record.seq;
    }
    newest
}

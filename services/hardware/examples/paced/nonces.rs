//! Nonces as fast as a line of 3.125 Mbaud brings them, and what they cost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use adit_simulator::{BM1362, Fault};
use serde_json::{Value, json};

use crate::{bench::machine_with, floor, load::Load};

/// A response of a BM1362.
pub(crate) const BYTES: u32 = 11;
/// With the start and stop bit of each byte.
pub(crate) const BITS: u32 = BYTES * 10;
/// A nonce for every 256 hashes, of twice the hash rate that simulated chains usually have: more than the line can carry.
pub(crate) const EVERY_NONCE: [(&str, &str); 2] =
    [("base_bits = 16", "base_bits = 8"), ("ticket_bits = 4", "ticket_bits = 0")];
const BASE_BITS: u32 = 8;
/// Jobs of one block come that often on a unit, or less often.
const JOBS: Duration = Duration::from_millis(500);
const SILENCE: Duration = Duration::from_millis(500);

pub(crate) async fn measure(length: Duration) -> Value {
    let bench = machine_with("bench-bm1362", &BM1362, 126, &EVERY_NONCE, |config| {
        config.base_bits = BASE_BITS;
        config.slowdown_bits -= 1;
    });
    let thread = Arc::new(AtomicU32::new(0));
    let id = Arc::clone(&thread);
    let _driver = bench.drive_after(move || id.store(floor::own_thread(), Ordering::SeqCst)).await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    let mut miner = bench.miner().await;
    let mut load = Load::default();
    let before = bench.state().chain;
    let (cpu_ns, began) = (floor::processor_ns(thread.load(Ordering::SeqCst)), Instant::now());
    load.run(&mut miner, length, JOBS).await;
    let seconds = began.elapsed().as_secs_f64();
    let cpu_ns = floor::processor_ns(thread.load(Ordering::SeqCst)) - cpu_ns;
    let on_wire = bench.state().chain.nonces - before.nonces;
    // What is on its way arrives, nothing new comes.
    bench.simulator.fault(Fault::ChainSilent(true));
    load.drain(&mut miner, SILENCE).await;
    let after = bench.state().chain;
    bench.simulator.fault(Fault::ChainSilent(false));
    let status = bench.status().await.chains.swap_remove(0);
    let peer = floor::measure(length, after.baud);
    json!({
        "baud": after.baud,
        "seconds": seconds,
        "sent": after.nonces - before.nonces,
        "sent_in_time": on_wire,
        "wire_seconds": on_wire as f64 * f64::from(BITS) / f64::from(after.baud),
        "taken_by_driver": status.nonces,
        "arrived": load.nonces,
        "crc_errors": status.crc_errors,
        "impossible": status.impossible,
        "cpu_ns": cpu_ns,
        "floor": { "nonces": peer.nonces, "seconds": peer.seconds, "cpu_ns": peer.cpu_ns },
    })
}

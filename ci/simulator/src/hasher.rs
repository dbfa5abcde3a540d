//! The thread that does the chips' hashing, at the rate at which they would, slowed down.

use crate::clock;
use crate::random::Random;
use crate::search::Sweep;
use crate::shared::Shared;
use std::time::Duration;

const IDLE: Duration = Duration::from_millis(500);
/// Hashes are made in portions of this long …
const PORTION_SECONDS: f64 = 0.01;
/// … and no more at once, so that a new job waits only a few milliseconds.
const LARGEST_PORTION: u64 = 50_000;
/// What the host's CPU could not do in this time it need not catch up with.
const FORGIVEN_NS: u64 = 100_000_000;

/// Searches until the simulation ends; sleeps while there is nothing to search or it is ahead of the chips' clock.
pub(crate) fn run(shared: &Shared, board: usize, slowdown_bits: u32, seed: u64) {
    let mut random = Random::new(seed);
    let mut current: Option<(u64, Sweep)> = None;
    let mut due_ns = 0;
    let mut found = Vec::new();
    while !shared.stopped() {
        let (version, work) = shared.read(|world| world.work(board));
        let Some(work) = work else {
            current = None;
            shared.wait_for_work(board, version, IDLE);
            continue;
        };
        let sweep = match current.take() {
            Some((known, sweep)) if known == version => sweep,
            Some((_, mut sweep)) if sweep.work().job_serial == work.job_serial => {
                sweep.update((*work).clone());
                sweep
            }
            _ => {
                due_ns = 0;
                Sweep::new((*work).clone(), random.next() as u32)
            }
        };
        let (_, sweep) = current.insert((version, sweep));

        let now = clock::now_ns();
        if due_ns > now {
            shared.wait_for_work(board, version, Duration::from_nanos(due_ns - now));
            continue;
        }
        let rate = work.hashes_per_second() / f64::from(slowdown_bits).exp2();
        let portion = ((rate * PORTION_SECONDS) as u64).min(LARGEST_PORTION);
        let mut hashes = 0;
        found.clear();
        while hashes <= portion {
            hashes += sweep.step(&mut found).max(1);
        }
        shared.change(|world| world.searched(board, &work, hashes, &found));
        let took_ns = (hashes as f64 / rate * 1e9) as u64;
        due_ns = due_ns.max(now.saturating_sub(FORGIVEN_NS)).saturating_add(took_ns);
    }
}

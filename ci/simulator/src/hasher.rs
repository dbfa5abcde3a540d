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
        due_ns = next_due_ns(due_ns, now, hashes, rate);
    }
}

/// When the portion behind this one is due. This one was due at `due_ns`, was begun at `now_ns` and has so many hashes.
fn next_due_ns(due_ns: u64, now_ns: u64, hashes: u64, rate: f64) -> u64 {
    let took_ns = (hashes as f64 / rate * 1e9) as u64;
    due_ns.max(now_ns.saturating_sub(FORGIVEN_NS)).saturating_add(took_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTION: u64 = 10_000;
    const RATE: f64 = 1e6;

    /// Hashes until `end_ns`, on a computer that makes a portion in `each_ns` and is held up for `pause_ns` after a second.
    fn hashes(each_ns: u64, pause_ns: u64, end_ns: u64) -> u64 {
        let (mut now, mut due, mut hashes, mut pause) = (0, 0, 0, pause_ns);
        while now < end_ns {
            due = next_due_ns(due, now, PORTION, RATE);
            hashes += PORTION;
            now = due.max(now + each_ns);
            if now > 1_000_000_000 {
                now += std::mem::take(&mut pause);
            }
        }
        hashes
    }

    #[test]
    fn chips_keep_their_rate_and_catch_up_with_a_tenth_of_a_second_at_most() {
        let seconds = |count: u64| count * 1_000_000_000;
        assert_eq!(hashes(1_000_000, 0, seconds(10)), 10_000_000);
        let short = hashes(1_000_000, 80_000_000, seconds(10));
        assert!((9_990_000..=10_010_000).contains(&short), "{short}: all of a short pause is caught up with");
        let long = hashes(1_000_000, seconds(5), seconds(10));
        assert!((5_080_000..=5_120_000).contains(&long), "{long}: of a long one a tenth of a second");
        assert_eq!(hashes(20_000_000, 0, seconds(10)), 5_000_000, "no faster than the computer");
    }
}

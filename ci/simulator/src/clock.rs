//! The host's CLOCK_MONOTONIC, the time that all events carry, so that other programs on the host can compare.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

pub(crate) fn sleep_until_ns(until: u64) {
    std::thread::sleep(Duration::from_nanos(until.saturating_sub(now_ns())));
}

//! Clocks that no one can set.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time since the kernel's entry, suspended time included (CLOCK_BOOTTIME). Same zero point in every process of a unit.
pub fn boottime() -> Duration {
    read(ClockId::Boottime)
}

/// Microseconds of CLOCK_MONOTONIC, as work frames carry them.
pub fn monotonic_us() -> u64 {
    u64::try_from(read(ClockId::Monotonic).as_micros()).expect("584 000 years fit")
}

fn read(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    Duration::new(
        u64::try_from(now.tv_sec).expect("clocks since boot are not negative"),
        u32::try_from(now.tv_nsec).expect("nanoseconds are below 10^9"),
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn boottime_is_the_kernels_uptime() {
        let before = super::boottime().as_secs_f64();
        let text = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = text.split(' ').next().unwrap().parse().unwrap();
        assert!((uptime - before).abs() < 0.5, "uptime {uptime}, boottime {before}");
    }

    #[test]
    fn monotonic_rises() {
        let first = super::monotonic_us();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(super::monotonic_us() >= first + 2_000);
    }
}

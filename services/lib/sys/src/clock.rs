//! Clocks that no one can set, and the one that can be.

use std::{io, time::Duration};

use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

/// Time since the kernel's entry, suspended time included (CLOCK_BOOTTIME). Same zero point in every process of a unit.
pub fn boottime() -> Duration {
    read(ClockId::Boottime)
}

/// Microseconds of CLOCK_MONOTONIC, as work frames carry them.
pub fn monotonic_us() -> u64 {
    u64::try_from(read(ClockId::Monotonic).as_micros()).expect("584 000 years fit")
}

/// Time since the kernel's entry by the crystal alone: no one sets, slews or corrects it (CLOCK_MONOTONIC_RAW).
pub fn raw() -> Duration {
    read(ClockId::MonotonicRaw)
}

/// The unit's clock (CLOCK_REALTIME), microseconds since 1970.
pub fn realtime_us() -> i64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

/// Sets the unit's clock to so many microseconds since 1970, and gives up a slow correction that was under way. Needs CAP_SYS_TIME.
pub fn set_realtime_us(time: i64) -> io::Result<()> {
    slew_us(0)?;
    let (seconds, micros) = (time.div_euclid(1_000_000), time.rem_euclid(1_000_000));
    Ok(clock_settime(ClockId::Realtime, Timespec { tv_sec: seconds, tv_nsec: micros * 1_000 })?)
}

/// Lets the unit's clock run 500 ppm faster or slower until it is this much further on, adjtime(3); takes the place of an earlier such correction.
/// Needs CAP_SYS_TIME.
pub fn slew_us(by: i32) -> io::Result<()> {
    // SAFETY: `timex` is integers only, for which zero is a value.
    let mut order: libc::timex = unsafe { std::mem::zeroed() };
    // `as`: the constant's type differs between C libraries.
    order.modes = libc::ADJ_OFFSET_SINGLESHOT as _;
    order.offset = by.into();
    // SAFETY: `order` is a valid `timex` that lives through the call.
    let state = unsafe { libc::adjtimex(&raw mut order) };
    if state < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
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
    fn the_raw_clock_and_the_units_clock_go_alike() {
        let (raw, real) = (super::raw(), super::realtime_us());
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!(super::raw() - raw >= std::time::Duration::from_millis(19));
        let system = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
        assert!(super::realtime_us() > real && super::realtime_us().abs_diff(system as i64) < 60_000_000);
    }

    #[test]
    fn monotonic_rises() {
        let first = super::monotonic_us();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(super::monotonic_us() >= first + 2_000);
    }
}

//! Notices that the clock was set, by comparing it now and then with one that nobody sets.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A new time is noticed so soon.
pub(crate) const LOOK: Duration = Duration::from_secs(1);
/// Less is a correction that no certificate's date depends on.
const STEP: Duration = Duration::from_secs(2);

/// How the clock stood at some moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClockMark {
    at: Instant,
    clock: Duration,
}

impl ClockMark {
    pub(crate) fn now() -> Self {
        Self { at: Instant::now(), clock: clock() }
    }

    /// Whether somebody has set the clock since.
    pub(crate) fn is_off(&self) -> bool {
        self.is_off_at(self.at.elapsed(), clock())
    }

    fn is_off_at(&self, passed: Duration, clock: Duration) -> bool {
        (self.clock + passed).abs_diff(clock) > STEP
    }
}

/// Since 1970.
fn clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_both_ways_are_seen_and_the_passing_of_time_is_not() {
        let mark = ClockMark { at: Instant::now(), clock: Duration::from_secs(1000) };
        let off = |passed, clock| mark.is_off_at(Duration::from_secs(passed), Duration::from_secs(clock));
        assert!(!off(0, 1000) && !off(500, 1500) && !off(500, 1502));
        assert!(off(500, 1503) && off(500, 1497) && off(1, 1_800_000_000) && off(1, 0));
        assert!(!ClockMark::now().is_off());
    }
}

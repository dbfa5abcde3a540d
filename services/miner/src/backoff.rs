//! How long to wait before trying again.

use std::time::Duration;

/// The pause after so many failures in a row: none without, `first` after one, doubled with each up to `longest`. `random` takes off up to half, evenly, so that a
/// thousand units that lost one pool do not come back in one second.
pub(crate) fn pause(failures: u32, first: Duration, longest: Duration, random: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
    let pause = first.saturating_mul(2u32.saturating_pow(doublings)).min(longest);
    pause - pause.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0)
}

/// Failures in a row, and the pauses that follow.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// An attempt failed: how long to wait before the next.
    pub(crate) fn failed(&mut self, random: u32) -> Duration {
        self.failures = self.failures.saturating_add(1);
        pause(self.failures, self.first, self.longest, random)
    }

    /// The last attempt worked.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(60);

    #[test]
    fn pauses_double_up_to_the_limit_and_start_over() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        let pauses: Vec<u64> = (0..8).map(|_| backoff.failed(0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.reset();
        assert_eq!(backoff.failed(u32::MAX), Duration::from_millis(500));
        assert_eq!(backoff.failed(u32::MAX / 2).as_millis(), 1500);
    }

    #[test]
    fn no_failure_means_no_pause_and_any_number_of_them_the_longest() {
        assert_eq!(pause(0, FIRST, LONGEST, 0), Duration::ZERO);
        assert_eq!(pause(u32::MAX, FIRST, LONGEST, 0), LONGEST);
    }
}

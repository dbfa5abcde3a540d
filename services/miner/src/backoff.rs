//! How long to wait before trying again.

use std::time::Duration;

/// Exponential back-off with jitter, so that a thousand units that lost one pool do not come back in one second.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    least: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(least: Duration, most: Duration) -> Self {
        Self { least, most, next: least }
    }

    /// The pause before the next attempt; the one after that is up to twice as long. `random` takes off up to half, evenly.
    pub(crate) fn pause(&mut self, random: u32) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(self.most);
        pause - pause.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0)
    }

    /// The last attempt worked.
    pub(crate) fn reset(&mut self) {
        self.next = self.least;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let pauses: Vec<u64> = (0..8).map(|_| backoff.pause(0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.reset();
        assert_eq!(backoff.pause(u32::MAX), Duration::from_millis(500));
        assert_eq!(backoff.pause(u32::MAX / 2).as_millis(), 1500);
    }
}

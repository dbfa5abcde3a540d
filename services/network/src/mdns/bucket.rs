//! A limit on how often something is done, however often it is asked for.

use std::time::{Duration, Instant};

/// Holds a second's worth.
#[derive(Debug)]
pub(super) struct Bucket {
    left: u32,
    most: u32,
    /// When `left` was right.
    at: Instant,
}

impl Bucket {
    /// `most` a second.
    pub(super) fn new(most: u32, now: Instant) -> Self {
        Self { left: most, most, at: now }
    }

    /// Whether it may be done once more.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }

    /// How long there is nothing to take.
    pub(super) fn wait(&mut self, now: Instant) -> Duration {
        self.fill(now);
        if self.left > 0 { Duration::ZERO } else { Duration::from_secs(1) / self.most }
    }

    fn fill(&mut self, now: Instant) {
        let each = Duration::from_secs(1) / self.most;
        let passed = now.duration_since(self.at);
        let new = passed.as_nanos() / each.as_nanos();
        if new >= u128::from(self.most) {
            (self.left, self.at) = (self.most, now);
        } else if let Ok(new @ 1..) = u32::try_from(new) {
            self.left = (self.left + new).min(self.most);
            self.at += each * new;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_gives_a_seconds_worth_and_not_more() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, start);
        let taken = (0..5000).filter(|ms| bucket.take(start + Duration::from_millis(*ms))).count();
        assert!((50..=60).contains(&taken), "{taken}");
        let quiet = start + Duration::from_secs(3600);
        assert_eq!((0..100).filter(|_| bucket.take(quiet)).count(), 10);
        assert!(!bucket.wait(quiet).is_zero() && bucket.wait(quiet + Duration::from_secs(1)).is_zero());
    }
}

//! Hash rate from what was found, not from what chips claim.

use std::time::Duration;

/// Seconds that the estimate looks back.
const WINDOW: usize = 60;

/// Hashes that verified nonces stand for, by second, over the last minute.
///
/// A nonce with n guaranteed leading zero bits stands for 2^n hashes. With k nonces in a minute the estimate's relative error is about 1/√k.
#[derive(Debug, Clone)]
pub(crate) struct HashRate {
    seconds: [f64; WINDOW],
    newest: u64,
    /// When work was first sent.
    since: Option<Duration>,
}

impl Default for HashRate {
    fn default() -> Self {
        Self { seconds: [0.0; WINDOW], newest: 0, since: None }
    }
}

impl HashRate {
    /// Work has gone out; only the first time counts.
    pub(crate) fn start(&mut self, now: Duration) {
        self.since.get_or_insert(now);
    }

    /// A verified nonce.
    pub(crate) fn add(&mut self, now: Duration, ticket_bits: u8) {
        self.advance(now);
        self.seconds[self.newest as usize % WINDOW] += 2f64.powi(ticket_bits.into());
    }

    /// Millions of hashes a second over the last minute, or since the first work when that is not so long ago.
    pub(crate) fn mhs(&mut self, now: Duration) -> f64 {
        let Some(since) = self.since else { return 0.0 };
        self.advance(now);
        let covered = (WINDOW - 1) as f64 + f64::from(now.subsec_nanos()) / 1e9;
        let elapsed = now.saturating_sub(since).as_secs_f64();
        self.seconds.iter().sum::<f64>() / elapsed.clamp(1.0, covered) / 1e6
    }

    fn advance(&mut self, now: Duration) {
        let now = now.as_secs();
        let gap = now.saturating_sub(self.newest).min(WINDOW as u64);
        for second in (now + 1).saturating_sub(gap)..=now {
            self.seconds[second as usize % WINDOW] = 0.0;
        }
        self.newest = self.newest.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_steady_rate_is_found_at_once_and_stays() {
        let mut rate = HashRate::default();
        assert_eq!(rate.mhs(at(5_000)), 0.0);
        rate.start(at(10_000));
        rate.start(at(90_000));
        for tick in 0..2_000 {
            let now = at(10_000 + tick * 100);
            rate.add(now, 20);
            if tick >= 50 {
                let mhs = rate.mhs(now);
                assert!((mhs / 10.48576 - 1.0).abs() < 0.025, "{mhs} after {tick}");
            }
        }
        assert!(rate.mhs(at(240_000)) < 6.0, "half a minute of silence shows");
        assert_eq!(rate.mhs(at(280_000)), 0.0);
    }

    #[test]
    fn an_hour_of_silence_leaves_nothing_behind() {
        let mut rate = HashRate::default();
        rate.start(at(0));
        rate.add(at(500), 32);
        assert!(rate.mhs(at(1_000)) > 4_000.0);
        assert_eq!(rate.mhs(at(3_600_000)), 0.0);
    }
}

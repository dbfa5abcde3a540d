//! How fast something may rise: frequency, voltage, or the watts of all boards together. It may fall at once.

use super::Time;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ramp {
    per_second: f64,
    most: f64,
    at: Time,
    value: f64,
}

impl Ramp {
    /// Starts at `value`. Units are the caller's; `most` is the hard limit.
    pub fn new(now: Time, value: f64, per_second: f64, most: f64) -> Self {
        Self { per_second, most, at: now, value }
    }

    /// The most that may be set now by whoever wants `wanted`. What is no number is not wanted: the value stays.
    pub fn allow(&mut self, now: Time, wanted: f64) -> f64 {
        let step = now.saturating_sub(self.at).as_secs_f64() * self.per_second;
        self.at = self.at.max(now);
        if !wanted.is_nan() {
            // `f64::min` passes over a NaN: rates and limits that are none let nothing rise.
            let step = if step >= 0.0 { step } else { 0.0 };
            let most = if self.most.is_nan() { self.value } else { self.most };
            self.value = wanted.min(self.value + step).min(most);
        }
        self.value
    }

    pub fn value(&self) -> f64 {
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    #[test]
    fn rises_no_faster_than_it_may_and_falls_at_once() {
        let mut mhz = Ramp::new(ms(0), 62.5, 62.5, 600.0);
        assert_eq!(mhz.allow(ms(0), 525.0), 62.5);
        assert_eq!(mhz.allow(ms(1000), 525.0), 125.0);
        assert_eq!(mhz.allow(ms(3000), 525.0), 250.0);
        assert_eq!(mhz.allow(ms(3001), 62.5), 62.5, "down at once");
        assert_eq!(mhz.allow(ms(4001), 525.0), 125.0, "and up again from there");
        assert_eq!(mhz.allow(ms(60_000), 9000.0), 600.0, "never above its limit");
    }

    #[test]
    fn time_that_runs_backwards_and_numbers_that_are_none_let_nothing_rise() {
        let mut volts = Ramp::new(ms(5000), 1.1, 0.1, 1.3);
        assert_eq!(volts.allow(ms(4000), 1.3), 1.1);
        assert_eq!(volts.allow(ms(5000), f64::NAN), 1.1);
        assert_eq!(volts.allow(ms(5000), f64::INFINITY), 1.1);
        assert_eq!(volts.allow(ms(4000), 1.0), 1.0);
        let mut broken = Ramp::new(ms(0), 1.0, f64::NAN, f64::NAN);
        assert_eq!(broken.allow(ms(9000), 5.0), 1.0);
    }
}

//! Slow, stopped; and of all fans together: too few.

use super::super::{
    Hazard, Time,
    limits::FanLimits,
    watch::{Detector, Evidence, Finding},
    zone::Around,
};

/// A tachometer that shows this many times the full speed counts noise.
const NOISE: f64 = 2.0;
/// Added to `slow_share` where a slow fan counts as well again.
const HYSTERESIS: f64 = 0.05;

#[derive(Debug)]
pub(in super::super) struct Fan {
    limits: FanLimits,
    /// Share of full speed that it was told.
    told: f64,
    /// What it may be expected to have reached: rises as slowly as `spin_up`, falls at once.
    expected: f64,
    last: Time,
    since: Time,
    /// Has turned since it was last at rest; until then it has `spin_up` to do so.
    turned: bool,
}

impl Fan {
    pub(in super::super) fn new(limits: FanLimits, now: Time) -> Self {
        Self { limits, told: 0.0, expected: 0.0, last: now, since: now, turned: false }
    }

    pub(in super::super) fn tell(&mut self, now: Time, percent: u8) {
        self.expect(now);
        self.told = f64::from(percent.min(100)) / 100.0;
        self.expect(now);
    }

    pub(in super::super) fn told(&self) -> f64 {
        self.told
    }

    fn expect(&mut self, now: Time) {
        let step = now.saturating_sub(self.last).as_secs_f64();
        self.last = self.last.max(now);
        let rise = step / self.limits.spin_up.as_secs_f64().max(0.001);
        self.expected = self.told.min(self.expected + rise);
    }

    fn stopped(&mut self, now: Time, rpm: f64) -> Finding {
        let FanLimits { min_rpm, full_rpm, spin_up, .. } = self.limits;
        let noise = full_rpm.map_or(f64::INFINITY, |full| full * NOISE);
        // So that a NaN does not pass.
        if rpm >= min_rpm && rpm < noise {
            self.turned = true;
            return Finding::Well;
        }
        if !self.turned && now.saturating_sub(self.since) < spin_up {
            return Finding::Unknown;
        }
        Finding::Bad(now, turning(rpm, if rpm >= noise { noise } else { min_rpm }))
    }

    fn slow(&self, now: Time, rpm: f64) -> Finding {
        let Some(full) = self.limits.full_rpm else { return Finding::Well };
        let expected = full * self.expected;
        let least = expected * self.limits.slow_share;
        if rpm >= expected * (self.limits.slow_share + HYSTERESIS) {
            Finding::Well
        } else if rpm >= least {
            Finding::Between
        } else {
            Finding::Bad(now, turning(rpm, least))
        }
    }
}

impl Detector for Fan {
    type Value = f64;

    fn look(
        &mut self,
        now: Time,
        value: Option<f64>,
        _: &Around,
    ) -> impl IntoIterator<Item = (Hazard, Finding)> {
        self.expect(now);
        // A fan that says nothing is taken to stand still.
        let rpm = value.unwrap_or(0.0);
        [(Hazard::FanStopped, self.stopped(now, rpm)), (Hazard::FanSlow, self.slow(now, rpm))]
    }
}

/// The fans of one place together; its value is how many of them are not known to have stopped.
#[derive(Debug)]
pub(in super::super) struct Crew {
    pub needed: usize,
}

impl Detector for Crew {
    type Value = usize;

    fn look(
        &mut self,
        now: Time,
        value: Option<usize>,
        _: &Around,
    ) -> impl IntoIterator<Item = (Hazard, Finding)> {
        let finding = match value {
            None => Finding::Unknown,
            Some(turning) if turning >= self.needed => Finding::Well,
            Some(turning) => {
                let (value, limit) = (turning as f64, self.needed as f64);
                Finding::Bad(now, Evidence::Measured { value, limit, unit: "fans" })
            }
        };
        [(Hazard::FansTooFew, finding)]
    }
}

fn turning(value: f64, limit: f64) -> Evidence {
    Evidence::Measured { value, limit, unit: "rpm" }
}

//! Warm, hot, lost, absurd, frozen.

use super::super::{
    Hazard, Time,
    limits::{Frozen, Physics, SensorKind, SensorLimits},
    watch::{Detector, Evidence, Finding},
    zone::Around,
};

/// A look that comes late says nothing about the time before it beyond this.
const LONGEST_STEP: Time = Time::from_secs(5);

#[derive(Debug)]
pub(in super::super) struct Thermometer {
    limits: SensorLimits,
    believed: Option<(Time, f64)>,
    still: Option<Still>,
    cool: bool,
    /// Could not be read at the last look.
    blind: bool,
}

/// Since the value last changed.
#[derive(Debug, Clone, Copy)]
struct Still {
    bits: u64,
    /// What heat was then; NaN while nobody said.
    heat: f64,
    looks: u32,
    elsewhere: Time,
    last: Time,
}

impl Thermometer {
    pub(in super::super) fn new(limits: SensorLimits) -> Self {
        Self { limits, believed: None, still: None, cool: false, blind: true }
    }

    pub(in super::super) fn limits(&self) -> &SensorLimits {
        &self.limits
    }

    /// Was at or below `cool` when last read, and not above it by more than the hysteresis since.
    pub(in super::super) fn is_cool(&self) -> bool {
        self.cool
    }

    pub(in super::super) fn is_blind(&self) -> bool {
        self.blind
    }

    fn hazards(&self) -> (Hazard, Hazard) {
        match self.limits.kind {
            SensorKind::Chip => (Hazard::ChipWarm, Hazard::ChipHot),
            SensorKind::Board => (Hazard::BoardWarm, Hazard::BoardHot),
            SensorKind::Psu => (Hazard::PsuWarm, Hazard::PsuHot),
            SensorKind::Intake => (Hazard::IntakeWarm, Hazard::IntakeHot),
        }
    }

    /// Bad from `limit` on, well up to `well`.
    fn against(&self, now: Time, value: Option<f64>, limit: f64, well: f64) -> Finding {
        match value {
            None => Finding::Unknown,
            Some(value) if value >= limit => Finding::Bad(now, celsius(value, limit)),
            Some(value) if value <= well => Finding::Well,
            Some(_) => Finding::Between,
        }
    }

    fn absurd(&mut self, now: Time, value: Option<f64>) -> Finding {
        let Physics { lowest, highest, kelvin_per_second, slack } = self.limits.physics;
        let Some(value) = value else { return Finding::Unknown };
        if value < lowest {
            return Finding::Bad(now, celsius(value, lowest));
        }
        if value > highest {
            return Finding::Bad(now, celsius(value, highest));
        }
        if let Some((at, believed)) = self.believed {
            let reach = slack + kelvin_per_second * now.saturating_sub(at).as_secs_f64();
            if (value - believed).abs() > reach {
                return Finding::Bad(now, celsius(value, believed + reach.copysign(value - believed)));
            }
        }
        self.believed = Some((now, value));
        Finding::Well
    }

    fn frozen(&mut self, now: Time, value: Option<f64>, heat: f64) -> Finding {
        let Some(limits) = self.limits.frozen else { return Finding::Well };
        let Some(value) = value else { return Finding::Unknown };
        let bits = value.to_bits();
        let fresh = Still { bits, heat, looks: 0, elsewhere: Time::ZERO, last: now };
        let still = match &mut self.still {
            Some(still) if still.bits == bits => still,
            changed => changed.insert(fresh),
        };
        let step = now.saturating_sub(still.last).min(LONGEST_STEP);
        still.last = now;
        still.looks = still.looks.saturating_add(1);
        if still.heat.is_nan() {
            still.heat = heat;
        }
        if limits.is_elsewhere(still.heat, heat) {
            still.elsewhere = still.elsewhere.saturating_add(step);
        }
        if still.elsewhere >= limits.response && still.looks >= limits.looks {
            Finding::Bad(now, Evidence::Said("the same to the last bit while heat changed"))
        } else {
            Finding::Well
        }
    }
}

impl Frozen {
    fn is_elsewhere(&self, then: f64, now: f64) -> bool {
        let (low, high) = if then < now { (then, now) } else { (now, then) };
        high - low >= self.watts && high >= low * self.factor
    }
}

impl Detector for Thermometer {
    type Value = f64;

    fn look(
        &mut self,
        now: Time,
        value: Option<f64>,
        around: &Around,
    ) -> impl IntoIterator<Item = (Hazard, Finding)> {
        let (warm, hot) = self.hazards();
        let rest = around.rest(now, self.limits.reads, self.limits.settle);
        if let Some(rest) = rest {
            (self.believed, self.still, self.cool, self.blind) = (None, None, false, true);
            return [warm, hot, Hazard::SensorLost, Hazard::SensorAbsurd, Hazard::SensorFrozen]
                .map(|hazard| (hazard, rest.clone()));
        }
        // What is no number was not read.
        let value = value.filter(|value| !value.is_nan());
        self.blind = value.is_none();
        let edge = self.limits.cool + if self.cool { self.limits.hysteresis } else { 0.0 };
        self.cool = value.is_some_and(|value| value <= edge);
        let lost = Finding::heard(now, value.is_some() || !self.limits.must_speak);
        [
            (warm, self.against(now, value, self.limits.warm, self.limits.warm - self.limits.hysteresis)),
            (hot, self.against(now, value, self.limits.max, self.limits.cool)),
            (Hazard::SensorLost, lost),
            (Hazard::SensorAbsurd, self.absurd(now, value)),
            (Hazard::SensorFrozen, self.frozen(now, value, around.heat)),
        ]
    }
}

fn celsius(value: f64, limit: f64) -> Evidence {
    Evidence::Measured { value, limit, unit: "°C" }
}

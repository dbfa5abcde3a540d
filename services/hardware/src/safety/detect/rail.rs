//! Voltage low, high, unreadable, still there when switched off; current out of range.

use super::super::{
    Hazard, Time,
    limits::{RailLimits, Reads},
    watch::{Detector, Evidence, Finding},
    zone::Around,
};

#[derive(Debug)]
pub(in super::super) struct Voltmeter(pub RailLimits);

impl Detector for Voltmeter {
    type Value = f64;

    fn look(
        &mut self,
        now: Time,
        value: Option<f64>,
        around: &Around,
    ) -> impl IntoIterator<Item = (Hazard, Finding)> {
        let RailLimits { min_volts, max_volts, off_volts, rise, fall, reads, .. } = self.0;
        let value = value.filter(|volts| volts.is_finite());
        let bad = |is: bool, limit: f64| match value {
            None => Finding::Unknown,
            Some(value) if is => Finding::Bad(now, Evidence::Measured { value, limit, unit: "V" }),
            Some(_) => Finding::Well,
        };
        let volts = value.unwrap_or(f64::NAN);
        let lost = Finding::heard(now, value.is_some());
        // Limits of a rail that is on; too high counts from the start, the rest when it has risen.
        let risen = |finding: Finding| around.rest(now, Reads::WithBoard, rise).unwrap_or(finding);
        let on = |finding: Finding| around.rest(now, Reads::WithBoard, Time::ZERO).unwrap_or(finding);
        let silent = around.rest(now, reads, rise).unwrap_or(lost);
        let still_on = match (around.power.is_on(), value) {
            (true, _) => Finding::Unknown,
            (false, Some(volts)) if volts > off_volts && around.power.lasts(now) < fall => Finding::Unknown,
            (false, None) if reads != Reads::Always => Finding::Well,
            (false, _) => bad(volts > off_volts, off_volts),
        };
        [
            (Hazard::VoltageHigh, on(bad(volts > max_volts, max_volts))),
            (Hazard::VoltageLow, risen(bad(volts < min_volts, min_volts))),
            (Hazard::SensorLost, silent),
            (Hazard::StillOn, still_on),
        ]
    }
}

/// Judged while its board has power and the rail has risen.
#[derive(Debug)]
pub(in super::super) struct Ammeter {
    pub min: f64,
    pub max: f64,
    pub rise: Time,
}

impl Detector for Ammeter {
    type Value = f64;

    fn look(
        &mut self,
        now: Time,
        value: Option<f64>,
        around: &Around,
    ) -> impl IntoIterator<Item = (Hazard, Finding)> {
        let value = value.filter(|amperes| !amperes.is_nan());
        let lost = Finding::heard(now, value.is_some());
        let current = match value {
            None => Finding::Unknown,
            Some(value) if value >= self.min && value <= self.max => Finding::Well,
            Some(value) => {
                let limit = if value > self.max { self.max } else { self.min };
                Finding::Bad(now, Evidence::Measured { value, limit, unit: "A" })
            }
        };
        let risen = |finding: Finding| around.rest(now, Reads::WithBoard, self.rise).unwrap_or(finding);
        [(Hazard::Current, risen(current)), (Hazard::SensorLost, risen(lost))]
    }
}

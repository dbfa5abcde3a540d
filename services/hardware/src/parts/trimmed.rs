use adit_peripherals::{
    Ds4432u,
    ds4432u::{Feedback, Output},
};

use super::BoardError;
use crate::{
    bus::{Bus, Buses},
    profile::{self, Meter},
};

/// A regulator without a bus: a current source at its feedback pin sets its voltage, a converter of the board's controller measures it. A line, which is the rail's, switches it.
#[derive(Debug)]
pub(super) struct Trimmed {
    pub(super) bus: Bus,
    trim: Ds4432u,
    output: Output,
    network: Feedback,
    limits: [f64; 2],
    meter: Meter,
}

impl Trimmed {
    pub(super) fn new(rail: &profile::Rail, ds: &profile::Ds4432u, meter: Meter, buses: &Buses) -> Self {
        Self {
            bus: buses.get(&ds.bus),
            trim: Ds4432u::new(ds.address),
            output: if ds.output == 0 { Output::Zero } else { Output::One },
            network: ds.feedback.network(),
            limits: [rail.min_volts, rail.max_volts],
            meter,
        }
    }

    /// Read back. Held against the limits once more, for the part itself knows none, and at its largest code gives a third more than the chips stand.
    pub(super) async fn set_volts(&mut self, volts: f64) -> Result<(), BoardError> {
        let [min, max] = self.limits;
        if !(min..=max).contains(&volts) {
            return Err(BoardError::BeyondLimits { volts, min, max });
        }
        Ok(self.trim.set_volts(&mut self.bus, self.output, &self.network, volts).await?)
    }

    pub(super) async fn volts(&mut self) -> Result<f64, BoardError> {
        let counts = self.bus.converter(self.meter.channel).await?;
        Ok(f64::from(counts) * self.meter.volts_per_count)
    }
}

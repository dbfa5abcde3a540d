use std::time::{Duration, Instant};

use adit_peripherals::{Tps546, tps546};
use tokio::time::sleep;

use super::BoardError;
use crate::{
    bus::{Bus, Buses},
    profile::{self, RailPart, Tps546d24a},
};

/// A rail is looked at this often while it falls.
const LOOK: Duration = Duration::from_millis(10);
/// A rail that is off must have fallen below this share of its nominal voltage …
const OFF_SHARE: f64 = 0.25;
/// … within this time.
const FALL: Duration = Duration::from_millis(500);

/// A board's own regulator.
#[derive(Debug)]
pub(crate) struct Rail {
    pub(crate) volts: f64,
    pub(crate) min_volts: f64,
    pub(crate) max_volts: f64,
    /// From switching on to a measured voltage within limits.
    pub(crate) rise: Duration,
    regulator: Regulator,
}

#[derive(Debug)]
enum Regulator {
    Tps546d24a(Bus, Tps546),
    Undriven(&'static str),
}

impl Rail {
    pub(crate) fn new(rail: &profile::Rail, buses: &Buses) -> Self {
        let regulator = match &rail.part {
            RailPart::Tps546d24a(tps) => {
                Regulator::Tps546d24a(buses.get(&tps.bus), Tps546::new(tps.address, settings(rail, tps)))
            }
            RailPart::Ds4432u(_) | RailPart::Tps55289(_) | RailPart::Pic16f1704(_) | RailPart::Dspic33(_) => {
                Regulator::Undriven(rail.part.name())
            }
        };
        Self {
            volts: rail.volts,
            min_volts: rail.min_volts,
            max_volts: rail.max_volts,
            rise: Duration::from_millis(rail.rise_ms.into()),
            regulator,
        }
    }

    /// The part that nothing here drives, if it is one.
    pub(crate) fn undriven(&self) -> Option<&'static str> {
        match self.regulator {
            Regulator::Undriven(part) => Some(part),
            _ => None,
        }
    }

    /// Off at once. Needs no earlier call to have come through.
    pub(crate) async fn switch_off(&mut self) -> Result<(), BoardError> {
        match &mut self.regulator {
            Regulator::Tps546d24a(bus, part) => Ok(part.switch_off(bus).await?),
            Regulator::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    /// Checks what it is, switches off, and writes every limit.
    pub(crate) async fn prepare(&mut self) -> Result<(), BoardError> {
        match &mut self.regulator {
            Regulator::Tps546d24a(bus, part) => Ok(part.prepare(bus).await?),
            Regulator::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    pub(crate) async fn switch_on(&mut self) -> Result<(), BoardError> {
        match &mut self.regulator {
            Regulator::Tps546d24a(bus, part) => Ok(part.switch_on(bus).await?),
            Regulator::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    /// As measured.
    pub(crate) async fn measured(&mut self) -> Result<f64, BoardError> {
        match &mut self.regulator {
            Regulator::Tps546d24a(bus, part) => Ok(part.volts(bus).await?),
            Regulator::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    /// As measured.
    pub(crate) async fn amperes(&mut self) -> Result<f64, BoardError> {
        match &mut self.regulator {
            Regulator::Tps546d24a(bus, part) => Ok(part.amperes(bus).await?),
            Regulator::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    /// Another output voltage, read back.
    pub(crate) async fn set_volts(&mut self, volts: f64) -> Result<(), BoardError> {
        match &mut self.regulator {
            Regulator::Tps546d24a(bus, part) => Ok(part.set_volts(bus, volts).await?),
            Regulator::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    /// A rail that was switched off measures as off.
    pub(crate) fn is_off(&self, volts: f64) -> bool {
        volts <= self.volts * OFF_SHARE
    }

    pub(crate) async fn wait_for_fall(&mut self) -> Result<(), BoardError> {
        let deadline = Instant::now() + FALL;
        loop {
            let volts = self.measured().await?;
            if self.is_off(volts) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(BoardError::StillOn { volts });
            }
            sleep(LOOK).await;
        }
    }
}

fn settings(rail: &profile::Rail, tps: &Tps546d24a) -> tps546::Settings {
    tps546::Settings {
        volts: rail.volts,
        min_volts: rail.min_volts,
        max_volts: rail.max_volts,
        over_current_amperes: tps.over_current_amperes,
        over_temperature_celsius: tps.over_temperature_celsius,
        feedback_scale: tps.feedback_scale,
        switching_khz: tps.switching_khz,
        input_on_volts: tps.input_on_volts,
        input_off_volts: tps.input_off_volts,
        input_max_volts: tps.input_max_volts,
    }
}

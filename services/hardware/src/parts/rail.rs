use std::time::{Duration, Instant};

use adit_peripherals::{Dspic, Tps546, dspic, tps546};

use super::{BoardError, Delay, Window};
use crate::{
    bus::{Bus, Buses},
    power::Fault,
    profile::{self, RailPart, Tps546d24a},
};

/// A rail that was switched off counts as off within this time.
const FALL: Duration = Duration::from_millis(500);

/// A board's own regulator.
#[derive(Debug)]
pub(crate) struct Rail {
    window: Window,
    /// It cuts the rail when it does not hear from us so often …
    heartbeat: Option<Duration>,
    /// … and did then.
    beat: Instant,
    regulator: Regulator,
}

#[derive(Debug)]
enum Regulator {
    Tps546d24a(Bus, Tps546),
    Dspic33(Bus, Dspic),
    Undriven(&'static str),
}

impl Rail {
    pub(crate) fn new(rail: &profile::Rail, buses: &Buses) -> Self {
        let mut heartbeat = None;
        let regulator = match &rail.part {
            RailPart::Tps546d24a(tps) => {
                Regulator::Tps546d24a(buses.get(&tps.bus), Tps546::new(tps.address, settings(rail, tps)))
            }
            RailPart::Dspic33(pic) => {
                let facts = dspic::Facts { firmware: pic.firmware, ..dspic::Facts::FIRMWARE_89 };
                heartbeat = Some(Duration::from_millis(pic.heartbeat_ms.into()));
                Regulator::Dspic33(buses.get(&pic.bus), Dspic::new(pic.address, facts))
            }
            RailPart::Ds4432u(_)
            | RailPart::Tps55289(_)
            | RailPart::Pic16f1704(_)
            | RailPart::Unpublished => Regulator::Undriven(rail.part.name()),
        };
        Self {
            window: Window {
                volts: rail.volts,
                min_volts: rail.min_volts,
                max_volts: rail.max_volts,
                rise: Duration::from_millis(rail.rise_ms.into()),
                fall: FALL,
            },
            regulator,
            heartbeat,
            beat: Instant::now(),
        }
    }

    /// The part that nothing here drives, if it is one.
    pub(crate) fn undriven(&self) -> Option<&'static str> {
        match self.regulator {
            Regulator::Undriven(part) => Some(part),
            _ => None,
        }
    }

    /// It is reached through the controller that `bus` is.
    pub(crate) fn is_behind(&self, bus: &Bus) -> bool {
        match &self.regulator {
            Regulator::Tps546d24a(own, _) | Regulator::Dspic33(own, _) => own.shares_controller(bus),
            Regulator::Undriven(_) => false,
        }
    }

    /// Off at once. Needs no earlier call to have come through.
    pub(crate) async fn switch_off(&mut self) -> Result<(), BoardError> {
        match &mut self.regulator {
            Regulator::Tps546d24a(bus, part) => Ok(part.switch_off(bus).await?),
            // It lives on what it switches. One that nobody hears has no supply; if it has and hangs, it hears no heartbeat either.
            Regulator::Dspic33(bus, part) => {
                match part.disable(bus, &mut Delay).await.map_err(BoardError::from) {
                    Err(error) if error.is_unacknowledged() => Ok(()),
                    result => result,
                }
            }
            Regulator::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    /// Checks what it is, switches off, and writes every limit.
    pub(crate) async fn prepare(&mut self) -> Result<(), BoardError> {
        match &mut self.regulator {
            Regulator::Tps546d24a(bus, part) => Ok(part.prepare(bus).await?),
            Regulator::Dspic33(bus, part) => {
                part.start(bus, &mut Delay).await?;
                Ok(part.disable(bus, &mut Delay).await?)
            }
            Regulator::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    pub(crate) async fn switch_on(&mut self) -> Result<(), BoardError> {
        match &mut self.regulator {
            Regulator::Tps546d24a(bus, part) => Ok(part.switch_on(bus).await?),
            Regulator::Dspic33(bus, part) => {
                part.enable(bus, &mut Delay).await?;
                part.heartbeat(bus, &mut Delay).await?;
                self.beat = Instant::now();
                Ok(())
            }
            Regulator::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    /// Lets the regulator hear from us when it is time.
    pub(crate) async fn keep_alive(&mut self) -> Result<(), BoardError> {
        if self.heartbeat.is_some_and(|interval| self.beat.elapsed() >= interval)
            && let Regulator::Dspic33(bus, part) = &mut self.regulator
        {
            part.heartbeat(bus, &mut Delay).await?;
            self.beat = Instant::now();
        }
        Ok(())
    }

    /// Another voltage for a rail that is on. The caller has held it against the profile's limits, and the regulator holds it against them again.
    pub(crate) async fn set_volts(&mut self, volts: f64) -> Result<(), BoardError> {
        match &mut self.regulator {
            Regulator::Tps546d24a(bus, part) => Ok(part.set_volts(bus, volts).await?),
            Regulator::Dspic33(..) => Err(BoardError::Undriven("dspic33's voltage")),
            Regulator::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    /// As measured.
    pub(crate) async fn measured(&mut self) -> Result<f64, BoardError> {
        match &mut self.regulator {
            Regulator::Tps546d24a(bus, part) => Ok(part.volts(bus).await?),
            Regulator::Dspic33(bus, part) => {
                match part.volts(bus, &mut Delay).await.map_err(BoardError::from) {
                    Err(error) if error.is_unacknowledged() => Ok(0.0),
                    result => result,
                }
            }
            Regulator::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    /// As measured; `None` where the regulator does not say.
    pub(crate) async fn amperes(&mut self) -> Result<Option<f64>, BoardError> {
        match &mut self.regulator {
            Regulator::Tps546d24a(bus, part) => Ok(Some(part.amperes(bus).await?)),
            Regulator::Dspic33(..) | Regulator::Undriven(_) => Ok(None),
        }
    }

    /// A rail that was switched off measures as off.
    pub(crate) fn is_off(&self, volts: f64) -> bool {
        self.window.is_off(volts)
    }

    pub(crate) async fn wait_for_fall(&mut self) -> Result<(), BoardError> {
        self.window.fallen(async || self.measured().await).await
    }

    pub(crate) async fn wait_for_rise(&mut self) -> Result<(), Fault> {
        self.window.risen("rail", async || self.measured().await).await
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

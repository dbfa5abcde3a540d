use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::BoardError;
use crate::{
    bus::{Buses, Output},
    power::Fault,
    profile,
};

/// The supply is looked at this often while it comes and goes.
const LOOK: Duration = Duration::from_millis(50);
/// An output that is off must have fallen below this share of its nominal voltage.
const OFF_SHARE: f64 = 0.25;

/// A supply that all boards share.
#[derive(Debug)]
pub(crate) struct Psu {
    volts: f64,
    min_volts: f64,
    max_volts: f64,
    rise: Duration,
    fall: Duration,
    pub(crate) heartbeat: Duration,
    enable: Output,
    supply: Supply,
}

#[derive(Debug)]
enum Supply {
    Undriven(&'static str),
}

impl Psu {
    pub(crate) fn new(psu: &profile::Psu, buses: &Buses) -> Self {
        Self {
            volts: psu.volts,
            min_volts: psu.min_volts,
            max_volts: psu.max_volts,
            rise: Duration::from_millis(psu.rise_ms.into()),
            fall: Duration::from_millis(psu.fall_ms.into()),
            heartbeat: Duration::from_millis(psu.heartbeat_ms.into()),
            enable: buses.output(&psu.enable),
            supply: Supply::Undriven(psu.part.name()),
        }
    }

    /// The part that nothing here drives, if it is one.
    pub(crate) fn undriven(&self) -> Option<&'static str> {
        match self.supply {
            Supply::Undriven(part) => Some(part),
        }
    }

    /// Off at once, by its line. Needs no earlier call to have come through.
    pub(crate) async fn switch_off(&mut self) -> Result<(), BoardError> {
        Ok(self.enable.set(false).await?)
    }

    pub(crate) async fn wait_for_fall(&mut self) -> Result<(), BoardError> {
        let deadline = Instant::now() + self.fall;
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

    /// Checks what it is, and sets its voltage while it is off.
    pub(crate) async fn prepare(&mut self) -> Result<(), BoardError> {
        match &mut self.supply {
            Supply::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    /// On, and measured within limits.
    pub(crate) async fn switch_on(&mut self) -> Result<(), Fault> {
        self.enable.set(true).await?;
        let deadline = Instant::now() + self.rise;
        loop {
            let volts = self.measured().await?;
            if volts > self.max_volts || (volts < self.min_volts && Instant::now() > deadline) {
                return Err(Fault::rail("supply", volts, self.min_volts, self.max_volts));
            }
            if volts >= self.min_volts {
                return Ok(());
            }
            sleep(LOOK).await;
        }
    }

    pub(crate) async fn heartbeat(&mut self) -> Result<(), BoardError> {
        match &mut self.supply {
            Supply::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    pub(crate) async fn measured(&mut self) -> Result<f64, BoardError> {
        match &mut self.supply {
            Supply::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    fn is_off(&self, volts: f64) -> bool {
        volts <= self.volts * OFF_SHARE
    }
}

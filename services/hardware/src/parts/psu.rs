use std::time::Duration;

use adit_peripherals::{
    Apw,
    apw::{Curve, Facts},
};

use super::{BoardError, Delay, Window};
use crate::{
    bus::{Bus, Buses, Output},
    power::Fault,
    profile::{self, PsuPart},
};

/// A supply that all boards share.
#[derive(Debug)]
pub(crate) struct Psu {
    window: Window,
    pub(crate) heartbeat: Duration,
    enable: Output,
    bus: Bus,
    part: Apw,
}

impl Psu {
    pub(crate) fn new(psu: &profile::Psu, buses: &Buses) -> Self {
        let apw = psu.part.apw();
        let base = match psu.part {
            PsuPart::Apw9(_) => Facts::APW9,
            PsuPart::Apw12(_) => Facts::APW12_FITTED,
        };
        let curve = Curve {
            volts_at_zero: psu.curve.volts_at_0,
            volts_per_step: psu.curve.volts_per_count,
            min_code: psu.curve.min_count,
            max_code: psu.curve.max_count,
        };
        Self {
            window: Window {
                volts: psu.volts,
                min_volts: psu.min_volts,
                max_volts: psu.max_volts,
                rise: Duration::from_millis(psu.rise_ms.into()),
                fall: Duration::from_millis(psu.fall_ms.into()),
            },
            heartbeat: Duration::from_millis(psu.heartbeat_ms.into()),
            enable: buses.output(&psu.enable),
            bus: buses.get(&apw.bus),
            part: Apw::new(apw.address, Facts { kind: apw.kind, curve, ..base }),
        }
    }

    /// Off at once, by its line. Needs no earlier call to have come through.
    pub(crate) async fn switch_off(&mut self) -> Result<(), BoardError> {
        Ok(self.enable.set(false).await?)
    }

    /// Capacitors hold an output up for a while; boards are not started on what is left there.
    pub(crate) async fn wait_for_fall(&mut self) -> Result<(), BoardError> {
        self.window.fallen(async || self.measured().await).await
    }

    /// Checks what it is, and sets its voltage while it is off.
    pub(crate) async fn prepare(&mut self) -> Result<(), BoardError> {
        self.part.prepare(&mut self.bus, &mut Delay).await?;
        self.part.set(&mut self.bus, &mut Delay, self.window.volts).await?;
        Ok(())
    }

    /// On, and measured within limits, with its own watchdog armed.
    pub(crate) async fn switch_on(&mut self) -> Result<(), Fault> {
        self.enable.set(true).await?;
        self.window.risen("supply", async || self.measured().await).await?;
        Ok(self.part.arm_watchdog(&mut self.bus, &mut Delay).await?)
    }

    /// Any word that it understands is a sign of life; this one also says whether it is on.
    pub(crate) async fn heartbeat(&mut self) -> Result<bool, BoardError> {
        Ok(self.part.is_on(&mut self.bus, &mut Delay).await?)
    }

    pub(crate) async fn measured(&mut self) -> Result<f64, BoardError> {
        Ok(self.part.volts(&mut self.bus, &mut Delay).await?)
    }
}

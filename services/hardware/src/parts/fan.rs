use std::time::Duration;

use adit_peripherals::{Duty, Emc2101};

use super::{
    BoardError,
    pwm::{Hwmon, Pwm},
};
use crate::{
    bus::{Bus, Buses},
    profile::{self, FanPart},
};

/// A fan: its drive and its tachometer.
#[derive(Debug)]
pub(crate) struct Fan {
    pub(crate) name: String,
    /// Below this it counts as stopped.
    pub(crate) min_rpm: u32,
    /// Time to reach `min_rpm` from rest.
    pub(crate) spin_up: Duration,
    drive: Drive,
}

#[derive(Debug)]
enum Drive {
    Emc2101(Bus, Emc2101),
    Pwm(Pwm),
    Hwmon(Hwmon),
    Undriven(&'static str),
}

impl Fan {
    pub(crate) fn new(fan: &profile::Fan, buses: &Buses) -> Self {
        let drive = match &fan.part {
            FanPart::Emc2101(device) => Drive::Emc2101(buses.get(&device.bus), Emc2101::new(device.address)),
            FanPart::Pwm(pwm) => Drive::Pwm(Pwm::new(pwm, buses.get(&pwm.tach.bus))),
            FanPart::Hwmon(hwmon) => Drive::Hwmon(Hwmon::new(hwmon)),
            FanPart::Emc2305(_) | FanPart::S9Fpga(_) => Drive::Undriven(fan.part.name()),
        };
        Self {
            name: fan.name.clone(),
            min_rpm: fan.min_rpm,
            spin_up: Duration::from_millis(fan.spin_up_ms.into()),
            drive,
        }
    }

    /// The part that nothing here drives, if it is one.
    pub(crate) fn undriven(&self) -> Option<&'static str> {
        match self.drive {
            Drive::Undriven(part) => Some(part),
            _ => None,
        }
    }

    /// Checks what it is and turns the tachometer on.
    pub(crate) async fn prepare(&mut self) -> Result<(), BoardError> {
        match &mut self.drive {
            Drive::Emc2101(bus, part) => Ok(part.prepare(bus).await?),
            Drive::Pwm(pwm) => pwm.prepare(),
            Drive::Hwmon(_) => Ok(()),
            Drive::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    /// Needs no earlier call to have come through.
    pub(crate) async fn drive(&mut self, duty: Duty) -> Result<(), BoardError> {
        match &mut self.drive {
            Drive::Emc2101(bus, part) => Ok(part.drive(bus, duty).await?),
            Drive::Pwm(pwm) => pwm.drive(duty),
            Drive::Hwmon(hwmon) => hwmon.drive(duty),
            Drive::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }

    pub(crate) async fn rpm(&mut self) -> Result<u32, BoardError> {
        match &mut self.drive {
            Drive::Emc2101(bus, part) => Ok(part.rpm(bus).await?),
            Drive::Pwm(pwm) => pwm.rpm(),
            Drive::Hwmon(hwmon) => hwmon.rpm(),
            Drive::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }
}

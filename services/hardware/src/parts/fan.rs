use std::time::Duration;

use adit_peripherals::{Duty, Emc2101, Emc2305, emc2305::Wiring};

use super::{
    BoardError, Delay,
    fpga_fan::FpgaFan,
    pwm::{Hwmon, Pwm},
};
use crate::{
    bus::{Bus, Buses},
    profile::{self, FanPart},
};

/// Of 100, a look.
const STEP_DOWN: u8 = 2;

/// A fan: its drive and its tachometer.
#[derive(Debug)]
pub(crate) struct Fan {
    pub(crate) name: String,
    /// Below this it counts as stopped.
    pub(crate) min_rpm: u32,
    /// Time to reach `min_rpm` from rest.
    pub(crate) spin_up: Duration,
    /// As slow as it may be driven.
    quiet_percent: u8,
    /// What its drive was told last.
    told: Option<Duty>,
    /// That it cannot be driven was said, once until it can.
    pub(crate) complained: bool,
    drive: Drive,
}

#[derive(Debug)]
enum Drive {
    Emc2101(Bus, Emc2101),
    /// And which of its fans, from 0.
    Emc2305(Bus, Emc2305, u8),
    Pwm(Pwm),
    Hwmon(Hwmon),
    Fpga(FpgaFan),
}

impl Fan {
    /// `all`: of the same place, for fans may share a controller.
    pub(crate) fn new(fan: &profile::Fan, all: &[profile::Fan], buses: &Buses) -> Self {
        let drive = match &fan.part {
            FanPart::Emc2101(device) => Drive::Emc2101(buses.get(&device.bus), Emc2101::new(device.address)),
            FanPart::Pwm(pwm) => Drive::Pwm(Pwm::new(pwm, buses.get(&pwm.tach.bus))),
            FanPart::Hwmon(hwmon) => Drive::Hwmon(Hwmon::new(hwmon)),
            FanPart::Emc2305(at) => {
                let wiring = Wiring { push_pull: at.push_pull, inverted: at.inverted };
                let part = Emc2305::new(at.address, outputs(all, at), wiring);
                Drive::Emc2305(buses.get(&at.bus), part, at.channel - 1)
            }
            FanPart::S9Fpga(at) => Drive::Fpga(FpgaFan::new(&at.uio, at.tachometer)),
        };
        Self {
            name: fan.name.clone(),
            min_rpm: fan.min_rpm,
            spin_up: Duration::from_millis(fan.spin_up_ms.into()),
            quiet_percent: fan.quiet_percent,
            told: None,
            complained: false,
            drive,
        }
    }

    /// Checks what it is and turns the tachometer on.
    pub(crate) async fn prepare(&mut self) -> Result<(), BoardError> {
        match &mut self.drive {
            Drive::Emc2101(bus, part) => Ok(part.prepare(bus).await?),
            Drive::Emc2305(bus, part, _) => Ok(part.prepare(bus, &mut Delay).await?),
            Drive::Pwm(pwm) => pwm.prepare(),
            Drive::Hwmon(_) | Drive::Fpga(_) => Ok(()),
        }
    }

    /// What its drive was told last, of 100.
    pub(crate) fn percent(&self) -> Option<u8> {
        self.told.map(Duty::get)
    }

    /// Drives it at a share of what lies between quiet and full: faster at once, slower step by step, so that fans do not hunt.
    pub(crate) async fn regulate(&mut self, share: f64) -> Result<(), BoardError> {
        let quiet = f64::from(self.quiet_percent);
        // A share that is no number becomes full speed.
        let wanted = if share < 1.0 { quiet + share.max(0.0) * (100.0 - quiet) } else { 100.0 };
        let least = self.told.map_or(100, |told| told.get().saturating_sub(STEP_DOWN));
        let duty = Duty::percent((wanted.ceil() as u8).max(least));
        if self.told == Some(duty) { Ok(()) } else { self.drive(duty).await }
    }

    /// Needs no earlier call to have come through.
    pub(crate) async fn drive(&mut self, duty: Duty) -> Result<(), BoardError> {
        let driven = self.set(duty).await;
        if driven.is_ok() {
            self.told = Some(duty);
        }
        driven
    }

    async fn set(&mut self, duty: Duty) -> Result<(), BoardError> {
        match &mut self.drive {
            Drive::Emc2101(bus, part) => Ok(part.drive(bus, duty).await?),
            Drive::Emc2305(bus, part, fan) => Ok(part.drive(bus, &mut Delay, *fan, duty).await?),
            Drive::Pwm(pwm) => pwm.drive(duty),
            Drive::Hwmon(hwmon) => hwmon.drive(duty),
            Drive::Fpga(fan) => fan.drive(duty),
        }
    }

    pub(crate) async fn rpm(&mut self) -> Result<u32, BoardError> {
        match &mut self.drive {
            Drive::Emc2101(bus, part) => Ok(part.rpm(bus).await?),
            Drive::Emc2305(bus, part, fan) => Ok(part.rpm(bus, *fan).await?),
            Drive::Pwm(pwm) => pwm.rpm(),
            Drive::Hwmon(hwmon) => hwmon.rpm(),
            Drive::Fpga(fan) => fan.rpm(),
        }
    }
}

/// How many outputs of a fan's controller are used: up to the last one that a fan is on.
fn outputs(all: &[profile::Fan], at: &profile::FanChannel) -> u8 {
    let channels = all.iter().filter_map(|fan| match &fan.part {
        FanPart::Emc2305(other) if other.bus == at.bus && other.address == at.address => Some(other.channel),
        _ => None,
    });
    channels.max().unwrap_or(at.channel)
}

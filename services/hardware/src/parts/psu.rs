use std::time::Duration;

use adit_peripherals::{
    Apw,
    apw::{Curve, Facts, Reads},
};

use super::{BoardError, Delay, Window};
use crate::{
    bus::{Bus, Buses, Output},
    power::Fault,
    profile::{self, ApwReads, PsuPart},
};

/// A supply that all boards share.
#[derive(Debug)]
pub(crate) struct Psu {
    pub(crate) window: Window,
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
        let reads = match apw.reads {
            ApwReads::Plain => Reads::Plain,
            ApwReads::Register => Reads::Register,
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
            part: Apw::new(apw.address, Facts { kind: apw.kind, curve, reads, ..base }),
        }
    }

    /// Off at once, by its line. Needs no earlier call to have come through.
    pub(crate) async fn switch_off(&mut self) -> Result<(), BoardError> {
        Ok(self.enable.set(false).await?)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bus::Claim, profile::Profile};

    #[test]
    fn what_sources_differ_about_is_the_profiles_to_say() {
        let shipped = include_str!("../../../../overlay/etc/adit/machines/bench-s19j-pro.toml");
        let facts = |part: &str| {
            let text = shipped.replace("apw12 = { bus = \"psu\", address = 0x10 }", part);
            let profile = Profile::parse(&text).unwrap();
            let buses = Buses::new(&profile, Claim::Alone);
            Psu::new(profile.psu.as_ref().unwrap(), &buses).part.facts().clone()
        };
        let plain = facts("apw12 = { bus = \"psu\", address = 0x10 }");
        assert_eq!((plain.reads, plain.kind, plain.curve.volts_at_zero), (Reads::Plain, None, 15.1084));
        let other = facts("apw12 = { bus = \"psu\", address = 0x10, kind = 0x71, reads = \"register\" }");
        assert_eq!((other.reads, other.kind), (Reads::Register, Some(0x71)));
    }
}

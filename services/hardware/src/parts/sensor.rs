use adit_peripherals::{Dspic, Emc2101, Tmp75, Tmp451, dspic::Facts, tmp75::Kind};

use super::{BoardError, Delay};
use crate::{
    bus::{BehindChip, Bus, Buses},
    profile::{self, ChainProfile, Place, SensorPart},
};

/// A thermometer.
#[derive(Debug)]
pub(crate) struct Sensor {
    pub(crate) of: Place,
    bus: Bus,
    probe: Probe,
}

#[derive(Debug)]
enum Probe {
    Emc2101(Emc2101),
    Emc2101Diode(Emc2101),
    Tmp75(Tmp75),
    Tmp451(Tmp451),
    Tmp451Diode(Tmp451),
    /// And the sensor's address behind it.
    Dspic(Dspic, u8),
    /// On a chip's own bus, and in which session of the chain it was prepared.
    BehindChip(Tmp451, BehindChip, Option<u64>),
}

impl Sensor {
    /// `chain`: of the board that it is on.
    pub(crate) fn new(sensor: &profile::Sensor, chain: Option<&ChainProfile>, buses: &Buses) -> Self {
        let (bus, probe) = match &sensor.part {
            SensorPart::Emc2101(at) => (Some(&at.bus), Probe::Emc2101(Emc2101::new(at.address))),
            SensorPart::Emc2101Diode(at) => (Some(&at.bus), Probe::Emc2101Diode(Emc2101::new(at.address))),
            SensorPart::Lm75(at) => (Some(&at.bus), Probe::Tmp75(Tmp75::new(at.address, Kind::Lm75))),
            SensorPart::Tmp75(at) => (Some(&at.bus), Probe::Tmp75(Tmp75::new(at.address, Kind::Tmp75))),
            SensorPart::Tmp1075(at) => (Some(&at.bus), Probe::Tmp75(Tmp75::new(at.address, Kind::Tmp1075))),
            SensorPart::Tmp451(at) => (Some(&at.bus), Probe::Tmp451(Tmp451::new(at.address))),
            SensorPart::Tmp451Diode(at) => (Some(&at.bus), Probe::Tmp451Diode(Tmp451::new(at.address))),
            SensorPart::Dspic33(at) => {
                (Some(&at.bus), Probe::Dspic(Dspic::new(at.address, Facts::FIRMWARE_89), at.sensor))
            }
            SensorPart::ChipI2c(at) => {
                let chain = chain.expect("a profile has these on boards only");
                let chip = buses.behind_chip(chain, at.chip);
                (None, Probe::BehindChip(Tmp451::new(at.address), chip, None))
            }
        };
        let bus = match (&probe, bus) {
            (Probe::BehindChip(_, chip, _), _) => Bus::BehindChip(chip.clone()),
            (_, bus) => buses.get(bus.expect("all others are on a bus of the profile")),
        };
        Self { of: sensor.of, bus, probe }
    }

    /// Checks what it is, and has it measure.
    pub(crate) async fn prepare(&mut self) -> Result<(), BoardError> {
        let bus = &mut self.bus;
        match &mut self.probe {
            Probe::Tmp75(part) => part.prepare(bus).await?,
            Probe::Tmp451(part) | Probe::Tmp451Diode(part) => part.prepare(bus, &mut Delay).await?,
            // Its controller's business, or its fan's; or there is no way to it yet.
            Probe::Emc2101(_) | Probe::Emc2101Diode(_) | Probe::Dspic(..) | Probe::BehindChip(..) => {}
        }
        Ok(())
    }

    /// `None`: it says itself that it has nothing to say, like a diode that is open.
    pub(crate) async fn celsius(&mut self) -> Result<Option<f64>, BoardError> {
        let bus = &mut self.bus;
        match &mut self.probe {
            Probe::Emc2101(part) => Ok(Some(part.board_celsius(bus).await?)),
            Probe::Emc2101Diode(part) => Ok(part.chip_celsius(bus).await?),
            Probe::Tmp75(part) => Ok(Some(part.celsius(bus).await?)),
            Probe::Tmp451(part) => Ok(Some(part.local_celsius(bus).await?)),
            Probe::Tmp451Diode(part) => Ok(part.remote_celsius(bus).await?),
            Probe::Dspic(part, sensor) => Ok(Some(part.celsius(bus, &mut Delay, *sensor).await?)),
            Probe::BehindChip(part, chip, prepared) => {
                let session = chip.session();
                if session.is_none() {
                    return Ok(None);
                }
                if *prepared != session {
                    part.prepare(bus, &mut Delay).await?;
                    *prepared = session;
                }
                Ok(Some(part.local_celsius(bus).await?))
            }
        }
    }

    /// It tells nothing of a board without power.
    pub(crate) fn reads_with_power(&self) -> bool {
        matches!(self.probe, Probe::BehindChip(..))
    }
}

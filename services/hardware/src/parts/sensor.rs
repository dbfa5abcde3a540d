use adit_peripherals::Emc2101;

use super::BoardError;
use crate::{
    bus::{Bus, Buses},
    profile::{self, Place, SensorPart},
};

/// A thermometer.
#[derive(Debug)]
pub(crate) struct Sensor {
    pub(crate) of: Place,
    probe: Probe,
}

#[derive(Debug)]
enum Probe {
    Emc2101(Bus, Emc2101),
    Emc2101Diode(Bus, Emc2101),
    Undriven(&'static str),
}

impl Sensor {
    pub(crate) fn new(sensor: &profile::Sensor, buses: &Buses) -> Self {
        let emc2101 = |device: &profile::Device| (buses.get(&device.bus), Emc2101::new(device.address));
        let probe = match &sensor.part {
            SensorPart::Emc2101(device) => {
                let (bus, part) = emc2101(device);
                Probe::Emc2101(bus, part)
            }
            SensorPart::Emc2101Diode(device) => {
                let (bus, part) = emc2101(device);
                Probe::Emc2101Diode(bus, part)
            }
            SensorPart::Tmp75(_)
            | SensorPart::Tmp451(_)
            | SensorPart::Tmp451Diode(_)
            | SensorPart::Dspic33(_)
            | SensorPart::ChipI2c(_) => Probe::Undriven(sensor.part.name()),
        };
        Self { of: sensor.of, probe }
    }

    /// The part that nothing here drives, if it is one.
    pub(crate) fn undriven(&self) -> Option<&'static str> {
        match self.probe {
            Probe::Undriven(part) => Some(part),
            _ => None,
        }
    }

    /// `None`: it says itself that it has nothing to say, like a diode that is open.
    pub(crate) async fn celsius(&mut self) -> Result<Option<f64>, BoardError> {
        match &mut self.probe {
            Probe::Emc2101(bus, part) => Ok(Some(part.board_celsius(bus).await?)),
            Probe::Emc2101Diode(bus, part) => Ok(part.chip_celsius(bus).await?),
            Probe::Undriven(part) => Err(BoardError::Undriven(part)),
        }
    }
}

//! Parts as they hang in a machine: the device, and which of its quantities are whose.

use super::model::{PartModel, Place, Spot};
use crate::bus::{I2cBus, Mounted};
use crate::device::apw::{Apw, Curve};
use crate::device::ds4432u::Ds4432u;
use crate::device::dspic::DsPic;
use crate::device::eeprom::{Eeprom, SIZE};
use crate::device::emc2101::Emc2101;
use crate::device::emc2305::Emc2305;
use crate::device::ina260::Ina260;
use crate::device::lm75::Lm75;
use crate::device::pic16::Pic16;
use crate::device::tmp451::Tmp451;
use crate::device::tps546::Tps546;
use crate::device::{Device, Nak};
use crate::events::Event;

pub(crate) enum Chip {
    Emc2101(Emc2101),
    Emc2305(Emc2305),
    Tps546(Tps546),
    Ds4432u(Ds4432u),
    Ina260(Ina260),
    Lm75(Lm75),
    Tmp451(Tmp451),
    Eeprom(Eeprom),
    Apw(Apw),
    DsPic(DsPic),
    Pic16(Pic16),
}

/// A device and its place in the machine.
pub(crate) struct Part {
    pub(crate) model: PartModel,
    pub(crate) chip: Chip,
    /// The number of its first temperature among the machine's sensors.
    pub(crate) sensor: usize,
    /// It answers nobody: lost, or its board is not plugged in.
    pub(crate) gone: bool,
}

impl Part {
    fn device(&mut self) -> &mut dyn Device {
        match &mut self.chip {
            Chip::Emc2101(chip) => chip,
            Chip::Emc2305(chip) => chip,
            Chip::Tps546(chip) => chip,
            Chip::Ds4432u(chip) => chip,
            Chip::Ina260(chip) => chip,
            Chip::Lm75(chip) => chip,
            Chip::Tmp451(chip) => chip,
            Chip::Eeprom(chip) => chip,
            Chip::Apw(chip) => chip,
            Chip::DsPic(chip) => chip,
            Chip::Pic16(chip) => chip,
        }
    }
}

impl Part {
    /// It measures a temperature, and is lost with that; sensors behind a rail controller leave it alone.
    pub(crate) fn is_sensor(&self) -> bool {
        !matches!(self.model, PartModel::DsPic { .. }) && !self.model.temperatures().is_empty()
    }
}

impl PartModel {
    /// The board that it is soldered to; none: the machine's.
    pub(crate) fn board(self) -> Option<usize> {
        match self {
            Self::Emc2305 { .. } | Self::Apw => None,
            Self::Emc2101 { board, .. }
            | Self::Tps546 { board }
            | Self::Ds4432u { board, .. }
            | Self::Ina260 { board }
            | Self::Lm75 { board, .. }
            | Self::Tmp451 { board, .. }
            | Self::Eeprom { board }
            | Self::DsPic { board }
            | Self::Pic16 { board } => Some(board),
        }
    }

    /// What it measures the temperature of, by name.
    fn temperatures(self) -> Vec<(usize, String)> {
        let spot = |board: usize, spot: Spot| (board, format!("board-{board}-{}", spot.name()));
        let chip = |board: usize| (board, format!("board-{board}-chip"));
        match self {
            Self::Emc2101 { board, .. } => vec![spot(board, Spot::Middle), chip(board)],
            Self::Lm75 { board, spot: place, .. } => vec![spot(board, place)],
            Self::Tmp451 { board, spot: place } => vec![spot(board, place), chip(board)],
            Self::Tps546 { board } => vec![(board, format!("board-{board}-regulator"))],
            Self::DsPic { board } => [Spot::Inlet, Spot::Middle, Spot::Middle, Spot::Outlet]
                .into_iter()
                .enumerate()
                .map(|(number, spot)| (board, format!("board-{board}-{}-{number}", spot.name())))
                .collect(),
            _ => vec![],
        }
    }

    fn build(self, eeprom: [u8; SIZE], curve: Curve) -> Chip {
        match self {
            Self::Emc2101 { .. } => Chip::Emc2101(Emc2101::new()),
            Self::Emc2305 { .. } => Chip::Emc2305(Emc2305::new()),
            Self::Tps546 { .. } => Chip::Tps546(Tps546::new()),
            Self::Ds4432u { network, .. } => Chip::Ds4432u(Ds4432u::new(network)),
            Self::Ina260 { .. } => Chip::Ina260(Ina260::new()),
            Self::Lm75 { kind, .. } => Chip::Lm75(Lm75::new(kind)),
            Self::Tmp451 { .. } => Chip::Tmp451(Tmp451::new()),
            Self::Eeprom { .. } => Chip::Eeprom(Eeprom::new(eeprom)),
            Self::Apw => Chip::Apw(Apw::new(curve)),
            Self::DsPic { .. } => Chip::DsPic(DsPic::new()),
            Self::Pic16 { .. } => Chip::Pic16(Pic16::new()),
        }
    }
}

impl Device for Part {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nak> {
        if self.gone { Err(Nak) } else { self.device().write(bytes) }
    }

    fn read(&mut self, count: usize) -> Result<Vec<u8>, Nak> {
        if self.gone { Err(Nak) } else { self.device().read(count) }
    }

    fn advance(&mut self, seconds: f64) {
        self.device().advance(seconds);
    }

    fn happened(&mut self) -> Option<Event> {
        self.device().happened()
    }
}

/// A temperature that some part measures, and what is wrong with that.
#[derive(Clone, Debug)]
pub(crate) struct Sensor {
    pub(crate) name: String,
    /// None: it cannot be measured now.
    pub(crate) reading: Option<f64>,
    pub(crate) frozen: bool,
    pub(crate) absurd: Option<f64>,
    pub(crate) lost: bool,
}

impl Sensor {
    pub(crate) fn new(name: String) -> Self {
        Self { name, reading: None, frozen: false, absurd: None, lost: false }
    }

    /// What the part gets to see of the truth.
    pub(crate) fn see(&mut self, truth: Option<f64>) -> Option<f64> {
        if let Some(absurd) = self.absurd {
            self.reading = Some(absurd);
        } else if !self.frozen {
            self.reading = truth;
        }
        self.reading
    }
}

/// All buses with their parts, and the temperatures that these measure.
pub(crate) fn build(
    places: &[&[Place]],
    buses: usize,
    eeproms: impl Fn(usize) -> [u8; SIZE],
    curve: Curve,
) -> (Vec<I2cBus<Part>>, Vec<Sensor>) {
    let mut built: Vec<I2cBus<Part>> = (0..buses.max(1)).map(|_| I2cBus { parts: Vec::new() }).collect();
    let mut sensors = Vec::new();
    for &Place { bus, address, part: model } in places.iter().copied().flatten() {
        let part = Part {
            model,
            chip: model.build(eeproms(model.board().unwrap_or(0)), curve),
            sensor: sensors.len(),
            gone: false,
        };
        built[bus].parts.push(Mounted { address, part });
        sensors.extend(model.temperatures().into_iter().map(|(_, name)| Sensor::new(name)));
    }
    (built, sensors)
}

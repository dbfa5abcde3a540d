//! What a machine consists of, as data. The machines themselves: [`super::models`].

use crate::chip::Model;
use crate::device::ds4432u::Network;
use crate::device::lm75;
use crate::physics::air::Airflow;
use crate::physics::board::BoardPhysics;
use crate::physics::psu::Supply;

/// A machine that can be simulated.
#[derive(Debug)]
pub struct MachineModel {
    /// As the command line calls it.
    pub name: &'static str,
    pub chip: &'static Model,
    /// Hash boards, each with one chain.
    pub boards: usize,
    /// The host talks to its only board over `bitaxe-raw`, not over buses and lines of its own.
    pub usb: bool,
    /// I²C buses.
    pub buses: usize,
    /// Where `bitaxe-raw` measures the rail.
    pub(crate) converter: Converter,
    pub(crate) board: BoardPhysics,
    pub(crate) feed: Feed,
    /// Mains supply; none: what comes in is `input_volts`.
    pub(crate) supply: Option<&'static Supply>,
    /// Of the board's supply line where there is no supply of our own; the voltage of a fixed supply.
    pub(crate) input_volts: f64,
    pub(crate) air: Airflow,
    /// Control board, at the supply's output.
    pub(crate) standing_watts: f64,
    /// In groups that machines share; so are the lines, which are numbered as they stand here.
    pub(crate) parts: &'static [&'static [Place]],
    pub(crate) lines: &'static [&'static [LineModel]],
    /// Chip and address of a TMP451 on a chip's own I²C, which feels the board's outlet and that chip.
    pub(crate) behind_chip: Option<(usize, u8)>,
    /// What is written into each board's EEPROM.
    pub(crate) identity: Option<&'static str>,
    pub(crate) stock: Stock,
    pub(crate) published: Published,
}

impl MachineModel {
    pub(crate) fn lines(&self) -> impl Iterator<Item = &LineModel> {
        self.lines.iter().copied().flatten()
    }

    /// The number of the line that does this.
    pub(crate) fn line(&self, role: Role) -> Option<usize> {
        self.lines().position(|line| line.role == role)
    }
}

/// A converter of the board controller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Converter {
    pub(crate) volts_per_count: f64,
    /// The first request only starts it, and is answered with an error; the next one gets what was measured then.
    pub(crate) asked_twice: bool,
}

impl Converter {
    /// Twelve bits.
    pub(crate) fn counts(self, volts: f64) -> u16 {
        (volts / self.volts_per_count).round().clamp(0.0, 4095.0) as u16
    }
}

/// What a board's rail comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feed {
    /// A TPS546D24A behind the input.
    Regulator,
    /// A buck regulator behind the input, trimmed by a DS4432U, with an enable line.
    Trimmed,
    /// The supply itself.
    Supply,
    /// The supply, through a dsPIC's switch.
    Switched,
    /// A buck regulator behind the supply, set by a PIC16F1704.
    Buck,
}

/// A part, and where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) bus: usize,
    pub(crate) address: u8,
    pub(crate) part: PartModel,
}

/// What a part is, and what it drives and feels. Boards and fans by number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PartModel {
    /// `diode`: the chip's is connected to it.
    Emc2101 {
        board: usize,
        fan: usize,
        diode: bool,
    },
    /// From the first channel on.
    Emc2305 {
        fans: usize,
    },
    Tps546 {
        board: usize,
    },
    Ds4432u {
        board: usize,
        network: Network,
    },
    Ina260 {
        board: usize,
    },
    Lm75 {
        board: usize,
        spot: Spot,
        kind: lm75::Kind,
    },
    Tmp451 {
        board: usize,
        spot: Spot,
    },
    Eeprom {
        board: usize,
    },
    Apw,
    DsPic {
        board: usize,
    },
    Pic16 {
        board: usize,
    },
}

/// Where on a board a sensor sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    Inlet,
    Middle,
    Outlet,
}

impl Spot {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Inlet => "inlet",
            Self::Middle => "middle",
            Self::Outlet => "outlet",
        }
    }
}

/// A line, what it does, and its level while nobody drives it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineModel {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) pull: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Low holds the board's chips in reset.
    Reset(usize),
    /// High: the board is there.
    Plug(usize),
    /// Low lets the supply on.
    SupplyEnable,
    /// Low lets the board's regulator on.
    RegulatorEnable(usize),
    /// High lets the board's regulator on.
    RegulatorOn(usize),
    /// High supplies the inputs of the board's chips.
    InputSupply(usize),
    Light,
    /// High: not pressed.
    Button,
}

/// How it runs as it was sold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stock {
    pub(crate) mhz: f64,
    /// On each board's rail.
    pub(crate) volts: f64,
    /// Share of full drive, in air of 25 °C.
    pub(crate) fan: f64,
}

/// What others said of it, and how far they are apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    /// At the wall, or (USB) at the board's input.
    pub(crate) watts: f64,
    pub(crate) ths: f64,
    /// Least and most degrees of the chips.
    pub(crate) celsius: Option<(f64, f64)>,
    /// Tolerance that makers state, or the spread of reports.
    pub(crate) spread: f64,
    pub(crate) source: &'static str,
}

impl Published {
    /// There is nothing to compare with.
    pub(crate) const NOTHING: Self = Self { watts: 0.0, ths: 0.0, celsius: None, spread: 0.0, source: "" };
}

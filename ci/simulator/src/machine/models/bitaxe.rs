//! Boards on desks: one board, one USB port.

use super::{at, line};
use crate::chip::{BM1362, BM1366, BM1368, BM1370, BM1397};
use crate::device::lm75::Kind;
use crate::machine::model::{Feed, LineModel, MachineModel, PartModel, Place, Published, Role, Spot, Stock};
use crate::physics::air::Airflow;
use crate::physics::board::BoardPhysics;
use crate::physics::silicon;

/// A chip of a Bitaxe with its heat sink and 40 mm fan.
const fn bitaxe_board(silicon: &'static silicon::Silicon) -> BoardPhysics {
    BoardPhysics {
        silicon,
        chips: 1,
        domains: 1,
        die_kelvin_per_watt: 0.25,
        sink_kelvin_per_watt: 1.5,
        sink_joules_per_kelvin: 17.5,
        ohms: 0.000_2,
        regulator_loss: 0.10,
        regulator_kelvin_per_watt: 18.0,
        board_share: 0.35,
    }
}

const BITAXE_AIR: Airflow = Airflow { fans: 1, full_rpm: 7000.0, full_watts: 1.2, full_flow: 0.005 };

const BITAXE_LINES: [LineModel; 1] = [line("reset", Role::Reset(0), false)];
/// Older boards switch their regulator by a line.
const TRIMMED_LINES: [LineModel; 2] =
    [line("reset", Role::Reset(0), false), line("enable", Role::RegulatorEnable(0), true)];
const TRIMMED_PARTS: [Place; 3] = [
    at(0, 0x4C, PartModel::Emc2101 { board: 0, fan: 0, diode: false }),
    at(0, 0x48, PartModel::Ds4432u { board: 0 }),
    at(0, 0x40, PartModel::Ina260 { board: 0 }),
];

pub const BITAXE_GAMMA: MachineModel = MachineModel {
    name: "bitaxe-gamma",
    chip: &BM1370,
    boards: 1,
    usb: true,
    buses: 1,
    board: bitaxe_board(&silicon::BM1370),
    feed: Feed::Regulator,
    supply: None,
    input_volts: 5.0,
    air: BITAXE_AIR,
    standing_watts: 0.6,
    parts: &[
        at(0, 0x4C, PartModel::Emc2101 { board: 0, fan: 0, diode: true }),
        at(0, 0x24, PartModel::Tps546 { board: 0 }),
    ],
    lines: &BITAXE_LINES,
    behind_chip: None,
    identity: None,
    stock: Stock { mhz: 525.0, volts: 1.15, fan: 0.77 },
    published: Published {
        watts: 18.0,
        ths: 1.07,
        celsius: Some((55.0, 62.0)),
        spread: 0.10,
        source: "17.1 W and 58 °C on a dashboard (Shop Bitcoin), 19 W expected by ESP-Miner's self-test; 525 MHz · 2040",
    },
};

pub const BITAXE_SUPRA: MachineModel = MachineModel {
    name: "bitaxe-supra",
    chip: &BM1368,
    board: bitaxe_board(&silicon::BM1368),
    feed: Feed::Trimmed,
    parts: &TRIMMED_PARTS,
    lines: &TRIMMED_LINES,
    stock: Stock { mhz: 490.0, volts: 1.166, fan: 0.6 },
    published: Published {
        watts: 12.0,
        ths: 0.625,
        celsius: None,
        spread: 0.20,
        source: "ESP-Miner's self-test of boards 400 and 401; 490 MHz · 1276",
    },
    ..BITAXE_GAMMA
};

pub const BITAXE_ULTRA: MachineModel = MachineModel {
    name: "bitaxe-ultra",
    chip: &BM1366,
    board: bitaxe_board(&silicon::BM1366),
    stock: Stock { mhz: 485.0, volts: 1.20, fan: 0.6 },
    published: Published {
        watts: 12.0,
        ths: 0.434,
        celsius: None,
        spread: 0.20,
        source: "ESP-Miner's self-test of boards 0.11 to 205; 485 MHz · 894",
    },
    ..BITAXE_SUPRA
};

pub const BITAXE_MAX: MachineModel = MachineModel {
    name: "bitaxe-max",
    chip: &BM1397,
    board: bitaxe_board(&silicon::BM1397),
    parts: &[
        at(0, 0x4C, PartModel::Emc2101 { board: 0, fan: 0, diode: true }),
        at(0, 0x48, PartModel::Ds4432u { board: 0 }),
        at(0, 0x40, PartModel::Ina260 { board: 0 }),
    ],
    stock: Stock { mhz: 425.0, volts: 1.40, fan: 0.6 },
    published: Published {
        watts: 12.0,
        ths: 0.286,
        celsius: None,
        spread: 0.20,
        source: "ESP-Miner's self-test of boards 2.2 and 102; 425 MHz · 672",
    },
    ..BITAXE_SUPRA
};

/// Twelve BM1362, USB identity, sensors and the line of the chips' IO supply: mujina. Of the rest no source was at hand: the
/// domains, the regulator and fan controller (a Gamma's), the reset line's number, heat sink, fan and settings are assumed,
/// and no figures are compared.
pub const EMBERONE00: MachineModel = MachineModel {
    name: "emberone00",
    chip: &BM1362,
    board: BoardPhysics {
        silicon: &silicon::BM1362,
        chips: 12,
        domains: 12,
        die_kelvin_per_watt: 1.2,
        sink_kelvin_per_watt: 2.2,
        sink_joules_per_kelvin: 12.0,
        regulator_kelvin_per_watt: 3.0,
        ohms: 0.000_2,
        regulator_loss: 0.08,
        board_share: 0.5,
    },
    input_volts: 12.0,
    air: Airflow { fans: 1, full_rpm: 3000.0, full_watts: 4.0, full_flow: 0.03 },
    standing_watts: 1.5,
    parts: &[
        at(0, 0x4C, PartModel::Emc2101 { board: 0, fan: 0, diode: false }),
        at(0, 0x24, PartModel::Tps546 { board: 0 }),
        at(0, 0x4A, PartModel::Lm75 { board: 0, spot: Spot::Inlet, kind: Kind::Tmp1075 }),
        at(0, 0x49, PartModel::Tmp451 { board: 0, spot: Spot::Outlet }),
    ],
    lines: &[
        line("reset", Role::Reset(0), false),
        line("unused", Role::Light, false),
        line("io-supply", Role::Light, false),
    ],
    stock: Stock { mhz: 500.0, volts: 3.85, fan: 0.8 },
    published: Published::NOTHING,
    ..BITAXE_GAMMA
};

/// No machine that anybody sells: one of each part that others lack, for tests of drivers.
pub const BENCH_PARTS: MachineModel = MachineModel {
    name: "bench-parts",
    usb: false,
    parts: &[
        at(0, 0x2D, PartModel::Emc2305 { fans: 1 }),
        at(0, 0x24, PartModel::Tps546 { board: 0 }),
        at(0, 0x40, PartModel::Ina260 { board: 0 }),
        at(0, 0x48, PartModel::Lm75 { board: 0, spot: Spot::Inlet, kind: Kind::Lm75a }),
        at(0, 0x49, PartModel::Lm75 { board: 0, spot: Spot::Middle, kind: Kind::Tmp75 }),
        at(0, 0x4A, PartModel::Lm75 { board: 0, spot: Spot::Outlet, kind: Kind::Tmp1075 }),
        at(0, 0x4C, PartModel::Tmp451 { board: 0, spot: Spot::Middle }),
        at(0, 0x50, PartModel::Eeprom { board: 0 }),
    ],
    identity: Some("BENCH"),
    published: Published::NOTHING,
    ..BITAXE_GAMMA
};

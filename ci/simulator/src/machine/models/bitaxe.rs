//! Boards on desks: one board, one USB port.

use super::{at, line};
use crate::chip::{BM1362, BM1366, BM1368, BM1370, BM1397};
use crate::device::ds4432u::Network;
use crate::device::lm75::Kind;
use crate::machine::model::{
    Converter, Feed, LineModel, MachineModel, PartModel, Place, Published, Role, Spot, Stock,
};
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

const RESET: [LineModel; 1] = [line("reset", Role::Reset(0), false)];
const TRIMMED_REGULATOR: [Place; 2] = [
    at(0, 0x48, PartModel::Ds4432u { board: 0, network: Network::BITAXE }),
    at(0, 0x40, PartModel::Ina260 { board: 0 }),
];
/// An ESP32-S3's at its widest range, without the chip's own calibration (assumed to be linear).
pub(super) const ESP32: Converter = Converter { volts_per_count: 3.1 / 4095.0, asked_twice: true };
/// An RP2040's behind a divider by two.
const RP2040: Converter = Converter { volts_per_count: 2.0 * 3.3 / 4096.0, asked_twice: false };

/// `diode`: the chip's is connected to it.
const fn fan_controller(diode: bool) -> Place {
    at(0, 0x4C, PartModel::Emc2101 { board: 0, fan: 0, diode })
}

const REGULATOR: Place = at(0, 0x24, PartModel::Tps546 { board: 0 });

pub const BITAXE_GAMMA: MachineModel = MachineModel {
    name: "bitaxe-gamma",
    chip: &BM1370,
    boards: 1,
    usb: true,
    buses: 1,
    converter: ESP32,
    board: bitaxe_board(&silicon::BM1370),
    feed: Feed::Regulator,
    supply: None,
    input_volts: 5.0,
    air: BITAXE_AIR,
    standing_watts: 0.6,
    parts: &[&[fan_controller(true), REGULATOR]],
    lines: &[&RESET],
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
    parts: &[&[fan_controller(false)], &TRIMMED_REGULATOR],
    // On a pin that the published firmware does not have; with one that does it would be the next.
    lines: &[&RESET, &[line("enable", Role::RegulatorEnable(0), true)]],
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
        ths: 0.434,
        source: "ESP-Miner's self-test of boards 0.11 to 205; 485 MHz · 894",
        ..BITAXE_SUPRA.published
    },
    ..BITAXE_SUPRA
};

pub const BITAXE_MAX: MachineModel = MachineModel {
    name: "bitaxe-max",
    chip: &BM1397,
    board: bitaxe_board(&silicon::BM1397),
    parts: &[&[fan_controller(true)], &TRIMMED_REGULATOR],
    stock: Stock { mhz: 425.0, volts: 1.40, fan: 0.6 },
    published: Published {
        ths: 0.286,
        source: "ESP-Miner's self-test of boards 2.2 and 102; 425 MHz · 672",
        ..BITAXE_SUPRA.published
    },
    ..BITAXE_SUPRA
};

/// Twelve BM1362 in a row behind a buck regulator that a DS4432U trims: the fourth revision by its schematics and firmware
/// (256foundation), with the fifth's line for the supply of the chips' inputs. The board has no fan controller: that a Gamma's is
/// there is assumed, as are heat sink, fan and settings, and no figures are compared.
pub const EMBERONE00: MachineModel = MachineModel {
    name: "emberone00",
    chip: &BM1362,
    board: BoardPhysics {
        chips: 12,
        domains: 12,
        die_kelvin_per_watt: 1.2,
        sink_kelvin_per_watt: 2.2,
        sink_joules_per_kelvin: 12.0,
        regulator_kelvin_per_watt: 3.0,
        regulator_loss: 0.08,
        board_share: 0.5,
        ..bitaxe_board(&silicon::BM1362)
    },
    feed: Feed::Trimmed,
    converter: RP2040,
    input_volts: 12.0,
    air: Airflow { fans: 1, full_rpm: 3000.0, full_watts: 4.0, full_flow: 0.03 },
    standing_watts: 1.5,
    parts: &[&[
        fan_controller(false),
        at(0, 0x48, PartModel::Ds4432u { board: 0, network: Network::EMBERONE00 }),
        at(0, 0x40, PartModel::Ina260 { board: 0 }),
        at(0, 0x4A, PartModel::Lm75 { board: 0, spot: Spot::Inlet, kind: Kind::Tmp1075 }),
        at(0, 0x49, PartModel::Tmp451 { board: 0, spot: Spot::Outlet }),
    ]],
    lines: &[
        &RESET,
        &[line("enable", Role::RegulatorOn(0), false), line("io-supply", Role::InputSupply(0), false)],
    ],
    stock: Stock { mhz: 500.0, volts: 3.85, fan: 0.8 },
    published: Published::NOTHING,
    ..BITAXE_GAMMA
};

/// No machine that anybody sells: one of each part that others lack, for tests of drivers.
pub const BENCH_PARTS: MachineModel = MachineModel {
    name: "bench-parts",
    usb: false,
    parts: &[&[
        at(0, 0x2D, PartModel::Emc2305 { fans: 1 }),
        REGULATOR,
        at(0, 0x40, PartModel::Ina260 { board: 0 }),
        at(0, 0x48, PartModel::Lm75 { board: 0, spot: Spot::Inlet, kind: Kind::Lm75a }),
        at(0, 0x49, PartModel::Lm75 { board: 0, spot: Spot::Middle, kind: Kind::Tmp75 }),
        at(0, 0x4A, PartModel::Lm75 { board: 0, spot: Spot::Outlet, kind: Kind::Tmp1075 }),
        at(0, 0x4C, PartModel::Tmp451 { board: 0, spot: Spot::Middle }),
        at(0, 0x50, PartModel::Eeprom { board: 0 }),
    ]],
    identity: Some("BENCH"),
    published: Published::NOTHING,
    ..BITAXE_GAMMA
};

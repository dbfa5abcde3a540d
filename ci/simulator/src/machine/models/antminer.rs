//! Machines of farms: three boards, a mains supply, fans for all.

use super::{at, line};
use crate::chip::{BM1362, BM1366, BM1368, BM1370, BM1387};
use crate::device::lm75::Kind;
use crate::machine::model::{Feed, LineModel, MachineModel, PartModel, Place, Published, Role, Spot, Stock};
use crate::physics::air::Airflow;
use crate::physics::board::BoardPhysics;
use crate::physics::{psu, silicon};

const BOARD_LINES: [LineModel; 6] = [
    line("reset-0", Role::Reset(0), false),
    line("reset-1", Role::Reset(1), false),
    line("reset-2", Role::Reset(2), false),
    line("plug-0", Role::Plug(0), false),
    line("plug-1", Role::Plug(1), false),
    line("plug-2", Role::Plug(2), false),
];

const PANEL_LINES: [LineModel; 3] = [
    line("led-green", Role::Light, false),
    line("led-red", Role::Light, false),
    line("button-ip", Role::Button, true),
];

/// Sensors and EEPROMs as on an Amlogic control board: boards on bus 0, the supply on bus 1. Fans hang on an EMC2305 on bus
/// 2, the spare one: the control board's own PWM is not a bus.
const ANTMINER_PARTS: [Place; 11] = [
    at(0, 0x48, PartModel::Lm75 { board: 0, spot: Spot::Inlet, kind: Kind::Tmp75 }),
    at(0, 0x4C, PartModel::Lm75 { board: 0, spot: Spot::Outlet, kind: Kind::Tmp75 }),
    at(0, 0x49, PartModel::Lm75 { board: 1, spot: Spot::Inlet, kind: Kind::Tmp75 }),
    at(0, 0x4D, PartModel::Lm75 { board: 1, spot: Spot::Outlet, kind: Kind::Tmp75 }),
    at(0, 0x4A, PartModel::Lm75 { board: 2, spot: Spot::Inlet, kind: Kind::Tmp75 }),
    at(0, 0x4E, PartModel::Lm75 { board: 2, spot: Spot::Outlet, kind: Kind::Tmp75 }),
    at(0, 0x50, PartModel::Eeprom { board: 0 }),
    at(0, 0x51, PartModel::Eeprom { board: 1 }),
    at(0, 0x52, PartModel::Eeprom { board: 2 }),
    at(1, 0x10, PartModel::Apw),
    at(2, 0x2D, PartModel::Emc2305 { fans: 4 }),
];

/// Four fans of 197 cfm, two and two in series: 370 cfm were measured through an S19 Pro at work.
const ANTMINER_AIR: Airflow = Airflow { fans: 4, full_rpm: 6150.0, full_watts: 19.8, full_flow: 0.198 };

pub const S19J_PRO: MachineModel = MachineModel {
    name: "s19j-pro",
    chip: &BM1362,
    boards: 3,
    usb: false,
    buses: 3,
    converter: super::bitaxe::ESP32,
    board: BoardPhysics {
        silicon: &silicon::BM1362,
        chips: 126,
        domains: 42,
        die_kelvin_per_watt: 1.3,
        sink_kelvin_per_watt: 2.0,
        sink_joules_per_kelvin: 12.0,
        ohms: 0.000_5,
        regulator_loss: 0.0,
        regulator_kelvin_per_watt: 0.0,
        board_share: 0.6,
    },
    feed: Feed::Supply,
    supply: Some(&psu::APW12),
    input_volts: 0.0,
    air: ANTMINER_AIR,
    standing_watts: 8.0,
    parts: &[&ANTMINER_PARTS],
    lines: &[&BOARD_LINES, &[line("psu-enable", Role::SupplyEnable, true)], &PANEL_LINES],
    behind_chip: None,
    identity: Some("BHB42601"),
    stock: Stock { mhz: 535.0, volts: 13.5, fan: 0.75 },
    published: Published {
        watts: 3068.0,
        ths: 104.0,
        celsius: Some((55.0, 80.0)),
        spread: 0.05,
        source: "Bitmain, 29.5 J/TH; factory firmware steers boards to 50 to 65 °C, chips are 15 K above",
    },
};

/// The variant whose boards have rail controllers. Sensors were seen behind these by one source, on the bus by another: here
/// they are at both places.
pub const S19J_PRO_PIC: MachineModel = MachineModel {
    name: "s19j-pro-pic",
    feed: Feed::Switched,
    parts: &[
        &[
            at(0, 0x20, PartModel::DsPic { board: 0 }),
            at(0, 0x21, PartModel::DsPic { board: 1 }),
            at(0, 0x22, PartModel::DsPic { board: 2 }),
        ],
        &ANTMINER_PARTS,
    ],
    ..S19J_PRO
};

pub const S19_XP: MachineModel = MachineModel {
    name: "s19-xp",
    chip: &BM1366,
    board: BoardPhysics {
        silicon: &silicon::BM1366,
        chips: 110,
        domains: 11,
        die_kelvin_per_watt: 1.0,
        sink_kelvin_per_watt: 1.8,
        ..S19J_PRO.board
    },
    identity: Some("BHB56801"),
    stock: Stock { mhz: 475.0, volts: 13.2, fan: 0.75 },
    published: Published {
        watts: 3010.0,
        ths: 140.0,
        source: "Bitmain, 21.5 J/TH; the clock is what 140 TH/s need",
        ..S19J_PRO.published
    },
    ..S19J_PRO
};

pub const S21: MachineModel = MachineModel {
    name: "s21",
    chip: &BM1368,
    board: BoardPhysics {
        silicon: &silicon::BM1368,
        chips: 108,
        domains: 12,
        die_kelvin_per_watt: 0.8,
        sink_kelvin_per_watt: 1.5,
        ..S19J_PRO.board
    },
    identity: Some("BHB68601"),
    stock: Stock { mhz: 490.0, volts: 13.56, fan: 0.8 },
    published: Published {
        watts: 3500.0,
        ths: 200.0,
        source: "Bitmain, 17.5 J/TH; 490 MHz as a review of two machines saw it",
        ..S19J_PRO.published
    },
    ..S19J_PRO
};

pub const S21_PRO: MachineModel = MachineModel {
    name: "s21-pro",
    chip: &BM1370,
    board: BoardPhysics {
        silicon: &silicon::BM1370,
        chips: 65,
        domains: 13,
        die_kelvin_per_watt: 0.5,
        sink_kelvin_per_watt: 1.0,
        sink_joules_per_kelvin: 20.0,
        ..S19J_PRO.board
    },
    identity: Some("A3HB70601"),
    stock: Stock { mhz: 590.0, volts: 14.56, fan: 0.8 },
    published: Published {
        watts: 3510.0,
        ths: 234.0,
        source: "Bitmain, 15 J/TH; the clock is what 234 TH/s need",
        ..S19J_PRO.published
    },
    ..S19J_PRO
};

/// Each board's sensor hangs on its 62nd chip's own I²C. Its supply is always on, and gives 12 V.
pub const S9: MachineModel = MachineModel {
    name: "s9",
    chip: &BM1387,
    buses: 2,
    board: BoardPhysics {
        silicon: &silicon::BM1387,
        chips: 63,
        domains: 21,
        die_kelvin_per_watt: 1.0,
        sink_kelvin_per_watt: 1.6,
        sink_joules_per_kelvin: 15.0,
        regulator_loss: 0.05,
        regulator_kelvin_per_watt: 1.0,
        ..S19J_PRO.board
    },
    feed: Feed::Buck,
    supply: Some(&psu::APW3),
    input_volts: 12.1,
    air: Airflow { fans: 2, full_rpm: 6000.0, full_watts: 20.0, full_flow: 0.11 },
    parts: &[&[
        at(0, 0x55, PartModel::Pic16 { board: 0 }),
        at(0, 0x56, PartModel::Pic16 { board: 1 }),
        at(0, 0x57, PartModel::Pic16 { board: 2 }),
        at(1, 0x2D, PartModel::Emc2305 { fans: 2 }),
    ]],
    lines: &[&BOARD_LINES, &PANEL_LINES],
    behind_chip: Some((61, 0x4C)),
    identity: None,
    stock: Stock { mhz: 625.0, volts: 8.8, fan: 0.7 },
    published: Published {
        watts: 1350.0,
        ths: 13.5,
        celsius: Some((48.0, 62.0)),
        spread: 0.07,
        source: "0.098 J/GH of Bitmain, 1350 W and 1400 W of others; last chips 63 °C with 33 °C at the inlet (Zeus), so 55 °C with 25 °C",
    },
    ..S19J_PRO
};

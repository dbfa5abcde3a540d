//! The machines. Geometry and addresses: published facts (`docs/simulation.md` has the sources); thermal values are fitted.

use super::model::{Feed, LineModel, MachineModel, PartModel, Place, Published, Role, Spot, Stock};
use crate::chip::{BM1362, BM1366, BM1368, BM1370, BM1387, BM1397};
use crate::device::lm75::Kind;
use crate::physics::air::Airflow;
use crate::physics::board::BoardPhysics;
use crate::physics::{psu, silicon};

/// All machines.
pub(crate) const MODELS: [&MachineModel; 12] = [
    &BITAXE_GAMMA,
    &BITAXE_SUPRA,
    &BITAXE_ULTRA,
    &BITAXE_MAX,
    &EMBERONE00,
    &S9,
    &S19J_PRO,
    &S19J_PRO_PIC,
    &S19_XP,
    &S21,
    &S21_PRO,
    &BENCH_PARTS,
];

/// No machine has this name.
#[derive(Debug, thiserror::Error)]
#[error("no machine `{name}`: there are {known}", known = MODELS.map(|model| model.name).join(", "))]
pub struct UnknownMachine {
    name: String,
}

impl MachineModel {
    pub fn by_name(name: &str) -> Result<&'static Self, UnknownMachine> {
        let model = MODELS.into_iter().find(|model| model.name == name);
        model.ok_or_else(|| UnknownMachine { name: name.into() })
    }
}

const fn at(bus: usize, address: u8, part: PartModel) -> Place {
    Place { bus, address, part }
}

const fn line(name: &'static str, role: Role, pull: bool) -> LineModel {
    LineModel { name, role, pull }
}

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

/// Twelve BM1362. Of the rest no source was at hand: three chips to a domain, the parts of a Gamma, two TMP1075, its heat
/// sink, fan and settings are assumed, and no figures are compared.
pub const EMBERONE00: MachineModel = MachineModel {
    name: "emberone00",
    chip: &BM1362,
    board: BoardPhysics {
        silicon: &silicon::BM1362,
        chips: 12,
        domains: 4,
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
        at(0, 0x48, PartModel::Lm75 { board: 0, spot: Spot::Inlet, kind: Kind::Tmp1075 }),
        at(0, 0x49, PartModel::Lm75 { board: 0, spot: Spot::Outlet, kind: Kind::Tmp1075 }),
    ],
    stock: Stock { mhz: 500.0, volts: 1.28, fan: 0.8 },
    published: Published::NOTHING,
    ..BITAXE_GAMMA
};

const CONTROL_BOARD_LINES: [LineModel; 10] = [
    line("reset-0", Role::Reset(0), false),
    line("reset-1", Role::Reset(1), false),
    line("reset-2", Role::Reset(2), false),
    line("plug-0", Role::Plug(0), false),
    line("plug-1", Role::Plug(1), false),
    line("plug-2", Role::Plug(2), false),
    line("psu-enable", Role::SupplyEnable, true),
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

/// Four fans of 197 cfm, two and two in series: 370 cfm were measured through an S19 Pro at work.
const ANTMINER_AIR: Airflow = Airflow { fans: 4, full_rpm: 6150.0, full_watts: 19.8, full_flow: 0.198 };

pub const S19J_PRO: MachineModel = MachineModel {
    name: "s19j-pro",
    chip: &BM1362,
    boards: 3,
    usb: false,
    buses: 3,
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
    parts: &ANTMINER_PARTS,
    lines: &CONTROL_BOARD_LINES,
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

/// The variant whose boards have rail controllers.
pub const S19J_PRO_PIC: MachineModel = MachineModel {
    name: "s19j-pro-pic",
    feed: Feed::Switched,
    parts: &[
        at(0, 0x20, PartModel::DsPic { board: 0 }),
        at(0, 0x21, PartModel::DsPic { board: 1 }),
        at(0, 0x22, PartModel::DsPic { board: 2 }),
        at(0, 0x48, PartModel::Lm75 { board: 0, spot: Spot::Inlet, kind: Kind::Lm75a }),
        at(0, 0x4C, PartModel::Lm75 { board: 0, spot: Spot::Outlet, kind: Kind::Lm75a }),
        at(0, 0x49, PartModel::Lm75 { board: 1, spot: Spot::Inlet, kind: Kind::Lm75a }),
        at(0, 0x4D, PartModel::Lm75 { board: 1, spot: Spot::Outlet, kind: Kind::Lm75a }),
        at(0, 0x4A, PartModel::Lm75 { board: 2, spot: Spot::Inlet, kind: Kind::Lm75a }),
        at(0, 0x4E, PartModel::Lm75 { board: 2, spot: Spot::Outlet, kind: Kind::Lm75a }),
        at(0, 0x50, PartModel::Eeprom { board: 0 }),
        at(0, 0x51, PartModel::Eeprom { board: 1 }),
        at(0, 0x52, PartModel::Eeprom { board: 2 }),
        at(1, 0x10, PartModel::Apw),
        at(2, 0x2D, PartModel::Emc2305 { fans: 4 }),
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
        celsius: Some((55.0, 80.0)),
        spread: 0.05,
        source: "Bitmain, 21.5 J/TH; the clock is what 140 TH/s need",
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
        celsius: Some((55.0, 80.0)),
        spread: 0.05,
        source: "Bitmain, 17.5 J/TH; 490 MHz as a review of two machines saw it",
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
        celsius: Some((55.0, 80.0)),
        spread: 0.05,
        source: "Bitmain, 15 J/TH; the clock is what 234 TH/s need",
    },
    ..S19J_PRO
};

/// Its supply is always on, and gives 12 V.
const S9_LINES: [LineModel; 9] = [
    line("reset-0", Role::Reset(0), false),
    line("reset-1", Role::Reset(1), false),
    line("reset-2", Role::Reset(2), false),
    line("plug-0", Role::Plug(0), false),
    line("plug-1", Role::Plug(1), false),
    line("plug-2", Role::Plug(2), false),
    line("led-green", Role::Light, false),
    line("led-red", Role::Light, false),
    line("button-ip", Role::Button, true),
];

/// Its sensors hang on chips' own I²C, which is not modelled.
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
    parts: &[
        at(0, 0x55, PartModel::Pic16 { board: 0 }),
        at(0, 0x56, PartModel::Pic16 { board: 1 }),
        at(0, 0x57, PartModel::Pic16 { board: 2 }),
        at(1, 0x2D, PartModel::Emc2305 { fans: 2 }),
    ],
    lines: &S9_LINES,
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

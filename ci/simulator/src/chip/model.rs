//! What differs from chip to chip, as data.

mod midstates;

pub use midstates::{BM1387, BM1397};

use super::pll::{PllEncoding, PllLimits};
use super::registers as reg;
use crate::wire::Dialect;

/// How the chips of a chain share the nonces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceSpace {
    /// Each counts from the value in register 0x0C, shifted left by nine; where, is anyone's guess until it is written.
    Offset,
    /// Each has its own address in the nonce (bits 24..17, or where [`NonceLayout`] has it) and counts from there.
    Address,
}

/// Where a nonce, read most significant byte first, has its parts. The counter includes the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonceLayout {
    pub counter_bits: u32,
    pub counter_shift: u32,
    /// Lowest bit of the address within the counter.
    pub address_shift: u32,
    pub core_shift: u32,
}

impl NonceLayout {
    /// Core 31..25, counter 24..0.
    pub const BM1362: Self = Self { counter_bits: 25, counter_shift: 0, address_shift: 17, core_shift: 25 };
}

/// What it takes to make cores hash.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Family {
    /// Chips that roll versions.
    Bm1362 {
        /// Core register that selects the cores' clock.
        clock_select: u8,
        /// Bits of register 0xA8 without which the cores do not run.
        cores_released: u32,
        /// Bits 31..28 of register 0x18 each let a quarter of the cores report; else any of them lets all report.
        report_quarters: bool,
    },
    Bm1397,
    Bm1387,
}

/// A chip model. Sources: `docs/simulator.md`, "The chip".
#[derive(Debug)]
pub struct Model {
    pub name: &'static str,
    /// Upper half of register 0x00.
    pub id: u16,
    /// Bits 15..8 of register 0x00.
    pub id_extra: u8,
    /// Cores.
    pub cores: u32,
    /// Version slots of a core.
    pub sub_cores: u32,
    /// Small cores that work: fewer than cores × sub-cores, the last core is not whole.
    pub small_cores: u32,
    pub nonce_space: NonceSpace,
    /// The job byte shifted left by `job_id_shift` and masked by `job_id_mask` returns with a nonce.
    pub job_id_shift: u32,
    pub job_id_mask: u8,
    pub(crate) pll: PllLimits,
    pub(crate) pll_register: u8,
    pub(crate) ticket_register: u8,
    /// Its divider is in bits 15..8, of the chips that take midstates in 12..8.
    pub(crate) baud_register: u8,
    pub nonce: NonceLayout,
    pub(crate) family: Family,
    /// The die's thermometer is behind registers 0xB0 and 0xB4.
    pub(crate) thermometer: bool,
    /// Registers that exist, with their values after reset.
    pub(crate) registers: &'static [(u8, u32)],
}

/// All models that can be simulated.
const MODELS: [&Model; 6] = [&BM1362, &BM1366, &BM1368, &BM1370, &BM1387, &BM1397];

/// No model has this name.
#[derive(Debug, thiserror::Error)]
#[error("no chip `{name}`: there are {known}", known = MODELS.map(|model| model.name.to_ascii_lowercase()).join(", "))]
pub struct UnknownModel {
    name: String,
}

impl Model {
    pub fn dialect(&self) -> Dialect {
        match self.family {
            Family::Bm1362 { .. } => Dialect::Bm1362,
            Family::Bm1397 => Dialect::Bm1397,
            Family::Bm1387 => Dialect::Bm1387,
        }
    }

    /// By name, in either case.
    pub fn by_name(name: &str) -> Result<&'static Self, UnknownModel> {
        let model = MODELS.into_iter().find(|model| model.name.eq_ignore_ascii_case(name));
        model.ok_or_else(|| UnknownModel { name: name.into() })
    }
}

/// Of BM1366, BM1368 and BM1370.
const REGISTERS: &[(u8, u32)] = &[
    (0x00, 0),
    (0x04, 0),
    (0x08, 0),
    (0x0C, 0),
    (0x10, 0),
    (0x14, 0),
    (0x18, 0x0000_C100),
    (0x28, 0x0130_1A00),
    (0x2C, 0),
    (0x3C, 0),
    (0x4C, 0),
    (0x54, 0),
    (0x58, 0),
    (0x68, 0),
    (0x88, 0),
    (0x89, 0),
    (0x8A, 0),
    (0x8B, 0),
    (0x8C, 0),
    (0xA4, 0),
    (0xA8, 0x0007_0000),
    (0xB0, 0),
    (0xB4, 0),
    (0xB8, 0),
    (0xB9, 0),
    (0xBA, 0),
    (0xBB, 0),
    (0xBD, 0),
];

/// Antminer S21 Pro, S21 XP, Bitaxe Gamma.
pub const BM1370: Model = Model {
    name: "BM1370",
    id: 0x1370,
    id_extra: 0x00,
    cores: 128,
    sub_cores: 16,
    small_cores: 2040,
    nonce_space: NonceSpace::Offset,
    job_id_shift: 1,
    job_id_mask: 0xF0,
    pll: PllLimits { feedback: (160, 239), vco_mhz: (1600.0, 3200.0), encoding: PllEncoding::Bm1362 },
    pll_register: reg::PLL,
    ticket_register: reg::TICKET_MASK,
    baud_register: reg::UART_BAUD,
    nonce: NonceLayout::BM1362,
    family: Family::Bm1362 { clock_select: 0x0B, cores_released: 0x0000_01F0, report_quarters: true },
    thermometer: false,
    registers: REGISTERS,
};

/// Antminer S19 XP and S19k Pro, Bitaxe Ultra.
pub const BM1366: Model = Model {
    name: "BM1366",
    id: 0x1366,
    cores: 112,
    sub_cores: 8,
    small_cores: 894,
    nonce_space: NonceSpace::Address,
    job_id_shift: 0,
    job_id_mask: 0xF8,
    pll: PllLimits { feedback: (144, 235), vco_mhz: (1800.0, 3200.0), encoding: PllEncoding::Bm1362 },
    family: Family::Bm1362 { clock_select: 0x05, cores_released: 0x0000_01F0, report_quarters: false },
    ..BM1370
};

/// Antminer S21 and T21, Bitaxe Supra.
pub const BM1368: Model = Model {
    name: "BM1368",
    id: 0x1368,
    cores: 80,
    sub_cores: 16,
    small_cores: 1276,
    nonce_space: NonceSpace::Address,
    pll: PllLimits { feedback: (144, 235), vco_mhz: (1800.0, 3200.0), encoding: PllEncoding::Bm1362 },
    family: Family::Bm1362 { clock_select: 0x0B, cores_released: 0x0000_01F0, report_quarters: false },
    thermometer: true,
    ..BM1370
};

/// Antminer S19j Pro.
pub const BM1362: Model = Model {
    name: "BM1362",
    id: 0x1362,
    id_extra: 0x03,
    cores: 65,
    sub_cores: 8,
    small_cores: 514,
    nonce_space: NonceSpace::Address,
    job_id_shift: 0,
    job_id_mask: 0xF8,
    pll: PllLimits { feedback: (16, 250), vco_mhz: (2000.0, 3200.0), encoding: PllEncoding::Bm1362 },
    family: Family::Bm1362 { clock_select: 0x05, cores_released: 0x0000_0002, report_quarters: false },
    registers: &[
        (0x00, 0),
        (0x04, 0),
        (0x08, 0),
        (0x0C, 0),
        (0x10, 0),
        (0x14, 0),
        (0x18, 0x0000_C100),
        (0x28, 0x0130_1A00),
        (0x2C, 0),
        (0x3C, 0),
        (0x4C, 0),
        (0x54, 0),
        (0x58, 0),
        (0x8C, 0),
        (0xA4, 0),
        (0xA8, 0x0000_0000),
    ],
    ..BM1370
};

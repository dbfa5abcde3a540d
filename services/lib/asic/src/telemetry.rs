//! What chips count and measure themselves, as registers that are read while they hash.

use crate::init::Step;

/// What a register tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Hashes, in units of 2^32, that the chip itself found wrong. Counts on and wraps.
    Errors,
    /// Hashes, in units of 2^32. Counts on and wraps.
    Hashes,
    /// Likewise, of one of the chip's four power domains, 0 to 3.
    DomainHashes(u8),
    /// The die's temperature, see [`Quantity::celsius`].
    Temperature,
}

/// A chip's registers of this kind, and what must be written before they tell anything.
#[derive(Debug, Clone, Copy)]
pub struct Telemetry {
    pub registers: &'static [(u8, Quantity)],
    /// After the start-up; only writes and waits.
    pub start: &'static [Step],
}

impl Telemetry {
    pub const NONE: Self = Self { registers: &[], start: &[] };

    /// BM1397: of its hash rate (register 04) sources know two units.
    pub const BM1397: Self = Self { registers: &[(0x4c, Quantity::Errors)], start: &[] };

    /// BM1366 and BM1370. Source: ESP-Miner.
    pub const COUNTERS: Self = Self {
        registers: &[
            (0x4c, Quantity::Errors),
            (0x8c, Quantity::Hashes),
            (0x88, Quantity::DomainHashes(0)),
            (0x89, Quantity::DomainHashes(1)),
            (0x8a, Quantity::DomainHashes(2)),
            (0x8b, Quantity::DomainHashes(3)),
        ],
        start: &[],
    };

    /// BM1368: its die's thermometer, too, which is reset, loaded and started first. The BM1370 has the same registers, and nothing behind them. Source: mujina.
    pub const BM1368: Self = Self {
        registers: &[
            (0x4c, Quantity::Errors),
            (0x8c, Quantity::Hashes),
            (0xb4, Quantity::Temperature),
            (0x88, Quantity::DomainHashes(0)),
            (0x89, Quantity::DomainHashes(1)),
            (0x8a, Quantity::DomainHashes(2)),
            (0x8b, Quantity::DomainHashes(3)),
        ],
        start: &[
            Step::WriteAll(0xb0, 0x0002_0000),
            Step::Wait { ms: 10 },
            Step::WriteAll(0xb0, 0x0102_0000),
            Step::Wait { ms: 10 },
            Step::WriteAll(0xb0, 0x1002_0000),
            Step::Wait { ms: 10 },
        ],
    };

    /// What `register` tells.
    pub fn quantity(&self, register: u8) -> Option<Quantity> {
        self.registers.iter().find(|(number, _)| *number == register).map(|(_, quantity)| *quantity)
    }
}

impl Quantity {
    /// °C of a [`Quantity::Temperature`] register: bit 31 says that bits 15..0 are a reading, of 0.171342 K each from −299.5144 °C. `None` without a reading, and of other quantities.
    pub fn celsius(self, value: u32) -> Option<f64> {
        let reading = self == Self::Temperature && value >> 31 != 0;
        reading.then(|| f64::from(value & 0xffff) * 0.171_342 - 299.514_4)
    }
}

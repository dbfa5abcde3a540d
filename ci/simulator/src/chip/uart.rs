//! What clocks the UART of a BM1397: the crystal, or PLL3 for rates above 3.125 Mbaud.

use super::registers as reg;
use super::single::{CRYSTAL_HZ, Chip};

/// Enable bits 31 and 30, dividers as they are: feedback 27..16, reference 13..8, post 7..4 and 3..0.
const PLL3: u8 = 0x68;
const PLL3_ON: u32 = 0xC000_0000;
/// Bits 27..24: PLL3 is divided by this and one.
const FAST_UART: u8 = 0x28;
/// Register 0x18: PLL3 instead of the crystal.
const FROM_PLL3: u32 = 1 << 16;

impl Chip {
    /// Hertz; 0 when PLL3 is chosen and does not run.
    pub(super) fn uart_clock(&self) -> u32 {
        if self.value(reg::MISC_CONTROL) & FROM_PLL3 == 0 {
            return CRYSTAL_HZ;
        }
        let pll = self.value(PLL3);
        let dividers = (pll >> 8 & 0x3F) * (pll >> 4 & 0xF) * (pll & 0xF);
        if pll & PLL3_ON != PLL3_ON || dividers == 0 {
            return 0;
        }
        let hertz = u64::from(CRYSTAL_HZ) * u64::from(pll >> 16 & 0xFFF) / u64::from(dividers);
        (hertz / u64::from((self.value(FAST_UART) >> 24 & 0xF) + 1)) as u32
    }
}

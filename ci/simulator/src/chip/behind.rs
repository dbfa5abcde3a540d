//! A part on the pins of a BM1387 that serve as an I²C master: register 0x20 asks it, and the answer is read there.
//! Bits: busy 31, do 24, address 23..17, write 16, register 15..8, data 7..0 (Braiins' driver for the S9, facts only).

use super::single::Chip;
use crate::device::Device as _;
use crate::device::tmp451::Tmp451;

/// Where it is asked.
pub(super) const REGISTER: u8 = 0x20;
const BUSY: u32 = 1 << 31;
const DO: u32 = 1 << 24;
const WRITE: u32 = 1 << 16;
/// Register 0x1C: the pins are an I²C bus when bit 14 is set and bits 6..5 are.
const MISC_CONTROL: u8 = 0x1C;
const I2C_PINS: u32 = 1 << 14 | 3 << 5;

/// A thermometer behind one chip of a chain.
pub(crate) struct Behind {
    /// Place on the chain.
    pub(super) chip: usize,
    address: u8,
    pub(crate) part: Tmp451,
    /// It answers nobody.
    pub(crate) gone: bool,
}

impl Behind {
    pub(crate) fn new(chip: usize, address: u8) -> Self {
        Self { chip, address, part: Tmp451::new(), gone: false }
    }

    fn transfer(&mut self, word: u32) -> Option<u8> {
        let [_, address, register, data] = word.to_be_bytes();
        if address >> 1 != self.address || self.gone {
            return None;
        }
        if word & WRITE != 0 {
            self.part.write(&[register, data]).ok()?;
            return Some(data);
        }
        self.part.write(&[register]).ok()?;
        self.part.read(1).ok()?.first().copied()
    }
}

impl Chip {
    /// Does what its register 0x20 asks for. Where nobody answers it stays busy (assumed).
    pub(super) fn ask(&mut self, behind: Option<&mut Behind>) {
        let word = self.value(REGISTER);
        if word & DO == 0 {
            return;
        }
        let pins = self.value(MISC_CONTROL) & I2C_PINS == I2C_PINS;
        let answer = behind.filter(|_| pins).and_then(|behind| behind.transfer(word));
        let answered = answer.map_or(word | BUSY, |data| word & 0x00FF_FF00 & !BUSY | u32::from(data));
        self.set_value(REGISTER, answered & !DO);
    }
}

//! One chip: its address, its registers, its cores.

use super::model::Model;
use super::registers as reg;
use super::{TicketMask, pll};

/// Set when a PLL has locked; read back only. The bit is the BM1397's; no capture shows a BM1370's read-back.
const PLL_LOCKED: u32 = 1 << 31;
/// Register 0xA4: the chip makes midstates, and with them rolls versions, by itself.
const ROLL_VERSIONS: u32 = 1 << 31;
/// Register 0x0C: the offset counts.
const OFFSET_ENABLED: u32 = 1 << 31;
/// Core register 0x02 with this value starts a core.
const CORE_ENABLE: (u8, u8) = (0x02, 0xAA);
const CLOCK_DELAY: u8 = 0x00;
/// How much longer than register 0x10 says a sweep runs, in ticks (measured on silicon).
const OVERRUN_TICKS: u64 = 130;
const CRYSTAL_MHZ: f64 = 25.0;
/// Bits 24..0 of a nonce are the counter of a core.
const COUNTER_BITS: u32 = 25;

/// A core takes part once all of this is so.
#[derive(Clone, Debug, Default)]
struct Cores {
    clock_selected: bool,
    clock_delay_set: bool,
    /// Bit per core.
    enabled: u128,
}

/// What a chip's sweeps look like.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweeping {
    pub mhz: f64,
    /// Where in its 25 bits each core's counter starts; `None`: not settled by any register.
    pub start: Option<u32>,
    /// Counter values in one sweep.
    pub length: u32,
    /// Cores that hash, a bit each.
    pub cores: u128,
    /// Cores that may report.
    pub reporting: u128,
}

#[derive(Clone, Debug)]
pub(crate) struct Chip {
    model: &'static Model,
    pub(crate) address: u8,
    pub(crate) addressed: bool,
    /// Waits for an address: silent to reads until it has one.
    pub(crate) waiting: bool,
    /// Values of `model.registers`, in its order.
    values: Vec<u32>,
    cores: Cores,
    pub(crate) mhz: Option<f64>,
}

impl Chip {
    /// A chip that just came out of reset.
    pub(crate) fn new(model: &'static Model) -> Self {
        Self {
            model,
            address: 0,
            addressed: false,
            waiting: false,
            values: model.registers.iter().map(|&(_, value)| value).collect(),
            cores: Cores::default(),
            mhz: None,
        }
    }

    fn slot(&self, register: u8) -> Option<usize> {
        self.model.registers.iter().position(|&(number, _)| number == register)
    }

    /// The register as it was written; zero when the model has no such register.
    fn value(&self, register: u8) -> u32 {
        self.slot(register).map_or(0, |slot| self.values[slot])
    }

    /// What a read returns; `None` when there is no such register, and so no answer.
    pub(crate) fn read(&self, register: u8) -> Option<u32> {
        let slot = self.slot(register)?;
        Some(match register {
            reg::CHIP_ID => {
                u32::from(self.model.id) << 16 | u32::from(self.model.id_extra) << 8 | u32::from(self.address)
            }
            reg::PLL if self.mhz.is_some() => self.values[slot] | PLL_LOCKED,
            _ => self.values[slot],
        })
    }

    /// Takes a write; an error says what silicon would not follow. The register holds what was written all the same.
    pub(crate) fn write(&mut self, register: u8, value: u32) -> Result<(), &'static str> {
        let slot = self.slot(register).ok_or("write to a register that the chip does not have")?;
        if register == reg::CHIP_ID {
            return Err("write to the chip id");
        }
        self.values[slot] = value;
        match register {
            reg::PLL => {
                let locked = pll::decode(value, self.model.pll);
                self.mhz = locked.ok();
                locked.map(drop)
            }
            // A soft reset takes the cores' own registers with it: every bring-up writes them again afterwards.
            reg::SOFT_RESET => {
                self.cores = Cores::default();
                Ok(())
            }
            reg::CORE_MAILBOX => self.post(value),
            _ => Ok(()),
        }
    }

    /// A word in the core mailbox: `all 31 | core 23..16 | write 15 | register 12..8 | value 7..0`.
    fn post(&mut self, word: u32) -> Result<(), &'static str> {
        let [flags, core, register, value] = word.to_be_bytes();
        if register & 0x80 == 0 {
            return Ok(()); // a read of a core register: answers are in no capture
        }
        let all = flags & 0x80 != 0;
        let chosen = match (all, u32::from(core) < self.model.cores) {
            (true, _) => self.all_cores(),
            (false, true) => 1 << core,
            (false, false) => return Err("core mailbox: no such core"),
        };
        let register = register & 0x1F;
        if register == CORE_ENABLE.0 {
            let on = value == CORE_ENABLE.1;
            self.cores.enabled = if on { self.cores.enabled | chosen } else { self.cores.enabled & !chosen };
        }
        self.cores.clock_selected |= all && register == self.model.clock_select;
        self.cores.clock_delay_set |= all && register == CLOCK_DELAY;
        Ok(())
    }

    fn all_cores(&self) -> u128 {
        u128::MAX >> (128 - self.model.cores)
    }

    /// Answers have eleven bytes.
    pub(crate) fn wide(&self) -> bool {
        self.value(reg::MIDSTATE_CONFIG) & ROLL_VERSIONS != 0
    }

    /// Header version bits 28..13 that the chip may roll.
    pub(crate) fn version_mask(&self) -> u16 {
        self.value(reg::MIDSTATE_CONFIG) as u16
    }

    pub(crate) fn ticket_mask(&self) -> TicketMask {
        TicketMask::from_register(self.value(reg::TICKET_MASK))
    }

    pub(crate) fn baud(&self) -> u32 {
        let divider = self.value(reg::UART_BAUD) >> 8 & 0xFF;
        25_000_000 / (8 * (divider + 1))
    }

    /// How it would hash if it had a job; `None` while anything that hashing needs is missing.
    pub(crate) fn sweeping(&self) -> Option<Sweeping> {
        let mhz = self.mhz?;
        let ticks = u64::from(self.value(reg::HASH_COUNTING));
        let released = self.value(reg::SOFT_RESET) & self.model.cores_released == self.model.cores_released;
        let clocked = self.cores.clock_selected && self.cores.clock_delay_set;
        if ticks == 0 || !released || !clocked || !self.wide() || self.cores.enabled == 0 {
            return None;
        }
        // Each core tries two nonces per hash clock.
        let length = 2.0 * (ticks + OVERRUN_TICKS) as f64 * mhz / CRYSTAL_MHZ;
        let offset = self.value(reg::NONCE_OFFSET);
        let start = match self.model.nonce_space {
            super::NonceSpace::Address => Some(u32::from(self.address) << 17),
            super::NonceSpace::Offset => (offset & OFFSET_ENABLED != 0).then_some((offset & 0xFFFF) << 9),
        };
        Some(Sweeping {
            mhz,
            start,
            length: (length as u32).clamp(1, 1 << COUNTER_BITS),
            cores: self.cores.enabled,
            reporting: self.reporting(),
        })
    }

    /// Register 0x18 bits 31..28: on the BM1370 one for each quarter of the cores, the lowest for the first.
    fn reporting(&self) -> u128 {
        let enables = self.value(reg::MISC_CONTROL) >> 28;
        if !self.model.report_quarters {
            return if enables == 0 { 0 } else { self.all_cores() };
        }
        let quarter = self.model.cores / 4;
        (0..4)
            .filter(|i| enables >> i & 1 != 0)
            .fold(0, |cores, i| cores | (u128::MAX >> (128 - quarter)) << (i * quarter))
    }
}

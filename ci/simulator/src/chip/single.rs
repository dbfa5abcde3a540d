//! One chip: its address, its registers, its cores.

use super::model::{Family, Model, NonceSpace};
use super::own::Own;
use super::registers as reg;
use super::{TicketMask, pll};
use crate::wire::{Dialect, Response};

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
pub(super) const CRYSTAL_HZ: u32 = 25_000_000;

/// Core register 0 of a BM1397, bit 2: more than one midstate.
const MANY_MIDSTATES: u8 = 1 << 2;

/// What the cores' own registers hold. A core takes part once all that its family needs is so.
#[derive(Clone, Debug, Default)]
struct CoreRegisters {
    clock_selected: bool,
    clock_delay: Option<u8>,
    /// Bit per core.
    enabled: u128,
}

/// Cores that hash, and those of them that may report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cores {
    /// A bit each.
    Each { hashing: u128, reporting: u128 },
    /// So many, from the first; all report.
    First(u32),
}

/// What a chip's sweeps look like.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweeping {
    pub mhz: f64,
    /// Where in its 25 bits each core's counter starts; `None`: not settled by any register.
    pub start: Option<u32>,
    /// Counter values in one sweep.
    pub length: u32,
    pub cores: Cores,
}

#[derive(Clone, Debug)]
pub(crate) struct Chip {
    pub(super) model: &'static Model,
    pub(crate) address: u8,
    pub(crate) addressed: bool,
    /// Passes everything on, but takes no part; takes no address but zero.
    pub(super) deaf: bool,
    pub(super) stuck: bool,
    /// Waits for an address: silent to reads until it has one.
    pub(crate) waiting: bool,
    /// Values of `model.registers`, in its order.
    values: Vec<u32>,
    cores: CoreRegisters,
    /// Cores of a BM1387 that jobs have woken.
    pub(super) woken: u32,
    pub(super) own: Own,
    pub(crate) mhz: Option<f64>,
}

impl Chip {
    /// A chip that just came out of reset.
    pub(crate) fn new(model: &'static Model) -> Self {
        Self {
            model,
            address: 0,
            addressed: false,
            deaf: false,
            stuck: false,
            waiting: false,
            values: model.registers.iter().map(|&(_, value)| value).collect(),
            cores: CoreRegisters::default(),
            woken: 0,
            own: Own::default(),
            mhz: None,
        }
    }

    fn slot(&self, register: u8) -> Option<usize> {
        self.model.registers.iter().position(|&(number, _)| number == register)
    }

    /// The register as it was written; zero when the model has no such register.
    pub(super) fn value(&self, register: u8) -> u32 {
        self.slot(register).map_or(0, |slot| self.values[slot])
    }

    pub(super) fn set_value(&mut self, register: u8, value: u32) {
        if let Some(slot) = self.slot(register) {
            self.values[slot] = value;
        }
    }

    /// What a read returns; `None` when there is no such register, and so no answer.
    pub(crate) fn read(&self, register: u8) -> Option<u32> {
        let slot = self.slot(register)?;
        Some(match register {
            reg::CHIP_ID => {
                u32::from(self.model.id) << 16 | u32::from(self.model.id_extra) << 8 | u32::from(self.address)
            }
            _ if register == self.model.pll_register && self.mhz.is_some() => self.values[slot] | PLL_LOCKED,
            _ => self.own(register).unwrap_or(self.values[slot]),
        })
    }

    /// Takes a write; an error says what silicon would not follow. The register holds what was written all the same.
    pub(crate) fn write(&mut self, register: u8, value: u32) -> Result<(), &'static str> {
        let slot = self.slot(register).ok_or("write to a register that the chip does not have")?;
        if register == reg::CHIP_ID {
            return Err("write to the chip id");
        }
        self.values[slot] = value;
        self.control_thermometer(register, value);
        let rolls_versions = matches!(self.model.family, Family::Bm1362 { .. });
        match register {
            _ if register == self.model.pll_register => self.lock(),
            reg::PLL_DIVIDER if self.mhz.is_some() => self.lock(),
            // A soft reset takes the cores' own registers with it: every bring-up writes them again afterwards.
            reg::SOFT_RESET if rolls_versions => {
                self.cores = CoreRegisters::default();
                Ok(())
            }
            reg::CORE_MAILBOX => self.post(value),
            _ => Ok(()),
        }
    }

    fn lock(&mut self) -> Result<(), &'static str> {
        let locked = pll::decode(self.value(self.model.pll_register), self.model.pll);
        // BM1397 only: one more divider, in the last byte and less one. Other models have no such register, so 0 in it.
        let divider = (self.value(reg::PLL_DIVIDER) & 0xF) + 1;
        self.mhz = locked.ok().map(|mhz| mhz / f64::from(divider));
        locked.map(drop)
    }

    /// A word in the core mailbox: `all 31 | core 23..16 | write 15 | register 12..8 | value 7..0`.
    fn post(&mut self, word: u32) -> Result<(), &'static str> {
        let [flags, core, register, value] = word.to_be_bytes();
        if register & 0x80 == 0 {
            return Ok(()); // a read of a core register: answers are in no capture
        }
        let all = flags & 0x80 != 0;
        let chosen = match (all, u32::from(core) < self.model.cores.min(128)) {
            (true, _) => self.all_cores(),
            (false, true) => 1 << core,
            (false, false) => return Err("core mailbox: no such core"),
        };
        let register = register & 0x1F;
        if register == CORE_ENABLE.0 {
            let on = value == CORE_ENABLE.1;
            self.cores.enabled = if on { self.cores.enabled | chosen } else { self.cores.enabled & !chosen };
        }
        if let Family::Bm1362 { clock_select, .. } = self.model.family {
            self.cores.clock_selected |= all && register == clock_select;
        }
        if all && register == CLOCK_DELAY {
            self.cores.clock_delay = Some(value);
        }
        Ok(())
    }

    fn all_cores(&self) -> u128 {
        u128::MAX >> 128_u32.saturating_sub(self.model.cores)
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
        TicketMask::from_register(self.value(self.model.ticket_register))
    }

    pub(crate) fn baud(&self) -> u32 {
        let value = self.value(self.model.baud_register);
        let (clock, divider) = match self.model.family {
            Family::Bm1362 { .. } => (CRYSTAL_HZ, value >> 8 & 0xFF),
            Family::Bm1397 => (self.uart_clock(), (value >> 24 & 0xF) << 5 | value >> 8 & 0x1F),
            Family::Bm1387 => (CRYSTAL_HZ, value >> 8 & 0x1F),
        };
        clock / (8 * (divider + 1))
    }

    /// How it would hash if it had a job; `None` while anything that hashing needs is missing.
    pub(crate) fn sweeping(&self) -> Option<Sweeping> {
        let mhz = self.mhz?;
        let layout = self.model.nonce;
        let offset = self.value(reg::NONCE_OFFSET);
        let start = match self.model.nonce_space {
            NonceSpace::Address => Some(u32::from(self.address) << layout.address_shift),
            NonceSpace::Offset => (offset & OFFSET_ENABLED != 0).then_some((offset & 0xFFFF) << 9),
        };
        let whole = 1 << layout.counter_bits;
        let (cores, length) = match self.model.family {
            Family::Bm1362 { .. } => {
                // Each core tries two nonces per hash clock.
                let ticks = u64::from(self.value(reg::HASH_COUNTING)) + OVERRUN_TICKS;
                let length = 2.0 * ticks as f64 * mhz / CRYSTAL_MHZ;
                (self.rolling_cores()?, (length as u32).clamp(1, whole))
            }
            Family::Bm1397 => (self.clocked_cores()?, whole),
            Family::Bm1387 => (self.woken_cores()?, whole),
        };
        Some(Sweeping { mhz, start, length, cores })
    }

    /// BM1362 and later.
    fn rolling_cores(&self) -> Option<Cores> {
        let Family::Bm1362 { cores_released, .. } = self.model.family else { return None };
        let released = self.value(reg::SOFT_RESET) & cores_released == cores_released;
        let clocked = self.cores.clock_selected && self.cores.clock_delay.is_some();
        let halted = self.value(reg::HASH_COUNTING) == 0;
        let hashing = self.cores.enabled;
        let ready = !halted && released && clocked && self.wide() && hashing != 0;
        ready.then(|| Cores::Each { hashing, reporting: self.reporting() })
    }

    /// BM1397: the order of the clocks set, the ordered clock on, a clock delay in all cores.
    fn clocked_cores(&self) -> Option<Cores> {
        let in_order = reg::CLOCK_ORDER.iter().all(|register| self.value(*register) == 0);
        let clocked = self.value(reg::ORDERED_CLOCK) == 1 && self.cores.clock_delay.is_some();
        (in_order && clocked).then_some(Cores::First(self.model.small_cores))
    }

    /// Takes more than one midstate.
    pub(super) fn many_midstates(&self) -> bool {
        match self.model.family {
            Family::Bm1362 { .. } => false,
            Family::Bm1397 => self.cores.clock_delay.is_some_and(|value| value & MANY_MIDSTATES != 0),
            Family::Bm1387 => self.takes_many_midstates(),
        }
    }

    /// Register 0x18 bits 31..28: on the BM1370 one for each quarter of the cores, the lowest for the first.
    fn reporting(&self) -> u128 {
        let enables = self.value(reg::MISC_CONTROL) >> 28;
        if !matches!(self.model.family, Family::Bm1362 { report_quarters: true, .. }) {
            return if enables == 0 { 0 } else { self.all_cores() };
        }
        let quarter = self.model.cores / 4;
        (0..4)
            .filter(|i| enables >> i & 1 != 0)
            .fold(0, |cores, i| cores | (u128::MAX >> (128 - quarter)) << (i * quarter))
    }

    /// What it says when it is asked for a register; nothing when it has none of that number.
    pub(super) fn answer(&self, register: u8) -> Option<Response> {
        let answer = Response::register(self.read(register)?, self.address, register, self.wide());
        Some(if self.model.dialect() == Dialect::Bm1387 { answer.bare() } else { answer })
    }
}

//! A chip as a row of data: what the rows say. The rows themselves are in [`crate::models`].

use crate::{
    Frame, Job, KiloHertz, OutOfRange, Pll, PllLimits, command,
    command::Target,
    init::Step,
    models::CHIPS,
    register::{self, CRYSTAL_HZ},
};

/// A core's number is nonce bits 31..25 (most significant byte first); below it the core counts.
const COUNTER_BITS: u32 = 25;
/// Of a chip's address, bit 0 is this bit of the nonce.
const ADDRESS_SHIFT: u32 = 17;
/// The job id's four bits in the job byte begin here.
const JOB_ID_SHIFT: u32 = 3;
/// A sweep runs this much longer than [`register::HASH_COUNTING`] says, in its ticks. Source: measured by others on silicon, `docs/asic.md`.
const SWEEP_OVERRUN: u64 = 130;

/// Everything in which one chip of the family differs from another.
#[derive(Debug)]
pub struct Chip {
    pub name: &'static str,
    /// Upper half of [`register::CHIP_ID`].
    pub id: u16,
    /// Cores that hash, for the nominal hash rate: one hash a clock each.
    pub small_cores: u32,
    /// Small cores of one core, 8 or 16; they share the versions of a job.
    pub sub_cores: u8,
    pub pll: PllLimits,
    /// The job byte's next value is this much higher, modulo 128.
    pub job_step: u8,
    /// LEN byte of a job. Stock firmware sends 0x36, ESP-Miner 0x56; chips take both.
    pub job_length_byte: u8,
    pub chip_field: ChipField,
    /// [`register::HASH_COUNTING`]: the factory's value, a little shorter than the share of nonces of one chip.
    pub hash_counting: u32,
    /// Start-up in captured order.
    pub init: &'static [Step],
}

/// Where a nonce tells which chip found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChipField {
    /// Bits 24..17 hold the chip's address.
    Address,
    /// Bits 24..9 count up from the chip's [`register::NONCE_OFFSET`].
    Offset,
}

/// A nonce response, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NonceReport {
    /// The job byte as it was sent.
    pub job: u8,
    /// As the header's integer: its header bytes are this, little-endian.
    pub nonce: u32,
    pub core: u8,
    pub small_core: u8,
    /// How far the hash is below the ticket, in half bits; the last bit is unreliable.
    pub excess: u8,
    pub version_bits: u16,
}

impl Chip {
    pub fn by_name(name: &str) -> Option<&'static Self> {
        CHIPS.iter().copied().find(|chip| chip.name == name)
    }

    /// Names of all rows, for messages.
    pub fn names() -> impl Iterator<Item = &'static str> {
        CHIPS.iter().map(|chip| chip.name)
    }

    /// The job byte to send after `job`.
    pub fn next_job(&self, job: u8) -> u8 {
        job.wrapping_add(self.job_step) & 0x7f
    }

    /// The job byte's place among those in use: 0..16.
    pub fn job_slot(&self, job: u8) -> usize {
        usize::from(job >> 3) & 0x0f
    }

    pub fn job_frame(&self, job: &Job<'_>) -> Frame {
        job.encode(self.job_length_byte)
    }

    /// Reads the fields of [`crate::Response::Nonce`].
    pub fn nonce_report(&self, nonce: [u8; 4], excess: u8, job: u8, version_bits: u16) -> NonceReport {
        // The small core is in the low bits, the job id directly above it.
        let small_core = self.sub_cores - 1;
        NonceReport {
            job: (job & !small_core) >> (small_core.count_ones() - JOB_ID_SHIFT),
            nonce: u32::from_le_bytes(nonce),
            core: nonce[0] >> 1,
            small_core: job & small_core,
            excess,
            version_bits,
        }
    }

    /// The place in the chain of the chip that found a nonce (header integer), 0 nearest to the control board; `None` when no chip of `chips` can have found it.
    pub fn place(&self, nonce: u32, chips: u16) -> Option<u16> {
        let wire = nonce.swap_bytes();
        match self.chip_field {
            ChipField::Offset => Some(((((wire >> 9) & 0xffff) * u32::from(chips)) >> 16) as u16),
            ChipField::Address => {
                let place = ((wire >> ADDRESS_SHIFT) & 0xff) as u16 / u16::from(address_step(chips));
                (place < chips).then_some(place)
            }
        }
    }

    /// The frequency above which a sweep is longer than the share of nonces that each of `chips` has: two chips would search the same ones, and a nonce would name the wrong chip.
    pub fn fastest(&self, chips: u16) -> KiloHertz {
        let share = match self.chip_field {
            ChipField::Offset => (1 << COUNTER_BITS) / u64::from(chips.max(1)),
            ChipField::Address => u64::from(address_step(chips)) << ADDRESS_SHIFT,
        };
        // A core tries two nonces per hash clock.
        let ticks = 2 * (u64::from(self.hash_counting) + SWEEP_OVERRUN);
        KiloHertz(u32::try_from(share * u64::from(CRYSTAL_HZ / 1000) / ticks).unwrap_or(u32::MAX))
    }

    /// The setting nearest to a frequency and the frame that sets it on all chips.
    pub fn set_frequency(&self, target: KiloHertz) -> Result<(Pll, Frame), OutOfRange> {
        let pll = Pll::nearest(target, &self.pll)?;
        Ok((pll, command::write(Target::All, register::PLL, pll.register(self.pll.encoding))))
    }

    /// Milliseconds after which a job has been searched through: [`register::version_epoch_ms`].
    pub fn version_epoch_ms(&self) -> u64 {
        register::version_epoch_ms(self.hash_counting, self.sub_cores)
    }
}

/// The address that the chip at `place` of a chain of `chips` is given.
pub fn address(place: u16, chips: u16) -> u8 {
    (place * u16::from(address_step(chips))) as u8
}

/// Distance of the addresses of neighbours when `chips` share the 256 addresses evenly. A chain has at most 256 chips.
pub(crate) fn address_step(chips: u16) -> u8 {
    (256 / chips.max(1)).clamp(1, 255) as u8
}

//! A chip as a row of data. BM1362, BM1366 and BM1368 are further rows.

use crate::{
    Frame, Job, KiloHertz, OutOfRange, Pll, PllEncoding, PllLimits, command,
    command::Target,
    init::Step,
    register::{self, ANALOG_B9, ANALOG_MUX, CORE_MAILBOX, IO_DRIVER, MISC_CONTROL, SOFT_RESET},
};

/// Everything in which one chip of the family differs from another.
#[derive(Debug)]
pub struct Chip {
    pub name: &'static str,
    /// Upper half of [`register::CHIP_ID`].
    pub id: u16,
    /// Cores that hash, for the nominal hash rate: one hash a clock each.
    pub small_cores: u32,
    /// Small cores of one core; they share the versions of a job.
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
        NonceReport {
            job: (job & 0xf0) >> 1,
            nonce: u32::from_le_bytes(nonce),
            core: nonce[0] >> 1,
            small_core: job & 0x0f,
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
                let place = ((wire >> 17) & 0xff) as u16 / u16::from(address_step(chips));
                (place < chips).then_some(place)
            }
        }
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

/// Distance of the addresses of neighbours when `chips` share the 256 addresses evenly. A chain has at most 256 chips.
pub(crate) fn address_step(chips: u16) -> u8 {
    (256 / chips.max(1)).clamp(1, 255) as u8
}

const CHIPS: &[&Chip] = &[&BM1370];

/// BM1370: Antminer S21 Pro, Bitaxe Gamma. Source: `docs/asic.md`; start-up as captured from a single chip.
pub static BM1370: Chip = Chip {
    name: "BM1370",
    id: 0x1370,
    small_cores: 2040,
    sub_cores: 16,
    pll: PllLimits { feedback: 160..=239, vco_mhz: 2000..=3200, encoding: PllEncoding::Bm1362 },
    job_step: 24,
    job_length_byte: 0x56,
    chip_field: ChipField::Offset,
    hash_counting: 0x1eb5,
    init: &[
        Step::VersionRolling,
        Step::VersionRolling,
        Step::VersionRolling,
        Step::CountChips,
        Step::VersionRolling,
        Step::WriteAll(SOFT_RESET, 0x0007_0000),
        Step::WriteAll(MISC_CONTROL, 0xf000_c100),
        Step::ChainInactive,
        Step::SetAddresses,
        Step::WriteAll(CORE_MAILBOX, 0x8000_8b00),
        Step::WriteAll(CORE_MAILBOX, 0x8000_800c),
        Step::TicketMask,
        Step::WriteAll(IO_DRIVER, 0x0001_1111),
        Step::EachChip(&[
            (SOFT_RESET, 0x0007_01f0),
            (MISC_CONTROL, 0xf000_c100),
            (CORE_MAILBOX, 0x8000_8b00),
            (CORE_MAILBOX, 0x8000_800c),
            (CORE_MAILBOX, 0x8000_82aa),
        ]),
        Step::WriteAll(ANALOG_B9, 0x0000_4480),
        Step::WriteAll(ANALOG_MUX, 0x0000_0002),
        Step::WriteAll(ANALOG_B9, 0x0000_4480),
        Step::WriteAll(CORE_MAILBOX, 0x8000_8dee),
        Step::Ramp,
        Step::HashCounting,
        Step::Baud,
        Step::VersionRolling,
    ],
};

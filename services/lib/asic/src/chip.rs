//! A chip as a row of data: what the rows say. The rows themselves are in [`crate::models`].

use crate::{
    Frame, Job, KiloHertz, MidstateJob, OutOfRange, Pll, PllLimits, Telemetry, Width,
    command::{Generation, Target},
    init::{DOMAINS_WITHOUT_RELAY, Step},
    models::CHIPS,
    nonce::{ChipField, NonceFields},
    register::{self, CRYSTAL_HZ},
};

/// A sweep runs this much longer than [`register::HASH_COUNTING`] says, in its ticks. Source: measured by others on silicon, `docs/asic.md`.
const SWEEP_OVERRUN: u64 = 130;

/// Everything in which one chip of the family differs from another.
#[derive(Debug)]
pub struct Chip {
    pub name: &'static str,
    /// Upper half of [`register::CHIP_ID`].
    pub id: u16,
    pub generation: Generation,
    /// Length of responses once the start-up has begun.
    pub responses: Width,
    /// Cores that hash, for the nominal hash rate: one hash a clock each.
    pub small_cores: u32,
    pub work: WorkLayout,
    pub nonce: NonceFields,
    pub spacing: Spacing,
    pub pll: PllLimits,
    pub pll_writes: PllWrites,
    pub ticket_mask: u8,
    pub uart: Uart,
    /// [`register::HASH_COUNTING`]: the factory's value, a little shorter than the share of nonces of one chip; 0 where nobody sets it and a job ends with the next one.
    pub hash_counting: u32,
    pub telemetry: Telemetry,
    /// Start-up in captured order.
    pub init: &'static [Step],
    /// Of boards that relay between their domains, where that was captured by itself.
    pub board_init: Option<&'static [Step]>,
}

/// What a chip takes as work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkLayout {
    /// Whole headers, whose versions the chip rolls.
    Headers {
        /// LEN byte of a job. Stock firmware sends 0x36, ESP-Miner 0x56; chips take both.
        length_byte: u8,
        /// The job byte's next value is this much higher, modulo 128.
        job_step: u8,
        /// Small cores of one core, 8 or 16; they share the versions of a job.
        sub_cores: u8,
    },
    /// Midstates, up to four: the host rolls versions. The job byte rises by four.
    Midstates,
}

/// How far apart addresses are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// 256 / chips, rounded down, as ESP-Miner and cgminer do it. Most boards have so many chips that it is a power of two, too.
    Even,
    /// 256 / chips, with the chips rounded up to a power of two: as captured from 65 chips.
    PowerOfTwo,
}

/// How the clock is set.
#[derive(Debug, Clone, Copy)]
pub struct PllWrites {
    pub register: u8,
    /// Written before it.
    pub before: Option<(u8, u32)>,
    /// So often is each of them written.
    pub times: u8,
    /// Milliseconds after each write.
    pub gap_ms: u32,
}

/// Where a chip's line rate is set.
#[derive(Debug, Clone, Copy)]
pub struct Uart {
    pub register: u8,
    /// All of the register but the divider in bits 12..8 (and above, where captures have none).
    pub rest: u32,
    /// The register sets more than the rate, so it is written even when the rate stays.
    pub sets_more: bool,
    /// Rates from another clock than the crystal, and the register's whole value for each.
    pub fast: &'static [(u32, u32)],
}

impl Uart {
    /// The register's value for a divider.
    pub fn value(self, divider: u8) -> u32 {
        self.rest | u32::from(divider) << 8
    }

    /// The rate within 0.1 % of `baud`, and the register's value for it; `None` when there is none.
    pub fn rate(self, baud: u32) -> Option<(u32, u32)> {
        let dividers = 0..=register::RESET_DIVIDER;
        let of_crystal = dividers.map(|divider| (register::baud(divider), self.value(divider)));
        of_crystal.chain(self.fast.iter().copied()).find(|(rate, _)| rate.abs_diff(baud) <= rate / 1000)
    }
}

/// A nonce response, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NonceReport {
    /// The job byte as it was sent.
    pub job: u8,
    /// Place of the midstate in its job; 0 where the chip makes midstates itself.
    pub midstate: u8,
    /// As the header's integer: its header bytes are this, little-endian.
    pub nonce: u32,
    pub core: u8,
    pub small_core: u8,
    /// How far the hash is below the ticket, in half bits; the last bit is unreliable. Of chips that take midstates nobody says so.
    pub excess: u8,
    /// Rolled by the chip; 0 where the host rolls.
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
        let step = match self.work {
            WorkLayout::Headers { job_step, .. } => job_step,
            WorkLayout::Midstates => 4,
        };
        job.wrapping_add(step) & 0x7f
    }

    /// The job byte's place among those in use: 0..16, with midstates 0..32.
    pub fn job_slot(&self, job: u8) -> usize {
        match self.work {
            WorkLayout::Headers { .. } => usize::from(job >> 3) & 0x0f,
            WorkLayout::Midstates => usize::from(job >> 2) & 0x1f,
        }
    }

    /// The frame of a whole header, for chips that take [`WorkLayout::Headers`].
    pub fn job_frame(&self, job: &Job<'_>) -> Frame {
        match self.work {
            WorkLayout::Headers { length_byte, .. } => job.encode(length_byte),
            // Nobody sends one, and a chip would refuse it by its length.
            WorkLayout::Midstates => job.encode(0),
        }
    }

    /// Reads the fields of [`crate::Response::Nonce`].
    pub fn nonce_report(&self, nonce: [u8; 4], excess: u8, job: u8, version_bits: u16) -> NonceReport {
        let wire = u32::from_be_bytes(nonce);
        let (sent, midstate, small_core) = match self.work {
            WorkLayout::Headers { sub_cores, .. } => {
                // The small core is in the low bits, the job id directly above it; in the job byte the id begins at bit 3.
                let small_core = sub_cores - 1;
                ((job & !small_core) >> (small_core.count_ones() - 3), 0, job & small_core)
            }
            WorkLayout::Midstates => (job & 0x7c, job & 0x03, self.nonce.small_core.of(wire)),
        };
        NonceReport {
            job: sent,
            midstate,
            nonce: u32::from_le_bytes(nonce),
            core: self.nonce.core.of(wire),
            small_core,
            excess,
            version_bits,
        }
    }

    /// The place in the chain of the chip that found a nonce (header integer), 0 nearest to the control board; `None` when no chip of `chips` can have found it.
    pub fn place(&self, nonce: u32, chips: u16) -> Option<u16> {
        let wire = nonce.swap_bytes();
        match self.nonce.chip {
            ChipField::Offset => Some(((((wire >> 9) & 0xffff) * u32::from(chips)) >> 16) as u16),
            ChipField::Address(field) => {
                let place = u16::from(field.of(wire)) / u16::from(self.address_step(chips));
                let last = chips.checked_sub(1)?;
                // Where no register ends a sweep, the last chip may run on behind its share.
                let runs_on = self.hash_counting == 0;
                (runs_on || place <= last).then_some(place.min(last))
            }
        }
    }

    /// The frequency above which a sweep is longer than the share of nonces that each of `chips` has: two chips would search the same ones, and a nonce would name the wrong chip.
    /// `None` where no register ends a sweep.
    pub fn fastest(&self, chips: u16) -> Option<KiloHertz> {
        if self.hash_counting == 0 {
            return None;
        }
        // A core tries two nonces per hash clock.
        let ticks = 2 * (u64::from(self.hash_counting) + SWEEP_OVERRUN);
        let share = self.share(chips);
        Some(KiloHertz(u32::try_from(share * u64::from(CRYSTAL_HZ / 1000) / ticks).unwrap_or(u32::MAX)))
    }

    /// Distance of the addresses of neighbours on a chain of at most 256 chips.
    pub fn address_step(&self, chips: u16) -> u8 {
        let chips = match self.spacing {
            Spacing::Even => chips.max(1),
            Spacing::PowerOfTwo => chips.max(1).next_power_of_two(),
        };
        (256 / chips).clamp(1, 255) as u8
    }

    /// The address that the chip at `place` of a chain of `chips` is given.
    pub fn address(&self, place: u16, chips: u16) -> u8 {
        (place * u16::from(self.address_step(chips))) as u8
    }

    /// Nonces of one core that each of `chips` may try.
    fn share(&self, chips: u16) -> u64 {
        match self.nonce.chip {
            ChipField::Address(_) => u64::from(self.address_step(chips)) << self.nonce.counter_bits,
            ChipField::Offset => (1 << self.nonce.counter_bits) / u64::from(chips.max(1)),
        }
    }

    /// The setting nearest to a frequency and the frames that set it on all chips, [`PllWrites::gap_ms`] apart.
    pub fn set_frequency(&self, target: KiloHertz) -> Result<(Pll, Vec<Frame>), OutOfRange> {
        let pll = Pll::nearest(target, &self.pll)?;
        let writes = self.pll_writes;
        let own = (writes.register, pll.register(self.pll.encoding));
        let registers = writes.before.into_iter().chain([own]);
        let each = |(register, value)| {
            let frame = self.generation.write(Target::All, register, value);
            std::iter::repeat_n(frame, writes.times.into())
        };
        Ok((pll, registers.flat_map(each).collect()))
    }

    /// Milliseconds after which all versions of a header have been rolled, whatever the frequency: [`register::version_epoch_ms`]. `None` where the host rolls them.
    pub fn version_epoch_ms(&self) -> Option<u64> {
        match self.work {
            WorkLayout::Headers { sub_cores, .. } => {
                Some(register::version_epoch_ms(self.hash_counting, sub_cores))
            }
            WorkLayout::Midstates => None,
        }
    }

    /// Microseconds in which each of `chips` at `frequency` has searched so many midstates through: a core tries one nonce of one of them a clock.
    pub fn midstates_us(&self, chips: u16, midstates: u32, frequency: KiloHertz) -> u64 {
        self.share(chips) * u64::from(midstates) * 1000 / u64::from(frequency.0.max(1))
    }

    /// The start-up of a board of so many domains.
    pub fn start_up(&self, domains: u16) -> &'static [Step] {
        self.board_init.filter(|_| domains > DOMAINS_WITHOUT_RELAY).unwrap_or(self.init)
    }

    /// A job of zeros, see [`Step::DummyJob`].
    pub(crate) fn dummy_job(&self) -> Frame {
        let zeros = [0; 32];
        let mut id = 0;
        while self.next_job(id) != 0 {
            id = self.next_job(id);
        }
        self.job_frame(&Job { id, version: 0, prev_hash: &zeros, merkle_root: &zeros, ntime: 0, nbits: 0 })
    }

    /// A job that wakes a core, see [`Step::OpenCores`].
    pub(crate) fn opening_job(&self, id: u8) -> Frame {
        MidstateJob::to_open_a_core(id).encode(self.generation)
    }
}

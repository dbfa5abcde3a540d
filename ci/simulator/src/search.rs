//! The search that chips make, in their order and made of their numbers: cores × nonce counters × rolled versions.
//!
//! All cores of a chip count in step, so one *step* tries one counter value: on every core, and on every sub-core with
//! its own version. When the counter has run the length of the sweep, the next batch of versions begins at the start.
//! Chips that take midstates try each counter value with every midstate of the job instead, and then begin again.

use crate::chip::{Cores, Model, Sweeping, TicketMask};
use crate::wire::{Body, Dialect, Job, Response};
use adit_sha256::{Implementation, Nonces, Search, midstate};
use std::sync::Arc;

/// Rolled bits are header version bits 28..13.
const VERSION_SHIFT: u32 = 13;

/// What one chip of a chain does with a job.
#[derive(Clone, Debug)]
pub struct ChipWork {
    /// Place on the chain.
    pub index: usize,
    pub sweeping: Sweeping,
    pub ticket: TicketMask,
    /// Header version bits 28..13 that may be rolled.
    pub version_mask: u16,
}

/// A job and the chips that work on it.
#[derive(Clone, Debug)]
pub struct Work {
    pub model: &'static Model,
    pub job: Arc<Job>,
    pub job_serial: u64,
    pub chips: Vec<ChipWork>,
    /// Leading zero bits that are asked for before the ticket mask (32 on silicon).
    pub base_bits: u32,
}

impl Work {
    /// Hashes in a second, as silicon would make them: one a clock in every small core.
    pub fn hashes_per_second(&self) -> f64 {
        self.chips.iter().map(|chip| chip.sweeping.mhz * 1e6 * f64::from(self.hashes_per_clock(chip))).sum()
    }

    fn hashes_per_clock(&self, chip: &ChipWork) -> u32 {
        let slots = self.model.sub_cores.min(versions(chip.version_mask));
        match chip.sweeping.cores {
            Cores::Each { hashing, .. } => {
                (0..slots).map(|slot| (hashing & cores_with_slot(self.model, slot)).count_ones()).sum()
            }
            Cores::First(count) => count,
        }
    }
}

/// A nonce that a chip reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub chip: usize,
    /// Header bytes 76..80 read most significant byte first.
    pub nonce: u32,
    /// Small core of its core; with midstates, the place of the one that won.
    pub sub_core: u8,
    /// Rolled bits, header version bits 28..13.
    pub version: u16,
    /// Half bits of difficulty beyond what was asked for. Always whole bits here: when silicon fills the half is unknown.
    pub excess: u8,
}

impl Found {
    /// The frame that says so.
    pub fn response(&self, model: &Model, job_id: u8, wide: bool) -> Response {
        let result = (job_id << model.job_id_shift) & model.job_id_mask | self.sub_core;
        match model.dialect() {
            Dialect::Bm1362 => Response::nonce(self.nonce, self.excess, result, self.version, wide),
            // What the fifth byte means is not known: 0, as in most vectors.
            Dialect::Bm1397 => Response::nonce(self.nonce, 0, result, 0, false),
            Dialect::Bm1387 => Response::nonce(self.nonce, 0, result, 0, false).bare(),
        }
    }
}

/// Where a chip is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Versions are consumed in batches, one for each sub-core.
    pub batch: u32,
    /// Counter values that are done in this batch.
    pub step: u32,
}

struct Progress {
    position: Position,
    /// Counter value of step 0.
    start: u32,
    /// Of `prepared.0`'s batch: a search for each version slot.
    prepared: Option<(u32, Vec<(u16, Search)>)>,
}

/// A chain's search through one job, which goes on from call to call.
pub struct Sweep {
    work: Work,
    progress: Vec<Progress>,
    implementation: Implementation,
}

impl Sweep {
    /// From the beginning. `floating` is where the counter starts on chips whose registers do not say.
    pub fn new(work: Work, floating: u32) -> Self {
        Self::at(work, floating, Position::default())
    }

    /// From anywhere.
    pub fn at(work: Work, floating: u32, position: Position) -> Self {
        let progress = work
            .chips
            .iter()
            .map(|chip| Progress { position, start: chip.sweeping.start.unwrap_or(floating), prepared: None })
            .collect();
        Self { work, progress, implementation: Implementation::best() }
    }

    pub fn work(&self) -> &Work {
        &self.work
    }

    /// Takes new settings of the same chips and the same job without losing its place.
    pub fn update(&mut self, work: Work) {
        let same = |(old, new): (&ChipWork, &ChipWork)| {
            old.index == new.index
                && old.sweeping.start == new.sweeping.start
                && old.version_mask == new.version_mask
        };
        let keeps_place =
            self.work.chips.len() == work.chips.len() && self.work.chips.iter().zip(&work.chips).all(same);
        if keeps_place {
            self.work = work;
        } else {
            let floating = self.progress.first().map_or(0, |progress| progress.start);
            *self = Self::new(work, floating);
        }
    }

    /// One counter value on every chip. Appends what they would report to `found`; returns how many hashes that took.
    pub fn step(&mut self, found: &mut Vec<Found>) -> u64 {
        let mut hashes = 0;
        for (chip, progress) in self.work.chips.iter().zip(&mut self.progress) {
            let batch = progress.position.batch;
            if progress.prepared.as_ref().is_none_or(|(prepared, _)| *prepared != batch) {
                progress.prepared = Some((batch, prepare(&self.work, chip, batch)));
            }
            let searches = progress.prepared.as_ref().map_or(&[][..], |(_, searches)| searches);
            let layout = self.work.model.nonce;
            let mask = (1 << layout.counter_bits) - 1;
            let counter = progress.start.wrapping_add(progress.position.step) & mask;
            for (slot, (version, search)) in searches.iter().enumerate() {
                let (count, hashed, reporting) = match chip.sweeping.cores {
                    Cores::Each { hashing, reporting } => {
                        let cores = hashing & cores_with_slot(self.work.model, slot as u32);
                        (128 - cores.leading_zeros(), cores.count_ones(), cores & reporting)
                    }
                    Cores::First(count) => (count, count, u128::MAX),
                };
                let (first, stride) = (counter << layout.counter_shift, 1 << layout.core_shift);
                let threshold = self.work.base_bits + chip.ticket.bits();
                search.run(self.implementation, Nonces { first, stride, count }, threshold, |hit| {
                    let core = (hit.nonce - first) / stride;
                    let reports = core >= 128 || reporting >> core & 1 != 0;
                    if reports && chip.ticket.admits(&hit.hash, self.work.base_bits) {
                        let excess = 2 * (hit.leading_zero_bits - threshold);
                        found.push(Found {
                            chip: chip.index,
                            nonce: hit.nonce,
                            sub_core: slot as u8,
                            version: *version,
                            excess: excess.min(255) as u8,
                        });
                    }
                });
                hashes += u64::from(hashed);
            }
            progress.position.step += 1;
            if progress.position.step >= chip.sweeping.length {
                progress.position = Position { batch: batch + 1, step: 0 };
            }
        }
        hashes
    }
}

/// A search for every version of a batch, or for every midstate of the job. After the last version the chip starts over and repeats itself.
fn prepare(work: &Work, chip: &ChipWork, batch: u32) -> Vec<(u16, Search)> {
    let tail = work.job.tail();
    if let Body::Midstates { states, .. } = &work.job.body {
        return states.iter().map(|state| (0, Search::new(*state, &tail))).collect();
    }
    let versions = versions(chip.version_mask);
    (0..work.model.sub_cores.min(versions))
        .filter_map(|slot| {
            let index = batch.wrapping_mul(work.model.sub_cores).wrapping_add(slot) % versions;
            let version = deposit(index as u16, chip.version_mask);
            let header = work.job.header(u32::from(version) << VERSION_SHIFT)?;
            Some((version, Search::new(midstate(header.first_chunk()?), &tail)))
        })
        .collect()
}

fn versions(mask: u16) -> u32 {
    1 << mask.count_ones()
}

/// The low bits of `index`, spread over the set bits of `mask`.
fn deposit(index: u16, mask: u16) -> u16 {
    let places = (0..16).filter(|place| mask >> place & 1 != 0);
    places.enumerate().fold(0, |version, (i, place)| version | (index >> i & 1) << place)
}

/// Cores whose sub-core `slot` works: all but, for the higher slots, the last core.
fn cores_with_slot(model: &Model, slot: u32) -> u128 {
    let last = model.cores - 1;
    let whole = (last * model.sub_cores + slot) < model.small_cores;
    u128::MAX >> (128 - if whole { model.cores } else { last })
}

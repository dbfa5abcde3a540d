//! What a chip counts and measures itself.

use super::single::{Chip, Cores};

/// Counters of hashes that were found wrong, of all hashes, and of those of each of four domains.
const ERRORS: u8 = 0x4C;
const HASHES: u8 = 0x8C;
const DOMAINS: [u8; 4] = [0x88, 0x89, 0x8A, 0x8B];
/// Counters count these.
const HASHES_PER_COUNT: f64 = 4_294_967_296.0;

const THERMOMETER_CONTROL: u8 = 0xB0;
const THERMOMETER: u8 = 0xB4;
/// What starts it, in this order.
const THERMOMETER_START: [u32; 3] = [0x0002_0000, 0x0102_0000, 0x1002_0000];
const READING_VALID: u32 = 1 << 31;

/// What a chip does, as far as it makes heat and counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Activity {
    pub(crate) mhz: f64,
    /// Share of its small cores that hash.
    pub(crate) hashing: f64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    /// As silicon would have made them: the simulation's slowness does not show.
    hashes: f64,
    /// In the same unit as hashes are counted; each wrong nonce of a fault is one more.
    errors: f64,
    celsius: f64,
    /// Words of the thermometer's start that have come.
    started: usize,
}

impl Chip {
    /// What it does, if there is a job or not.
    pub(super) fn activity(&self, job: bool) -> Activity {
        let mhz = self.mhz.unwrap_or(0.0);
        let sweeping = if job && !self.deaf { self.sweeping() } else { None };
        let hashing = sweeping.map_or(0.0, |sweeping| match sweeping.cores {
            Cores::Each { hashing, .. } => f64::from(hashing.count_ones()) / f64::from(self.model.cores),
            Cores::First(count) => f64::from(count) / f64::from(self.model.small_cores),
        });
        Activity { mhz, hashing }
    }

    /// Time passes. `errors`: share of the hashes that come out wrong.
    pub(super) fn hash_for(&mut self, seconds: f64, activity: &Activity, errors: f64) {
        let cores = activity.hashing * f64::from(self.model.small_cores);
        let hashes = activity.mhz * 1e6 * cores * seconds;
        self.own.hashes += hashes;
        self.own.errors += errors * hashes / HASHES_PER_COUNT;
    }

    pub(super) fn found_one_wrong(&mut self) {
        self.own.errors += 1.0;
    }

    pub(super) fn errors(&self) -> u32 {
        self.own.errors as u64 as u32
    }

    pub(super) fn feel(&mut self, celsius: f64) {
        self.own.celsius = celsius;
    }

    /// Notices the words that start the thermometer.
    pub(super) fn control_thermometer(&mut self, register: u8, value: u32) {
        if register == THERMOMETER_CONTROL {
            let next = THERMOMETER_START.get(self.own.started) == Some(&value);
            self.own.started = if next { self.own.started + 1 } else { 0 };
        }
    }

    /// A register of this kind that the model has.
    pub(super) fn own(&self, register: u8) -> Option<u32> {
        let counted = self.own.hashes / HASHES_PER_COUNT;
        match register {
            ERRORS => Some(self.errors()),
            HASHES => Some(counted as u64 as u32),
            _ if DOMAINS.contains(&register) => Some((counted / 4.0) as u64 as u32),
            THERMOMETER if self.model.thermometer && self.own.started == THERMOMETER_START.len() => {
                let code = (self.own.celsius + 299.514_4) / 0.171_342;
                Some(READING_VALID | (code.round() as u32 & 0xFFFF))
            }
            _ => None,
        }
    }
}

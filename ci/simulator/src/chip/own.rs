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

#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    /// As silicon would have made them: the simulation's slowness does not show.
    hashes: f64,
    errors: u32,
    celsius: f64,
    /// Words of the thermometer's start that have come.
    started: usize,
}

impl Chip {
    /// Time passes, for a chip that has a job.
    pub(super) fn hash_for(&mut self, seconds: f64) {
        let Some(sweeping) = self.sweeping() else { return };
        let cores = match sweeping.cores {
            Cores::Each { hashing, .. } => {
                let share = f64::from(hashing.count_ones()) / f64::from(self.model.cores);
                share * f64::from(self.model.small_cores)
            }
            Cores::First(count) => f64::from(count),
        };
        self.own.hashes += sweeping.mhz * 1e6 * cores * seconds;
    }

    pub(super) fn found_one_wrong(&mut self) {
        self.own.errors = self.own.errors.wrapping_add(1);
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
            ERRORS => Some(self.own.errors),
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

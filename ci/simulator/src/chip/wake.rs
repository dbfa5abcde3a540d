//! How the cores of a BM1387 wake: while they are gated, each job wakes one core more.

use super::single::{Chip, Cores};
use crate::wire::Job;

/// Register 0x1C: gated cores, more than one midstate.
const MISC_CONTROL: u8 = 0x1C;
const GATED: u32 = 1 << 15;
const MANY_MIDSTATES: u32 = 1 << 7;

impl Chip {
    /// A job came. The open firmware's jobs for this have target bits of ones, and with zeros they wake nobody.
    pub(super) fn job_came(&mut self, job: &Job) {
        let wakes = job.bits[0] & 1 != 0 && self.value(MISC_CONTROL) & GATED != 0 && self.mhz.is_some();
        if wakes && self.woken < self.model.cores {
            self.woken += 1;
        }
    }

    pub(super) fn woken_cores(&self) -> Option<Cores> {
        (self.woken > 0).then_some(Cores::First(self.woken))
    }

    pub(super) fn takes_many_midstates(&self) -> bool {
        self.value(MISC_CONTROL) & MANY_MIDSTATES != 0
    }
}

//! Judging a nonce by hashing: nothing that a chip or the driver says is believed.

use std::collections::VecDeque;

use adit_work::{BlockHash, Header, frame::Nonce, target};

use crate::work_source::SentWork;

/// Hashes that are remembered to tell a nonce that comes twice. They are looked through one by one: a machine finds some hundred nonces a second
/// at most, and a table to look them up in would be several times as large.
const REMEMBERED: usize = 4096;

/// What a nonce is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// It names no work that is remembered.
    UnknownWork,
    /// Its version rolls bits that the work did not allow.
    ForbiddenVersion,
    /// Its hash lacks the leading zero bits that the chip should have looked for.
    BelowTicket,
    /// It was reported before.
    Duplicate,
    /// Work was done, but it is no share.
    Verified,
    /// A share, of this difficulty.
    Share { difficulty: f64 },
}

/// Judges nonces; remembers those it has seen.
#[derive(Debug)]
pub struct ShareCheck {
    /// Of their hashes the least significant bytes, oldest first.
    seen: VecDeque<u64>,
}

impl Default for ShareCheck {
    /// With all the memory that it ever takes.
    fn default() -> Self {
        Self { seen: VecDeque::with_capacity(REMEMBERED) }
    }
}

impl ShareCheck {
    /// `ticket_bits`: leading zero bits that the chain's chips report from; `None` while the driver has not said.
    pub fn judge(&mut self, nonce: &Nonce, work: Option<&SentWork>, ticket_bits: Option<u8>) -> Verdict {
        let Some(work) = work else { return Verdict::UnknownWork };
        if nonce.version & !work.version_mask != work.header.version {
            return Verdict::ForbiddenVersion;
        }
        let hash = Header { version: nonce.version, nonce: nonce.nonce, ..work.header }.hash();
        if hash.leading_zero_bits() < ticket_bits.unwrap_or(0).into() {
            return Verdict::BelowTicket;
        }
        if self.is_repeated(&hash) {
            return Verdict::Duplicate;
        }
        if work.job.share_target.is_met_by(&hash) {
            Verdict::Share { difficulty: target::difficulty(&hash) }
        } else {
            Verdict::Verified
        }
    }

    fn is_repeated(&mut self, hash: &BlockHash) -> bool {
        // The hash's zeros stand at the other end.
        let key = u64::from_le_bytes(*hash.0.first_chunk().expect("32 bytes hold 8"));
        if self.seen.contains(&key) {
            return true;
        }
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(key);
        false
    }
}

#[cfg(test)]
#[path = "share_check_tests.rs"]
mod tests;

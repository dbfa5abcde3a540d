//! The judge: is this submission a share? Pure; everything that a strict pool checks, in the order in which it reports.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use crate::difficulty::Difficulty;
use crate::hash::{self, Hash};
use crate::work::{Extranonce1, Solution, Work};

/// How far ahead of the pool's clock a share may be dated, in seconds (the network's rule for blocks).
pub(crate) const MAX_FUTURE: u32 = 7200;

/// Why a share is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Reject {
    #[error("Job not found")]
    Stale,
    #[error("Duplicate share")]
    Duplicate,
    #[error("Low difficulty share: {reached} of {wanted}")]
    LowDifficulty { reached: f64, wanted: f64 },
    #[error("Unauthorized worker")]
    Unauthorized,
    #[error("Not subscribed")]
    NotSubscribed,
    #[error("Malformed: {0}")]
    Malformed(&'static str),
    #[error("Version bits: {0}")]
    Version(&'static str),
    #[error("Time out of range: {0}")]
    Time(&'static str),
    #[error("Refused on purpose")]
    OnPurpose,
}

impl Reject {
    /// The number in a Stratum error. Source: the table that pools took over from slush's pool.
    #[must_use]
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Stale => 21,
            Self::Duplicate => 22,
            Self::LowDifficulty { .. } => 23,
            Self::Unauthorized => 24,
            Self::NotSubscribed => 25,
            Self::Malformed(_) | Self::Version(_) | Self::Time(_) | Self::OnPurpose => 20,
        }
    }
}

/// `mining.submit` with its fields decoded; lengths that depend on the job are not checked yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Submission {
    pub worker: String,
    pub job: String,
    pub extranonce2: Vec<u8>,
    pub time: u32,
    pub nonce: u32,
    pub version_bits: Option<u32>,
}

impl Submission {
    /// Errors: `Malformed` with the field's name.
    pub(crate) fn parse(params: &[Value]) -> Result<Self, Reject> {
        if !(5..=6).contains(&params.len()) {
            return Err(Reject::Malformed("five or six parameters are wanted"));
        }
        let text = |place: usize, what| params[place].as_str().ok_or(Reject::Malformed(what));
        Ok(Self {
            worker: text(0, "the worker is not a string")?.to_owned(),
            job: text(1, "the job is not a string")?.to_owned(),
            extranonce2: hex::decode(text(2, "extranonce2 is not a string")?)
                .map_err(|_| Reject::Malformed("extranonce2 is not hexadecimal"))?,
            time: word(text(3, "ntime is not a string")?)
                .ok_or(Reject::Malformed("ntime is not 8 hexadecimal digits"))?,
            nonce: word(text(4, "nonce is not a string")?)
                .ok_or(Reject::Malformed("nonce is not 8 hexadecimal digits"))?,
            version_bits: match params.get(5) {
                None => None,
                Some(bits) => Some(
                    bits.as_str()
                        .and_then(word)
                        .ok_or(Reject::Malformed("version bits are not 8 hexadecimal digits"))?,
                ),
            },
        })
    }
}

/// Exactly eight hexadecimal digits, most significant first.
pub(crate) fn word(text: &str) -> Option<u32> {
    let mut bytes = [0; 4];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(u32::from_be_bytes(bytes))
}

/// A job as it was announced to one connection, with what was in force then.
pub(crate) struct Job {
    pub work: Arc<Work>,
    pub extranonce1: Extranonce1,
    pub difficulty: Difficulty,
    /// Version bits that the connection had been allowed to roll.
    pub mask: Option<u32>,
    seen: HashSet<(u64, u32, u32, u32)>,
}

/// A share that counts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Share {
    pub hash: Hash,
    pub header: [u8; 80],
    pub extranonce2: Vec<u8>,
    /// The difficulty that the hash reached.
    pub reached: f64,
}

impl Job {
    #[must_use]
    pub(crate) fn new(
        work: Arc<Work>,
        extranonce1: Extranonce1,
        difficulty: Difficulty,
        mask: Option<u32>,
    ) -> Self {
        Self { work, extranonce1, difficulty, mask, seen: HashSet::new() }
    }

    /// How many shares are remembered against duplicates.
    #[must_use]
    pub(crate) fn remembered(&self) -> usize {
        self.seen.len()
    }

    /// `mask` is the one in force now: it may have been negotiated after the job was sent, so either is accepted. `now`: Unix seconds.
    /// The difficulty is the one in force when the job was sent. An accepted share is remembered.
    pub(crate) fn judge(
        &mut self,
        submission: &Submission,
        mask: Option<u32>,
        now: u32,
    ) -> Result<Share, Reject> {
        if submission.extranonce2.len() != self.work.extranonce2_size {
            return Err(Reject::Malformed("extranonce2 has the wrong length"));
        }
        let solution = Solution {
            extranonce2: submission.extranonce2.clone(),
            version: self.version(submission.version_bits, mask)?,
            time: submission.time,
            nonce: submission.nonce,
        };
        if solution.time < self.work.time {
            return Err(Reject::Time("ntime is before the job's"));
        }
        if solution.time > now.saturating_add(MAX_FUTURE) {
            return Err(Reject::Time("ntime is more than two hours ahead"));
        }
        let extranonce2 = solution.extranonce2.iter().fold(0, |sum, &byte| (sum << 8) | u64::from(byte));
        let key = (extranonce2, solution.version, solution.time, solution.nonce);
        if self.seen.contains(&key) {
            return Err(Reject::Duplicate);
        }
        let header = self.work.header(self.extranonce1, &solution);
        let hash = hash::sha256d(&header);
        let reached = crate::difficulty::reached(&hash);
        if !self.difficulty.target().is_met_by(&hash) {
            return Err(Reject::LowDifficulty { reached, wanted: self.difficulty.value() });
        }
        self.seen.insert(key);
        Ok(Share { hash, header, extranonce2: solution.extranonce2, reached })
    }

    /// The header's version. Source: BIP310, `mining.submit`.
    fn version(&self, bits: Option<u32>, mask: Option<u32>) -> Result<u32, Reject> {
        let Some(bits) = bits else {
            // Who negotiated rolling before the job came has to say what was rolled.
            return if self.mask.is_some() {
                Err(Reject::Version("missing though negotiated"))
            } else {
                Ok(self.work.version)
            };
        };
        if self.mask.is_none() && mask.is_none() {
            return Err(Reject::Version("rolling was not negotiated"));
        }
        let allowed = [self.mask, mask].into_iter().flatten().find(|mask| bits & !mask == 0);
        match allowed {
            Some(mask) => Ok((self.work.version & !mask) | bits),
            None => Err(Reject::Version("outside the mask")),
        }
    }
}

#[cfg(test)]
#[path = "share_tests.rs"]
mod tests;

//! All decisions of the miner in one place, without IO: what to send to the chips, which nonces to hand in, what to say about it.

use std::time::Duration;

use adit_bus::miner::MinerStatus;
use adit_stratum::v1::{Job, Share};
use adit_work::{
    frame::{FromHardware, Nonce, ToHardware},
    target::TargetError,
};

use crate::{
    hashrate::HashRate,
    pool_link::Terms,
    share_check::{ShareCheck, Verdict},
    work_source::WorkSource,
};

/// Chips go on with old work for this long after the pool was lost: it reconnects sooner, mostly, and power stays even.
pub const IDLE_AFTER: Duration = Duration::from_secs(10);

/// The driver hears from a miner that lives this often, whether there is work or not. It slows chips down after 5 s of silence (`docs/safety.md`), so that one late sign does not matter.
pub const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    pub accepted: u64,
    pub rejected: u64,
    pub stale: u64,
    pub invalid: u64,
    /// Nonces that came twice.
    pub duplicate: u64,
    /// Nonces of works that are not remembered.
    pub unknown: u64,
    /// Blocks of this unit's own that a node took.
    pub blocks: u64,
}

/// What is known of pool and hardware, and what follows.
#[derive(Debug, Default)]
pub struct Policy {
    source: WorkSource,
    check: ShareCheck,
    rate: HashRate,
    counters: Counters,
    /// By chain; `None` while the driver has not said.
    ticket_bits: Vec<Option<u8>>,
    difficulty: f64,
    best_difficulty: f64,
    /// When the pool was lost, until a job comes.
    lost: Option<Duration>,
    /// When the last sign of life went out.
    signed: Option<Duration>,
}

impl Policy {
    pub fn source(&self) -> &WorkSource {
        &self.source
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Errors: the job cannot be mined; nothing changes.
    pub fn job(
        &mut self,
        job: Job,
        now: Duration,
        send: &mut impl FnMut(&ToHardware),
    ) -> Result<(), TargetError> {
        self.source.new_job(job, send)?;
        self.lost = None;
        self.start_clock(now);
        Ok(())
    }

    /// The first job of another connection: with it everything of the one before is void, except for the job errors, when nothing changes.
    ///
    /// Shares of work that is still under way are stale from now on: no connection gets another one's.
    pub fn adopt(
        &mut self,
        job: Job,
        terms: Terms,
        now: Duration,
        send: &mut impl FnMut(&ToHardware),
    ) -> Result<(), TargetError> {
        WorkSource::check(&job)?;
        self.source.pool_lost();
        self.difficulty = terms.difficulty;
        self.source.new_version_mask(terms.version_mask, send);
        self.job(job, now, send)
    }

    pub fn version_mask(&mut self, mask: u32, send: &mut impl FnMut(&ToHardware)) {
        self.source.new_version_mask(mask, send);
    }

    /// What the pool asks for from its next job on; for people only, each job carries its own.
    pub fn difficulty(&mut self, difficulty: f64) {
        self.difficulty = difficulty;
    }

    pub fn share_answered(&mut self, accepted: bool) {
        let counter = if accepted { &mut self.counters.accepted } else { &mut self.counters.rejected };
        *counter += 1;
    }

    /// Without a pool a block is the only share there is.
    pub fn block_answered(&mut self, accepted: bool) {
        self.share_answered(accepted);
        self.counters.blocks += u64::from(accepted);
    }

    pub fn pool_lost(&mut self, now: Duration) {
        self.source.pool_lost();
        self.difficulty = 0.0;
        self.lost.get_or_insert(now);
    }

    pub fn path_lost(&mut self) {
        self.source.path_closed();
        self.ticket_bits.clear();
    }

    /// Leading zero bits of the ticket, by chain. 0 is what the driver says before it has set one.
    pub fn tickets(&mut self, bits: &[(u8, u8)]) {
        self.ticket_bits.clear();
        for (chain, bits) in bits.iter().filter(|(_, bits)| *bits != 0) {
            let chain = usize::from(*chain);
            self.ticket_bits.resize(self.ticket_bits.len().max(chain + 1), None);
            self.ticket_bits[chain] = Some(*bits);
        }
    }

    /// About once a second.
    pub fn tick(&mut self, now: Duration, send: &mut impl FnMut(&ToHardware)) {
        if self.lost.is_some_and(|lost| now >= lost + IDLE_AFTER) {
            self.source.idle(send);
        }
        if self.signed.is_none_or(|signed| now >= signed + SIGN_OF_LIFE) {
            self.signed = Some(now);
            self.source.sign_of_life(send);
        }
    }

    /// What came over the work path. A nonce that is worth it goes to `submit`; any other nonce's verdict is returned.
    pub fn frame(
        &mut self,
        frame: FromHardware,
        now: Duration,
        send: &mut impl FnMut(&ToHardware),
        submit: &mut impl FnMut(&Share<'_>),
    ) -> Option<Verdict> {
        match frame {
            FromHardware::Hello { chains, queue } => {
                self.source.path_opened(chains, queue, send);
                self.start_clock(now);
                None
            }
            FromHardware::Credit { chain, generation, sequence } => {
                self.source.credit(chain, generation, sequence, send);
                None
            }
            FromHardware::Nonce(nonce) => Some(self.nonce(&nonce, now, submit)),
        }
    }

    fn start_clock(&mut self, now: Duration) {
        if self.source.has_job() && self.source.chains() > 0 {
            self.rate.start(now);
        }
    }

    fn nonce(&mut self, nonce: &Nonce, now: Duration, submit: &mut impl FnMut(&Share<'_>)) -> Verdict {
        let ticket_bits = self.ticket_bits.get(usize::from(nonce.chain)).copied().flatten();
        let work = self.source.find(nonce);
        let verdict = self.check.judge(nonce, work, ticket_bits);
        match (verdict, work) {
            (Verdict::ForbiddenVersion | Verdict::BelowTicket, _) => self.counters.invalid += 1,
            (Verdict::Duplicate, _) => self.counters.duplicate += 1,
            (Verdict::Share { difficulty }, Some(work)) => {
                // Bits that the pool has forbidden since would make it compute another hash.
                let rolled = nonce.version & work.version_mask;
                let forbidden_since = rolled & !self.source.version_mask() != 0;
                if work.job.epoch != self.source.epoch() || forbidden_since {
                    self.counters.stale += 1;
                } else {
                    self.best_difficulty = self.best_difficulty.max(difficulty);
                    submit(&Share {
                        job_id: &work.job.job.id,
                        extranonce2: work.extranonce2(),
                        ntime: work.header.ntime,
                        nonce: nonce.nonce,
                        version: nonce.version,
                        version_mask: work.version_mask,
                    });
                }
            }
            (Verdict::UnknownWork, _) | (_, None) => self.counters.unknown += 1,
            (Verdict::Verified, _) => {}
        }
        if let (Verdict::Verified | Verdict::Share { .. }, Some(bits)) = (verdict, ticket_bits) {
            self.rate.add(now, bits);
        }
        verdict
    }

    /// Writes numbers into a status; its texts are the caller's.
    pub fn report(&mut self, now: Duration, status: &mut MinerStatus) {
        status.difficulty = self.difficulty;
        status.mhs = self.rate.mhs(now);
        status.generation = self.source.generation();
        status.shares_accepted = self.counters.accepted;
        status.shares_rejected = self.counters.rejected;
        status.shares_stale = self.counters.stale;
        status.nonces_invalid = self.counters.invalid;
        status.best_difficulty = self.best_difficulty;
        status.blocks_accepted = self.counters.blocks;
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;

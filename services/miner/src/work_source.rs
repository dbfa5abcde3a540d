//! From the pool's jobs to the frames of the work path.
//!
//! In: jobs, the version mask, what the driver grants. Out: Work and Idle frames, at once and through a callback, without allocating. Remembers what was sent, so
//! that a nonce can be traced back to its job. Never sends more than the driver granted. Contract: `docs/work-frames.md`.

use std::sync::Arc;

use adit_stratum::v1::{Job, MAX_EXTRANONCE2};
use adit_work::{
    Header, Target,
    frame::{Nonce, ToHardware, Work},
    header, merkle,
    target::TargetError,
};

use crate::sent::SentWorks;

/// Works a chain that one grant can release, whatever its number says: what a broken driver asks for stays bounded.
const MAX_AHEAD: u32 = 64;

/// Seconds that a header's time may run ahead of the job's, when its extranonces are used up. Nodes allow two hours, pools less.
const MAX_NTIME_ROLL: u64 = 600;

/// A job, with what follows from it.
#[derive(Debug)]
pub struct ActiveJob {
    pub job: Job,
    /// Largest hash that is a share.
    pub share_target: Target,
    /// Jobs of one epoch are valid together; see [`WorkSource::epoch`].
    pub epoch: u32,
}

/// A work that went out.
#[derive(Debug, Clone)]
pub struct SentWork {
    pub chain: u8,
    pub generation: u32,
    pub sequence: u32,
    /// Bits of `version_mask` are clear, the nonce is 0.
    pub header: Header,
    pub version_mask: u32,
    /// The first `job.extranonce2_size` bytes count.
    pub extranonce2: [u8; MAX_EXTRANONCE2],
    pub job: Arc<ActiveJob>,
}

impl SentWork {
    pub fn extranonce2(&self) -> &[u8] {
        &self.extranonce2[..self.job.job.extranonce2_size]
    }

    fn frame(&self) -> ToHardware {
        ToHardware::Work(Work {
            chain: self.chain,
            generation: self.generation,
            sequence: self.sequence,
            version: self.header.version,
            version_mask: self.version_mask,
            ntime: self.header.ntime,
            nbits: self.header.nbits,
            prev_hash: self.header.prev_hash,
            merkle_root: self.header.merkle_root,
        })
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Chain {
    /// The last work sent in this generation.
    sequence: u32,
    /// Works up to and including this one may be sent.
    credit: u32,
}

/// What is being mined, and on which chains.
#[derive(Debug, Default)]
pub struct WorkSource {
    generation: u32,
    epoch: u32,
    /// Empty without a work path.
    chains: Vec<Chain>,
    queue: u32,
    job: Option<Arc<ActiveJob>>,
    /// Works made from `job`.
    used: u64,
    /// Counts on through all jobs, so that no two works are alike even when a pool sends the same job twice.
    extranonce2: u64,
    version_mask: u32,
    /// Chains may have work.
    running: bool,
    sent: SentWorks,
}

impl WorkSource {
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Number of the set of jobs whose shares the pool still takes: changes with a clean job, a new previous hash and a lost connection.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    pub fn version_mask(&self) -> u32 {
        self.version_mask
    }

    pub fn has_job(&self) -> bool {
        self.job.is_some()
    }

    pub fn chains(&self) -> usize {
        self.chains.len()
    }

    /// The driver said Hello: a new path, without work, that takes `queue` works a chain unasked.
    pub fn path_opened(&mut self, chains: u8, queue: u32, send: &mut impl FnMut(&ToHardware)) {
        self.chains = vec![Chain::default(); chains.into()];
        self.queue = queue;
        self.sent.reserve_for(chains.into());
        self.running = false;
        self.begin(send);
    }

    pub fn path_closed(&mut self) {
        self.chains.clear();
        self.running = false;
    }

    /// The share target of a job that can be mined. Errors: its nbits or difficulty make no target.
    pub fn check(job: &Job) -> Result<Target, TargetError> {
        Target::from_nbits(job.nbits)?;
        Target::from_difficulty(job.difficulty)
    }

    /// A job came. When the older ones are void, or it builds on another block, it replaces their work at once; otherwise it is used from the next work on.
    ///
    /// Errors: the job's nbits or difficulty make no target; nothing changes.
    pub fn new_job(&mut self, job: Job, send: &mut impl FnMut(&ToHardware)) -> Result<(), TargetError> {
        let share_target = Self::check(&job)?;
        let same_block = self.job.as_ref().is_some_and(|active| active.job.prev_hash == job.prev_hash);
        let replaces = job.clean || !same_block;
        self.epoch += u32::from(replaces);
        self.used = 0;
        self.job = Some(Arc::new(ActiveJob { job, share_target, epoch: self.epoch }));
        if replaces || !self.running {
            self.begin(send);
        } else {
            self.fill(send);
        }
        Ok(())
    }

    /// Other version bits may be rolled from now on; work with the old ones is replaced, its shares stay valid as far as the new mask goes.
    pub fn new_version_mask(&mut self, mask: u32, send: &mut impl FnMut(&ToHardware)) {
        if self.version_mask != mask {
            self.version_mask = mask;
            self.begin(send);
        }
    }

    /// The connection is gone, and all that it brought. Chips go on with what they have until [`WorkSource::idle`].
    pub fn pool_lost(&mut self) {
        self.job = None;
        self.version_mask = 0;
        self.epoch += 1;
    }

    /// Takes the work from all chains, if they have any.
    pub fn idle(&mut self, send: &mut impl FnMut(&ToHardware)) {
        if self.running {
            self.running = false;
            self.generation += 1;
            send(&ToHardware::Idle { generation: self.generation });
        }
    }

    /// Says that the miner is there; an Idle of no newer generation changes nothing.
    pub fn sign_of_life(&self, send: &mut impl FnMut(&ToHardware)) {
        if !self.chains.is_empty() {
            send(&ToHardware::Idle { generation: 0 });
        }
    }

    /// The driver takes works of `generation` up to `sequence` on `chain`. Grants for other generations and chains mean nothing.
    pub fn credit(&mut self, chain: u8, generation: u32, sequence: u32, send: &mut impl FnMut(&ToHardware)) {
        let current = self.running && generation == self.generation;
        let Some(granted) = self.chains.get_mut(usize::from(chain)).filter(|_| current) else { return };
        granted.credit = granted.credit.max(sequence.min(granted.sequence.saturating_add(MAX_AHEAD)));
        self.fill(send);
    }

    /// The work that a nonce names, if it is not too long ago.
    pub fn find(&self, nonce: &Nonce) -> Option<&SentWork> {
        self.sent.find(nonce.chain, nonce.generation, nonce.sequence)
    }

    /// Starts a generation with the present job. The driver learns of it from its first work: one that takes none unasked cannot be given any.
    fn begin(&mut self, send: &mut impl FnMut(&ToHardware)) {
        if self.job.is_none() || self.chains.is_empty() || self.queue == 0 {
            return;
        }
        self.generation += 1;
        self.running = true;
        self.chains.fill(Chain { sequence: 0, credit: self.queue.min(MAX_AHEAD) });
        self.fill(send);
    }

    /// Sends what may be sent: to every chain its next work before any gets a second one.
    fn fill(&mut self, send: &mut impl FnMut(&ToHardware)) {
        loop {
            let mut sent_any = false;
            for chain in 0..self.chains.len() {
                if self.chains[chain].sequence >= self.chains[chain].credit {
                    continue;
                }
                let Some(work) = self.next_work(chain) else { return };
                send(&work.frame());
                self.sent.push(work);
                sent_any = true;
            }
            if !sent_any {
                return;
            }
        }
    }

    /// `None` without a job, and when the job's extranonces and times are used up.
    fn next_work(&mut self, chain: usize) -> Option<SentWork> {
        let active = self.job.clone()?;
        let job = &active.job;
        // How often one-byte to seven-byte extranonces have come round; eight bytes never do.
        let rounds = self.used.checked_shr(8 * job.extranonce2_size as u32).unwrap_or(0);
        if rounds > MAX_NTIME_ROLL {
            return None;
        }
        let mut extranonce2 = [0; MAX_EXTRANONCE2];
        extranonce2[..8].copy_from_slice(&self.extranonce2.to_le_bytes());
        self.extranonce2 = self.extranonce2.wrapping_add(1);
        self.used += 1;
        self.chains[chain].sequence += 1;

        let own = &extranonce2[..job.extranonce2_size];
        let merkle_root = merkle::root(&[&job.coinbase1, &job.extranonce1, own, &job.coinbase2], &job.branch);
        let header = Header {
            version: header::roll_version(job.version, self.version_mask, 0),
            prev_hash: job.prev_hash,
            merkle_root,
            ntime: job.ntime.saturating_add(rounds as u32),
            nbits: job.nbits,
            nonce: 0,
        };
        Some(SentWork {
            chain: chain as u8,
            generation: self.generation,
            sequence: self.chains[chain].sequence,
            header,
            version_mask: self.version_mask,
            extranonce2,
            job: active,
        })
    }
}

#[cfg(test)]
#[path = "work_source_tests.rs"]
mod tests;

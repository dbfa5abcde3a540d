//! A work whose versions the host rolls: a few midstates a job, until all that its mask allows are used up.

use adit_asic::{MOST_MIDSTATES, MidstateJob, nth_version, versions};
use adit_sha256::midstate;
use adit_work::frame::Work;
use tokio::time::{Duration, Instant};

use super::jobs::Few;
use crate::work_path::Epoch;

/// So many jobs may follow each other without a pause; what is later than that is given up.
const MOST_LATE: u32 = 4;

/// The work that is being rolled.
#[derive(Debug)]
pub(super) struct Rolling {
    pub(super) epoch: Epoch,
    pub(super) work: Work,
    /// Number of the next version.
    next: u32,
    /// When the next job may go out.
    pub(super) due: Instant,
}

/// Midstates of one job.
pub(super) struct Midstates {
    pub(super) versions: Few,
    states: [[u32; 8]; MOST_MIDSTATES],
}

impl Rolling {
    pub(super) fn new(epoch: Epoch, work: &Work, due: Instant) -> Self {
        Self { epoch, work: *work, next: 0, due }
    }

    /// All versions have been sent.
    pub(super) fn exhausted(&self) -> bool {
        self.next >= versions(self.work.version_mask)
    }

    /// The next one, two or four versions, computed; `None` when all have been sent. `for_four`: how long chips search four of them.
    pub(super) fn next(&mut self, now: Instant, for_four: Duration) -> Option<Midstates> {
        let left = versions(self.work.version_mask).checked_sub(self.next).filter(|left| *left > 0)?;
        // Masks allow 1, 2 or a multiple of 4 versions.
        let count = left.min(MOST_MIDSTATES as u32);
        let mut midstates = Midstates {
            versions: Few { all: [0; MOST_MIDSTATES], count: count as u8 },
            states: Default::default(),
        };
        let pairs = midstates.versions.all.iter_mut().zip(&mut midstates.states);
        for ((version, state), index) in pairs.zip(self.next..self.next + count) {
            *version = nth_version(self.work.version, self.work.version_mask, index);
            *state = midstate(&self.first_block(*version));
        }
        self.next += count;
        let search = for_four * count / MOST_MIDSTATES as u32;
        // Timers tick every millisecond, which is longer than a long chain's search: jobs that fell due meanwhile follow at once.
        let earliest = now.checked_sub(search * MOST_LATE).unwrap_or(now);
        self.due = (self.due + search).max(earliest);
        Some(midstates)
    }

    /// The header's first 64 bytes.
    fn first_block(&self, version: u32) -> [u8; 64] {
        let mut block = [0; 64];
        block[..4].copy_from_slice(&version.to_le_bytes());
        block[4..36].copy_from_slice(&self.work.prev_hash);
        block[36..].copy_from_slice(&self.work.merkle_root[..28]);
        block
    }

    pub(super) fn job<'a>(&self, id: u8, midstates: &'a Midstates) -> MidstateJob<'a> {
        let [.., a, b, c, d] = self.work.merkle_root;
        MidstateJob {
            id,
            ntime: self.work.ntime,
            nbits: self.work.nbits,
            merkle_tail: [a, b, c, d],
            midstates: &midstates.states[..midstates.versions.as_slice().len()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_asic::command::Generation;

    /// Block 0.
    fn genesis(version_mask: u32) -> Work {
        let root = hex::decode("3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a").unwrap();
        Work {
            chain: 0,
            generation: 1,
            sequence: 1,
            version: 1,
            version_mask,
            ntime: 0x495f_ab29,
            nbits: 0x1d00_ffff,
            prev_hash: [0; 32],
            merkle_root: root.try_into().unwrap(),
        }
    }

    const SEARCH: Duration = Duration::from_millis(4);

    fn rolling(version_mask: u32, now: Instant) -> Rolling {
        Rolling::new(Epoch { path: 1, generation: 1 }, &genesis(version_mask), now)
    }

    #[test]
    fn the_genesis_header_becomes_the_published_job() {
        let now = Instant::now();
        let mut rolling = rolling(0, now);
        let midstates = rolling.next(now, SEARCH).unwrap();
        let golden = "55AA2136000100000000FFFF001D29AB5F494B1E5E4A4719F91B96B187364F0103C8C3C8D8E91E59CAA890CCAC7D6358BFF0BC909A33A3B2";
        let frame = rolling.job(0, &midstates).encode(Generation::New);
        assert_eq!(hex::encode_upper(frame.as_bytes()), golden);
        assert!(rolling.exhausted() && rolling.next(now, SEARCH).is_none(), "one version");
        assert_eq!(rolling.due, now + SEARCH / 4, "a quarter of the work of four");
    }

    #[test]
    fn every_version_of_the_mask_is_sent_once_four_at_a_time() {
        let now = Instant::now();
        for (mask, jobs, last) in
            [(0x2000, 1, 2), (0x6000, 1, 4), (0x0000_e000, 2, 4), (0x1fff_e000, 16_384, 4)]
        {
            let mut rolling = rolling(mask, now);
            let mut versions = Vec::new();
            let mut sent = 0;
            while let Some(midstates) = rolling.next(now, SEARCH) {
                versions.extend_from_slice(midstates.versions.as_slice());
                sent += 1;
                assert!(sent < jobs || midstates.versions.count == last);
            }
            assert_eq!(sent, jobs, "{mask:x}");
            assert!(versions.iter().all(|version| version & !mask == 1));
            versions.sort_unstable();
            versions.dedup();
            assert_eq!(versions.len(), 1 << mask.count_ones());
        }
    }

    #[test]
    fn late_jobs_follow_at_once_but_no_more_than_a_few() {
        let now = Instant::now();
        let mut rolling = rolling(0x1fff_e000, now);
        rolling.next(now, SEARCH);
        assert_eq!(rolling.due, now + SEARCH);
        let late = now + SEARCH * 3;
        rolling.next(late, SEARCH);
        assert_eq!(rolling.due, now + SEARCH * 2, "due again");
        let far_too_late = now + SEARCH * 100;
        let mut sent = 0;
        while rolling.due <= far_too_late {
            rolling.next(far_too_late, SEARCH);
            sent += 1;
        }
        assert_eq!(sent, MOST_LATE + 2);
    }
}

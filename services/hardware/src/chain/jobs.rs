//! Which work a job id stands for. Fixed size: a chip knows sixteen ids, or thirty-two.

use adit_asic::{Chip, MOST_MIDSTATES, NonceReport, rolled_version};
use adit_work::frame::Nonce;

use super::Oddity;
use crate::work_path::Epoch;

const IDS: usize = 32;

/// What is needed of a work that was sent.
#[derive(Debug, Clone, Copy)]
struct Sent {
    id: u8,
    epoch: Epoch,
    sequence: u32,
    versions: Versions,
}

/// The versions that were to be searched.
#[derive(Debug, Clone, Copy)]
pub(super) enum Versions {
    /// The chip rolls the mask's bits.
    Rolled { version: u32, mask: u32 },
    /// One for each midstate.
    Midstates(Few),
}

/// Up to four versions, one for each midstate of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Few {
    pub(super) all: [u32; MOST_MIDSTATES],
    pub(super) count: u8,
}

impl Few {
    pub(super) fn as_slice(&self) -> &[u32] {
        &self.all[..usize::from(self.count)]
    }
}

#[derive(Debug)]
pub(super) struct Jobs {
    chip: &'static Chip,
    sent: [Option<Sent>; IDS],
    next: u8,
}

impl Jobs {
    pub(super) fn new(chip: &'static Chip) -> Self {
        Self { chip, sent: [None; IDS], next: 0 }
    }

    /// Gives these versions of a work a job byte. The id's former work is forgotten: it is sixteen jobs old, or thirty-two.
    pub(super) fn add(&mut self, epoch: Epoch, sequence: u32, versions: Versions) -> u8 {
        let id = self.next;
        self.next = self.chip.next_job(id);
        self.sent[self.chip.job_slot(id)] = Some(Sent { id, epoch, sequence, versions });
        id
    }

    /// No work has had this id yet: a nonce for it was found in a dummy job of the start-up, where there was one.
    pub(super) fn is_unused(&self, job: u8) -> bool {
        self.sent[self.chip.job_slot(job)].is_none()
    }

    /// The nonce frame for a report, and the holder of the work path whose work it was. Errors: why the report cannot be.
    pub(super) fn resolve(
        &self,
        chain: u8,
        chips: u16,
        report: &NonceReport,
        received_us: u64,
    ) -> Result<(u32, Nonce), (Oddity, &'static str)> {
        let sent = self.sent[self.chip.job_slot(report.job)]
            .filter(|sent| sent.id == report.job)
            .ok_or((Oddity::Job, "a nonce for a job that was not sent"))?;
        let version = match sent.versions {
            Versions::Rolled { version, mask } => rolled_version(version, mask, report.version_bits),
            Versions::Midstates(few) => few.as_slice().get(usize::from(report.midstate)).copied(),
        }
        .ok_or((Oddity::Version, "a nonce of a version that was not to be searched"))?;
        let chip = self
            .chip
            .place(report.nonce, chips)
            .ok_or((Oddity::Chip, "a nonce of a chip that is not there"))?;
        let nonce = Nonce {
            chain,
            generation: sent.epoch.generation,
            sequence: sent.sequence,
            nonce: report.nonce,
            version,
            chip,
            core: report.core,
            small_core: report.small_core,
            received_us,
        };
        Ok((sent.epoch.path, nonce))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_asic::{BM1370, BM1387};

    const ROLLED: Versions = Versions::Rolled { version: 0x2000_0000, mask: 0x1fff_e000 };

    const EPOCH: Epoch = Epoch { path: 7, generation: 4 };

    /// The response of the accepted share of `docs/asic.md`, for whichever job is asked.
    fn report(job: u8) -> NonceReport {
        NonceReport { job, ..BM1370.nonce_report([0x4c, 0x03, 0x52, 0x75], 0x0c, 0xd2, 0x05a2) }
    }

    #[test]
    fn a_nonce_names_the_work_that_its_job_byte_was_given_to() {
        let mut jobs = Jobs::new(&BM1370);
        let ids: Vec<u8> = (1..=6).map(|sequence| jobs.add(EPOCH, sequence, ROLLED)).collect();
        assert_eq!(ids, [0, 24, 48, 72, 96, 120]);
        let (path, nonce) = jobs.resolve(3, 1, &report(72), 99).unwrap();
        assert_eq!((path, nonce.chain, nonce.generation, nonce.sequence), (7, 3, 4, 4));
        assert_eq!((nonce.version, nonce.nonce, nonce.received_us), (0x20b4_4000, 0x7552_034c, 99));
        assert_eq!((nonce.chip, nonce.core, nonce.small_core), (0, 38, 2));
    }

    #[test]
    fn a_job_that_was_never_sent_is_impossible() {
        let mut jobs = Jobs::new(&BM1370);
        assert!(matches!(jobs.resolve(0, 1, &report(0), 0), Err((Oddity::Job, _))));
        jobs.add(EPOCH, 1, ROLLED);
        assert!(jobs.resolve(0, 1, &report(0), 0).is_ok());
        assert!(matches!(jobs.resolve(0, 1, &report(24), 0), Err((Oddity::Job, _))));
    }

    #[test]
    fn an_id_stands_for_its_latest_work() {
        let mut jobs = Jobs::new(&BM1370);
        for sequence in 1..=17 {
            jobs.add(EPOCH, sequence, ROLLED);
        }
        assert_eq!(jobs.resolve(0, 1, &report(0), 0).unwrap().1.sequence, 17);
        assert_eq!(jobs.resolve(0, 1, &report(24), 0).unwrap().1.sequence, 2);
    }

    #[test]
    fn version_bits_outside_the_works_mask_are_impossible() {
        let mut jobs = Jobs::new(&BM1370);
        jobs.add(EPOCH, 1, Versions::Rolled { version: 0x2000_0000, mask: 0x0000_e000 });
        assert!(matches!(jobs.resolve(0, 1, &report(0), 0), Err((Oddity::Version, _))));
    }

    /// A nonce of the open FPGA's test bench: byte 6F is id 6C and 3.
    #[test]
    fn the_midstate_that_won_names_its_version() {
        let mut jobs = Jobs::new(&BM1387);
        let few = Few { all: [0x2000_0000, 0x2000_2000, 0x2000_4000, 0x2000_6000], count: 4 };
        let ids: Vec<u8> =
            (1..=28).map(|sequence| jobs.add(EPOCH, sequence, Versions::Midstates(few))).collect();
        assert_eq!((ids[0], ids[1], ids[27]), (0, 4, 0x6c));
        let report = BM1387.nonce_report([0xe1, 0x6b, 0xf8, 0x09], 1, 0x6f, 0);
        let (_, nonce) = jobs.resolve(0, 63, &report, 0).unwrap();
        assert_eq!((nonce.sequence, nonce.version, nonce.chip, nonce.core), (28, 0x2000_6000, 56, 9));
    }

    #[test]
    fn a_midstate_that_the_job_did_not_have_is_impossible() {
        let mut jobs = Jobs::new(&BM1387);
        assert!(jobs.is_unused(0));
        jobs.add(EPOCH, 1, Versions::Midstates(Few { all: [7; 4], count: 1 }));
        assert!(!jobs.is_unused(3) && jobs.is_unused(4));
        let report = |job| BM1387.nonce_report([0; 4], 0, job, 0);
        assert_eq!(jobs.resolve(0, 63, &report(0), 0).unwrap().1.version, 7);
        assert!(matches!(jobs.resolve(0, 63, &report(1), 0), Err((Oddity::Version, _))));
        assert!(matches!(jobs.resolve(0, 63, &report(4), 0), Err((Oddity::Job, _))));
    }
}

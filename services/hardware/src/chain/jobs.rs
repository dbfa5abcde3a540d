//! Which work a job id stands for. Fixed size: a chip knows sixteen ids.

use adit_asic::{Chip, NonceReport, rolled_version};
use adit_work::frame::{Nonce, Work};

use super::Oddity;
use crate::work_path::Epoch;

const IDS: usize = 16;

/// What is needed of a work that was sent.
#[derive(Debug, Clone, Copy)]
struct Sent {
    id: u8,
    epoch: Epoch,
    sequence: u32,
    version: u32,
    version_mask: u32,
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

    /// Gives a work its job byte. The id's former work is forgotten: it is sixteen works old.
    pub(super) fn add(&mut self, epoch: Epoch, work: &Work) -> u8 {
        let id = self.next;
        self.next = self.chip.next_job(id);
        self.sent[self.chip.job_slot(id)] = Some(Sent {
            id,
            epoch,
            sequence: work.sequence,
            version: work.version,
            version_mask: work.version_mask,
        });
        id
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
        let version = rolled_version(sent.version, sent.version_mask, report.version_bits)
            .ok_or((Oddity::Version, "a nonce with version bits that were not to be rolled"))?;
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
    use adit_asic::BM1370;

    fn work(sequence: u32) -> Work {
        Work {
            chain: 0,
            generation: 4,
            sequence,
            version: 0x2000_0000,
            version_mask: 0x1fff_e000,
            ntime: 0,
            nbits: 0,
            prev_hash: [0; 32],
            merkle_root: [0; 32],
        }
    }

    const EPOCH: Epoch = Epoch { path: 7, generation: 4 };

    /// The response of the accepted share of `docs/asic.md`, for whichever job is asked.
    fn report(job: u8) -> NonceReport {
        NonceReport { job, ..BM1370.nonce_report([0x4c, 0x03, 0x52, 0x75], 0x0c, 0xd2, 0x05a2) }
    }

    #[test]
    fn a_nonce_names_the_work_that_its_job_byte_was_given_to() {
        let mut jobs = Jobs::new(&BM1370);
        let ids: Vec<u8> = (1..=6).map(|sequence| jobs.add(EPOCH, &work(sequence))).collect();
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
        jobs.add(EPOCH, &work(1));
        assert!(jobs.resolve(0, 1, &report(0), 0).is_ok());
        assert!(matches!(jobs.resolve(0, 1, &report(24), 0), Err((Oddity::Job, _))));
    }

    #[test]
    fn an_id_stands_for_its_latest_work() {
        let mut jobs = Jobs::new(&BM1370);
        for sequence in 1..=17 {
            jobs.add(EPOCH, &work(sequence));
        }
        assert_eq!(jobs.resolve(0, 1, &report(0), 0).unwrap().1.sequence, 17);
        assert_eq!(jobs.resolve(0, 1, &report(24), 0).unwrap().1.sequence, 2);
    }

    #[test]
    fn version_bits_outside_the_works_mask_are_impossible() {
        let mut jobs = Jobs::new(&BM1370);
        jobs.add(EPOCH, &Work { version_mask: 0x0000_e000, ..work(1) });
        assert!(matches!(jobs.resolve(0, 1, &report(0), 0), Err((Oddity::Version, _))));
    }
}

//! The boot state's two copies on their partition. adit-init is their only writer while the unit runs; what a state means and
//! which changes are allowed is `adit_slots`' business, and `docs/boot-state.md` is the contract.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use adit_slots::boot_state::{BlockError, COPY_BYTES, SECOND_COPY_OFFSET};
use adit_slots::{AfterBoot, BootState, Half, Loaded, Refused, Slot};

use crate::partitions;
use crate::paths::Paths;

#[derive(Debug, thiserror::Error)]
pub enum BootStateError {
    #[error("no partition is called bootstate")]
    NoPartition,
    #[error("{}: {source}", path.display())]
    Device { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// The partition, and the slot that runs.
pub struct Storage {
    device: PathBuf,
    running: Slot,
}

impl Storage {
    pub fn find(paths: &Paths, running: Slot) -> Result<Self, BootStateError> {
        let list = paths.block_devices();
        let device = partitions::find(&list, &paths.devices(), "bootstate")
            .map_err(|source| BootStateError::Device { path: list, source })?
            .ok_or(BootStateError::NoPartition)?;
        Ok(Storage { device, running })
    }

    /// Records what this boot shows about the slots: a trial slot that is not the running one has failed.
    pub fn settle_after_boot(&self) -> Result<(AfterBoot, [Option<BlockError>; 2]), BootStateError> {
        let loaded = self.load()?;
        let (next, outcome) = loaded.state.settle_after_boot(self.running)?;
        self.store(&loaded, &next)?;
        Ok((outcome, loaded.problems))
    }

    /// The essential services are ready: a confirmed slot gets its tries back. True when something had to be written.
    pub fn restore_tries(&self) -> Result<bool, BootStateError> {
        let loaded = self.load()?;
        let next = loaded.state.restore_tries(self.running)?;
        self.store(&loaded, &next)
    }

    fn load(&self) -> Result<Loaded, BootStateError> {
        let read = |device: &Path| {
            let file = File::open(device)?;
            let mut copies = [[0; COPY_BYTES]; 2];
            file.read_exact_at(&mut copies[0], 0)?;
            file.read_exact_at(&mut copies[1], SECOND_COPY_OFFSET)?;
            Ok(Loaded::from_copies(&copies[0], &copies[1]))
        };
        read(&self.device).map_err(|source| self.wrong(source))
    }

    /// Overwrites the copy that was not believed, and returns when it is on the medium.
    fn store(&self, loaded: &Loaded, next: &BootState) -> Result<bool, BootStateError> {
        if next.sequence == loaded.state.sequence {
            return Ok(false);
        }
        let offset = match loaded.next_write() {
            Half::First => 0,
            Half::Second => SECOND_COPY_OFFSET,
        };
        let write = |device: &Path| {
            let file = OpenOptions::new().write(true).open(device)?;
            file.write_all_at(&next.encode(), offset)?;
            file.sync_all()
        };
        write(&self.device).map_err(|source| self.wrong(source))?;
        Ok(true)
    }

    fn wrong(&self, source: io::Error) -> BootStateError {
        BootStateError::Device { path: self.device.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_slots::Tries;

    fn device(copies: [&BootState; 2]) -> (tempfile::TempDir, Storage) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bootstate");
        let file = File::create(&path).unwrap();
        file.set_len(1024 * 1024).unwrap();
        file.write_all_at(&copies[0].encode(), 0).unwrap();
        file.write_all_at(&copies[1].encode(), SECOND_COPY_OFFSET).unwrap();
        (folder, Storage { device: path, running: Slot::A })
    }

    fn state(sequence: u32, a: u8, trial: Option<Slot>) -> BootState {
        BootState { sequence, preferred: Slot::A, left: Tries { a, b: 3 }, trial }
    }

    #[test]
    fn tries_come_back_in_the_older_copy_and_the_newer_one_stays() {
        let (older, newer) = (state(7, 3, None), state(8, 2, None));
        let (_folder, storage) = device([&newer, &older]);
        assert!(storage.restore_tries().unwrap());
        let bytes = std::fs::read(&storage.device).unwrap();
        assert_eq!(bytes[..COPY_BYTES], newer.encode());
        let second = BootState::decode(&bytes[SECOND_COPY_OFFSET as usize..][..COPY_BYTES]).unwrap();
        assert_eq!((second.sequence, second.left.a), (9, 3));
        assert!(!storage.restore_tries().unwrap(), "full tries need no write");
    }

    #[test]
    fn a_trial_slot_does_not_get_its_tries_back_by_being_ready() {
        let (_folder, storage) = device([&state(7, 3, None), &state(8, 2, Some(Slot::A))]);
        let before = std::fs::read(&storage.device).unwrap();
        let refused = storage.restore_tries().unwrap_err();
        assert!(matches!(refused, BootStateError::Refused(Refused::OnTrial(Slot::A))), "{refused}");
        assert_eq!(std::fs::read(&storage.device).unwrap(), before);
    }

    #[test]
    fn a_trial_slot_that_fell_back_is_recorded() {
        let (_folder, storage) = device([&state(7, 3, None), &state(8, 2, Some(Slot::B))]);
        let (outcome, problems) = storage.settle_after_boot().unwrap();
        assert_eq!((outcome, problems), (AfterBoot::TrialFellBack(Slot::B), [None, None]));
        let settled = storage.load().unwrap().state;
        assert_eq!((settled.sequence, settled.left.b, settled.trial), (9, 0, None));
    }

    #[test]
    fn a_device_that_is_too_short_is_named() {
        let (_folder, storage) = device([&state(1, 3, None), &state(2, 3, None)]);
        File::create(&storage.device).unwrap().set_len(4096).unwrap();
        assert!(storage.restore_tries().unwrap_err().to_string().contains("bootstate"));
    }
}

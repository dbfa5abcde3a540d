//! The door `miner.status`.

use std::sync::{Arc, Mutex, PoisonError};

use adit_bus::miner::MinerStatus;

/// The newest status, shared between the miner and its door.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<MinerStatus>>);

impl Shared {
    pub(crate) fn change(&self, change: impl FnOnce(&mut MinerStatus)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn get(&self) -> MinerStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// `org.adit.Miner1.Status`.
pub(crate) struct StatusDoor(pub(crate) Shared);

#[zbus::interface(name = "org.adit.Miner1.Status")]
impl StatusDoor {
    fn read(&self) -> MinerStatus {
        self.0.get()
    }
}

//! The door `miner.status`.

use std::sync::{Arc, Mutex, PoisonError};

use adit_bus::miner::MinerStatus;

/// The newest status, shared between the miner and its door.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<Mutex<MinerStatus>>);

impl Shared {
    pub fn change(&self, change: impl FnOnce(&mut MinerStatus)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn get(&self) -> MinerStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// `org.adit.Miner1.Status`.
pub struct StatusDoor(pub Shared);

#[zbus::interface(name = "org.adit.Miner1.Status")]
impl StatusDoor {
    fn read(&self) -> MinerStatus {
        self.0.get()
    }
}

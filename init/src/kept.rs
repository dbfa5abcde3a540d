//! The descriptors that PID 1 holds for services, within reach of its emergency.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::descriptors::Store;
use crate::supervisor::ServiceId;

/// A handle.
#[derive(Debug, Clone, Default)]
pub struct Kept(Arc<Mutex<Store<Arc<OwnedFd>>>>);

impl Kept {
    pub fn store(&self) -> MutexGuard<'_, Store<Arc<OwnedFd>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a service's programs are to find, with its names.
    pub fn of(&self, service: ServiceId) -> Vec<(String, Arc<OwnedFd>)> {
        owned(&self.store(), service)
    }

    /// The same after a panic, which may have come out of the store itself: then there is nothing to be had.
    pub fn of_now(&self, service: ServiceId) -> Vec<(String, Arc<OwnedFd>)> {
        match self.0.try_lock() {
            Ok(store) => owned(&store, service),
            Err(TryLockError::Poisoned(store)) => owned(&store.into_inner(), service),
            Err(TryLockError::WouldBlock) => Vec::new(),
        }
    }
}

fn owned(store: &Store<Arc<OwnedFd>>, service: ServiceId) -> Vec<(String, Arc<OwnedFd>)> {
    store.of(service).map(|(name, descriptor)| (name.to_owned(), Arc::clone(descriptor))).collect()
}

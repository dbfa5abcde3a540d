//! The descriptors that PID 1 holds for services, within reach of its emergency.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::descriptors::Store;
use crate::notify::Passed;
use crate::supervisor::ServiceId;

/// A handle.
#[derive(Debug, Clone, Default)]
pub struct Kept(Arc<Mutex<Store<Arc<Passed>>>>);

impl Kept {
    pub fn store(&self) -> MutexGuard<'_, Store<Arc<Passed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a service's programs are to find, with its names.
    pub fn of(&self, service: ServiceId) -> Vec<(String, Arc<Passed>)> {
        owned(&self.store(), service)
    }

    /// After a panic, which may have come out of the store itself: then there is nothing to be had.
    pub fn store_now(&self) -> Option<MutexGuard<'_, Store<Arc<Passed>>>> {
        match self.0.try_lock() {
            Ok(store) => Some(store),
            Err(TryLockError::Poisoned(store)) => Some(store.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// [`Kept::of`], after a panic.
    pub fn of_now(&self, service: ServiceId) -> Vec<(String, Arc<Passed>)> {
        self.store_now().map(|store| owned(&store, service)).unwrap_or_default()
    }
}

fn owned(store: &Store<Arc<Passed>>, service: ServiceId) -> Vec<(String, Arc<Passed>)> {
    store.of(service).map(|(name, descriptor)| (name.to_owned(), Arc::clone(descriptor))).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::OwnedFd;

    use super::*;
    use crate::descriptors::{FdName, FdOrder};

    #[test]
    fn a_panic_out_of_the_store_itself_does_not_wait_for_it() {
        let kept = Kept::default();
        let file = Arc::new(OwnedFd::from(File::open("/dev/null").expect("it is there")).into());
        let order = FdOrder::Keep(FdName::default());
        kept.store().obey(ServiceId(3), 1, order, vec![file]).expect("one is allowed");
        assert_eq!(kept.of_now(ServiceId(3)).len(), 1);
        let held = kept.store();
        assert!(kept.of_now(ServiceId(3)).is_empty());
        drop(held);
        assert_eq!(kept.of_now(ServiceId(3))[0].0, "stored");
    }
}

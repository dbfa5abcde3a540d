//! The world, its lock, and the bell that rings when there is something new to search.

use crate::world::World;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) struct Shared {
    world: Mutex<World>,
    work_changed: Condvar,
    stop: AtomicBool,
}

impl Shared {
    pub(crate) fn new(world: World) -> Self {
        Self { world: Mutex::new(world), work_changed: Condvar::new(), stop: AtomicBool::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        // A panic elsewhere must not silence the machine; the world is never left half changed on purpose.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the world, and wakes the search if it has something else to do now.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.lock();
        let before = world.work_versions();
        let result = change(&mut world);
        if world.work_versions() != before {
            self.work_changed.notify_all();
        }
        result
    }

    /// Waits until the work of this board is another than `version`, or the time is over.
    pub(crate) fn wait_for_work(&self, board: usize, version: u64, at_most: Duration) {
        let unchanged = |world: &mut World| world.work(board).0 == version && !self.stopped();
        drop(
            self.work_changed
                .wait_timeout_while(self.lock(), at_most, unchanged)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.work_changed.notify_all();
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

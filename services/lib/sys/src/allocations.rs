//! An allocator that notes when one thread allocates: for programs that hold another to its promise not to.
//!
//! ```
//! use adit_sys::allocations::{self, Noting};
//! #[global_allocator]
//! static ALLOCATOR: Noting = Noting;
//! allocations::note_this_thread();
//! drop(Box::new(7));
//! assert_eq!(allocations::take().count, 1);
//! ```

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use crate::clock::monotonic_us;

/// So many times are kept; later allocations are only counted.
const KEPT: usize = 16_384;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static TIMES_US: [AtomicU64; KEPT] = [const { AtomicU64::new(0) }; KEPT];

thread_local! {
    static NOTED: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator, which notes what threads that asked for it allocate or grow.
#[derive(Debug)]
pub struct Noting;

/// What was allocated since the last time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub count: usize,
    /// When, CLOCK_MONOTONIC, in order: of all, or of the first 16384.
    pub times_us: Vec<u64>,
}

/// From now on this thread's allocations are noted.
pub fn note_this_thread() {
    NOTED.set(true);
}

/// What was noted since the last call.
pub fn take() -> Taken {
    let count = COUNT.swap(0, Ordering::SeqCst);
    let times_us = TIMES_US[..count.min(KEPT)].iter().map(|time| time.load(Ordering::SeqCst)).collect();
    Taken { count, times_us }
}

fn note() {
    // A thread that ends has no locals any more.
    if NOTED.try_with(Cell::get).unwrap_or(false) {
        let place = COUNT.fetch_add(1, Ordering::SeqCst);
        if let Some(time) = TIMES_US.get(place) {
            time.store(monotonic_us(), Ordering::SeqCst);
        }
    }
}

// SAFETY: every call goes to the system's allocator with the caller's own arguments, and `note` neither allocates nor unwinds.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps `alloc_zeroed`'s contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: the caller keeps `realloc`'s contract.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

//! What adit-init hears from this process (`sd_notify`). Without `NOTIFY_SOCKET` nothing is said.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use adit_sys::clock::monotonic_us;
use sd_notify::NotifyState;

/// Longer than any wait between two words with a controller (tries and pauses together are below 1.2 s).
const HANGS_AFTER_US: u64 = 5_000_000;

static PROGRESS_US: AtomicU64 = AtomicU64::new(0);
static FIRST_WORK: AtomicBool = AtomicBool::new(false);

/// Doors are served, the controller has answered, the safe state has been verified.
pub(crate) fn ready() {
    say(&[NotifyState::Ready]);
}

pub(crate) fn stopping() {
    say(&[NotifyState::Stopping]);
}

/// One line for people.
pub(crate) fn status(text: &str) {
    say(&[NotifyState::Status(text)]);
}

/// The machine's loop is alive: it has just spoken to its controller, or found that it cannot.
pub(crate) fn progress() {
    PROGRESS_US.store(monotonic_us(), Ordering::Relaxed);
}

/// Tells adit-init that all is well, at the pace that it asked for, for as long as the machine's loop is alive. A loop that hangs makes this fall silent.
pub(crate) async fn watchdog() {
    let Some(patience) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    loop {
        if monotonic_us().saturating_sub(PROGRESS_US.load(Ordering::Relaxed)) < HANGS_AFTER_US {
            say(&[NotifyState::Watchdog]);
        }
        tokio::time::sleep(patience / 2).await;
    }
}

/// The first job frame is on a wire: said once a process.
pub(crate) fn first_work() {
    if !FIRST_WORK.swap(true, Ordering::Relaxed) {
        say(&[NotifyState::Custom("X_ADIT_MILESTONE=first-work")]);
    }
}

fn say(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "adit-init was not reached");
    }
}

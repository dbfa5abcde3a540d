//! What adit-init hears from this process (`sd_notify`). Without `NOTIFY_SOCKET` nothing is said.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use sd_notify::NotifyState;

static FIRST_WORK: AtomicBool = AtomicBool::new(false);

/// Doors are served, the controller has answered, the safe state has been verified.
pub fn ready() {
    say(&[NotifyState::Ready]);
}

pub fn stopping() {
    say(&[NotifyState::Stopping]);
}

/// One line for people.
pub fn status(text: &str) {
    say(&[NotifyState::Status(text)]);
}

pub fn watchdog() {
    say(&[NotifyState::Watchdog]);
}

/// The first job frame is on a wire: said once a process.
pub fn first_work() {
    if !FIRST_WORK.swap(true, Ordering::Relaxed) {
        say(&[NotifyState::Custom("X_ADIT_MILESTONE=first-work")]);
    }
}

/// How often adit-init wants to hear [`watchdog`], if at all: half its patience.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|patience| patience / 2)
}

fn say(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "adit-init was not reached");
    }
}

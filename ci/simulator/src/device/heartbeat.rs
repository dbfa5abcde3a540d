//! What the rail controllers of Antminers have in common: a rail that is let on only while heartbeats come.

use crate::events::Event;

/// Without a heartbeat for so long the rail is cut.
const PATIENCE_SECONDS: f64 = 10.0;

#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    on: bool,
    silent: f64,
}

impl Heartbeat {
    pub(super) fn on(&self) -> bool {
        self.on
    }

    /// Lets the rail on, with as much patience as after a heartbeat, or cuts it.
    pub(super) fn switch(&mut self, on: bool) {
        *self = Self { on, silent: 0.0 };
    }

    pub(super) fn beat(&mut self) {
        self.silent = 0.0;
    }

    /// Time passes. Cuts the rail when there was silence for too long, and tells of it.
    pub(super) fn advance(&mut self, seconds: f64) -> Option<Event> {
        if !self.on {
            return None;
        }
        self.silent += seconds;
        self.on = self.silent < PATIENCE_SECONDS;
        (!self.on).then(|| Event::RailCut { why: "heartbeat".into() })
    }
}

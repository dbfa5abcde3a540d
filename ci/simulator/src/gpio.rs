//! Lines between control board and machine: reset, plug detection, enable of the PSU. A line is driven by the host, by the
//! machine, or by nobody; then its resistor decides.

use serde::{Deserialize, Serialize};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// Edges that may wait for a watcher; a watcher that is slower than that loses the newest.
const MOST_EDGES: usize = 1024;
/// A watcher that went away is noticed at the next edge, so this bounds what is kept in between.
const MOST_WATCHERS: usize = 16;

/// Who drives a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// The control board may: an output for it.
    Host,
    /// The machine does: an input for the control board.
    Machine,
}

/// A line as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub name: String,
    pub driver: Driver,
    /// The host drives it now.
    pub driven: bool,
    /// High.
    pub level: bool,
}

/// A level that changed, whoever changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    pub line: usize,
    pub level: bool,
}

/// Why a line cannot be driven.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error("no line {0}")]
    NoSuchLine(usize),
    #[error("line `{0}` is driven by the machine")]
    NotForHosts(String),
}

struct Wire {
    name: String,
    driver: Driver,
    /// Its level while nobody drives it.
    pull: bool,
    driven: Option<bool>,
}

impl Wire {
    fn level(&self) -> bool {
        self.driven.unwrap_or(self.pull)
    }
}

/// The lines of one machine, numbered from 0.
#[derive(Default)]
pub(crate) struct Lines {
    wires: Vec<Wire>,
    watchers: Vec<SyncSender<Edge>>,
}

impl Lines {
    /// A new line, by its number.
    pub(crate) fn add(&mut self, name: impl Into<String>, driver: Driver, pull: bool) -> usize {
        self.wires.push(Wire { name: name.into(), driver, pull, driven: None });
        self.wires.len() - 1
    }

    pub(crate) fn all(&self) -> Vec<Line> {
        let line = |wire: &Wire| Line {
            name: wire.name.clone(),
            driver: wire.driver,
            driven: wire.driver == Driver::Host && wire.driven.is_some(),
            level: wire.level(),
        };
        self.wires.iter().map(line).collect()
    }

    pub(crate) fn level(&self, line: usize) -> Option<bool> {
        self.wires.get(line).map(Wire::level)
    }

    /// The host drives a line, or (`None`) lets it go.
    pub(crate) fn host_drives(&mut self, line: usize, level: Option<bool>) -> Result<(), LineError> {
        match self.wires.get(line) {
            None => Err(LineError::NoSuchLine(line)),
            Some(wire) if wire.driver == Driver::Machine => Err(LineError::NotForHosts(wire.name.clone())),
            Some(_) => {
                self.drive(line, level);
                Ok(())
            }
        }
    }

    /// Sets a line that is there, whoever may.
    pub(crate) fn drive(&mut self, line: usize, level: Option<bool>) {
        let wire = &mut self.wires[line];
        let before = wire.level();
        wire.driven = level;
        let level = wire.level();
        if level != before {
            let edge = Edge { line, level };
            self.watchers
                .retain(|watcher| !matches!(watcher.try_send(edge), Err(TrySendError::Disconnected(_))));
        }
    }

    /// Disconnects all watchers.
    pub(crate) fn end(&mut self) {
        self.watchers.clear();
    }

    /// Every edge from now on.
    pub(crate) fn watch(&mut self) -> Receiver<Edge> {
        let (sender, receiver) = sync_channel(MOST_EDGES);
        if self.watchers.len() == MOST_WATCHERS {
            self.watchers.remove(0);
        }
        self.watchers.push(sender);
        receiver
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_nobody_drives_follows_its_resistor() {
        let mut lines = Lines::default();
        let (up, down) = (lines.add("up", Driver::Host, true), lines.add("down", Driver::Host, false));
        assert_eq!((lines.level(up), lines.level(down), lines.level(2)), (Some(true), Some(false), None));
        lines.host_drives(up, Some(false)).expect("may");
        assert_eq!(lines.level(up), Some(false));
        lines.host_drives(up, None).expect("may");
        assert_eq!(lines.level(up), Some(true));
    }

    #[test]
    fn a_host_cannot_drive_what_the_machine_drives() {
        let mut lines = Lines::default();
        let plug = lines.add("plug-0", Driver::Machine, true);
        assert_eq!(lines.host_drives(plug, Some(false)), Err(LineError::NotForHosts("plug-0".into())));
        assert_eq!(lines.host_drives(9, None), Err(LineError::NoSuchLine(9)));
        assert_eq!(lines.level(plug), Some(true));
    }

    #[test]
    fn watchers_see_edges_and_only_edges() {
        let mut lines = Lines::default();
        let line = lines.add("reset", Driver::Host, false);
        let watcher = lines.watch();
        for level in [Some(false), Some(true), Some(true), None] {
            lines.drive(line, level);
        }
        let edges: Vec<_> = watcher.try_iter().collect();
        assert_eq!(edges, [Edge { line, level: true }, Edge { line, level: false }]);
    }
}

//! A GPIO chip for the guest: virtio-gpio, Linux driver `gpio-virtio`, with interrupts.

mod device;

use std::{
    path::Path,
    sync::{Arc, mpsc},
};

use crate::{
    Error,
    virtio::{self, Waker},
};

/// The guest may not drive this line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not for the guest to drive")]
pub struct Refused;

/// The lines of a chip, numbered from 0. Called from a thread of the chip's own.
pub trait GpioLines: Send + Sync + 'static {
    /// The name of each line; as many lines as names. Asked for once.
    fn names(&self) -> Vec<String>;

    /// Whether the line is high now.
    fn level(&self, line: usize) -> bool;

    /// The guest drives the line high or low, or (`None`: it is an input now, or the guest was reset) lets it go.
    fn drive(&self, line: usize, level: Option<bool>) -> Result<(), Refused>;
}

/// Most lines of a chip.
const MOST_LINES: usize = 512;
/// Edges that may wait for the guest; what comes while as many wait is lost.
const MOST_EDGES: usize = 1024;

/// A line whose level changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Edge {
    line: usize,
    level: bool,
}

/// A chip offered to QEMU's `vhost-user-gpio-pci`. Dropped, its socket is gone, and the guest's requests are no longer answered.
pub struct GpioPort {
    port: virtio::Port,
    edges: mpsc::SyncSender<Edge>,
    waker: Waker,
}

impl GpioPort {
    /// Errors: the socket cannot be made, no thread to serve it, more than 512 lines or 64 KiB of names.
    pub fn listen(path: &Path, lines: Arc<dyn GpioLines>) -> Result<Self, Error> {
        let names = lines.names();
        let bytes = names.iter().map(|name| name.len() + 1).sum();
        if names.len() > MOST_LINES || bytes > usize::from(u16::MAX) {
            return Err(Error::TooManyLines { lines: names.len(), bytes, most: MOST_LINES });
        }
        let (edges, changes) = mpsc::sync_channel(MOST_EDGES);
        let changes = Arc::new(std::sync::Mutex::new(changes));
        let new = move || device::Gpio::new(lines.clone(), &names, changes.clone());
        let (port, waker) = virtio::Port::listen(path, new)?;
        Ok(Self { port, edges, waker })
    }

    /// A line has another level now: an interrupt for the guest when it asked for this edge. An edge without this call is seen when the guest asks
    /// for the level.
    pub fn edge(&self, line: usize, level: bool) {
        // Full: the guest is not listening, or drowned.
        let _ = self.edges.try_send(Edge { line, level });
        self.waker.wake();
    }

    /// The socket that QEMU connects to.
    pub fn path(&self) -> &Path {
        self.port.path()
    }
}

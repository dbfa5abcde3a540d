//! A GPIO chip for the guest: virtio-gpio, Linux driver `gpio-virtio`, with interrupts.

mod device;

use std::{
    path::Path,
    sync::{Arc, Mutex, Weak, mpsc},
    thread,
    time::Duration,
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

    /// Every edge from now on, for interrupts. Asked for once. Lines that have none leave it to [`GpioPort::edge`].
    fn edges(&self) -> Option<mpsc::Receiver<Edge>> {
        None
    }
}

/// Most lines of a chip.
const MOST_LINES: usize = 512;
/// Edges that may wait for the guest; what comes while as many wait is lost.
const MOST_EDGES: usize = 1024;
/// How long a thread waits before it looks whether it shall end.
const PATIENCE: Duration = Duration::from_millis(500);

/// A line whose level changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    pub line: usize,
    pub level: bool,
}

/// A chip offered to QEMU's `vhost-user-gpio-pci`. Dropped, its socket is gone, and the guest's requests are no longer answered.
pub struct GpioPort {
    port: virtio::Port,
    interrupts: Arc<Interrupts>,
}

struct Interrupts {
    edges: mpsc::SyncSender<Edge>,
    waker: Waker,
}

impl Interrupts {
    fn edge(&self, edge: Edge) {
        // Full: the guest is not listening, or drowned.
        let _ = self.edges.try_send(edge);
        self.waker.wake();
    }
}

impl GpioPort {
    /// Errors: the socket cannot be made, no thread to serve it, more than 512 lines or 64 KiB of names.
    pub fn listen(path: &Path, lines: Arc<dyn GpioLines>) -> Result<Self, Error> {
        let names = lines.names();
        let bytes = names.iter().map(|name| name.len() + 1).sum();
        if names.len() > MOST_LINES || bytes > usize::from(u16::MAX) {
            return Err(Error::TooManyLines { lines: names.len(), bytes, most: MOST_LINES });
        }
        let source = lines.edges();
        let (edges, changes) = mpsc::sync_channel(MOST_EDGES);
        let changes = Arc::new(Mutex::new(changes));
        let new = move || device::Gpio::new(lines.clone(), &names, changes.clone());
        let (port, waker) = virtio::Port::listen(path, new)?;
        let interrupts = Arc::new(Interrupts { edges, waker });
        if let Some(source) = source {
            let target = Arc::downgrade(&interrupts);
            thread::Builder::new()
                .name("guest-gpio-edges".into())
                .spawn(move || forward(&source, &target))
                .map_err(|source| Error::Thread { path: path.into(), source })?;
        }
        Ok(Self { port, interrupts })
    }

    /// A line has another level now: an interrupt for the guest when it asked for this edge. An edge that nobody tells of is seen when the guest asks
    /// for the level.
    pub fn edge(&self, line: usize, level: bool) {
        self.interrupts.edge(Edge { line, level });
    }

    /// The socket that QEMU connects to.
    pub fn path(&self) -> &Path {
        self.port.path()
    }
}

/// Until one of the two ends is gone.
fn forward(source: &mpsc::Receiver<Edge>, target: &Weak<Interrupts>) {
    loop {
        let edge = source.recv_timeout(PATIENCE);
        let Some(target) = target.upgrade() else { return };
        match edge {
            Ok(edge) => target.edge(edge),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}

//! A serial port that is ours alone: locked, non-blocking, every wait bounded.

use std::{
    cell::Cell,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use adit_sys::tty;
use rustix::{
    fs::{FlockOperation, flock},
    termios::{QueueSelector, tcflush},
};
use tokio::{
    io::unix::AsyncFd,
    time::{Instant, sleep_until, timeout},
};

use crate::poll;

/// The port took no byte for this long: the other end does not drain it.
const WRITE: Duration = Duration::from_secs(1);

/// Start bit, eight data bits, stop bit.
const BITS_PER_BYTE: u32 = 10;

/// How far a port's real rate may be from the one asked for: a UART samples ten bits a byte, half a bit is 5 %, both ends share it.
const RATE_TOLERANCE_PERCENT: u32 = 2;

#[derive(Debug, thiserror::Error)]
pub(crate) enum PortError {
    #[error("{}: {error}", path.display())]
    Open { path: PathBuf, error: io::Error },
    #[error("{}: held by another process", path.display())]
    Held { path: PathBuf },
    #[error("{}: does {real} baud when asked for {wanted}", path.display())]
    Rate { path: PathBuf, wanted: u32, real: u32 },
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{}: the line takes no bytes", path.display())]
    Stuck { path: PathBuf },
}

/// An open port. Dropping it releases the lock, and drops what has not left yet: wait with [`Port::drained`] for bytes that matter.
#[derive(Debug)]
pub(crate) struct Port {
    fd: AsyncFd<OwnedFd>,
    path: PathBuf,
    baud: Cell<u32>,
    /// When everything that was written has left at this rate. Reckoned, for a kernel's answer (TCSBRK) blocks, and a pseudo-terminal has none.
    empty_at: Cell<Instant>,
}

impl Drop for Port {
    /// The kernel would hold up the close, and with it this whole program, for as long as 30 s when a line that is stuck has bytes to send; power must be cut before that.
    fn drop(&mut self) {
        // A port that has gone away has nothing to drop.
        let _ = tcflush(self.fd.get_ref(), QueueSelector::OFlush);
    }
}

impl Port {
    /// Opens and locks a port. The lock ends with the process that holds it, however it ends.
    pub(crate) fn open(path: &Path, baud: u32) -> Result<Self, PortError> {
        let fd = open_tty(path, baud)?;
        // Before there is a `Port`: dropping one would drop the holder's bytes.
        flock(&fd, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| PortError::Held { path: path.to_owned() })?;
        Self::on(fd, path, baud)
    }

    /// Opens a port that another process may hold: for the safe state only, when that process hangs.
    pub(crate) fn open_beside(path: &Path, baud: u32) -> Result<Self, PortError> {
        Self::on(open_tty(path, baud)?, path, baud)
    }

    fn on(fd: OwnedFd, path: &Path, baud: u32) -> Result<Self, PortError> {
        let port = Self {
            fd: poll::register(fd).map_err(|error| PortError::Open { path: path.to_owned(), error })?,
            path: path.to_owned(),
            baud: Cell::new(baud),
            empty_at: Cell::new(Instant::now()),
        };
        port.check_rate(baud)?;
        Ok(port)
    }

    /// Waits until the last byte has left. A long chain's start-up is written in no time and takes most of a second on the wire.
    pub(crate) async fn drained(&self) {
        sleep_until(self.empty_at.get()).await;
    }

    /// Changes the line rate. The caller has waited until the last byte left.
    pub(crate) fn set_baud(&self, baud: u32) -> Result<(), PortError> {
        self.baud.set(baud);
        tty::set_baud(self.fd.get_ref(), baud).map_err(|error| self.failed(error))?;
        self.check_rate(baud)
    }

    /// Drops what arrived and was not read.
    pub(crate) fn discard_input(&self) -> Result<(), PortError> {
        tty::discard_input(self.fd.get_ref()).map_err(|error| self.failed(error))
    }

    /// Waits for bytes and takes them. May be dropped while it waits: nothing is lost.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> Result<usize, PortError> {
        loop {
            let mut ready = self.fd.readable().await.map_err(|error| self.failed(error))?;
            match ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut *buffer)?)) {
                Ok(Ok(0)) => return Err(self.failed(io::ErrorKind::UnexpectedEof.into())),
                Ok(Ok(count)) => return Ok(count),
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(self.failed(error)),
                Err(_would_block) => {}
            }
        }
    }

    /// Gives all bytes to the line; waits at most a second for room.
    pub(crate) async fn write(&self, mut bytes: &[u8]) -> Result<(), PortError> {
        while !bytes.is_empty() {
            let written = timeout(WRITE, self.write_some(bytes))
                .await
                .map_err(|_| PortError::Stuck { path: self.path.clone() })??;
            bytes = &bytes[written..];
            let bits = written as u64 * u64::from(BITS_PER_BYTE);
            let took = Duration::from_micros(bits * 1_000_000 / u64::from(self.baud.get().max(1)));
            self.empty_at.set(self.empty_at.get().max(Instant::now()) + took);
        }
        Ok(())
    }

    async fn write_some(&self, bytes: &[u8]) -> Result<usize, PortError> {
        loop {
            let mut ready = self.fd.writable().await.map_err(|error| self.failed(error))?;
            match ready.try_io(|fd| Ok(rustix::io::write(fd.get_ref(), bytes)?)) {
                Ok(Ok(count)) => return Ok(count),
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(self.failed(error)),
                Err(_would_block) => {}
            }
        }
    }

    fn check_rate(&self, wanted: u32) -> Result<(), PortError> {
        let real = tty::baud(self.fd.get_ref()).map_err(|error| self.failed(error))?;
        if real.abs_diff(wanted) > wanted / 100 * RATE_TOLERANCE_PERCENT {
            return Err(PortError::Rate { path: self.path.clone(), wanted, real });
        }
        Ok(())
    }

    fn failed(&self, error: io::Error) -> PortError {
        PortError::Io { path: self.path.clone(), error }
    }
}

fn open_tty(path: &Path, baud: u32) -> Result<OwnedFd, PortError> {
    tty::open(path, baud).map_err(|error| PortError::Open { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    fn port(baud: u32) -> (OwnedFd, Port) {
        let (far, near) = pair();
        (far, Port::open(&near, baud).unwrap())
    }

    fn pair() -> (OwnedFd, PathBuf) {
        let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&far).unwrap();
        unlockpt(&far).unwrap();
        rustix::io::ioctl_fionbio(&far, true).unwrap();
        let near = ptsname(&far, Vec::new()).unwrap().into_string().unwrap();
        (far, near.into())
    }

    /// Everything that has come to the far side.
    fn drain(far: &OwnedFd) -> usize {
        let (mut delivered, mut bytes) = (0, [0; 4096]);
        while let Ok(count @ 1..) = rustix::io::read(far, &mut bytes) {
            delivered += count;
        }
        delivered
    }

    #[tokio::test]
    async fn bytes_that_a_stuck_line_did_not_take_do_not_hold_up_the_close() {
        let (far, port) = port(115_200);
        assert!(matches!(port.write(&[0x55; 65_536]).await, Err(PortError::Stuck { .. })), "nobody reads");
        drop(port);
        // What a pseudo-terminal's far side has room for (4 KiB) counts as delivered; the 8 KiB of its queue are what a UART would still have to send.
        let delivered = drain(&far);
        assert!(delivered <= 4096, "{delivered} bytes outlived the close");
    }

    #[tokio::test]
    async fn who_does_not_get_the_lock_leaves_the_holders_bytes_alone() {
        let (far, near) = pair();
        let holder = Port::open(&near, 115_200).unwrap();
        // More than the far side's 4 KiB, so that the rest is still to be sent.
        holder.write(&[0x55; 8000]).await.unwrap();
        assert!(matches!(Port::open(&near, 115_200), Err(PortError::Held { .. })));
        let (mut delivered, began) = (0, Instant::now());
        while delivered < 8000 {
            assert!(began.elapsed() < Duration::from_secs(5), "{delivered} of 8000 bytes");
            delivered += drain(&far);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn drained_is_when_the_last_bit_has_left() {
        let (_far, port) = port(115_200);
        let began = Instant::now();
        for _ in 0..10 {
            port.write(&[0x55; 115]).await.unwrap();
        }
        port.drained().await;
        let took = began.elapsed();
        assert!(took >= Duration::from_micros(99_800), "1150 bytes of ten bits take 99.8 ms: {took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

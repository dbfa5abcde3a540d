//! PID 1's own lines on the console. It writes without ever waiting: a terminal that someone has stopped, or a slow serial line, must
//! not stop the supervisor. What cannot be written yet is kept, up to a limit, and what is beyond it is counted.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::termios::{self, InputModes, OptionalActions};

/// Bytes kept while the console does not take them: a whole boot's lines.
const MAX_WAITING: usize = 64 * 1024;

/// Shared by everything that logs.
#[derive(Clone)]
pub struct Console {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    out: Arc<OwnedFd>,
    waiting: VecDeque<u8>,
    lost: u64,
}

impl Console {
    /// Opens the console, or keeps to the standard error that the kernel gave when there is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        let out = match open(path) {
            Ok(out) => out,
            Err(_) => {
                let out = rustix::io::fcntl_dupfd_cloexec(io::stderr().as_fd(), 3)?;
                rustix::fs::fcntl_setfl(&out, rustix::fs::fcntl_getfl(&out)? | OFlags::NONBLOCK)?;
                out
            }
        };
        if let Ok(mut settings) = termios::tcgetattr(&out) {
            // Without this, Ctrl-S on the serial line would hold every service that logs.
            settings.input_modes.remove(InputModes::IXON | InputModes::IXOFF);
            termios::tcsetattr(&out, OptionalActions::Now, &settings)?;
        }
        Ok(Console {
            inner: Arc::new(Mutex::new(Inner { out: Arc::new(out), waiting: VecDeque::new(), lost: 0 })),
        })
    }

    /// False while someone is in the middle of using it: perhaps the caller itself, which a panic has thrown out of there.
    pub fn is_free(&self) -> bool {
        !matches!(self.inner.try_lock(), Err(TryLockError::WouldBlock))
    }

    /// True while lines wait for the console to take them: then [`Console::flush_waiting`] wants to be called.
    pub fn is_behind(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    /// To wait until it takes more.
    pub fn descriptor(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.lock().out)
    }

    pub fn flush_waiting(&self) {
        self.lock().flush_waiting();
    }

    /// Waits for what is left, but no longer than `limit`: before the machine goes down.
    pub fn drain(&self, limit: Duration) {
        let end = adit_sys::clock::boottime() + limit;
        let mut inner = self.lock();
        loop {
            inner.flush_waiting();
            let left = end.saturating_sub(adit_sys::clock::boottime());
            if inner.waiting.is_empty() || left.is_zero() {
                return;
            }
            let mut wanted = [PollFd::new(&inner.out, PollFlags::OUT)];
            let timeout = rustix::event::Timespec::try_from(left).ok();
            if poll(&mut wanted, timeout.as_ref()).is_err() {
                return;
            }
        }
    }

    /// A second, independent way to the console, for the services' output. These may wait for it.
    pub fn open_for_services(path: &Path) -> io::Result<OwnedFd> {
        let out = open(path)?;
        rustix::fs::fcntl_setfl(&out, rustix::fs::fcntl_getfl(&out)? - OFlags::NONBLOCK)?;
        Ok(out)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// NONBLOCK: opening a serial console may otherwise wait for a carrier.
fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

impl Write for Console {
    /// Takes a whole line and never fails: there is nowhere to say so.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut inner = self.lock();
        inner.flush_waiting();
        if inner.waiting.len() + line.len() > MAX_WAITING {
            inner.lost += 1;
        } else {
            inner.waiting.extend(line);
            inner.flush_waiting();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Inner {
    fn flush_waiting(&mut self) {
        while !self.waiting.is_empty() {
            let (front, _) = self.waiting.as_slices();
            match rustix::io::write(&self.out, front) {
                Ok(0) | Err(rustix::io::Errno::AGAIN) => return,
                Ok(written) => drop(self.waiting.drain(..written)),
                Err(rustix::io::Errno::INTR) => {}
                // A console that is gone (an unplugged USB adapter) is no reason to keep its lines.
                Err(_) => self.waiting.clear(),
            }
        }
        if self.lost > 0 {
            let lost = std::mem::take(&mut self.lost);
            self.waiting.extend(format!(" WARN adit_init: console too slow lost={lost}\n").bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_in_use_says_so_instead_of_waiting_for_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console");
        std::fs::write(&path, "").unwrap();
        let console = Console::open(&path).unwrap();
        assert!(console.is_free());
        let in_use = console.lock();
        assert!(!console.clone().is_free());
        drop(in_use);
        assert!(console.is_free());
    }

    #[test]
    fn a_console_that_takes_nothing_holds_nobody_up_and_says_later_what_was_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console");
        let pipe = rustix::fs::CWD;
        rustix::fs::mknodat(pipe, &path, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let reader = rustix::fs::open(&path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).unwrap();
        let mut console = Console::open(&path).unwrap();
        let line = [b"x".repeat(99), b"\n".to_vec()].concat();
        for _ in 0..2000 {
            console.write_all(&line).unwrap();
        }
        assert!(console.is_behind());
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = rustix::io::read(&reader, &mut buffer) {
            seen.extend_from_slice(&buffer[..length]);
            console.flush_waiting();
        }
        assert!(!console.is_behind());
        let text = String::from_utf8(seen).unwrap();
        let whole = text.lines().filter(|line| line.len() == 99).count();
        let lost: usize = text.lines().last().unwrap().rsplit_once('=').unwrap().1.parse().unwrap();
        assert_eq!(whole + lost, 2000);
    }
}

//! A pseudo-terminal: a driver opens its far end as it would open the real serial port.

use super::{OpenError, WRITE_PATIENCE, ready};
use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The rate that a serial port has before anybody sets one.
const FIRST_RATE: u32 = 115_200;

pub(crate) struct Terminal {
    master: OwnedFd,
    /// Held open, so that the line stays up while no driver has it.
    _slave: OwnedFd,
    link: PathBuf,
}

pub(crate) struct Rates {
    pub(crate) input: u32,
    pub(crate) output: u32,
}

impl Terminal {
    pub(super) fn open(link: &Path) -> Result<Self, OpenError> {
        let io = |source: std::io::Error| OpenError::Io { path: link.into(), source };
        let os = |error: Errno| io(error.into());
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).map_err(os)?;
        grantpt(&master).map_err(os)?;
        unlockpt(&master).map_err(os)?;
        let name = ptsname(&master, Vec::new()).map_err(os)?;
        let slave = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
            .map_err(os)?;
        let mut settings = tcgetattr(&slave).map_err(os)?;
        settings.make_raw();
        settings.set_speed(FIRST_RATE).map_err(os)?;
        tcsetattr(&slave, OptionalActions::Now, &settings).map_err(os)?;
        rustix::io::ioctl_fionbio(&master, true).map_err(os)?;

        if let Ok(there) = link.symlink_metadata() {
            if !there.is_symlink() {
                return Err(OpenError::Occupied(link.into()));
            }
            std::fs::remove_file(link).map_err(io)?;
        }
        let target = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        std::os::unix::fs::symlink(target, link).map_err(io)?;
        Ok(Self { master, _slave: slave, link: link.into() })
    }

    pub(super) fn read(&self, bytes: &mut [u8], at_most: Duration) -> Option<usize> {
        if !ready(&self.master, PollFlags::IN, at_most) {
            return None;
        }
        rustix::io::read(&self.master, bytes).ok().filter(|&count| count > 0)
    }

    pub(super) fn write(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() && ready(&self.master, PollFlags::OUT, WRITE_PATIENCE) {
            match rustix::io::write(&self.master, bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// What the driver set (TCGETS2: any integer, not only the classic rates).
    pub(super) fn rates(&self) -> Option<Rates> {
        let settings = tcgetattr(&self.master).ok()?;
        Some(Rates { input: settings.input_speed(), output: settings.output_speed() })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        std::fs::remove_file(&self.link).ok();
    }
}

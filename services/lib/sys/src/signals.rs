//! Signals as something to poll. PID 1 has no handlers: it blocks what it wants to hear and reads it from a descriptor.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

pub use rustix::process::Signal;

/// A signalfd for the signals that [`take_over`] blocked.
pub struct Signals {
    descriptor: OwnedFd,
}

/// Blocks `wanted` in the calling thread and makes them readable, non-blocking and closed on exec.
///
/// Call before other threads start: they inherit the mask, and a thread without it would take a signal's default action.
/// [`crate::spawn`] gives children an empty mask again.
pub fn take_over(wanted: &[Signal]) -> io::Result<Signals> {
    let mut mask = empty_mask();
    for signal in wanted {
        // SAFETY: `mask` is an initialised set; a wrong number is answered with EINVAL.
        check(unsafe { libc::sigaddset(&mut mask, signal.as_raw()) })?;
    }
    // SAFETY: reads an initialised set; a null pointer means that the old mask is not asked for.
    check(unsafe { libc::sigprocmask(libc::SIG_BLOCK, &mask, ptr::null_mut()) })?;
    // SAFETY: reads an initialised set; -1 asks for a new descriptor.
    let raw = check(unsafe { libc::signalfd(-1, &mask, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) })?;
    // SAFETY: just opened, and nobody else knows it.
    Ok(Signals { descriptor: unsafe { OwnedFd::from_raw_fd(raw) } })
}

impl Signals {
    /// The next signal that has arrived; none: no further one for the moment. Signals that arrive again before they are
    /// read are merged into one, as the kernel does.
    pub fn next(&self) -> io::Result<Option<Signal>> {
        let mut record = [0_u8; size_of::<libc::signalfd_siginfo>()];
        match rustix::io::read(&self.descriptor, &mut record) {
            Ok(length) if length == record.len() => {
                // `ssi_signo` is the record's first field, 32 bits wide.
                let [a, b, c, d, ..] = record;
                Ok(i32::try_from(u32::from_ne_bytes([a, b, c, d])).ok().and_then(Signal::from_named_raw))
            }
            Ok(length) => {
                Err(io::Error::new(io::ErrorKind::InvalidData, format!("signalfd gave {length} bytes")))
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

pub(crate) fn empty_mask() -> libc::sigset_t {
    let mut mask = MaybeUninit::uninit();
    // SAFETY: writes the whole set and cannot fail with a valid pointer.
    unsafe { libc::sigemptyset(mask.as_mut_ptr()) };
    // SAFETY: initialised by the call above.
    unsafe { mask.assume_init() }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_signal_is_read_instead_of_delivered() {
        let signals = take_over(&[Signal::USR1]).unwrap();
        assert_eq!(signals.next().unwrap(), None);
        // SAFETY: raises a signal in this thread, which has just blocked it.
        unsafe { libc::raise(libc::SIGUSR1) };
        assert_eq!(signals.next().unwrap(), Some(Signal::USR1));
        assert_eq!(signals.next().unwrap(), None);
    }
}

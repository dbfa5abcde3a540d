//! Ended children of PID 1, and the end of everybody else.

use std::io;
use std::mem::MaybeUninit;

use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};

/// The next child that has ended, left as it is: its process number and group stay taken until [`collect`], so that what it
/// left behind in its group can be killed without hitting a stranger. None: no child has ended.
pub fn next_ended() -> io::Result<Option<Pid>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the kernel writes one siginfo_t to a place that is large enough.
    if unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), flags) } < 0 {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::ECHILD) { Ok(None) } else { Err(error) };
    }
    // SAFETY: zeroed before and written by the kernel: every bit pattern is a valid siginfo_t.
    let info = unsafe { info.assume_init() };
    // SAFETY: waitid fills the member that si_pid reads; it stays zero when no child has ended.
    Ok(Pid::from_raw(unsafe { info.si_pid() }))
}

/// Takes an ended child's status, which frees its number.
pub fn collect(child: Pid) -> io::Result<Option<WaitStatus>> {
    Ok(waitpid(Some(child), WaitOptions::NOHANG)?.map(|(_, status)| status))
}

/// Kills every process but PID 1, which must be the caller: anyone else would take down what it runs in.
pub fn kill_everyone() -> io::Result<()> {
    if std::process::id() != 1 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "only PID 1 may kill everyone"));
    }
    // SAFETY: no memory is involved.
    if unsafe { libc::kill(-1, libc::SIGKILL) } < 0 {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::ESRCH) { Ok(()) } else { Err(error) };
    }
    Ok(())
}

//! Socket activation: the sockets that PID 1 bound and passed on as descriptors 3, 4, … (`LISTEN_FDS` protocol, as systemd's
//! `sd_listen_fds(3)` describes it).

use std::env;
use std::io::{self, ErrorKind};
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// The first descriptor that is passed.
pub(crate) const FIRST: RawFd = 3;

/// More than this is no answer that adit-init gives.
pub(crate) const MAX_SOCKETS: usize = 64;

const VARIABLES: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

static TAKEN: AtomicBool = AtomicBool::new(false);

/// The sockets passed to this process, each with its name, closed on exec from here on.
///
/// Empty when none were passed, when they were meant for another process (`LISTEN_PID`), and from the second call on.
/// The variables are removed from the environment while the process has one thread.
/// Errors: `InvalidData` when the variables contradict themselves or a descriptor is not open.
pub fn sockets() -> io::Result<Vec<(String, OwnedFd)>> {
    let [pid, count, names] = VARIABLES.map(|name| env::var(name).ok());
    let wanted = parse(std::process::id(), pid.as_deref(), count.as_deref(), names.as_deref())?;
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Ok(Vec::new());
    }
    forget_variables();
    let named = wanted.into_iter().zip(FIRST..);
    named.map(|(name, number)| Ok((name, take(number)?))).collect()
}

fn take(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: only used for the call below, which the kernel answers with EBADF when the number is not open.
    let seen = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_setfd(seen, rustix::io::FdFlags::CLOEXEC)
        .map_err(|error| refuse(format!("LISTEN_FDS: descriptor {number}: {error}")))?;
    // SAFETY: open (checked above) and ours: PID 1 passed it for this process (LISTEN_PID), and TAKEN lets one call through.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn parse(
    own_pid: u32,
    pid: Option<&str>,
    count: Option<&str>,
    names: Option<&str>,
) -> io::Result<Vec<String>> {
    let (Some(pid), Some(count)) = (pid, count) else { return Ok(Vec::new()) };
    let pid: u32 = pid.parse().map_err(|_| refuse(format!("LISTEN_PID={pid:?} is not a process number")))?;
    if pid != own_pid {
        return Ok(Vec::new());
    }
    let count = count
        .parse()
        .ok()
        .filter(|count| *count <= MAX_SOCKETS)
        .ok_or_else(|| refuse(format!("LISTEN_FDS={count:?} is not a number up to {MAX_SOCKETS}")))?;
    match names {
        None => Ok(vec!["unknown".to_owned(); count]),
        Some("") if count == 0 => Ok(Vec::new()),
        Some(names) => {
            let names: Vec<String> = names.split(':').map(str::to_owned).collect();
            if names.len() == count {
                return Ok(names);
            }
            Err(refuse(format!("LISTEN_FDNAMES has {} names, LISTEN_FDS is {count}", names.len())))
        }
    }
}

fn forget_variables() {
    let threads = std::fs::read_dir("/proc/self/task").map(Iterator::count);
    if !matches!(threads, Ok(1)) {
        return;
    }
    for name in VARIABLES {
        // SAFETY: this is the only thread (counted above), so no one reads the environment meanwhile.
        unsafe { env::remove_var(name) };
    }
}

fn refuse(text: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_for_another_process_are_not_ours() {
        assert!(parse(7, Some("8"), Some("2"), Some("a:b")).unwrap().is_empty());
        assert!(parse(7, None, Some("2"), None).unwrap().is_empty());
        assert!(parse(7, Some("7"), None, None).unwrap().is_empty());
    }

    #[test]
    fn names_stand_in_the_order_of_the_descriptors() {
        let names = parse(7, Some("7"), Some("2"), Some("hardware.status:hardware.control")).unwrap();
        assert_eq!(names, ["hardware.status", "hardware.control"]);
        assert_eq!(parse(7, Some("7"), Some("2"), None).unwrap(), ["unknown", "unknown"]);
    }

    #[test]
    fn contradictions_are_refused() {
        for (pid, count, names) in [
            ("x", "1", None),
            ("7", "x", None),
            ("7", "-1", None),
            ("7", "65", None),
            ("7", "1", Some("a:b")),
            ("7", "2", Some("a")),
        ] {
            let refused = parse(7, Some(pid), Some(count), names);
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidData, "{pid} {count} {names:?}");
        }
    }
}

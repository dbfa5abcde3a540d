//! Where a host connects: a Unix socket (QEMU's serial port; unpaced) or a pseudo-terminal (a native driver; paced).

mod pty;
mod unix;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The near end of a wire, as the command line names it: `unix:PATH` or `pty:LINK`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Listens on a stream socket. One client at a time; when it leaves, the next may come.
    Unix(PathBuf),
    /// Makes a pseudo-terminal and links its far end here.
    Pty(PathBuf),
}

/// Text that names no endpoint.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no endpoint: write unix:PATH (a socket to listen on) or pty:LINK (a pseudo-terminal)")]
pub struct EndpointError(String);

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(("pty", link)) if !link.is_empty() => Ok(Self::Pty(link.into())),
            _ => Err(EndpointError(text.into())),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Pty(link) => write!(f, "pty:{}", link.display()),
        }
    }
}

/// Why a simulation could not be started.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0}: another program listens there")]
    InUse(PathBuf),
    #[error("{0}: is there, and is not one of ours to replace")]
    Occupied(PathBuf),
    #[error("{path}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{name} has {boards} chains: {given} endpoints are not enough or too many")]
    Chains { name: &'static str, boards: usize, given: usize },
    #[error("{name} has {} board controller", if *has { "a" } else { "no" })]
    Controller { name: &'static str, has: bool },
    #[error("no thread to run it")]
    Thread { source: std::io::Error },
}

/// An open endpoint. Reading and writing may be done by two threads. Dropped, it removes what it made in the file system.
pub(crate) enum Port {
    Unix(unix::Listener),
    Pty(pty::Terminal),
}

impl Port {
    pub(crate) fn open(endpoint: &Endpoint) -> Result<Self, OpenError> {
        match endpoint {
            Endpoint::Unix(path) => Ok(Self::Unix(unix::Listener::bind(path)?)),
            Endpoint::Pty(link) => Ok(Self::Pty(pty::Terminal::open(link)?)),
        }
    }

    /// Some bytes from the host, or `None` when none came in this time.
    pub(crate) fn read(&self, bytes: &mut [u8], at_most: Duration) -> Option<usize> {
        match self {
            Self::Unix(listener) => listener.read(bytes, at_most),
            Self::Pty(terminal) => terminal.read(bytes, at_most),
        }
    }

    /// Bytes to the host. What nobody takes within a short time is lost, as on a UART.
    pub(crate) fn write(&self, bytes: &[u8]) {
        match self {
            Self::Unix(listener) => listener.write(bytes),
            Self::Pty(terminal) => terminal.write(bytes),
        }
    }

    /// The host's line rate towards us, where there is one.
    pub(crate) fn host_sends_at(&self) -> Option<u32> {
        match self {
            Self::Unix(_) => None,
            Self::Pty(terminal) => terminal.rates().map(|rates| rates.output),
        }
    }

    /// The host's line rate from us, where there is one.
    pub(crate) fn host_receives_at(&self) -> Option<u32> {
        match self {
            Self::Unix(_) => None,
            Self::Pty(terminal) => terminal.rates().map(|rates| rates.input),
        }
    }
}

pub(crate) use unix::bind;

/// Whether `file` is ready for `what` within this time.
fn ready(file: impl std::os::fd::AsFd, what: rustix::event::PollFlags, at_most: Duration) -> bool {
    use rustix::event::{PollFd, Timespec, poll};
    let mut files = [PollFd::new(&file, what)];
    let timeout = Timespec { tv_sec: at_most.as_secs() as i64, tv_nsec: at_most.subsec_nanos().into() };
    // An interrupted wait is a wait that saw nothing.
    poll(&mut files, Some(&timeout)).is_ok_and(|count| count > 0)
}

/// How long a host may take to make room before bytes to it are lost.
const WRITE_PATIENCE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_written_as_kind_and_path() {
        assert_eq!("unix:/run/a:b".parse::<Endpoint>().expect("is one"), Endpoint::Unix("/run/a:b".into()));
        assert_eq!("pty:tty".parse::<Endpoint>().expect("is one"), Endpoint::Pty("tty".into()));
        for text in ["", "unix:", "pty", "tcp:1.2.3.4:5", "/run/socket"] {
            let refused = text.parse::<Endpoint>().expect_err("is none").to_string();
            assert!(refused.contains("unix:PATH"), "{refused}");
        }
    }
}

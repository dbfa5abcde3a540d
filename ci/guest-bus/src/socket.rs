//! Sockets that QEMU connects to, and waiting at them until somebody comes or the end.

use std::{
    io::ErrorKind,
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
};

use rustix::event::{PollFd, PollFlags, poll};

use crate::Error;

/// Listens at `path`, in the place of a socket that a dead program left there.
pub(crate) fn listen(path: &Path) -> Result<UnixListener, Error> {
    let error = |source| Error::Socket { path: path.into(), source };
    let dead = || UnixStream::connect(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
    if dead() {
        std::fs::remove_file(path).map_err(error)?;
    }
    UnixListener::bind(path).map_err(error)
}

/// Waits for a connection; false when the other end of `closing` was closed before.
pub(crate) fn somebody_comes(listener: &UnixListener, closing: &UnixStream) -> bool {
    let mut files = [PollFd::new(closing, PollFlags::IN), PollFd::new(listener, PollFlags::IN)];
    loop {
        match poll(&mut files, None) {
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) => return files[0].revents().is_empty(),
        }
    }
}

//! Descriptors that tokio polls.

use std::{io, os::fd::OwnedFd};

use tokio::io::unix::AsyncFd;

/// Registers a non-blocking descriptor with the runtime.
#[expect(
    deprecated,
    reason = "`AsyncFd::register` is unsafe for types that may close or swap their descriptor; an `OwnedFd` behind `&` cannot"
)]
pub(crate) fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(fd)
}

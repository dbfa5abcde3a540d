//! A Unix stream socket that a host connects to, leaves and connects to again.

use super::{OpenError, WRITE_PATIENCE, ready};
use rustix::event::PollFlags;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(crate) struct Listener {
    listener: UnixListener,
    path: PathBuf,
    client: Mutex<Option<Arc<UnixStream>>>,
}

/// Listens at `path`. A socket that a dead program left there is replaced.
pub(crate) fn bind(path: &Path) -> Result<UnixListener, OpenError> {
    let io = |source| OpenError::Io { path: path.into(), source };
    if let Ok(there) = path.symlink_metadata() {
        if !there.file_type().is_socket() {
            return Err(OpenError::Occupied(path.into()));
        }
        match UnixStream::connect(path) {
            Err(refused) if refused.kind() == ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path).map_err(io)?;
            }
            Ok(_) => return Err(OpenError::InUse(path.into())),
            Err(other) => return Err(io(other)),
        }
    }
    let listener = UnixListener::bind(path).map_err(io)?;
    listener.set_nonblocking(true).map_err(io)?;
    Ok(listener)
}

impl Listener {
    pub(super) fn bind(path: &Path) -> Result<Self, OpenError> {
        Ok(Self { listener: bind(path)?, path: path.into(), client: Mutex::new(None) })
    }

    fn client(&self) -> Option<Arc<UnixStream>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_client(&self, client: Option<UnixStream>) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client.map(Arc::new);
    }

    pub(super) fn read(&self, bytes: &mut [u8], at_most: Duration) -> Option<usize> {
        let Some(client) = self.client() else {
            if ready(&self.listener, PollFlags::IN, at_most) {
                let accepted = self.listener.accept().ok().map(|(stream, _)| stream);
                self.set_client(accepted.filter(|stream| stream.set_nonblocking(true).is_ok()));
            }
            return None;
        };
        if !ready(&client, PollFlags::IN, at_most) {
            return None;
        }
        match (&*client).read(bytes) {
            Ok(count) if count > 0 => Some(count),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => None,
            Ok(_) | Err(_) => {
                self.set_client(None);
                None
            }
        }
    }

    pub(super) fn write(&self, mut bytes: &[u8]) {
        let Some(client) = self.client() else { return };
        while !bytes.is_empty() && ready(&client, PollFlags::OUT, WRITE_PATIENCE) {
            match (&*client).write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(_) => return, // reading will find that the client has left
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        std::fs::remove_file(&self.path).ok();
    }
}

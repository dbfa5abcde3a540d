//! Waits for QEMU at a socket, serves it until it leaves, and waits for the next one.

use std::{
    os::{
        fd::AsRawFd as _,
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use tracing::{debug, warn};
use vhost_user_backend::{ShutdownHandle, VhostUserDaemon};
use vm_memory::{GuestMemoryAtomic, GuestMemoryMmap};
use vmm_sys_util::{
    epoll::EventSet,
    event::{EventConsumer, EventFlag, EventNotifier, new_event_consumer_and_notifier},
};

use super::{
    Device,
    backend::{Backend, WOKEN},
};
use crate::{Error, socket};

/// Lets a device do something although the guest did nothing.
pub(crate) struct Waker(EventNotifier);

impl Waker {
    pub(crate) fn wake(&self) {
        // Full: it is awake, or about to be.
        let _ = self.0.notify();
    }
}

/// A socket that QEMU's `vhost-user-…-pci` connects to. Dropped, the connection ends and the socket is gone.
pub(crate) struct Port {
    path: PathBuf,
    /// Closed, the thread does not wait for another connection.
    open: Option<UnixStream>,
    connection: Arc<Mutex<Connection>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Connection {
    end: Option<ShutdownHandle>,
    stopped: bool,
}

impl Port {
    /// `new` makes a device for each connection.
    pub(crate) fn listen<D: Device>(
        path: &Path,
        new: impl Fn() -> D + Send + 'static,
    ) -> Result<(Self, Waker), Error> {
        let socket = |source: std::io::Error| Error::Socket { path: path.into(), source };
        let listener = socket::listen(path)?;
        let (open, closing) = UnixStream::pair().map_err(socket)?;
        let (woken, waker) =
            new_event_consumer_and_notifier(EventFlag::NONBLOCK | EventFlag::CLOEXEC).map_err(socket)?;
        let connection = Arc::new(Mutex::new(Connection::default()));
        let server = Server { listener, closing, woken, connection: connection.clone(), new };
        let thread = thread::Builder::new()
            .name(D::NAME.into())
            .spawn(move || server.run())
            .map_err(|source| Error::Thread { path: path.into(), source })?;
        Ok((Self { path: path.into(), open: Some(open), connection, thread: Some(thread) }, Waker(waker)))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        drop(self.open.take());
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        connection.stopped = true;
        if let Some(end) = connection.end.take() {
            end.shutdown();
        }
        drop(connection);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            thread.join().ok();
        }
        // Somebody may have removed it already.
        std::fs::remove_file(&self.path).ok();
    }
}

struct Server<F> {
    listener: UnixListener,
    closing: UnixStream,
    woken: EventConsumer,
    connection: Arc<Mutex<Connection>>,
    new: F,
}

impl<D: Device, F: Fn() -> D> Server<F> {
    fn run(self) {
        while socket::somebody_comes(&self.listener, &self.closing) {
            match self.serve() {
                Ok(()) => debug!(device = D::NAME, "QEMU left"),
                Err(error) => warn!(device = D::NAME, %error, "the connection to QEMU broke"),
            }
        }
    }

    fn serve(&self) -> Result<(), vhost_user_backend::Error> {
        use vhost_user_backend::Error::StartDaemon;
        let memory = GuestMemoryAtomic::new(GuestMemoryMmap::new());
        let woken = self.woken.try_clone().map_err(StartDaemon)?;
        let backend = Backend::new((self.new)(), memory.clone(), woken).map_err(StartDaemon)?;
        let mut daemon = VhostUserDaemon::new(D::NAME.into(), Arc::new(Mutex::new(backend)), memory)?;
        for handler in daemon.get_epoll_handlers() {
            handler
                .register_listener(self.woken.as_raw_fd(), EventSet::IN, WOKEN.into())
                .map_err(StartDaemon)?;
        }
        daemon.start(&mut self.listener.try_clone().map_err(StartDaemon)?.into())?;
        {
            let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
            connection.end = daemon.shutdown_handle();
            if connection.stopped {
                daemon.request_shutdown();
            }
        }
        let ended = daemon.wait();
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).end = None;
        match ended {
            // How it looks when QEMU closes its end.
            Err(vhost_user_backend::Error::HandleRequest(
                vhost::vhost_user::Error::Disconnected | vhost::vhost_user::Error::PartialMessage,
            )) => Ok(()),
            ended => ended,
        }
    }
}

//! A USB port of the unit: a socket that QEMU's `usb-redir` connects to, into which devices are plugged and out of which they are pulled.

use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use rustix::event::{PollFd, PollFlags, poll};
use tracing::{info, warn};

use super::{
    Device,
    acm::{Acm, LineCoding},
    redir::{Decoder, Encoder, Malformed, Request},
};
use crate::{Error, socket};

/// Answers for a QEMU that does not read them; it is given up beyond that.
const MOST_UNSENT: usize = 4 << 20;
const AT_ONCE: usize = 16 * 1024;

/// One port. Dropped, its socket is gone, and the device with it.
pub struct UsbPort {
    path: PathBuf,
    shared: Arc<Mutex<Shared>>,
    /// A byte wakes the thread, closing it ends it.
    bell: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    plugged: Option<Plugged>,
    /// Counts what was plugged in and pulled out.
    changes: u64,
}

struct Plugged {
    acm: Acm,
    /// `None`: the firmware hung up. The device stays; nobody answers on this port.
    streams: Vec<Option<Arc<UnixStream>>>,
}

impl UsbPort {
    /// Errors: the socket cannot be made, or no thread to serve it.
    pub fn listen(path: &Path) -> Result<Self, Error> {
        let listener = socket::listen(path)?;
        let pair = UnixStream::pair().and_then(|(bell, rung)| {
            bell.set_nonblocking(true)?;
            rung.set_nonblocking(true)?;
            Ok((bell, rung))
        });
        let (bell, rung) = pair.map_err(|source| Error::Socket { path: path.into(), source })?;
        let shared = Arc::new(Mutex::new(Shared::default()));
        let server = Server { listener, rung, shared: shared.clone() };
        let thread = thread::Builder::new()
            .name("guest-usb".into())
            .spawn(move || server.run())
            .map_err(|source| Error::Thread { path: path.into(), source })?;
        Ok(Self { path: path.into(), shared, bell: Some(bell), thread: Some(thread) })
    }

    /// The socket that QEMU connects to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Plugs a device in; the guest finds it when it runs. Errors: there is one already, or its sockets cannot be used.
    pub fn plug(&self, device: Device) -> Result<(), Error> {
        let mut shared = lock(&self.shared);
        if shared.plugged.is_some() {
            return Err(Error::Taken { path: self.path.clone() });
        }
        for stream in &device.ports {
            let blocks = stream.set_nonblocking(true);
            blocks.map_err(|source| Error::Socket { path: self.path.clone(), source })?;
        }
        let acm = Acm::new(device.identity, device.ports.len());
        shared.plugged = Some(Plugged {
            acm,
            streams: device.ports.into_iter().map(|stream| Some(Arc::new(stream))).collect(),
        });
        shared.changes += 1;
        drop(shared);
        self.ring();
        Ok(())
    }

    /// Pulls the device out, if there is one; its sockets are closed.
    pub fn unplug(&self) {
        let mut shared = lock(&self.shared);
        if shared.plugged.take().is_some() {
            shared.changes += 1;
        }
        drop(shared);
        self.ring();
    }

    /// What the guest set a serial port of the plugged device to.
    pub fn line(&self, port: usize) -> Option<LineCoding> {
        lock(&self.shared).plugged.as_ref()?.acm.line(port)
    }

    fn ring(&self) {
        if let Some(bell) = &self.bell {
            // Full: it rings already.
            let _ = (&*bell).write(&[0]);
        }
    }
}

impl Drop for UsbPort {
    fn drop(&mut self) {
        drop(self.bell.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            thread.join().ok();
        }
        // Somebody may have removed it already.
        std::fs::remove_file(&self.path).ok();
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Server {
    listener: UnixListener,
    rung: UnixStream,
    shared: Arc<Mutex<Shared>>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the port was dropped")]
    Dropped,
    #[error("QEMU left")]
    Left,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("QEMU does not read its answers")]
    Deaf,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What QEMU has been told about the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Empty,
    /// A device is there; the number of changes then.
    Device(u64),
    /// It is gone, which QEMU has not acknowledged: what it still sends is meant for the old device.
    Leaving,
}

/// One connection of QEMU's.
struct Talk {
    stream: UnixStream,
    decoder: Decoder,
    out: Encoder,
    told: Told,
}

impl Server {
    fn run(self) {
        // The bell may ring while nobody is connected: what it told is seen at the connection.
        while self.listener_or_bell() {
            let Ok((stream, _)) = self.listener.accept() else { continue };
            match self.talk(stream) {
                Err(Ended::Dropped) => return,
                Ok(()) | Err(Ended::Left) => {}
                Err(ended) => warn!(%ended, "connection to QEMU's usb-redir given up"),
            }
        }
    }

    /// Waits for a connection; false at the end.
    fn listener_or_bell(&self) -> bool {
        loop {
            if socket::somebody_comes(&self.listener, &self.rung) {
                return true;
            }
            if !self.answer_bell() {
                return false;
            }
        }
    }

    /// False when it was closed.
    fn answer_bell(&self) -> bool {
        let mut rings = [0; 64];
        match (&self.rung).read(&mut rings) {
            Ok(count) => count > 0,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }

    fn talk(&self, stream: UnixStream) -> Result<(), Ended> {
        stream.set_nonblocking(true)?;
        let mut talk =
            Talk { stream, decoder: Decoder::default(), out: Encoder::default(), told: Told::Empty };
        talk.out.hello();
        loop {
            {
                let mut shared = lock(&self.shared);
                talk.tell(&shared);
                if let Some(plugged) = &mut shared.plugged {
                    plugged.exchange(&mut talk.out);
                }
            }
            talk.send()?;
            self.wait(&talk)?;
            if !self.answer_bell() {
                return Err(Ended::Dropped);
            }
            talk.receive()?;
            let mut shared = lock(&self.shared);
            let changes = shared.changes;
            while let Some((id, request)) = talk.decoder.next()? {
                match request {
                    Request::Disconnected if talk.told == Told::Leaving => talk.told = Told::Empty,
                    Request::Rejected => warn!("QEMU refuses the USB device"),
                    request if talk.told == Told::Device(changes) => {
                        if let Some(plugged) = &mut shared.plugged {
                            plugged.acm.request(id, request, &mut talk.out);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Until there is something to do.
    fn wait(&self, talk: &Talk) -> Result<(), Ended> {
        // Held for the time of waiting: whoever pulls the device out need not wait for us.
        let mut firmware = Vec::new();
        if let Some(plugged) = &lock(&self.shared).plugged {
            for (port, stream) in plugged.streams.iter().enumerate() {
                let Some(stream) = stream else { continue };
                let mut flags = PollFlags::empty();
                flags.set(PollFlags::IN, plugged.acm.wants_bytes(port));
                flags.set(PollFlags::OUT, !plugged.acm.for_firmware(port).is_empty());
                if !flags.is_empty() {
                    firmware.push((stream.clone(), flags));
                }
            }
        }
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, !talk.out.bytes.is_empty());
        let mut files = vec![PollFd::new(&talk.stream, flags), PollFd::new(&self.rung, PollFlags::IN)];
        files.extend(firmware.iter().map(|(stream, flags)| PollFd::new(stream, *flags)));
        match poll(&mut files, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(Ended::Io(error.into())),
        }
    }
}

impl Talk {
    /// Says what changed at the port since QEMU was told.
    fn tell(&mut self, shared: &Shared) {
        if !self.decoder.greeted() {
            return;
        }
        if let Told::Device(then) = self.told
            && then != shared.changes
        {
            self.out.disconnect();
            self.told = Told::Leaving;
        }
        if self.told == Told::Empty
            && let Some(plugged) = &shared.plugged
        {
            plugged.acm.appear(&mut self.out);
            self.told = Told::Device(shared.changes);
            info!("USB device plugged in");
        }
    }

    fn send(&mut self) -> Result<(), Ended> {
        while !self.out.bytes.is_empty() {
            match self.stream.write(&self.out.bytes) {
                Ok(count) => drop(self.out.bytes.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Err(Ended::Left),
                Err(error) => return Err(error.into()),
            }
        }
        if self.out.bytes.len() > MOST_UNSENT { Err(Ended::Deaf) } else { Ok(()) }
    }

    fn receive(&mut self) -> Result<(), Ended> {
        let mut bytes = [0; AT_ONCE];
        match self.stream.read(&mut bytes) {
            Ok(0) => Err(Ended::Left),
            Ok(count) => {
                self.decoder.push(&bytes[..count]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Err(Ended::Left),
            Err(error) => Err(error.into()),
        }
    }
}

impl Plugged {
    /// Carries what can be carried between guest and firmware.
    fn exchange(&mut self, out: &mut Encoder) {
        let mut bytes = [0; AT_ONCE];
        for (port, place) in self.streams.iter_mut().enumerate() {
            let Some(stream) = place else {
                // As bytes on a wire that nobody listens to.
                let count = self.acm.for_firmware(port).len();
                self.acm.firmware_took(port, count, out);
                continue;
            };
            let mut there = true;
            if self.acm.wants_bytes(port) {
                match (&**stream).read(&mut bytes) {
                    Ok(0) => there = false,
                    Ok(count) => self.acm.firmware_says(port, &bytes[..count], out),
                    Err(error) => there &= passing(&error),
                }
            }
            while there && !self.acm.for_firmware(port).is_empty() {
                match (&**stream).write(self.acm.for_firmware(port)) {
                    Ok(count) => self.acm.firmware_took(port, count, out),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => there &= passing(&error),
                }
            }
            if !there {
                *place = None;
            }
        }
    }
}

fn passing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

//! `org.adit.Hardware1.Status` and `org.adit.Hardware1.Control`, on sockets that adit-init bound. Contract: `docs/doors.md`.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixListener},
    sync::{Arc, Mutex},
};

use adit_bus::{
    door,
    hardware::{CONTROL_DOOR, HardwareStatus, OBJECT, STATUS_DOOR},
};
use adit_sys::{activation, seqpacket};
use tokio::sync::mpsc;
use zbus::fdo;

/// The sockets to answer on.
pub struct Doors {
    pub status: UnixListener,
    pub control: UnixListener,
}

impl Doors {
    /// The sockets that were passed to this process. Errors with the name of the one that was not.
    pub fn passed() -> io::Result<Self> {
        let mut sockets = activation::sockets()?;
        let mut take = |name: &str| {
            let place = sockets.iter().position(|(passed, _)| passed == name).ok_or_else(|| {
                let text = format!("no socket named {name} was passed in LISTEN_FDS; adit-init does that");
                io::Error::new(io::ErrorKind::NotFound, text)
            })?;
            Ok::<_, io::Error>(UnixListener::from(sockets.swap_remove(place).1))
        };
        Ok(Self { status: take(STATUS_DOOR)?, control: take(CONTROL_DOOR)? })
    }

    /// Answers until a listener fails. New holders' ends of the work path go to `holders`.
    pub async fn serve(
        self,
        status: Arc<Mutex<HardwareStatus>>,
        holders: mpsc::Sender<OwnedFd>,
    ) -> io::Result<()> {
        let listener = |socket: UnixListener| {
            socket.set_nonblocking(true)?;
            tokio::net::UnixListener::from_std(socket)
        };
        tokio::try_join!(
            door::serve(listener(self.status)?, OBJECT, move || StatusDoor(Arc::clone(&status))),
            door::serve(listener(self.control)?, OBJECT, move || ControlDoor(holders.clone())),
        )
        .map(|((), ())| ())
    }
}

struct StatusDoor(Arc<Mutex<HardwareStatus>>);

#[zbus::interface(name = "org.adit.Hardware1.Status")]
impl StatusDoor {
    fn read(&self) -> HardwareStatus {
        self.0.lock().expect("no holder of the status panics").clone()
    }
}

struct ControlDoor(mpsc::Sender<OwnedFd>);

#[zbus::interface(name = "org.adit.Hardware1.Control")]
impl ControlDoor {
    fn acquire_work(&self) -> fdo::Result<zbus::OwnedFd> {
        let (ours, theirs) = seqpacket::pair().map_err(|error| fdo::Error::NoMemory(error.to_string()))?;
        self.0
            .try_send(ours)
            .map_err(|_| fdo::Error::LimitsExceeded("several holders are already waiting".into()))?;
        Ok(zbus::OwnedFd::from(theirs))
    }
}

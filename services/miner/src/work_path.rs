//! The work path to adit-hardware: acquiring it, reading and writing packets. Decides nothing about work.

use std::{
    future::Future,
    io,
    os::{fd::OwnedFd, unix::net::UnixDatagram as StdSocket},
    path::{Path, PathBuf},
    pin::Pin,
    time::Duration,
};

use adit_bus::{
    door,
    hardware::{CONTROL_DOOR, HardwareControlDoorProxy},
};
use adit_sys::seqpacket;
use adit_work::frame::{FrameError, FromHardware, MAX_LEN, ToHardware};
use tokio::{
    io::Interest,
    net::UnixDatagram,
    time::{Instant, sleep_until},
};

use crate::backoff::Backoff;

/// The driver is on the same machine: a restart takes it a second or two.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A path that carried frames for so long did work.
const WORKED: Duration = Duration::from_secs(10);

/// What happened on the path.
#[derive(Debug)]
pub enum PathEvent {
    /// Acquired; the driver's Hello comes next.
    Open,
    Frame(FromHardware),
    /// A packet that is no frame; the path goes on.
    Corrupt(FrameError),
    /// The path is gone; it is acquired again by itself.
    Lost(String),
}

type Acquiring = Pin<Box<dyn Future<Output = Result<OwnedFd, String>> + Send>>;

/// tokio knows no `SOCK_SEQPACKET`; of its kinds of sockets the datagram is the one that adds nothing of its own. Packets are read and written by [`seqpacket`].
type Socket = UnixDatagram;

enum State {
    Waiting { until: Instant },
    Acquiring(Acquiring),
    Open { socket: Socket, since: Instant, broken: Option<String> },
}

/// The path, kept up for as long as it is asked for the next event.
pub struct WorkPath {
    door: PathBuf,
    backoff: Backoff,
    state: State,
}

impl WorkPath {
    /// `doors`: the folder of the doors' sockets.
    pub fn new(doors: &Path) -> Self {
        Self {
            door: doors.join(CONTROL_DOOR),
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            state: State::Waiting { until: Instant::now() },
        }
    }

    /// Waits for the next event. May be dropped and called again at any point.
    pub async fn next(&mut self) -> PathEvent {
        loop {
            match &mut self.state {
                State::Waiting { until } => {
                    sleep_until(*until).await;
                    self.state = State::Acquiring(Box::pin(acquire(self.door.clone())));
                }
                State::Acquiring(attempt) => match attempt.await.and_then(register) {
                    Ok(socket) => {
                        self.state = State::Open { socket, since: Instant::now(), broken: None };
                        return PathEvent::Open;
                    }
                    Err(reason) => return self.lost(reason),
                },
                State::Open { broken: Some(reason), .. } => {
                    let reason = std::mem::take(reason);
                    return self.lost(reason);
                }
                State::Open { socket, .. } => match receive(socket).await {
                    Ok(Some(frame)) => {
                        return frame.map_or_else(PathEvent::Corrupt, PathEvent::Frame);
                    }
                    Ok(None) => return self.lost("closed by the driver".to_owned()),
                    Err(error) => return self.lost(error.to_string()),
                },
            }
        }
    }

    /// Sends a frame at once, without waiting. What cannot be sent breaks the path, since the driver would miss a work that it counts on.
    pub fn send(&mut self, frame: &ToHardware) {
        if let State::Open { socket, broken: broken @ None, .. } = &mut self.state
            && let Err(error) = seqpacket::send(socket, frame.encode().as_bytes())
        {
            *broken = Some(match error.kind() {
                io::ErrorKind::WouldBlock => "the driver does not read".to_owned(),
                _ => error.to_string(),
            });
        }
    }

    fn lost(&mut self, reason: String) -> PathEvent {
        if let State::Open { since, .. } = &self.state
            && since.elapsed() >= WORKED
        {
            self.backoff.reset();
        }
        self.state = State::Waiting { until: Instant::now() + self.backoff.failed(fastrand::u32(..)) };
        PathEvent::Lost(reason)
    }
}

async fn acquire(door: PathBuf) -> Result<OwnedFd, String> {
    let acquired = async {
        let connection = door::connect(&door).await?;
        HardwareControlDoorProxy::new(&connection).await?.acquire_work().await
    };
    acquired.await.map(OwnedFd::from).map_err(|error| error.to_string())
}

fn register(socket: OwnedFd) -> Result<Socket, String> {
    let socket = StdSocket::from(socket);
    let registered = socket.set_nonblocking(true).and_then(|()| Socket::from_std(socket));
    registered.map_err(|error| error.to_string())
}

/// The next packet; `None` when the other end is closed.
async fn receive(socket: &Socket) -> io::Result<Option<Result<FromHardware, FrameError>>> {
    // One byte more than the longest frame, so that a longer packet is seen to be one.
    let mut packet = [0; MAX_LEN + 1];
    loop {
        socket.readable().await?;
        match socket.try_io(Interest::READABLE, || seqpacket::receive(socket, &mut packet)) {
            Ok(0) => return Ok(None),
            Ok(length) => return Ok(Some(FromHardware::decode(&packet[..length]))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Longer than any frame: it is refused for its length.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Ok(Some(FromHardware::decode(&packet)));
            }
            Err(error) => return Err(error),
        }
    }
}

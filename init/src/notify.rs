//! What services say about themselves: the sd_notify protocol, one datagram a message.
//!
//! The sender is known by the credentials that the kernel attaches, never by what the message claims. Understood today: READY,
//! STOPPING, STATUS, BARRIER, FDSTORE, FDSTOREREMOVE, FDNAME and the milestone; other keys of the protocol are passed over, as it
//! demands, and have their place in [`Message::parse`].

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::cmsg_space;
use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};
use rustix::process::Pid;

use crate::descriptors::FdOrder;

/// Bytes of one message, as in systemd.
const MAX_BYTES: usize = 4096;
const MAX_STATUS: usize = 200;
/// Descriptors taken with one message.
const MAX_DESCRIPTORS: usize = 16;

/// One message's content, as far as it is understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    pub ready: bool,
    pub stopping: bool,
    pub status: Option<String>,
    /// `X_ADIT_MILESTONE=first-work`.
    pub first_work: bool,
    /// What is to be done with the descriptors that came along.
    pub descriptors: Option<FdOrder>,
}

/// A message, who sent it, and the descriptors that came along. For BARRIER=1 that these are closed is the answer: all that was sent before has been read.
#[derive(Debug)]
pub struct Received {
    pub sender: Pid,
    pub message: Message,
    pub descriptors: Vec<Passed>,
}

/// A descriptor that somebody else has made.
#[derive(Debug)]
pub struct Passed(OwnedFd);

impl AsFd for Passed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Passed {
    fn from(descriptor: OwnedFd) -> Self {
        Passed(descriptor)
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        // A TCP socket that lingers would hold up whoever closes it for as long as its maker likes. Others are none, and say so.
        let _ = net::sockopt::set_socket_linger(&self.0, None);
    }
}

impl Message {
    /// Reads `KEY=value` lines; whatever is not understood is passed over.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut message = Message::default();
        let (mut store, mut remove, mut name) = (false, false, None);
        for line in bytes.split(|byte| *byte == b'\n') {
            match line {
                b"READY=1" => message.ready = true,
                b"STOPPING=1" => message.stopping = true,
                b"X_ADIT_MILESTONE=first-work" => message.first_work = true,
                b"FDSTORE=1" => store = true,
                b"FDSTOREREMOVE=1" => remove = true,
                _ => {
                    if let Some(status) = line.strip_prefix(b"STATUS=") {
                        message.status = Some(printable(status));
                    } else if let Some(given) = line.strip_prefix(b"FDNAME=") {
                        name = Some(given);
                    }
                }
            }
        }
        message.descriptors = FdOrder::of(store, remove, name);
        message
    }
}

/// A text that can stand in a line of the console, whatever was sent.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().filter(|c| !c.is_control()).take(MAX_STATUS).collect()
}

/// A datagram that was not believed.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    #[error("longer than {MAX_BYTES} bytes")]
    TooLong,
    #[error("with more than {MAX_DESCRIPTORS} descriptors, or more than can be open here")]
    TooManyDescriptors,
    #[error("without the sender's credentials")]
    NoSender,
    #[error(transparent)]
    Socket(#[from] io::Error),
}

/// The socket that `NOTIFY_SOCKET` names.
pub struct NotifySocket {
    socket: OwnedFd,
}

impl NotifySocket {
    pub fn bind(path: &Path) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        // Before the first sender can come: messages sent earlier would carry no credentials.
        net::sockopt::set_socket_passcred(&socket, true)?;
        net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(NotifySocket { socket })
    }

    /// The next message; none: no further one for the moment.
    pub fn receive(&self) -> Result<Option<Received>, NotifyError> {
        let mut bytes = [0; MAX_BYTES];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS), ScmCredentials(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let received =
            match net::recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags) {
                Ok(received) => received,
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(None),
                Err(error) => return Err(NotifyError::Socket(error.into())),
            };
        let (mut sender, mut descriptors) = (None, Vec::new());
        for message in ancillary.drain() {
            match message {
                RecvAncillaryMessage::ScmCredentials(credentials) => sender = Some(credentials.pid),
                RecvAncillaryMessage::ScmRights(sent) => descriptors.extend(sent.map(Passed)),
                _ => {}
            }
        }
        if received.flags.contains(ReturnFlags::TRUNC) {
            return Err(NotifyError::TooLong);
        }
        // The buffer's alignment may leave room for one more.
        if received.flags.contains(ReturnFlags::CTRUNC) || descriptors.len() > MAX_DESCRIPTORS {
            return Err(NotifyError::TooManyDescriptors);
        }
        let sender = sender.ok_or(NotifyError::NoSender)?;
        Ok(Some(Received { sender, message: Message::parse(&bytes[..received.bytes]), descriptors }))
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

//! Descriptors that adit-init holds for a service while it is away: `FDSTORE` of sd_notify(3). They come back with the doors, by name, in [`adit_sys::activation::sockets`].
//!
//! Without `NOTIFY_SOCKET` there is nobody to leave anything with, and nothing happens. Nothing here waits for adit-init, but [`take_back`] for as long as it says.

use std::{
    env,
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{
        AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
        SocketType, sendmsg_addr, socket_with,
    },
    pipe::{PipeFlags, pipe_with},
};

/// adit-init answers in its next turn, unless it sets the unit up just now.
const ANSWER: Duration = Duration::from_millis(500);

/// Leaves a copy of `descriptor` with adit-init, in the place of what it held under this name. From then on the file stays open until it is taken back, whatever becomes of this process.
///
/// Errors: `WouldBlock` while adit-init has too much to read, and what the socket says. That adit-init does not want it shows in adit-init's log only.
pub fn leave(name: &str, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let Some(socket) = socket_path() else { return Ok(()) };
    say(&socket, &format!("FDSTORE=1\nFDNAME={name}\n"), Some(descriptor))
}

/// Has adit-init close what it holds under this name. Returns when it is closed.
///
/// Errors: `TimedOut` when there is no answer within half a second, and as for [`leave`].
pub fn take_back(name: &str) -> io::Result<()> {
    let Some(socket) = socket_path() else { return Ok(()) };
    say(&socket, &format!("FDSTOREREMOVE=1\nFDNAME={name}\n"), None)?;
    wait_until_read(&socket)
}

fn socket_path() -> Option<PathBuf> {
    env::var_os("NOTIFY_SOCKET").map(PathBuf::from)
}

/// Messages are read in their order, and what comes with this one is closed then: the pipe hangs up.
fn wait_until_read(socket: &Path) -> io::Result<()> {
    let (closes, sent) = pipe_with(PipeFlags::CLOEXEC)?;
    say(socket, "BARRIER=1\n", Some(sent.as_fd()))?;
    drop(sent);
    let wait = Timespec::try_from(ANSWER).expect("half a second");
    match poll(&mut [PollFd::new(&closes, PollFlags::IN)], Some(&wait))? {
        0 => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer of adit-init")),
        _ => Ok(()),
    }
}

fn say(path: &Path, text: &str, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = descriptor.as_slice();
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let text = [IoSlice::new(text.as_bytes())];
    sendmsg_addr(&socket, &SocketAddrUnix::new(path)?, &text, &mut ancillary, SendFlags::DONTWAIT)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{io::Read, net::Shutdown, os::unix::net::UnixDatagram};

    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

    use super::*;

    /// One message as the kernel hands it over, with what came along.
    fn receive(socket: &UnixDatagram) -> (String, Vec<std::os::fd::OwnedFd>) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0; 256];
        let got =
            recvmsg(socket, &mut [io::IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC);
        let length = got.expect("a message waits").bytes;
        let descriptors = ancillary.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sent) => sent.collect(),
            _ => Vec::new(),
        });
        (String::from_utf8_lossy(&bytes[..length]).into_owned(), descriptors.collect())
    }

    #[test]
    fn a_copy_outlives_its_sender_and_a_socket_that_is_full_or_deaf_holds_nobody_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let init = UnixDatagram::bind(&path).expect("a socket");
        let (mut reader, writer) = io::pipe().expect("a pipe");
        say(&path, "FDSTORE=1\nFDNAME=gpiochip0-3\n", Some(writer.as_fd())).expect("sent");
        drop(writer);
        let (text, mut descriptors) = receive(&init);
        assert_eq!(text, "FDSTORE=1\nFDNAME=gpiochip0-3\n");
        let copy = descriptors.pop().expect("one came along");
        rustix::io::write(&copy, b"still open").expect("written");
        drop(copy);
        let mut all = String::new();
        reader.read_to_string(&mut all).expect("read");
        assert_eq!((all.as_str(), descriptors.len()), ("still open", 0));

        let answering = std::thread::spawn(move || {
            let (text, descriptors) = receive(&init);
            assert_eq!((text.as_str(), descriptors.len()), ("BARRIER=1\n", 1));
            drop(descriptors);
            init
        });
        wait_until_read(&path).expect("an answer");
        let init = answering.join().expect("it was asked");
        let deaf = wait_until_read(&path).expect_err("nobody reads");
        assert_eq!(deaf.kind(), io::ErrorKind::TimedOut);
        let full = (0..10_000).find_map(|_| say(&path, "STATUS=x\n", None).err()).expect("it gets full");
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        init.shutdown(Shutdown::Both).expect("closed");
    }
}

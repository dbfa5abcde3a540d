//! Pairs of `SOCK_SEQPACKET` sockets: one packet is one frame, order is kept, the other end's death is seen.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// Two connected ends, both non-blocking and closed on exec.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// Sends one packet, whole or not at all. Never waits, whatever the socket's flags say.
///
/// Errors: `WouldBlock` when the other end's queue is full, `BrokenPipe` when it is closed (no signal is raised).
pub fn send(socket: impl AsFd, packet: &[u8]) -> io::Result<()> {
    let sent = net::send(socket, packet, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
    debug_assert_eq!(sent, packet.len(), "SOCK_SEQPACKET does not split packets");
    Ok(())
}

/// Takes one packet and returns its length; 0: the other end is closed (so an empty packet, which no frame is, counts as
/// closing). Never waits.
///
/// Errors: `WouldBlock` when there is none, `InvalidData` when it is longer than `buffer` (it is consumed).
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let room = buffer.len();
    let (_, length) = net::recv(socket, buffer, RecvFlags::DONTWAIT | RecvFlags::TRUNC)?;
    if length > room {
        let text = format!("packet of {length} bytes, at most {room} are expected");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_keep_their_bounds_and_order() {
        let (a, b) = pair().unwrap();
        send(&a, b"one").unwrap();
        send(&a, b"second").unwrap();
        let mut buffer = [0; 16];
        assert_eq!(receive(&b, &mut buffer).unwrap(), 3);
        assert_eq!(receive(&b, &mut buffer).unwrap(), 6);
        assert_eq!(&buffer[..6], b"second");
        assert_eq!(receive(&b, &mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_packet_that_does_not_fit_is_refused_and_gone() {
        let (a, b) = pair().unwrap();
        send(&a, &[7; 93]).unwrap();
        send(&a, &[8; 4]).unwrap();
        let mut buffer = [0; 92];
        assert_eq!(receive(&b, &mut buffer).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(receive(&b, &mut buffer).unwrap(), 4);
    }

    #[test]
    fn a_full_queue_says_so_instead_of_waiting() {
        let (a, _b) = pair().unwrap();
        let full = (0..1_000_000).find_map(|_| send(&a, &[0; 92]).err()).expect("a queue is finite");
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn the_other_ends_death_is_seen() {
        let (a, b) = pair().unwrap();
        drop(b);
        assert_eq!(receive(&a, &mut [0; 4]).unwrap(), 0);
        assert_eq!(send(&a, b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}

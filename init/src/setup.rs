//! Small things that a machine needs once: a clock that is not absurd, a name, a loopback.

use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};
use serde::Deserialize;

const HOST_NAME: &[u8] = b"adit";

/// What is read of `/etc/adit/release.json`, which the image build writes.
#[derive(Deserialize)]
struct Release {
    /// Seconds since 1970.
    built: i64,
}

/// A board without a battery clock wakes up in 1970, where no certificate is valid: it cannot be earlier than when the image was built.
/// Returns by how much the clock was put forward.
pub fn raise_clock(release: &Path) -> io::Result<Option<Duration>> {
    let Release { built } = serde_json::from_slice(&std::fs::read(release)?)?;
    let now = clock_gettime(ClockId::Realtime).tv_sec;
    if now >= built {
        return Ok(None);
    }
    clock_settime(ClockId::Realtime, Timespec { tv_sec: built, tv_nsec: 0 })?;
    Ok(Some(Duration::from_secs(built.abs_diff(now))))
}

pub fn set_host_name() -> io::Result<()> {
    Ok(rustix::system::sethostname(HOST_NAME)?)
}

/// Sets the interface `lo`, which is number 1 in every network namespace, up: one RTM_NEWLINK message (rtnetlink(7)).
pub fn raise_loopback() -> io::Result<()> {
    /// Protocol 0 of its family.
    const NETLINK_ROUTE: Option<net::Protocol> = None;
    const RTM_NEWLINK: u16 = 16;
    const REQUEST_AND_ACKNOWLEDGE: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    const LENGTH: u32 = 32;
    const LOOPBACK: i32 = 1;
    let mut message = Vec::new();
    message.extend(LENGTH.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(REQUEST_AND_ACKNOWLEDGE.to_ne_bytes());
    message.extend([0; 8]); // sequence, port
    message.extend([0; 4]); // family, padding, device type
    message.extend(LOOPBACK.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes()); // flags
    message.extend(IFF_UP.to_ne_bytes()); // which of them to change
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, NETLINK_ROUTE)?;
    net::sendto(&socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    // The kernel has answered when the send returns: a header of 16 bytes and a negative error number.
    let mut answer = [0; 64];
    let (_, length) = net::recv(&socket, &mut answer, RecvFlags::empty())?;
    match answer[..length.min(64)].get(16..20).and_then(|code| code.try_into().ok()).map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, format!("answer of {length} bytes"))),
    }
}

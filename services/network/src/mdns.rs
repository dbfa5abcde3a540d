//! `NAME.local` and the unit's services for whoever looks on its segment: multicast DNS (RFC 6762) and DNS-SD (RFC 6763), as a responder that asks nobody.
//!
//! The parser and writer of packets are `simple-dns`; what is said when is decided in [`responder`], without IO. Here are the sockets. Packets are read at a bounded
//! rate and wait, or are lost, in the kernel's bounded buffers, so that a flood costs neither memory nor the service's other duties.

mod bucket;
mod packet;
mod records;
pub mod responder;

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use bucket::Bucket;
use packet::LONGEST_PACKET;
use responder::{Address, PORT, Responder};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::UdpSocket,
    sync::watch,
    time::{sleep, sleep_until},
};

const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

/// Packets that are looked at, a second. Hundreds of units that are switched on together stay below it.
const PACKETS: u32 = 500;
/// What the kernel keeps of a flood, for each family.
const BUFFER_BYTES: usize = 128 * 1024;
/// After a socket that could not be had.
const PAUSE: Duration = Duration::from_secs(30);

/// What the responder has to know of the unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) index: u32,
    pub(crate) link: String,
    pub(crate) mac: [u8; 6],
    /// Counts the times that the carrier came.
    pub(crate) arrivals: u64,
    pub(crate) host_name: String,
    pub(crate) addresses: Vec<Address>,
}

/// Answers as long as `sites` has a sender; says in `name` what the unit is called on the segment.
pub(crate) async fn run(mut sites: watch::Receiver<Option<Site>>, name: watch::Sender<Option<String>>) {
    loop {
        let site = sites.borrow_and_update().clone();
        let ended = match site {
            None => sites.changed().await.is_err(),
            Some(site) => match Sockets::open(&site) {
                Ok(sockets) => serve(&sockets, site, &mut sites, &name).await,
                Err(error) => {
                    tracing::warn!(target: "adit_network", "mDNS on {}: {error}", site.link);
                    tokio::select! {
                        changed = sites.changed() => changed.is_err(),
                        () = sleep(PAUSE) => false,
                    }
                }
            },
        };
        name.send_replace(None);
        if ended {
            return;
        }
    }
}

/// Until the unit's interface is another one (`false`) or the service ends (`true`).
async fn serve(
    sockets: &Sockets,
    mut site: Site,
    sites: &mut watch::Receiver<Option<Site>>,
    name: &watch::Sender<Option<String>>,
) -> bool {
    let mut responder = Responder::new(&site.host_name, site.mac, Instant::now());
    let mut budget = Bucket::new(PACKETS, Instant::now());
    responder.set_addresses(site.addresses.clone(), Instant::now());
    let mut buffer = [0; LONGEST_PACKET];
    loop {
        if let Some(packet) = responder.tick(Instant::now()) {
            sockets.multicast(&packet);
        }
        tell(responder.name(), name, &site);
        let wait = budget.wait(Instant::now());
        let deadline = responder.deadline();
        let socket = tokio::select! {
            changed = sites.changed() => {
                let new = sites.borrow_and_update().clone();
                match (changed, new) {
                    (Ok(()), Some(new)) if new.index == site.index && new.host_name == site.host_name => {
                        if new.arrivals != site.arrivals {
                            responder.begin_again(Instant::now());
                        }
                        responder.set_addresses(new.addresses.clone(), Instant::now());
                        site = new;
                    }
                    (changed, _) => {
                        if let Some(packet) = responder.goodbye() {
                            sockets.multicast(&packet);
                        }
                        return changed.is_err();
                    }
                }
                continue;
            }
            () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => continue,
            () = sleep(wait), if !wait.is_zero() => continue,
            socket = sockets.readable(), if wait.is_zero() => socket,
        };
        let now = Instant::now();
        budget.take(now);
        // An error is one packet's: something that was sent before did not arrive.
        let Ok((length, from)) = socket.try_recv_from(&mut buffer) else { continue };
        if let Some(answer) = responder.receive(&buffer[..length], from, now) {
            send(socket, &answer, from);
        }
    }
}

fn tell(new: Option<String>, name: &watch::Sender<Option<String>>, site: &Site) {
    let is_new = name.send_if_modified(|old| {
        let is_new = *old != new;
        old.clone_from(&new);
        is_new
    });
    let Some(new) = new.filter(|_| is_new) else { return };
    if new == format!("{}.local", site.host_name) {
        tracing::info!(target: "adit_network", "answers to {new} name={}", site.link);
    } else {
        tracing::warn!(target: "adit_network", "answers to {new} name={}: {}.local is taken", site.link, site.host_name);
    }
}

struct Sockets {
    v4: UdpSocket,
    v6: UdpSocket,
}

impl Sockets {
    /// Tied to the one interface: what comes in on another one is not for us.
    fn open(site: &Site) -> io::Result<Self> {
        let v4 = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
        prepare(&v4, site)?;
        v4.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)).into())?;
        v4.join_multicast_v4_n(&GROUP_V4, &socket2::InterfaceIndexOrAddress::Index(site.index))?;
        v4.set_multicast_loop_v4(false)?;
        v4.set_multicast_ttl_v4(255)?;
        v4.set_ttl_v4(255)?;
        let v6 = Socket::new(Domain::IPV6, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
        v6.set_only_v6(true)?;
        prepare(&v6, site)?;
        v6.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)).into())?;
        v6.join_multicast_v6(&GROUP_V6, site.index)?;
        v6.set_multicast_if_v6(site.index)?;
        v6.set_multicast_loop_v6(false)?;
        v6.set_multicast_hops_v6(255)?;
        v6.set_unicast_hops_v6(255)?;
        Ok(Self { v4: UdpSocket::from_std(v4.into())?, v6: UdpSocket::from_std(v6.into())? })
    }

    /// Returns one of the two that has something.
    async fn readable(&self) -> &UdpSocket {
        tokio::select! {
            _ = self.v4.readable() => &self.v4,
            _ = self.v6.readable() => &self.v6,
        }
    }

    fn multicast(&self, packet: &[u8]) {
        send(&self.v4, packet, (GROUP_V4, PORT).into());
        send(&self.v6, packet, (GROUP_V6, PORT).into());
    }
}

fn prepare(socket: &Socket, site: &Site) -> io::Result<()> {
    socket.bind_device(Some(site.link.as_bytes()))?;
    // Other programs of the unit may want to hear the same packets.
    socket.set_reuse_address(true)?;
    socket.set_recv_buffer_size(BUFFER_BYTES)
}

/// Never waits: a packet that does not go out is said again when somebody asks.
fn send(socket: &UdpSocket, packet: &[u8], to: SocketAddr) {
    if let Err(error) = socket.try_send_to(packet, to) {
        tracing::debug!(target: "adit_network", %to, %error, "mDNS");
    }
}

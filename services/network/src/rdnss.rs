//! Name servers that routers advertise (RDNSS, RFC 8106), for networks that have IPv6 alone.
//!
//! The kernel checks router advertisements, takes addresses and routes from them, and hands options that it has no use for to whoever listens on netlink.

use std::{
    net::Ipv6Addr,
    time::{Duration, Instant},
};

use adit_config::{MAX_DNS, is_unicast};
use anyhow::Context;
use rtnetlink::{
    MulticastGroup,
    sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket, protocols::NETLINK_ROUTE},
};
use socket2::{Domain, Protocol, Socket, Type};

const RTM_NEWNDUSEROPT: u16 = 68;
const ROUTER_ADVERTISEMENT: u8 = 134;
const RDNSS: u8 = 25;
/// `struct nlmsghdr`, `struct nduseroptmsg` (linux/netlink.h, linux/rtnetlink.h).
const NETLINK_HEADER: usize = 16;
const OPTION_HEADER: usize = 16;

/// Option 25 as it came in: how long these servers may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    /// The interface's number.
    pub index: u32,
    pub seconds: u32,
    pub servers: Vec<Ipv6Addr>,
}

/// The options 25 of a netlink message from the kernel. Other messages and options are passed over, and what is cut short ends it.
pub fn parse(message: &[u8]) -> Vec<Advertised> {
    let u16_at =
        |place: usize| message.get(place..place + 2).map(|bytes| u16::from_ne_bytes([bytes[0], bytes[1]]));
    let (Some(kind), Some(length)) = (u16_at(4), u16_at(NETLINK_HEADER + 2)) else { return Vec::new() };
    let index = message.get(NETLINK_HEADER + 4..NETLINK_HEADER + 8);
    let Some(index) = index.and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes) else {
        return Vec::new();
    };
    let start = NETLINK_HEADER + OPTION_HEADER;
    let is_advertisement = message.get(NETLINK_HEADER + 8) == Some(&ROUTER_ADVERTISEMENT);
    let options = message.get(start..start + usize::from(length));
    let (RTM_NEWNDUSEROPT, true, Some(mut options)) = (kind, is_advertisement, options) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    // Type, length in eights of bytes.
    while let [kind, eights, ..] = *options {
        let length = usize::from(eights) * 8;
        let Some(option) = options.get(..length).filter(|option| !option.is_empty()) else { break };
        options = &options[length..];
        if kind == RDNSS {
            let seconds = u32::from_be_bytes([option[4], option[5], option[6], option[7]]);
            let servers = option[8..].chunks_exact(16);
            let servers = servers.filter_map(|bytes| <[u8; 16]>::try_from(bytes).ok()).map(Ipv6Addr::from);
            found.push(Advertised {
                index,
                seconds,
                servers: servers.filter(|server| is_unicast(*server)).collect(),
            });
        }
    }
    found
}

/// The servers that may be asked now, in the order in which they came; no more than can be asked.
#[derive(Debug, Default)]
pub struct Servers {
    known: Vec<(Ipv6Addr, Option<Instant>)>,
}

impl Servers {
    /// A lifetime of nothing takes servers back, one of all ones never ends (RFC 8106 §5.1).
    pub fn hear(&mut self, advertised: &Advertised, now: Instant) {
        let until = match advertised.seconds {
            u32::MAX => None,
            seconds => Some(now + Duration::from_secs(u64::from(seconds))),
        };
        self.expire(now);
        for server in &advertised.servers {
            match self.known.iter().position(|(known, _)| known == server) {
                Some(place) => self.known[place].1 = until,
                None if self.known.len() < MAX_DNS => self.known.push((*server, until)),
                None => {}
            }
        }
        self.expire(now);
    }

    /// When the next one ends.
    pub fn deadline(&self) -> Option<Instant> {
        self.known.iter().filter_map(|(_, until)| *until).min()
    }

    /// Leaves out those whose time is over.
    pub fn expire(&mut self, now: Instant) {
        self.known.retain(|(_, until)| until.is_none_or(|until| until > now));
    }

    pub fn addresses(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.known.iter().map(|(server, _)| *server)
    }

    pub(crate) fn forget(&mut self) {
        self.known.clear();
    }
}

/// Hears the kernel.
pub(crate) struct Listener(TokioSocket);

impl Listener {
    pub(crate) fn open() -> anyhow::Result<Self> {
        let mut socket = TokioSocket::new(NETLINK_ROUTE).context("netlink")?;
        socket.socket_mut().bind(&SocketAddr::new(0, 0)).context("netlink")?;
        let group = MulticastGroup::NdUseropt as u32;
        socket.socket_mut().add_membership(group).context("netlink's router options")?;
        Ok(Self(socket))
    }

    /// What one message said. An error is one message's: the kernel had more of them than fit into the buffer.
    pub(crate) async fn next(&mut self) -> Vec<Advertised> {
        self.0.recv_from_full().await.map(|(message, _)| parse(&message)).unwrap_or_default()
    }
}

/// Asks routers to advertise themselves. The kernel does so when a link comes up, and not for a service that was started again.
pub(crate) fn solicit(link: &str, index: u32) -> std::io::Result<()> {
    const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
    /// Type 133; the kernel fills in the checksum (RFC 3542 §3.1).
    const SOLICITATION: [u8; 8] = [133, 0, 0, 0, 0, 0, 0, 0];
    let socket = Socket::new(Domain::IPV6, Type::RAW.nonblocking(), Some(Protocol::ICMPV6))?;
    socket.bind_device(Some(link.as_bytes()))?;
    socket.set_multicast_hops_v6(255)?;
    let to = std::net::SocketAddrV6::new(ALL_ROUTERS, 0, 0, index);
    socket.send_to(&SOLICITATION, &to.into()).map(drop)
}

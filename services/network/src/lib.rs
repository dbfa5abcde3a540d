//! adit-network: brings addresses and names up, and keeps them up; keeps the time. Ethernet only.
//!
//! In: `adit.toml` (`[network]`, `name`), the kernel's links (netlink), DHCP answers. Out: the first Ethernet interface configured, a file
//! with name servers that every other service reads (`/etc/resolv.conf` leads to it), the host name, the kernel's clock, the door
//! `network.status`.
//!
//! What it must never do: touch devices or slots, listen to anyone but the servers that it asked, be needed by another service's start.
//! A unit whose network is slow or broken mines as soon as the network is there. A wrong `adit.toml` does not take the unit off the network:
//! it comes up by DHCP, so that a person can reach it.
//!
//! * [`lease`]: what a DHCP server may say, checked. Pure.
//! * [`links`]: interfaces, addresses and routes, through `rtnetlink`.
//! * [`choice`]: which interface is meant. Pure.
//! * [`view`]: what the kernel has on the interface now.
//! * [`mdns`]: `NAME.local`, and how people find units.
//! * [`rdnss`]: name servers that routers advertise.
//! * [`resolver`]: the file with name servers.
//! * [`time`]: the clock.

pub mod choice;
mod dhcp;
pub mod lease;
mod links;
pub mod mdns;
mod network;
pub mod rdnss;
pub mod resolver;
mod settings;
mod status_door;
pub mod time;
mod view;

pub use network::{Surroundings, run};

//! What a DHCP server may tell the unit. Anyone on the segment can answer, so that every value is checked before the kernel sees it.

use std::net::{IpAddr, Ipv4Addr};

use adit_config::{MAX_DNS, MAX_NTP, StaticAddress, is_host, is_unicast, same_network};
use mozim::DhcpV4Lease;

/// Shortest lease that is taken: a server that gives less would keep the unit busy with nothing else. Ten seconds let tests renew.
const SHORTEST_LEASE_S: u32 = 10;

/// The IPv4 configuration of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipv4 {
    pub address: Ipv4Addr,
    pub prefix: u8,
    pub gateway: Option<Ipv4Addr>,
    /// Seconds after which the kernel shall drop the address by itself; none: never.
    pub lifetime_s: Option<u32>,
    pub dns: Vec<IpAddr>,
    pub ntp: Vec<IpAddr>,
}

/// Why an answer is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("{0} is not an address for a host")]
    Address(Ipv4Addr),
    #[error("{0} is not a network mask")]
    Mask(Ipv4Addr),
    #[error("{address} is the network's own or its broadcast address in /{prefix}")]
    NotAHost { address: Ipv4Addr, prefix: u8 },
    #[error("a lease of {0} s is too short")]
    TooShort(u32),
}

impl Ipv4 {
    /// From an answer that [`mozim`] has taken apart. Gateways, name servers and time sources that no host can be are left out; a wrong address,
    /// mask or lease time refuses the whole.
    pub fn from_lease(lease: &DhcpV4Lease) -> Result<Self, Refused> {
        let address = lease.yiaddr;
        if !is_unicast(address) {
            return Err(Refused::Address(address));
        }
        let mask = u32::from(lease.subnet_mask);
        let prefix = mask.leading_ones();
        if prefix == 0 || mask.count_ones() != prefix {
            return Err(Refused::Mask(lease.subnet_mask));
        }
        let prefix = u8::try_from(prefix).expect("at most 32 bits");
        if !is_host(address, prefix) {
            return Err(Refused::NotAHost { address, prefix });
        }
        if lease.lease_time_sec < SHORTEST_LEASE_S {
            return Err(Refused::TooShort(lease.lease_time_sec));
        }
        let usable = |router: &Ipv4Addr| {
            is_unicast(*router) && *router != address && same_network(*router, address, prefix)
        };
        // RFC 3442: where there are classless routes, the router option does not count; of them only the default is used.
        let routers: Vec<Ipv4Addr> = match &lease.classless_routes {
            Some(routes) => {
                routes.iter().filter(|route| route.prefix_length == 0).map(|route| route.router).collect()
            }
            None => lease.gateways.clone().unwrap_or_default(),
        };
        let gateway = routers.into_iter().find(usable);
        let several = |servers: &Option<Vec<Ipv4Addr>>, most: usize| {
            let mut found: Vec<IpAddr> = Vec::new();
            for server in servers.iter().flatten().filter(|server| is_unicast(**server)) {
                if found.len() < most && !found.contains(&IpAddr::V4(*server)) {
                    found.push(IpAddr::V4(*server));
                }
            }
            found
        };
        Ok(Self {
            address,
            prefix,
            gateway,
            // All ones is a lease without an end (RFC 2131 §3.3).
            lifetime_s: (lease.lease_time_sec != u32::MAX).then_some(lease.lease_time_sec),
            dns: several(&lease.dns_srvs, MAX_DNS),
            ntp: several(&lease.ntp_srvs, MAX_NTP),
        })
    }

    /// What a person wrote, checked by `adit-config`.
    pub fn from_static(own: StaticAddress) -> Self {
        Self {
            address: own.address,
            prefix: own.prefix,
            gateway: own.gateway,
            lifetime_s: None,
            dns: Vec::new(),
            ntp: Vec::new(),
        }
    }
}

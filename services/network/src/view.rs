//! What the kernel has on an interface: also what router advertisements brought, of which it tells nobody else.

use std::net::IpAddr;

use anyhow::Context;
use futures_util::TryStreamExt;
use rtnetlink::{
    RouteMessageBuilder,
    packet_route::{
        address::{AddressAttribute, AddressHeaderFlags, AddressMessage},
        route::{RouteAddress, RouteAttribute, RouteMessage},
    },
};

use crate::links::Links;

/// Addresses and routers that are looked at: nobody can fill memory with router advertisements.
const MOST: usize = 16;

/// Addresses that can be used, with the bits of their networks, and default routers, the preferred one first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) addresses: Vec<(IpAddr, u8)>,
    pub(crate) gateways: Vec<IpAddr>,
}

impl View {
    /// The addresses to tell others: those of the link alone (fe80::/10) only when there are no others.
    pub(crate) fn reachable(&self) -> Vec<(IpAddr, u8)> {
        let is_wide =
            |(address, _): &&(IpAddr, u8)| !matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let wide: Vec<_> = self.addresses.iter().filter(is_wide).copied().collect();
        if wide.is_empty() { self.addresses.clone() } else { wide }
    }
}

impl Links {
    pub(crate) async fn view(&self, index: u32) -> anyhow::Result<View> {
        let request = self.handle.address().get().set_link_index_filter(index);
        let addresses: Vec<AddressMessage> = request.execute().try_collect().await.context("addresses")?;
        let mut view =
            View { addresses: addresses.iter().filter_map(usable).collect(), gateways: Vec::new() };
        // In an order that stays when an address is renewed.
        view.addresses.sort_unstable();
        view.addresses.dedup();
        view.addresses.truncate(MOST);
        for request in [
            RouteMessageBuilder::<std::net::Ipv4Addr>::new().build(),
            RouteMessageBuilder::<std::net::Ipv6Addr>::new().build(),
        ] {
            let routes: Vec<RouteMessage> =
                self.handle.route().get(request).execute().try_collect().await.context("routes")?;
            let found = routes.iter().filter_map(|route| default_router(route, index));
            view.gateways.extend(found.take(MOST));
        }
        Ok(view)
    }
}

/// Not an address whose uniqueness is still being asked for, or that another machine has.
fn usable(message: &AddressMessage) -> Option<(IpAddr, u8)> {
    let unusable =
        AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed | AddressHeaderFlags::Deprecated;
    if message.header.flags.intersects(unusable) {
        return None;
    }
    let find = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| message.attributes.iter().find_map(wanted);
    // IPv4: "address" is the other end of a point-to-point link. IPv6 has no "local" but there.
    let local = find(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address = find(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    });
    Some((local.or(address)?, message.header.prefix_len))
}

fn default_router(message: &RouteMessage, index: u32) -> Option<IpAddr> {
    let is_here = message.attributes.contains(&RouteAttribute::Oif(index));
    if message.header.destination_prefix_length != 0 || !is_here {
        return None;
    }
    message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(router)) => Some(IpAddr::V4(*router)),
        RouteAttribute::Gateway(RouteAddress::Inet6(router)) => Some(IpAddr::V6(*router)),
        _ => None,
    })
}

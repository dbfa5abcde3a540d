//! The kernel's interfaces, addresses and routes. Everything here makes it so: it may be called again after a restart, and finds what is there.

use std::net::{Ipv4Addr, Ipv6Addr};

use adit_config::StaticIpv6;
use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt};
use rtnetlink::{
    Handle, LinkUnspec, LinkVlan, MulticastGroup, RouteMessageBuilder, new_multicast_connection,
    packet_core::NetlinkPayload,
    packet_route::{
        AddressFamily,
        address::{AddressAttribute, AddressMessage, CacheInfo},
        link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage},
        route::RouteProtocol,
    },
};
use tokio::{
    sync::mpsc,
    time::{Duration, Instant, sleep_until},
};

use crate::{choice::Link, lease::Ipv4};

/// Changes that wait to be looked at. More are not needed: each only says "look again".
const PENDING_CHANGES: usize = 1;

/// Changes are not looked at more often: some of them, as routes and addresses from router advertisements, are made by strangers.
const PAUSE: Duration = Duration::from_millis(50);

const GROUPS: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
];

/// Talks to the kernel.
pub(crate) struct Links {
    pub(crate) handle: Handle,
    changed: mpsc::Receiver<()>,
    /// Not before this is the next change looked at.
    next: Instant,
}

impl Links {
    /// Starts two tasks that live as long as the runtime.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let (connection, handle, mut messages) = new_multicast_connection(&GROUPS).context("netlink")?;
        tokio::spawn(connection);
        let (sender, changed) = mpsc::channel(PENDING_CHANGES);
        tokio::spawn(async move {
            while let Some((message, _)) = messages.next().await {
                if matches!(message.payload, NetlinkPayload::InnerMessage(_))
                    && let Err(mpsc::error::TrySendError::Closed(())) = sender.try_send(())
                {
                    return;
                }
            }
        });
        Ok(Self { handle, changed, next: Instant::now() })
    }

    /// Returns when an interface, an address or a route has changed. `None`: the kernel's socket is gone. Cancel-safe.
    pub(crate) async fn changed(&mut self) -> Option<()> {
        sleep_until(self.next).await;
        self.changed.recv().await?;
        self.next = Instant::now() + PAUSE;
        Some(())
    }

    /// Every Ethernet interface.
    pub(crate) async fn ethernet(&self) -> anyhow::Result<Vec<Link>> {
        let links: Vec<LinkMessage> =
            self.handle.link().get().execute().try_collect().await.context("links")?;
        Ok(links.iter().filter_map(ethernet).collect())
    }

    pub(crate) async fn up(&self, index: u32) -> anyhow::Result<()> {
        let message = LinkUnspec::new_with_index(index).up().build();
        self.handle.link().set(message).execute().await.context("switching the link on")
    }

    /// The VLAN interface `tag` on top of `port`, made when it is not there.
    pub(crate) async fn vlan(&self, port: &Link, tag: u16) -> anyhow::Result<Link> {
        let name = format!("vlan{tag}");
        let find = async || -> anyhow::Result<Option<Link>> {
            Ok(self.ethernet().await?.into_iter().find(|link| link.name == name))
        };
        if let Some(link) = find().await? {
            return Ok(link);
        }
        let message = LinkVlan::new(&name, port.index, tag).build();
        self.handle.link().add(message).execute().await.with_context(|| format!("VLAN {tag}"))?;
        find().await?.with_context(|| format!("{name} has vanished"))
    }

    /// Makes `wanted` the only IPv4 address of the interface, with its default route.
    pub(crate) async fn set(&self, index: u32, wanted: &Ipv4) -> anyhow::Result<()> {
        // The new address comes first: an interface that loses its last one loses its routes, and connections with them.
        let address = self.handle.address();
        let mut request = address.add(index, wanted.address.into(), wanted.prefix).replace();
        if let Some(seconds) = wanted.lifetime_s {
            let mut lifetime = CacheInfo::default();
            (lifetime.ifa_valid, lifetime.ifa_preferred) = (seconds, seconds);
            request.message_mut().attributes.push(AddressAttribute::CacheInfo(lifetime));
        }
        request.execute().await.with_context(|| format!("address {}/{}", wanted.address, wanted.prefix))?;
        self.remove(index, |address, prefix| (address, prefix) != (wanted.address, wanted.prefix)).await?;
        if let Some(gateway) = wanted.gateway {
            let route = RouteMessageBuilder::<Ipv4Addr>::new()
                .gateway(gateway)
                .output_interface(index)
                // Goes when the address goes.
                .pref_source(wanted.address)
                .protocol(RouteProtocol::Static)
                .build();
            let request = self.handle.route().add(route).replace();
            request.execute().await.with_context(|| format!("route over {gateway}"))?;
        }
        Ok(())
    }

    /// Adds an IPv6 address for good, with its default route.
    pub(crate) async fn set_ipv6(&self, index: u32, wanted: StaticIpv6) -> anyhow::Result<()> {
        let StaticIpv6 { address, prefix, gateway } = wanted;
        let request = self.handle.address().add(index, address.into(), prefix).replace();
        request.execute().await.with_context(|| format!("address {address}/{prefix}"))?;
        let Some(gateway) = gateway else { return Ok(()) };
        let route = RouteMessageBuilder::<Ipv6Addr>::new()
            .gateway(gateway)
            .output_interface(index)
            .protocol(RouteProtocol::Static)
            .build();
        let request = self.handle.route().add(route).replace();
        request.execute().await.with_context(|| format!("route over {gateway}"))
    }

    /// Takes every IPv4 address off the interface.
    pub(crate) async fn clear(&self, index: u32) -> anyhow::Result<()> {
        self.remove(index, |_, _| true).await
    }

    async fn remove(&self, index: u32, unwanted: impl Fn(Ipv4Addr, u8) -> bool) -> anyhow::Result<()> {
        let found: Vec<AddressMessage> = self
            .handle
            .address()
            .get()
            .set_link_index_filter(index)
            .execute()
            .try_collect()
            .await
            .context("addresses")?;
        for message in found {
            let prefix = message.header.prefix_len;
            let is_unwanted = message.attributes.iter().any(|attribute| {
                matches!(attribute, AddressAttribute::Local(std::net::IpAddr::V4(found)) if unwanted(*found, prefix))
            });
            if message.header.family == AddressFamily::Inet && is_unwanted {
                self.handle.address().del(message).execute().await.context("removing an address")?;
            }
        }
        Ok(())
    }
}

/// `None` for anything but Ethernet.
fn ethernet(message: &LinkMessage) -> Option<Link> {
    let header = &message.header;
    if header.link_layer_type != LinkLayerType::Ether {
        return None;
    }
    let (mut name, mut mac, mut port, mut carrier) = (None, None, true, false);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(text.clone()),
            LinkAttribute::Address(bytes) => mac = bytes.as_slice().try_into().ok(),
            LinkAttribute::Carrier(value) => carrier = *value == 1,
            LinkAttribute::LinkInfo(infos) => {
                port = infos.iter().all(|info| match info {
                    LinkInfo::Kind(kind) => *kind == InfoKind::Veth,
                    _ => true,
                });
            }
            _ => {}
        }
    }
    let carrier = carrier && header.flags.contains(LinkFlags::Up);
    Some(Link { index: header.index, name: name?, mac: mac?, port, carrier })
}

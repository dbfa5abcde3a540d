//! The service's loop: carrier comes and goes, leases come and go, and the interface follows.

use std::{
    future::Future,
    net::IpAddr,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    time::Duration,
};

use adit_bus::network::NetworkStatus;
use adit_config::{Addressing, Network};
use anyhow::Context;
use sd_notify::NotifyState;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    choice::{Link, choose},
    dhcp::{Dhcp, News},
    lease::Ipv4,
    links::Links,
    mdns::{self, Site},
    rdnss::{self, Servers},
    resolver, settings, status_door, time,
    view::View,
};

/// Readiness is said after this time without a network too: nothing on the unit waits for it.
const READY_ANYWAY: Duration = Duration::from_secs(5);
/// For saving the time at the end. adit-init waits for two seconds in all.
const LAST_WRITE: Duration = Duration::from_secs(1);
/// Longest time that the name's goodbye may take on the way down.
const GOODBYE: Duration = Duration::from_millis(200);

/// What the service finds.
pub struct Surroundings {
    /// `adit.toml`, which may be absent.
    pub config: Option<PathBuf>,
    /// The file for name servers.
    pub resolver: PathBuf,
    /// The socket of the door `network.status`, bound by adit-init.
    pub status: Option<UnixListener>,
    pub time: time::Places,
}

/// Runs until `stop`. What is configured stays: a restart of this service does not interrupt mining.
pub async fn run(surroundings: Surroundings, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let (name, network) = settings::read(surroundings.config.as_deref());
    let host_name = name.unwrap_or_else(|| "adit".to_owned());
    if let Err(error) = rustix::system::sethostname(host_name.as_bytes()) {
        tracing::warn!(target: "adit_network", "host name {host_name}: {error}");
    }
    let (sites, known_sites) = watch::channel(None);
    let (local_name, known_name) = watch::channel(None);
    let (status, known_status) = watch::channel(NetworkStatus::default());
    let door = status_door::serve(surroundings.status, known_status, known_name);
    let names = tokio::spawn(mdns::run(known_sites, local_name));
    let (offer, offers) = watch::channel(None);
    let keeper = tokio::spawn(time::run(surroundings.time, network.clone(), offers));
    let mut service = Service {
        links: Links::open()?,
        network,
        host_name,
        resolver: surroundings.resolver,
        link: None,
        arrivals: 0,
        sites,
        status,
        dhcp: Dhcp::default(),
        offered_dns: Vec::new(),
        advertised_dns: Servers::default(),
        ready: false,
        offer,
        complaints: Vec::new(),
    };
    let mut routers = rdnss::Listener::open()?;
    service.write_resolver();
    service.look_again().await?;
    let late = Instant::now() + READY_ANYWAY;
    tokio::pin!(stop, door);
    loop {
        let dns_ends = service.advertised_dns.deadline();
        tokio::select! {
            () = &mut stop => {
                say(&[NotifyState::Stopping]);
                drop(service);
                let _ = timeout(GOODBYE, names).await;
                // A disk that hangs must not hold up the end.
                let _ = timeout(LAST_WRITE, keeper).await;
                return Ok(());
            }
            () = sleep_until(late), if !service.ready => {
                tracing::warn!(target: "adit_network", "no network yet ms={}", READY_ANYWAY.as_millis());
                service.say_ready();
            }
            changed = service.links.changed() => {
                changed.context("the kernel's netlink socket is closed")?;
                service.look_again().await?;
            }
            news = service.dhcp.next() => service.hear(news).await,
            found = routers.next() => service.hear_routers(&found),
            () = sleep_until(dns_ends.unwrap_or_else(std::time::Instant::now).into()), if dns_ends.is_some() => {
                service.advertised_dns.expire(std::time::Instant::now());
                service.write_resolver();
            }
            ended = &mut door => return ended.context("the door network.status"),
        }
    }
}

struct Service {
    links: Links,
    network: Network,
    host_name: String,
    resolver: PathBuf,
    /// The interface that is configured, as it was seen last.
    link: Option<Link>,
    /// How often the carrier came.
    arrivals: u64,
    /// What the responder for `NAME.local` is told.
    sites: watch::Sender<Option<Site>>,
    /// What the door says.
    status: watch::Sender<NetworkStatus>,
    dhcp: Dhcp,
    /// By the DHCP server.
    offered_dns: Vec<IpAddr>,
    /// By routers.
    advertised_dns: Servers,
    ready: bool,
    /// What the network gives, for whoever keeps the time.
    offer: watch::Sender<time::Offer>,
    complaints: Vec<String>,
}

impl Service {
    /// Compares the kernel's interfaces with what was there before.
    async fn look_again(&mut self) -> anyhow::Result<()> {
        let Some(link) = self.find().await? else {
            if let Some(old) = self.link.take() {
                tracing::warn!(target: "adit_network", "interface gone name={}", old.name);
                self.dhcp.stop();
                self.sites.send_replace(None);
            }
            self.tell_door(None, &View::default());
            return Ok(());
        };
        let before = self.link.replace(link.clone());
        let is_new = before.as_ref().is_none_or(|before| before.index != link.index);
        let had_carrier = before.is_some_and(|before| before.carrier) && !is_new;
        if is_new {
            self.prepare(&link).await;
        }
        match (had_carrier, link.carrier) {
            (false, true) => {
                tracing::info!(target: "adit_network", "link up name={} mac={}", link.name, mac(link.mac));
                self.arrivals += 1;
                if let Err(error) = rdnss::solicit(&link.name, link.index) {
                    tracing::debug!(target: "adit_network", %error, "asking for routers");
                }
                if self.network.addressing == Addressing::Dhcp
                    && let Err(error) = self.dhcp.start(&link, &self.host_name).await
                {
                    self.complain(&format!("DHCP on {}: {error}", link.name));
                }
            }
            // The address stays until its lease ends: most losses are a moment's, and connections survive them.
            (true, false) => {
                tracing::warn!(target: "adit_network", "link down name={}", link.name);
                self.dhcp.stop();
            }
            _ => {}
        }
        let view = match self.links.view(link.index).await {
            Ok(view) => view,
            Err(error) => {
                self.complain(&format!("{}: {error:#}", link.name));
                return Ok(());
            }
        };
        self.tell_names(&link, &view);
        self.tell_door(Some(&link), &view);
        Ok(())
    }

    fn tell_door(&self, link: Option<&Link>, view: &View) {
        let source = match self.network.addressing {
            Addressing::Dhcp => "dhcp",
            Addressing::Static(_) => "static",
        };
        self.status.send_modify(|status| {
            status.link = link.map(|link| link.name.clone()).unwrap_or_default();
            status.mac = link.map(|link| mac(link.mac)).unwrap_or_default();
            status.carrier = link.is_some_and(|link| link.carrier);
            status.source = source.to_owned();
            status.addresses =
                view.addresses.iter().map(|(address, prefix)| format!("{address}/{prefix}")).collect();
            status.gateways = view.gateways.iter().map(IpAddr::to_string).collect();
            status.host_name.clone_from(&self.host_name);
        });
    }

    fn tell_names(&self, link: &Link, view: &View) {
        let site = Site {
            index: link.index,
            link: link.name.clone(),
            mac: link.mac,
            arrivals: self.arrivals,
            host_name: self.host_name.clone(),
            addresses: view.reachable(),
        };
        self.sites.send_if_modified(|old| {
            let is_new = old.as_ref() != Some(&site);
            *old = Some(site);
            is_new
        });
    }

    /// The first Ethernet port, or the VLAN on it that the configuration asks for.
    async fn find(&mut self) -> anyhow::Result<Option<Link>> {
        let links = self.links.ethernet().await?;
        let Some(port) = choose(&links) else { return Ok(None) };
        let Some(tag) = self.network.vlan else { return Ok(Some(port.clone())) };
        if !port.carrier
            && let Err(error) = self.links.up(port.index).await
        {
            self.complain(&format!("{}: {error:#}", port.name));
        }
        match self.links.vlan(port, tag).await {
            Ok(link) => Ok(Some(link)),
            Err(error) => {
                self.complain(&format!("{}: {error:#}", port.name));
                Ok(None)
            }
        }
    }

    /// What an interface needs once: router advertisements on this one only, the link on, static addresses.
    async fn prepare(&mut self, link: &Link) {
        self.advertised_dns.forget();
        let own = self.network.ipv6;
        let has_router = own.is_some_and(|own| own.gateway.is_some());
        // Addresses from advertisements carry the Ethernet address and stay the same: a farm's lists can name them.
        for (name, value) in [
            ("accept_ra", "1"),
            ("autoconf", if own.is_some() { "0" } else { "1" }),
            ("accept_ra_defrtr", if has_router { "0" } else { "1" }),
        ] {
            let switch = Path::new("/proc/sys/net/ipv6/conf").join(&link.name).join(name);
            if let Err(error) = std::fs::write(&switch, value) {
                self.complain(&format!("{}: {error}", switch.display()));
            }
        }
        if let Err(error) = self.links.up(link.index).await {
            self.complain(&format!("{}: {error:#}", link.name));
        }
        if let Addressing::Static(own) = self.network.addressing {
            self.configure(&Ipv4::from_static(own)).await;
        }
        if let Some(own) = own {
            match self.links.set_ipv6(link.index, own).await {
                Ok(()) => {
                    let gateway =
                        own.gateway.map_or_else(|| "none".to_owned(), |gateway| gateway.to_string());
                    tracing::info!(
                        target: "adit_network",
                        "address {}/{} name={} gateway={gateway}", own.address, own.prefix, link.name
                    );
                }
                Err(error) => self.complain(&format!("{}: {error:#}", link.name)),
            }
        }
    }

    async fn hear(&mut self, news: News) {
        match news {
            News::Bound(ipv4) => self.configure(&ipv4).await,
            News::Lost => {
                self.offered_dns.clear();
                self.write_resolver();
                let Some(link) = &self.link else { return };
                match self.links.clear(link.index).await {
                    Ok(()) => tracing::warn!(target: "adit_network", "no lease name={}", link.name),
                    Err(error) => self.complain(&format!("{error:#}")),
                }
            }
        }
    }

    async fn configure(&mut self, ipv4: &Ipv4) {
        let Some(link) = &self.link else { return };
        if let Err(error) = self.links.set(link.index, ipv4).await {
            let text = format!("{}: {error:#}", link.name);
            return self.complain(&text);
        }
        let gateway = ipv4.gateway.map_or_else(|| "none".to_owned(), |gateway| gateway.to_string());
        let lease_s = ipv4.lifetime_s.map_or_else(|| "forever".to_owned(), |seconds| seconds.to_string());
        self.offered_dns.clone_from(&ipv4.dns);
        tracing::info!(
            target: "adit_network",
            "address {}/{} name={} gateway={gateway} dns={} lease_s={lease_s}",
            ipv4.address, ipv4.prefix, link.name, self.name_servers().len()
        );
        self.write_resolver();
        self.offer.send_if_modified(|before| before.replace(ipv4.ntp.clone()).as_ref() != before.as_ref());
        self.say_ready();
    }

    fn hear_routers(&mut self, found: &[rdnss::Advertised]) {
        let Some(link) = &self.link else { return };
        let before = self.name_servers();
        for advertised in found.iter().filter(|found| found.index == link.index) {
            self.advertised_dns.hear(advertised, std::time::Instant::now());
        }
        if self.name_servers() != before {
            let dns = self.name_servers().len();
            tracing::info!(target: "adit_network", "name servers from a router name={} dns={dns}", link.name);
            self.write_resolver();
        }
    }

    /// What the configuration says, else what the DHCP server does, else what routers do.
    fn name_servers(&self) -> Vec<String> {
        let text = |servers: &[IpAddr]| servers.iter().map(IpAddr::to_string).collect();
        let scope = self.link.as_ref().map(|link| link.name.as_str()).unwrap_or_default();
        match (&self.network.dns[..], &self.offered_dns[..]) {
            ([], []) => {
                let advertised = self.advertised_dns.addresses();
                let scoped = advertised.map(|server| {
                    if server.is_unicast_link_local() {
                        format!("{server}%{scope}")
                    } else {
                        server.to_string()
                    }
                });
                scoped.collect()
            }
            ([], offered) => text(offered),
            (own, _) => text(own),
        }
    }

    fn write_resolver(&mut self) {
        let servers = self.name_servers();
        if let Err(error) = resolver::write(&self.resolver, &servers) {
            let text = format!("{}: {error}", self.resolver.display());
            self.complain(&text);
        }
        if !servers.is_empty() && self.link.as_ref().is_some_and(|link| link.carrier) {
            // A network without IPv4 is one too.
            self.offer
                .send_if_modified(|before| before.is_none().then(|| *before = Some(Vec::new())).is_some());
        }
        self.status.send_modify(|status| status.dns = servers);
    }

    fn say_ready(&mut self) {
        if !self.ready {
            self.ready = true;
            say(&[NotifyState::Ready]);
        }
    }

    /// Logs each text once, and not more of them than anyone reads.
    fn complain(&mut self, text: &str) {
        const KINDS: usize = 32;
        if self.complaints.len() < KINDS && !self.complaints.iter().any(|known| known == text) {
            tracing::warn!(target: "adit_network", "{text}");
            self.complaints.push(text.to_owned());
        }
    }
}

fn mac(bytes: [u8; 6]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}

/// To adit-init. Without `NOTIFY_SOCKET` nothing is said.
fn say(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(target: "adit_network", %error, "adit-init was not reached");
    }
}

//! Keeps strangers within limits: how many, how long, how large. What they ask is [`crate::routes`]' matter.

use std::{
    collections::HashMap,
    future::Future,
    net::{IpAddr, Ipv6Addr},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use sd_notify::NotifyState;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

use crate::{
    TARGET, notify,
    routes::{self, Gateway},
};

/// What strangers may take up.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time; further ones wait in the listening socket's queue.
    pub connections: usize,
    /// Connections at a time from one address; further ones are closed at once. An IPv6 network of 64 bits counts as one address.
    pub per_address: usize,
    /// Longest time from one answer (or the connection's start) to the end of the next request's head.
    pub head: Duration,
    /// Longest life of a connection, however busy: it bounds a slow reader too. Clients that stay connect again.
    pub life: Duration,
    /// How long an answer that is under way may take after that, or after the order to end.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            per_address: 16,
            head: Duration::from_secs(10),
            life: Duration::from_secs(60),
            grace: Duration::from_secs(2),
        }
    }
}

/// Longest head of a request, and how many fields it may have: a browser's has about twenty in 1 KB.
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_FIELDS: usize = 64;

/// Pause after the kernel refused a connection, for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Connections since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connections {
    pub served: u64,
    /// Closed because their address had too many.
    pub refused: u64,
}

/// [`Connections`] as they are counted.
#[derive(Debug, Default)]
pub struct Counters {
    served: AtomicU64,
    refused: AtomicU64,
}

impl Counters {
    pub fn now(&self) -> Connections {
        Connections {
            served: self.served.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

/// Answers on `listener` until `shutdown` is ready and the answers under way are out.
pub async fn serve(
    listener: TcpListener,
    gateway: &Arc<Gateway>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let router = routes::router(Arc::clone(gateway));
    let places = Arc::new(Semaphore::new(limits.connections));
    let addresses = Addresses::default();
    let (end, ending) = watch::channel(());
    let accept = async {
        let mut complained = false;
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let (stream, from) = match listener.accept().await {
                Ok((stream, address)) => (stream, address.ip()),
                Err(error) => {
                    if !std::mem::replace(&mut complained, true) {
                        warn!(target: TARGET, %error, "accept; said once");
                    }
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(guest) = addresses.admit(from, limits.per_address) else {
                if gateway.counters.refused.fetch_add(1, Ordering::Relaxed) == 0 {
                    warn!(target: TARGET, %from, limit = limits.per_address, "too many connections from one address; further ones are only counted");
                }
                continue;
            };
            gateway.counters.served.fetch_add(1, Ordering::Relaxed);
            let (router, mut ending) = (router.clone(), ending.clone());
            tokio::spawn(async move {
                connection(stream, router, limits, async move { _ = ending.changed().await }).await;
                drop((guest, place));
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = shutdown => {}
    }
    notify(NotifyState::Stopping);
    info!(target: TARGET, "stopping");
    drop(end);
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    _ = timeout(limits.grace, places.acquire_many(all)).await;
}

async fn connection(stream: TcpStream, router: Router, limits: Limits, end: impl Future<Output = ()>) {
    // Answers are written at once; waiting for more to send would only delay them.
    _ = stream.set_nodelay(true);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = async { tokio::select! { () = end => {} () = sleep(limits.life) => {} } } => {
            serving.as_mut().graceful_shutdown();
            timeout(limits.grace, serving).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        debug!(target: TARGET, %error, "connection");
    }
}

/// How many connections each address has.
#[derive(Debug, Clone, Default)]
struct Addresses(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl Addresses {
    fn admit(&self, address: IpAddr, limit: usize) -> Option<Guest> {
        let address = counted_as(address);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Guest { address, addresses: self.clone() })
    }
}

/// An admitted connection; its place is free again when this is dropped.
struct Guest {
    address: IpAddr,
    addresses: Addresses,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut counts = self.addresses.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// A host chooses the lower half of its IPv6 address itself.
fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let addresses = Addresses::default();
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let first = addresses.admit(one, 2).unwrap();
        let _second = addresses.admit(one, 2).unwrap();
        assert!(addresses.admit(one, 2).is_none());
        assert!(addresses.admit(other, 2).is_some());
        drop(first);
        assert!(addresses.admit(one, 2).is_some());
        assert_eq!(addresses.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_host_is_one_address_in_both_families() {
        let counted = |text: &str| counted_as(text.parse().unwrap()).to_string();
        assert_eq!(counted("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(counted("2001:db8::1:2:3:4"), counted("2001:db8::5:6:7:8"));
        assert_ne!(counted("2001:db8:0:1::1"), counted("2001:db8:0:2::1"));
    }
}

//! adit-gateway: what a unit shows to whoever asks over HTTP.
//!
//! In: requests of strangers on one port, and the answers of the status doors. Out: the status page, `/api/v1/status`, `/api/v1/chips` and `/metrics` (contract: `docs/api.md`).
//! It only reads. It may die at any time: a unit mines without it. A service whose door does not answer is something to show, never a reason to fall silent.
//!
//! Never: a control door, a device, a key, the configuration file; anything kept on behalf of a client beyond its connection.
//!
//! [`status`], [`chips`] and [`metrics`] are pure: readings in, text out. [`doors`] asks the services, [`routes`] answers requests, [`server`] keeps strangers within limits.

pub mod chips;
pub mod doors;
pub mod identity;
pub mod metrics;
pub mod routes;
pub mod server;
pub mod status;

use std::{future::Future, net::TcpListener, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use sd_notify::NotifyState;
use tokio::time::interval;
use tracing::info;

use crate::{doors::Doors, identity::Identity, routes::Gateway, server::Limits};

/// All lines of this service stand under this name.
pub(crate) const TARGET: &str = "adit_gateway";

/// What the gateway finds around it.
#[derive(Debug)]
pub struct Surroundings {
    /// Where requests come in.
    pub listener: TcpListener,
    /// Folder of the doors' sockets.
    pub doors: PathBuf,
    pub identity: Identity,
    pub limits: Limits,
}

/// Serves until `shutdown` is ready. Errors: only of the listening socket.
pub async fn run(surroundings: Surroundings, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    let Surroundings { listener, doors, identity, limits } = surroundings;
    listener.set_nonblocking(true).context("listening socket")?;
    let listener = tokio::net::TcpListener::from_std(listener).context("listening socket")?;
    let address = listener.local_addr().context("listening socket")?;
    let gateway = Arc::new(Gateway::new(Doors::new(&doors), identity));
    info!(target: TARGET, %address, "serving");
    notify(NotifyState::Ready);
    notify(NotifyState::Status(&format!("serving on {address}")));
    tokio::select! {
        () = server::serve(listener, &gateway, limits, shutdown) => {}
        () = watchdog() => {}
    }
    Ok(())
}

/// Tells adit-init that this thread still turns, at the pace that it asked for.
async fn watchdog() {
    let Some(patience) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut tick = interval((patience / 2).max(Duration::from_millis(10)));
    loop {
        tick.tick().await;
        notify(NotifyState::Watchdog);
    }
}

/// Tells adit-init; without one (no `NOTIFY_SOCKET`) nothing happens.
pub(crate) fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(target: TARGET, %error, "sd_notify");
    }
}

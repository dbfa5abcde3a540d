//! adit-network: takes what adit-init passes on and hands over to the library.

use std::{env, future::pending, os::unix::net::UnixListener, path::PathBuf};

use adit_bus::network::STATUS_DOOR;
use adit_network::{Surroundings, time};
use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracing::Level;

fn main() {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(Level::INFO)
        .without_time()
        .with_ansi(false)
        .with_target(true)
        .init();
    if let Err(error) = start() {
        tracing::error!(target: "adit_network", "{error:#}");
        std::process::exit(1);
    }
}

fn start() -> anyhow::Result<()> {
    let sockets = adit_sys::activation::sockets().context("sockets of adit-init")?;
    let status = sockets.into_iter().find(|(name, _)| name == STATUS_DOOR);
    let surroundings = Surroundings {
        config: env::var_os("ADIT_CONFIG").map(PathBuf::from),
        resolver: PathBuf::from("/run/adit/resolv.conf"),
        status: status.map(|(_, socket)| UnixListener::from(socket)),
        time: time::Places {
            release: PathBuf::from("/etc/adit/release.json"),
            saved: PathBuf::from("/data/network/time"),
        },
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Names of sixteen time servers, each perhaps still being looked up when it is tried again; and the door needs one besides.
        .max_blocking_threads(64)
        .build()
        .context("tokio")?;
    let result = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
        adit_network::run(surroundings, async move {
            if terminate.recv().await.is_none() {
                pending().await
            }
        })
        .await
    });
    // A name that is being looked up is not waited for.
    runtime.shutdown_background();
    result
}

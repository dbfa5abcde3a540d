//! adit-network: takes what adit-init passes on and hands over to the library.

use std::{env, future::pending, path::PathBuf};

use adit_network::Surroundings;
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
    let surroundings = Surroundings {
        config: env::var_os("ADIT_CONFIG").map(PathBuf::from),
        resolver: PathBuf::from("/run/adit/resolv.conf"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("tokio")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
        adit_network::run(surroundings, async move {
            if terminate.recv().await.is_none() {
                pending().await
            }
        })
        .await
    })
}

//! A private Bitcoin node: `bitcoind -regtest` in the chroot that `ci/node/prepare` makes, with a chain of its own that ends with it.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tracing::{info, warn};

use crate::error::Error;
use crate::process::{self, Process};
use crate::rpc::Rpc;

const PROGRAM: &str = "bitcoind";
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// For a node that was told to stop, before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Another program may take the port between our choice and bitcoind's start.
const TRIES: usize = 3;

/// User and password that every node takes beside its cookie: what a unit is configured with.
pub const RPC_ACCOUNT: (&str, &str) = ("lab", "of-the-lab");
/// The same as the node is told it: user, salt, HMAC-SHA-256 of the password under the salt. Source: Bitcoin Core's `share/rpcauth`.
const RPC_AUTH: &str =
    "lab:5a1f0c7e2b9d4836$07acdf8606bc170563ffec5a9e800136ab2b0b9d5c7eb2e793520c3fd9f4cd23";

/// A running node. Dropping it kills the process and deletes the chain; [`Node::stop`] lets it end in order.
#[derive(Debug)]
pub struct Node {
    rpc: Rpc,
    process: Process,
}

impl Node {
    /// Starts a node in `chroot` and mines one block, so that it has left initial download. Needs root or unprivileged user namespaces.
    /// Errors: a folder without a node in it, a node that ends or is not ready within a minute, with the last line it said.
    pub async fn start(chroot: &Path) -> Result<Self, Error> {
        let chroot = std::path::absolute(chroot).map_err(start)?;
        if !chroot.join("usr/bin/bitcoind").exists() {
            return Err(Error::NoChroot(chroot));
        }
        process::remove_leftovers(&chroot.join("tmp"));
        let mut tries = 1;
        loop {
            match Self::start_once(&chroot).await {
                Err(Error::Ended { said, .. }) if tries < TRIES && said.contains("bind") => tries += 1,
                result => return result,
            }
        }
    }

    async fn start_once(chroot: &Path) -> Result<Self, Error> {
        let started = Instant::now();
        let (folder, inside) = process::folder(chroot).map_err(start)?;
        let port = process::free_port().map_err(start)?;
        let rpc = Rpc::new(format!("http://127.0.0.1:{port}"), folder.path().join("regtest/.cookie"));
        let process = Process::spawn(chroot.to_owned(), folder, PROGRAM, arguments(&inside, port))
            .await
            .map_err(start)?;
        info!(pid = process.pid, url = rpc.url(), "bitcoind started");
        let node = Self { rpc, process };
        node.wait_ready(started).await?;
        node.rpc.generate(1).await?;
        info!(ms = started.elapsed().as_millis(), "bitcoind ready");
        Ok(node)
    }

    async fn wait_ready(&self, started: Instant) -> Result<(), Error> {
        let mut progress = String::new();
        loop {
            if let Some(status) = self.process.ended() {
                return Err(Error::Ended { program: PROGRAM, status, said: self.process.said() });
            }
            match self.rpc.block_count().await {
                Ok(_) => return Ok(()),
                // -28: warming up, with a text about how far it is.
                Err(Error::Rpc { code: -28, message, .. }) => {
                    if message != progress {
                        info!(progress = message, "bitcoind");
                        progress = message;
                    }
                }
                Err(Error::Unreachable { .. } | Error::Cookie { .. }) => {}
                Err(other) => return Err(other),
            }
            if started.elapsed() > READY_TIMEOUT {
                let said = if progress.is_empty() { self.process.said() } else { progress };
                return Err(Error::NotReady { program: PROGRAM, seconds: READY_TIMEOUT.as_secs(), said });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The connection to this node; clone it for a pool.
    #[must_use]
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> &str {
        self.rpc.url()
    }

    /// The cookie file, as this machine sees it.
    #[must_use]
    pub fn cookie(&self) -> &Path {
        self.rpc.cookie()
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// How the process ended, when it did.
    #[must_use]
    pub fn ended(&self) -> Option<String> {
        self.process.ended()
    }

    /// Asks the node to stop and waits; what does not stop in ten seconds is killed.
    pub async fn stop(mut self) {
        // A node that does not answer any more is killed below.
        let _ = self.rpc.call("stop", json!([])).await;
        if !self.process.ends_within(STOP_TIMEOUT).await {
            warn!(pid = self.process.pid, "bitcoind does not stop, killed");
        }
    }
}

fn start(source: std::io::Error) -> Error {
    Error::Start { program: PROGRAM, source }
}

fn arguments(folder: &Path, port: u16) -> Vec<String> {
    let mut arguments =
        vec!["-regtest".to_owned(), format!("-datadir={}", folder.display()), format!("-rpcport={port}")];
    let fixed = [
        "-server",
        "-daemon=0",
        "-printtoconsole=0",
        "-rpcbind=127.0.0.1",
        "-rpcallowip=127.0.0.1",
        "-listen=0",
        "-dnsseed=0",
        "-fixedseeds=0",
        "-connect=0",
        "-disablewallet",
        "-persistmempool=0",
        "-dbcache=4",
        "-maxmempool=20",
        "-par=1",
        "-rpcthreads=4",
    ];
    arguments.extend(fixed.map(str::to_owned));
    arguments.push(format!("-rpcauth={RPC_AUTH}"));
    arguments
}

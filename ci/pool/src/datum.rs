//! A pool server that strangers wrote: `datum_gateway` in the chroot of its node, mining solo on it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpStream;
use tracing::info;

use crate::error::Error;
use crate::node::Node;
use crate::process::{self, Process};

const PROGRAM: &str = "datum_gateway";
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Ours or anybody's: it only has to be well-formed, and of the main network's form although the chain is regtest's. The witness program is the example of BIP 173.
const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

/// A running pool server. Dropping it kills the process.
#[derive(Debug)]
pub struct Datum {
    address: SocketAddr,
    process: Process,
}

impl Datum {
    /// Starts it on `node`, which must run in the same `chroot`, and waits until miners can connect.
    /// It counts no share whose hash lacks 32 zero bits, whatever the chain's own target is: difficulty 1 is its least.
    /// Errors: as of [`Node::start`].
    pub async fn start(chroot: &Path, node: &Node) -> Result<Self, Error> {
        let chroot = std::path::absolute(chroot).map_err(start)?;
        let (folder, inside) = process::folder(&chroot).map_err(start)?;
        let port = process::free_port().map_err(start)?;
        let cookie = process::inside(&chroot, node.cookie()).map_err(start)?;
        let config = json!({
            "bitcoind": { "rpccookiefile": cookie, "rpcurl": node.url(), "work_update_seconds": 5, "notify_fallback": true },
            "stratum": { "listen_addr": "127.0.0.1", "listen_port": port, "vardiff_min": 1, "max_threads": 1, "max_clients": 16, "max_clients_per_thread": 16 },
            "mining": { "pool_address": ADDRESS },
            "api": { "listen_port": 0 },
            "datum": { "pool_host": "", "pooled_mining_only": false },
        });
        std::fs::write(folder.path().join("config.json"), config.to_string()).map_err(start)?;
        let arguments = vec!["--config".to_owned(), inside.join("config.json").display().to_string()];
        let process = Process::spawn(chroot, folder, PROGRAM, arguments).await.map_err(start)?;
        info!(pid = process.pid, port, "datum_gateway started");
        let datum = Self { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), process };
        datum.wait_ready().await?;
        Ok(datum)
    }

    async fn wait_ready(&self) -> Result<(), Error> {
        let started = Instant::now();
        while TcpStream::connect(self.address).await.is_err() {
            if let Some(status) = self.process.ended() {
                return Err(Error::Ended { program: PROGRAM, status, said: self.process.said() });
            }
            if started.elapsed() > READY_TIMEOUT {
                let seconds = READY_TIMEOUT.as_secs();
                return Err(Error::NotReady { program: PROGRAM, seconds, said: self.process.said() });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Where miners connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The last lines that it said.
    #[must_use]
    pub fn said(&self) -> String {
        self.process.tail()
    }
}

fn start(source: std::io::Error) -> Error {
    Error::Start { program: PROGRAM, source }
}

//! A site: what a unit needs around it (node, pool), and the unit with its machine.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use adit_image::qemu::{self, QemuFiles};
use adit_pool::{Difficulty, Node, Pool, RPC_ACCOUNT};
use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
};

use crate::{
    buses::{Buses, Ports},
    console::Event,
    images::{Images, copy_sparse},
    machine::Machine,
    qemu::Unit,
};

/// Where the unit's network (QEMU's user network) shows this computer's loopback.
pub const HOST_SEEN_FROM_UNIT: &str = "10.0.2.2";

/// Where a unit that mines without a pool lets its rewards go: the key of BIP 173's examples, in regtest's form.
pub const SOLO_ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

/// An address of the loopback whose port is free; QEMU takes it next, and says so if someone was quicker.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free port of the loopback")?;
    Ok(listener.local_addr()?)
}

/// A pool, and behind it perhaps a Bitcoin node.
pub struct Backend {
    pub node: Option<Node>,
    pub pool: adit_pool::Handle,
}

/// How hard shares and blocks are. 4 MH/s find a share of 0.001 in a second.
#[derive(Clone, Copy)]
pub struct Effort {
    pub share: f64,
    pub block: f64,
}

impl Default for Effort {
    fn default() -> Self {
        Self { share: 0.001, block: 0.01 }
    }
}

impl Backend {
    /// `chroot`: where `ci/node/prepare` put a node; without it the pool makes its templates up.
    pub async fn start(chroot: Option<&Path>, effort: Effort, control: Option<PathBuf>) -> Result<Self> {
        let node = match chroot {
            Some(chroot) => Some(Node::start(chroot).await.context("Bitcoin node")?),
            None => None,
        };
        let config = adit_pool::Config {
            control,
            node: node.as_ref().map(|node| node.rpc().clone()),
            difficulty: Difficulty::new(effort.share)?,
            block_difficulty: Difficulty::new(effort.block)?,
            ..adit_pool::Config::default()
        };
        let pool = Pool::start(config).await.context("pool")?;
        Ok(Self { node, pool })
    }

    /// The `adit.toml` of a unit that mines at the pool.
    pub fn unit_config(&self) -> String {
        unit_config(self.pool.address().port(), "lab.unit")
    }

    /// The `adit.toml` of a unit that mines at the node; `None` without a node.
    pub fn solo_config(&self) -> Option<String> {
        let port = self.node.as_ref()?.url().rsplit(':').next()?.to_owned();
        let (user, password) = RPC_ACCOUNT;
        Some(config(&format!(
            "url = \"http://{HOST_SEEN_FROM_UNIT}:{port}\"\nuser = \"{user}\"\npassword = \"{password}\"\naddress = \"{SOLO_ADDRESS}\"\n"
        )))
    }

    pub async fn stop(self) {
        self.pool.shutdown().await;
        if let Some(node) = self.node {
            node.stop().await;
        }
    }
}

/// The `adit.toml` of a unit that mines as `user` at a pool on this computer's loopback.
pub fn unit_config(port: u16, user: &str) -> String {
    config(&format!("url = \"stratum+tcp://{HOST_SEEN_FROM_UNIT}:{port}\"\nuser = \"{user}\"\n"))
}

/// A unit's configuration with one pool or node.
fn config(pool: &str) -> String {
    format!("version = 1\nname = \"lab\"\n\n[[pool]]\n{pool}")
}

/// One unit in QEMU, its simulated machine, and the line to its fault-injection agent.
pub struct Rig {
    pub simulator: adit_simulator::Handle,
    pub unit: Unit,
    /// The unit's buses that end here.
    pub ports: Ports,
    /// Where the unit's status page can be asked for from this computer.
    pub page: SocketAddr,
    agent: PathBuf,
    monitor: PathBuf,
}

/// What a rig is started from.
pub struct RigInputs<'a> {
    /// For the board and its firmware; what is on the disk may be others.
    pub images: &'a Images,
    /// How QEMU names the disk's image. Written to.
    pub disk: &'a Path,
    /// For the firmware's flash, sockets and the console's log.
    pub folder: &'a Path,
    /// Further arguments for QEMU.
    pub extra: &'a [String],
    /// What the unit's profile is for.
    pub machine: &'a Machine,
    /// Buses that the unit has beside its serial ports and the machine's own.
    pub buses: &'a Buses,
    /// The simulated chip searches 2^this times as fast as otherwise, as far as this computer can: 2^3 is what AVX-512 does on one core.
    pub hurry_bits: u32,
}

impl Rig {
    pub fn start(inputs: &RigInputs<'_>) -> Result<Self> {
        let at = |name: &str| inputs.folder.join(name);
        let agent = at("agent.sock");
        let simulator = inputs.machine.start(inputs.folder, inputs.hurry_bits)?;

        let images = inputs.images;
        let qemu = images.board.qemu.as_ref().context("this board is not emulated")?;
        let page = free_address()?;
        let flash = at("flash.img");
        copy_sparse(&images.flash(), &flash)?;
        let files = QemuFiles {
            control_tree: &images.control_tree(),
            flash: &flash,
            disk: inputs.disk,
            http: page.port(),
        };
        let mut arguments = qemu::arguments(&images.board, qemu, &files)?;
        let far_ends = inputs.machine.serial_ports(inputs.folder, &agent);
        for (number, far_end) in (1..).zip(&far_ends) {
            arguments.extend(qemu::serial_port(number, far_end.as_far_end())?);
        }
        let monitor = at("monitor.sock");
        arguments.extend(["-qmp".to_owned(), qemu::monitor(&monitor)?]);
        let ports = Ports::listen(&inputs.machine.buses(&simulator, inputs.buses), inputs.folder)?;
        arguments.extend(ports.arguments(&images.board, qemu)?);
        arguments.extend_from_slice(inputs.extra);
        let unit = Unit::start(&qemu.binary, &arguments, inputs.folder)?;
        Ok(Self { simulator, unit, ports, page, agent, monitor })
    }

    /// Waits until a share is accepted by the unit's own count.
    pub async fn accepted_share(&self, limit: Duration) -> Result<()> {
        let accepted = |event: &Event| matches!(event, Event::Hashing { accepted: 1.., .. }).then_some(());
        self.unit.wait_event(0, limit, "accepted share", accepted).await?;
        Ok(())
    }

    /// Plugs the network cable in or pulls it.
    pub async fn cable(&self, plugged: bool) -> Result<()> {
        self.machine(
            serde_json::json!({ "execute": "set_link", "arguments": { "name": "net", "up": plugged } }),
        )
        .await
    }

    /// Presses the unit's reset button.
    pub async fn reset(&self) -> Result<()> {
        self.machine(serde_json::json!({ "execute": "system_reset" })).await
    }

    /// Gives QEMU an order.
    async fn machine(&self, order: serde_json::Value) -> Result<()> {
        let talk = async {
            let mut stream = BufReader::new(UnixStream::connect(&self.monitor).await?);
            let mut line = String::new();
            // QEMU greets, and answers both lines; events may come between.
            for order in [serde_json::json!({ "execute": "qmp_capabilities" }), order] {
                stream.write_all(format!("{order}\n").as_bytes()).await?;
                loop {
                    line.clear();
                    if stream.read_line(&mut line).await? == 0 {
                        bail!("QEMU hung up");
                    }
                    let answer: serde_json::Value = serde_json::from_str(&line)?;
                    if let Some(error) = answer.get("error") {
                        bail!("{order}: {error}");
                    }
                    if answer.get("return").is_some() {
                        break;
                    }
                }
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(Duration::from_secs(10), talk).await.context("QEMU's monitor does not answer")?
    }

    /// Gives the agent inside the unit an order and returns its answer. Only images with the agent have one.
    pub async fn agent(&self, order: &str) -> Result<String> {
        let talk = async {
            let mut stream = UnixStream::connect(&self.agent).await?;
            stream.write_all(format!("{order}\n").as_bytes()).await?;
            let mut answer = String::new();
            BufReader::new(stream).read_line(&mut answer).await?;
            anyhow::Ok(answer.trim().to_string())
        };
        let answer = tokio::time::timeout(Duration::from_secs(10), talk)
            .await
            .with_context(|| format!("the agent does not answer '{order}'"))??;
        if !answer.starts_with("ok") {
            bail!("the agent answered '{order}' with '{answer}'");
        }
        Ok(answer)
    }

    pub async fn stop(self) {
        self.unit.stop().await;
        self.simulator.stop();
    }
}

//! A private Bitcoin node: `bitcoind -regtest` in the chroot that `ci/node/prepare` makes, with a chain of its own that ends with it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::error::Error;
use crate::rpc::Rpc;

const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// For a node that was told to stop, before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the process is looked after.
const WATCH: Duration = Duration::from_millis(25);
/// Another program may take the port between our choice and bitcoind's start.
const TRIES: usize = 3;
const FOLDER: &str = "adit-node-";

/// A running node. Dropping it kills the process and deletes the chain; [`Node::stop`] lets it end in order.
#[derive(Debug)]
pub struct Node {
    rpc: Rpc,
    process: Process,
}

/// The process and the thread that started it. It is one thread from start to end because the kernel kills the node when the thread
/// that started it ends (`setpriv --pdeathsig`): a thread of tokio's pool may end at any time.
#[derive(Debug)]
struct Process {
    pid: u32,
    kill: Arc<AtomicBool>,
    ended: watch::Receiver<Option<String>>,
    watcher: Option<JoinHandle<()>>,
    output: PathBuf,
}

impl Node {
    /// Starts a node in `chroot` and mines one block, so that it has left initial download. Needs root or unprivileged user namespaces.
    /// Errors: a folder without a node in it, a node that ends or is not ready within a minute, with the last line it said.
    pub async fn start(chroot: &Path) -> Result<Self, Error> {
        let chroot = std::path::absolute(chroot).map_err(Error::Start)?;
        if !chroot.join("usr/bin/bitcoind").exists() {
            return Err(Error::NoChroot(chroot));
        }
        remove_leftovers(&chroot.join("tmp"));
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
        let folder = tempfile::Builder::new()
            .prefix(&format!("{FOLDER}{}-", std::process::id()))
            .tempdir_in(chroot.join("tmp"))
            .map_err(Error::Start)?;
        let port = free_port().map_err(Error::Start)?;
        let rpc = Rpc::new(format!("http://127.0.0.1:{port}"), folder.path().join("regtest/.cookie"));
        let process = Process::spawn(chroot.to_owned(), folder, port).await.map_err(Error::Start)?;
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
            if let Some(status) = self.process.ended.borrow().clone() {
                return Err(Error::Ended { status, said: self.process.said() });
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
                return Err(Error::NotReady { seconds: READY_TIMEOUT.as_secs(), said });
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
        self.process.ended.borrow().clone()
    }

    /// Asks the node to stop and waits; what does not stop in ten seconds is killed.
    pub async fn stop(mut self) {
        // A node that does not answer any more is killed below.
        let _ = self.rpc.call("stop", json!([])).await;
        let ended = self.process.ended.wait_for(Option::is_some);
        if tokio::time::timeout(STOP_TIMEOUT, ended).await.is_err() {
            warn!(pid = self.process.pid, "bitcoind does not stop, killed");
        }
    }
}

impl Process {
    async fn spawn(chroot: PathBuf, folder: TempDir, port: u16) -> io::Result<Self> {
        let output = folder.path().join("output");
        let kill = Arc::new(AtomicBool::new(false));
        let (report, ended) = watch::channel(None);
        let (born, birth) = tokio::sync::oneshot::channel();
        let watcher = {
            let (output, kill) = (output.clone(), Arc::clone(&kill));
            thread::Builder::new().name("bitcoind".to_owned()).spawn(move || {
                let spawned =
                    command(&chroot, folder.path(), port, &output).and_then(|mut command| command.spawn());
                let mut child = match spawned {
                    Ok(child) => child,
                    Err(error) => return drop(born.send(Err(error))),
                };
                // When the caller has gone meanwhile the handle is dropped, which asks for the end.
                let _ = born.send(Ok(child.id()));
                let status = watch_child(&mut child, &kill);
                report.send_replace(Some(
                    status.map_or_else(|error| error.to_string(), |status| status.to_string()),
                ));
                // The chain goes with the process.
                drop(folder);
            })?
        };
        let pid = birth.await.map_err(|_| io::Error::other("the watching thread ended"))??;
        Ok(Self { pid, kill, ended, watcher: Some(watcher), output })
    }

    /// The last line that the process said.
    fn said(&self) -> String {
        last_line(&self.output).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            // It ends within a few WATCH periods; a panic in there has been printed.
            let _ = watcher.join();
        }
    }
}

fn watch_child(child: &mut Child, kill: &AtomicBool) -> io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if kill.load(Ordering::Relaxed) {
            child.kill()?;
            return child.wait();
        }
        thread::sleep(WATCH);
    }
}

/// The chroot's own setpriv is the last to run before bitcoind: entering a user namespace would clear the signal.
fn command(chroot: &Path, folder: &Path, port: u16, output: &Path) -> io::Result<Command> {
    let inside = Path::new("/").join(folder.strip_prefix(chroot).map_err(io::Error::other)?);
    // A program's user is the owner of its own /proc entry.
    let root = std::fs::metadata("/proc/self")?.uid() == 0;
    let mut command = if root { Command::new("chroot") } else { Command::new("unshare") };
    if !root {
        command.args(["--map-root-user", "chroot"]);
    }
    let output = File::create(output)?;
    command
        .arg(chroot)
        .args(["/usr/bin/setpriv", "--pdeathsig", "KILL", "--", "/usr/bin/bitcoind", "-regtest"])
        .arg(format!("-datadir={}", inside.display()))
        .arg(format!("-rpcport={port}"))
        .args(["-server", "-daemon=0", "-printtoconsole=0", "-rpcbind=127.0.0.1", "-rpcallowip=127.0.0.1"])
        .args([
            "-listen=0",
            "-dnsseed=0",
            "-fixedseeds=0",
            "-connect=0",
            "-disablewallet",
            "-persistmempool=0",
        ])
        .args(["-dbcache=4", "-maxmempool=20", "-par=1", "-rpcthreads=2"])
        // sbin: chroot lives there, and not every user has it in the path.
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    Ok(command)
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn last_line(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(2048)))?;
    let mut tail = Vec::new();
    file.take(2048).read_to_end(&mut tail)?;
    let tail = String::from_utf8_lossy(&tail);
    Ok(tail.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim().to_owned())
}

/// Folders of nodes whose owner was killed: the process that is part of the name does not exist any more.
fn remove_leftovers(tmp: &Path) {
    let Ok(entries) = std::fs::read_dir(tmp) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(FOLDER)?.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another caller may be removing it too.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

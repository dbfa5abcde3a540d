//! The services as programs of this computer, against the simulated machine on paced pseudo-terminals: where latency can be measured.

use std::{
    fs::File,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixListener,
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use adit_simulator::{Endpoint, Simulator};
use adit_sys::spawn::{Launch, spawn};
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

const PROFILE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../overlay/etc/adit/machines/bench-bitaxe.toml");
/// Where the profile says that the pseudo-terminals are.
const PROFILE_PORTS: &str = "/tmp/adit/";

/// adit-hardware and adit-miner with a machine of their own.
pub struct Native {
    pub simulator: adit_simulator::Handle,
    services: Vec<Pid>,
}

impl Native {
    /// Starts the machine and both services from `programs`; sockets, links and logs go to `folder`. `config` is the miner's `adit.toml`.
    pub fn start(programs: &Path, folder: &Path, config: &Path) -> Result<Self> {
        let at = |name: &str| folder.join(name);
        let machine = adit_simulator::Config::bitaxe(Endpoint::Pty(at("chain")), Endpoint::Pty(at("board")));
        let simulator = Simulator::start(&machine).context("simulated machine")?;
        let profile = std::fs::read_to_string(PROFILE).context(PROFILE)?;
        std::fs::write(
            at("machine.toml"),
            profile.replace(PROFILE_PORTS, &format!("{}/", folder.display())),
        )?;

        let mut native = Self { simulator, services: Vec::new() };
        let environment = [
            ("ADIT_MACHINE", at("machine.toml")),
            ("ADIT_CONFIG", config.to_owned()),
            ("ADIT_DOORS", folder.to_owned()),
        ];
        let environment: Vec<(String, String)> =
            environment.iter().map(|(key, path)| (key.to_string(), path.display().to_string())).collect();
        for (name, doors) in [
            ("adit-hardware", &["hardware.status", "hardware.control"][..]),
            ("adit-miner", &["miner.status"][..]),
        ] {
            native.services.push(start_service(&programs.join(name), doors, &environment, folder)?);
        }
        Ok(native)
    }

    /// Waits until the chain takes work.
    pub async fn wait_for_work(&self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while self.simulator.state().chain.jobs == 0 {
            if Instant::now() > deadline {
                bail!("no work reached the chain within {} s", limit.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    pub fn stop(mut self) {
        self.end_services();
        // The machine goes last, so that the driver can switch it off.
        std::thread::sleep(Duration::from_millis(50));
    }

    fn end_services(&mut self) {
        for pid in self.services.drain(..).rev() {
            let _ = kill_process(pid, Signal::TERM);
            let deadline = Instant::now() + Duration::from_secs(3);
            while let Ok(None) = waitpid(Some(pid), WaitOptions::NOHANG) {
                if Instant::now() > deadline {
                    let _ = kill_process(pid, Signal::KILL);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        self.end_services();
    }
}

fn start_service(
    program: &Path,
    doors: &[&'static str],
    environment: &[(String, String)],
    folder: &Path,
) -> Result<Pid> {
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let log = File::create(folder.join(format!("{name}.log")))?;
    let null = File::open("/dev/null")?;
    let listeners: Vec<(&str, UnixListener)> = doors
        .iter()
        .map(|door| {
            let socket: PathBuf = folder.join(door);
            UnixListener::bind(&socket)
                .map(|listener| (*door, listener))
                .with_context(|| socket.display().to_string())
        })
        .collect::<Result<_>>()?;
    let sockets: Vec<(&str, BorrowedFd)> =
        listeners.iter().map(|(name, listener)| (*name, listener.as_fd())).collect();
    let launch = Launch {
        program,
        arguments: &[],
        environment,
        sockets: &sockets,
        stdin: null.as_fd(),
        stdout: log.as_fd(),
        stderr: log.as_fd(),
    };
    spawn(&launch).with_context(|| format!("{} does not start; is it built?", program.display()))
}

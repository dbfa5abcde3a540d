//! The services as programs of this computer, against four simulated chains on paced pseudo-terminals: where latency can be measured.

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
/// As many as a machine has at most (three hash boards are usual).
pub const CHAINS: usize = 4;
/// Of the simulated machine's 4 MH/s each chain makes a thousandth: on a unit the chips search, here it would take the services' processor (shares took half as long again and more).
const SLOWDOWN_BITS: u32 = 10;
/// And yet about fifty nonces a second to measure by: 2^10 hashes each instead of 2^20.
const BASE_BITS: u32 = 8;
const EASIER: [(&str, &str); 2] =
    [("base_bits = 16", "base_bits = 8"), ("ticket_bits = 4", "ticket_bits = 2")];

/// adit-hardware and adit-miner with a machine of four boards.
pub struct Native {
    /// By chain.
    pub simulators: Vec<adit_simulator::Handle>,
    services: Vec<Pid>,
}

impl Native {
    /// Starts the machine and both services from `programs`; sockets, links and logs go to `folder`. `config` is the miner's `adit.toml`.
    pub fn start(programs: &Path, folder: &Path, config: &Path) -> Result<Self> {
        let at = |name: &str| folder.join(name);
        let start = |chain: usize| {
            let [port, board] = ["chain", "board"].map(|port| Endpoint::Pty(at(&format!("{port}-{chain}"))));
            let mut machine = adit_simulator::Config::bitaxe(port, board);
            machine.slowdown_bits += SLOWDOWN_BITS;
            machine.base_bits = BASE_BITS;
            Simulator::start(&machine).context("simulated machine")
        };
        let simulators = (0..CHAINS).map(start).collect::<Result<Vec<_>>>()?;
        let profile = std::fs::read_to_string(PROFILE).context(PROFILE)?;
        std::fs::write(at("machine.toml"), with_boards(&profile, folder)?)?;

        let mut native = Self { simulators, services: Vec::new() };
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

    /// Waits until every chain takes work.
    pub async fn wait_for_work(&self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while self.simulators.iter().any(|chain| chain.state().chain.jobs == 0) {
            if Instant::now() > deadline {
                bail!("no work reached every chain within {} s", limit.as_secs());
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

/// The profile with its one board four times, each on a controller of its own, and its ports in `folder`.
fn with_boards(profile: &str, folder: &Path) -> Result<String> {
    let parts = |text: &str| -> Option<[String; 4]> {
        let (head, rest) = text.split_once("[[bus]]\n")?;
        let (bus, rest) = rest.split_once("[temperature]\n")?;
        let (limits, board) = rest.split_once("[[board]]\n")?;
        Some([head, bus, limits, board].map(str::to_owned))
    };
    let [head, bus, limits, board] = parts(profile).with_context(|| format!("no board in {PROFILE}"))?;
    let board = EASIER.into_iter().try_fold(board, |board, (wanted, easier)| {
        if !board.contains(wanted) {
            bail!("the chain of {PROFILE} has no {wanted}");
        }
        Ok(board.replace(wanted, easier))
    })?;
    let numbered = |text: &str, index: usize| {
        let folder = folder.display();
        ["board", "chain"]
            .iter()
            .fold(text.to_owned(), |text, port| {
                text.replace(&format!("{PROFILE_PORTS}{port}"), &format!("{folder}/{port}-{index}"))
            })
            .replace("\"control\"", &format!("\"control-{index}\""))
            .replace("name = \"bitaxe\"", &format!("name = \"bitaxe-{index}\""))
    };
    let buses: String = (0..CHAINS).map(|index| format!("[[bus]]\n{}", numbered(&bus, index))).collect();
    let boards: String =
        (0..CHAINS).map(|index| format!("[[board]]\n{}\n", numbered(&board, index))).collect();
    Ok(format!("{head}{buses}[temperature]\n{limits}{boards}"))
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

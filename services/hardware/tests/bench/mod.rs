//! A machine on the bench: adit-simulator on paced pseudo-terminals, the driver in a thread of its own, and a miner that only sends works.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use std::{
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use adit_bus::{
    door,
    hardware::{HardwareControlDoorProxy, HardwareStatus, HardwareStatusDoorProxy},
};
use adit_hardware::{Doors, profile::Profile};
use adit_simulator::{
    BM1370, Config, Endpoint, Event, Handle, MachineConfig, MachineModel, Model, Simulator, State,
};
use adit_sys::seqpacket;
use adit_work::frame::{FromHardware, MAX_LEN, Nonce, ToHardware, Work};
use sha2::{Digest, Sha256};
use tokio::{io::unix::AsyncFd, sync::oneshot};

pub struct Bench {
    pub directory: tempfile::TempDir,
    pub simulator: Handle,
    pub profile_path: PathBuf,
}

/// A machine without power, and a profile for it: `bench-bitaxe` with `changes` (text, replacement) applied.
pub fn bench(changes: &[(&str, &str)]) -> Bench {
    machine("bench-bitaxe", &BM1370, 1, changes)
}

/// Likewise with a shipped profile and a chain.
pub fn machine(profile: &str, model: &'static Model, chips: usize, changes: &[(&str, &str)]) -> Bench {
    machine_with(profile, model, chips, changes, |_| ())
}

/// Likewise, with another simulation than the usual one.
pub fn machine_with(
    profile: &str,
    model: &'static Model,
    chips: usize,
    changes: &[(&str, &str)],
    adapt: impl FnOnce(&mut Config),
) -> Bench {
    let directory = tempfile::tempdir().unwrap();
    let port = |name: &str| directory.path().join(name);
    let config = Config::bitaxe(Endpoint::Pty(port("chain")), Endpoint::Pty(port("board")));
    let mut config = config.with_chain(model, chips);
    adapt(&mut config);
    let simulator = Simulator::start(&config).unwrap();
    with_profile(profile, changes, directory, simulator)
}

/// A machine of one board with physics of its own, behind a board controller.
pub fn whole(profile: &str, model: &'static MachineModel, changes: &[(&str, &str)]) -> Bench {
    let directory = tempfile::tempdir().unwrap();
    let port = |name: &str| Endpoint::Pty(directory.path().join(name));
    let config = MachineConfig::new(model, vec![port("chain")], Some(port("board")));
    let simulator = Simulator::start_machine(&config).unwrap();
    with_profile(profile, changes, directory, simulator)
}

fn with_profile(
    profile: &str,
    changes: &[(&str, &str)],
    directory: tempfile::TempDir,
    simulator: Handle,
) -> Bench {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../overlay/etc/adit/machines").join(profile);
    let mut text = std::fs::read_to_string(shipped.with_extension("toml")).unwrap();
    text = text.replace("/tmp/adit/", &format!("{}/", directory.path().display()));
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let profile_path = directory.path().join("machine.toml");
    std::fs::write(&profile_path, text).unwrap();
    Bench { directory, simulator, profile_path }
}

/// Looks often and tries again soon, for tests that wait for that.
pub const QUICK: (&str, &str) =
    ("[temperature]", "[safety]\ninterval_ms = 100\nretry_ms = 300\nretry_max_ms = 600\n\n[temperature]");

/// A bound, not a wait: two cores that also build and run thirteen machines get to hashing in 5 s, starved ones in 20.
pub const PATIENCE: Duration = Duration::from_secs(60);

impl Bench {
    pub fn state(&self) -> State {
        self.simulator.state()
    }

    /// Waits until the truth is as `wanted`; panics with the truth when it never is.
    pub async fn until(&self, what: &str, wanted: impl Fn(&State) -> bool) -> Duration {
        let began = Instant::now();
        while !wanted(&self.state()) {
            assert!(began.elapsed() < PATIENCE, "{what}: {:#?}", self.state());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    }

    pub fn events(&self) -> Vec<Event> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let part = self.simulator.events(after).events;
            let Some(last) = part.last() else { return all };
            after = last.seq;
            all.extend(part.into_iter().map(|record| record.event));
        }
    }

    pub fn rail_was_ever_on(&self) -> bool {
        self.events().iter().any(|event| matches!(event, Event::Rail { on: true }))
    }

    pub fn door(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn bind(&self, name: &str) -> UnixListener {
        UnixListener::bind(self.door(name)).unwrap()
    }

    /// The driver, in-process.
    pub async fn drive(&self) -> Driver {
        self.drive_after(|| ()).await
    }

    /// Likewise; its thread does something first.
    pub async fn drive_after(&self, first: impl FnOnce() + Send + 'static) -> Driver {
        let driver = self.drive_for_nobody(first);
        self.alive().await;
        driver
    }

    /// Likewise, and no miner asks for work.
    pub fn drive_for_nobody(&self, first: impl FnOnce() + Send + 'static) -> Driver {
        let profile = Profile::load(&self.profile_path).unwrap();
        let doors = Doors { status: self.bind("hardware.status"), control: self.bind("hardware.control") };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            first();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let stopped = async {
                let _ = stopped.await;
            };
            runtime.block_on(adit_hardware::run(&profile, doors, adit_hardware::Kept::default(), stopped))
        });
        Driver { stop: Some(stop), thread: Some(thread) }
    }

    pub async fn status(&self) -> HardwareStatus {
        let connection = door::connect(&self.door("hardware.status")).await.unwrap();
        HardwareStatusDoorProxy::new(&connection).await.unwrap().read().await.unwrap()
    }

    pub async fn until_status(&self, what: &str, wanted: impl Fn(&HardwareStatus) -> bool) -> HardwareStatus {
        let connection = door::connect(&self.door("hardware.status")).await.unwrap();
        let door = HardwareStatusDoorProxy::new(&connection).await.unwrap();
        let began = Instant::now();
        loop {
            let status = door.read().await.unwrap();
            if wanted(&status) {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "{what}: {status:#?} {:#?}", self.state());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn control(&self) -> HardwareControlDoorProxy<'static> {
        let connection = door::connect(&self.door("hardware.control")).await.unwrap();
        HardwareControlDoorProxy::new(&connection).await.unwrap()
    }

    /// A miner that has no work, and says every second that it is there, until another one takes the path.
    pub async fn alive(&self) {
        let socket = OwnedFd::from(self.control().await.acquire_work().await.unwrap());
        assert!(say_alive(&socket));
        tokio::spawn(async move {
            while say_alive(&socket) {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }

    /// It says that it is there for as long as it is held.
    pub async fn miner(&self) -> Miner {
        let connection = door::connect(&self.door("hardware.control")).await.unwrap();
        let door = HardwareControlDoorProxy::new(&connection).await.unwrap();
        let socket = Arc::new(OwnedFd::from(door.acquire_work().await.unwrap()));
        let held = Arc::downgrade(&socket);
        tokio::spawn(async move {
            while held.upgrade().is_some_and(|socket| say_alive(&socket)) {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        #[expect(deprecated, reason = "an OwnedFd keeps its descriptor")]
        let mut miner = Miner { socket: AsyncFd::new(socket).unwrap(), credit: 0 };
        match miner.receive().await {
            FromHardware::Hello { chains: 1, queue } => miner.credit = queue,
            other => panic!("{other:?}"),
        }
        miner
    }
}

fn say_alive(socket: &OwnedFd) -> bool {
    seqpacket::send(socket, ToHardware::Idle { generation: 0 }.encode().as_bytes()).is_ok()
}

pub struct Driver {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Driver {
    /// As SIGTERM does.
    pub fn stop(mut self) -> anyhow::Result<()> {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The other end of the work path.
pub struct Miner {
    socket: AsyncFd<Arc<OwnedFd>>,
    pub credit: u32,
}

/// Works differ in their merkle roots; the previous hash tells generations apart.
pub fn work(generation: u32, sequence: u32) -> Work {
    let mut merkle_root = [0; 32];
    merkle_root[..4].copy_from_slice(&generation.to_le_bytes());
    merkle_root[4..8].copy_from_slice(&sequence.to_le_bytes());
    static RUN: AtomicU32 = AtomicU32::new(0);
    merkle_root[8..12].copy_from_slice(&RUN.load(Ordering::Relaxed).to_le_bytes());
    Work {
        chain: 0,
        generation,
        sequence,
        version: 0x2000_0000,
        version_mask: 0x1fff_e000,
        ntime: 0x6854_68d7,
        nbits: 0x1702_3a04,
        prev_hash: [generation as u8; 32],
        merkle_root,
    }
}

impl Miner {
    pub fn send(&self, work: Work) {
        seqpacket::send(self.socket.get_ref(), ToHardware::Work(work).encode().as_bytes()).unwrap();
    }

    pub fn send_packet(&self, packet: &[u8]) -> std::io::Result<()> {
        seqpacket::send(self.socket.get_ref(), packet)
    }

    pub async fn receive(&mut self) -> FromHardware {
        tokio::time::timeout(PATIENCE, self.receive_ever())
            .await
            .expect("a frame from the driver")
            .expect("an open work path")
    }

    /// `None`: the driver closed the path.
    pub async fn receive_ever(&mut self) -> Option<FromHardware> {
        let mut packet = [0; MAX_LEN];
        loop {
            let mut ready = self.socket.readable().await.unwrap();
            match ready.try_io(|fd| seqpacket::receive(fd.get_ref(), &mut packet)) {
                Ok(Ok(0)) => return None,
                Ok(length) => return Some(FromHardware::decode(&packet[..length.unwrap()]).unwrap()),
                Err(_would_block) => {}
            }
        }
    }

    /// Keeps the chain in work of `generation` and collects so many nonces, with the works that they are for.
    pub async fn mine(&mut self, generation: u32, from_sequence: u32, nonces: usize) -> Vec<(Nonce, Work)> {
        let mut next = from_sequence;
        let mut found = Vec::new();
        if next == 1 {
            self.credit = 2;
        }
        while found.len() < nonces {
            while next <= self.credit {
                self.send(work(generation, next));
                next += 1;
            }
            match self.receive().await {
                FromHardware::Credit { generation: of, sequence, .. } if of == generation => {
                    self.credit = sequence
                }
                FromHardware::Nonce(nonce) if nonce.generation == generation => {
                    found.push((nonce, work(generation, nonce.sequence)));
                }
                _ => {}
            }
        }
        found
    }
}

/// Leading zero bits of a nonce's header hash, by a second implementation.
pub fn zero_bits(nonce: &Nonce, work: &Work) -> u32 {
    let header = [
        &nonce.version.to_le_bytes()[..],
        &work.prev_hash,
        &work.merkle_root,
        &work.ntime.to_le_bytes(),
        &work.nbits.to_le_bytes(),
        &nonce.nonce.to_le_bytes(),
    ]
    .concat();
    let hash = Sha256::digest(Sha256::digest(header));
    let mut bits = 0;
    for byte in hash.iter().rev() {
        bits += byte.leading_zeros();
        if *byte != 0 {
            break;
        }
    }
    bits
}

//! A driver and a pool to test against: the driver hashes for real at a tiny difficulty, the pool says what the test tells it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use adit_bus::{
    door,
    hardware::{CONTROL_DOOR, ChainStatus, HardwareStatus, OBJECT, STATUS_DOOR},
    miner::{MinerStatus, MinerStatusDoorProxy},
};
use adit_miner::Surroundings;
use adit_sys::seqpacket;
use adit_work::{
    Header,
    frame::{FromHardware, MAX_LEN, Nonce, ToHardware, Work},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream, UnixListener,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

/// Leading zero bits that the fake chips report from: a few hundred hashes a nonce.
pub(crate) const TICKET_BITS: u8 = 8;
/// Nothing in these tests takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !condition().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(PATIENCE, wait).await.is_ok(), "never came: {what}");
}

/// What the fake driver has been told.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) works: Vec<Work>,
    pub(crate) idle: Vec<u32>,
    /// Signs of life.
    pub(crate) signs: u32,
    pub(crate) acquired: u32,
    /// From now on chips take work and find nothing.
    pub(crate) quiet: bool,
}

/// A driver that searches every work for one nonce, with rolled version bits when it may, and passes on what the test adds.
pub(crate) struct Driver {
    pub(crate) told: Arc<Mutex<Told>>,
    /// The miner's end of the present path, to be broken.
    path: Arc<Mutex<Option<OwnedFd>>>,
    tasks: Vec<JoinHandle<()>>,
}

struct ControlDoor(Arc<Mutex<Told>>, Arc<Mutex<Option<OwnedFd>>>);

#[zbus::interface(name = "org.adit.Hardware1.Control")]
impl ControlDoor {
    fn acquire_work(&self) -> zbus::OwnedFd {
        let (ours, theirs) = seqpacket::pair().unwrap();
        self.0.lock().unwrap().acquired += 1;
        send(&ours, FromHardware::Hello { chains: 1, queue: 2 });
        *self.1.lock().unwrap() = Some(ours);
        theirs.into()
    }
}

struct HardwareDoor;

#[zbus::interface(name = "org.adit.Hardware1.Status")]
impl HardwareDoor {
    fn read(&self) -> HardwareStatus {
        let chain = ChainStatus { chain: 0, ticket_bits: TICKET_BITS, ..ChainStatus::default() };
        HardwareStatus { chains: vec![chain], ..HardwareStatus::default() }
    }
}

fn send(socket: &OwnedFd, frame: FromHardware) {
    let _ = seqpacket::send(socket, frame.encode().as_bytes());
}

impl Driver {
    pub(crate) fn start(doors: &std::path::Path) -> Self {
        let (told, path) = (Arc::new(Mutex::new(Told::default())), Arc::new(Mutex::new(None)));
        let bind = |name| {
            let socket = doors.join(name);
            let _ = std::fs::remove_file(&socket);
            UnixListener::bind(socket).unwrap()
        };
        let (control, status) = (bind(CONTROL_DOOR), bind(STATUS_DOOR));
        let (for_door, path_for_door) = (told.clone(), path.clone());
        let tasks = vec![
            tokio::spawn(async move {
                let door = || ControlDoor(for_door.clone(), path_for_door.clone());
                door::serve(control, OBJECT, door).await.unwrap();
            }),
            tokio::spawn(async move { door::serve(status, OBJECT, || HardwareDoor).await.unwrap() }),
            tokio::spawn(drive(told.clone(), path.clone())),
        ];
        Self { told, path, tasks }
    }

    /// As if the process died: the path closes, and the doors are served no more.
    pub(crate) fn kill(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.path.lock().unwrap().take();
    }

    pub(crate) fn say(&self, packet: &[u8]) {
        let path = self.path.lock().unwrap();
        seqpacket::send(path.as_ref().expect("a path"), packet).unwrap();
    }

    pub(crate) fn works(&self) -> Vec<Work> {
        self.told.lock().unwrap().works.clone()
    }
}

/// The hashing loop: takes frames, answers each work with a nonce and a grant for one more, at a gentle pace.
async fn drive(told: Arc<Mutex<Told>>, path: Arc<Mutex<Option<OwnedFd>>>) {
    loop {
        sleep(Duration::from_millis(5)).await;
        let path = path.lock().unwrap();
        let Some(socket) = path.as_ref() else { continue };
        let mut packet = [0; MAX_LEN];
        let Ok(length @ 1..) = seqpacket::receive(socket, &mut packet) else { continue };
        match ToHardware::decode(&packet[..length]).unwrap() {
            // A sign of life.
            ToHardware::Idle { generation: 0 } => told.lock().unwrap().signs += 1,
            ToHardware::Idle { generation } => told.lock().unwrap().idle.push(generation),
            ToHardware::Work(work) => {
                let quiet = {
                    let mut told = told.lock().unwrap();
                    told.works.push(work);
                    told.quiet
                };
                if !quiet {
                    send(socket, FromHardware::Nonce(search(&work)));
                }
                let Work { chain, generation, sequence, .. } = work;
                send(socket, FromHardware::Credit { chain, generation, sequence: sequence + 2 });
            }
        }
    }
}

/// A nonce whose hash has the ticket's zeros.
pub(crate) fn search(work: &Work) -> Nonce {
    let version = work.version | (0x0000_4000 & work.version_mask);
    let meets = |nonce: &u32| {
        let header = Header {
            version,
            prev_hash: work.prev_hash,
            merkle_root: work.merkle_root,
            ntime: work.ntime,
            nbits: work.nbits,
            nonce: *nonce,
        };
        header.hash().leading_zero_bits() >= TICKET_BITS.into()
    };
    let nonce = (0..).find(meets).unwrap();
    let Work { chain, generation, sequence, .. } = *work;
    Nonce { chain, generation, sequence, nonce, version, chip: 0, core: 0, small_core: 0, received_us: 0 }
}

/// The miner under test, its doors in a folder of its own.
pub(crate) struct Unit {
    pub(crate) folder: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<anyhow::Result<()>>,
    door: PathBuf,
}

impl Unit {
    /// `config`: what stands in `adit.toml`, if there is one.
    pub(crate) fn start(folder: tempfile::TempDir, config: Option<&str>) -> Self {
        let path = folder.path().join("adit.toml");
        if let Some(text) = config {
            std::fs::write(&path, text).unwrap();
        }
        let door = folder.path().join("miner.status");
        let listener = std::os::unix::net::UnixListener::bind(&door).unwrap();
        let surroundings =
            Surroundings { config: Some(path), doors: folder.path().to_owned(), status: Some(listener) };
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(adit_miner::run(surroundings, async {
            let _ = stopped.await;
        }));
        Self { folder, stop: Some(stop), task, door }
    }

    pub(crate) fn configured(folder: tempfile::TempDir, port: u16) -> Self {
        let config = format!(
            "version = 1\n[[pool]]\nurl = \"stratum+tcp://127.0.0.1:{port}\"\nuser = \"someone\"\npassword = \"hunter2\"\n"
        );
        Self::start(folder, Some(&config))
    }

    /// Pools by port and user, the best first.
    pub(crate) fn with_pools(folder: tempfile::TempDir, pools: &[(u16, &str)]) -> Self {
        let pool = |(port, user): &(u16, &str)| {
            format!(
                "[[pool]]\nurl = \"stratum+tcp://127.0.0.1:{port}\"\nuser = \"{user}\"\npassword = \"of-{user}\"\n"
            )
        };
        let config = format!("version = 1\n{}", pools.iter().map(pool).collect::<String>());
        Self::start(folder, Some(&config))
    }

    pub(crate) async fn status(&self) -> MinerStatus {
        let connection = door::connect(&self.door).await.unwrap();
        MinerStatusDoorProxy::new(&connection).await.unwrap().read().await.unwrap()
    }

    pub(crate) async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        timeout(PATIENCE, self.task).await.expect("it stops when asked").unwrap().unwrap();
    }
}

/// A pool whose every word the test says.
pub(crate) struct ScriptedPool {
    listener: TcpListener,
}

pub(crate) struct Conversation {
    lines: tokio::io::Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl ScriptedPool {
    pub(crate) async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    pub(crate) async fn accept(&self) -> Conversation {
        let (stream, _): (TcpStream, _) =
            timeout(PATIENCE, self.listener.accept()).await.expect("a miner").unwrap();
        let (reader, writer) = stream.into_split();
        Conversation { lines: BufReader::new(reader).lines(), writer }
    }

    /// A miner that is subscribed (with this extranonce 1) and authorized.
    pub(crate) async fn welcome(&self, extranonce1: &str) -> Conversation {
        let mut conversation = self.accept().await;
        conversation.hears("mining.configure").await;
        conversation.hears("mining.subscribe").await;
        conversation.hears("mining.authorize").await;
        conversation
            .says(&format!(
                concat!(
                    r#"{{"id":1,"result":{{"version-rolling":true,"version-rolling.mask":"1fffe000"}},"error":null}}"#,
                    "\n",
                    r#"{{"id":2,"result":[[],"{}",4],"error":null}}"#,
                    "\n",
                    r#"{{"id":3,"result":true,"error":null}}"#
                ),
                extranonce1
            ))
            .await;
        conversation.hears("mining.extranonce.subscribe").await;
        conversation
    }
}

impl Conversation {
    pub(crate) async fn says(&mut self, line: &str) {
        self.says_bytes(format!("{line}\n").as_bytes()).await;
    }

    pub(crate) async fn says_bytes(&mut self, bytes: &[u8]) {
        // A miner that has hung up is the test's own matter.
        let _ = self.writer.write_all(bytes).await;
    }

    /// The next line; `None` when the miner has hung up.
    pub(crate) async fn line(&mut self) -> Option<serde_json::Value> {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("a line in time");
        line.ok().flatten().map(|line| serde_json::from_str(&line).unwrap())
    }

    pub(crate) async fn hears(&mut self, method: &str) -> serde_json::Value {
        let line = self.line().await.unwrap_or_else(|| panic!("the miner hung up before {method}"));
        assert_eq!(line["method"], method);
        line
    }

    /// A job whose shares are almost every nonce.
    pub(crate) async fn job(&mut self, id: &str, block: u8, clean: bool) {
        let job = serde_json::json!([
            id,
            format!("{block:02x}").repeat(32),
            "0100",
            "0203",
            [],
            "20000000",
            "207fffff",
            "685468d7",
            clean
        ]);
        self.says(&serde_json::json!({"id": null, "method": "mining.notify", "params": job}).to_string())
            .await;
    }

    /// The next share, checked in full against the job's pieces: its hash must meet the difficulty that was set.
    pub(crate) async fn share(&mut self) -> Share {
        let line = self.hears("mining.submit").await;
        let text = |place: usize| line["params"][place].as_str().unwrap().to_owned();
        Share {
            id: line["id"].as_u64().unwrap(),
            job: text(1),
            extranonce2: text(2),
            ntime: text(3),
            nonce: text(4),
            version_bits: line["params"][5].as_str().map(str::to_owned),
        }
    }

    pub(crate) async fn accepts(&mut self, share: &Share) {
        self.says(&format!(r#"{{"id":{},"result":true,"error":null}}"#, share.id)).await;
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Share {
    pub(crate) id: u64,
    pub(crate) job: String,
    pub(crate) extranonce2: String,
    pub(crate) ntime: String,
    pub(crate) nonce: String,
    pub(crate) version_bits: Option<String>,
}

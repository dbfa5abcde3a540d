//! A gateway with doors that this test answers at, and a client that sends exactly the bytes that it is told to.

#![allow(dead_code, clippy::unwrap_used, reason = "each test uses its part; helpers of tests fail the test")]

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use adit_bus::{
    door,
    hardware::{self, BoardStatus, ChainStatus, ChipStatus, FanStatus, HardwareStatus, SensorStatus},
    miner::{self, MinerStatus},
    network::{self, NetworkStatus},
};
use adit_gateway::{Surroundings, identity::Identity, server::Limits};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixListener},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a unit says that mines: one chip, one fan.
pub(crate) fn hashing() -> (HardwareStatus, MinerStatus) {
    let chain = ChainStatus {
        chip: "BM1370".into(),
        chips_found: 1,
        chips_expected: 1,
        mhz: 525.0,
        target_mhz: 550.0,
        throttle_mhz: f64::NAN,
        baud: 115_740,
        ticket_bits: 20,
        chip_celsius: 61.25,
        works_sent: 4711,
        nonces: 99,
        crc_errors: 2,
        chip_hashes: 70,
        chip_errors: 2,
        die_celsius: 68.5,
        ..Default::default()
    };
    let hardware = HardwareStatus {
        machine: "qemu-bitaxe".into(),
        simulated: true,
        stage: "hashing".into(),
        rail_volts: 1.15,
        fan_rpm: vec![4200],
        chains: vec![chain],
        boards: vec![BoardStatus {
            name: "bitaxe".into(),
            state: "hashing".into(),
            volts: 1.15,
            watts: 17.5,
            ..Default::default()
        }],
        sensors: vec![SensorStatus {
            name: "board".into(),
            part: "emc2101".into(),
            board: Some(0),
            celsius: 44.5,
            state: "good".into(),
        }],
        fans: vec![FanStatus { name: "fan".into(), rpm: 4200, state: "good".into(), ..Default::default() }],
        ..Default::default()
    };
    let miner = MinerStatus {
        state: "hashing".into(),
        pool: "stratum+tcp://pool.example:3333".into(),
        difficulty: 1000.0,
        mhs: 1_070_000.5,
        generation: 7,
        shares_accepted: 12,
        shares_rejected: 1,
        shares_stale: 2,
        nonces_invalid: 3,
        best_difficulty: 52_000.25,
        blocks_accepted: 4,
        ..Default::default()
    };
    (hardware, miner)
}

/// What a unit says that is reached by two addresses.
pub(crate) fn reached() -> NetworkStatus {
    NetworkStatus {
        link: "eth0".into(),
        mac: "52:54:00:12:34:56".into(),
        carrier: true,
        source: "dhcp".into(),
        addresses: vec!["10.0.2.15/24".into(), "fec0::5054:ff:fe12:3456/64".into()],
        gateways: vec!["10.0.2.2".into()],
        dns: vec!["10.0.2.3".into()],
        host_name: "rack1-unit7".into(),
        local_name: "rack1-unit7.local".into(),
    }
}

struct NetworkDoor(Arc<Mutex<NetworkStatus>>);

#[zbus::interface(name = "org.adit.Network1.Status")]
impl NetworkDoor {
    fn read(&self) -> NetworkStatus {
        self.0.lock().unwrap().clone()
    }
}

struct HardwareDoor(Arc<Mutex<HardwareStatus>>);

#[zbus::interface(name = "org.adit.Hardware1.Status")]
impl HardwareDoor {
    fn read(&self) -> HardwareStatus {
        self.0.lock().unwrap().clone()
    }

    /// All alike, as their chain is; those that were not found are at its end.
    fn chips(&self, chain: u8) -> Vec<ChipStatus> {
        let status = self.0.lock().unwrap();
        let chain = &status.chains[usize::from(chain)];
        let chip = |place| ChipStatus {
            place,
            address: (2 * place) as u8,
            found: place < chain.chips_found,
            nonces: chain.nonces,
            errors: chain.chip_errors,
            die_celsius: chain.die_celsius,
        };
        (0..chain.chips_expected).map(chip).collect()
    }
}

struct MinerDoor(Arc<Mutex<MinerStatus>>);

#[zbus::interface(name = "org.adit.Miner1.Status")]
impl MinerDoor {
    fn read(&self) -> MinerStatus {
        self.0.lock().unwrap().clone()
    }
}

/// A service's door; dropping it ends the service, its socket file stays as adit-init leaves it.
pub(crate) struct Service(JoinHandle<()>);

impl Service {
    pub(crate) fn hardware(folder: &Path, status: HardwareStatus) -> Self {
        let listener = bind(folder, hardware::STATUS_DOOR);
        let status = Arc::new(Mutex::new(status));
        Self(tokio::spawn(async move {
            _ = door::serve(listener, hardware::OBJECT, || HardwareDoor(Arc::clone(&status))).await;
        }))
    }

    pub(crate) fn miner(folder: &Path, status: MinerStatus) -> Self {
        let listener = bind(folder, miner::STATUS_DOOR);
        let status = Arc::new(Mutex::new(status));
        Self(tokio::spawn(async move {
            _ = door::serve(listener, miner::OBJECT, || MinerDoor(Arc::clone(&status))).await;
        }))
    }

    pub(crate) fn network(folder: &Path, status: NetworkStatus) -> Self {
        let listener = bind(folder, network::STATUS_DOOR);
        let status = Arc::new(Mutex::new(status));
        Self(tokio::spawn(async move {
            _ = door::serve(listener, network::OBJECT, || NetworkDoor(Arc::clone(&status))).await;
        }))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The socket of a door; whoever only keeps it is a service that hangs.
pub(crate) fn bind(folder: &Path, name: &str) -> UnixListener {
    let socket = folder.join(name);
    _ = std::fs::remove_file(&socket);
    UnixListener::bind(socket).unwrap()
}

/// A running gateway.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) doors: tempfile::TempDir,
    /// adit-network's door, where there is one.
    network: Option<Service>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Site {
    pub(crate) fn start() -> Self {
        Self::with(Limits::default())
    }

    /// With all services at their doors.
    pub(crate) fn hashing() -> (Self, Service, Service) {
        let mut site = Self::start();
        site.network = Some(Service::network(site.doors.path(), reached()));
        let (hardware, miner) = hashing();
        let services =
            (Service::hardware(site.doors.path(), hardware), Service::miner(site.doors.path(), miner));
        (site, services.0, services.1)
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let doors = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let identity = Identity {
            version: Some("0.1.0+g1234".into()),
            board: Some("qemu-aarch64".into()),
            slot: Some("a".into()),
        };
        let surroundings = Surroundings { listener, doors: doors.path().into(), identity, limits };
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(adit_gateway::run(surroundings, async move { _ = stopped.await }));
        Self { address, doors, network: None, stop, running }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `request` and reads until the gateway closes.
    pub(crate) async fn send(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        // A refusal may come before the last byte is out.
        _ = stream.write_all(request).await;
        Answer::read(&mut stream).await
    }

    pub(crate) async fn request(&self, method: &str, path: &str, fields: &str) -> Answer {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: unit\r\nconnection: close\r\n{fields}\r\n");
        self.send(head.as_bytes()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "").await
    }

    pub(crate) async fn status(&self) -> serde_json::Value {
        let answer = self.get("/api/v1/status").await;
        assert_eq!(answer.code, 200, "{answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.running).await.unwrap().unwrap().unwrap();
    }
}

/// An answer as text; code 0: closed without one.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A reset after the answer's last byte does not take the answer away.
        _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the gateway closes in time");
        let text = String::from_utf8(bytes).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return Self::default() };
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { code, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

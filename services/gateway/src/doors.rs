//! Asks the services through their status doors.
//!
//! However many clients look, a door is asked once a second at most, and only while someone looks. A door that does not answer in time is an answer too.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use adit_bus::{
    door,
    hardware::{self, ChainStatus, ChipStatus, HardwareStatus, HardwareStatusDoorProxy},
    miner::{self, MinerStatus, MinerStatusDoorProxy},
    network::{self, NetworkStatus, NetworkStatusDoorProxy},
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use zbus::Connection;

/// A reading younger than this is good enough for the next client.
const FRESH: Duration = Duration::from_secs(1);

/// Doors are on this machine and answer in a millisecond; a page shall not wait longer than this to say that one hangs.
const PATIENCE: Duration = Duration::from_secs(2);

/// Chains of a machine whose chips are asked for: a profile names at most 8.
const MOST_CHAINS: usize = 8;

/// A chain and its chips, nearest to the control board first.
#[derive(Debug, Clone)]
pub struct ChainChips {
    pub chain: ChainStatus,
    pub chips: Vec<ChipStatus>,
}

/// Of the whole machine; in place of an answer, why there is none.
pub type Chips = Result<Vec<ChainChips>, String>;

/// What the services said at one time; in place of an answer, why there is none.
#[derive(Debug, Clone)]
pub struct Reading {
    pub hardware: Result<HardwareStatus, String>,
    pub miner: Result<MinerStatus, String>,
    pub network: Result<NetworkStatus, String>,
}

/// The status doors of a unit. Chips are asked for on a connection of their own: who waits for one kind of answer never waits for the other, too, when a door hangs.
#[derive(Debug)]
pub struct Doors {
    services: Mutex<Services>,
    chips: Mutex<ChipsDoor>,
}

#[derive(Debug)]
struct Services {
    hardware: Door,
    miner: Door,
    network: Door,
    last: Option<(Instant, Arc<Reading>)>,
}

#[derive(Debug)]
struct ChipsDoor {
    hardware: Door,
    last: Option<(Instant, Arc<Chips>)>,
}

impl Doors {
    /// `folder`: where the doors' sockets are.
    pub fn new(folder: &Path) -> Self {
        let door = |name| Door { socket: folder.join(name), connection: None };
        Self {
            services: Mutex::new(Services {
                hardware: door(hardware::STATUS_DOOR),
                miner: door(miner::STATUS_DOOR),
                network: door(network::STATUS_DOOR),
                last: None,
            }),
            chips: Mutex::new(ChipsDoor { hardware: door(hardware::STATUS_DOOR), last: None }),
        }
    }

    /// What the services say now, at most a second old. Takes two seconds when a door hangs; clients that ask meanwhile wait for the same reading.
    pub async fn read(&self) -> Arc<Reading> {
        let mut services = self.services.lock().await;
        if let Some(reading) = fresh(&services.last) {
            return reading;
        }
        let Services { hardware, miner, network, last } = &mut *services;
        let (hardware, miner, network) = tokio::join!(hardware.ask(), miner.ask(), network.ask());
        let reading = Arc::new(Reading { hardware, miner, network });
        *last = Some((Instant::now(), Arc::clone(&reading)));
        reading
    }

    /// Every chip as adit-hardware knows it, likewise.
    pub async fn chips(&self) -> Arc<Chips> {
        let mut door = self.chips.lock().await;
        if let Some(chips) = fresh(&door.last) {
            return chips;
        }
        let chips = Arc::new(door.hardware.ask::<Vec<ChainChips>>().await);
        door.last = Some((Instant::now(), Arc::clone(&chips)));
        chips
    }
}

fn fresh<T>(last: &Option<(Instant, Arc<T>)>) -> Option<Arc<T>> {
    last.as_ref().filter(|(at, _)| at.elapsed() < FRESH).map(|(_, reading)| Arc::clone(reading))
}

/// What a door gives.
trait Answer: Sized + Send {
    fn read(connection: &Connection) -> impl Future<Output = zbus::Result<Self>> + Send;
}

impl Answer for HardwareStatus {
    async fn read(connection: &Connection) -> zbus::Result<Self> {
        HardwareStatusDoorProxy::new(connection).await?.read().await
    }
}

impl Answer for Vec<ChainChips> {
    async fn read(connection: &Connection) -> zbus::Result<Self> {
        let door = HardwareStatusDoorProxy::new(connection).await?;
        let mut all = Self::new();
        for chain in door.read().await?.chains.into_iter().take(MOST_CHAINS) {
            let chips = door.chips(chain.chain).await?;
            all.push(ChainChips { chain, chips });
        }
        Ok(all)
    }
}

impl Answer for MinerStatus {
    async fn read(connection: &Connection) -> zbus::Result<Self> {
        MinerStatusDoorProxy::new(connection).await?.read().await
    }
}

impl Answer for NetworkStatus {
    async fn read(connection: &Connection) -> zbus::Result<Self> {
        NetworkStatusDoorProxy::new(connection).await?.read().await
    }
}

#[derive(Debug)]
struct Door {
    socket: PathBuf,
    connection: Option<Connection>,
}

impl Door {
    async fn ask<T: Answer>(&mut self) -> Result<T, String> {
        let answer = timeout(PATIENCE, self.ask_patiently()).await;
        let problem = match answer {
            Ok(Ok(status)) => return Ok(status),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        self.connection = None;
        Err(problem)
    }

    async fn ask_patiently<T: Answer>(&mut self) -> zbus::Result<T> {
        // A kept connection ends with the service that it led to; the one that was started since is at the same socket.
        if let Some(connection) = self.connection.take()
            && let Ok(status) = T::read(&connection).await
        {
            self.connection = Some(connection);
            return Ok(status);
        }
        let connection = door::connect(&self.socket).await?;
        let status = T::read(&connection).await?;
        self.connection = Some(connection);
        Ok(status)
    }
}

//! What the API says: pure, from readings to a value. Contract: `docs/api.md`.

use adit_bus::{
    hardware::{BoardStatus, ChainStatus, FaultStatus, HardwareStatus, SensorStatus},
    miner::MinerStatus,
    network::NetworkStatus,
};
use serde::Serialize;

use crate::{doors::Reading, identity::Identity};

/// Longest text of a service that is passed on, in characters: part of it comes from pools.
const LONGEST_TEXT: usize = 300;

/// Longest list of boards, faults or addresses that is passed on: part of the last comes from router advertisements.
const LONGEST_LIST: usize = 16;

/// A machine has a few on each board.
const MOST_SENSORS: usize = 64;

/// `GET /api/v1/status`. Keys carry their unit; what is not known or not measured is null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    pub api_version: u32,
    pub state: State,
    /// Why it does not hash, or why that is not known; empty while it hashes.
    pub reason: String,
    /// Services that do not answer, in words.
    pub problems: Vec<String>,
    pub unit: Unit,
    pub miner: Option<Miner>,
    pub hardware: Option<Hardware>,
    pub network: Option<Network>,
}

/// Whether the unit does what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Work is out and verified nonces came back within the last minute.
    Hashing,
    NotHashing,
    /// The miner does not answer.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unit {
    pub version: Option<String>,
    pub board: Option<String>,
    pub slot: Option<String>,
    pub uptime_seconds: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Miner {
    pub state: String,
    pub reason: String,
    pub pool_url: String,
    pub pool_difficulty: Option<f64>,
    pub hash_rate_hashes_per_second: Option<f64>,
    pub shares_accepted: u64,
    pub shares_rejected: u64,
    pub shares_stale: u64,
    pub nonces_invalid: u64,
    pub best_share_difficulty: Option<f64>,
    pub blocks_accepted: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hardware {
    pub machine: String,
    pub simulated: bool,
    pub untested: bool,
    pub stage: String,
    pub fault: String,
    pub rail_volts: Option<f64>,
    pub fans: Vec<Fan>,
    pub boards: Vec<Board>,
    pub chains: Vec<Chain>,
    pub sensors: Vec<Sensor>,
    pub faults: Vec<Fault>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fan {
    pub fan: usize,
    pub speed_rpm: u32,
}

/// A hash board.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Board {
    pub board: u8,
    pub name: String,
    pub state: String,
    pub reason: String,
    pub volts: Option<f64>,
    pub watts: Option<f64>,
}

/// A thermometer; null for a board is the machine's own.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sensor {
    pub name: String,
    pub board: Option<u8>,
    pub state: String,
    pub celsius: Option<f64>,
}

/// What took power off.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fault {
    pub cause: String,
    pub part: String,
    pub board: Option<u8>,
    pub text: String,
    /// Of the unit's uptime.
    pub since_seconds: u64,
    pub needs_clearing: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chain {
    pub chain: u8,
    pub chip: String,
    pub chips_found: u16,
    pub chips_expected: u16,
    pub clock_megahertz: Option<f64>,
    pub target_megahertz: Option<f64>,
    pub throttle_megahertz: Option<f64>,
    pub chip_celsius: Option<f64>,
    pub die_celsius: Option<f64>,
    pub works_sent: u64,
    pub nonces: u64,
    pub crc_errors: u64,
    pub skipped_bytes: u64,
    pub impossible_responses: u64,
    pub chip_hashes: Option<f64>,
    pub chip_hashes_wrong: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Network {
    pub link: Option<String>,
    pub mac: Option<String>,
    pub carrier: bool,
    pub source: String,
    pub addresses: Vec<String>,
    pub gateways: Vec<String>,
    pub dns: Vec<String>,
    pub host_name: String,
    pub local_name: Option<String>,
}

impl Status {
    pub fn new(identity: &Identity, uptime_seconds: u64, reading: &Reading) -> Self {
        let silent =
            |service: &str, problem: &String| clipped(&format!("{service} does not answer: {problem}"));
        let problems = [
            reading.miner.as_ref().err().map(|problem| silent("adit-miner", problem)),
            reading.hardware.as_ref().err().map(|problem| silent("adit-hardware", problem)),
            reading.network.as_ref().err().map(|problem| silent("adit-network", problem)),
        ];
        let miner = reading.miner.as_ref().ok();
        let hardware = reading.hardware.as_ref().ok();
        let (state, reason) = judge(miner, hardware);
        Self {
            api_version: 1,
            state,
            reason: clipped(&reason),
            problems: problems.into_iter().flatten().collect(),
            unit: Unit {
                version: identity.version.clone(),
                board: identity.board.clone(),
                slot: identity.slot.clone(),
                uptime_seconds,
            },
            miner: miner.map(Miner::new),
            hardware: hardware.map(Hardware::new),
            network: reading.network.as_ref().ok().map(Network::new),
        }
    }
}

/// Nothing is called hashing without evidence: both services say so, and nonces that the miner has hashed itself came back.
fn judge(miner: Option<&MinerStatus>, hardware: Option<&HardwareStatus>) -> (State, String) {
    let not = |reason: String| (State::NotHashing, reason);
    match (miner, hardware) {
        (_, Some(hardware)) if hardware.stage == "fault" => not(format!("fault: {}", hardware.fault)),
        (None, _) => (State::Unknown, "adit-miner does not answer".into()),
        (Some(miner), _) if miner.state != "hashing" => not(if miner.reason.is_empty() {
            format!("adit-miner is {}", miner.state)
        } else {
            format!("{}: {}", miner.state, miner.reason)
        }),
        (_, Some(hardware)) if hardware.stage != "hashing" => {
            not(format!("adit-hardware is at stage {}", hardware.stage))
        }
        (Some(miner), _) if miner.mhs <= 0.0 || miner.mhs.is_nan() => {
            not("work is out, but no valid nonce came back within the last minute".into())
        }
        _ => (State::Hashing, String::new()),
    }
}

impl Miner {
    fn new(status: &MinerStatus) -> Self {
        Self {
            state: clipped(&status.state),
            reason: clipped(&status.reason),
            pool_url: clipped(&status.pool),
            pool_difficulty: measured(status.difficulty),
            hash_rate_hashes_per_second: measured((status.mhs * 1e6).round()),
            shares_accepted: status.shares_accepted,
            shares_rejected: status.shares_rejected,
            shares_stale: status.shares_stale,
            nonces_invalid: status.nonces_invalid,
            best_share_difficulty: measured(status.best_difficulty),
            blocks_accepted: status.blocks_accepted,
        }
    }
}

impl Hardware {
    fn new(status: &HardwareStatus) -> Self {
        let fans = status.fan_rpm.iter().enumerate();
        Self {
            machine: clipped(&status.machine),
            simulated: status.simulated,
            untested: status.untested,
            stage: clipped(&status.stage),
            fault: clipped(&status.fault),
            rail_volts: measured(status.rail_volts),
            fans: fans.map(|(fan, &speed_rpm)| Fan { fan, speed_rpm }).collect(),
            boards: status.boards.iter().take(LONGEST_LIST).map(Board::new).collect(),
            chains: status.chains.iter().map(Chain::new).collect(),
            sensors: status.sensors.iter().take(MOST_SENSORS).map(Sensor::new).collect(),
            faults: status.faults.iter().take(LONGEST_LIST).map(Fault::new).collect(),
        }
    }
}

impl Board {
    fn new(status: &BoardStatus) -> Self {
        Self {
            board: status.board,
            name: clipped(&status.name),
            state: clipped(&status.state),
            reason: clipped(&status.reason),
            volts: measured(status.volts),
            watts: measured(status.watts),
        }
    }
}

impl Sensor {
    fn new(status: &SensorStatus) -> Self {
        Self {
            name: clipped(&status.name),
            board: status.board,
            state: clipped(&status.state),
            celsius: measured(status.celsius),
        }
    }
}

impl Fault {
    fn new(status: &FaultStatus) -> Self {
        Self {
            cause: clipped(&status.cause),
            part: clipped(&status.part),
            board: status.board,
            text: clipped(&status.text),
            since_seconds: status.since_ms / 1000,
            needs_clearing: status.needs_clearing,
        }
    }
}

impl Chain {
    fn new(status: &ChainStatus) -> Self {
        Self {
            chain: status.chain,
            chip: clipped(&status.chip),
            chips_found: status.chips_found,
            chips_expected: status.chips_expected,
            clock_megahertz: measured(status.mhz),
            target_megahertz: measured(status.target_mhz),
            throttle_megahertz: measured(status.throttle_mhz),
            chip_celsius: measured(status.chip_celsius),
            die_celsius: measured(status.die_celsius),
            works_sent: status.works_sent,
            nonces: status.nonces,
            crc_errors: status.crc_errors,
            skipped_bytes: status.skipped_bytes,
            impossible_responses: status.impossible,
            chip_hashes: counted(status.chip_hashes),
            // Some chips count only these: then a 0 may as well mean that they do not.
            chip_hashes_wrong: match status.chip_hashes {
                0 => counted(status.chip_errors),
                _ => Some(hashes(status.chip_errors)),
            },
        }
    }
}

impl Network {
    fn new(status: &NetworkStatus) -> Self {
        let list = |texts: &[String]| texts.iter().take(LONGEST_LIST).map(|text| clipped(text)).collect();
        let known = |text: &String| (!text.is_empty()).then(|| clipped(text));
        Self {
            link: known(&status.link),
            mac: known(&status.mac),
            carrier: status.carrier,
            source: clipped(&status.source),
            addresses: list(&status.addresses),
            gateways: list(&status.gateways),
            dns: list(&status.dns),
            host_name: clipped(&status.host_name),
            local_name: known(&status.local_name),
        }
    }
}

/// Chips count in units of 2^32; more of them than a `u64` has room for as single hashes are found within a year.
pub(crate) fn hashes(units: u64) -> f64 {
    units as f64 * 2f64.powi(32)
}

/// 0 stands for "chips do not say", or have not yet.
pub(crate) fn counted(units: u64) -> Option<f64> {
    (units > 0).then(|| hashes(units))
}

/// NaN stands for "not measured" on the doors; JSON has no NaN.
pub(crate) fn measured(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

pub(crate) fn clipped(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

//! adit-hardware's doors: `hardware.status` and `hardware.control`.

use serde::{Deserialize, Serialize};
use zbus::{
    OwnedFd,
    zvariant::{DeserializeDict, SerializeDict, Type},
};

/// Socket names below [`crate::door::DIRECTORY`].
pub const STATUS_DOOR: &str = "hardware.status";
pub const CONTROL_DOOR: &str = "hardware.control";
/// Object path of both interfaces.
pub const OBJECT: &str = "/org/adit/hardware";

/// What the machine is doing now.
#[derive(Debug, Clone, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zvariant(signature = "dict")]
pub struct HardwareStatus {
    /// Machine profile's name.
    pub machine: String,
    /// True where chips, rail and fans are a simulation.
    pub simulated: bool,
    /// `off`, `fans`, `power`, `enumerate`, `ramp`, `hashing`, `fault`.
    pub stage: String,
    /// Why the machine is in `fault`; empty otherwise.
    pub fault: String,
    /// Volts at the chips' rail as measured, 0 when off.
    pub rail_volts: f64,
    /// Fan speeds, revolutions per minute, in the profile's order.
    pub fan_rpm: Vec<u32>,
    pub chains: Vec<ChainStatus>,
}

/// One chain. All counters since the driver's start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Type)]
pub struct ChainStatus {
    pub chain: u8,
    /// `BM1370` …
    pub chip: String,
    pub chips_found: u16,
    pub chips_expected: u16,
    pub mhz: f64,
    pub baud: u32,
    /// A reported nonce stands for 2^this hashes: leading zero bits of the ticket.
    pub ticket_bits: u8,
    /// °C, NaN when not measured.
    pub chip_celsius: f64,
    pub works_sent: u64,
    pub nonces: u64,
    /// Responses with a wrong CRC.
    pub crc_errors: u64,
    /// Responses that cannot be: unknown job, unknown register, chip that is not there.
    pub impossible: u64,
    /// Hashes in units of 2^32 that the chips counted themselves, and those of them that they found wrong; 0 where chips do not say.
    pub chip_hashes: u64,
    pub chip_errors: u64,
    /// °C of the hottest die, by the chips' own thermometers; NaN where chips have none.
    pub die_celsius: f64,
}

/// `org.adit.Hardware1.Status`: read only.
#[zbus::proxy(
    interface = "org.adit.Hardware1.Status",
    default_service = "org.adit.Hardware1",
    default_path = "/org/adit/hardware"
)]
pub trait HardwareStatusDoor {
    fn read(&self) -> zbus::Result<HardwareStatus>;
}

/// `org.adit.Hardware1.Control`: for adit-miner, and later adit-authority.
#[zbus::proxy(
    interface = "org.adit.Hardware1.Control",
    default_service = "org.adit.Hardware1",
    default_path = "/org/adit/hardware"
)]
pub trait HardwareControlDoor {
    /// The work path: a connected `SOCK_SEQPACKET` socket that carries `docs/work-frames.md`. There is one holder: a new call closes the socket of the one before.
    fn acquire_work(&self) -> zbus::Result<OwnedFd>;
}

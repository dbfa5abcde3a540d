//! adit-hardware's doors: `hardware.status` and `hardware.control`.
//!
//! A number that was not measured is NaN; a text that is not known is empty. Lists are in the machine profile's order.

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
    /// Nobody has run the hardware that the profile describes with this driver yet.
    pub untested: bool,
    /// `off`, `fans`, `power`, `enumerate`, `ramp`, `hashing`, `fault`: of the board that is furthest back, of those that nothing is wrong with.
    pub stage: String,
    /// What is wrong with the machine, or with its first board that something is wrong with: the others may hash. Empty where all is well.
    pub fault: String,
    /// Volts at the first board's chips as measured, 0 when off.
    pub rail_volts: f64,
    /// Fan speeds, revolutions per minute.
    pub fan_rpm: Vec<u32>,
    pub chains: Vec<ChainStatus>,
    pub boards: Vec<BoardStatus>,
    pub sensors: Vec<SensorStatus>,
    pub fans: Vec<FanStatus>,
    /// Missing where the profile names none that can be spoken to.
    pub psu: Option<PsuStatus>,
    /// What took power off, or would: latched until the machine works again or somebody clears it.
    pub faults: Vec<FaultStatus>,
}

/// A hash board: what shares one rail and one reset line.
#[derive(Debug, Clone, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zvariant(signature = "dict")]
pub struct BoardStatus {
    pub board: u8,
    pub name: String,
    /// As the machine's `stage`; `absent` where none is plugged in.
    pub state: String,
    /// Why it does not hash; empty where nothing is wrong.
    pub reason: String,
    /// What the board says it is: model and serial number of its EEPROM or USB descriptor.
    pub identity: String,
    /// Volts at its chips as measured.
    pub volts: f64,
    /// Volts that its regulator was last told to give.
    pub target_volts: f64,
    /// Watts that it draws as measured.
    pub watts: f64,
}

/// One chain. All counters since the driver's start.
#[derive(Debug, Clone, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zvariant(signature = "dict")]
pub struct ChainStatus {
    pub chain: u8,
    /// The board that it is on.
    pub board: u8,
    /// `BM1370` …
    pub chip: String,
    /// Of `chips_expected`, when all were last called: at the start-up, and every ten seconds since.
    pub chips_found: u16,
    pub chips_expected: u16,
    /// What the chips' clock is set to, 0 when off.
    pub mhz: f64,
    /// Where the clock is going: what was last asked for, at first the profile's.
    pub target_mhz: f64,
    /// Hard limits of what may be asked for.
    pub min_mhz: f64,
    pub max_mhz: f64,
    /// Safety holds the clock at or below this; NaN while it does not.
    pub throttle_mhz: f64,
    pub baud: u32,
    /// A reported nonce stands for 2^this hashes: leading zero bits of the ticket.
    pub ticket_bits: u8,
    /// °C, NaN when not measured.
    pub chip_celsius: f64,
    pub works_sent: u64,
    pub nonces: u64,
    /// Responses with a wrong CRC.
    pub crc_errors: u64,
    /// Bytes that belong to no response: noise on the line.
    pub skipped_bytes: u64,
    /// Responses that cannot be: unknown job, unknown register, chip that is not there.
    pub impossible: u64,
    /// Hashes in units of 2^32 that the chips counted themselves, and those of them that they found wrong; 0 where chips do not say.
    pub chip_hashes: u64,
    pub chip_errors: u64,
    /// °C of the hottest die, by the chips' own thermometers; NaN where chips have none.
    pub die_celsius: f64,
}

/// One chip of a chain. Counters since the driver's start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, Type)]
pub struct ChipStatus {
    /// From 0, nearest to the control board.
    pub place: u16,
    pub address: u8,
    /// It answered under its address when all were last called.
    pub found: bool,
    pub nonces: u64,
    /// Hashes in units of 2^32 that it found wrong itself; 0 where chips do not say.
    pub errors: u64,
    /// °C by its own thermometer; NaN where it has none.
    pub die_celsius: f64,
}

/// A thermometer.
#[derive(Debug, Clone, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zvariant(signature = "dict")]
pub struct SensorStatus {
    pub name: String,
    /// The part, and its address on the bus: `emc2101 4c`.
    pub part: String,
    /// The board that it is on; missing for the machine's own.
    pub board: Option<u8>,
    pub celsius: f64,
    /// `good`; `unknown`: nothing to be read yet, as a chip's diode without power; `lost`: should answer and does not. Of what is latched (`docs/safety.md`): `absurd`: says what cannot be; `frozen`: says the same for too long; `hot`: was at its limit, and is not well below it for long enough yet.
    pub state: String,
}

#[derive(Debug, Clone, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zvariant(signature = "dict")]
pub struct FanStatus {
    pub name: String,
    /// The board whose fan it is; missing for the machine's own.
    pub board: Option<u8>,
    pub rpm: u32,
    /// What its drive is told, 0 to 100; NaN before that.
    pub duty_percent: f64,
    /// `good`; `unknown`: not looked at yet; `lost`: the tachometer cannot be read; `stopped`: below the profile's lowest speed; `slow`: turns slower than its drive makes it (latched).
    pub state: String,
}

#[derive(Debug, Clone, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zvariant(signature = "dict")]
pub struct PsuStatus {
    pub model: String,
    /// `off`, `on`, `lost`.
    pub state: String,
    pub volts: f64,
    pub watts: f64,
}

/// Something that took power off.
#[derive(Debug, Clone, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zvariant(signature = "dict")]
pub struct FaultStatus {
    /// The kind of hazard: `fan stopped`, `chip hot` …
    pub cause: String,
    /// Which part: `fan`, `chain 1` …
    pub part: String,
    /// The board that it is about; missing where it is about all.
    pub board: Option<u8>,
    /// What was measured, in `unit`; NaN where it is no number.
    pub value: f64,
    /// `rpm`, `°C`, `V`; empty where `value` is NaN.
    pub unit: String,
    /// All of it for people, with the limit.
    pub text: String,
    /// What it led to: `throttle`, `chain off` (this board without power), `all off`.
    pub stage: String,
    /// Milliseconds since the kernel's start.
    pub since_ms: u64,
    /// `ClearFault` must be called before power comes on again. Otherwise the driver tries again by itself.
    pub needs_clearing: bool,
}

/// What is asked of a chain. What is not given stays as it is; an unknown key is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zvariant(signature = "dict", deny_unknown_fields)]
pub struct Targets {
    /// Clock of the chips.
    pub mhz: Option<f64>,
    /// At the chips' rail: of the whole board that the chain is on.
    pub volts: Option<f64>,
}

/// `org.adit.Hardware1.Status`: read only.
#[zbus::proxy(
    interface = "org.adit.Hardware1.Status",
    default_service = "org.adit.Hardware1",
    default_path = "/org/adit/hardware"
)]
pub trait HardwareStatusDoor {
    fn read(&self) -> zbus::Result<HardwareStatus>;

    /// At most 128. Errors: `InvalidArgs` when there is no such chain.
    fn chips(&self, chain: u8) -> zbus::Result<Vec<ChipStatus>>;
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

    /// Errors: `LimitsExceeded` beyond a hard limit of the profile, which the message names; `InvalidArgs` for what is no target at all; `NotSupported` where the rail cannot be changed.
    fn set_targets(&self, chain: u8, targets: &Targets) -> zbus::Result<()>;

    /// Errors: `NotSupported` where the profile names no light.
    fn locate(&self, on: bool) -> zbus::Result<()>;

    /// Errors: `Failed` when no fault waits to be cleared.
    fn clear_fault(&self) -> zbus::Result<()>;
}

//! adit-miner's door: `miner.status`.

use zbus::zvariant::{DeserializeDict, SerializeDict, Type};

/// Socket name below [`crate::door::DIRECTORY`].
pub const STATUS_DOOR: &str = "miner.status";
/// Object path of the interface.
pub const OBJECT: &str = "/org/adit/miner";

/// What the unit earns now. All counters since the miner's start.
#[derive(Debug, Clone, Default, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zvariant(signature = "dict")]
pub struct MinerStatus {
    /// `unclaimed` (no usable configuration), `connecting`, `waiting` (no job or no hardware), `hashing`.
    pub state: String,
    /// Why it is not hashing; empty otherwise.
    pub reason: String,
    /// Pool's address without credentials; empty when unclaimed.
    pub pool: String,
    /// Share difficulty that the pool asks for.
    pub difficulty: f64,
    /// MH/s from verified nonces of the last minute.
    pub mhs: f64,
    pub generation: u32,
    pub shares_accepted: u64,
    pub shares_rejected: u64,
    /// Shares that came too late and were not sent.
    pub shares_stale: u64,
    /// Nonces whose hash does not have the ticket's zero bits.
    pub nonces_invalid: u64,
    /// Difficulty of the best share.
    pub best_difficulty: f64,
    /// Blocks that this unit found at its own nodes, and that one of them took; each is one of the accepted shares, too. What a pool makes of a share is not known.
    pub blocks_accepted: u64,
}

/// `org.adit.Miner1.Status`: read only.
#[zbus::proxy(
    interface = "org.adit.Miner1.Status",
    default_service = "org.adit.Miner1",
    default_path = "/org/adit/miner"
)]
pub trait MinerStatusDoor {
    fn read(&self) -> zbus::Result<MinerStatus>;
}

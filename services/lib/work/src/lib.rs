//! What a miner and a hash board say to each other, and the arithmetic of block headers behind it.
//!
//! In: a pool's job, a coinbase, rolled version bits, a nonce. Out: merkle roots ([`merkle`]), headers and their hashes ([`header`]), targets and
//! difficulties ([`target`]), and the fixed frames of the work path between adit-miner and adit-hardware ([`frame`]).
//!
//! Pure: no IO, no clock, no allocation. Hashes are 32 bytes as they stand in a header everywhere; only `Display` turns them round.

pub mod frame;
pub mod header;
pub mod merkle;
pub mod target;

pub use header::{BlockHash, Header};
pub use target::Target;

//! What a miner and a hash board say to each other, and the arithmetic of block headers behind it.
//!
//! In: a pool's job, a coinbase, rolled version bits, a nonce. Out: merkle roots, headers, hashes, targets, and the fixed frames of the work path
//! between adit-miner and adit-hardware ([`frame`]). Pure: no IO, no clock, no allocation in the frames.

pub mod frame;

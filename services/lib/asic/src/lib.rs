//! The wire protocol of Bitmain's BM13xx chips: BM1387, and the generation with preambles (BM1391 and later).
//!
//! In: what a driver wants (a register, a job, a frequency) and the bytes that came from a chain. Out: frames for the wire, and responses found amid whatever else was on it.
//! A chip is a row of data ([`Chip`]); its start-up is a list of steps in captured order ([`init`]). Pure: no IO, no clock, no allocation on the path of jobs and nonces.
//! Facts and their sources: `docs/asic.md`.

mod chip;
pub mod command;
mod crc;
mod frame;
pub mod init;
mod job;
mod models;
mod nonce;
mod pll;
pub mod register;
mod response;
mod telemetry;
mod version;

pub use chip::{Chip, NonceReport, PllWrites, Spacing, Uart, WorkLayout};
pub use crc::{crc5, crc16};
pub use frame::Frame;
pub use job::{Job, MOST_MIDSTATES, MidstateJob};
pub use models::{BM1362, BM1366, BM1368, BM1370, BM1387, BM1397};
pub use nonce::{ChipField, Field, NonceFields};
pub use pll::{KiloHertz, OutOfRange, Pll, PllEncoding, PllLimits};
pub use response::{Counters, Parser, Response, Width};
pub use telemetry::{Quantity, Telemetry};
pub use version::{ROLLED_BITS, nth_version, rolled_version, versions};

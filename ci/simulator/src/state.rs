//! The truth at one moment, as the control port tells it.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub rail: Rail,
    /// The chips' reset line is held.
    pub reset: bool,
    pub fan: Fan,
    pub celsius: Celsius,
    pub watts: f64,
    pub chain: ChainState,
    /// Since the simulation began.
    pub hashes: u64,
    /// Over about the last second.
    pub mhs: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rail {
    /// Enough voltage for the chips to work.
    pub on: bool,
    pub millivolts: u32,
    pub commanded_millivolts: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fan {
    pub percent: u32,
    pub rpm: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Celsius {
    pub chip: f64,
    pub board: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChainState {
    /// Chips that are there.
    pub chips: usize,
    /// Chips that have been given an address.
    pub addressed: usize,
    pub baud: u32,
    /// Nine, or eleven once version rolling is on; seven of a BM1387.
    pub response_bytes: u32,
    /// Zero while the PLL is not locked.
    pub mhz: f64,
    /// Zero bits that the ticket mask asks for beyond the base.
    pub ticket_bits: u32,
    /// Header version bits 28..13 that may be rolled.
    pub version_mask: u16,
    pub jobs: u64,
    /// Nonces that were sent.
    pub nonces: u64,
    pub crc_errors: u64,
    pub garbled_bytes: u64,
    pub protocol_errors: u64,
    /// Answers that found the line's queue full.
    pub dropped_responses: u64,
}

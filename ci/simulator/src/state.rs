//! The truth at one moment, as the control port tells it.

use crate::gpio::Line;
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
    /// At the wall; of a machine without a mains supply at its input.
    pub input_watts: f64,
    /// What flows into the machine, °C.
    pub ambient: f64,
    pub fans: Vec<Fan>,
    pub psu: Option<Psu>,
    pub boards: Vec<BoardState>,
    pub sensors: Vec<SensorState>,
    pub lines: Vec<Line>,
}

/// One hash board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoardState {
    pub rail: Rail,
    pub reset: bool,
    /// `chip`: of the hottest.
    pub celsius: Celsius,
    pub mean_chip_celsius: f64,
    /// Air that leaves it, and its regulator.
    pub outlet_celsius: f64,
    pub regulator_celsius: f64,
    /// Of the chips.
    pub watts: f64,
    pub amperes: f64,
    /// Share of all hashes that come out wrong.
    pub error_share: f64,
    pub chain: ChainState,
    pub hashes: u64,
    pub mhs: f64,
}

/// The mains supply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Psu {
    pub on: bool,
    pub volts: f64,
    pub commanded_volts: f64,
    pub output_watts: f64,
    pub celsius: f64,
    /// Why it switched itself off.
    pub cut: Option<String>,
    /// Until its watchdog cuts.
    pub watchdog_seconds: Option<f64>,
}

/// A temperature that some part measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SensorState {
    pub name: String,
    /// What the part sees; none: nothing to measure.
    pub celsius: Option<f64>,
    /// It says what a fault makes it say.
    pub faulty: bool,
}

/// One chip, of those that `{"op":"chips"}` tells about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChipState {
    pub celsius: f64,
    pub watts: f64,
    pub mhz: f64,
    /// Share of its hashes that come out wrong.
    pub error_share: f64,
    /// Its own counter.
    pub errors: u32,
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

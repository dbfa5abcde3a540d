//! `GET /api/v1/chips`: every chip of every chain. Pure. Contract: `docs/api.md`.

use adit_bus::hardware::ChipStatus;
use serde::Serialize;

use crate::{
    doors::{ChainChips, Chips},
    status::{clipped, counted, hashes, measured},
};

/// The longest chain that a machine profile may name.
const MOST_CHIPS: usize = 128;

/// Keys carry their unit; what is not known or not measured is null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    pub api_version: u32,
    /// Services that do not answer, in words.
    pub problems: Vec<String>,
    pub chains: Option<Vec<Chain>>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chain {
    pub chain: u8,
    pub chip: String,
    pub chips: Vec<Chip>,
}

/// Counters since adit-hardware's start.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Chip {
    /// From 0, nearest to the control board.
    pub place: u16,
    pub address: u8,
    pub found: bool,
    pub nonces: u64,
    pub hashes_wrong: Option<f64>,
    pub die_celsius: Option<f64>,
}

impl Machine {
    pub fn new(chips: &Chips) -> Self {
        let problem = |problem: &String| clipped(&format!("adit-hardware does not answer: {problem}"));
        Self {
            api_version: 1,
            problems: chips.as_ref().err().map(problem).into_iter().collect(),
            chains: chips.as_ref().ok().map(|chains| chains.iter().map(Chain::new).collect()),
        }
    }
}

impl Chain {
    fn new(of: &ChainChips) -> Self {
        let ChainChips { chain, chips } = of;
        let counts = chain.chip_hashes > 0 || chain.chip_errors > 0;
        Self {
            chain: chain.chain,
            chip: clipped(&chain.chip),
            chips: chips.iter().take(MOST_CHIPS).map(|chip| Chip::new(chip, counts)).collect(),
        }
    }
}

impl Chip {
    /// `counts`: chips of this chain have said that they count.
    fn new(status: &ChipStatus, counts: bool) -> Self {
        Self {
            place: status.place,
            address: status.address,
            found: status.found,
            nonces: status.nonces,
            hashes_wrong: if counts { Some(hashes(status.errors)) } else { counted(status.errors) },
            die_celsius: measured(status.die_celsius),
        }
    }
}

//! What one look at a board, or at what all share, tells, and why either is taken off power. What must never be exceeded is judged in [`crate::safety`].

use crate::{
    chain::ChainFault,
    parts::{BoardError, Fan},
    safety::Cause,
};

/// Why a board, or all, are taken off power. The text is what a person reads in the status.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{name} at {rpm} rpm, must turn at {min}")]
    Fan { name: String, rpm: u32, min: u32 },
    /// What the safety core has latched.
    #[error("{text}")]
    Ruled { text: String, cause: Option<Box<Cause>> },
    #[error("{0} cannot be read")]
    SensorLost(String),
    #[error("{name} at {volts:.3} V, must be {min:.3} to {max:.3}")]
    Rail { name: String, volts: f64, min: f64, max: f64 },
    #[error("board at {celsius:.1} °C, power waits for {max:.1}")]
    StillWarm { celsius: f64, max: f64 },
    #[error("safe state not reached: {0}")]
    NotSafe(String),
    /// Not plugged in.
    #[error("{0}")]
    Absent(String),
    /// What all boards share is off.
    #[error("off with the machine")]
    Shared,
    /// A board that has no switch of its own.
    #[error("{board}: {fault}")]
    OfBoard { board: String, fault: String },
    #[error(transparent)]
    Board(#[from] BoardError),
    /// It does not say what board it is.
    #[error("{0}")]
    Identity(BoardError),
    #[error("chain {chain}: {fault}")]
    Chain { chain: u8, fault: ChainFault },
}

impl Fault {
    pub(crate) fn fan(fan: &Fan, rpm: u32) -> Self {
        Self::Fan { name: fan.name.clone(), rpm, min: fan.min_rpm }
    }

    pub(crate) fn rail(name: &str, volts: f64, min: f64, max: f64) -> Self {
        Self::Rail { name: name.into(), volts, min, max }
    }

    /// Not knowing about heat, or how it leaves: holding the chips in reset is not enough. What the core has latched it says to the supply itself.
    pub(crate) fn needs_power_off(&self) -> bool {
        matches!(self, Self::SensorLost(_) | Self::Fan { .. } | Self::NotSafe(_))
    }
}

/// One look at a board, or at what all share; `None`: could not be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sample {
    /// The controller does not answer at all, and why.
    pub silent: Option<String>,
    pub rail_volts: Option<f64>,
    pub rail_amperes: Option<f64>,
    /// In the profile's order, as are what they are told and sensors.
    pub fans: Vec<Option<u32>>,
    /// Of 100; `None`: nothing yet.
    pub fan_percent: Vec<Option<u8>>,
    pub sensors: Vec<Option<f64>>,
    /// The hottest of the chips that tell themselves.
    pub die: Option<f64>,
}

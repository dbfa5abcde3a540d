use std::{io, path::PathBuf};

use adit_peripherals::Error as PartError;

use crate::{bus::BusError, power::Fault};

/// Why something on a board, or shared by boards, did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BoardError {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Part(PartError<BusError>),
    #[error("{}: {error}", path.display())]
    Kernel { path: PathBuf, error: io::Error },
    #[error("still at {volts:.3} V after it was switched off")]
    StillOn { volts: f64 },
    #[error("{volts} V asked for, must be {min} to {max}")]
    BeyondLimits { volts: f64, min: f64, max: f64 },
    #[error("its USB device has no serial port for the chain: it is another one, or has another firmware")]
    NoChainPort,
    /// The profile names it, this driver has nothing for it.
    #[error("{0} is not driven yet")]
    Undriven(&'static str),
}

impl BoardError {
    /// The bus itself does not answer, so that nothing behind it can be reached; that a device does not is another matter.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self, Self::Bus(error) if error.is_silence())
    }

    /// Nobody acknowledged: the part has no power, or is not there.
    pub(crate) fn is_unacknowledged(&self) -> bool {
        matches!(self, Self::Part(error) if error.is_unacknowledged())
    }
}

/// A bus that is silent is not the fault of the part that was to be reached through it.
impl From<PartError<BusError>> for BoardError {
    fn from(error: PartError<BusError>) -> Self {
        match error {
            PartError::Bus { error, .. } if error.is_silence() => Self::Bus(error),
            error => Self::Part(error),
        }
    }
}

impl From<BusError> for Fault {
    fn from(error: BusError) -> Self {
        Self::Board(error.into())
    }
}

impl From<PartError<BusError>> for Fault {
    fn from(error: PartError<BusError>) -> Self {
        Self::Board(error.into())
    }
}

use adit_peripherals::Error as PartError;

use super::bitaxe_raw::ControllerError;
use crate::{port::PortError, power::Fault};

/// Why something on the board did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BoardError {
    #[error(transparent)]
    Controller(#[from] ControllerError),
    #[error(transparent)]
    Part(PartError<ControllerError>),
    #[error("still at {volts:.3} V after it was switched off")]
    StillOn { volts: f64 },
}

impl BoardError {
    /// The controller itself does not answer, so that nothing behind it can be reached; that a device does not is another matter.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::Controller(error) if error.is_silence())
    }
}

impl From<PortError> for BoardError {
    fn from(error: PortError) -> Self {
        Self::Controller(error.into())
    }
}

/// A controller that is silent is not the fault of the part that was to be reached through it.
impl From<PartError<ControllerError>> for BoardError {
    fn from(error: PartError<ControllerError>) -> Self {
        match error {
            PartError::Bus { error, .. } if error.is_silence() => Self::Controller(error),
            error => Self::Part(error),
        }
    }
}

impl From<ControllerError> for Fault {
    fn from(error: ControllerError) -> Self {
        Self::Board(error.into())
    }
}

impl From<PartError<ControllerError>> for Fault {
    fn from(error: PartError<ControllerError>) -> Self {
        Self::Board(error.into())
    }
}

use std::{io, path::PathBuf};

use embedded_hal_async::i2c::{self, ErrorKind, NoAcknowledgeSource};

use super::bitaxe_raw::ControllerError;
use crate::port::PortError;

/// Why a part was not reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BusError {
    #[error(transparent)]
    Controller(#[from] ControllerError),
    #[error("no {product} is plugged in")]
    NotPlugged { product: String },
    /// The adapter or chip itself.
    #[error("{}: {error}", path.display())]
    Gone { path: PathBuf, error: io::Error },
    #[error("{}: no end of a transaction within {ms} ms", path.display())]
    Slow { path: PathBuf, ms: u64 },
    #[error("{}: too many transactions wait", path.display())]
    Busy { path: PathBuf },
    /// What a device made of it: nobody acknowledged, arbitration was lost.
    #[error("{error}")]
    Device { error: io::Error },
    #[error("GPIO {chip} line {line}: {error}")]
    Line { chip: String, line: u32, error: String },
    #[error("GPIO {chip}: {error}")]
    Chip { chip: String, error: String },
    #[error("refused to write to the EEPROM at {address:#04x}")]
    EepromWrite { address: u8 },
    #[error("this bus has no lines of this kind")]
    NoLine,
    #[error("this bus has no I²C")]
    NoI2c,
    #[error("chip {place} {what}")]
    BehindChip { place: u16, what: &'static str },
    #[error("this bus has no converter")]
    NoConverter,
}

impl BusError {
    /// Nothing behind this bus can be reached just now; that a device does not answer is another matter.
    pub(crate) fn is_silence(&self) -> bool {
        match self {
            Self::Controller(error) => error.is_silence(),
            Self::NotPlugged { .. } | Self::Gone { .. } | Self::Slow { .. } | Self::Chip { .. } => true,
            _ => false,
        }
    }

    /// There is no such device at all: it is unplugged, or was never there.
    pub(crate) fn is_absence(&self) -> bool {
        match self {
            Self::NotPlugged { .. } => true,
            Self::Controller(ControllerError::Port(PortError::Open { error, .. }))
            | Self::Gone { error, .. } => error.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// There is no way to its port.
    pub(crate) fn is_unopened(&self) -> bool {
        matches!(
            self,
            Self::NotPlugged { .. }
                | Self::Gone { .. }
                | Self::Chip { .. }
                | Self::Controller(ControllerError::Port(_))
        )
    }
}

impl i2c::Error for BusError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Controller(error) => error.kind(),
            Self::Device { error } => match rustix::io::Errno::from_io_error(error) {
                Some(rustix::io::Errno::NXIO | rustix::io::Errno::REMOTEIO) => {
                    ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown)
                }
                Some(rustix::io::Errno::AGAIN) => ErrorKind::ArbitrationLoss,
                _ => ErrorKind::Bus,
            },
            _ => ErrorKind::Other,
        }
    }
}

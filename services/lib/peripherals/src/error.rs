use embedded_hal_async::i2c::{self, ErrorKind};

use crate::{eeprom::Contents, frame::FrameError};

/// What can go wrong with a part; `E` is the bus's own error.
///
/// Every variant names the part and its 7-bit address. [`Error::bus`] tells a bus that does not work from a part that does not.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Error<E> {
    /// The bus's error: nobody acknowledged, arbitration was lost, the adapter is gone.
    #[error("{part} at {address:#04x}: {error}")]
    Bus { part: &'static str, address: u8, error: E },
    /// Something else answers at this address, or a version of the part that this driver does not know.
    #[error("device at {address:#04x} is a {got}, not a {part}")]
    Identity { part: &'static str, address: u8, got: String },
    /// A register does not hold what was written.
    #[error(
        "{part} at {address:#04x}: {register:#04x} reads back {got:#06x} after {written:#06x} was written"
    )]
    NotTaken { part: &'static str, address: u8, register: u8, written: u16, got: u16 },
    /// A reading that the part cannot have meant: bits that are always 0 are set, or the value is outside of what it can measure.
    #[error("{part} at {address:#04x}: {what} reads {raw:#06x}, which cannot be")]
    Absurd { part: &'static str, address: u8, what: &'static str, raw: u16 },
    /// Asked for what the part cannot do. Nothing was sent.
    #[error("{part} at {address:#04x}: {wanted} {unit} asked for, can do {min:.3} to {max:.3}")]
    OutOfRange { part: &'static str, address: u8, unit: &'static str, wanted: f64, min: f64, max: f64 },
    /// An answer that is no good frame.
    #[error("{part} at {address:#04x}, command {command:#04x}: {error}")]
    Frame { part: &'static str, address: u8, command: u8, error: FrameError },
    /// The part said each time that it has no answer yet.
    #[error("{part} at {address:#04x}, command {command:#04x}: not ready after {tries} tries")]
    NotReady { part: &'static str, address: u8, command: u8, tries: u8 },
    /// A voltage controller without a working program. It is left alone: a reset has been reported to make it worse for good.
    #[error(
        "{part} at {address:#04x} is in its boot loader (firmware {firmware:#04x}): left alone, needs its maker's repair tool"
    )]
    BootLoader { part: &'static str, address: u8, firmware: u8 },
    /// An EEPROM's contents say nothing that can be relied on.
    #[error("{part} at {address:#04x}: {contents}")]
    Contents { part: &'static str, address: u8, contents: Contents },
}

impl<E> Error<E> {
    /// The bus's error, when it was the bus.
    pub fn bus(&self) -> Option<&E> {
        match self {
            Self::Bus { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl<E: i2c::Error> Error<E> {
    /// Nobody acknowledged: the part has no power, is busy, or is not there.
    pub fn is_unacknowledged(&self) -> bool {
        self.bus().is_some_and(is_unacknowledged)
    }

    /// The same request may do better when it is sent again. A bus that does not work, and what a part says in clear words, stay.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Frame { .. } | Self::NotReady { .. }) || self.is_unacknowledged()
    }
}

pub(crate) fn is_unacknowledged(error: &impl i2c::Error) -> bool {
    matches!(error.kind(), ErrorKind::NoAcknowledge(_))
}

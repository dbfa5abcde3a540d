/// What can go wrong with a part; `E` is the bus's own error.
///
/// Every variant names the part and its 7-bit address. [`Error::bus`] tells a bus that does not work from a part that does not.
#[derive(Debug, thiserror::Error)]
pub enum Error<E> {
    /// The bus's error: nobody acknowledged, arbitration was lost, the adapter is gone.
    #[error("{part} at {address:#04x}: {error}")]
    Bus { part: &'static str, address: u8, error: E },
    /// Something else answers at this address.
    #[error("device at {address:#04x} is a {got}, not a {part}")]
    Identity { part: &'static str, address: u8, got: String },
    /// A register does not hold what was written.
    #[error(
        "{part} at {address:#04x}: {register:#04x} reads back {got:#06x} after {written:#06x} was written"
    )]
    NotTaken { part: &'static str, address: u8, register: u8, written: u16, got: u16 },
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

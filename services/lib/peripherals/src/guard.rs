//! A bus on which the EEPROMs of hash boards cannot be written, whoever holds it.

use std::ops::RangeInclusive;

use embedded_hal_async::i2c::{self, ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};

/// Every address that a 24C02 can have. Not for S9 boards, whose voltage controllers live at three of them.
pub const EEPROMS: RangeInclusive<u8> = 0x50..=0x57;

/// Passes everything on but a write of more than one byte to one of the addresses: one byte sets the read address, any further one would be stored.
#[derive(Debug)]
pub struct Guard<B> {
    bus: B,
    addresses: RangeInclusive<u8>,
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum GuardError<E> {
    #[error(transparent)]
    Bus(E),
    #[error("refused to write to the EEPROM at {address:#04x}")]
    Write { address: u8 },
}

impl<B> Guard<B> {
    pub fn new(bus: B, addresses: RangeInclusive<u8>) -> Self {
        Self { bus, addresses }
    }
}

impl<E: i2c::Error> i2c::Error for GuardError<E> {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Bus(error) => error.kind(),
            Self::Write { .. } => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Data),
        }
    }
}

impl<B: ErrorType> ErrorType for Guard<B> {
    type Error = GuardError<B::Error>;
}

impl<B: I2c> I2c for Guard<B> {
    async fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), Self::Error> {
        let written: usize = operations
            .iter()
            .map(|operation| match operation {
                Operation::Write(bytes) => bytes.len(),
                Operation::Read(_) => 0,
            })
            .sum();
        if written > 1 && self.addresses.contains(&address) {
            return Err(GuardError::Write { address });
        }
        self.bus.transaction(address, operations).await.map_err(GuardError::Bus)
    }
}

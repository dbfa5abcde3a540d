//! 24C02: the EEPROM on a hash board that says what the board is. Read only: the one transfer that this file makes is "set the read address, read a page", and there is no other function.
//!
//! Several sources report boards that did not start again after a write. Whoever owns a bus keeps other drivers from it with [`is_write`].

mod layout;

use std::ops::RangeInclusive;

use embedded_hal_async::i2c::{I2c, Operation};

pub use self::layout::{Algorithm, Board, Contents, Details, PicSensor, Tests, read};
use crate::{Error, device::Device};

/// Every address that a 24C02 can have. S9 boards have their voltage controllers at three of them, which take a byte a transfer.
pub const ADDRESSES: RangeInclusive<u8> = 0x50..=0x57;
/// Bytes of a 24C02.
pub const SIZE: usize = 256;
/// Bytes a transfer; short enough for a board controller over USB.
const PAGE: usize = 16;

/// An EEPROM at this address would store something of this transfer: one byte sets the read address, any further one is written.
pub fn is_write(address: u8, operations: &[Operation<'_>]) -> bool {
    let written = operations.iter().map(|operation| match operation {
        Operation::Write(bytes) => bytes.len(),
        Operation::Read(_) => 0,
    });
    ADDRESSES.contains(&address) && written.sum::<usize>() > 1
}

#[derive(Debug)]
pub struct Eeprom {
    device: Device,
}

impl Eeprom {
    pub fn new(address: u8) -> Self {
        Self { device: Device::new("EEPROM", address) }
    }

    /// What it holds, byte by byte.
    pub async fn bytes<B: I2c>(&mut self, bus: &mut B) -> Result<[u8; SIZE], Error<B::Error>> {
        let mut bytes = [0; SIZE];
        for (index, page) in bytes.chunks_exact_mut(PAGE).enumerate() {
            let at = (index * PAGE) as u8;
            page.copy_from_slice(&self.device.read::<PAGE, B>(bus, at).await?);
        }
        Ok(bytes)
    }

    /// Which board it belongs to. Errors with [`Error::Contents`] when that cannot be known.
    pub async fn board<B: I2c>(&mut self, bus: &mut B) -> Result<Board, Error<B::Error>> {
        let bytes = self.bytes(bus).await?;
        let Device { part, address } = self.device;
        read(&bytes).map_err(|contents| Error::Contents { part, address, contents })
    }
}

//! An I²C bus: parts by address, and silence where there is nobody.

use crate::device::{Device, Nak};

/// A part and where it is.
pub(crate) struct Mounted<P> {
    pub(crate) address: u8,
    pub(crate) part: P,
}

/// One bus with its parts.
pub(crate) struct I2cBus<P> {
    pub(crate) parts: Vec<Mounted<P>>,
}

impl<P: Device> I2cBus<P> {
    fn at(&mut self, address: u8) -> Result<&mut P, Nak> {
        let mounted = self.parts.iter_mut().find(|mounted| mounted.address == address);
        mounted.map(|mounted| &mut mounted.part).ok_or(Nak)
    }

    pub(crate) fn write(&mut self, address: u8, bytes: &[u8]) -> Result<(), Nak> {
        self.at(address)?.write(bytes)
    }

    pub(crate) fn read(&mut self, address: u8, count: usize) -> Result<Vec<u8>, Nak> {
        self.at(address)?.read(count)
    }

    /// A write message and then a read message, each only if it has bytes; a write of none when neither has (a probe).
    pub(crate) fn transfer(&mut self, address: u8, write: &[u8], read: usize) -> Result<Vec<u8>, Nak> {
        if !write.is_empty() || read == 0 {
            self.write(address, write)?;
        }
        if read == 0 { Ok(Vec::new()) } else { self.read(address, read) }
    }
}

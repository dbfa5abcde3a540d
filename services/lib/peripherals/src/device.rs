use embedded_hal_async::i2c::I2c;

use crate::{Error, frame::FrameError};

/// Longest data that a driver writes after a register's number.
const MOST_DATA: usize = 4;

/// A part with registers of one or more bytes at an address.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) part: &'static str,
    pub(crate) address: u8,
}

impl Device {
    pub(crate) fn new(part: &'static str, address: u8) -> Self {
        Self { part, address }
    }

    pub(crate) async fn read<const N: usize, B: I2c>(
        &self,
        bus: &mut B,
        register: u8,
    ) -> Result<[u8; N], Error<B::Error>> {
        let mut bytes = [0; N];
        bus.write_read(self.address, &[register], &mut bytes).await.map_err(|error| self.bus(error))?;
        Ok(bytes)
    }

    pub(crate) async fn read_byte<B: I2c>(&self, bus: &mut B, register: u8) -> Result<u8, Error<B::Error>> {
        let [byte] = self.read(bus, register).await?;
        Ok(byte)
    }

    pub(crate) async fn write<const N: usize, B: I2c>(
        &self,
        bus: &mut B,
        register: u8,
        data: [u8; N],
    ) -> Result<(), Error<B::Error>> {
        const { assert!(N <= MOST_DATA) };
        let mut bytes = [0; 1 + MOST_DATA];
        bytes[0] = register;
        bytes[1..=N].copy_from_slice(&data);
        bus.write(self.address, &bytes[..=N]).await.map_err(|error| self.bus(error))
    }

    /// Writes a register of one byte and reads it back.
    pub(crate) async fn set<B: I2c>(
        &self,
        bus: &mut B,
        register: u8,
        value: u8,
    ) -> Result<(), Error<B::Error>> {
        self.write(bus, register, [value]).await?;
        let got = self.read_byte(bus, register).await?;
        self.taken(register, value.into(), got.into())
    }

    /// Errors when a register does not hold what was written.
    pub(crate) fn taken<E>(&self, register: u8, written: u16, got: u16) -> Result<(), Error<E>> {
        if got == written {
            return Ok(());
        }
        Err(Error::NotTaken { part: self.part, address: self.address, register, written, got })
    }

    pub(crate) fn bus<E>(&self, error: E) -> Error<E> {
        Error::Bus { part: self.part, address: self.address, error }
    }

    pub(crate) fn other<E>(&self, got: String) -> Error<E> {
        Error::Identity { part: self.part, address: self.address, got }
    }

    pub(crate) fn absurd<E>(&self, what: &'static str, raw: u16) -> Error<E> {
        Error::Absurd { part: self.part, address: self.address, what, raw }
    }

    pub(crate) fn out_of_range<E>(&self, unit: &'static str, wanted: f64, min: f64, max: f64) -> Error<E> {
        Error::OutOfRange { part: self.part, address: self.address, unit, wanted, min, max }
    }

    pub(crate) fn frame<E>(&self, command: u8, error: FrameError) -> Error<E> {
        Error::Frame { part: self.part, address: self.address, command, error }
    }
}

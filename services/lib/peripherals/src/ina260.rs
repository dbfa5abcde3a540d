//! INA260: volts, amperes and watts of an input. Registers and steps: TI data sheet SBOS656C §8.6.

use embedded_hal_async::i2c::I2c;

use crate::{Error, device::Device};

const CURRENT: u8 = 0x01;
const VOLTAGE: u8 = 0x02;
const POWER: u8 = 0x03;
const MAKER: u8 = 0xfe;
const DIE: u8 = 0xff;

/// "TI".
const TI: u16 = 0x5449;
/// The lowest four bits are the revision.
const INA260: u16 = 0x227;
const VOLTS: f64 = 0.00125;
const AMPERES: f64 = 0.00125;
const WATTS: f64 = 0.01;
/// The voltage's highest bit is always 0.
const NO_VOLTAGE: u16 = 0x8000;

#[derive(Debug)]
pub struct Ina260 {
    device: Device,
}

impl Ina260 {
    pub fn new(address: u8) -> Self {
        Self { device: Device::new("INA260", address) }
    }

    /// Checks what it is. It measures all the time from power-up on.
    pub async fn prepare<B: I2c>(&mut self, bus: &mut B) -> Result<(), Error<B::Error>> {
        let maker = self.word(bus, MAKER).await?;
        let die = self.word(bus, DIE).await?;
        if maker != TI || die >> 4 != INA260 {
            return Err(self.device.other(format!("device of maker {maker:#06x}, die {die:#06x}")));
        }
        Ok(())
    }

    /// 0 to 40.96 V.
    pub async fn volts<B: I2c>(&mut self, bus: &mut B) -> Result<f64, Error<B::Error>> {
        let raw = self.word(bus, VOLTAGE).await?;
        if raw & NO_VOLTAGE != 0 {
            return Err(self.device.absurd("voltage", raw));
        }
        Ok(f64::from(raw) * VOLTS)
    }

    /// Negative when current flows back.
    pub async fn amperes<B: I2c>(&mut self, bus: &mut B) -> Result<f64, Error<B::Error>> {
        Ok(f64::from(self.word(bus, CURRENT).await? as i16) * AMPERES)
    }

    /// Without a sign.
    pub async fn watts<B: I2c>(&mut self, bus: &mut B) -> Result<f64, Error<B::Error>> {
        Ok(f64::from(self.word(bus, POWER).await?) * WATTS)
    }

    async fn word<B: I2c>(&mut self, bus: &mut B, register: u8) -> Result<u16, Error<B::Error>> {
        Ok(u16::from_be_bytes(self.device.read(bus, register).await?))
    }
}

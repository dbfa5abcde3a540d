//! LM75, TMP75 and TMP1075: temperature sensors with one register layout. Sources: TI data sheets SBOS288M (TMP75) §7.5, SBOS854F (TMP1075) §7.5; LM75A: SNOS808.
//!
//! None but the TMP1075 can be asked what it is: the others are told by a configuration register that takes and keeps bits.

use embedded_hal_async::i2c::I2c;

use crate::{Error, device::Device};

const TEMPERATURE: u8 = 0x00;
const CONFIG: u8 = 0x01;
/// TMP1075 only.
const DEVICE_ID: u8 = 0x0f;
const TMP1075: u16 = 0x7500;
/// Runs all the time.
const CONTINUOUS: u8 = 0x00;
/// Twelve bits, all the time; after power-up a TMP75 gives nine.
const TWELVE_BITS: u8 = 0x60;
/// What these parts are specified for; they are specified to at most 127 °C.
const COLDEST: f64 = -55.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nine bits of 0.5 °C.
    Lm75,
    /// Twelve bits of 0.0625 °C.
    Tmp75,
    /// Twelve bits of 0.0625 °C.
    Tmp1075,
}

#[derive(Debug)]
pub struct Tmp75 {
    device: Device,
    kind: Kind,
}

impl Tmp75 {
    pub fn new(address: u8, kind: Kind) -> Self {
        let part = match kind {
            Kind::Lm75 => "LM75",
            Kind::Tmp75 => "TMP75",
            Kind::Tmp1075 => "TMP1075",
        };
        Self { device: Device::new(part, address), kind }
    }

    /// Checks what it is as far as it tells, and has it measure all the time.
    pub async fn prepare<B: I2c>(&mut self, bus: &mut B) -> Result<(), Error<B::Error>> {
        match self.kind {
            Kind::Lm75 => self.device.set(bus, CONFIG, CONTINUOUS).await,
            Kind::Tmp75 => self.device.set(bus, CONFIG, TWELVE_BITS).await,
            Kind::Tmp1075 => {
                let id = u16::from_be_bytes(self.device.read(bus, DEVICE_ID).await?);
                if id != TMP1075 {
                    return Err(self.device.other(format!("device {id:#06x}")));
                }
                // The upper byte of two; the lower one cannot be written.
                self.device.set(bus, CONFIG, CONTINUOUS).await
            }
        }
    }

    /// Errors with [`Error::Absurd`] when a line that nobody drives was read (all ones) or the value is outside of what the part can measure.
    ///
    /// A part that has just been powered gives 0 °C until its first conversion is done.
    pub async fn celsius<B: I2c>(&mut self, bus: &mut B) -> Result<f64, Error<B::Error>> {
        let raw = u16::from_be_bytes(self.device.read(bus, TEMPERATURE).await?);
        judged(raw, self.kind).ok_or_else(|| self.device.absurd("temperature", raw))
    }
}

/// `None`: nobody drove the line, or it is colder than the part can measure.
pub(crate) fn judged(raw: u16, kind: Kind) -> Option<f64> {
    let celsius = celsius(raw, kind);
    (raw != 0xffff && celsius >= COLDEST).then_some(celsius)
}

/// Two's complement, left-aligned; bits below the resolution are left aside, for not every maker has them 0.
fn celsius(raw: u16, kind: Kind) -> f64 {
    let bits = match kind {
        Kind::Lm75 => 9,
        Kind::Tmp75 | Kind::Tmp1075 => 12,
    };
    let unused = 16 - bits;
    f64::from(raw as i16 >> unused << unused) / 256.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables of the TMP75's and TMP1075's data sheets.
    #[test]
    fn temperatures_are_those_of_the_data_sheets() {
        let table = [
            (0x7ff0, 127.9375),
            (0x6400, 100.0),
            (0x5000, 80.0),
            (0x4b00, 75.0),
            (0x3200, 50.0),
            (0x1900, 25.0),
            (0x0040, 0.25),
            (0x0010, 0.0625),
            (0x0000, 0.0),
            (0xfff0, -0.0625),
            (0xffc0, -0.25),
            (0xe700, -25.0),
            (0xc900, -55.0),
            (0x8000, -128.0),
        ];
        for (raw, expected) in table {
            assert_eq!(celsius(raw, Kind::Tmp1075), expected);
            assert_eq!(celsius(raw | 0xf, Kind::Tmp75), expected, "the lowest four bits do not count");
        }
        assert_eq!(celsius(0x1980, Kind::Lm75), 25.5);
        assert_eq!(celsius(0x19ff, Kind::Lm75), 25.5);
        assert_eq!(celsius(0xe700, Kind::Lm75), -25.0);
    }
}

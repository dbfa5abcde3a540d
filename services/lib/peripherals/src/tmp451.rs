//! TMP451: its own temperature and that of a diode in another chip. Registers: TI data sheet SBOS686A §7.6; that temperatures of the standard range have no sign: §7.3.1.

use embedded_hal_async::{delay::DelayNs, i2c::I2c};

use crate::{Error, device::Device};

const LOCAL: [u8; 2] = [0x00, 0x15];
const REMOTE: [u8; 2] = [0x01, 0x10];
const STATUS: u8 = 0x02;
const READ_CONFIG: u8 = 0x03;
const WRITE_CONFIG: u8 = 0x09;
const MAKER: u8 = 0xfe;

const TI: u8 = 0x55;
/// From −64 °C on instead of from 0.
const EXTENDED: u8 = 0x04;
const SHUT_DOWN: u8 = 0x40;
const ALWAYS_ZERO: u8 = 0x1b;
const DIODE_OPEN: u8 = 0x04;
/// Two conversions at the rate of power-up (16 a second): the first may still be of the old range.
const CONVERSIONS_MS: u32 = 130;
/// The two bytes of a value can be of two conversions; the high byte is read before and after the low one, at most this often.
const LOOKS: u8 = 3;

#[derive(Debug)]
pub struct Tmp451 {
    device: Device,
}

impl Tmp451 {
    pub fn new(address: u8) -> Self {
        Self { device: Device::new("TMP451", address) }
    }

    /// Checks its maker and selects the extended range: in the other one everything below 0 °C reads 0.
    pub async fn prepare<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
    ) -> Result<(), Error<B::Error>> {
        let maker = self.device.read_byte(bus, MAKER).await?;
        if maker != TI {
            return Err(self.device.other(format!("device of maker {maker:#04x}")));
        }
        self.device.write(bus, WRITE_CONFIG, [EXTENDED]).await?;
        let got = self.device.read_byte(bus, READ_CONFIG).await?;
        self.device.taken(WRITE_CONFIG, EXTENDED.into(), got.into())?;
        delay.delay_ms(CONVERSIONS_MS).await;
        Ok(())
    }

    /// Its own temperature.
    pub async fn local_celsius<B: I2c>(&mut self, bus: &mut B) -> Result<f64, Error<B::Error>> {
        self.celsius(bus, LOCAL).await
    }

    /// The diode's; `None` when it is open.
    pub async fn remote_celsius<B: I2c>(&mut self, bus: &mut B) -> Result<Option<f64>, Error<B::Error>> {
        let status = self.device.read_byte(bus, STATUS).await?;
        if status & DIODE_OPEN != 0 {
            return Ok(None);
        }
        self.celsius(bus, REMOTE).await.map(Some)
    }

    /// Looks at the range each time: a part that lost power for a moment is back in the other one, 64 °C away.
    async fn celsius<B: I2c>(&mut self, bus: &mut B, [high, low]: [u8; 2]) -> Result<f64, Error<B::Error>> {
        let config = self.device.read_byte(bus, READ_CONFIG).await?;
        if config & (ALWAYS_ZERO | SHUT_DOWN) != 0 {
            return Err(self.device.absurd("configuration", config.into()));
        }
        let mut before = self.device.read_byte(bus, high).await?;
        for _ in 0..LOOKS {
            let fraction = self.device.read_byte(bus, low).await?;
            let after = self.device.read_byte(bus, high).await?;
            if before == after {
                return Ok(celsius([before, fraction], config & EXTENDED != 0));
            }
            before = after;
        }
        // The whole degrees are good in any case.
        Ok(celsius([before, 0], config & EXTENDED != 0))
    }
}

/// Twelve bits of 0.0625 °C, left-aligned, without a sign.
fn celsius(bytes: [u8; 2], extended: bool) -> f64 {
    let from_zero = f64::from(u16::from_be_bytes(bytes) >> 4) * 0.0625;
    if extended { from_zero - 64.0 } else { from_zero }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables 1 and 2 of the data sheet.
    #[test]
    fn temperatures_are_those_of_the_data_sheet() {
        let table = [
            (-64.0, 0x00),
            (-50.0, 0x0e),
            (-25.0, 0x27),
            (0.0, 0x40),
            (25.0, 0x59),
            (100.0, 0xa4),
            (150.0, 0xd6),
        ];
        for (expected, high) in table {
            assert_eq!(celsius([high, 0], true), expected);
        }
        for (expected, high) in [(0.0, 0x00), (25.0, 0x19), (100.0, 0x64), (127.0, 0x7f)] {
            assert_eq!(celsius([high, 0], false), expected);
        }
        assert_eq!(celsius([0x19, 0x10], false), 25.0625);
        assert_eq!(celsius([0x7f, 0xf0], false), 127.9375);
    }
}

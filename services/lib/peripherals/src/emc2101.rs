//! EMC2101: fan drive, tachometer, its own temperature and the chip's diode. Registers: Microchip data sheet DS20006703 §7.

use embedded_hal_async::i2c::I2c;

use crate::{Duty, Error, device::Device};

const INTERNAL: u8 = 0x00;
const EXTERNAL_HIGH: u8 = 0x01;
const CONFIG: u8 = 0x03;
const EXTERNAL_LOW: u8 = 0x10;
/// Reading the low byte holds the high byte.
const TACH_LOW: u8 = 0x46;
const TACH_HIGH: u8 = 0x47;
const FAN_CONFIG: u8 = 0x4a;
const FAN_SETTING: u8 = 0x4c;
const PRODUCT: u8 = 0xfd;
const MAKER: u8 = 0xfe;

const SMSC: u8 = 0x5d;
const PRODUCTS: [u8; 2] = [0x16, 0x28];
/// The ALERT/TACH pin is the tachometer's input.
const TACH_INPUT: u8 = 0x04;
/// The host writes the fan setting; drive not inverted; clock as the open firmwares of these boards set it.
const HOST_SETS_FAN: u8 = 0x23;
const FULL: u8 = 63;
const TACH_NUMERATOR: u32 = 5_400_000;
const TACH_STOPPED: u16 = 0xffff;
/// 127.0 °C: the diode is open; from 127.875 °C on: shorted. Both mean that it cannot be read.
const DIODE_FAULT: i16 = 0x3f8;

#[derive(Debug)]
pub struct Emc2101 {
    device: Device,
}

impl Emc2101 {
    pub fn new(address: u8) -> Self {
        Self { device: Device::new("EMC2101", address) }
    }

    /// Checks what it is and turns the tachometer on.
    pub async fn prepare<B: I2c>(&mut self, bus: &mut B) -> Result<(), Error<B::Error>> {
        let maker = self.device.read_byte(bus, MAKER).await?;
        let product = self.device.read_byte(bus, PRODUCT).await?;
        if maker != SMSC || !PRODUCTS.contains(&product) {
            return Err(self.device.other(format!("device of maker {maker:#04x}, product {product:#04x}")));
        }
        self.device.set(bus, CONFIG, TACH_INPUT).await
    }

    /// Takes the fan over and drives it, both read back. Needs no earlier call to have come through.
    pub async fn drive<B: I2c>(&mut self, bus: &mut B, duty: Duty) -> Result<(), Error<B::Error>> {
        self.device.set(bus, FAN_CONFIG, HOST_SETS_FAN).await?;
        self.device.set(bus, FAN_SETTING, duty.of(FULL)).await
    }

    /// Two pulses a turn; 0 when it stands still or the tachometer is silent.
    pub async fn rpm<B: I2c>(&mut self, bus: &mut B) -> Result<u32, Error<B::Error>> {
        let low = self.device.read_byte(bus, TACH_LOW).await?;
        let high = self.device.read_byte(bus, TACH_HIGH).await?;
        Ok(rpm(u16::from_le_bytes([low, high])))
    }

    /// The chip's diode; `None` when it is open or shorted.
    pub async fn chip_celsius<B: I2c>(&mut self, bus: &mut B) -> Result<Option<f64>, Error<B::Error>> {
        let high = self.device.read_byte(bus, EXTERNAL_HIGH).await?;
        let low = self.device.read_byte(bus, EXTERNAL_LOW).await?;
        Ok(diode([high, low]))
    }

    pub async fn board_celsius<B: I2c>(&mut self, bus: &mut B) -> Result<f64, Error<B::Error>> {
        let celsius = self.device.read_byte(bus, INTERNAL).await?;
        Ok(f64::from(celsius as i8))
    }
}

fn rpm(count: u16) -> u32 {
    match count {
        0 | TACH_STOPPED => 0,
        count => TACH_NUMERATOR / u32::from(count),
    }
}

/// Eleven bits of 0.125 °C, two's complement, left-aligned.
fn diode(bytes: [u8; 2]) -> Option<f64> {
    let raw = i16::from_be_bytes(bytes) >> 5;
    (raw < DIODE_FAULT).then(|| f64::from(raw) * 0.125)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the data sheet's tables.
    #[test]
    fn temperatures_and_speeds_are_those_of_the_data_sheet() {
        assert_eq!(diode([0x7f, 0x00]), None, "open");
        assert_eq!(diode([0x7f, 0xe0]), None, "shorted");
        assert_eq!(diode([85, 0x80]), Some(85.5));
        assert_eq!(diode([0xff, 0xe0]), Some(-0.125));
        assert_eq!(diode([0x7e, 0xe0]), Some(126.875));
        assert_eq!(rpm(1000), 5400);
        assert_eq!(rpm(0xffff), 0);
        assert_eq!(rpm(0), 0);
    }
}

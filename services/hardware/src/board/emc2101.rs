//! EMC2101: fan drive, tachometer, its own temperature and the chip's diode. Registers: Microchip data sheet DS20006703 §7.

use super::{BitaxeRaw, BoardError};

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
pub(super) struct Emc2101 {
    address: u8,
}

impl Emc2101 {
    pub(super) fn new(address: u8) -> Self {
        Self { address }
    }

    /// Checks what it is and turns the tachometer on.
    pub(super) async fn prepare(&mut self, bus: &mut BitaxeRaw) -> Result<(), BoardError> {
        let [maker] = bus.read(self.address, MAKER).await?;
        let [product] = bus.read(self.address, PRODUCT).await?;
        if maker != SMSC || !PRODUCTS.contains(&product) {
            let got = format!("device of maker {maker:#04x}, product {product:#04x}");
            return Err(BoardError::Identity { address: self.address, expected: "EMC2101", got });
        }
        self.set(bus, CONFIG, TACH_INPUT).await
    }

    pub(super) async fn run_full(&mut self, bus: &mut BitaxeRaw) -> Result<(), BoardError> {
        self.set(bus, FAN_CONFIG, HOST_SETS_FAN).await?;
        self.set(bus, FAN_SETTING, FULL).await
    }

    /// Two pulses a turn; 0 when it stands still or the tachometer is silent.
    pub(super) async fn rpm(&mut self, bus: &mut BitaxeRaw) -> Result<u32, BoardError> {
        let [low] = bus.read(self.address, TACH_LOW).await?;
        let [high] = bus.read(self.address, TACH_HIGH).await?;
        Ok(rpm(u16::from_le_bytes([low, high])))
    }

    /// The chip's diode; `None` when it is open or shorted.
    pub(super) async fn chip_celsius(&mut self, bus: &mut BitaxeRaw) -> Result<Option<f64>, BoardError> {
        let [high] = bus.read(self.address, EXTERNAL_HIGH).await?;
        let [low] = bus.read(self.address, EXTERNAL_LOW).await?;
        Ok(diode([high, low]))
    }

    pub(super) async fn board_celsius(&mut self, bus: &mut BitaxeRaw) -> Result<f64, BoardError> {
        let [celsius] = bus.read(self.address, INTERNAL).await?;
        Ok(f64::from(celsius as i8))
    }

    async fn set(&mut self, bus: &mut BitaxeRaw, register: u8, value: u8) -> Result<(), BoardError> {
        bus.write(self.address, register, &[value]).await?;
        let [got] = bus.read(self.address, register).await?;
        if got != value {
            let (written, got) = (value.into(), got.into());
            return Err(BoardError::NotTaken { address: self.address, register, written, got });
        }
        Ok(())
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

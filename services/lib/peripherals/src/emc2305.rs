//! EMC2305 family (EMC2301, 2302, 2303, 2305): one to five fans, each with a PWM drive and a tachometer. Registers: SMSC/Microchip data sheets EMC2305 rev. 1.3 and EMC2302 rev. 1.2, chapter 5; AN 17.4.
//!
//! Only the direct drive is used: the part's own speed control would decide about cooling in this driver's place. Its watchdog is used: after 4 s without a word on the bus it drives every fan full by itself.

use embedded_hal_async::{delay::DelayNs, i2c::I2c};

use crate::{Duty, Error, device::Device};

const CONFIG: u8 = 0x20;
/// Reading it clears it.
const STATUS: u8 = 0x24;
const POLARITY: u8 = 0x2a;
const OUTPUT: u8 = 0x2b;
const PRODUCT: u8 = 0xfd;
const MAKER: u8 = 0xfe;
/// Registers of the first fan; each further one's are 0x10 higher.
const SETTING: u8 = 0x30;
const FAN_CONFIG: u8 = 0x32;
/// Reading the high byte holds the low byte.
const TACH_HIGH: u8 = 0x3e;
const TACH_LOW: u8 = 0x3f;
const NEXT_FAN: u8 = 0x10;

const SMSC: u8 = 0x5d;
/// Product and how many fans it drives.
const PRODUCTS: [(u8, u8); 4] = [(0x34, 5), (0x35, 3), (0x36, 2), (0x37, 1)];
/// No bus time-out, as after power-up.
const UNWATCHED: u8 = 0x40;
/// The same, and the watchdog in continuous operation.
const WATCHED: u8 = 0x60;
/// The watchdog has struck: all fans are driven full until it is disabled (EMC2302) or a fan is programmed (EMC2301).
const STRUCK: u8 = 0x80;
/// Direct drive; range from 500 rpm; five edges (two pulses a turn); update every 400 ms as after power-up.
const DIRECT: u8 = 0x0b;
const FULL: u8 = 255;
/// With two pulses a turn, five edges, the internal clock of 32.768 kHz and the range from 500 rpm.
const TACH_NUMERATOR: u32 = 3_932_160;
/// A high byte of FF: not a whole turn in the time that can be measured.
const TACH_STOPPED: u16 = 0xff << 5;
/// The setting reads as what drives the fan now, which may lag behind a start; looks and pause between them.
const LOOKS: u8 = 20;
const LOOK_MS: u32 = 100;

/// How the fan outputs are wired; a fact of the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wiring {
    /// Outputs push and pull; otherwise they only pull down, as after power-up.
    pub push_pull: bool,
    /// A low output drives the fan.
    pub inverted: bool,
}

#[derive(Debug)]
pub struct Emc2305 {
    device: Device,
    fans: u8,
    wiring: Wiring,
}

impl Emc2305 {
    /// `fans`: how many are connected, at outputs 1 to `fans`.
    pub fn new(address: u8, fans: u8, wiring: Wiring) -> Self {
        Self { device: Device::new("EMC2305", address), fans, wiring }
    }

    /// Checks what it is and that it has outputs enough; sets the outputs' kind, the tachometers and the watchdog. Drives all fans full.
    ///
    /// From then on a word must pass every 4 s.
    pub async fn prepare<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
    ) -> Result<(), Error<B::Error>> {
        let maker = self.device.read_byte(bus, MAKER).await?;
        let product = self.device.read_byte(bus, PRODUCT).await?;
        let fans = PRODUCTS.iter().find(|(known, _)| *known == product).map(|(_, fans)| *fans);
        match fans {
            Some(fans) if maker == SMSC && fans >= self.fans => {}
            Some(fans) if maker == SMSC => {
                return Err(self.device.other(format!("controller of {fans} fans where {} hang", self.fans)));
            }
            _ => {
                let got = format!("device of maker {maker:#04x}, product {product:#04x}");
                return Err(self.device.other(got));
            }
        }
        let outputs = 0x1f_u8 >> (5 - self.fans.min(5));
        let bits = |on: bool| if on { outputs } else { 0 };
        // One that has struck would keep hold of the drives.
        self.device.set(bus, CONFIG, UNWATCHED).await?;
        self.device.set(bus, POLARITY, bits(self.wiring.inverted)).await?;
        self.device.set(bus, OUTPUT, bits(self.wiring.push_pull)).await?;
        self.drive_all(bus, delay, Duty::FULL).await?;
        self.device.set(bus, CONFIG, WATCHED).await
    }

    /// Takes a fan over (from 0) and drives it, both read back. A watchdog that has struck is set again first.
    pub async fn drive<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
        fan: u8,
        duty: Duty,
    ) -> Result<(), Error<B::Error>> {
        let base = self.base(fan)?;
        if self.device.read_byte(bus, STATUS).await? & STRUCK != 0 {
            self.device.set(bus, CONFIG, UNWATCHED).await?;
            self.device.set(bus, CONFIG, WATCHED).await?;
        }
        self.device.set(bus, base + FAN_CONFIG, DIRECT).await?;
        let (register, setting) = (base + SETTING, duty.of(FULL));
        self.device.write(bus, register, [setting]).await?;
        let mut got = self.device.read_byte(bus, register).await?;
        for _ in 1..LOOKS {
            if got == setting {
                break;
            }
            delay.delay_ms(LOOK_MS).await;
            got = self.device.read_byte(bus, register).await?;
        }
        self.device.taken(register, setting.into(), got.into())
    }

    /// Drives every fan. Tries all of them and then tells the first error: one fan that does not obey must not keep the others slow.
    pub async fn drive_all<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
        duty: Duty,
    ) -> Result<(), Error<B::Error>> {
        let mut result = Ok(());
        for fan in 0..self.fans {
            let driven = self.drive(bus, delay, fan, duty).await;
            result = result.and(driven);
        }
        result
    }

    /// A fan (from 0) with two pulses a turn; 0 when it stands still, turns below 480 rpm or the tachometer is silent.
    pub async fn rpm<B: I2c>(&mut self, bus: &mut B, fan: u8) -> Result<u32, Error<B::Error>> {
        let base = self.base(fan)?;
        let high = self.device.read_byte(bus, base + TACH_HIGH).await?;
        let low = self.device.read_byte(bus, base + TACH_LOW).await?;
        Ok(rpm([high, low]))
    }

    fn base<E>(&self, fan: u8) -> Result<u8, Error<E>> {
        if fan < self.fans.min(5) {
            return Ok(NEXT_FAN * fan);
        }
        let (wanted, max) = (f64::from(fan), f64::from(self.fans.min(5)) - 1.0);
        Err(self.device.out_of_range("as fan number", wanted, 0.0, max))
    }
}

/// Thirteen bits, left-aligned.
fn rpm(bytes: [u8; 2]) -> u32 {
    match u16::from_be_bytes(bytes) >> 3 {
        0 | TACH_STOPPED.. => 0,
        count => TACH_NUMERATOR / u32::from(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts of AN 17.4 for its lowest range: 500 rpm is 7864, 1000 rpm 3932, 16000 rpm 246.
    #[test]
    fn counts_are_turned_into_speed_as_the_application_note_does() {
        let bytes = |count: u16| (count << 3).to_be_bytes();
        assert_eq!(rpm(bytes(7864)), 500);
        assert_eq!(rpm(bytes(3932)), 1000);
        assert_eq!(rpm(bytes(246)), 15_984);
        assert_eq!(rpm([0xff, 0xf8]), 0, "as after power-up");
        assert_eq!(rpm([0xff, 0x00]), 0);
        assert_eq!(rpm([0, 0]), 0);
        assert_eq!(rpm([0, 7]), 0, "the lowest three bits do not count");
    }
}

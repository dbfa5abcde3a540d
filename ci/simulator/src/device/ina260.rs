//! INA260: current, voltage and power of a supply line. TI data sheet SBOS656.

use super::{Device, Nak, padded};

const VOLTS_PER_COUNT: f64 = 0.001_25;
const AMPERES_PER_COUNT: f64 = 0.001_25;
const WATTS_PER_COUNT: f64 = 0.01;
const RESET_CONFIGURATION: u16 = 0x6127;

pub(crate) struct Ina260 {
    pointer: u8,
    configuration: u16,
    mask: u16,
    alert: u16,
    volts: f64,
    amperes: f64,
}

impl Ina260 {
    pub(crate) fn new() -> Self {
        Self { pointer: 0, configuration: RESET_CONFIGURATION, mask: 0, alert: 0, volts: 0.0, amperes: 0.0 }
    }

    pub(crate) fn sense(&mut self, volts: f64, amperes: f64) {
        (self.volts, self.amperes) = (volts, amperes);
    }
}

impl Device for Ina260 {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nak> {
        match *bytes {
            [] => Ok(()),
            [pointer] => {
                self.pointer = pointer;
                Ok(())
            }
            [register, high, low] => {
                self.pointer = register;
                let value = u16::from_be_bytes([high, low]);
                match register {
                    0x00 if value & 0x8000 != 0 => {
                        *self = Self { volts: self.volts, amperes: self.amperes, ..Self::new() }
                    }
                    0x00 => self.configuration = value,
                    0x06 => self.mask = value,
                    0x07 => self.alert = value,
                    _ => {}
                }
                Ok(())
            }
            _ => Err(Nak),
        }
    }

    fn read(&mut self, count: usize) -> Result<Vec<u8>, Nak> {
        let counts =
            |value: f64, per_count: f64| (value / per_count).round().clamp(-32768.0, 32767.0) as i16 as u16;
        let value = match self.pointer {
            0x00 => self.configuration,
            0x01 => counts(self.amperes, AMPERES_PER_COUNT),
            0x02 => counts(self.volts, VOLTS_PER_COUNT),
            0x03 => counts((self.volts * self.amperes).abs(), WATTS_PER_COUNT),
            0x06 => self.mask,
            0x07 => self.alert,
            0xFE => 0x5449,
            0xFF => 0x2270,
            _ => return Err(Nak),
        };
        Ok(padded(value.to_be_bytes().to_vec(), count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_sheets_example() {
        // SBOS656, 7.5: 12 V is 0x2580; 10 A is 0x1F40; 120 W is 0x2EE0.
        let mut meter = Ina260::new();
        meter.sense(12.0, 10.0);
        let mut at = |register| {
            meter.write(&[register]).expect("there");
            meter.read(2).expect("there")
        };
        assert_eq!(at(0x02), [0x25, 0x80]);
        assert_eq!(at(0x01), [0x1F, 0x40]);
        assert_eq!(at(0x03), [0x2E, 0xE0]);
        assert_eq!((at(0xFE), at(0xFF), at(0x00)), (vec![0x54, 0x49], vec![0x22, 0x70], vec![0x61, 0x27]));
    }
}

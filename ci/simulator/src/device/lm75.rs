//! LM75A, TMP75 and TMP1075: one temperature, most significant byte first. TI data sheets SNOS808, SBOS288 and SBOS854.

use super::{Device, Nak, left_justified, padded};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nine bits: steps of half a degree.
    Lm75a,
    /// Nine bits after power-up; the configuration's bits 6 and 5 ask for up to twelve.
    Tmp75,
    /// Always twelve bits; tells who it is.
    Tmp1075,
}

const TEMPERATURE: u8 = 0;
const CONFIGURATION: u8 = 1;
const LOW: u8 = 2;
const HIGH: u8 = 3;
const DIE_ID: u8 = 0x0F;
const TMP1075_ID: u16 = 0x7500;
const SHUT_DOWN: u8 = 0x01;
const ONE_SHOT: u8 = 0x80;

pub(crate) struct Lm75 {
    kind: Kind,
    pointer: u8,
    configuration: u8,
    low: u16,
    high: u16,
    reading: u16,
}

impl Lm75 {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, pointer: TEMPERATURE, configuration: 0, low: 0x4B00, high: 0x5000, reading: 0 }
    }

    fn bits(&self) -> u32 {
        match self.kind {
            Kind::Lm75a => 9,
            Kind::Tmp75 => 9 + u32::from(self.configuration >> 5 & 3),
            Kind::Tmp1075 => 12,
        }
    }

    pub(crate) fn sense(&mut self, celsius: f64) {
        if self.configuration & SHUT_DOWN == 0 || self.configuration & ONE_SHOT != 0 {
            let bits = self.bits();
            self.reading = left_justified(celsius, f64::from(1u32 << (bits - 8)), bits);
            self.configuration &= !ONE_SHOT;
        }
    }
}

impl Device for Lm75 {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nak> {
        let [pointer, data @ ..] = bytes else { return Ok(()) };
        let known = *pointer <= HIGH || (self.kind == Kind::Tmp1075 && *pointer == DIE_ID);
        if !known {
            return Err(Nak);
        }
        self.pointer = *pointer;
        match (*pointer, data) {
            (_, []) => Ok(()),
            (CONFIGURATION, [value]) => {
                self.configuration = *value;
                Ok(())
            }
            // Of a TMP1075 the register has a second byte, all ones.
            (CONFIGURATION, [value, _]) if self.kind == Kind::Tmp1075 => {
                self.configuration = *value;
                Ok(())
            }
            (LOW, &[high, low]) => {
                self.low = u16::from_be_bytes([high, low]);
                Ok(())
            }
            (HIGH, &[high, low]) => {
                self.high = u16::from_be_bytes([high, low]);
                Ok(())
            }
            _ => Err(Nak),
        }
    }

    fn read(&mut self, count: usize) -> Result<Vec<u8>, Nak> {
        let word = match self.pointer {
            TEMPERATURE => self.reading,
            CONFIGURATION if self.kind == Kind::Tmp1075 => u16::from_be_bytes([self.configuration, 0xFF]),
            CONFIGURATION => return Ok(padded(vec![self.configuration], count)),
            LOW => self.low,
            HIGH => self.high,
            _ => TMP1075_ID,
        };
        Ok(padded(word.to_be_bytes().to_vec(), count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(kind: Kind, configuration: &[u8], celsius: f64) -> Vec<u8> {
        let mut sensor = Lm75::new(kind);
        if !configuration.is_empty() {
            sensor.write(configuration).expect("there");
        }
        sensor.sense(celsius);
        sensor.write(&[0]).expect("there");
        sensor.read(2).expect("there")
    }

    #[test]
    fn the_data_sheets_tables() {
        // SBOS288, table "temperature data format", twelve bits.
        for (celsius, bytes) in [
            (127.9375, [0x7F, 0xF0]),
            (100.0, [0x64, 0x00]),
            (80.0, [0x50, 0x00]),
            (25.0, [0x19, 0x00]),
            (0.25, [0x00, 0x40]),
            (0.0, [0x00, 0x00]),
            (-0.25, [0xFF, 0xC0]),
            (-25.0, [0xE7, 0x00]),
            (-55.0, [0xC9, 0x00]),
        ] {
            assert_eq!(reading(Kind::Tmp1075, &[], celsius), bytes, "{celsius}");
            assert_eq!(reading(Kind::Tmp75, &[1, 0x60], celsius), bytes, "{celsius}");
        }
        // SNOS808: nine bits.
        for (celsius, bytes) in
            [(125.0, [0x7D, 0x00]), (0.5, [0x00, 0x80]), (-0.5, [0xFF, 0x80]), (-25.0, [0xE7, 0x00])]
        {
            assert_eq!(reading(Kind::Lm75a, &[], celsius), bytes, "{celsius}");
        }
        assert_eq!(reading(Kind::Tmp75, &[], 40.3), [0x28, 0x80], "half degrees after power-up");
    }

    #[test]
    fn shut_down_it_keeps_its_last_reading() {
        let mut sensor = Lm75::new(Kind::Tmp75);
        sensor.sense(40.0);
        sensor.write(&[1, 0x01]).expect("there");
        sensor.sense(90.0);
        sensor.write(&[0]).expect("there");
        assert_eq!(sensor.read(2), Ok(vec![0x28, 0x00]));
        sensor.write(&[1, 0x81]).expect("there");
        sensor.sense(90.0);
        sensor.write(&[0]).expect("there");
        assert_eq!(sensor.read(2), Ok(vec![0x5A, 0x00]));
    }

    #[test]
    fn registers_that_it_does_not_have_are_refused() {
        assert_eq!(Lm75::new(Kind::Tmp75).write(&[0x0F]), Err(Nak));
        assert_eq!(Lm75::new(Kind::Tmp75).write(&[0, 1, 2]), Err(Nak), "the temperature cannot be written");
        let mut sensor = Lm75::new(Kind::Tmp1075);
        sensor.write(&[0x0F]).expect("there");
        assert_eq!(sensor.read(2), Ok(vec![0x75, 0x00]));
    }
}

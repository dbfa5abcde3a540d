//! 24C02: 256 bytes that say which board this is. Reading is free; a write is a host's mistake, because boards were bricked
//! by one, and is recorded.

use super::{Device, Nak};
use crate::events::Event;

pub(crate) const SIZE: usize = 256;
const PAGE: usize = 8;
/// A write cycle: the part answers nobody meanwhile.
const BUSY_SECONDS: f64 = 0.005;

pub(crate) struct Eeprom {
    bytes: Box<[u8; SIZE]>,
    pointer: u8,
    busy: f64,
    written: Vec<Event>,
}

impl Eeprom {
    pub(crate) fn new(bytes: [u8; SIZE]) -> Self {
        Self { bytes: Box::new(bytes), pointer: 0, busy: 0.0, written: Vec::new() }
    }
}

impl Device for Eeprom {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nak> {
        if self.busy > 0.0 {
            return Err(Nak);
        }
        let [pointer, data @ ..] = bytes else { return Ok(()) };
        self.pointer = *pointer;
        if !data.is_empty() {
            // Eight bytes wide, and beyond its end a page begins again.
            let (page, start) = (usize::from(*pointer) / PAGE * PAGE, usize::from(*pointer) % PAGE);
            for (offset, byte) in data.iter().enumerate() {
                self.bytes[page + (start + offset) % PAGE] = *byte;
            }
            self.busy = BUSY_SECONDS;
            self.written.push(Event::EepromWritten { at: *pointer, bytes: data.len() });
        }
        Ok(())
    }

    fn read(&mut self, count: usize) -> Result<Vec<u8>, Nak> {
        if self.busy > 0.0 {
            return Err(Nak);
        }
        let bytes =
            (0..count).map(|offset| self.bytes[(usize::from(self.pointer) + offset) % SIZE]).collect();
        self.pointer = self.pointer.wrapping_add(count as u8);
        Ok(bytes)
    }

    fn advance(&mut self, seconds: f64) {
        self.busy = (self.busy - seconds).max(0.0);
    }

    fn happened(&mut self) -> Option<Event> {
        self.written.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_goes_on_from_where_it_was_and_around_the_end() {
        let mut eeprom = Eeprom::new(std::array::from_fn(|i| i as u8));
        eeprom.write(&[0xFE]).expect("there");
        assert_eq!(eeprom.read(3), Ok(vec![0xFE, 0xFF, 0x00]));
        assert_eq!(eeprom.read(1), Ok(vec![0x01]));
        assert_eq!(eeprom.happened(), None, "nothing was written");
    }

    #[test]
    fn a_write_happens_is_recorded_and_takes_its_time() {
        let mut eeprom = Eeprom::new([0; SIZE]);
        eeprom.write(&[0x06, 1, 2, 3]).expect("there");
        assert_eq!(eeprom.happened(), Some(Event::EepromWritten { at: 0x06, bytes: 3 }));
        assert_eq!(eeprom.read(1), Err(Nak), "write cycle");
        eeprom.advance(0.006);
        eeprom.write(&[0x00]).expect("there");
        assert_eq!(eeprom.read(9), Ok(vec![3, 0, 0, 0, 0, 0, 1, 2, 0]), "a page wraps");
    }
}

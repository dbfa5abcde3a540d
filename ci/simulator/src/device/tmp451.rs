//! TMP451: its own temperature and that of a diode elsewhere. TI data sheet SBOS686; write addresses differ from read ones.

use super::{Device, Nak, padded};

/// Configuration bit 2: readings have 64 °C added and reach from −64 to 191 °C.
const EXTENDED: u8 = 0x04;
const STATUS_OPEN: u8 = 0x04;
const MAKER: u8 = 0x55;

/// Write address, read address, value after power-up, of plain registers.
const PLAIN: [(u8, u8, u8); 15] = [
    (0x09, 0x03, 0x00),
    (0x0A, 0x04, 0x08),
    (0x0B, 0x05, 0x55),
    (0x0C, 0x06, 0x00),
    (0x0D, 0x07, 0x55),
    (0x0E, 0x08, 0x00),
    (0x11, 0x11, 0x00),
    (0x12, 0x12, 0x00),
    (0x13, 0x13, 0x00),
    (0x14, 0x14, 0x00),
    (0x19, 0x19, 0x6C),
    (0x20, 0x20, 0x55),
    (0x21, 0x21, 0x0A),
    (0x22, 0x22, 0x01),
    (0x24, 0x24, 0x00),
];

pub(crate) struct Tmp451 {
    pointer: u8,
    values: [u8; PLAIN.len()],
    local: f64,
    /// None: the diode is open.
    remote: Option<f64>,
}

impl Tmp451 {
    pub(crate) fn new() -> Self {
        Self { pointer: 0, values: PLAIN.map(|(_, _, value)| value), local: 0.0, remote: None }
    }

    pub(crate) fn sense(&mut self, local: f64, remote: Option<f64>) {
        (self.local, self.remote) = (local, remote);
    }

    fn plain(&self, read: u8) -> Option<u8> {
        PLAIN.iter().position(|&(_, register, _)| register == read).map(|slot| self.values[slot])
    }

    /// Sixteenths of a degree in the upper twelve bits.
    fn bytes(&self, celsius: Option<f64>) -> [u8; 2] {
        let extended = self.plain(0x03).unwrap_or(0) & EXTENDED != 0;
        let (offset, least, most) = if extended { (64.0, -64.0, 191.9375) } else { (0.0, 0.0, 127.9375) };
        let value =
            celsius.map_or(0.0, |celsius| (celsius.clamp(least, most) + offset) * 16.0).round() as u16;
        (value << 4).to_be_bytes()
    }

    fn remote(&self) -> Option<f64> {
        let [high, low] = [0x11, 0x12].map(|register| self.plain(register).unwrap_or(0));
        let offset = f64::from(i16::from_be_bytes([high, low]) >> 4) / 16.0;
        self.remote.map(|celsius| celsius + offset)
    }
}

impl Device for Tmp451 {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nak> {
        match *bytes {
            [] => Ok(()),
            [pointer] => {
                self.pointer = pointer;
                Ok(())
            }
            [register, value] => {
                self.pointer = register;
                if let Some(slot) = PLAIN.iter().position(|&(write, ..)| write == register) {
                    self.values[slot] = value;
                }
                Ok(())
            }
            _ => Err(Nak),
        }
    }

    fn read(&mut self, count: usize) -> Result<Vec<u8>, Nak> {
        let value = match self.pointer {
            0x00 => self.bytes(Some(self.local))[0],
            0x15 => self.bytes(Some(self.local))[1],
            0x01 => self.bytes(self.remote())[0],
            0x10 => self.bytes(self.remote())[1],
            0x02 => u8::from(self.remote.is_none()) * STATUS_OPEN,
            0xFE => MAKER,
            0xFF => 0x00,
            register => self.plain(register).unwrap_or(0),
        };
        Ok(padded(vec![value], count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(sensor: &mut Tmp451, register: u8) -> u8 {
        sensor.write(&[register]).expect("there");
        sensor.read(1).expect("there")[0]
    }

    #[test]
    fn local_and_remote_are_sixteenths_and_an_open_diode_says_so() {
        let mut sensor = Tmp451::new();
        sensor.sense(40.5, Some(63.0625));
        assert_eq!([0x00, 0x15, 0x01, 0x10].map(|r| at(&mut sensor, r)), [40, 0x80, 63, 0x10]);
        assert_eq!((at(&mut sensor, 0x02), at(&mut sensor, 0xFE)), (0, 0x55));
        sensor.sense(40.5, None);
        assert_eq!((at(&mut sensor, 0x01), at(&mut sensor, 0x02)), (0, 0x04));
    }

    #[test]
    fn the_extended_range_adds_64_degrees_and_goes_below_zero() {
        let mut sensor = Tmp451::new();
        sensor.sense(-10.0, Some(150.0));
        assert_eq!((at(&mut sensor, 0x00), at(&mut sensor, 0x01)), (0, 127));
        sensor.write(&[0x09, 0x04]).expect("there");
        assert_eq!((at(&mut sensor, 0x03), at(&mut sensor, 0x00), at(&mut sensor, 0x01)), (0x04, 54, 214));
    }
}

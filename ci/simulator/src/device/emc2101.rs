//! EMC2101: fan drive, tachometer, a sensor of its own and the chip's diode. Register map and reset values: Microchip
//! data sheet DS20006703, §7.

use super::{Device, Nak, padded};

mod reg {
    pub(super) const INTERNAL: u8 = 0x00;
    pub(super) const EXTERNAL_HIGH: u8 = 0x01;
    pub(super) const CONFIG: u8 = 0x03;
    pub(super) const EXTERNAL_LOW: u8 = 0x10;
    pub(super) const TACH_LOW: u8 = 0x46;
    pub(super) const TACH_HIGH: u8 = 0x47;
    pub(super) const FAN_CONFIG: u8 = 0x4A;
    pub(super) const FAN_SETTING: u8 = 0x4C;
}

/// Configuration bit: the ALERT/TACH pin is a tachometer input.
const TACH_INPUT: u8 = 0x04;
/// Fan configuration bits: the fan setting is written by the host; the drive's polarity is inverted.
const HOST_SETS_FAN: u8 = 0x20;
const INVERTED: u8 = 0x10;
const FULL_SETTING: u8 = 63;
/// rpm = this / tachometer count.
const TACH_NUMERATOR: f64 = 5_400_000.0;
const TACH_STOPPED: u16 = 0xFFFF;
/// Eleven bits of 0.125 °C: what an open diode reads.
const DIODE_OPEN: u16 = 0x3F8;

/// Registers that exist and are not plainly zero after reset.
const RESET: [(u8, u8); 20] = [
    (0x04, 0x08),
    (0x05, 0x46),
    (0x07, 0x46),
    (0x16, 0xA4),
    (0x17, 0x12),
    (0x18, 0x08),
    (0x19, 0x55),
    (0x21, 0x0A),
    (0x46, 0xFF),
    (0x47, 0xFF),
    (0x48, 0xFF),
    (0x49, 0xFF),
    (0x4A, 0x20),
    (0x4B, 0x3F),
    (0x4D, 0x17),
    (0x4E, 0x01),
    (0x4F, 0x04),
    (0xFD, 0x16),
    (0xFE, 0x5D),
    (0xFF, 0x02),
];
const READ_ONLY: [u8; 9] = [
    reg::INTERNAL,
    reg::EXTERNAL_HIGH,
    0x02,
    reg::EXTERNAL_LOW,
    reg::TACH_LOW,
    reg::TACH_HIGH,
    0xFD,
    0xFE,
    0xFF,
];

pub(crate) struct Emc2101 {
    registers: [u8; 256],
    pointer: u8,
}

impl Emc2101 {
    pub(crate) fn new() -> Self {
        let mut registers = [0; 256];
        for (register, value) in RESET {
            registers[usize::from(register)] = value;
        }
        Self { registers, pointer: 0 }
    }

    fn get(&self, register: u8) -> u8 {
        self.registers[usize::from(register)]
    }

    fn set(&mut self, register: u8, value: u8) {
        self.registers[usize::from(register)] = value;
    }

    /// Share of full drive, 0 to 1.
    pub(crate) fn drive(&self) -> f64 {
        let setting = f64::from(self.get(reg::FAN_SETTING).min(FULL_SETTING)) / f64::from(FULL_SETTING);
        if self.get(reg::FAN_CONFIG) & INVERTED == 0 { setting } else { 1.0 - setting }
    }

    /// New measurements. No diode: it cannot be measured now.
    pub(crate) fn sense(&mut self, board_celsius: f64, diode_celsius: Option<f64>, rpm: f64) {
        self.set(reg::INTERNAL, board_celsius.round().clamp(-64.0, 127.0) as i8 as u8);
        let raw = diode_celsius.map_or(DIODE_OPEN, |celsius| {
            // Eleven bits, so that 126.875 °C is the highest that is not a diode fault.
            (celsius.clamp(-64.0, 126.875) * 8.0).round() as i16 as u16 & 0x7FF
        });
        let [high, low] = (raw << 5).to_be_bytes();
        self.set(reg::EXTERNAL_HIGH, high);
        self.set(reg::EXTERNAL_LOW, low);
        let counted =
            self.get(reg::CONFIG) & TACH_INPUT != 0 && rpm > TACH_NUMERATOR / f64::from(TACH_STOPPED);
        let count = if counted { (TACH_NUMERATOR / rpm) as u16 } else { TACH_STOPPED };
        let [high, low] = count.to_be_bytes();
        self.set(reg::TACH_HIGH, high);
        self.set(reg::TACH_LOW, low);
    }
}

impl Device for Emc2101 {
    /// SMBus: the first byte points, a second is written there.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nak> {
        let [pointer, value @ ..] = bytes else { return Ok(()) };
        self.pointer = *pointer;
        match value {
            [] => {}
            [value] if !READ_ONLY.contains(pointer) => {
                let host_may = *pointer != reg::FAN_SETTING || self.get(reg::FAN_CONFIG) & HOST_SETS_FAN != 0;
                if host_may {
                    self.set(*pointer, *value);
                }
            }
            [_] => {}
            _ => return Err(Nak),
        }
        Ok(())
    }

    /// The byte that the pointer is at.
    fn read(&mut self, count: usize) -> Result<Vec<u8>, Nak> {
        Ok(padded(vec![self.get(self.pointer)], count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chip: &mut Emc2101, register: u8) -> u8 {
        chip.write(&[register]).expect("there");
        chip.read(1).expect("there")[0]
    }

    #[test]
    fn an_open_diode_reads_3f8_and_85_5_degrees_read_as_in_the_data_sheet() {
        let mut chip = Emc2101::new();
        chip.sense(30.0, None, 0.0);
        assert_eq!((read(&mut chip, 0x01), read(&mut chip, 0x10)), (0x7F, 0x00));
        chip.sense(30.0, Some(85.5), 0.0);
        assert_eq!((read(&mut chip, 0x01), read(&mut chip, 0x10)), (85, 0x80));
        chip.sense(30.0, Some(-0.125), 0.0);
        assert_eq!((read(&mut chip, 0x01), read(&mut chip, 0x10)), (0xFF, 0xE0));
    }

    #[test]
    fn the_tachometer_counts_only_when_its_pin_is_an_input() {
        let mut chip = Emc2101::new();
        chip.sense(30.0, None, 5400.0);
        assert_eq!((read(&mut chip, 0x46), read(&mut chip, 0x47)), (0xFF, 0xFF));
        chip.write(&[0x03, 0x04]).expect("there");
        chip.sense(30.0, None, 5400.0);
        assert_eq!((read(&mut chip, 0x46), read(&mut chip, 0x47)), (0xE8, 0x03), "5 400 000 / 5400 = 1000");
        chip.sense(30.0, None, 0.0);
        assert_eq!((read(&mut chip, 0x46), read(&mut chip, 0x47)), (0xFF, 0xFF));
    }

    #[test]
    fn identity_registers_cannot_be_written() {
        let mut chip = Emc2101::new();
        chip.write(&[0xFE, 0x00]).expect("there");
        assert_eq!((read(&mut chip, 0xFD), read(&mut chip, 0xFE)), (0x16, 0x5D));
    }
}

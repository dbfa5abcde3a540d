//! TPS546D24A: the core regulator, over PMBus. Commands and formats: TI data sheet SLUSDC9, PMBus 1.3 part II.

use super::{Device, Nak, linear11, padded};

mod command {
    pub(super) const OPERATION: u8 = 0x01;
    pub(super) const ON_OFF_CONFIG: u8 = 0x02;
    pub(super) const CLEAR_FAULTS: u8 = 0x03;
    pub(super) const VOUT_MODE: u8 = 0x20;
    pub(super) const VOUT_COMMAND: u8 = 0x21;
    pub(super) const VOUT_MAX: u8 = 0x24;
    pub(super) const VOUT_MIN: u8 = 0x2B;
    pub(super) const STATUS_BYTE: u8 = 0x78;
    pub(super) const STATUS_WORD: u8 = 0x79;
    pub(super) const STATUS_VOUT: u8 = 0x7A;
    pub(super) const STATUS_CML: u8 = 0x7E;
    pub(super) const READ_VIN: u8 = 0x88;
    pub(super) const READ_VOUT: u8 = 0x8B;
    pub(super) const READ_IOUT: u8 = 0x8C;
    pub(super) const READ_TEMPERATURE_1: u8 = 0x8D;
    pub(super) const IC_DEVICE_ID: u8 = 0xAD;
}

/// ULINEAR16 with the exponent that VOUT_MODE 0x97 says: 2^-9 V.
const COUNTS_PER_VOLT: f64 = 512.0;
/// "TI", 0x546D24, rev.: what a TPS546D24A on a Bitaxe says.
const DEVICE_ID: [u8; 6] = [0x54, 0x49, 0x54, 0x6D, 0x24, 0x41];
const INPUT_VOLTS: f64 = 5.0;

const OPERATION_ON: u8 = 0x80;
/// ON_OFF_CONFIG: the output needs leave at all; from OPERATION; from the pin (which boards tie high).
const NEEDS_LEAVE: u8 = 0x10;
const OPERATION_GIVES_LEAVE: u8 = 0x08;

const CML_UNKNOWN_COMMAND: u8 = 0x80;
const CML_BAD_DATA: u8 = 0x40;
const VOUT_LIMITED: u8 = 0x08;

/// Read-write commands: code, bytes of data, value after power-up. The board's non-volatile settings are assumed: output
/// off until OPERATION says on, 0.8 V within 0.5 V to 1.5 V.
const SETTINGS: [(u8, u8, u16); 42] = [
    (0x00, 1, 0),
    (command::OPERATION, 1, 0),
    (command::ON_OFF_CONFIG, 1, 0x1F),
    (0x04, 1, 0xFF),
    (0x10, 1, 0),
    (command::VOUT_COMMAND, 2, 410),
    (0x22, 2, 0),
    (command::VOUT_MAX, 2, 768),
    (0x25, 2, 0),
    (0x26, 2, 0),
    (0x27, 2, 0),
    (0x29, 2, 0xC840),
    (command::VOUT_MIN, 2, 256),
    (0x33, 2, 0x028A),
    (0x35, 2, 0),
    (0x36, 2, 0),
    (0x37, 2, 0),
    (0x38, 2, 0),
    (0x39, 2, 0),
    (0x40, 2, 0),
    (0x41, 1, 0),
    (0x42, 2, 0),
    (0x43, 2, 0),
    (0x44, 2, 0),
    (0x45, 1, 0),
    (0x46, 2, 0),
    (0x47, 1, 0),
    (0x4A, 2, 0),
    (0x4F, 2, 0),
    (0x50, 1, 0),
    (0x51, 2, 0),
    (0x55, 2, 0),
    (0x56, 1, 0),
    (0x58, 2, 0),
    (0x60, 2, 0),
    (0x61, 2, 0x0003),
    (0x62, 2, 0),
    (0x63, 1, 0),
    (0x64, 2, 0),
    (0x65, 2, 0),
    (0xE4, 1, 0),
    (0xEE, 2, 0),
];

pub(crate) struct Tps546 {
    /// Values of `SETTINGS`, in its order.
    values: [u16; SETTINGS.len()],
    pointer: u8,
    status_cml: u8,
    status_vout: u8,
    volts: f64,
    watts: f64,
    celsius: f64,
}

impl Tps546 {
    pub(crate) fn new() -> Self {
        Self {
            values: SETTINGS.map(|(_, _, value)| value),
            pointer: 0,
            status_cml: 0,
            status_vout: 0,
            volts: 0.0,
            watts: 0.0,
            celsius: 0.0,
        }
    }

    fn get(&self, code: u8) -> u16 {
        SETTINGS.iter().position(|&(setting, ..)| setting == code).map_or(0, |slot| self.values[slot])
    }

    /// What VOUT_COMMAND asks for, within VOUT_MIN and VOUT_MAX.
    pub(crate) fn commanded_millivolts(&self) -> f64 {
        let counts = self.get(command::VOUT_COMMAND).min(self.get(command::VOUT_MAX));
        f64::from(counts.max(self.get(command::VOUT_MIN))) * 1000.0 / COUNTS_PER_VOLT
    }

    fn on(&self) -> bool {
        let config = self.get(command::ON_OFF_CONFIG) as u8;
        let operation = self.get(command::OPERATION) as u8 & OPERATION_ON != 0;
        config & NEEDS_LEAVE == 0 || config & OPERATION_GIVES_LEAVE == 0 || operation
    }

    /// Where the output goes.
    pub(crate) fn target_millivolts(&self) -> f64 {
        if self.on() { self.commanded_millivolts() } else { 0.0 }
    }

    pub(crate) fn sense(&mut self, millivolts: f64, watts: f64, celsius: f64) {
        (self.volts, self.watts, self.celsius) = (millivolts / 1000.0, watts, celsius);
    }

    /// PMBus STATUS_WORD: bit 15 VOUT, bit 11 power not good, bit 6 off, bit 1 CML.
    fn status_word(&self) -> u16 {
        let good = self.volts * 1000.0 >= 0.9 * self.commanded_millivolts();
        u16::from(self.status_vout != 0) << 15
            | u16::from(!good) << 11
            | u16::from(!self.on()) << 6
            | u16::from(self.status_cml != 0) << 1
    }

    /// The data of the command that was sent last.
    fn answer(&mut self) -> Result<Vec<u8>, Nak> {
        let word = |value: u16| Ok(value.to_le_bytes().to_vec());
        match self.pointer {
            command::VOUT_MODE => Ok(vec![0x97]),
            command::STATUS_BYTE => Ok(vec![self.status_word() as u8]),
            command::STATUS_WORD => word(self.status_word()),
            command::STATUS_VOUT => Ok(vec![self.status_vout]),
            command::STATUS_CML => Ok(vec![self.status_cml]),
            0x7B..=0x7D | 0x7F | 0x80 => Ok(vec![0]),
            command::READ_VIN => word(linear11::encode(INPUT_VOLTS)),
            command::READ_VOUT => word((self.volts * COUNTS_PER_VOLT).round() as u16),
            command::READ_IOUT => {
                word(linear11::encode(if self.volts > 0.1 { self.watts / self.volts } else { 0.0 }))
            }
            command::READ_TEMPERATURE_1 => word(linear11::encode(self.celsius)),
            0x98 => Ok(vec![0x33]),
            command::IC_DEVICE_ID => Ok([&[DEVICE_ID.len() as u8][..], &DEVICE_ID].concat()),
            code => {
                let Some(slot) = SETTINGS.iter().position(|&(setting, ..)| setting == code) else {
                    self.status_cml |= CML_UNKNOWN_COMMAND;
                    return Err(Nak);
                };
                let bytes = self.values[slot].to_le_bytes();
                Ok(bytes[..usize::from(SETTINGS[slot].1)].to_vec())
            }
        }
    }
}

impl Device for Tps546 {
    /// A command code, then its data, least significant byte first.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nak> {
        let [code, data @ ..] = bytes else { return Ok(()) };
        self.pointer = *code;
        if data.is_empty() {
            if *code == command::CLEAR_FAULTS {
                (self.status_cml, self.status_vout) = (0, 0);
            }
            return Ok(());
        }
        let Some(slot) = SETTINGS.iter().position(|(setting, ..)| setting == code) else {
            self.status_cml |= CML_UNKNOWN_COMMAND;
            return Err(Nak);
        };
        let value = match (SETTINGS[slot].1, data) {
            (1, &[value]) => u16::from(value),
            (2, &[low, high]) => u16::from_le_bytes([low, high]),
            _ => {
                self.status_cml |= CML_BAD_DATA;
                return Err(Nak);
            }
        };
        self.values[slot] = value;
        let limits = self.get(command::VOUT_MIN)..=self.get(command::VOUT_MAX);
        if *code == command::VOUT_COMMAND && !limits.contains(&value) {
            self.status_vout |= VOUT_LIMITED;
        }
        Ok(())
    }

    /// The data of the command that was sent last.
    fn read(&mut self, count: usize) -> Result<Vec<u8>, Nak> {
        Ok(padded(self.answer()?, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(regulator: &mut Tps546, code: u8) -> Vec<u8> {
        regulator.write(&[code]).expect("there");
        regulator.answer().expect("there")
    }

    #[test]
    fn the_captured_word_0266_commands_1199_millivolts() {
        let mut regulator = Tps546::new();
        regulator.write(&[0x21, 0x66, 0x02]).expect("there");
        assert_eq!(regulator.commanded_millivolts().round(), 1199.0);
        assert_eq!(regulator.target_millivolts(), 0.0, "OPERATION has not said on");
        regulator.write(&[0x01, 0x80]).expect("there");
        assert_eq!(regulator.target_millivolts().round(), 1199.0);
        assert_eq!(read(&mut regulator, 0x20), [0x97]);
        assert_eq!(read(&mut regulator, 0xAD), [6, 0x54, 0x49, 0x54, 0x6D, 0x24, 0x41]);
    }

    #[test]
    fn more_than_vout_max_is_limited_and_said() {
        let mut regulator = Tps546::new();
        regulator.write(&[0x21, 0x00, 0x08]).expect("there");
        assert_eq!(regulator.commanded_millivolts(), 1500.0);
        assert_eq!(read(&mut regulator, 0x7A), [0x08]);
        regulator.write(&[0x03]).expect("there");
        assert_eq!(read(&mut regulator, 0x7A), [0x00]);
    }

    #[test]
    fn unknown_commands_are_not_acknowledged() {
        let mut regulator = Tps546::new();
        assert_eq!(regulator.write(&[0xC7, 1]), Err(Nak));
        assert_eq!(read(&mut regulator, 0x7E), [CML_UNKNOWN_COMMAND]);
        assert_eq!(regulator.write(&[0x21, 1]), Err(Nak), "one byte of two");
    }
}

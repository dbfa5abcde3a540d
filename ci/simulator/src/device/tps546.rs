//! TPS546D24A: the core regulator, over PMBus. Commands and formats: TI data sheet SLUSDC9, PMBus 1.3 part II.

use super::{Device, Nak, linear11, padded};
use crate::events::Event;

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

const OT_FAULT_LIMIT: u8 = 0x4F;
const IOUT_OC_FAULT_LIMIT: u8 = 0x46;
/// Where the host has set no limit.
const TRIP_CELSIUS: f64 = 145.0;
const TRIP_AMPERES: f64 = 52.0;

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
    celsius: f64,
    amperes: f64,
    /// Latched off: too hot; too much current.
    too_hot: bool,
    too_much: bool,
    happened: Vec<Event>,
}

impl Tps546 {
    pub(crate) fn new() -> Self {
        Self {
            values: SETTINGS.map(|(_, _, value)| value),
            pointer: 0,
            status_cml: 0,
            status_vout: 0,
            volts: 0.0,
            celsius: 0.0,
            amperes: 0.0,
            too_hot: false,
            too_much: false,
            happened: Vec::new(),
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
        if self.on() && !self.too_hot && !self.too_much { self.commanded_millivolts() } else { 0.0 }
    }

    pub(crate) fn sense(&mut self, millivolts: f64, amperes: f64, celsius: f64) {
        (self.volts, self.amperes, self.celsius) = (millivolts / 1000.0, amperes, celsius);
        let limit = |code, otherwise| match self.get(code) {
            0 => otherwise,
            word => linear11::decode(word),
        };
        let (hot, much) = (
            celsius > limit(OT_FAULT_LIMIT, TRIP_CELSIUS),
            amperes > limit(IOUT_OC_FAULT_LIMIT, TRIP_AMPERES),
        );
        if self.target_millivolts() > 0.0 {
            for (now, latch, why) in
                [(hot, &mut self.too_hot, "over-temperature"), (much, &mut self.too_much, "over-current")]
            {
                if now && !*latch {
                    *latch = true;
                    self.happened.push(Event::RailCut { why: why.into() });
                }
            }
        }
    }

    fn forget_faults(&mut self) {
        (self.status_cml, self.status_vout) = (0, 0);
        (self.too_hot, self.too_much) = (false, false);
    }

    /// PMBus STATUS_WORD: bit 15 VOUT, bits 14 and 4 too much current, bit 11 power not good, bit 6 off, bit 2 too hot, bit 1 CML.
    fn status_word(&self) -> u16 {
        let good = self.volts * 1000.0 >= 0.9 * self.commanded_millivolts();
        u16::from(self.status_vout != 0) << 15
            | u16::from(!good) << 11
            | u16::from(self.target_millivolts() == 0.0) << 6
            | u16::from(self.too_much) << 14
            | u16::from(self.too_much) << 4
            | u16::from(self.too_hot) << 2
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
            0x7B => Ok(vec![u8::from(self.too_much) << 7]),
            0x7D => Ok(vec![u8::from(self.too_hot) << 7]),
            0x7C | 0x7F | 0x80 => Ok(vec![0]),
            command::READ_VIN => word(linear11::encode(INPUT_VOLTS)),
            command::READ_VOUT => word((self.volts * COUNTS_PER_VOLT).round() as u16),
            command::READ_IOUT => word(linear11::encode(self.amperes)),
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
                self.forget_faults();
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
        if *code == command::OPERATION && value as u8 & OPERATION_ON == 0 {
            self.forget_faults();
        }
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

    fn happened(&mut self) -> Option<Event> {
        self.happened.pop()
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
    fn too_hot_or_too_much_latches_off_until_it_was_switched_off() {
        let mut regulator = Tps546::new();
        regulator.write(&[0x46, 0x14, 0x00]).expect("there"); // 20 A
        regulator.write(&[0x01, 0x80]).expect("there");
        regulator.sense(800.0, 19.0, 60.0);
        assert!(regulator.target_millivolts() > 0.0);
        regulator.sense(800.0, 21.0, 60.0);
        assert_eq!((regulator.target_millivolts(), read(&mut regulator, 0x7B)), (0.0, vec![0x80]));
        assert_eq!(regulator.happened(), Some(Event::RailCut { why: "over-current".into() }));
        regulator.sense(0.0, 0.0, 60.0);
        assert_eq!(regulator.target_millivolts(), 0.0, "latched");
        regulator.write(&[0x01, 0x00]).expect("there");
        regulator.write(&[0x01, 0x80]).expect("there");
        assert!(regulator.target_millivolts() > 0.0);
        regulator.sense(800.0, 1.0, 150.0);
        assert_eq!((regulator.target_millivolts(), read(&mut regulator, 0x7D)), (0.0, vec![0x80]));
    }

    #[test]
    fn unknown_commands_are_not_acknowledged() {
        let mut regulator = Tps546::new();
        assert_eq!(regulator.write(&[0xC7, 1]), Err(Nak));
        assert_eq!(read(&mut regulator, 0x7E), [CML_UNKNOWN_COMMAND]);
        assert_eq!(regulator.write(&[0x21, 1]), Err(Nak), "one byte of two");
    }
}

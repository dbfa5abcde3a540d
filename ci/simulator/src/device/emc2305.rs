//! EMC2305: five PWM fans with tachometers. Register map and values after reset: Microchip data sheet DS20006532, §5.
//! Registers that do not exist read 0 and take writes without effect, as it says.

use super::{Device, Nak, padded};

pub(crate) const FANS: usize = 5;
const CONFIGURATION: u8 = 0x20;
/// Bit 7: the watchdog has struck.
const STATUS: u8 = 0x24;
const STALLED: u8 = 0x25;
const POLARITY: u8 = 0x2A;
const LOCK: u8 = 0xEF;
/// Of a fan's sixteen registers, which begin at 0x30 + 16 · fan.
mod fan {
    pub(super) const SETTING: usize = 0x0;
    pub(super) const CONFIGURATION_1: usize = 0x2;
    pub(super) const VALID_TACH: usize = 0x9;
    pub(super) const TARGET_LOW: usize = 0xC;
    pub(super) const TARGET_HIGH: usize = 0xD;
    pub(super) const READING_HIGH: usize = 0xE;
    pub(super) const READING_LOW: usize = 0xF;
    /// Value of each after reset.
    pub(super) const RESET: [u8; 16] =
        [0x00, 0x01, 0x2B, 0x28, 0x00, 0x2A, 0x19, 0x10, 0x66, 0xF5, 0x00, 0x00, 0xF8, 0xFF, 0xFF, 0xF8];
    /// No register there.
    pub(super) const NONE: usize = 0x4;
}
/// Fan configuration 1, bit 7: the part follows the target speed by itself. Bits 6..5: readings count 1, 2, 4, 8 times.
const FOLLOWS: u8 = 0x80;
/// rpm = this · multiplier / count: 32.768 kHz, five edges of a fan with two poles.
const TACH_NUMERATOR: f64 = 3_932_160.0;
const MOST_COUNTS: u16 = 0x1FFF;
/// Configuration bit 5: full speed when nobody has spoken for [`WATCHDOG_SECONDS`].
const WATCHDOG_ON: u8 = 0x20;
const WATCHDOG_SECONDS: f64 = 4.0;
/// Others than a fan's: address, value after reset, writable.
const OTHERS: [(u8, u8, bool); 13] = [
    (CONFIGURATION, 0x40, true),
    (STATUS, 0x00, false),
    (STALLED, 0x00, false),
    (0x26, 0x00, false),
    (0x27, 0x00, false),
    (0x29, 0x00, true),
    (POLARITY, 0x00, true),
    (0x2B, 0x00, true),
    (0x2C, 0x00, true),
    (0x2D, 0x00, true),
    (0xFD, 0x34, false),
    (0xFE, 0x5D, false),
    (0xFF, 0x80, false),
];

pub(crate) struct Emc2305 {
    pointer: u8,
    others: [u8; OTHERS.len()],
    fans: [[u8; 16]; FANS],
    /// Settings of fans that follow a target, finer than the register.
    followed: [f64; FANS],
    locked: bool,
    /// Set until the first fan setting is written: the part was just powered.
    fresh: bool,
    silent_seconds: f64,
    /// All fans full: nobody spoke.
    watchdog: bool,
}

impl Emc2305 {
    pub(crate) fn new() -> Self {
        Self {
            pointer: 0,
            others: OTHERS.map(|(_, value, _)| value),
            fans: [fan::RESET; FANS],
            followed: [0.0; FANS],
            locked: false,
            fresh: true,
            silent_seconds: 0.0,
            watchdog: false,
        }
    }

    fn other(&self, register: u8) -> Option<u8> {
        OTHERS.iter().position(|&(address, ..)| address == register).map(|slot| self.others[slot])
    }

    fn watched(&self) -> bool {
        self.other(CONFIGURATION).unwrap_or(0) & WATCHDOG_ON != 0
    }

    fn fan_register(register: u8) -> Option<(usize, usize)> {
        let (fan, offset) = (usize::from(register >> 4).checked_sub(3)?, usize::from(register & 0xF));
        (fan < FANS && offset != fan::NONE).then_some((fan, offset))
    }

    /// Share of full drive, 0 to 1.
    pub(crate) fn drive(&self, fan: usize) -> f64 {
        if self.watchdog {
            return 1.0;
        }
        let setting = f64::from(self.fans[fan][fan::SETTING]) / 255.0;
        let inverted = self.other(POLARITY).unwrap_or(0) >> fan & 1 != 0;
        if inverted { 1.0 - setting } else { setting }
    }

    /// New tachometer readings. None: nothing is connected there.
    pub(crate) fn sense(&mut self, fan: usize, rpm: Option<f64>, seconds: f64) {
        let registers = &mut self.fans[fan];
        let multiplier = f64::from(1u8 << (registers[fan::CONFIGURATION_1] >> 5 & 3));
        let rpm = rpm.unwrap_or(0.0);
        let count = if rpm > 1.0 { TACH_NUMERATOR * multiplier / rpm } else { f64::from(MOST_COUNTS) };
        let count = (count as u16).min(MOST_COUNTS);
        [registers[fan::READING_HIGH], registers[fan::READING_LOW]] = (count << 3).to_be_bytes();
        if registers[fan::CONFIGURATION_1] & FOLLOWS != 0 {
            let target = u16::from_be_bytes([registers[fan::TARGET_HIGH], registers[fan::TARGET_LOW]]) >> 3;
            let wanted = TACH_NUMERATOR * multiplier / f64::from(target.max(1));
            let change = ((wanted - rpm) / 100.0).clamp(-40.0, 40.0) * seconds;
            let followed = &mut self.followed[fan];
            *followed = if target == MOST_COUNTS { 0.0 } else { (*followed + change).clamp(0.0, 255.0) };
            registers[fan::SETTING] = followed.round() as u8;
        }
        let stalled = registers[fan::READING_HIGH] > registers[fan::VALID_TACH] && self.drive(fan) > 0.0;
        let slot = OTHERS.iter().position(|&(address, ..)| address == STALLED).expect("is in the table");
        self.others[slot] = self.others[slot] & !(1 << fan) | u8::from(stalled) << fan;
    }
}

impl Device for Emc2305 {
    /// SMBus: the first byte points, a second is written there.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nak> {
        self.silent_seconds = 0.0;
        let (pointer, value) = match *bytes {
            [] => return Ok(()),
            [pointer] => {
                self.pointer = pointer;
                return Ok(());
            }
            [pointer, value] => (pointer, value),
            _ => return Err(Nak),
        };
        self.pointer = pointer;
        if let Some((fan, offset)) = Self::fan_register(pointer) {
            let follows = self.fans[fan][fan::CONFIGURATION_1] & FOLLOWS != 0;
            let read_only = offset >= fan::READING_HIGH
                || (offset == fan::SETTING && follows)
                || (self.locked && (fan::CONFIGURATION_1..fan::TARGET_LOW).contains(&offset));
            if !read_only {
                self.fans[fan][offset] = value;
            }
            if offset == fan::SETTING || offset == fan::TARGET_HIGH {
                // One that struck after power-up lets go; one that was switched on does not until it is switched off.
                self.fresh = false;
                self.watchdog &= self.watched();
            }
        } else if pointer == LOCK {
            self.locked |= value & 1 != 0;
        } else if let Some(slot) = OTHERS.iter().position(|&(address, ..)| address == pointer)
            && OTHERS[slot].2
            && !(self.locked && pointer == CONFIGURATION)
        {
            self.others[slot] = value;
            self.watchdog &= pointer != CONFIGURATION || self.watched() || self.fresh;
        }
        Ok(())
    }

    fn read(&mut self, count: usize) -> Result<Vec<u8>, Nak> {
        self.silent_seconds = 0.0;
        let value = match Self::fan_register(self.pointer) {
            Some((_, fan::SETTING)) if self.watchdog => 0xFF,
            Some((fan, offset)) => self.fans[fan][offset],
            None if self.pointer == STATUS => u8::from(self.watchdog) << 7,
            None if self.pointer == LOCK => u8::from(self.locked),
            None => self.other(self.pointer).unwrap_or(0),
        };
        Ok(padded(vec![value], count))
    }

    /// Powered and not spoken to for four seconds, or later with the watchdog on: all fans full.
    fn advance(&mut self, seconds: f64) {
        self.silent_seconds += seconds;
        self.watchdog |= (self.fresh || self.watched()) && self.silent_seconds >= WATCHDOG_SECONDS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(chip: &mut Emc2305, register: u8) -> u8 {
        chip.write(&[register]).expect("there");
        chip.read(1).expect("there")[0]
    }

    #[test]
    fn identity_and_values_after_reset() {
        let mut chip = Emc2305::new();
        let read =
            [0xFD, 0xFE, 0xFF, 0x20, 0x30, 0x32, 0x3E, 0x3F, 0x7E, 0x34, 0x01].map(|r| at(&mut chip, r));
        assert_eq!(read, [0x34, 0x5D, 0x80, 0x40, 0x00, 0x2B, 0xFF, 0xF8, 0xFF, 0x00, 0x00]);
    }

    #[test]
    fn a_speed_is_counted_as_the_data_sheet_has_it() {
        let mut chip = Emc2305::new();
        chip.write(&[0x40, 0x80]).expect("there");
        assert!((chip.drive(1) - 0.5).abs() < 0.01 && chip.drive(0) == 0.0);
        // Range bits 01 after reset: 3 932 160 · 2 / 6000 = 1310, three bits up.
        chip.sense(1, Some(6000.0), 0.1);
        assert_eq!([at(&mut chip, 0x4E), at(&mut chip, 0x4F)], (1310u16 << 3).to_be_bytes());
        assert_eq!(at(&mut chip, 0x25), 0);
        chip.sense(1, Some(0.0), 0.1);
        assert_eq!([at(&mut chip, 0x4E), at(&mut chip, 0x4F)], [0xFF, 0xF8]);
        assert_eq!(at(&mut chip, 0x25), 0b10, "driven and not turning");
    }

    #[test]
    fn a_host_that_never_comes_gets_full_fans_after_four_seconds() {
        let mut chip = Emc2305::new();
        chip.advance(3.9);
        assert_eq!(chip.drive(0), 0.0);
        chip.advance(0.2);
        assert_eq!((chip.drive(0), at(&mut chip, 0x30)), (1.0, 0xFF));
        chip.write(&[0x30, 0x40]).expect("there");
        assert!((chip.drive(0) - 0.25).abs() < 0.01);
        chip.advance(100.0);
        assert!((chip.drive(0) - 0.25).abs() < 0.01, "the watchdog is off after that");
        chip.write(&[0x20, 0x60]).expect("there");
        chip.advance(4.1);
        assert_eq!((chip.drive(0), at(&mut chip, 0x24)), (1.0, 0x80), "unless it was switched on");
        chip.write(&[0x30, 0x40]).expect("there");
        assert_eq!(chip.drive(0), 1.0, "then it does not let go");
        chip.write(&[0x20, 0x40]).expect("there");
        assert!((chip.drive(0) - 0.25).abs() < 0.01 && at(&mut chip, 0x24) == 0, "until it is switched off");
    }

    #[test]
    fn it_follows_a_target_by_itself_when_told() {
        let mut chip = Emc2305::new();
        chip.write(&[0x32, 0xAB]).expect("there");
        let [high, low] = ((TACH_NUMERATOR * 2.0 / 3000.0) as u16).wrapping_shl(3).to_be_bytes();
        chip.write(&[0x3C, low]).expect("there");
        chip.write(&[0x3D, high]).expect("there");
        let mut rpm = 0.0;
        for _ in 0..600 {
            rpm += (6150.0 * chip.drive(0) - rpm) * 0.1;
            chip.sense(0, Some(rpm), 0.1);
        }
        assert!((2700.0..3300.0).contains(&rpm), "{rpm}");
        chip.write(&[0x30, 0xFF]).expect("there");
        assert_ne!(at(&mut chip, 0x30), 0xFF, "read-only meanwhile");
    }
}

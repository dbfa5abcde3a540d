//! What a hash board's EEPROM says: the layout of boards of the S19 generation (Alex20129/eeprom_tool), unscrambled. Real
//! boards' regions are scrambled with keys that do not belong here; a second byte of zero says that these are not (assumed).

use crate::device::eeprom::SIZE;
use crate::wire::crc5;

const FORMAT: u8 = 5;
const PLAIN: u8 = 0;
const PASSED: u8 = 1;
const LM75A: u8 = 142;

/// 256 bytes of board `number`: what it is called, and the volts and MHz of its last test.
pub(crate) fn eeprom(name: &str, number: usize, volts: f64, mhz: f64) -> [u8; SIZE] {
    let mut bytes = [0xFF; SIZE];
    bytes[..98].fill(0);
    (bytes[0], bytes[1]) = (FORMAT, PLAIN);
    let mut text = |from: usize, room: usize, text: &str| {
        let text = &text.as_bytes()[..text.len().min(room)];
        bytes[from..from + text.len()].copy_from_slice(text);
    };
    text(2, 17, &format!("SIMULATED{number:08}"));
    text(20, 2, "ED");
    text(23, 13, "SIM");
    text(38, 9, "F1V05B2C1");
    text(59, 2, "AC");
    text(62, 8, name);
    text(71, 23, "SIMULATION");
    bytes[37] = 3;
    bytes[48..52].copy_from_slice(&[0x00, 0x01, 0x10, 0x00]);
    (bytes[57], bytes[58]) = (LM75A, 0x0F);
    (bytes[95], bytes[96]) = (PASSED, 1);
    bytes[97] = crc5(&bytes[..97]);
    bytes[98..113].fill(0);
    bytes[98..100].copy_from_slice(&((volts * 100.0).round() as u16).to_le_bytes());
    bytes[100..102].copy_from_slice(&(mhz.round() as u16).to_le_bytes());
    bytes[102..104].copy_from_slice(&9997u16.to_le_bytes());
    (bytes[104], bytes[105]) = (45, 65);
    (bytes[108], bytes[109]) = (PASSED, 1);
    bytes[113] = crc5(&bytes[98..113]);
    bytes
}

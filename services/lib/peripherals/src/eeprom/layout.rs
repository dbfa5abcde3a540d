//! What the bytes mean. Pure. Source: Alex20129/eeprom_tool (`docs/EEPROM_Format.md`, `eeprom_structure.h`), whose published dumps are the tests.
//!
//! Formats 4, 5 and 6: header of two bytes, region 1 (the board), region 2 (its last test), and from 5 on region 3 (a frequency for each chip, not used here). Each region ends in a CRC-5
//! (x⁵ + x² + 1, begun with all ones): region 1's over everything before it, region 2's over itself. Words are little-endian. Makers scramble all regions with keys that are not part of this project: such contents are
//! reported, never guessed at. Format 1 (S21+) has the board's name in the clear before its scrambled regions, without a checksum; format 0x11 has nothing in the clear.

use std::fmt;

use super::SIZE;

const PLAIN: u8 = 0;
const BOARD_SUM: usize = 97;
const TESTS: usize = 98;
const TESTS_SUM: usize = 113;
/// A region that has not been written.
const BLANK: u8 = 0xff;
const PASSED: u8 = 1;

/// Why contents do not say which board it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Contents {
    #[error("holds nothing: all bytes are {0:#04x}")]
    Blank(u8),
    #[error("scrambled (format {format}, {algorithm}, key {key}): cannot be read without the key")]
    Scrambled { format: u8, algorithm: Algorithm, key: u8 },
    #[error("format {0:#04x} is not known")]
    Format(u8),
    #[error("CRC of region {region} is {got:#04x}, must be {expected:#04x}")]
    Sum { region: u8, expected: u8, got: u8 },
    #[error("{0} is not text")]
    Text(&'static str),
}

/// What the regions are scrambled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Xxtea,
    Xor,
    /// A number that no source explains.
    Other(u8),
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xxtea => f.write_str("XXTEA"),
            Self::Xor => f.write_str("XOR"),
            Self::Other(number) => write!(f, "algorithm {number}"),
        }
    }
}

/// A hash board by its EEPROM.
#[derive(Debug, Clone, PartialEq)]
pub struct Board {
    pub format: u8,
    /// The maker's name for the kind of board, such as `BHB42601`.
    pub name: String,
    /// `None` where only the name can be read.
    pub details: Option<Details>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Details {
    pub serial: String,
    pub chip_die: String,
    pub chip_marking: String,
    /// Lower is better silicon.
    pub chip_bin: u8,
    pub chip_technology: String,
    pub test_program: String,
    pub factory_job: String,
    /// Two digits each side of a point, in BCD: 0x0130 is 01.30.
    pub pcb_version: u16,
    pub bom_version: u16,
    /// Sensors behind chips: kind (0: none) and addresses.
    pub asic_sensor: u8,
    pub asic_sensor_addresses: [u8; 4],
    /// Sensors behind the voltage controller.
    pub pic_sensor: PicSensor,
    /// One bit each for addresses 0x48 to 0x4B.
    pub pic_sensor_mask: u8,
    /// The test before the board was put together.
    pub passed: bool,
    /// The test as a whole; `None` when it was not made.
    pub tests: Option<Tests>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PicSensor {
    None,
    Lm75a,
    Tmp451,
    Other(u8),
}

/// Under which conditions a board passed its last test.
#[derive(Debug, Clone, PartialEq)]
pub struct Tests {
    pub volts: f64,
    pub mhz: u16,
    /// Of 10 000.
    pub nonce_rate: u16,
    pub inlet_celsius: i8,
    pub outlet_celsius: i8,
    pub passed: bool,
}

/// Which board an EEPROM belongs to.
pub fn read(bytes: &[u8; SIZE]) -> Result<Board, Contents> {
    let [format, scramble, ..] = *bytes;
    if (format == BLANK || format == 0) && bytes.iter().all(|byte| *byte == format) {
        return Err(Contents::Blank(format));
    }
    match format {
        1 => Ok(Board { format, name: name(&bytes[1..16])?, details: None }),
        4..=6 if scramble >> 4 == PLAIN => plain(bytes),
        4..=6 => Err(scrambled(format, scramble)),
        // The header is algorithm and key at once, and the length behind it.
        0x11 => Err(scrambled(format, format)),
        _ => Err(Contents::Format(format)),
    }
}

fn scrambled(format: u8, scramble: u8) -> Contents {
    let algorithm = match scramble >> 4 {
        1 => Algorithm::Xxtea,
        2 => Algorithm::Xor,
        other => Algorithm::Other(other),
    };
    Contents::Scrambled { format, algorithm, key: scramble & 0xf }
}

/// Regions 1 and 2 in the clear.
fn plain(bytes: &[u8; SIZE]) -> Result<Board, Contents> {
    check(1, &bytes[..BOARD_SUM], bytes[BOARD_SUM])?;
    let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let tests = &bytes[TESTS..=TESTS_SUM];
    let tests = if tests.iter().all(|byte| *byte == BLANK) {
        None
    } else {
        check(2, &bytes[TESTS..TESTS_SUM], bytes[TESTS_SUM])?;
        Some(Tests {
            volts: f64::from(word(98)) / 100.0,
            mhz: word(100),
            nonce_rate: word(102),
            inlet_celsius: bytes[104] as i8,
            outlet_celsius: bytes[105] as i8,
            passed: bytes[108] == PASSED,
        })
    };
    let details = Details {
        serial: text("serial number", &bytes[2..20])?,
        chip_die: text("chip die", &bytes[20..23])?,
        chip_marking: text("chip marking", &bytes[23..37])?,
        chip_bin: bytes[37],
        chip_technology: text("chip technology", &bytes[59..62])?,
        test_program: text("test program", &bytes[38..48])?,
        factory_job: text("factory job", &bytes[71..95])?,
        pcb_version: word(48),
        bom_version: word(50),
        asic_sensor: bytes[52],
        asic_sensor_addresses: [bytes[53], bytes[54], bytes[55], bytes[56]],
        pic_sensor: match bytes[57] {
            0 => PicSensor::None,
            142 => PicSensor::Lm75a,
            139 => PicSensor::Tmp451,
            other => PicSensor::Other(other),
        },
        pic_sensor_mask: bytes[58],
        passed: bytes[95] == PASSED,
        tests,
    };
    Ok(Board { format: bytes[0], name: name(&bytes[62..71])?, details: Some(details) })
}

fn name(bytes: &[u8]) -> Result<String, Contents> {
    const NAME: &str = "board name";
    let name = text(NAME, bytes)?;
    if name.is_empty() { Err(Contents::Text(NAME)) } else { Ok(name) }
}

/// Printable ASCII up to the first NUL, without spaces around it.
fn text(field: &'static str, bytes: &[u8]) -> Result<String, Contents> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let shown = &bytes[..end];
    if !shown.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(Contents::Text(field));
    }
    Ok(shown.iter().map(|byte| char::from(*byte)).collect::<String>().trim().to_owned())
}

fn check(region: u8, bytes: &[u8], got: u8) -> Result<(), Contents> {
    let expected = crc5(bytes);
    if got == expected { Ok(()) } else { Err(Contents::Sum { region, expected, got }) }
}

/// x⁵ + x² + 1, highest bit first, begun with all ones.
fn crc5(bytes: &[u8]) -> u8 {
    let mut crc = 0x1f;
    for byte in bytes {
        for bit in (0..8).rev() {
            let carry = (crc >> 4) ^ (byte >> bit & 1);
            crc = crc << 1 & 0x1f ^ if carry == 1 { 0x05 } else { 0 };
        }
    }
    crc
}

#[cfg(test)]
mod tests;

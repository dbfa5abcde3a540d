//! The two checksums of the line (`docs/simulator.md`, "The wire").

/// CRC-5, polynomial x⁵+x²+1, start 0x1F, most significant bit first, over `bytes`; the result is 0..=31.
pub fn crc5(bytes: &[u8]) -> u8 {
    let mut crc = 0x1F;
    for byte in bytes {
        for bit in (0..8).rev() {
            let out = (crc >> 4) ^ (byte >> bit) & 1;
            crc = (crc << 1) & 0x1F;
            if out != 0 {
                crc ^= 0x05;
            }
        }
    }
    crc
}

/// CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xFFFF, most significant bit first.
pub fn crc16(bytes: &[u8]) -> u16 {
    let mut crc = 0xFFFF;
    for &byte in bytes {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc16_has_the_catalogued_check_value() {
        assert_eq!(crc16(b"123456789"), 0x29B1);
    }
}

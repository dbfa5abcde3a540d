//! The two checksums of the protocol.

/// CRC-5 with polynomial x⁵+x²+1, initial 0x1f, bits MSB first, over everything after the preamble.
///
/// Commands: over all but the last byte, which then holds the result. Responses: the last byte holds three flag bits and the five bits of the checksum, and the checksum
/// over *all* bytes after the preamble is 0. Source: captures, `docs/asic.md`.
pub fn crc5(bytes: &[u8]) -> u8 {
    let mut crc = 0x1f;
    for byte in bytes {
        for bit in (0..8).rev() {
            let carry = (crc >> 4) ^ ((byte >> bit) & 1);
            crc = (crc << 1) & 0x1f;
            if carry != 0 {
                crc ^= 0x05;
            }
        }
    }
    crc
}

/// CRC-16/CCITT-FALSE: polynomial 0x1021, initial 0xffff, not reflected. Jobs carry it, high byte first.
pub fn crc16(bytes: &[u8]) -> u16 {
    let mut crc = 0xffff_u16;
    for byte in bytes {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            let carry = crc & 0x8000 != 0;
            crc <<= 1;
            if carry {
                crc ^= 0x1021;
            }
        }
    }
    crc
}

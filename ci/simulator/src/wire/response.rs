//! Answers from chips to host: `AA 55 | … | type and CRC-5`, nine bytes after reset, eleven once version rolling is on.
//! A BM1387's have no preamble and are seven bytes long.

use super::crc5;

/// Type bits of the last byte: 4 = nonce, 0 = register.
const NONCE: u8 = 0x80;

/// One frame as it goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    bytes: [u8; 11],
    length: usize,
}

impl Response {
    /// What a register holds, from the chip with this address.
    pub fn register(value: u32, chip: u8, register: u8, wide: bool) -> Self {
        Self::frame(value, [chip, register], 0, 0, wide)
    }

    /// A nonce: its four header bytes read most significant byte first, the difficulty above what was asked for (half
    /// bits), job id and sub-core as the chip model packs them, and the rolled version bits (header bits 28..13).
    pub fn nonce(nonce: u32, excess: u8, result: u8, version: u16, wide: bool) -> Self {
        Self::frame(nonce, [excess, result], version, NONCE, wide)
    }

    /// As a BM1387 says it: neither preamble nor, of a register, whose and which.
    pub(crate) fn bare(self) -> Self {
        let register = self.bytes[self.length - 1] & NONCE == 0;
        let mut bytes = [0; 11];
        bytes[..6].copy_from_slice(&self.bytes[2..8]);
        if register {
            bytes[4..6].fill(0);
        }
        bytes[6] = if register { 0 } else { NONCE };
        bytes[6] |= trailer_crc(&bytes[..7]);
        Self { bytes, length: 7 }
    }

    fn frame(word: u32, pair: [u8; 2], extra: u16, kind: u8, wide: bool) -> Self {
        let [a, b, c, d] = word.to_be_bytes();
        let [high, low] = extra.to_be_bytes();
        let mut bytes = [0xAA, 0x55, a, b, c, d, pair[0], pair[1], high, low, 0];
        let length = if wide { 11 } else { 9 };
        bytes[length - 1] = kind;
        bytes[length - 1] |= trailer_crc(&bytes[2..length]);
        Self { bytes, length }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub(crate) fn as_bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }
}

/// The five bits that make the CRC over everything after the preamble, the three type bits and themselves included,
/// come to zero: the receiver's own test.
fn trailer_crc(body: &[u8]) -> u8 {
    let mut body = body.to_vec();
    let last = body.len() - 1;
    let kind = body[last];
    (0..32)
        .find(|crc| {
            body[last] = kind | crc;
            crc5(&body) == 0
        })
        .expect("a CRC's last five bits can make any remainder")
}

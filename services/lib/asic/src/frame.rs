//! A frame for the wire: a fixed buffer and how much of it is used.

use crate::{crc5, crc16};

/// Preamble of everything that goes to the chips.
pub(crate) const TO_CHIP: [u8; 2] = [0x55, 0xaa];
/// Longest frame: a job with a whole header.
pub(crate) const MAX_LEN: usize = 88;

/// One frame, ready for the wire.
#[derive(Clone, Copy)]
pub struct Frame {
    bytes: [u8; MAX_LEN],
    len: usize,
}

impl Frame {
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(crate) fn start(header: u8, length: u8) -> Self {
        let mut frame = Self { bytes: [0; MAX_LEN], len: 0 };
        frame.put(&TO_CHIP);
        frame.put(&[header, length]);
        frame
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    pub(crate) fn with_crc5(mut self) -> Self {
        let crc = crc5(&self.as_bytes()[TO_CHIP.len()..]);
        self.put(&[crc]);
        self
    }

    pub(crate) fn with_crc16(mut self) -> Self {
        let crc = crc16(&self.as_bytes()[TO_CHIP.len()..]);
        self.put(&crc.to_be_bytes());
        self
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for byte in self.as_bytes() {
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

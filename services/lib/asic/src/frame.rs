//! A frame for the wire: a fixed buffer and how much of it is used.

use crate::{command::Generation, crc5, crc16};

/// Preamble of everything that goes to the chips of the new generation.
const TO_CHIP: [u8; 2] = [0x55, 0xaa];
/// Longest frame: a job with four midstates.
const MAX_LEN: usize = 152;

/// One frame, ready for the wire.
#[derive(Clone, Copy)]
pub struct Frame {
    bytes: [u8; MAX_LEN],
    len: usize,
    /// Length of the preamble, which no checksum covers.
    preamble: usize,
}

impl Frame {
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(crate) fn start(generation: Generation, header: u8, length: u8) -> Self {
        let mut frame = Self { bytes: [0; MAX_LEN], len: 0, preamble: 0 };
        if generation == Generation::New {
            frame.put(&TO_CHIP);
            frame.preamble = TO_CHIP.len();
        }
        frame.put(&[header, length]);
        frame
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    pub(crate) fn with_crc5(mut self) -> Self {
        let crc = crc5(self.checked());
        self.put(&[crc]);
        self
    }

    pub(crate) fn with_crc16(mut self) -> Self {
        let crc = crc16(self.checked());
        self.put(&crc.to_be_bytes());
        self
    }

    fn checked(&self) -> &[u8] {
        &self.as_bytes()[self.preamble..]
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

//! What comes back from a chain: nine or eleven bytes a response, found again after any disturbance.

use crate::crc5;

/// Preamble of everything that comes from the chips.
const FROM_CHIP: [u8; 2] = [0xaa, 0x55];
const MAX_LEN: usize = 11;
/// Flag bits in a response's last byte.
const FLAGS: u8 = 0xe0;
const NONCE: u8 = 0x80;
const REGISTER: u8 = 0x00;

/// How long responses are. Fresh chips answer with nine bytes; BM1362 and later with eleven once version rolling is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    Nine,
    Eleven,
}

impl Width {
    fn bytes(self) -> usize {
        match self {
            Self::Nine => 9,
            Self::Eleven => 11,
        }
    }
}

/// A response whose checksum is right. What it says is not yet believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response {
    Register {
        value: u32,
        /// The chip's address.
        chip: u8,
        register: u8,
    },
    /// Raw fields; [`crate::Chip::nonce_report`] reads them.
    Nonce {
        /// As they go into the header.
        nonce: [u8; 4],
        excess: u8,
        job: u8,
        /// Rolled version bits, 0 in nine-byte responses.
        version_bits: u16,
    },
}

/// What a parser has seen since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    pub responses: u64,
    /// Preambles that were not followed by a response with a right checksum.
    pub crc_errors: u64,
    /// Bytes that belong to no response.
    pub skipped_bytes: u64,
}

/// Takes bytes as they come and finds the responses among them.
///
/// Never gives up: after a wrong checksum it goes on one byte after the preamble that misled it, so a response is lost only when its own bytes are damaged or
/// when garbage before it happens to have a right checksum (1 in 32 for each preamble in the garbage).
#[derive(Debug, Clone)]
pub struct Parser {
    width: Width,
    /// Begins like a response, or is empty.
    held: [u8; MAX_LEN],
    len: usize,
    counters: Counters,
}

impl Parser {
    pub fn new(width: Width) -> Self {
        Self { width, held: [0; MAX_LEN], len: 0, counters: Counters::default() }
    }

    /// Forgets a half response: after a reset of the chips or a change of the line rate.
    pub fn restart(&mut self, width: Width) {
        self.counters.skipped_bytes += self.len as u64;
        self.len = 0;
        self.width = width;
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Takes one byte; returns the response that it completes.
    pub fn push(&mut self, byte: u8) -> Option<Response> {
        self.held[self.len] = byte;
        self.len += 1;
        let width = self.width.bytes();
        if self.len == width {
            if let Some(response) = decode(&self.held[..width]) {
                self.len = 0;
                self.counters.responses += 1;
                return Some(response);
            }
            self.counters.crc_errors += 1;
            self.skip(1);
        }
        while !self.could_begin() {
            self.skip(1);
        }
        None
    }

    fn could_begin(&self) -> bool {
        let known = self.len.min(FROM_CHIP.len());
        self.held[..known] == FROM_CHIP[..known]
    }

    fn skip(&mut self, bytes: usize) {
        self.held.copy_within(bytes..self.len, 0);
        self.len -= bytes;
        self.counters.skipped_bytes += bytes as u64;
    }
}

/// Reads a whole response; `None` when its checksum is wrong or its kind unknown.
fn decode(frame: &[u8]) -> Option<Response> {
    let body = &frame[FROM_CHIP.len()..];
    let (&trailer, fields) = body.split_last()?;
    let (value, rest) = fields.split_first_chunk::<4>()?;
    let (&[fifth, sixth], extra) = rest.split_first_chunk::<2>()?;
    if crc5(body) != 0 {
        return None;
    }
    let version_bits = extra.first_chunk().map_or(0, |bits| u16::from_be_bytes(*bits));
    match trailer & FLAGS {
        NONCE => Some(Response::Nonce { nonce: *value, excess: fifth, job: sixth, version_bits }),
        REGISTER if version_bits == 0 => {
            Some(Response::Register { value: u32::from_be_bytes(*value), chip: fifth, register: sixth })
        }
        _ => None,
    }
}

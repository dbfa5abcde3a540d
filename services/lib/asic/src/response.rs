//! What comes back from a chain: seven, nine or eleven bytes a response, found again after any disturbance.

use crate::crc5;

/// Preamble of everything that comes from the chips.
const FROM_CHIP: [u8; 2] = [0xaa, 0x55];
const MAX_LEN: usize = 11;
/// Flag bits in a response's last byte.
const FLAGS: u8 = 0xe0;
const NONCE: u8 = 0x80;
const REGISTER: u8 = 0x00;

/// How long responses are. Fresh chips answer with nine bytes; BM1362 and later with eleven once version rolling is on. BM1387 has no preamble, so seven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    Seven,
    Nine,
    Eleven,
}

impl Width {
    fn bytes(self) -> usize {
        match self {
            Self::Seven => 7,
            Self::Nine => 9,
            Self::Eleven => 11,
        }
    }

    fn preamble(self) -> &'static [u8] {
        match self {
            Self::Seven => &[],
            Self::Nine | Self::Eleven => &FROM_CHIP,
        }
    }
}

/// A response whose checksum is right. What it says is not yet believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response {
    Register {
        value: u32,
        /// The chip's address. BM1387 does not say it: the value's low byte, where its [`crate::register::CHIP_ID`] has it.
        chip: u8,
        /// BM1387 does not say it: 0, the only one that is asked for.
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
    /// Preambles that were not followed by a response with a right checksum; without preambles, times that the place of responses was lost.
    pub crc_errors: u64,
    /// Bytes that belong to no response.
    pub skipped_bytes: u64,
}

/// Takes bytes as they come and finds the responses among them.
///
/// Never gives up: after a wrong checksum it goes on one byte after the preamble that misled it, so a response is lost only when its own bytes are damaged or
/// when garbage before it happens to have a right checksum (1 in 32 for each preamble in the garbage).
///
/// Without preambles, seven bytes are a response when checksum and flags are right (1 in 128 of garbage are), and a silence ([`Parser::silence`]) ends whatever was begun.
#[derive(Debug, Clone)]
pub struct Parser {
    width: Width,
    /// Begins like a response, or is empty.
    held: [u8; MAX_LEN],
    len: usize,
    /// The last bytes were no response.
    lost: bool,
    counters: Counters,
}

impl Parser {
    pub fn new(width: Width) -> Self {
        Self { width, held: [0; MAX_LEN], len: 0, lost: false, counters: Counters::default() }
    }

    /// Forgets a half response: after a reset of the chips or a change of the line rate.
    pub fn restart(&mut self, width: Width) {
        self.counters.skipped_bytes += self.len as u64;
        self.len = 0;
        self.lost = false;
        self.width = width;
    }

    /// Nothing has come for longer than the bytes of one response are ever apart. Forgets a half response where no preamble would tell that it is one.
    pub fn silence(&mut self) {
        if self.width.preamble().is_empty() && self.len > 0 {
            self.counters.crc_errors += u64::from(!self.lost);
            self.restart(self.width);
        }
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
            if let Some(response) = decode(self.width, &self.held[..width]) {
                self.len = 0;
                self.lost = false;
                self.counters.responses += 1;
                return Some(response);
            }
            let preamble = !self.width.preamble().is_empty();
            self.counters.crc_errors += u64::from(preamble || !self.lost);
            self.lost = true;
            self.skip(1);
        }
        while !self.could_begin() {
            self.skip(1);
        }
        None
    }

    fn could_begin(&self) -> bool {
        let preamble = self.width.preamble();
        let known = self.len.min(preamble.len());
        self.held[..known] == preamble[..known]
    }

    fn skip(&mut self, bytes: usize) {
        self.held.copy_within(bytes..self.len, 0);
        self.len -= bytes;
        self.counters.skipped_bytes += bytes as u64;
    }
}

/// Reads a whole response; `None` when its checksum is wrong or its kind unknown.
fn decode(width: Width, frame: &[u8]) -> Option<Response> {
    let body = &frame[width.preamble().len()..];
    let (&trailer, fields) = body.split_last()?;
    let (bytes, rest) = fields.split_first_chunk::<4>()?;
    let (&[fifth, sixth], extra) = rest.split_first_chunk::<2>()?;
    if crc5(body) != 0 {
        return None;
    }
    let version_bits = extra.first_chunk().map_or(0, |bits| u16::from_be_bytes(*bits));
    let value = u32::from_be_bytes(*bytes);
    match (trailer & FLAGS, width) {
        (NONCE, _) => Some(Response::Nonce { nonce: *bytes, excess: fifth, job: sixth, version_bits }),
        (REGISTER, Width::Seven) if fifth == 0 && sixth == 0 => {
            Some(Response::Register { value, chip: value as u8, register: 0 })
        }
        (REGISTER, Width::Nine | Width::Eleven) if version_bits == 0 => {
            Some(Response::Register { value, chip: fifth, register: sixth })
        }
        _ => None,
    }
}

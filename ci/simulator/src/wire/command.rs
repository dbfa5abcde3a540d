//! Commands from host to chips: `55 AA | header | length | … | CRC`. The parser takes bytes as they come, with the
//! times at which they were on the wire, and finds its way back after noise.

use super::{crc5, crc16};
use std::collections::VecDeque;

const PREAMBLE: [u8; 2] = [0x55, 0xAA];
/// A full-header job: preamble, header, length, 82 bytes of work, CRC-16.
const JOB_BYTES: usize = 88;
/// The length byte counts 86 bytes after the preamble; factory firmware sends 0x36, and BM1370 and BM1362 take it.
const JOB_LENGTHS: [u8; 2] = [0x56, 0x36];

/// Whom a register command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    All,
    Chip(u8),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The first chip that waits for an address takes this one.
    SetAddress(u8),
    /// Every chip waits for an address.
    ChainInactive,
    Read {
        target: Target,
        register: u8,
    },
    Write {
        target: Target,
        register: u8,
        value: u32,
    },
    Job(Box<Job>),
}

/// Work as a chip gets it. Hashes are in header byte order (the line has their words reversed).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Carries the job id, in the bits that the chip model uses.
    pub id: u8,
    pub midstates: u8,
    pub start_nonce: u32,
    /// Header bytes 72..76.
    pub bits: [u8; 4],
    /// Header bytes 68..72.
    pub time: [u8; 4],
    pub merkle_root: [u8; 32],
    pub previous_hash: [u8; 32],
    pub version: u32,
}

impl Job {
    /// The header's first 76 bytes, with these version bits (in place, not shifted) set.
    pub fn header(&self, rolled: u32) -> [u8; 76] {
        let mut header = [0; 76];
        header[..4].copy_from_slice(&(self.version | rolled).to_le_bytes());
        header[4..36].copy_from_slice(&self.previous_hash);
        header[36..68].copy_from_slice(&self.merkle_root);
        header[68..72].copy_from_slice(&self.time);
        header[72..].copy_from_slice(&self.bits);
        header
    }
}

/// Why bytes were not a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    Checksum,
    /// Bytes outside any frame; reported once for each stretch of them.
    Noise,
    UnknownHeader,
    WrongLength,
    /// A byte that every capture has zero.
    ReservedByte,
}

/// A frame, whole or broken, and when its first byte began and its last byte ended (nanoseconds).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub command: Result<Command, Broken>,
    pub begin_ns: u64,
    pub end_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Byte {
    value: u8,
    begin_ns: u64,
    end_ns: u64,
}

/// Cuts a stream of bytes into commands. Holds at most one frame.
///
/// After a broken frame the search for a preamble goes on right behind the broken one's preamble, so a bad length byte
/// cannot swallow the good frame that follows.
#[derive(Debug, Default)]
pub struct Parser {
    bytes: VecDeque<Byte>,
    in_noise: bool,
}

impl Parser {
    /// Takes one byte; then call [`Parser::next`] until it returns `None`.
    pub fn push(&mut self, value: u8, begin_ns: u64, end_ns: u64) {
        self.bytes.push_back(Byte { value, begin_ns, end_ns });
    }

    /// The next whole or broken frame, if there is one yet.
    #[allow(clippy::should_implement_trait)] // more bytes may follow a `None`
    pub fn next(&mut self) -> Option<Received> {
        if let Some(noise) = self.skip_noise() {
            return Some(noise);
        }
        let header = self.at(2)?;
        let length = self.at(3)?;
        let total = match header {
            0x21 if JOB_LENGTHS.contains(&length) => JOB_BYTES,
            0x41 | 0x51 if length == 9 => 11,
            0x40 | 0x42 | 0x52 | 0x53 if length == 5 => 7,
            0x21 | 0x40..=0x42 | 0x51..=0x53 => return self.broken(Broken::WrongLength),
            _ => return self.broken(Broken::UnknownHeader),
        };
        if self.bytes.len() < total {
            return None;
        }
        let frame: Vec<u8> = self.bytes.iter().take(total).map(|byte| byte.value).collect();
        match decode(&frame) {
            Err(why) => self.broken(why),
            Ok(command) => {
                let (begin_ns, end_ns) = (self.bytes[0].begin_ns, self.bytes[total - 1].end_ns);
                self.bytes.drain(..total);
                self.in_noise = false;
                Some(Received { command: Ok(command), begin_ns, end_ns })
            }
        }
    }

    fn at(&self, index: usize) -> Option<u8> {
        self.bytes.get(index).map(|byte| byte.value)
    }

    /// Drops bytes that cannot begin a frame; says so when a stretch of them begins.
    fn skip_noise(&mut self) -> Option<Received> {
        let mut first = None;
        while let Some(byte) = self.bytes.front() {
            if byte.value == PREAMBLE[0] && self.at(1).is_none_or(|second| second == PREAMBLE[1]) {
                break;
            }
            first = first.or(Some(*byte));
            self.bytes.pop_front();
        }
        let first = first?;
        if std::mem::replace(&mut self.in_noise, true) {
            return None;
        }
        Some(Received { command: Err(Broken::Noise), begin_ns: first.begin_ns, end_ns: first.end_ns })
    }

    fn broken(&mut self, why: Broken) -> Option<Received> {
        let (begin_ns, end_ns) = (self.bytes[0].begin_ns, self.bytes[self.bytes.len() - 1].end_ns);
        self.bytes.drain(..PREAMBLE.len());
        self.in_noise = true; // what is left of the frame is already accounted for
        Some(Received { command: Err(why), begin_ns, end_ns })
    }
}

/// A frame of the right length, preamble included.
fn decode(frame: &[u8]) -> Result<Command, Broken> {
    let body = &frame[PREAMBLE.len()..];
    match *body {
        [0x21, _, ref work @ .., high, low] => {
            if crc16(&body[..body.len() - 2]) != u16::from_be_bytes([high, low]) {
                return Err(Broken::Checksum);
            }
            job(work).ok_or(Broken::WrongLength).map(|job| Command::Job(Box::new(job)))
        }
        [.., crc] if crc5(&body[..body.len() - 1]) != crc => Err(Broken::Checksum),
        [0x40, _, address, 0, _] => Ok(Command::SetAddress(address)),
        [0x53, _, 0, 0, _] => Ok(Command::ChainInactive),
        [header @ (0x42 | 0x52), _, chip, register, _] => {
            Ok(Command::Read { target: target(header, chip)?, register })
        }
        [header @ (0x41 | 0x51), _, chip, register, a, b, c, d, _] => Ok(Command::Write {
            target: target(header, chip)?,
            register,
            value: u32::from_be_bytes([a, b, c, d]),
        }),
        _ => Err(Broken::ReservedByte),
    }
}

/// A command to all carries chip address zero in every capture.
fn target(header: u8, chip: u8) -> Result<Target, Broken> {
    match (header & 0x10 != 0, chip) {
        (false, chip) => Ok(Target::Chip(chip)),
        (true, 0) => Ok(Target::All),
        (true, _) => Err(Broken::ReservedByte),
    }
}

fn job(work: &[u8]) -> Option<Job> {
    let (&[id, midstates], rest) = work.split_first_chunk()?;
    let (start_nonce, rest) = rest.split_first_chunk()?;
    let (bits, rest) = rest.split_first_chunk()?;
    let (time, rest) = rest.split_first_chunk()?;
    let (merkle_root, rest) = rest.split_first_chunk()?;
    let (previous_hash, rest) = rest.split_first_chunk()?;
    let version = rest.first_chunk()?;
    Some(Job {
        id,
        midstates,
        start_nonce: u32::from_le_bytes(*start_nonce),
        bits: *bits,
        time: *time,
        merkle_root: reverse_words(merkle_root),
        previous_hash: reverse_words(previous_hash),
        version: u32::from_le_bytes(*version),
    })
}

/// The line carries the last of the eight words first; bytes keep their places inside a word.
fn reverse_words(hash: &[u8; 32]) -> [u8; 32] {
    let mut reversed = [0; 32];
    for (to, from) in reversed.chunks_exact_mut(4).zip(hash.chunks_exact(4).rev()) {
        to.copy_from_slice(from);
    }
    reversed
}

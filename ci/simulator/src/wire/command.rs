//! Commands from host to chips: `header | length | … | CRC`, behind `55 AA` on all chips but the BM1387. The parser takes
//! bytes as they come, with the times at which they were on the wire, and finds its way back after noise.

use super::{Body, Job, crc5, crc16};
use std::collections::VecDeque;

const PREAMBLE: [u8; 2] = [0x55, 0xAA];
/// Header, length, 82 bytes of work, CRC-16.
const FULL_HEADER_JOB: usize = 86;
/// The length byte of a full-header job; factory firmware sends 0x36, and BM1370 and BM1362 take it.
const FULL_HEADER_LENGTHS: [u8; 2] = [0x56, 0x36];
/// Header, length, 18 bytes and 1, 2 or 4 midstates of work, CRC-16: what the length byte says.
const MIDSTATE_LENGTHS: [u8; 3] = [0x36, 0x56, 0x96];

/// What a chip model listens to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// No preamble, headers of their own, jobs with midstates.
    Bm1387,
    /// Preamble, jobs with midstates.
    Bm1397,
    /// Preamble, jobs with whole headers: BM1362 and later.
    #[default]
    Bm1362,
}

/// Header bytes: job, set address, write, read, chain inactive. Bit 4 of a write or read: to all chips.
#[derive(Clone, Copy)]
struct Headers {
    job: u8,
    address: u8,
    write: u8,
    read: u8,
    inactive: u8,
}

impl Dialect {
    fn preamble(self) -> &'static [u8] {
        if self == Self::Bm1387 { &[] } else { &PREAMBLE }
    }

    fn headers(self) -> Headers {
        match self {
            Self::Bm1387 => Headers { job: 0x21, address: 0x41, write: 0x48, read: 0x44, inactive: 0x55 },
            _ => Headers { job: 0x21, address: 0x40, write: 0x41, read: 0x42, inactive: 0x53 },
        }
    }

    /// Bytes of a frame behind the preamble.
    fn length(self, header: u8, length: u8) -> Result<usize, Broken> {
        let known = self.headers();
        let to_any = header & !TO_ALL;
        let (right, bytes) = if header == known.job {
            match self {
                Self::Bm1362 => (FULL_HEADER_LENGTHS.contains(&length), FULL_HEADER_JOB),
                _ => (MIDSTATE_LENGTHS.contains(&length), length.into()),
            }
        } else if to_any == known.write {
            (length == 9, 9)
        } else if [known.address, known.inactive].contains(&header) || to_any == known.read {
            (length == 5, 5)
        } else {
            return Err(Broken::UnknownHeader);
        };
        if right { Ok(bytes) } else { Err(Broken::WrongLength) }
    }
}

/// Header bit of commands to all chips.
const TO_ALL: u8 = 0x10;

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
///
/// Without preambles only a header byte can begin a frame, and every other byte is noise.
#[derive(Debug, Default)]
pub struct Parser {
    dialect: Dialect,
    bytes: VecDeque<Byte>,
    in_noise: bool,
}

impl Parser {
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, ..Self::default() }
    }

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
        let preamble = self.dialect.preamble().len();
        let header = self.at(preamble)?;
        let total = match self.dialect.length(header, self.at(preamble + 1)?) {
            Ok(bytes) => preamble + bytes,
            Err(why) => return self.broken(why),
        };
        if self.bytes.len() < total {
            return None;
        }
        let frame: Vec<u8> = self.bytes.iter().take(total).map(|byte| byte.value).collect();
        match decode(self.dialect, &frame[preamble..]) {
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
            let begins = match self.dialect {
                Dialect::Bm1387 => self.dialect.length(byte.value, 0) != Err(Broken::UnknownHeader),
                _ => byte.value == PREAMBLE[0] && self.at(1).is_none_or(|second| second == PREAMBLE[1]),
            };
            if begins {
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
        self.bytes.drain(..self.dialect.preamble().len().max(1));
        self.in_noise = true; // what is left of the frame is already accounted for
        Some(Received { command: Err(why), begin_ns, end_ns })
    }
}

/// A frame of the right length, without its preamble.
fn decode(dialect: Dialect, body: &[u8]) -> Result<Command, Broken> {
    let known = dialect.headers();
    let (header, whole) = (body[0], body.len());
    if header == known.job {
        let crc = u16::from_be_bytes([body[whole - 2], body[whole - 1]]);
        if crc16(&body[..whole - 2]) != crc {
            return Err(Broken::Checksum);
        }
        let work = &body[2..whole - 2];
        let job = if dialect == Dialect::Bm1362 { full_header_job(work) } else { midstate_job(work) };
        return job.ok_or(Broken::WrongLength).map(|job| Command::Job(Box::new(job)));
    }
    if crc5(&body[..whole - 1]) != body[whole - 1] {
        return Err(Broken::Checksum);
    }
    match *body {
        [_, _, address, 0, _] if header == known.address => Ok(Command::SetAddress(address)),
        [_, _, 0, 0, _] if header == known.inactive => Ok(Command::ChainInactive),
        [_, _, chip, register, _] if header & !TO_ALL == known.read => {
            Ok(Command::Read { target: target(header, chip)?, register })
        }
        [_, _, chip, register, a, b, c, d, _] => Ok(Command::Write {
            target: target(header, chip)?,
            register,
            value: u32::from_be_bytes([a, b, c, d]),
        }),
        _ => Err(Broken::ReservedByte),
    }
}

/// A command to all carries chip address zero in every capture.
fn target(header: u8, chip: u8) -> Result<Target, Broken> {
    match (header & TO_ALL != 0, chip) {
        (false, chip) => Ok(Target::Chip(chip)),
        (true, 0) => Ok(Target::All),
        (true, _) => Err(Broken::ReservedByte),
    }
}

/// `id | midstates | start nonce | bits | time`, and what follows them.
fn job(work: &[u8], body: impl FnOnce(&[u8]) -> Option<Body>) -> Option<Job> {
    let (&[id, midstates], rest) = work.split_first_chunk()?;
    let (start_nonce, rest) = rest.split_first_chunk()?;
    let (bits, rest) = rest.split_first_chunk()?;
    let (time, rest) = rest.split_first_chunk()?;
    let start_nonce = u32::from_le_bytes(*start_nonce);
    Some(Job { id, midstates, start_nonce, bits: *bits, time: *time, body: body(rest)? })
}

fn full_header_job(work: &[u8]) -> Option<Job> {
    job(work, |rest| {
        let (merkle_root, rest) = rest.split_first_chunk()?;
        let (previous_hash, rest) = rest.split_first_chunk()?;
        Some(Body::Header {
            merkle_root: reverse_words(merkle_root),
            previous_hash: reverse_words(previous_hash),
            version: u32::from_le_bytes(*rest.first_chunk()?),
        })
    })
}

fn midstate_job(work: &[u8]) -> Option<Job> {
    job(work, |rest| {
        let (merkle_tail, rest) = rest.split_first_chunk()?;
        let states = rest.as_chunks::<32>().0.iter().map(|bytes| {
            let mut state = [0; 8];
            // The last word of the state comes first.
            for (word, bytes) in state.iter_mut().rev().zip(bytes.as_chunks::<4>().0) {
                *word = u32::from_be_bytes(*bytes);
            }
            state
        });
        Some(Body::Midstates { merkle_tail: *merkle_tail, states: states.collect() })
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

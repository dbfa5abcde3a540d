//! The boot state and its two copies: plain U-Boot environment blocks, 4096 bytes each.
//!
//! A block is a CRC-32 (zlib's, little-endian) over the 4092 bytes that follow it; those are `key=value` strings, each ended by
//! a zero byte, the list ended by an empty string, the rest padding. U-Boot writes it with `env export -c -s 1000`, counts
//! a slot's tries down before it jumps, and so is a second writer beside adit-init: `docs/boot-state.md` is the contract.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use crate::slot::Slot;

/// Bytes of one copy, CRC included.
pub const COPY_BYTES: usize = 4096;

/// Where the second copy begins in a `bootstate` partition; the first lies at its start. Far apart, so that no erase block of
/// an SD card or eMMC holds both.
pub const SECOND_COPY_OFFSET: u64 = 512 << 10;

/// Tries that a slot is given when it is put on trial, confirmed, or has come up.
pub const FULL_TRIES: u8 = 3;

/// Largest number of tries in a block: the boot script cuts anything above it.
pub const MAX_TRIES: u8 = 0xf;

/// Largest sequence number. The next one, which only the boot script writes, means that the count is used up: then
/// neither copy is valid and counting starts over. Seven digits, as U-Boot compares signed 32-bit numbers on ARMv7.
pub const MAX_SEQUENCE: u32 = 0xfff_fffe;

const CRC_BYTES: usize = 4;

/// Tries left for each slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    pub a: u8,
    pub b: u8,
}

impl Tries {
    pub fn of(self, slot: Slot) -> u8 {
        match slot {
            Slot::A => self.a,
            Slot::B => self.b,
        }
    }

    #[must_use]
    pub fn with(mut self, slot: Slot, tries: u8) -> Self {
        match slot {
            Slot::A => self.a = tries,
            Slot::B => self.b = tries,
        }
        self
    }
}

/// What the loader goes by: nothing else is ever read from the state area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootState {
    /// Rises by one with every write; the higher of two valid copies is the state.
    pub sequence: u32,
    /// The slot that is booted while it has tries left; after that the other one is.
    pub preferred: Slot,
    pub left: Tries,
    /// The slot that has been installed and must still prove itself.
    pub trial: Option<Slot>,
}

impl Default for BootState {
    /// What the loader assumes when neither copy is valid.
    fn default() -> Self {
        BootState {
            sequence: 0,
            preferred: Slot::A,
            left: Tries { a: FULL_TRIES, b: FULL_TRIES },
            trial: None,
        }
    }
}

/// Why a copy was not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    #[error("{0} bytes, a copy has {COPY_BYTES}")]
    Length(usize),
    #[error("CRC {stored:08x}, the content has {computed:08x}")]
    Crc { stored: u32, computed: u32 },
    #[error("the list of variables has no end")]
    Unterminated,
    #[error("entry {0} is not key=value")]
    NotAssignment(usize),
    #[error("{0} stands twice")]
    Twice(&'static str),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("BOOT_SEQ has no successor: counting starts over")]
    CountUsedUp,
    #[error("{key} is {value:?}, expected {expected}")]
    Value { key: &'static str, value: String, expected: &'static str },
}

impl BootState {
    /// The slot that the loader will try next; none when both have used up their tries.
    pub fn next_boot(&self) -> Option<Slot> {
        [self.preferred, self.preferred.other()].into_iter().find(|slot| self.left.of(*slot) > 0)
    }

    /// The block as U-Boot's `env import -c` reads it, padded with zero bytes.
    pub fn encode(&self) -> [u8; COPY_BYTES] {
        let mut text = format!(
            "BOOT_SEQ={:x}\0BOOT_ORDER={} {}\0BOOT_A_LEFT={:x}\0BOOT_B_LEFT={:x}\0",
            self.sequence,
            self.preferred,
            self.preferred.other(),
            self.left.a,
            self.left.b
        );
        if let Some(slot) = self.trial {
            write!(text, "BOOT_TRIAL={slot}\0").expect("writing to a String cannot fail");
        }
        let mut block = [0; COPY_BYTES];
        block[CRC_BYTES..CRC_BYTES + text.len()].copy_from_slice(text.as_bytes());
        let crc = crc32fast::hash(&block[CRC_BYTES..]);
        block[..CRC_BYTES].copy_from_slice(&crc.to_le_bytes());
        block
    }

    /// Reads one copy. Unknown keys are passed over: U-Boot may be built to add its own.
    pub fn decode(block: &[u8]) -> Result<Self, BlockError> {
        let block: &[u8; COPY_BYTES] = block.try_into().map_err(|_| BlockError::Length(block.len()))?;
        let (stored, data) = block.split_at(CRC_BYTES);
        let stored = u32::from_le_bytes(stored.try_into().expect("split at four bytes"));
        let computed = crc32fast::hash(data);
        if stored != computed {
            return Err(BlockError::Crc { stored, computed });
        }
        let found = Variables::parse(data)?;
        if found.seq == Some(b"fffffff") {
            return Err(BlockError::CountUsedUp);
        }
        let left = |key, value| {
            number(key, value, 0..=u32::from(MAX_TRIES), "a number from 0 to f").map(|n| n as u8)
        };
        Ok(BootState {
            sequence: number(SEQ, found.seq, 1..=MAX_SEQUENCE, "a hexadecimal number from 1 to ffffffe")?,
            preferred: match found.order.ok_or(BlockError::Missing(ORDER))? {
                b"A B" => Slot::A,
                b"B A" => Slot::B,
                other => return Err(refuse(ORDER, other, "A B or B A")),
            },
            left: Tries { a: left(A_LEFT, found.a_left)?, b: left(B_LEFT, found.b_left)? },
            trial: match found.trial {
                None => None,
                Some(b"A") => Some(Slot::A),
                Some(b"B") => Some(Slot::B),
                Some(other) => return Err(refuse(TRIAL, other, "A or B")),
            },
        })
    }
}

const SEQ: &str = "BOOT_SEQ";
const ORDER: &str = "BOOT_ORDER";
const A_LEFT: &str = "BOOT_A_LEFT";
const B_LEFT: &str = "BOOT_B_LEFT";
const TRIAL: &str = "BOOT_TRIAL";

#[derive(Default)]
struct Variables<'a> {
    seq: Option<&'a [u8]>,
    order: Option<&'a [u8]>,
    a_left: Option<&'a [u8]>,
    b_left: Option<&'a [u8]>,
    trial: Option<&'a [u8]>,
}

impl<'a> Variables<'a> {
    fn parse(data: &'a [u8]) -> Result<Self, BlockError> {
        let mut found = Variables::default();
        let mut rest = data;
        for index in 0.. {
            let end = rest.iter().position(|byte| *byte == 0).ok_or(BlockError::Unterminated)?;
            let (entry, after) = (&rest[..end], &rest[end + 1..]);
            if entry.is_empty() {
                break;
            }
            let equals = entry.iter().position(|byte| *byte == b'=').filter(|at| *at > 0);
            let equals = equals.ok_or(BlockError::NotAssignment(index))?;
            let (place, key) = match &entry[..equals] {
                b"BOOT_SEQ" => (&mut found.seq, SEQ),
                b"BOOT_ORDER" => (&mut found.order, ORDER),
                b"BOOT_A_LEFT" => (&mut found.a_left, A_LEFT),
                b"BOOT_B_LEFT" => (&mut found.b_left, B_LEFT),
                b"BOOT_TRIAL" => (&mut found.trial, TRIAL),
                _ => {
                    rest = after;
                    continue;
                }
            };
            if place.replace(&entry[equals + 1..]).is_some() {
                return Err(BlockError::Twice(key));
            }
            rest = after;
        }
        Ok(found)
    }
}

fn refuse(key: &'static str, value: &[u8], expected: &'static str) -> BlockError {
    let value = String::from_utf8_lossy(&value[..value.len().min(32)]).into_owned();
    BlockError::Value { key, value, expected }
}

/// Hexadecimal as U-Boot's `setexpr` writes it: lower case, no prefix, no leading zero.
fn number(
    key: &'static str,
    value: Option<&[u8]>,
    range: RangeInclusive<u32>,
    expected: &'static str,
) -> Result<u32, BlockError> {
    let value = value.ok_or(BlockError::Missing(key))?;
    let plain = matches!(value, [b'0'] | [b'1'..=b'9' | b'a'..=b'f', ..])
        && value.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let text = std::str::from_utf8(value).ok().filter(|_| plain);
    text.and_then(|text| u32::from_str_radix(text, 16).ok())
        .filter(|number| range.contains(number))
        .ok_or_else(|| refuse(key, value, expected))
}

/// Which of the two copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    First,
    Second,
}

impl Half {
    pub fn other(self) -> Half {
        match self {
            Half::First => Half::Second,
            Half::Second => Half::First,
        }
    }
}

/// The outcome of reading both copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    pub state: BootState,
    /// The copy that the state came from; none: neither was valid, the state is the default one.
    pub source: Option<Half>,
    /// What was wrong with each copy.
    pub problems: [Option<BlockError>; 2],
}

impl Loaded {
    /// The newest valid copy; of two equally new ones the first, as the boot script decides too.
    pub fn from_copies(first: &[u8], second: &[u8]) -> Self {
        let (first, second) = (BootState::decode(first), BootState::decode(second));
        let used_up = [&first, &second].contains(&&Err(BlockError::CountUsedUp));
        let choice = match (&first, &second) {
            _ if used_up => None,
            (Ok(a), Ok(b)) if b.sequence > a.sequence => Some((*b, Half::Second)),
            (Ok(a), _) => Some((*a, Half::First)),
            (Err(_), Ok(b)) => Some((*b, Half::Second)),
            (Err(_), Err(_)) => None,
        };
        Loaded {
            state: choice.map(|(state, _)| state).unwrap_or_default(),
            source: choice.map(|(_, half)| half),
            problems: [first.err(), second.err()],
        }
    }

    /// The copy that the next state is written to: never the one just believed.
    pub fn next_write(&self) -> Half {
        self.source.map_or(Half::First, Half::other)
    }
}

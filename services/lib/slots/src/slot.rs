//! The two slots, and the order in which the loader tries them.

use std::fmt;
use std::str::FromStr;

/// One of the two places a release can be installed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slot {
    A,
    B,
}

impl Slot {
    pub const BOTH: [Slot; 2] = [Slot::A, Slot::B];

    pub fn other(self) -> Slot {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }

    /// As in partition names (`boot_a`) and FIT configurations (`conf-a`).
    pub fn suffix(self) -> &'static str {
        match self {
            Slot::A => "a",
            Slot::B => "b",
        }
    }
}

/// As in the boot state: `A` or `B`.
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Slot::A => "A",
            Slot::B => "B",
        })
    }
}

/// The text was neither `A` nor `B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a slot is A or B")]
pub struct NotASlot;

impl FromStr for Slot {
    type Err = NotASlot;

    fn from_str(text: &str) -> Result<Self, NotASlot> {
        match text {
            "A" => Ok(Slot::A),
            "B" => Ok(Slot::B),
            _ => Err(NotASlot),
        }
    }
}

/// Slots in the order of preference; a slot that may not be booted at all is absent. Never empty, never the same twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    first: Slot,
    both: bool,
}

impl Order {
    pub fn only(slot: Slot) -> Self {
        Order { first: slot, both: false }
    }

    /// Both slots, `slot` before the other.
    pub fn both(slot: Slot) -> Self {
        Order { first: slot, both: true }
    }

    pub fn first(self) -> Slot {
        self.first
    }

    pub fn second(self) -> Option<Slot> {
        self.both.then(|| self.first.other())
    }

    pub fn contains(self, slot: Slot) -> bool {
        self.both || self.first == slot
    }

    pub fn iter(self) -> impl Iterator<Item = Slot> {
        std::iter::once(self.first).chain(self.second())
    }
}

/// `A B`, `B A`, `A` or `B`.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.second() {
            Some(second) => write!(f, "{} {second}", self.first),
            None => write!(f, "{}", self.first),
        }
    }
}

impl FromStr for Order {
    type Err = NotASlot;

    fn from_str(text: &str) -> Result<Self, NotASlot> {
        match text.split_once(' ') {
            None => Ok(Order::only(text.parse()?)),
            Some((first, second)) => {
                let (first, second): (Slot, Slot) = (first.parse()?, second.parse()?);
                if first == second { Err(NotASlot) } else { Ok(Order::both(first)) }
            }
        }
    }
}

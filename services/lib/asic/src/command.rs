//! Commands: `55 AA | header | length | payload | CRC5`. The length counts header, length and CRC.

use crate::Frame;

const SET_ADDRESS: u8 = 0x40;
const WRITE: u8 = 0x41;
const READ: u8 = 0x42;
const CHAIN_INACTIVE: u8 = 0x53;
/// Header bit: every chip of the chain obeys.
const ALL: u8 = 0x10;

/// Who obeys a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    All,
    /// The chip with this address.
    Chip(u8),
}

impl Target {
    fn header(self, command: u8) -> u8 {
        match self {
            Self::All => command | ALL,
            Self::Chip(_) => command,
        }
    }

    fn address(self) -> u8 {
        match self {
            Self::All => 0,
            Self::Chip(address) => address,
        }
    }
}

/// Gives `address` to the first chip of the chain that has none since [`chain_inactive`].
pub fn set_address(address: u8) -> Frame {
    short(SET_ADDRESS, address, 0)
}

/// Makes every chip forget its address and wait for [`set_address`].
pub fn chain_inactive() -> Frame {
    short(CHAIN_INACTIVE, 0, 0)
}

/// Asks for a register; each addressed chip answers, nearest first.
pub fn read(target: Target, register: u8) -> Frame {
    short(target.header(READ), target.address(), register)
}

/// Writes a register; nothing is answered. The value goes out most significant byte first.
pub fn write(target: Target, register: u8, value: u32) -> Frame {
    let mut frame = Frame::start(target.header(WRITE), 9);
    frame.put(&[target.address(), register]);
    frame.put(&value.to_be_bytes());
    frame.with_crc5()
}

fn short(header: u8, first: u8, second: u8) -> Frame {
    let mut frame = Frame::start(header, 5);
    frame.put(&[first, second]);
    frame.with_crc5()
}

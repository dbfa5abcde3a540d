//! Commands: `header | length | payload | CRC5`, behind `55 AA` from BM1391 on. The length counts header, length and CRC.

use crate::Frame;

/// Header bit: every chip of the chain obeys.
const ALL: u8 = 0x10;

/// The two generations of the protocol: payloads and checksums are the same, headers and preambles are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// BM1387 and older: no preambles.
    Old,
    /// BM1391 and later.
    New,
}

/// Who obeys a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    All,
    /// The chip with this address.
    Chip(u8),
}

struct Headers {
    set_address: u8,
    write: u8,
    read: u8,
    chain_inactive: u8,
}

impl Generation {
    /// Gives `address` to the first chip of the chain that has none since [`Generation::chain_inactive`].
    pub fn set_address(self, address: u8) -> Frame {
        self.short(self.headers().set_address, address, 0)
    }

    /// Makes every chip forget its address and wait for [`Generation::set_address`].
    pub fn chain_inactive(self) -> Frame {
        self.short(self.headers().chain_inactive, 0, 0)
    }

    /// Asks for a register; each addressed chip answers, nearest first.
    pub fn read(self, target: Target, register: u8) -> Frame {
        self.short(target.header(self.headers().read), target.address(), register)
    }

    /// Writes a register; nothing is answered. The value goes out most significant byte first.
    pub fn write(self, target: Target, register: u8, value: u32) -> Frame {
        let mut frame = Frame::start(self, target.header(self.headers().write), 9);
        frame.put(&[target.address(), register]);
        frame.put(&value.to_be_bytes());
        frame.with_crc5()
    }

    fn short(self, header: u8, first: u8, second: u8) -> Frame {
        let mut frame = Frame::start(self, header, 5);
        frame.put(&[first, second]);
        frame.with_crc5()
    }

    fn headers(self) -> Headers {
        match self {
            Self::Old => Headers { set_address: 0x41, write: 0x48, read: 0x44, chain_inactive: 0x55 },
            Self::New => Headers { set_address: 0x40, write: 0x41, read: 0x42, chain_inactive: 0x53 },
        }
    }
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

//! Block headers: 80 bytes, hashed twice.

use std::fmt;

use sha2::{Digest, Sha256};

/// Version bits that a miner may roll without asking: 13 to 28. Source: BIP 320.
pub const BIP320_MASK: u32 = 0x1fff_e000;

/// SHA-256 of the SHA-256 of `parts`, one after the other.
pub fn sha256d(parts: &[&[u8]]) -> [u8; 32] {
    let mut inner = Sha256::new();
    parts.iter().for_each(|part| inner.update(part));
    Sha256::digest(inner.finalize()).into()
}

/// `version` with the bits of `mask` replaced by those of `rolled`. Source: BIP 310, `mining.submit`.
pub fn roll_version(version: u32, mask: u32, rolled: u32) -> u32 {
    (version & !mask) | (rolled & mask)
}

/// A block header's six fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub version: u32,
    /// Header bytes 4..36.
    pub prev_hash: [u8; 32],
    /// Header bytes 36..68.
    pub merkle_root: [u8; 32],
    /// Seconds since 1970.
    pub ntime: u32,
    /// The block's target in compact form.
    pub nbits: u32,
    pub nonce: u32,
}

impl Header {
    /// Length of a header, bytes.
    pub const LEN: usize = 80;

    /// version | prev_hash | merkle_root | ntime | nbits | nonce; integers little-endian.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&self.version.to_le_bytes());
        bytes[4..36].copy_from_slice(&self.prev_hash);
        bytes[36..68].copy_from_slice(&self.merkle_root);
        bytes[68..72].copy_from_slice(&self.ntime.to_le_bytes());
        bytes[72..76].copy_from_slice(&self.nbits.to_le_bytes());
        bytes[76..].copy_from_slice(&self.nonce.to_le_bytes());
        bytes
    }

    pub fn hash(&self) -> BlockHash {
        BlockHash(sha256d(&[&self.to_bytes()]))
    }
}

/// The hash of a header, as the next header would carry it: the first byte is the least significant.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockHash(pub [u8; 32]);

impl BlockHash {
    /// Leading zero bits of the hash as a number: 0 to 256.
    pub fn leading_zero_bits(&self) -> u32 {
        let zero_bytes = self.0.iter().rev().take_while(|byte| **byte == 0).count();
        let partial = self.0.iter().rev().nth(zero_bytes).map_or(0, |byte| byte.leading_zeros());
        zero_bytes as u32 * 8 + partial
    }
}

/// Most significant byte first, as explorers and nodes print it.
impl fmt::Display for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockHash({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rolling_touches_only_masked_bits() {
        assert_eq!(roll_version(0x2000_0000, BIP320_MASK, 0x00b4_4000), 0x20b4_4000);
        assert_eq!(roll_version(0x3fff_ffff, BIP320_MASK, 0), 0x2000_1fff);
        assert_eq!(roll_version(0x2000_0004, 0, u32::MAX), 0x2000_0004);
    }

    #[test]
    fn leading_zeros_are_counted_from_the_last_byte() {
        let mut hash = [0xff; 32];
        assert_eq!(BlockHash(hash).leading_zero_bits(), 0);
        hash[31] = 0;
        hash[30] = 0x10;
        assert_eq!(BlockHash(hash).leading_zero_bits(), 11);
        assert_eq!(BlockHash([0; 32]).leading_zero_bits(), 256);
    }
}

//! Jobs in the whole-header format of BM1362, BM1366, BM1368 and BM1370: the chip makes the midstates itself.

use crate::Frame;

const JOB: u8 = 0x21;
/// Bits of the header's version that the chips can roll (BIP 320).
const ROLLED_BITS: u32 = 0x1fff_e000;
const ROLLED_SHIFT: u32 = 13;

/// One header to search. Hashes are header bytes.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The job byte, from [`crate::Chip::next_job`].
    pub id: u8,
    pub version: u32,
    pub prev_hash: &'a [u8; 32],
    pub merkle_root: &'a [u8; 32],
    pub ntime: u32,
    pub nbits: u32,
}

impl Job<'_> {
    /// The frame: `55 AA 21 LEN | id | 1 | start nonce 0 | nbits | ntime | merkle root | previous hash | version | CRC16`, integers little-endian, both hashes with their
    /// eight words in reverse order and the bytes inside a word as they are. `length_byte`: [`crate::Chip::job_length_byte`].
    pub fn encode(&self, length_byte: u8) -> Frame {
        let mut frame = Frame::start(JOB, length_byte);
        frame.put(&[self.id, 1, 0, 0, 0, 0]);
        frame.put(&self.nbits.to_le_bytes());
        frame.put(&self.ntime.to_le_bytes());
        for hash in [self.merkle_root, self.prev_hash] {
            for word in hash.chunks_exact(4).rev() {
                frame.put(word);
            }
        }
        frame.put(&self.version.to_le_bytes());
        frame.with_crc16()
    }
}

/// The header's version that a response's sixteen rolled bits stand for; `None` when the chip rolled a bit that `mask` forbids.
pub fn rolled_version(version: u32, mask: u32, bits: u16) -> Option<u32> {
    let rolled = u32::from(bits) << ROLLED_SHIFT;
    (rolled & !(mask & ROLLED_BITS) == 0).then_some(version | rolled)
}

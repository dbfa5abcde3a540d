//! Jobs: a whole header, of which the chip makes the midstates, or midstates that the host has made.

use crate::{Frame, command::Generation};

const JOB: u8 = 0x21;
/// Most midstates in one job.
pub const MOST_MIDSTATES: usize = 4;

/// One header to search, for BM1362, BM1366, BM1368 and BM1370. Hashes are header bytes.
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
    /// eight words in reverse order and the bytes inside a word as they are. `length_byte`: [`crate::WorkLayout::Headers`].
    pub fn encode(&self, length_byte: u8) -> Frame {
        let mut frame = Frame::start(Generation::New, JOB, length_byte);
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

/// Up to four headers that differ in their first 64 bytes only, for BM1397 and BM1387.
#[derive(Debug, Clone, Copy)]
pub struct MidstateJob<'a> {
    /// The job byte, from [`crate::Chip::next_job`]. Its lowest two bits come back as the place of the midstate that won.
    pub id: u8,
    pub ntime: u32,
    pub nbits: u32,
    /// Header bytes 64..68: the end of the merkle root.
    pub merkle_tail: [u8; 4],
    /// States of SHA-256 after the first 64 header bytes, H0 first; 1, 2 or 4 of them.
    pub midstates: &'a [[u32; 8]],
}

impl MidstateJob<'_> {
    /// The frame: `21 LEN | id | midstates | start nonce 0 | nbits | ntime | merkle tail | midstates | CRC16`, integers little-endian; of each midstate H7 first, each word
    /// most significant byte first. Midstates beyond the fourth are left out.
    pub fn encode(&self, generation: Generation) -> Frame {
        let midstates = &self.midstates[..self.midstates.len().min(MOST_MIDSTATES)];
        let count = midstates.len() as u8;
        let mut frame = Frame::start(generation, JOB, 22 + 32 * count);
        frame.put(&[self.id, count, 0, 0, 0, 0]);
        frame.put(&self.nbits.to_le_bytes());
        frame.put(&self.ntime.to_le_bytes());
        frame.put(&self.merkle_tail);
        for word in midstates.iter().flat_map(|midstate| midstate.iter().rev()) {
            frame.put(&word.to_be_bytes());
        }
        frame.with_crc16()
    }

    /// A job of ones that finds nothing: each such job wakes one more core of a BM1387. Source: the open S9 FPGA's test bench; the open firmware has the time 0 instead.
    pub(crate) fn to_open_a_core(id: u8) -> Self {
        Self { id, ntime: u32::MAX, nbits: u32::MAX, merkle_tail: [0xff; 4], midstates: &[[0; 8]] }
    }
}

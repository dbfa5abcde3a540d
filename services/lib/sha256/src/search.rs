//! A search: one header without its nonce, and the nonces to try.

use crate::compress::{INITIAL, compress, digest_block, last_word_of_digest_hash};
use crate::implementation::Implementation;
use crate::lanes::Lanes;

/// The state of SHA-256 after the first 64 bytes of a header, H0 first.
pub fn midstate(first64: &[u8; 64]) -> [u32; 8] {
    compress(INITIAL, words(first64))
}

/// How many zero bits a hash begins with when it is read as Bitcoin reads it: byte 31 first.
pub fn leading_zero_bits(hash: &[u8; 32]) -> u32 {
    let zero_bytes = hash.iter().rev().take_while(|&&byte| byte == 0).count();
    let next = hash.iter().rev().nth(zero_bytes).map_or(0, |byte| byte.leading_zeros());
    zero_bytes as u32 * 8 + next
}

/// `count` nonces: `first`, `first + stride`, … (wrapping).
///
/// A nonce here is the four header bytes 76..80 read most significant byte first: the word that SHA-256 loads, and in
/// which BM13xx chips count. `swap_bytes` makes it the integer that Bitcoin calls the nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonces {
    pub first: u32,
    pub stride: u32,
    pub count: u32,
}

/// A nonce whose hash begins with enough zero bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// As in [`Nonces`]; `to_be_bytes` gives header bytes 76..80.
    pub nonce: u32,
    /// The double hash in the order in which SHA-256 writes it.
    pub hash: [u8; 32],
    pub leading_zero_bits: u32,
}

/// A header that lacks only its nonce.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    pub(crate) midstate: [u32; 8],
    /// Last word of the merkle root, time, bits: header bytes 64..76.
    pub(crate) tail: [u32; 3],
}

impl Search {
    /// `tail`: header bytes 64..76 as they stand in the header.
    pub fn new(midstate: [u32; 8], tail: &[u8; 12]) -> Self {
        Self { midstate, tail: words(tail) }
    }

    /// The double hash of the header with this nonce (see [`Nonces`] for its order).
    pub fn hash(&self, nonce: u32) -> [u8; 32] {
        let first = compress(self.midstate, self.block(nonce));
        let second: [u32; 8] = compress(INITIAL, digest_block(first));
        let mut hash = [0; 32];
        for (bytes, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(second) {
            *bytes = word.to_be_bytes();
        }
        hash
    }

    /// Calls `found` for every one of `nonces` whose hash begins with at least `zero_bits` zero bits, in order.
    pub fn run(
        &self,
        implementation: Implementation,
        nonces: Nonces,
        zero_bits: u32,
        mut found: impl FnMut(Hit),
    ) {
        // The hash's leading bits are word 7's, last byte first. More than 32 are left to the look at the whole hash.
        let mask = u32::MAX.checked_shl(32 - zero_bits.min(32)).unwrap_or(0).swap_bytes();
        implementation.sweep(self, nonces, mask, &mut |nonce| {
            let hash = self.hash(nonce);
            let leading_zero_bits = leading_zero_bits(&hash);
            if leading_zero_bits >= zero_bits {
                found(Hit { nonce, hash, leading_zero_bits });
            }
        });
    }

    /// The header's second block with its padding.
    #[inline(always)]
    pub(crate) fn block<V: Lanes>(&self, nonce: V) -> [V; 16] {
        let mut w = [V::splat(0); 16];
        w[0] = V::splat(self.tail[0]);
        w[1] = V::splat(self.tail[1]);
        w[2] = V::splat(self.tail[2]);
        w[3] = nonce;
        w[4] = V::splat(0x8000_0000);
        w[15] = V::splat(640);
        w
    }
}

/// The search itself, for any lanes.
#[inline(always)]
pub(crate) fn sweep<V: Lanes>(search: &Search, nonces: Nonces, mask: u32, candidate: &mut dyn FnMut(u32)) {
    let midstate = search.midstate.map(V::splat);
    let mut done = 0;
    while done < nonces.count {
        let first = nonces.first.wrapping_add(nonces.stride.wrapping_mul(done));
        let digest = compress(midstate, search.block(V::series(first, nonces.stride)));
        let mut clear = last_word_of_digest_hash(digest).clear_under(mask);
        while clear != 0 {
            let lane = clear.trailing_zeros();
            clear &= clear - 1;
            if lane < nonces.count - done {
                candidate(first.wrapping_add(nonces.stride.wrapping_mul(lane)));
            }
        }
        done = done.saturating_add(V::COUNT as u32);
    }
}

/// Bytes as SHA-256 reads them.
fn words<const BYTES: usize, const WORDS: usize>(bytes: &[u8; BYTES]) -> [u32; WORDS] {
    const { assert!(BYTES == 4 * WORDS) };
    std::array::from_fn(|i| {
        let at = 4 * i;
        u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    })
}

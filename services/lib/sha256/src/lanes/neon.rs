//! Four lanes in a 128-bit register (Advanced SIMD, which every AArch64 CPU that runs Linux has).

use super::Lanes;
use std::arch::aarch64::*;

#[derive(Clone, Copy)]
pub(crate) struct Neon(uint32x4_t);

impl Neon {
    /// By a negative count: to the right. With a constant count it becomes `ushr`.
    #[inline(always)]
    fn shift_left(self, bits: i32) -> Self {
        // SAFETY: NEON is part of the aarch64 targets' baseline.
        let count = unsafe { vdupq_n_s32(bits) };
        // SAFETY: as above.
        Self(unsafe { vshlq_u32(self.0, count) })
    }
}

/// SAFETY, for every block below: NEON is part of the aarch64 targets' baseline. The instructions touch registers only,
/// but for loads from a local array of four words.
impl Lanes for Neon {
    const COUNT: usize = 4;

    #[inline(always)]
    fn splat(word: u32) -> Self {
        // SAFETY: NEON is there, see above.
        Self(unsafe { vdupq_n_u32(word) })
    }

    #[inline(always)]
    fn series(first: u32, stride: u32) -> Self {
        let words: [u32; 4] = std::array::from_fn(|i| first.wrapping_add(stride.wrapping_mul(i as u32)));
        // SAFETY: NEON is there, and `words` is the four words that are loaded.
        Self(unsafe { vld1q_u32(words.as_ptr()) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: NEON is there, see above.
        Self(unsafe { vaddq_u32(self.0, other.0) })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: NEON is there, see above.
        Self(unsafe { veorq_u32(self.0, other.0) })
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: NEON is there, see above.
        Self(unsafe { vandq_u32(self.0, other.0) })
    }

    #[inline(always)]
    fn shift_right(self, bits: u32) -> Self {
        self.shift_left(-bits.cast_signed())
    }

    #[inline(always)]
    fn rotate_right(self, bits: u32) -> Self {
        self.shift_right(bits).xor(self.shift_left(32 - bits.cast_signed()))
    }

    #[inline(always)]
    fn clear_under(self, mask: u32) -> u32 {
        let mut words = [0; 4];
        // SAFETY: NEON is there, and `words` has room for the four words that are stored.
        unsafe { vst1q_u32(words.as_mut_ptr(), self.and(Self::splat(mask)).0) };
        (0..4).filter(|&i| words[i] == 0).fold(0, |bits, i| bits | 1 << i)
    }
}

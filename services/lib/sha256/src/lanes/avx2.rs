//! Eight lanes in a 256-bit register (AVX2).

use super::Lanes;
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256i);

/// SAFETY, for every block below: `Lanes` methods of this type are only reached from `implementation::avx2`, which is
/// called after the CPU was found to have AVX2. The instructions touch registers only.
impl Lanes for Avx2 {
    const COUNT: usize = 8;

    #[inline(always)]
    fn splat(word: u32) -> Self {
        // SAFETY: AVX2 is there, see above.
        Self(unsafe { _mm256_set1_epi32(word.cast_signed()) })
    }

    #[inline(always)]
    fn series(first: u32, stride: u32) -> Self {
        // SAFETY: AVX2 is there, see above.
        let index = unsafe { _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7) };
        // SAFETY: AVX2 is there, see above.
        Self(unsafe { _mm256_mullo_epi32(index, Self::splat(stride).0) }).add(Self::splat(first))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: AVX2 is there, see above.
        Self(unsafe { _mm256_add_epi32(self.0, other.0) })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: AVX2 is there, see above.
        Self(unsafe { _mm256_xor_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: AVX2 is there, see above.
        Self(unsafe { _mm256_and_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn shift_right(self, bits: u32) -> Self {
        // SAFETY: AVX2 is there, see above.
        Self(unsafe { _mm256_srlv_epi32(self.0, Self::splat(bits).0) })
    }

    #[inline(always)]
    fn rotate_right(self, bits: u32) -> Self {
        // SAFETY: AVX2 is there, see above.
        let left = unsafe { _mm256_sllv_epi32(self.0, Self::splat(32 - bits).0) };
        self.shift_right(bits).xor(Self(left))
    }

    #[inline(always)]
    fn clear_under(self, mask: u32) -> u32 {
        let common = self.and(Self::splat(mask));
        // SAFETY: AVX2 is there, see above.
        let clear = unsafe { _mm256_cmpeq_epi32(common.0, Self::splat(0).0) };
        // SAFETY: AVX2 is there, see above.
        let clear = unsafe { _mm256_castsi256_ps(clear) };
        // SAFETY: AVX2 is there, see above.
        unsafe { _mm256_movemask_ps(clear) }.cast_unsigned()
    }
}

//! Sixteen lanes in a 512-bit register (AVX-512F).

use super::Lanes;
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512i);

/// SAFETY, for every block below: `Lanes` methods of this type are only reached from `implementation::avx512`, which is
/// called after the CPU was found to have AVX-512F. The instructions touch registers only.
impl Lanes for Avx512 {
    const COUNT: usize = 16;

    #[inline(always)]
    fn splat(word: u32) -> Self {
        // SAFETY: AVX-512F is there, see above.
        Self(unsafe { _mm512_set1_epi32(word.cast_signed()) })
    }

    #[inline(always)]
    fn series(first: u32, stride: u32) -> Self {
        // SAFETY: AVX-512F is there, see above.
        let index = unsafe { _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) };
        // SAFETY: AVX-512F is there, see above.
        Self(unsafe { _mm512_mullo_epi32(index, Self::splat(stride).0) }).add(Self::splat(first))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: AVX-512F is there, see above.
        Self(unsafe { _mm512_add_epi32(self.0, other.0) })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: AVX-512F is there, see above.
        Self(unsafe { _mm512_xor_si512(self.0, other.0) })
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: AVX-512F is there, see above.
        Self(unsafe { _mm512_and_si512(self.0, other.0) })
    }

    #[inline(always)]
    fn shift_right(self, bits: u32) -> Self {
        // SAFETY: AVX-512F is there, see above.
        Self(unsafe { _mm512_srlv_epi32(self.0, Self::splat(bits).0) })
    }

    #[inline(always)]
    fn rotate_right(self, bits: u32) -> Self {
        // SAFETY: AVX-512F is there, see above.
        Self(unsafe { _mm512_rorv_epi32(self.0, Self::splat(bits).0) })
    }

    #[inline(always)]
    fn clear_under(self, mask: u32) -> u32 {
        // SAFETY: AVX-512F is there, see above.
        unsafe { _mm512_testn_epi32_mask(self.0, Self::splat(mask).0) }.into()
    }

    // Any function of three bits is one instruction, given its truth table.

    #[inline(always)]
    fn choose(e: Self, f: Self, g: Self) -> Self {
        // SAFETY: AVX-512F is there, see above.
        Self(unsafe { _mm512_ternarylogic_epi32::<0xCA>(e.0, f.0, g.0) })
    }

    #[inline(always)]
    fn majority(a: Self, b: Self, c: Self) -> Self {
        // SAFETY: AVX-512F is there, see above.
        Self(unsafe { _mm512_ternarylogic_epi32::<0xE8>(a.0, b.0, c.0) })
    }

    #[inline(always)]
    fn xor3(a: Self, b: Self, c: Self) -> Self {
        // SAFETY: AVX-512F is there, see above.
        Self(unsafe { _mm512_ternarylogic_epi32::<0x96>(a.0, b.0, c.0) })
    }
}

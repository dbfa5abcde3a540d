//! What SHA-256 needs of a vector of 32-bit words, and the vectors that there are.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;

/// Some 32-bit words that go through the same operations. Additions wrap.
///
/// Implementations for vector types use instructions that the CPU must have: their methods may only run inside a
/// function that has these target features enabled, and they are always inlined into it.
pub(crate) trait Lanes: Copy {
    const COUNT: usize;

    fn splat(word: u32) -> Self;
    /// Lane i holds `first + i * stride`.
    fn series(first: u32, stride: u32) -> Self;
    fn add(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn shift_right(self, bits: u32) -> Self;
    fn rotate_right(self, bits: u32) -> Self;
    /// Bit i is set when lane i has no bit in common with `mask`.
    fn clear_under(self, mask: u32) -> u32;

    /// `Ch` of FIPS 180-4 §4.1.2, in its form with three operations.
    #[inline(always)]
    fn choose(e: Self, f: Self, g: Self) -> Self {
        g.xor(e.and(f.xor(g)))
    }

    /// `Maj` of FIPS 180-4 §4.1.2.
    #[inline(always)]
    fn majority(a: Self, b: Self, c: Self) -> Self {
        b.xor(a.xor(b).and(b.xor(c)))
    }

    #[inline(always)]
    fn xor3(a: Self, b: Self, c: Self) -> Self {
        a.xor(b).xor(c)
    }

    #[inline(always)]
    fn sum0(self) -> Self {
        Self::xor3(self.rotate_right(2), self.rotate_right(13), self.rotate_right(22))
    }

    #[inline(always)]
    fn sum1(self) -> Self {
        Self::xor3(self.rotate_right(6), self.rotate_right(11), self.rotate_right(25))
    }

    #[inline(always)]
    fn small0(self) -> Self {
        Self::xor3(self.rotate_right(7), self.rotate_right(18), self.shift_right(3))
    }

    #[inline(always)]
    fn small1(self) -> Self {
        Self::xor3(self.rotate_right(17), self.rotate_right(19), self.shift_right(10))
    }
}

/// One lane: what every CPU can do, and what hashes a hit again to report it.
impl Lanes for u32 {
    const COUNT: usize = 1;

    #[inline(always)]
    fn splat(word: u32) -> Self {
        word
    }

    #[inline(always)]
    fn series(first: u32, _stride: u32) -> Self {
        first
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        self ^ other
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        self & other
    }

    #[inline(always)]
    fn shift_right(self, bits: u32) -> Self {
        self >> bits
    }

    #[inline(always)]
    fn rotate_right(self, bits: u32) -> Self {
        u32::rotate_right(self, bits)
    }

    #[inline(always)]
    fn clear_under(self, mask: u32) -> u32 {
        u32::from(self & mask == 0)
    }
}

//! Targets: the largest hash that counts, and the two ways in which others name one.

use std::fmt;

use crate::header::BlockHash;

/// Difficulty 1 is 0xFFFF · 2^208.
const UNIT: u64 = 0xffff;
const UNIT_SHIFT: i32 = 208;

/// The largest hash that counts, a 256-bit number. Orders as a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Most significant byte first.
    bytes: [u8; 32],
}

/// Why there is no such target.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq)]
pub enum TargetError {
    #[error("nbits {0:08x} is negative")]
    Negative(u32),
    #[error("nbits {0:08x} is larger than 256 bits")]
    TooLarge(u32),
    #[error("nbits {0:08x} is zero")]
    Zero(u32),
    #[error("difficulty {0} is not a positive number")]
    Difficulty(f64),
}

impl Target {
    /// Every hash counts.
    pub const MAX: Self = Self { bytes: [0xff; 32] };

    /// From a header's `nbits`: exponent byte, sign bit, 23 bits of mantissa; mantissa · 256^(exponent − 3), rounded down.
    ///
    /// Errors: `Negative`, `TooLarge`, `Zero`: no header that a node takes has such bits. Source: Bitcoin's `arith_uint256::SetCompact`.
    pub fn from_nbits(nbits: u32) -> Result<Self, TargetError> {
        let mantissa = nbits & 0x007f_ffff;
        if mantissa != 0 && nbits & 0x0080_0000 != 0 {
            return Err(TargetError::Negative(nbits));
        }
        let mut bytes = [0; 32];
        for (i, byte) in mantissa.to_le_bytes().into_iter().take(3).enumerate() {
            let place = i as i32 + (nbits >> 24) as i32 - 3;
            match place {
                ..0 => {}
                0..32 => bytes[31 - place as usize] = byte,
                _ if byte == 0 => {}
                _ => return Err(TargetError::TooLarge(nbits)),
            }
        }
        if bytes == [0; 32] { Err(TargetError::Zero(nbits)) } else { Ok(Self { bytes }) }
    }

    /// ⌊0xFFFF · 2^208 / difficulty⌋, at most 2^256 − 1; `difficulty` may be a fraction.
    ///
    /// A double is m · 2^e with integers m and e, so the quotient is one exact division, rounded once and downwards: never easier than
    /// what a pool asked for. Errors: `Difficulty` for zero, negative numbers, NaN and infinity.
    pub fn from_difficulty(difficulty: f64) -> Result<Self, TargetError> {
        if !difficulty.is_finite() || difficulty <= 0.0 {
            return Err(TargetError::Difficulty(difficulty));
        }
        let (mantissa, exponent) = parts(difficulty);
        let shift = UNIT_SHIFT - exponent;
        if shift < 0 {
            let quotient = UNIT.checked_shr(shift.unsigned_abs()).unwrap_or(0) / mantissa;
            return Ok(Self::from_low(quotient));
        }
        Ok(divide_shifted(UNIT, shift as u32, mantissa))
    }

    /// Whether `hash` is at or below the target.
    pub fn is_met_by(&self, hash: &BlockHash) -> bool {
        hash.0.iter().rev().le(self.bytes.iter())
    }

    /// Least significant byte first, as a hash stands in a header.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = self.bytes;
        bytes.reverse();
        bytes
    }

    fn from_low(low: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[24..].copy_from_slice(&low.to_be_bytes());
        Self { bytes }
    }
}

/// `value` = mantissa · 2^exponent with an odd mantissa. Positive finite numbers only.
fn parts(value: f64) -> (u64, i32) {
    const FRACTION: u32 = f64::MANTISSA_DIGITS - 1;
    let bits = value.to_bits();
    let biased = (bits >> FRACTION) as i32;
    let fraction = bits & ((1 << FRACTION) - 1);
    // Biased 0 is the subnormals: no implicit one, and the exponent of biased 1.
    let mantissa = if biased == 0 { fraction } else { fraction | (1 << FRACTION) };
    let exponent = biased.max(1) - (1023 + FRACTION as i32);
    let even = mantissa.trailing_zeros();
    (mantissa >> even, exponent + even as i32)
}

/// ⌊number · 2^shift / divisor⌋ or [`Target::MAX`]: long division, a bit at a time.
fn divide_shifted(number: u64, shift: u32, divisor: u64) -> Target {
    let divisor = u128::from(divisor);
    let mut remainder = u128::from(number) % divisor;
    // The quotient so far, most significant half first; it grows by one bit each round.
    let (mut high, mut low) = (0u128, u128::from(number) / divisor);
    for _ in 0..shift {
        if high >> 127 != 0 {
            return Target::MAX;
        }
        remainder <<= 1;
        let bit = u128::from(remainder >= divisor);
        remainder -= bit * divisor;
        high = (high << 1) | (low >> 127);
        low = (low << 1) | bit;
    }
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&high.to_be_bytes());
    bytes[16..].copy_from_slice(&low.to_be_bytes());
    Target { bytes }
}

/// The difficulty that `hash` reaches: 0xFFFF · 2^208 / hash, infinite for the zero hash.
///
/// For people and statistics: two roundings to the nearest double. What counts is decided by [`Target::is_met_by`].
pub fn difficulty(hash: &BlockHash) -> f64 {
    UNIT as f64 * 2f64.powi(UNIT_SHIFT) / nearest_double(&hash.0)
}

/// The double nearest to a 256-bit number, least significant byte first.
fn nearest_double(bytes: &[u8; 32]) -> f64 {
    let Some(top) = bytes.iter().rposition(|byte| *byte != 0) else { return 0.0 };
    let from = (top + 1).saturating_sub(16);
    let mut window = [0; 16];
    window[..=top - from].copy_from_slice(&bytes[from..=top]);
    // Bits below the window matter only when they break a tie; the window's last bit, 67 bits below the double's, stands for them.
    let sticky = u128::from(bytes[..from].iter().any(|byte| *byte != 0));
    (u128::from_le_bytes(window) | sticky) as f64 * 2f64.powi(from as i32 * 8)
}

/// 64 hexadecimal digits, most significant first.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nbits_are_read_as_bitcoin_reads_them() {
        // Bitcoin's arith_uint256 tests, "bignum_SetCompact": those that are neither zero, negative nor too large.
        for (nbits, target) in [
            (0x0112_3456, "12"),
            (0x0201_2345, "0123"),
            (0x0200_8000, "80"),
            (0x0312_3456, "123456"),
            (0x0412_3456, "12345600"),
            (0x0500_9234, "92340000"),
            (0x2012_3456, "1234560000000000000000000000000000000000000000000000000000000000"),
            (0x1d00_ffff, "ffff0000000000000000000000000000000000000000000000000000"),
            (0x207f_ffff, "7fffff0000000000000000000000000000000000000000000000000000000000"),
        ] {
            assert_eq!(
                Target::from_nbits(nbits).unwrap().to_string(),
                format!("{target:0>64}"),
                "{nbits:08x}"
            );
        }
        assert_eq!(Target::from_nbits(0x0492_3456), Err(TargetError::Negative(0x0492_3456)));
        assert_eq!(Target::from_nbits(0xff12_3456), Err(TargetError::TooLarge(0xff12_3456)));
        for zero in [0, 0x0012_3456, 0x0100_3456, 0x0200_0056, 0x0300_0000, 0x0080_0000] {
            assert_eq!(Target::from_nbits(zero), Err(TargetError::Zero(zero)), "{zero:08x}");
        }
    }

    #[test]
    fn difficulties_are_divided_exactly_and_rounded_down() {
        // Computed with Python's fractions.Fraction.
        for (difficulty, target) in [
            (1.0, "ffff0000000000000000000000000000000000000000000000000000"),
            (8192.0, "7fff8000000000000000000000000000000000000000000000000"),
            (3.0, "55550000000000000000000000000000000000000000000000000000"),
            (0.0005, "7cff82ffffffff4480bb80000001193ee6bffffffe5a21a5e000000278c"),
            (0.1, "9fff5ffffffffd80028000000009fff5ffffffffd80028000000009ff"),
            (1e-9, "3b9a8e6535fffef481b5fe088151b0791619e09d7e3f36fccfbaa4c14955fdb7"),
            (123456789.125, "22c9e88a622406c55104e80a265e8c03b7175396ced90e0d9b"),
            (1e30, "144837b69fc3b3a68502dda8f577f8d6"),
            (3e60, "891f8f"),
            (1e70, "0"),
        ] {
            let ours = Target::from_difficulty(difficulty).unwrap().to_string();
            assert_eq!(ours, format!("{target:0>64}"), "{difficulty}");
        }
        assert_eq!(Target::from_difficulty(5e-324), Ok(Target::MAX));
        for nonsense in [0.0, -0.0, -1.0, f64::INFINITY] {
            assert_eq!(Target::from_difficulty(nonsense), Err(TargetError::Difficulty(nonsense)));
        }
        assert!(Target::from_difficulty(f64::NAN).is_err());
    }

    #[test]
    fn difficulty_1_is_the_genesis_target_and_met_exactly() {
        let one = Target::from_difficulty(1.0).unwrap();
        assert_eq!(Ok(one), Target::from_nbits(0x1d00_ffff));
        let mut hash = BlockHash([0; 32]);
        hash.0[26..28].fill(0xff);
        assert!(one.is_met_by(&hash));
        assert_eq!(difficulty(&hash), 1.0);
        hash.0[0] = 1;
        assert!(!one.is_met_by(&hash));
    }

    proptest! {
        #[test]
        fn any_difficulty_and_any_nbits_have_a_target_or_a_reason(bits in any::<u64>(), nbits in any::<u32>()) {
            let _ = Target::from_difficulty(f64::from_bits(bits));
            let _ = Target::from_nbits(nbits);
        }

        #[test]
        fn a_higher_difficulty_never_has_an_easier_target(low in 1e-12f64..1e12, factor in 1.0f64..1e6) {
            prop_assert!(Target::from_difficulty(low * factor).unwrap() <= Target::from_difficulty(low).unwrap());
        }

        #[test]
        fn what_meets_a_target_reaches_its_difficulty(low in 1e-9f64..1e12) {
            let target = Target::from_difficulty(low).unwrap();
            let mut hash = target.bytes;
            hash.reverse();
            let reached = difficulty(&BlockHash(hash));
            prop_assert!(reached >= low * (1.0 - 1e-15) && reached < low * (1.0 + 1e-9), "{reached} for {low}");
        }
    }
}

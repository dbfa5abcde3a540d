//! Targets and difficulties with exact 256-bit arithmetic: the judge may not be off by a rounding error of its own.

use std::fmt;
use std::str::FromStr;

/// A 256-bit number as eight 32-bit limbs, least significant first.
type Limbs = [u32; 8];

/// The largest hash that still counts, as a 256-bit number (most significant limb last).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Target(Limbs);

/// A share difficulty; 1 costs 2^32 hashes on average. May be a fraction, between [`Difficulty::MIN`] and [`Difficulty::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Difficulty(f64);

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DifficultyError {
    #[error("{0:?} is not a number")]
    NotANumber(String),
    #[error("difficulty {0} is outside {min}…{max}", min = Difficulty::MIN, max = Difficulty::MAX)]
    OutOfRange(f64),
}

impl Difficulty {
    /// About four hashes a share.
    pub const MIN: f64 = 1e-9;
    /// Beyond the difficulty of the main network.
    pub const MAX: f64 = 1e18;

    /// Errors: `OutOfRange`, also for NaN and infinities.
    pub fn new(value: f64) -> Result<Self, DifficultyError> {
        if (Self::MIN..=Self::MAX).contains(&value) {
            Ok(Self(value))
        } else {
            Err(DifficultyError::OutOfRange(value))
        }
    }

    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }

    /// ⌊0xFFFF · 2^208 / D⌋, computed without rounding D: a double is m · 2^e with integers m and e, so the quotient is one exact
    /// division of integers, rounded down. A hash counts when it is ≤ this target.
    #[must_use]
    pub fn target(self) -> Target {
        let bits = self.0.to_bits();
        // In range the number is normal: the implicit bit is set.
        let exponent = ((bits >> 52) & 0x7ff) as i32 - 1075;
        let mantissa = (bits & ((1 << 52) - 1)) | (1 << 52);
        let shift = usize::try_from(208 - exponent).expect("exponents of the allowed range are below 208");

        // 0xFFFF << shift needs at most 16 + 208 + 82 bits.
        let mut numerator = [0u32; 12];
        let wide = 0xFFFF_u64 << (shift % 32);
        numerator[shift / 32] = wide as u32;
        numerator[shift / 32 + 1] = (wide >> 32) as u32;

        let mut quotient = [0u32; 12];
        let mut remainder = 0u128;
        for (digit, limb) in quotient.iter_mut().zip(numerator).rev() {
            remainder = (remainder << 32) | u128::from(limb);
            *digit = (remainder / u128::from(mantissa)) as u32;
            remainder %= u128::from(mantissa);
        }
        let (low, high) = quotient.split_at(8);
        if high.iter().any(|&limb| limb != 0) {
            return Target([u32::MAX; 8]);
        }
        Target(low.try_into().expect("eight limbs"))
    }
}

impl fmt::Display for Difficulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Difficulty {
    type Err = DifficultyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text.parse().map_err(|_| DifficultyError::NotANumber(text.to_owned()))?)
    }
}

impl Target {
    /// From the compact form of a header (`nbits`): mantissa · 256^(size − 3). `None` for a negative or too large number.
    /// Source: Bitcoin's `arith_uint256::SetCompact`.
    #[must_use]
    pub fn from_compact(compact: u32) -> Option<Self> {
        let size = compact >> 24;
        let mantissa = compact & 0x007f_ffff;
        if compact & 0x0080_0000 != 0 && mantissa != 0 {
            return None;
        }
        let mut bytes = [0u8; 32];
        for (i, byte) in mantissa.to_le_bytes().into_iter().take(3).enumerate() {
            let place = i as i64 + i64::from(size) - 3;
            match usize::try_from(place) {
                Ok(place) if place < 32 => bytes[place] = byte,
                Ok(_) if byte != 0 => return None,
                _ => {}
            }
        }
        Some(Self::from_le_bytes(bytes))
    }

    /// From a hash as it stands in a header: the first byte is the least significant.
    #[must_use]
    pub fn from_le_bytes(bytes: [u8; 32]) -> Self {
        let mut limbs = [0; 8];
        for (limb, chunk) in limbs.iter_mut().zip(bytes.chunks_exact(4)) {
            *limb = u32::from_le_bytes(chunk.try_into().expect("chunks of four"));
        }
        Self(limbs)
    }

    /// Whether a hash (header byte order) is at or below this target.
    #[must_use]
    pub fn is_met_by(&self, hash: &[u8; 32]) -> bool {
        Self::from_le_bytes(*hash).0.iter().rev().le(self.0.iter().rev())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|limb| write!(f, "{limb:08x}"))
    }
}

/// The difficulty that a hash reaches, for logs: 0xFFFF · 2^208 / hash in floating point. Never used to judge.
#[must_use]
pub(crate) fn reached(hash: &[u8; 32]) -> f64 {
    let value = hash.iter().rev().fold(0.0, |sum, &byte| sum * 256.0 + f64::from(byte));
    f64::from(0xFFFF_u32) * 2f64.powi(208) / value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn target(d: f64) -> String {
        format!("{:?}", Difficulty::new(d).unwrap().target())
    }

    /// Expected values computed with Python's fractions: floor(0xffff * 2**208 / Fraction(D)).
    #[test]
    fn targets_of_fractional_difficulties_are_exact_to_the_last_bit() {
        assert_eq!(target(1.0), "00000000ffff0000000000000000000000000000000000000000000000000000");
        assert_eq!(target(0.5), "00000001fffe0000000000000000000000000000000000000000000000000000");
        assert_eq!(target(8192.0), "000000000007fff8000000000000000000000000000000000000000000000000");
        for (d, expected) in PYTHON {
            assert_eq!(target(*d), *expected, "difficulty {d}");
        }
    }

    const PYTHON: &[(f64, &str)] = &[
        (0.1, "00000009fff5ffffffffd80028000000009fff5ffffffffd80028000000009ff"),
        (0.0005, "000007cff82ffffffff4480bb80000001193ee6bffffffe5a21a5e000000278c"),
        (0.01, "00000063ff9bffffffff6a009600000000e0ff1efffffffeae815180000001fa"),
        (1e-06, "000f4230bdc0000031c1146eb9d000a23c55600c62fe11023b62f063c9f1f607"),
        (1e-09, "3b9a8e6535fffef481b5fe088151b0791619e09d7e3f36fccfbaa4c14955fdb7"),
        (3.7, "0000000045302983759f21a8dcd82b622c84a311d5e67505206415535f489451"),
        (29588.013979792577, "0000000000023704cface997c2e06e266f3e850a63f6f6b81702fbac404c0987"),
        (123456.789, "00000000000087e4b45ede50c6ef489a7e78e4308b2b8f81cdf0e652f3bcfe45"),
        (1e+18, "000000000000000000000012724b5f7471d95d3bbefee5e602a7b17261180d8e"),
    ];

    #[test]
    fn a_hash_equal_to_the_target_counts_and_one_more_does_not() {
        let target = Difficulty::new(3.7).unwrap().target();
        let mut hash = [0u8; 32];
        for (chunk, limb) in hash.chunks_exact_mut(4).zip(target.0) {
            chunk.copy_from_slice(&limb.to_le_bytes());
        }
        assert!(target.is_met_by(&hash));
        hash[0] = hash[0].checked_add(1).unwrap();
        assert!(!target.is_met_by(&hash));
    }

    #[test]
    fn compact_targets_follow_the_node() {
        // Block 0, the regtest limit, and the three ways to be invalid or zero.
        assert_eq!(Target::from_compact(0x1d00_ffff), Some(Difficulty(1.0).target()));
        assert_eq!(
            format!("{:?}", Target::from_compact(0x207f_ffff).unwrap()),
            "7fffff0000000000000000000000000000000000000000000000000000000000"
        );
        assert_eq!(format!("{:?}", Target::from_compact(0x0112_3456).unwrap()), format!("{:064x}", 0x12));
        assert_eq!(Target::from_compact(0x0492_3456), None);
        assert_eq!(Target::from_compact(0xff12_3456), None);
    }

    #[test]
    fn difficulties_that_no_target_can_express_are_refused() {
        for value in [0.0, -1.0, 1e-12, 1e40, f64::NAN, f64::INFINITY] {
            assert!(Difficulty::new(value).is_err(), "{value}");
        }
        assert!("a lot".parse::<Difficulty>().is_err());
    }

    proptest! {
        #[test]
        fn target_times_difficulty_is_the_constant(d in 1e-9f64..1e18) {
            let target = Difficulty::new(d).unwrap().target();
            let mut bytes = [0u8; 32];
            for (chunk, limb) in bytes.chunks_exact_mut(4).zip(target.0) { chunk.copy_from_slice(&limb.to_le_bytes()); }
            prop_assert!((reached(&bytes) / d - 1.0).abs() < 1e-12);
        }

        #[test]
        fn a_smaller_difficulty_never_has_a_smaller_target(a in 1e-9f64..1e6, b in 1e-9f64..1e6) {
            let (low, high) = if a < b { (a, b) } else { (b, a) };
            let (low, high) = (Difficulty(low).target(), Difficulty(high).target());
            prop_assert!(high.0.iter().rev().le(low.0.iter().rev()));
        }
    }
}

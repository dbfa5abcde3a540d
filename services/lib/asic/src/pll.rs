//! The chips' clock: f = 25 MHz · feedback / (reference · post1 · post2).

use std::{fmt, ops::RangeInclusive};

use crate::register::CRYSTAL_HZ;

const CRYSTAL_KHZ: u64 = CRYSTAL_HZ as u64 / 1000;
/// From here on the register's top nibble is 5 instead of 4. Source: captures.
const HIGH_VCO_KHZ: u64 = 2_400_000;

/// A frequency; [`fmt::Display`] writes MHz with two decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KiloHertz(pub u32);

impl fmt::Display for KiloHertz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.mhz())
    }
}

impl KiloHertz {
    /// To the nearest kHz; what is negative, absurd or no number saturates.
    pub fn from_mhz(mhz: f64) -> Self {
        Self((mhz * 1000.0).round() as u32)
    }

    pub fn mhz(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

/// How a chip wants its PLL register written. Feedback is bits 27..16 in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PllEncoding {
    /// BM1387: reference 15..8, post dividers as they are.
    Bm1387,
    /// BM1397 and BM1398: likewise, with the enable bit 30.
    Bm1397,
    /// BM1362 and later: post dividers less one, bit 28 marks a VCO of 2.4 GHz and more.
    Bm1362,
}

/// What a chip's PLL can be set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PllLimits {
    pub feedback: RangeInclusive<u16>,
    pub vco_mhz: RangeInclusive<u32>,
    pub encoding: PllEncoding,
}

/// A PLL setting. No divider is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pll {
    pub feedback: u16,
    pub reference: u8,
    pub post1: u8,
    pub post2: u8,
}

/// No setting within 1 % of the target.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
#[error("{0} MHz cannot be set: no dividers within the limits come within 1 %")]
pub struct OutOfRange(pub KiloHertz);

impl Pll {
    /// The setting nearest to `target`. Ties go to the lower VCO, then to the smaller post dividers, then to the reference divider 2, which all captures have but one.
    ///
    /// The first post divider is larger than the second, as the firmwares that these chips are known from have it.
    pub fn nearest(target: KiloHertz, limits: &PllLimits) -> Result<Self, OutOfRange> {
        let mut best: Option<(Self, Rank)> = None;
        for reference in [2, 1] {
            for post1 in 1..=7 {
                for post2 in 1..post1 {
                    let divider = u64::from(reference) * u64::from(post1) * u64::from(post2);
                    let feedback = (u64::from(target.0) * divider + CRYSTAL_KHZ / 2) / CRYSTAL_KHZ;
                    let Ok(feedback) = u16::try_from(feedback) else { continue };
                    let pll = Self { feedback, reference, post1, post2 };
                    let vco = pll.vco_khz();
                    if !limits.feedback.contains(&feedback)
                        || vco < u64::from(*limits.vco_mhz.start()) * 1000
                        || vco > u64::from(*limits.vco_mhz.end()) * 1000
                    {
                        continue;
                    }
                    let rank = Rank {
                        error: (CRYSTAL_KHZ * u64::from(feedback)).abs_diff(u64::from(target.0) * divider),
                        divider,
                        vco,
                        post: post1 * post2,
                    };
                    if best.as_ref().is_none_or(|(_, other)| rank.is_better_than(other)) {
                        best = Some((pll, rank));
                    }
                }
            }
        }
        match best {
            Some((pll, rank)) if rank.error * 100 <= u64::from(target.0) * rank.divider => Ok(pll),
            _ => Err(OutOfRange(target)),
        }
    }

    pub fn frequency(self) -> KiloHertz {
        let divider = u64::from(self.reference) * u64::from(self.post1) * u64::from(self.post2);
        KiloHertz(((CRYSTAL_KHZ * u64::from(self.feedback) + divider / 2) / divider) as u32)
    }

    fn vco_khz(self) -> u64 {
        CRYSTAL_KHZ * u64::from(self.feedback) / u64::from(self.reference)
    }

    /// The PLL register's value.
    pub fn register(self, encoding: PllEncoding) -> u32 {
        let feedback = u32::from(self.feedback) << 16;
        let reference = u32::from(self.reference) << 8;
        let post = |less: u8| u32::from(self.post1 - less) << 4 | u32::from(self.post2 - less);
        match encoding {
            PllEncoding::Bm1387 => feedback | reference | post(0),
            PllEncoding::Bm1397 => 0x4000_0000 | feedback | reference | post(0),
            PllEncoding::Bm1362 => {
                let top = if self.vco_khz() < HIGH_VCO_KHZ { 0x4000_0000 } else { 0x5000_0000 };
                top | feedback | reference | post(1)
            }
        }
    }
}

/// How good a setting is. The error is a fraction with `divider` below the line, so that equal errors compare equal.
struct Rank {
    error: u64,
    divider: u64,
    vco: u64,
    post: u8,
}

impl Rank {
    fn is_better_than(&self, other: &Self) -> bool {
        let (own, others) = (self.error * other.divider, other.error * self.divider);
        (own, self.vco, self.post) < (others, other.vco, other.post)
    }
}

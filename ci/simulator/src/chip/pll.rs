//! The hash clock's PLL: f = 25 MHz · feedback / (reference · post1 · post2), the post dividers less one in the register
//! from BM1362 on.

/// What a model's PLL can lock to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PllLimits {
    pub(crate) feedback: (u32, u32),
    pub(crate) vco_mhz: (f64, f64),
    pub(crate) encoding: PllEncoding,
}

/// How the register has the dividers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PllEncoding {
    /// As they are.
    Bm1387,
    /// As they are, and bit 30 switches the PLL on.
    Bm1397,
    /// Post dividers less one, and bits that fit the VCO.
    Bm1362,
}

/// At and above this, bit 28 must be set; below, it must not. In captures the boundary itself carries the bit.
const HIGH_VCO_MHZ: f64 = 2400.0;

/// The frequency in MHz that this register value gives, or why the PLL cannot lock.
pub(crate) fn decode(value: u32, limits: PllLimits) -> Result<f64, &'static str> {
    let feedback = value >> 16 & 0xFFF;
    let reference = value >> 8 & 0x3F;
    let less = u32::from(limits.encoding == PllEncoding::Bm1362);
    let post1 = (value >> 4 & 0xF) + less;
    let post2 = (value & 0xF) + less;
    if value & 0x0000_C000 != 0 || !(1..=7).contains(&post1) || !(1..=7).contains(&post2) {
        return Err("PLL: a divider is wider than its field");
    }
    // A captured word of a BM1397 has them the other way round.
    if post1 < post2 && limits.encoding != PllEncoding::Bm1397 {
        return Err("PLL: first post divider below the second");
    }
    if !(1..=2).contains(&reference) {
        return Err("PLL: reference divider is not 1 or 2");
    }
    if !(limits.feedback.0..=limits.feedback.1).contains(&feedback) {
        return Err("PLL: feedback divider out of range");
    }
    let vco = 25.0 * f64::from(feedback) / f64::from(reference);
    if !(limits.vco_mhz.0..=limits.vco_mhz.1).contains(&vco) {
        return Err("PLL: VCO out of range");
    }
    let flags = match limits.encoding {
        PllEncoding::Bm1387 => 0x0,
        PllEncoding::Bm1397 => 0x4,
        PllEncoding::Bm1362 if vco >= HIGH_VCO_MHZ => 0x5,
        PllEncoding::Bm1362 => 0x4,
    };
    if value >> 28 != flags {
        return Err("PLL: the highest bits do not fit the VCO");
    }
    Ok(vco / f64::from(post1 * post2))
}

#[cfg(test)]
mod tests {
    use super::super::model::{BM1362, BM1366, BM1368, BM1370, BM1387, BM1397};
    use super::*;

    #[test]
    fn captured_words_give_the_frequencies_that_were_asked_for() {
        for (word, mhz) in [
            (0x50D2_0265, 62.5),
            (0x50D2_0240, 525.0),
            (0x50C0_0230, 600.0),
            (0x40A2_0255, 56.25),
            (0x40A0_0240, 400.0),
            (0x40B4_0240, 450.0),
            (0x40A8_0230, 525.0),
            (0x50D0_0230, 650.0),
        ] {
            assert_eq!(decode(word, BM1370.pll), Ok(mhz), "{word:08X}");
        }
        for (word, mhz) in [(0x40A2_0255, 56.25), (0x40A8_0230, 525.0)] {
            assert_eq!(decode(word, BM1362.pll), Ok(mhz), "{word:08X}");
        }
        for (word, mhz) in [(0x40A0_0241, 200.0), (0x50C4_0240, 490.0), (0x4090_0230, 450.0)] {
            assert_eq!(decode(word, BM1368.pll), Ok(mhz), "{word:08X}");
            assert_eq!(decode(word, BM1366.pll), Ok(mhz), "{word:08X}");
        }
    }

    #[test]
    fn words_of_the_older_chips_have_their_dividers_as_they_are() {
        for (word, mhz) in
            [(0x4040_0221, 400.0), (0x4044_0221, 425.0), (0x4068_0221, 650.0), (0x40A0_0225, 200.0)]
        {
            assert_eq!(decode(word, BM1397.pll), Ok(mhz), "{word:08X}");
        }
        for (word, mhz) in
            [(0x0020_0241, 100.0), (0x0078_0241, 375.0), (0x0068_0221, 650.0), (0x0050_0211, 1000.0)]
        {
            assert_eq!(decode(word, BM1387.pll), Ok(mhz), "{word:08X}");
        }
        assert!(decode(0x0068_0221, BM1397.pll).is_err(), "not switched on");
        assert!(decode(0x4068_0221, BM1387.pll).is_err());
        assert!(decode(0x0068_0220, BM1387.pll).is_err(), "a divider of 0");
    }

    #[test]
    fn what_cannot_lock_is_refused() {
        for (word, why) in [
            (0x40D2_0240, "highest bits"),
            (0x50A8_0230, "highest bits"),
            (0x409F_0230, "feedback"),
            (0x50F0_0230, "feedback"),
            (0x40A8_0330, "reference"),
            (0x40A8_0213, "first post divider"),
            (0x50C8_0130, "VCO out of range"),
            (0x40A8_0280, "wider"),
        ] {
            let refused = decode(word, BM1370.pll).expect_err("must be refused");
            assert!(refused.contains(why), "{word:08X}: {refused}");
        }
    }
}

//! PMBus LINEAR11: five bits of exponent, eleven of mantissa, both two's complement.

pub(super) fn encode(value: f64) -> u16 {
    for exponent in -16..16i32 {
        let mantissa = (value / f64::from(exponent).exp2()).round();
        if (-1024.0..1024.0).contains(&mantissa) {
            return (exponent as u16) << 11 | mantissa as i16 as u16 & 0x7FF;
        }
    }
    0x7BFF
}

pub(super) fn decode(word: u16) -> f64 {
    let mantissa = f64::from((word << 5) as i16 >> 5);
    mantissa * f64::from(word as i16 >> 11).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_from_a_real_regulator() {
        // 0xD2E6 = 742 · 2^-6 = 11.59 V, from a capture.
        assert_eq!(encode(742.0 / 64.0), 0xD2E6);
        assert_eq!(encode(0.0), 0x8000);
        assert_eq!(encode(-1.0) & 0x7FF, 0x400);
        assert_eq!(decode(0xD2E6), 742.0 / 64.0);
        assert_eq!((decode(0x8000), decode(encode(-1.0)), decode(encode(145.0))), (0.0, -1.0, 145.0));
    }
}

//! Which hashes a chip reports, register 0x14.

/// A ticket mask: after the leading zero bits that are always asked for, further bits that must be zero.
///
/// Bit i (least significant first) stands for the i-th bit after the base. The register has the bits of each byte
/// reversed: difficulty 1024 is `00 00 C0 FF`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TicketMask(u32);

impl TicketMask {
    pub fn from_register(value: u32) -> Self {
        Self(u32::from_be_bytes(value.to_be_bytes().map(u8::reverse_bits)))
    }

    /// Leading bits that must be zero beyond the base.
    pub fn bits(self) -> u32 {
        self.0.trailing_ones()
    }

    /// Whether a hash (as SHA-256 writes it) passes, when `base` leading zero bits are always asked for.
    pub fn admits(self, hash: &[u8; 32], base: u32) -> bool {
        let bit = |index: u32| {
            let byte = hash.iter().rev().nth(index as usize / 8).copied().unwrap_or(0);
            byte >> (7 - index % 8) & 1
        };
        (0..base).all(|index| bit(index) == 0) && (0..32).all(|i| self.0 >> i & 1 == 0 || bit(base + i) == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_register_words_ask_for_powers_of_two() {
        for (word, difficulty) in [
            (0x0000_00FFu32, 256u64),
            (0x0000_80FF, 512),
            (0x0000_C0FF, 1024),
            (0x0000_FFFF, 65_536),
            (0x0000_00FC, 64),
            (0x0000_E0FF, 2048),
            (0x0000_0000, 1),
        ] {
            assert_eq!(1 << TicketMask::from_register(word).bits(), difficulty, "{word:08X}");
        }
    }

    #[test]
    fn a_mask_asks_for_single_bits() {
        let mut hash = [0; 32];
        hash[31 - 4] = 0x40; // 33 zero bits, then a one
        assert!(!TicketMask::from_register(0x0000_00FF).admits(&hash, 32));
        assert!(
            TicketMask::from_register(0x0000_0080).admits(&hash, 32),
            "only the first bit after the base"
        );
        assert!(!TicketMask::from_register(0x0000_0040).admits(&hash, 32), "the second");
        assert!(!TicketMask::default().admits(&hash, 34));
    }
}

//! What a nonce tells about its finder: fields of the nonce read most significant byte first, as it comes over the wire.

/// Some bits of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    pub lowest: u8,
    /// At most 8.
    pub bits: u8,
}

impl Field {
    pub(crate) fn of(self, wire: u32) -> u8 {
        (wire >> self.lowest & ((1 << self.bits) - 1)) as u8
    }
}

/// Where a nonce tells which chip found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChipField {
    /// Here is the chip's address.
    Address(Field),
    /// Bits 24..9 count up from the chip's [`crate::register::NONCE_OFFSET`].
    Offset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NonceFields {
    pub core: Field,
    /// No bits where the job byte tells the small core, or where there is none.
    pub small_core: Field,
    pub chip: ChipField,
    /// Bits that count below, or around, the chip's address.
    pub counter_bits: u8,
}

const NONE: Field = Field { lowest: 0, bits: 0 };

impl NonceFields {
    /// BM1362, BM1366 and BM1368: core 31..25, address 24..17.
    pub const ADDRESS: Self = Self {
        core: Field { lowest: 25, bits: 7 },
        small_core: NONE,
        chip: ChipField::Address(Field { lowest: 17, bits: 8 }),
        counter_bits: 17,
    };

    /// BM1370: core 31..25, all below it counts.
    pub const OFFSET: Self = Self { chip: ChipField::Offset, counter_bits: 25, ..Self::ADDRESS };

    /// BM1397: core 31..24, small core 23..22, address 21..14.
    ///
    /// Sources disagree: this is what cgminer found on sticks of six chips (address bits 7..2 in 21..16), and 168 cores of four need ten bits. ESP-Miner has [`NonceFields::ADDRESS`],
    /// which was never tried with more than one chip and leaves no room for the cores.
    pub const BM1397: Self = Self {
        core: Field { lowest: 24, bits: 8 },
        small_core: Field { lowest: 22, bits: 2 },
        chip: ChipField::Address(Field { lowest: 14, bits: 8 }),
        counter_bits: 14,
    };

    /// BM1387: address in the first byte, core in the last one's low seven bits; the other seventeen bits count.
    pub const BM1387: Self = Self {
        core: Field { lowest: 0, bits: 7 },
        small_core: NONE,
        chip: ChipField::Address(Field { lowest: 24, bits: 8 }),
        counter_bits: 17,
    };
}

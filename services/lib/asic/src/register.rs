//! Registers, and the values that are computed.

use std::num::NonZeroU16;

use crate::{
    Pll,
    version::{ROLLED_BITS, ROLLED_SHIFT},
};

/// Chip model in bits 31..16, number of cores 15..8, address 7..0.
pub const CHIP_ID: u8 = 0x00;
pub const PLL: u8 = 0x08;
/// Where this chip's share of the nonce space starts.
pub const NONCE_OFFSET: u8 = 0x0c;
/// Length of a nonce sweep in ticks of 25 MHz.
pub const HASH_COUNTING: u8 = 0x10;
pub const TICKET_MASK: u8 = 0x14;
pub const MISC_CONTROL: u8 = 0x18;
pub const UART_BAUD: u8 = 0x28;
/// Serial lines at the borders of domains: gap count in 31..16, relay responses and commands in 1 and 0.
pub const UART_RELAY: u8 = 0x2c;
/// Writes to a register of the cores.
pub const CORE_MAILBOX: u8 = 0x3c;
pub const ANALOG_MUX: u8 = 0x54;
pub const IO_DRIVER: u8 = 0x58;
/// The pads of the ring oscillators; one word switches them off.
pub const RING_OSCILLATOR: u8 = 0x68;
/// Version rolling; bit 31 also switches responses to eleven bytes.
pub const MIDSTATE_CONFIG: u8 = 0xa4;
pub const SOFT_RESET: u8 = 0xa8;
/// Written around [`ANALOG_MUX`] in every capture; meaning unknown.
pub const ANALOG_B9: u8 = 0xb9;

/// What [`uart_relay`] adds on boards of BM1366, BM1368 and BM1370.
///
/// Source: S21 Pro capture (65 chips in domains of five: 4F at the first, 13 at the last), and the one word that a capture of an S19 XP left in ESP-Miner (110 chips: 7C at the first).
pub const RELAY_GAP: u16 = 14;
/// … and on an S19 Pro's, of BM1398: its stock firmware's log.
pub const RELAY_GAP_BM1398: u16 = 16;

/// [`UART_RELAY`]'s value for both ends of a domain: the chips from its first one to the chain's end, and `gap`.
pub fn uart_relay(chips_to_the_end: u16, gap: u16) -> u32 {
    (u32::from(chips_to_the_end) + u32::from(gap)) << 16 | 3
}

/// [`CORE_MAILBOX`]'s word that writes `value` to a register of one core, or of all.
///
/// All cores 31, core 23..16, write 15, register 12..8, value 7..0.
pub fn core_write(core: Option<u8>, register: u8, value: u8) -> u32 {
    let target = core.map_or(1 << 31, |core| u32::from(core) << 16);
    target | 1 << 15 | u32::from(register & 0x1f) << 8 | u32::from(value)
}

/// Where BM1387 has what it has elsewhere than the new generation.
pub mod bm1387 {
    pub const PLL: u8 = 0x0c;
    pub const TICKET_MASK: u8 = 0x18;
    /// Inverted clock 21, gated cores 15, line rate divider 12..8, more than one midstate 7.
    pub const MISC_CONTROL: u8 = 0x1c;
}

/// What only BM1397 has. Names: skot/BM1397.
pub mod bm1397 {
    pub const ORDERED_CLOCK: u8 = 0x20;
    pub const PLL3: u8 = 0x68;
    /// Divides the hash clock once more, by the last byte and one.
    pub const PLL_DIVIDER: u8 = 0x70;
    pub const CLOCK_ORDER_0: u8 = 0x80;
    pub const CLOCK_ORDER_1: u8 = 0x84;
}

/// Hertz of the crystal that all clocks come from.
pub const CRYSTAL_HZ: u32 = 25_000_000;

/// [`TICKET_MASK`]'s value: a nonce is reported when its hash has `bits` more leading zero bits than the chip's base (32 on silicon).
///
/// Every byte of 2^bits − 1 goes out with its bits reversed. Source: captures (256 → 000000FF, 512 → 000080FF).
pub fn ticket_mask(bits: u8) -> u32 {
    let mask = (1_u64 << bits.min(32)) - 1;
    (mask as u32).reverse_bits().swap_bytes()
}

/// [`MIDSTATE_CONFIG`]'s value: roll the version bits of `mask` that are among [`ROLLED_BITS`]; others cannot be rolled.
pub fn version_rolling(mask: u32) -> u32 {
    0x9000_0000 | (mask & ROLLED_BITS) >> ROLLED_SHIFT
}

/// Divider after reset: 115 740 baud.
pub const RESET_DIVIDER: u8 = 26;

/// Line rate for a divider: 25 MHz / (8 · (divider + 1)).
pub fn baud(divider: u8) -> u32 {
    CRYSTAL_HZ / (8 * (u32::from(divider) + 1))
}

/// [`NONCE_OFFSET`]'s value for chip number `chip` of `chips`: the chips share the nonce space in equal parts. Source: S21 Pro capture.
pub fn nonce_offset(chip: u16, chips: NonZeroU16) -> u32 {
    let start = (u32::from(chip) << 16).div_ceil(u32::from(chips.get()));
    0x8000_0000 | (start & 0xffff)
}

/// [`HASH_COUNTING`]'s value that lets a core search `slice` nonces, none left out, at a PLL setting.
pub fn hash_counting(slice: u64, pll: Pll) -> u32 {
    let post = u64::from(pll.reference) * u64::from(pll.post1) * u64::from(pll.post2);
    u32::try_from(slice * post / (2 * u64::from(pll.feedback))).unwrap_or(u32::MAX)
}

/// Milliseconds until a chip has rolled through all versions of a job and needs another one. `sub_cores`: those of one core, which share the versions.
pub fn version_epoch_ms(hash_counting: u32, sub_cores: u8) -> u64 {
    let versions = 65_536 / u64::from(sub_cores.max(1));
    versions * u64::from(hash_counting) * 1000 / u64::from(CRYSTAL_HZ)
}

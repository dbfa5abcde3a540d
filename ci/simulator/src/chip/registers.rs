//! Register numbers of the BM1362 generation (BM1362, 1366, 1368, 1370). Those that the older chips have elsewhere are in their models.

pub(crate) const CHIP_ID: u8 = 0x00;
pub(crate) const PLL: u8 = 0x08;
pub(crate) const NONCE_OFFSET: u8 = 0x0C;
pub(crate) const HASH_COUNTING: u8 = 0x10;
pub(crate) const TICKET_MASK: u8 = 0x14;
pub(crate) const MISC_CONTROL: u8 = 0x18;
pub(crate) const UART_BAUD: u8 = 0x28;
pub(crate) const CORE_MAILBOX: u8 = 0x3C;
pub(crate) const MIDSTATE_CONFIG: u8 = 0xA4;
pub(crate) const SOFT_RESET: u8 = 0xA8;

/// BM1397 only.
pub(crate) const ORDERED_CLOCK: u8 = 0x20;
pub(crate) const PLL_DIVIDER: u8 = 0x70;
pub(crate) const CLOCK_ORDER: [u8; 2] = [0x80, 0x84];

//! Chips that take midstates: the host rolls versions.

use crate::{
    Chip, NonceFields, PllEncoding, PllLimits, PllWrites, Spacing, Telemetry, Uart, Width, WorkLayout,
    command::Generation,
    init::Step,
    register::{CORE_MAILBOX, MISC_CONTROL, PLL, TICKET_MASK, UART_BAUD, bm1387, bm1397},
};

/// BM1397: Antminer S17 and T17, Bitaxe Max. Start-up as ESP-Miner does it for a single chip; cgminer does the same to six, with pauses of 10 to 100 ms between the writes.
pub static BM1397: Chip = Chip {
    name: "BM1397",
    id: 0x1397,
    generation: Generation::New,
    responses: Width::Nine,
    small_cores: 672,
    work: WorkLayout::Midstates,
    nonce: NonceFields::BM1397,
    spacing: Spacing::Even,
    pll: PllLimits { feedback: 60..=200, vco_mhz: 750..=3200, encoding: PllEncoding::Bm1397 },
    pll_writes: PllWrites {
        register: PLL,
        before: Some((bm1397::PLL_DIVIDER, 0x0f0f_0f00)),
        times: 2,
        gap_ms: 10,
    },
    ticket_mask: TICKET_MASK,
    // PLL3 as the start-up sets it, 2.8 GHz, divided by seven and by 64: bit 16 chooses it.
    uart: Uart {
        register: MISC_CONTROL,
        rest: 0x0000_6031,
        sets_more: false,
        fast: &[(6_250_000, 0x0001_6731)],
    },
    hash_counting: 0,
    telemetry: Telemetry::BM1397,
    init: &[
        Step::CountChips,
        Step::Wait { ms: 20 },
        Step::ChainInactive,
        Step::SetAddresses,
        Step::WriteAll(bm1397::CLOCK_ORDER_0, 0x0000_0000),
        Step::WriteAll(bm1397::CLOCK_ORDER_1, 0x0000_0000),
        Step::WriteAll(bm1397::ORDERED_CLOCK, 0x0000_0001),
        Step::WriteAll(CORE_MAILBOX, 0x8000_8074),
        Step::TicketMask,
        Step::WriteAll(bm1397::PLL3, 0xc070_0111),
        Step::WriteAll(UART_BAUD, 0x0600_000f),
        // The divider of reset, 26.
        Step::WriteAll(MISC_CONTROL, 0x0000_7a31),
        Step::Ramp,
        Step::Baud,
    ],
    board_init: None,
};

/// BM1387: Antminer S9. Start-up as Braiins' open firmware does it for 63 chips, but for the clock, which is raised in steps instead of at once.
///
/// Cores are woken by dummy jobs, one core of every chip each, at a higher voltage than they hash at afterwards (9.4 V, then 8.8 V on an S9).
pub static BM1387: Chip = Chip {
    name: "BM1387",
    id: 0x1387,
    generation: Generation::Old,
    responses: Width::Seven,
    small_cores: 114,
    work: WorkLayout::Midstates,
    nonce: NonceFields::BM1387,
    spacing: Spacing::Even,
    pll: PllLimits { feedback: 32..=128, vco_mhz: 400..=3200, encoding: PllEncoding::Bm1387 },
    pll_writes: PllWrites { register: bm1387::PLL, before: None, times: 1, gap_ms: 0 },
    ticket_mask: bm1387::TICKET_MASK,
    // Clock inverted, cores gated, more than one midstate. Bit 30, "do not set the rate", is not set, as the open firmware has it when it changes the rate; its test bench has 40208180.
    uart: Uart { register: bm1387::MISC_CONTROL, rest: 0x0020_8080, sets_more: true, fast: &[] },
    hash_counting: 0,
    telemetry: Telemetry::NONE,
    init: &[
        Step::CountChips,
        Step::ChainInactive,
        Step::Wait { ms: 100 },
        Step::ChainInactive,
        Step::Wait { ms: 100 },
        Step::ChainInactive,
        Step::Wait { ms: 100 },
        Step::SetAddresses,
        Step::Ramp,
        Step::Baud,
        Step::TicketMask,
        Step::OpenCores { cores: 114, gap_ms: 10 },
    ],
    board_init: None,
};

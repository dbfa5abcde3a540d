//! A chain's start-up: a chip's list of [`Step`]s, and what it means for one chain ([`actions`]).

use std::{num::NonZeroU16, ops::RangeInclusive};

use crate::{Chip, Frame, KiloHertz, OutOfRange, Uart, command::Target, register};

/// One step of a chip's start-up, as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    WriteAll(u8, u32),
    /// All these registers for the nearest chip, then for the next one, …
    EachChip(&'static [(u8, u32)]),
    VersionRolling,
    CountChips,
    ChainInactive,
    /// For every address of the chain's distance, also those behind its end: nobody takes them. Source: captures of two long chains.
    SetAddresses,
    TicketMask,
    /// The last chip of every domain.
    LastOfDomains(u8, u32),
    /// Both ends of every domain, on boards of more than nine; else only the nearest chip, with `first_chip` where firmware is known to write it.
    UartRelay {
        first_chip: Option<u32>,
    },
    Wait {
        ms: u32,
    },
    Ramp,
    HashCounting,
    /// A dummy job wakes one core of every chip; then so many milliseconds for the supply.
    OpenCores {
        cores: u8,
        gap_ms: u32,
    },
    /// A job of zeros, before anything searches.
    DummyJob,
    /// Each chip's share of the nonces.
    NonceOffsets,
    /// Chips first, at the old rate, then the host.
    Baud,
    /// Likewise, with another rest of the register than the chip's own.
    BaudWith(u32),
}

/// What a chain is set up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    pub chips: u16,
    /// Voltage domains in a row that the chips are divided into evenly.
    pub domains: u16,
    /// Zero bits of a ticket beyond the chip's base.
    pub ticket_bits: u8,
    pub version_mask: u32,
    /// New line rate, one that [`Uart::rate`] knows; `None` leaves the rate as it is after reset.
    pub baud: Option<u32>,
    /// Milliseconds after the writes of [`Step::EachChip`] to each chip: its cores start to draw current.
    pub chip_gap_ms: u32,
    pub ramp: Ramp,
}

/// How the frequency is raised. Source of the usual 6.25 MHz and 100 ms: captures of stock firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ramp {
    pub start: KiloHertz,
    pub step: KiloHertz,
    pub step_ms: u32,
    pub target: KiloHertz,
}

/// What a driver does at one point of the start-up.
#[derive(Debug, Clone, Copy)]
pub enum Action {
    Send(Frame),
    /// Send it, then count the answers until the chain is silent; go on only when all chips answered.
    CountChips(Frame),
    /// The ramp begins.
    RampBegins,
    /// So long after the last frame has left.
    Wait {
        ms: u32,
    },
    /// Set the host's side to this rate.
    HostBaud(u32),
}

/// Milliseconds that chips and host get to change their line rate. Source: captures.
const BAUD_CHANGE_MS: u32 = 60;

/// Boards of so many domains work without a relay. Source: what factory test tools do, `docs/asic.md`.
pub(crate) const DOMAINS_WITHOUT_RELAY: u16 = 9;

/// The start-up of a chain, in order. Errors when a frequency of the ramp cannot be set.
pub fn actions(chip: &Chip, setup: &Setup) -> Result<Vec<Action>, OutOfRange> {
    let mut actions = Vec::new();
    let command = chip.generation;
    let all = |register, value| Action::Send(command.write(Target::All, register, value));
    let chips = setup.chips;
    let one = |place, register, value| {
        Action::Send(command.write(Target::Chip(chip.address(place, chips)), register, value))
    };
    for step in chip.start_up(setup.domains).iter().chain(chip.telemetry.start) {
        match *step {
            Step::WriteAll(register, value) => actions.push(all(register, value)),
            Step::EachChip(writes) => {
                for place in 0..chips {
                    let target = Target::Chip(chip.address(place, chips));
                    let write = |(register, value): &(u8, u32)| command.write(target, *register, *value);
                    actions.extend(writes.iter().map(write).map(Action::Send));
                    if setup.chip_gap_ms > 0 {
                        actions.push(Action::Wait { ms: setup.chip_gap_ms });
                    }
                }
            }
            Step::VersionRolling => {
                actions.push(all(register::MIDSTATE_CONFIG, register::version_rolling(setup.version_mask)));
            }
            Step::CountChips => {
                actions.push(Action::CountChips(command.read(Target::All, register::CHIP_ID)));
            }
            Step::ChainInactive => actions.push(Action::Send(command.chain_inactive())),
            Step::SetAddresses => {
                let slots = 0..256 / u16::from(chip.address_step(chips));
                actions
                    .extend(slots.map(|place| Action::Send(command.set_address(chip.address(place, chips)))));
            }
            Step::TicketMask => {
                actions.push(all(chip.ticket_mask, register::ticket_mask(setup.ticket_bits)));
            }
            Step::LastOfDomains(register, value) => {
                let last = domains(setup).map(|domain| *domain.end());
                actions.extend(last.map(|place| one(place, register, value)));
            }
            Step::UartRelay { first_chip } => {
                if setup.domains > DOMAINS_WITHOUT_RELAY {
                    for domain in domains(setup) {
                        let value = register::uart_relay(chips - domain.start(), register::RELAY_GAP);
                        let ends = [*domain.start(), *domain.end()];
                        actions.extend(ends.map(|place| one(place, register::UART_RELAY, value)));
                    }
                } else if let Some(value) = first_chip {
                    actions.push(one(0, register::UART_RELAY, value));
                }
            }
            Step::DummyJob => actions.push(Action::Send(chip.dummy_job())),
            Step::NonceOffsets => {
                if let Some(count) = NonZeroU16::new(chips) {
                    let offset =
                        |place| one(place, register::NONCE_OFFSET, register::nonce_offset(place, count));
                    actions.extend((0..chips).map(offset));
                }
            }
            Step::Ramp => {
                actions.push(Action::RampBegins);
                for frequency in setup.ramp.frequencies() {
                    for frame in chip.set_frequency(frequency)?.1 {
                        actions.push(Action::Send(frame));
                        if chip.pll_writes.gap_ms > 0 {
                            actions.push(Action::Wait { ms: chip.pll_writes.gap_ms });
                        }
                    }
                    actions.push(Action::Wait { ms: setup.ramp.step_ms });
                }
            }
            Step::Wait { ms } => actions.push(Action::Wait { ms }),
            Step::OpenCores { cores, gap_ms } => {
                let mut id = 0;
                for _ in 0..cores {
                    actions.push(Action::Send(chip.opening_job(id)));
                    actions.push(Action::Wait { ms: gap_ms });
                    id = chip.next_job(id);
                }
            }
            Step::HashCounting => actions.push(all(register::HASH_COUNTING, chip.hash_counting)),
            Step::Baud | Step::BaudWith(_) => {
                let rest = if let Step::BaudWith(rest) = *step { rest } else { chip.uart.rest };
                let uart = Uart { rest, ..chip.uart };
                if let Some((rate, value)) = setup.baud.and_then(|baud| uart.rate(baud)) {
                    actions.push(all(uart.register, value));
                    actions.push(Action::Wait { ms: BAUD_CHANGE_MS });
                    actions.push(Action::HostBaud(rate));
                } else if uart.sets_more {
                    actions.push(all(uart.register, uart.value(register::RESET_DIVIDER)));
                }
            }
        }
    }
    Ok(actions)
}

/// First and last chip of each domain.
fn domains(setup: &Setup) -> impl Iterator<Item = RangeInclusive<u16>> {
    let chips = setup.chips;
    let size = (chips / setup.domains.max(1)).max(1);
    (0..chips).step_by(size.into()).map(move |first| first..=(first + size).min(chips) - 1)
}

impl Ramp {
    /// Start, start + step, … and the target itself, last.
    pub fn frequencies(self) -> impl Iterator<Item = KiloHertz> {
        let below = (self.start.0..self.target.0).step_by(self.step.0.max(1) as usize);
        below.chain(std::iter::once(self.target.0)).map(KiloHertz)
    }
}

//! What chips count and measure themselves: one register of all of them is asked for at a time, in turn.

use adit_asic::{Chip, Frame, Quantity, command::Target};
use adit_bus::hardware::ChainStatus;
use tokio::time::{Duration, Instant};

/// Between two questions. Answers of a long chain fill a slow line for a tenth of a second.
const INTERVAL: Duration = Duration::from_secs(2);

/// What one chip said last.
#[derive(Debug, Clone, Copy)]
struct Said {
    errors: u32,
    hashes: u32,
    celsius: f64,
}

#[derive(Debug)]
pub(super) struct Telemetry {
    chip: &'static Chip,
    chips: Vec<Said>,
    /// Questions so far.
    asked: usize,
    due: Instant,
}

impl Telemetry {
    /// The chips have come out of reset, and count from 0.
    pub(super) fn new(chip: &'static Chip, chips: u16, now: Instant) -> Self {
        let said = Said { errors: 0, hashes: 0, celsius: f64::NAN };
        Self { chip, chips: vec![said; chips.into()], asked: 0, due: now + INTERVAL }
    }

    /// When the next question is due; never for chips that say nothing.
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.chip.telemetry.registers.is_empty()).then_some(self.due)
    }

    /// The next question.
    pub(super) fn ask(&mut self, now: Instant) -> Option<Frame> {
        let mut wanted = self.chip.telemetry.registers.iter().filter(|(_, quantity)| is_wanted(*quantity));
        let count = wanted.clone().count().max(1);
        let (register, _) = wanted.nth(self.asked % count)?;
        self.asked += 1;
        self.due = now + INTERVAL;
        Some(self.chip.generation.read(Target::All, *register))
    }

    /// Takes an answer into the status; `false` when it is none to a question of ours.
    pub(super) fn hear(&mut self, register: u8, address: u8, value: u32, status: &mut ChainStatus) -> bool {
        let chips = self.chips.len() as u16;
        let place = (0..chips).find(|place| self.chip.address(*place, chips) == address);
        let quantity = self.chip.telemetry.quantity(register).filter(|quantity| is_wanted(*quantity));
        let (Some(place), Some(quantity)) = (place, quantity) else { return false };
        let said = &mut self.chips[usize::from(place)];
        match quantity {
            Quantity::Errors => status.chip_errors += since(&mut said.errors, value),
            Quantity::Hashes => status.chip_hashes += since(&mut said.hashes, value),
            Quantity::Temperature => {
                said.celsius = quantity.celsius(value).unwrap_or(f64::NAN);
                status.die_celsius = self.chips.iter().map(|chip| chip.celsius).fold(f64::NAN, f64::max);
            }
            Quantity::DomainHashes(_) => {}
        }
        true
    }
}

/// The hashes of a chip's domains add up to its own, and nobody looks at them yet.
fn is_wanted(quantity: Quantity) -> bool {
    !matches!(quantity, Quantity::DomainHashes(_))
}

/// How far a counter went that counts on and wraps.
fn since(last: &mut u32, value: u32) -> u64 {
    value.wrapping_sub(std::mem::replace(last, value)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_asic::{BM1362, BM1368};

    #[test]
    fn registers_are_asked_for_in_turn() {
        let now = Instant::now();
        let mut telemetry = Telemetry::new(&BM1368, 108, now);
        assert_eq!(telemetry.due(), Some(now + INTERVAL));
        let asked: Vec<u8> = (0..4).map(|_| telemetry.ask(now).unwrap().as_bytes()[5]).collect();
        assert_eq!(asked, [0x4c, 0x8c, 0xb4, 0x4c]);
        let mut silent = Telemetry::new(&BM1362, 126, now);
        assert!(silent.due().is_none() && silent.ask(now).is_none());
    }

    #[test]
    fn counters_are_summed_over_the_chips_and_may_wrap() {
        let mut telemetry = Telemetry::new(&BM1368, 108, Instant::now());
        let mut status = ChainStatus { die_celsius: f64::NAN, ..Default::default() };
        for (address, value) in [(0, u32::MAX - 1), (2, 10), (0, 3), (2, 10)] {
            assert!(telemetry.hear(0x4c, address, value, &mut status));
        }
        assert_eq!(status.chip_errors, u64::from(u32::MAX - 1) + 10 + 5);
        assert!(telemetry.hear(0x8c, 214, 7, &mut status));
        assert_eq!(status.chip_hashes, 7);
        assert!(!telemetry.hear(0x8c, 216, 7, &mut status), "the address of no chip");
        assert!(!telemetry.hear(0x8c, 1, 7, &mut status), "nor this");
        assert!(!telemetry.hear(0x18, 0, 7, &mut status), "a register that was not asked for");
    }

    #[test]
    fn the_hottest_die_is_what_counts() {
        let mut telemetry = Telemetry::new(&BM1368, 2, Instant::now());
        let mut status = ChainStatus { die_celsius: f64::NAN, ..Default::default() };
        telemetry.hear(0xb4, 0, 0x0000_0800, &mut status);
        assert!(status.die_celsius.is_nan(), "no reading yet");
        telemetry.hear(0xb4, 0, 0x8000_0800, &mut status);
        telemetry.hear(0xb4, 128, 0x8000_0700, &mut status);
        assert!((status.die_celsius - 51.394).abs() < 0.001, "{}", status.die_celsius);
    }
}

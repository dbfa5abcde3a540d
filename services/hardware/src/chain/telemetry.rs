//! What chips count and measure themselves: one register of all of them is asked for at a time, in turn.

use adit_asic::{Chip, Frame, Quantity, command::Target};
use adit_bus::hardware::{ChainStatus, ChipStatus};
use tokio::time::{Duration, Instant};

/// A die that has not told its temperature for so long tells none: some of its answers may be lost, each comes about every eight seconds.
const REMEMBERED: Duration = Duration::from_secs(20);
/// What no die in a machine has: such an answer is a wrong one that its checksum passed.
const PHYSICAL: std::ops::RangeInclusive<f64> = -40.0..=150.0;

/// What one chip's counters said last, and when its thermometer did.
#[derive(Debug, Clone, Copy)]
struct Said {
    errors: u32,
    hashes: u32,
    felt: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Telemetry {
    chip: &'static Chip,
    chips: Vec<Said>,
    /// Questions so far.
    asked: usize,
}

impl Telemetry {
    /// The chips have come out of reset, and count from 0.
    pub(super) fn new(chip: &'static Chip, chips: u16) -> Self {
        let said = Said { errors: 0, hashes: 0, felt: None };
        Self { chip, chips: vec![said; chips.into()], asked: 0 }
    }

    /// The next question; none to chips that say nothing.
    pub(super) fn ask(&mut self) -> Option<Frame> {
        let mut wanted = self.chip.telemetry.registers.iter().filter(|(_, quantity)| is_wanted(*quantity));
        let count = wanted.clone().count().max(1);
        let (register, _) = wanted.nth(self.asked % count)?;
        self.asked += 1;
        Some(self.chip.generation.read(Target::All, *register))
    }

    /// Takes an answer into the status of the chain and of its chips; `false` when it is none to a question of ours.
    pub(super) fn hear(
        &mut self,
        now: Instant,
        register: u8,
        address: u8,
        value: u32,
        status: &mut ChainStatus,
        chips: &mut [ChipStatus],
    ) -> bool {
        let place = chips.iter().position(|chip| chip.address == address);
        let quantity = self.chip.telemetry.quantity(register).filter(|quantity| is_wanted(*quantity));
        let (Some(place), Some(quantity)) = (place, quantity) else { return false };
        let (said, chip) = (&mut self.chips[place], &mut chips[place]);
        match quantity {
            Quantity::Errors => {
                let errors = since(&mut said.errors, value);
                status.chip_errors += errors;
                chip.errors += errors;
            }
            Quantity::Hashes => status.chip_hashes += since(&mut said.hashes, value),
            Quantity::Temperature => {
                let celsius = quantity.celsius(value);
                if celsius.is_some_and(|celsius| !PHYSICAL.contains(&celsius)) {
                    return false;
                }
                said.felt = celsius.map(|_| now);
                chip.die_celsius = celsius.unwrap_or(f64::NAN);
                status.die_celsius = hottest(chips);
            }
            Quantity::DomainHashes(_) => {}
        }
        true
    }

    /// Temperatures that are too old are none.
    pub(super) fn forget(&mut self, now: Instant, status: &mut ChainStatus, chips: &mut [ChipStatus]) {
        for (said, chip) in self.chips.iter_mut().zip(&mut *chips) {
            if said.felt.is_some_and(|felt| now >= felt + REMEMBERED) {
                (said.felt, chip.die_celsius) = (None, f64::NAN);
            }
        }
        status.die_celsius = hottest(chips);
    }
}

fn hottest(chips: &[ChipStatus]) -> f64 {
    chips.iter().map(|chip| chip.die_celsius).fold(f64::NAN, f64::max)
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
        let mut telemetry = Telemetry::new(&BM1368, 108);
        let asked: Vec<u8> = (0..4).map(|_| telemetry.ask().unwrap().as_bytes()[5]).collect();
        assert_eq!(asked, [0x4c, 0x8c, 0xb4, 0x4c]);
        assert!(Telemetry::new(&BM1362, 126).ask().is_none());
    }

    /// As the status has them.
    fn chips(count: u16) -> Vec<ChipStatus> {
        let chip = |place| ChipStatus {
            place,
            address: BM1368.address(place, count),
            die_celsius: f64::NAN,
            ..Default::default()
        };
        (0..count).map(chip).collect()
    }

    #[test]
    fn counters_are_summed_over_the_chips_and_may_wrap() {
        let mut telemetry = Telemetry::new(&BM1368, 108);
        let mut status = ChainStatus { die_celsius: f64::NAN, ..Default::default() };
        let mut chips = chips(108);
        let now = Instant::now();
        let mut hear =
            |register, address, value| telemetry.hear(now, register, address, value, &mut status, &mut chips);
        for (address, value) in [(0, u32::MAX - 1), (2, 10), (0, 3), (2, 10)] {
            assert!(hear(0x4c, address, value));
        }
        assert!(hear(0x8c, 214, 7));
        assert!(!hear(0x8c, 216, 7), "the address of no chip");
        assert!(!hear(0x8c, 1, 7), "nor this");
        assert!(!hear(0x18, 0, 7), "a register that was not asked for");
        assert_eq!(status.chip_errors, u64::from(u32::MAX - 1) + 10 + 5);
        assert_eq!((chips[0].errors, chips[1].errors), (u64::from(u32::MAX - 1) + 5, 10));
        assert_eq!(status.chip_hashes, 7);
    }

    #[test]
    fn the_hottest_die_is_what_counts() {
        let mut telemetry = Telemetry::new(&BM1368, 2);
        let mut status = ChainStatus { die_celsius: f64::NAN, ..Default::default() };
        let mut chips = chips(2);
        let now = Instant::now();
        let mut hear = |seconds, address, value| {
            let now = now + Duration::from_secs(seconds);
            let heard = telemetry.hear(now, 0xb4, address, value, &mut status, &mut chips);
            telemetry.forget(now, &mut status, &mut chips);
            (heard, status.die_celsius, chips[1].die_celsius)
        };
        let (heard, die, _) = hear(0, 0, 0x0000_0800);
        assert!(heard && die.is_nan(), "no reading yet");
        hear(1, 0, 0x8000_0800);
        let (_, die, colder) = hear(1, 128, 0x8000_0700);
        assert!((die - 51.394).abs() < 0.001 && colder < die, "{die} {colder}");
        let (heard, die, colder) = hear(1, 128, 0x8000_ffff);
        assert!(!heard && (die - 51.394).abs() < 0.001 && colder < die, "10929 °C is no temperature: {die}");
        let (_, die, colder) = hear(20, 128, 0x8000_0700);
        assert!((die - 51.394).abs() < 0.001 && colder < die, "19 s old: {die}");
        let (_, die, colder) = hear(21, 128, 0x8000_0700);
        assert_eq!(die, colder, "the other one has said nothing for 20 s");
    }
}

//! A hash board: chips in domains on one rail, their heat sinks, and the air along them.

use super::approach;
use super::silicon::{Die, HOTTEST, Silicon};
use crate::random::Random;

/// A board's parameters.
#[derive(Debug)]
pub(crate) struct BoardPhysics {
    pub(crate) silicon: &'static Silicon,
    pub(crate) chips: usize,
    /// In series on the rail, each with the same voltage.
    pub(crate) domains: usize,
    /// From a die to its heat sink, and from there to the air at full flow.
    pub(crate) die_kelvin_per_watt: f64,
    pub(crate) sink_kelvin_per_watt: f64,
    /// Of a chip's part of the heat sink.
    pub(crate) sink_joules_per_kelvin: f64,
    /// From the regulator or the board's connector to the chips.
    pub(crate) ohms: f64,
    /// Share that the board's own regulator loses; none without one.
    pub(crate) regulator_loss: f64,
    /// The regulator above the board, per watt lost.
    pub(crate) regulator_kelvin_per_watt: f64,
    /// What a sensor on the board feels of the heat sinks' rise above the air.
    pub(crate) board_share: f64,
}

const DIE_JOULES_PER_KELVIN: f64 = 0.4;
/// Resistance to the air goes with this power of the flow.
const FLOW_EXPONENT: f64 = 0.6;
const BOARD_SECONDS: f64 = 20.0;
const REGULATOR_SECONDS: f64 = 5.0;
/// Models are stepped at least this finely.
const LONGEST_STEP: f64 = 0.1;

/// What a chip does, as far as it makes heat.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) mhz: f64,
    /// Share of its cores that hash.
    pub(crate) hashing: f64,
}

/// One chip's state.
#[derive(Clone, Debug)]
pub(crate) struct Chip {
    pub(crate) die: Die,
    pub(crate) celsius: f64,
    sink: f64,
    pub(crate) watts: f64,
    /// Share of its hashes that come out wrong.
    pub(crate) errors: f64,
}

/// What flows past a board.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Air {
    pub(crate) inlet: f64,
    /// W/K that the air of this board carries away.
    pub(crate) watts_per_kelvin: f64,
    /// Share of the full flow.
    pub(crate) share: f64,
}

/// A board at work.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    pub(crate) chips: Vec<Chip>,
    /// At the chips, all domains together.
    pub(crate) volts: f64,
    /// Of the chips.
    pub(crate) watts: f64,
    /// On the rail.
    pub(crate) amperes: f64,
    /// Where air enters and leaves, and in the middle.
    pub(crate) sensors: [f64; 3],
    pub(crate) regulator: f64,
}

impl Board {
    /// At rest. `seed` draws the lottery; none: typical dies all over.
    pub(crate) fn new(physics: &BoardPhysics, ambient: f64, seed: Option<u64>) -> Self {
        let mut random = seed.map(Random::new);
        let chip = |_| Chip {
            die: random.as_mut().map_or(Die::TYPICAL, Die::draw),
            celsius: ambient,
            sink: ambient,
            watts: 0.0,
            errors: 0.0,
        };
        Self {
            chips: (0..physics.chips).map(chip).collect(),
            volts: 0.0,
            watts: 0.0,
            amperes: 0.0,
            sensors: [ambient; 3],
            regulator: ambient,
        }
    }

    /// Lets `seconds` pass with `rail` volts at the board's input (or behind its regulator). `load` tells what the chip
    /// with a number does.
    pub(crate) fn advance(
        &mut self,
        physics: &BoardPhysics,
        rail: f64,
        air: Air,
        load: impl Fn(usize) -> Load,
        seconds: f64,
    ) {
        let steps = (seconds / LONGEST_STEP).ceil().max(1.0);
        for _ in 0..steps as u32 {
            self.step(physics, rail, air, &load, seconds / steps);
        }
    }

    fn step(
        &mut self,
        physics: &BoardPhysics,
        rail: f64,
        air: Air,
        load: &impl Fn(usize) -> Load,
        seconds: f64,
    ) {
        // The current is the last step's: the droop lags by a step, as capacitors make it do.
        self.volts = (rail - self.amperes * physics.ohms).max(0.0);
        let volts = self.volts / physics.domains as f64;
        let silicon = physics.silicon;
        let sink_resistance = physics.sink_kelvin_per_watt * air.share.powf(-FLOW_EXPONENT);
        let mut passing = air.inlet;
        let mut watts = 0.0;
        let mut rise = 0.0;
        for (index, chip) in self.chips.iter_mut().enumerate() {
            let Load { mhz, hashing } = load(index);
            chip.watts = silicon.watts(&chip.die, volts, mhz, hashing, chip.celsius);
            chip.errors = silicon.error_share(&chip.die, volts, mhz, chip.celsius);
            watts += chip.watts;
            let resistance = physics.die_kelvin_per_watt * chip.die.contact;
            let rest = chip.sink + chip.watts * resistance;
            let into_sink = (chip.celsius - chip.sink) / resistance;
            let sink_rest = passing + into_sink * sink_resistance;
            let sink_seconds = physics.sink_joules_per_kelvin * sink_resistance;
            let out = (chip.sink - passing) / sink_resistance;
            chip.celsius =
                approach(chip.celsius, rest, seconds, DIE_JOULES_PER_KELVIN * resistance).min(HOTTEST);
            chip.sink = approach(chip.sink, sink_rest, seconds, sink_seconds).min(HOTTEST);
            rise += chip.sink - passing;
            passing += out / air.watts_per_kelvin;
        }
        self.watts = watts;
        self.amperes = if self.volts > 0.01 { watts / self.volts } else { 0.0 };
        let rise = physics.board_share * rise / physics.chips.max(1) as f64;
        let places = [air.inlet, (air.inlet + passing) / 2.0, passing];
        for (sensor, place) in self.sensors.iter_mut().zip(places) {
            *sensor = approach(*sensor, place + rise, seconds, BOARD_SECONDS).min(HOTTEST);
        }
        let lost = self.loss_watts(physics) * physics.regulator_kelvin_per_watt;
        self.regulator =
            approach(self.regulator, self.sensors[1] + lost, seconds, REGULATOR_SECONDS).min(HOTTEST);
    }

    /// What the board's own regulator loses.
    pub(crate) fn loss_watts(&self, physics: &BoardPhysics) -> f64 {
        self.watts * physics.regulator_loss / (1.0 - physics.regulator_loss)
    }

    pub(crate) fn hottest(&self) -> f64 {
        self.chips.iter().map(|chip| chip.celsius).fold(-273.0, f64::max)
    }

    pub(crate) fn mean_celsius(&self) -> f64 {
        self.chips.iter().map(|chip| chip.celsius).sum::<f64>() / self.chips.len().max(1) as f64
    }

    /// Enough for the chips to work.
    pub(crate) fn alive(&self, physics: &BoardPhysics) -> bool {
        self.volts >= physics.domains as f64 * physics.silicon.alive_volts()
    }
}

#[cfg(test)]
mod tests {
    use super::super::silicon;
    use super::*;

    const S19J_PRO: BoardPhysics = BoardPhysics {
        silicon: &silicon::BM1362,
        chips: 126,
        domains: 42,
        die_kelvin_per_watt: 1.4,
        sink_kelvin_per_watt: 2.0,
        sink_joules_per_kelvin: 12.0,
        ohms: 0.000_5,
        regulator_loss: 0.0,
        regulator_kelvin_per_watt: 0.0,
        board_share: 0.6,
    };
    const AIR: Air = Air { inlet: 25.0, watts_per_kelvin: 60.0, share: 0.8 };

    fn settled(change: impl FnOnce(&mut Air), volts: f64, mhz: f64, seed: Option<u64>) -> Board {
        let mut air = AIR;
        change(&mut air);
        let mut board = Board::new(&S19J_PRO, air.inlet, seed);
        board.advance(&S19J_PRO, volts, air, |_| Load { mhz, hashing: 1.0 }, 600.0);
        board
    }

    #[test]
    fn what_chips_burn_leaves_with_the_air() {
        let board = settled(|_| {}, 13.5, 535.0, None);
        let outlet = AIR.inlet + board.watts / AIR.watts_per_kelvin;
        let mut chips = board.chips.iter().map(|chip| chip.celsius);
        let (first, last) = (chips.next().expect("126"), chips.next_back().expect("126"));
        let sink_to_air = board.chips[0].watts * (1.4 + 2.0 * 0.8f64.powf(-0.6));
        assert!((first - AIR.inlet - sink_to_air).abs() < 0.5, "{first}");
        assert!((last - outlet - sink_to_air).abs() < 2.0, "{last}: the last chip sits in the others' air");
    }

    #[test]
    fn hot_air_less_air_and_more_voltage_make_hotter_chips() {
        let stock = settled(|_| {}, 13.5, 535.0, None).hottest();
        assert!(settled(|air| air.inlet = 45.0, 13.5, 535.0, None).hottest() > stock + 20.0);
        let less =
            settled(|air| (air.share, air.watts_per_kelvin) = (0.3, 22.0), 13.5, 535.0, None).hottest();
        assert!(less > stock + 20.0);
        assert!(settled(|_| {}, 14.5, 535.0, None).hottest() > stock + 4.0);
    }

    #[test]
    fn with_the_lottery_no_two_chips_are_alike_and_weak_ones_err_first() {
        let board = settled(|_| {}, 12.75, 535.0, Some(3));
        let errors: Vec<f64> = board.chips.iter().map(|chip| chip.errors).collect();
        let (least, most) = (
            errors.iter().fold(1.0, |a, b| f64::min(a, *b)),
            errors.iter().fold(0.0, |a, b| f64::max(a, *b)),
        );
        assert!(least < 0.01 && most > 0.05, "{least} {most}");
    }

    #[test]
    fn the_rail_droops_under_load() {
        let board = settled(|_| {}, 13.5, 535.0, None);
        let droop = 13.5 - board.volts;
        assert!((0.02..0.06).contains(&droop), "{droop}");
    }
}

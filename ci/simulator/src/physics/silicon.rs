//! One die: what it burns, which voltage it needs for its clock, how often it errs below that, and the lottery that makes
//! no two alike.

use crate::random::Random;

/// A chip model's electrical parameters. Fitted so that whole machines come near their published figures
/// (`docs/simulation.md`); none is a manufacturer's.
#[derive(Debug)]
pub(crate) struct Silicon {
    /// Clock and core voltage that the other values are for.
    pub(crate) mhz: f64,
    pub(crate) volts: f64,
    /// Switching power when all cores hash.
    pub(crate) switching_watts: f64,
    /// Leakage of a typical die at [`REFERENCE_CELSIUS`].
    pub(crate) leakage_watts: f64,
}

/// Temperature that parameters are for.
pub(crate) const REFERENCE_CELSIUS: f64 = 65.0;
/// Leakage doubles with this many kelvin. A T21's power was seen to swing by 7.3 % with a day's temperature: with leakage
/// a tenth of the power that takes about 20 K.
const LEAKAGE_DOUBLES_KELVIN: f64 = 28.0;
/// Leakage goes with this power of the voltage (channel and drain-induced barrier lowering together).
const LEAKAGE_EXPONENT: f64 = 3.0;
/// Share of the switching power that clock trees take when nothing hashes.
const IDLE_SHARE: f64 = 0.10;
/// A typical die still works at its reference clock with this share of its reference voltage.
const ENOUGH_SHARE: f64 = 0.92;
/// What a faster clock needs: share of the needed voltage per share of the clock, and its bend.
const CLOCK_SLOPE: f64 = 0.55;
const CLOCK_BEND: f64 = 0.25;
/// Needed voltage rises with heat: share per kelvin.
const HEAT_SLOPE: f64 = 0.0006;
/// Errors grow e-fold with this share of the reference voltage.
const ERROR_WIDTH: f64 = 0.008;
/// Spread (one sigma) among dies: leakage (log-normal), needed voltage, contact to the heat sink.
const LEAKAGE_SPREAD: f64 = 0.18;
const NEED_SPREAD: f64 = 0.015;
const CONTACT_SPREAD: f64 = 0.07;
/// Below this share of the reference voltage a chip is in reset.
const ALIVE_SHARE: f64 = 0.714;
/// Nothing that is modelled holds above this; the models stop there.
pub(crate) const HOTTEST: f64 = 250.0;

/// One die and its luck.
#[derive(Clone, Debug)]
pub(crate) struct Die {
    /// Times the typical leakage.
    leakage: f64,
    /// Share of the reference voltage that it needs more than a typical die.
    need: f64,
    /// Times the typical thermal resistance to its heat sink.
    pub(crate) contact: f64,
}

impl Die {
    /// A die without luck, good or bad.
    pub(crate) const TYPICAL: Self = Self { leakage: 1.0, need: 0.0, contact: 1.0 };

    pub(crate) fn draw(random: &mut Random) -> Self {
        // Leaky dies are fast ones: they need less voltage.
        let speed = normal(random);
        let other = normal(random);
        Self {
            leakage: (LEAKAGE_SPREAD * speed).exp(),
            need: NEED_SPREAD * (0.8 * other - 0.6 * speed),
            contact: (1.0 + CONTACT_SPREAD * normal(random)).max(0.7),
        }
    }
}

/// Standard normal, near enough: twelve uniforms.
fn normal(random: &mut Random) -> f64 {
    (0..12).map(|_| uniform(random)).sum::<f64>() - 6.0
}

/// 0 to 1.
pub(crate) fn uniform(random: &mut Random) -> f64 {
    (random.next() >> 11) as f64 / (1u64 << 53) as f64
}

impl Silicon {
    /// Volts below which chips forget everything.
    pub(crate) fn alive_volts(&self) -> f64 {
        ALIVE_SHARE * self.volts
    }

    /// What a die burns. `hashing`: share of its cores that hash.
    pub(crate) fn watts(&self, die: &Die, volts: f64, mhz: f64, hashing: f64, celsius: f64) -> f64 {
        let v = (volts / self.volts).max(0.0);
        let activity = IDLE_SHARE + (1.0 - IDLE_SHARE) * hashing;
        let switching = self.switching_watts * v * v * (mhz / self.mhz) * activity;
        let heat = (celsius.min(HOTTEST) - REFERENCE_CELSIUS) / LEAKAGE_DOUBLES_KELVIN;
        switching + self.leakage_watts * die.leakage * v.powf(LEAKAGE_EXPONENT) * heat.exp2()
    }

    /// Volts that a die needs for a clock to err in half of its hashes; some percent more, and it hardly errs.
    pub(crate) fn needed_volts(&self, die: &Die, mhz: f64, celsius: f64) -> f64 {
        let faster = mhz / self.mhz - 1.0;
        let clock = ENOUGH_SHARE * (1.0 + CLOCK_SLOPE * faster + CLOCK_BEND * faster * faster);
        self.volts * (clock * (1.0 + HEAT_SLOPE * (celsius - REFERENCE_CELSIUS)) + die.need)
    }

    /// Share of a die's hashes that come out wrong.
    pub(crate) fn error_share(&self, die: &Die, volts: f64, mhz: f64, celsius: f64) -> f64 {
        let spare = (volts - self.needed_volts(die, mhz, celsius)) / self.volts;
        1.0 / (1.0 + (spare / ERROR_WIDTH).exp())
    }
}

/// Antminer S9: 189 dies, 8.8 V over 21 domains.
pub(crate) const BM1387: Silicon =
    Silicon { mhz: 625.0, volts: 0.419, switching_watts: 5.90, leakage_watts: 0.45 };
/// Antminer S17 Pro, Bitaxe Max.
pub(crate) const BM1397: Silicon =
    Silicon { mhz: 425.0, volts: 1.40, switching_watts: 9.0, leakage_watts: 0.9 };
/// Antminer S19j Pro: 378 dies, 13.5 V over 42 domains.
pub(crate) const BM1362: Silicon =
    Silicon { mhz: 535.0, volts: 0.321, switching_watts: 6.83, leakage_watts: 0.80 };
/// Antminer S19 XP: 330 dies; Bitaxe Ultra.
pub(crate) const BM1366: Silicon =
    Silicon { mhz: 475.0, volts: 1.20, switching_watts: 7.75, leakage_watts: 0.85 };
/// Antminer S21: 324 dies; Bitaxe Supra.
pub(crate) const BM1368: Silicon =
    Silicon { mhz: 490.0, volts: 1.13, switching_watts: 9.25, leakage_watts: 0.95 };
/// Antminer S21 Pro: 195 dies; Bitaxe Gamma.
pub(crate) const BM1370: Silicon =
    Silicon { mhz: 590.0, volts: 1.12, switching_watts: 15.3, leakage_watts: 1.6 };

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&Silicon; 6] = [&BM1387, &BM1397, &BM1362, &BM1366, &BM1368, &BM1370];

    #[test]
    fn switching_power_goes_with_voltage_squared_and_with_the_clock() {
        for silicon in ALL {
            let cold = -270.0; // no leakage to speak of
            let at = |v: f64, f: f64| silicon.watts(&Die::TYPICAL, v, f, 1.0, cold);
            let base = at(silicon.volts, silicon.mhz);
            assert!((at(silicon.volts * 1.1, silicon.mhz) / base - 1.21).abs() < 0.01);
            assert!((at(silicon.volts, silicon.mhz / 2.0) / base - 0.5).abs() < 0.01);
        }
    }

    #[test]
    fn a_warmer_day_costs_some_percent_of_power() {
        for silicon in ALL {
            let at = |celsius| silicon.watts(&Die::TYPICAL, silicon.volts, silicon.mhz, 1.0, celsius);
            let swing = at(75.0) / at(55.0) - 1.0;
            assert!((0.03..0.10).contains(&swing), "{swing}");
        }
    }

    #[test]
    fn errors_are_rare_at_stock_and_grow_with_undervolting_clock_and_heat() {
        for silicon in ALL {
            let share = |v: f64, f: f64, celsius| {
                silicon.error_share(&Die::TYPICAL, v * silicon.volts, f * silicon.mhz, celsius)
            };
            let stock = share(1.0, 1.0, 65.0);
            assert!(stock < 1e-4, "{stock}");
            assert!(share(0.95, 1.0, 65.0) > 100.0 * stock);
            assert!((0.3..0.7).contains(&share(0.92, 1.0, 65.0)));
            assert!(share(0.85, 1.0, 65.0) > 0.99);
            assert!(share(1.0, 1.15, 65.0) > 0.1, "overclocked");
            assert!(share(1.0, 1.0, 105.0) > 10.0 * stock, "hot");
            assert!(share(0.85, 0.6, 65.0) < 1e-3, "slow chips need less");
        }
    }

    #[test]
    fn the_lottery_repeats_and_has_the_spread_that_it_says() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            (0..2000).map(|_| Die::draw(&mut random)).collect::<Vec<_>>()
        };
        let dies = draw(7);
        assert!(dies.iter().zip(draw(7)).all(|(a, b)| a.need == b.need && a.leakage == b.leakage));
        let mean = |f: &dyn Fn(&Die) -> f64| dies.iter().map(f).sum::<f64>() / dies.len() as f64;
        let need = mean(&|die| die.need);
        let spread = mean(&|die| (die.need - need).powi(2)).sqrt();
        assert!(need.abs() < 0.002 && (spread / NEED_SPREAD - 1.0).abs() < 0.1, "{need} {spread}");
        assert!((mean(&|die| die.contact) - 1.0).abs() < 0.01);
    }
}

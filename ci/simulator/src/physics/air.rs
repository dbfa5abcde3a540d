//! Fans and the air that they move.

use super::approach;

/// J/(m³·K): density times heat capacity of air at 25 °C.
const AIR_HEAT: f64 = 1186.0;
/// What moves by itself: share of the full flow with all fans at rest.
const DRAUGHT: f64 = 0.05;
/// Below this share of full drive a fan does not start.
const STARTS_AT: f64 = 0.1;
/// 95 % of a new speed is reached after three of these.
const SPIN_UP_SECONDS: f64 = 0.33;

/// The fans of a machine and its duct.
#[derive(Debug)]
pub(crate) struct Airflow {
    pub(crate) fans: usize,
    pub(crate) full_rpm: f64,
    /// Of one fan at full speed.
    pub(crate) full_watts: f64,
    /// m³/s through the machine with all fans at full speed.
    pub(crate) full_flow: f64,
}

impl Airflow {
    /// Share of the full flow at these speeds. Fans share the work, in parallel and in series; one that stands is an
    /// obstacle, so it takes more than its part.
    pub(crate) fn share(&self, rpm: &[f64]) -> f64 {
        let turning: f64 = rpm.iter().map(|rpm| rpm / self.full_rpm).sum::<f64>() / self.fans.max(1) as f64;
        let standing =
            rpm.iter().filter(|rpm| **rpm < 0.1 * self.full_rpm).count() as f64 / self.fans.max(1) as f64;
        let obstructed = if turning > 0.05 { turning * (1.0 - 0.25 * standing) } else { turning };
        obstructed.max(DRAUGHT)
    }

    /// W/K that the air carries away through the whole machine at a share of the full flow.
    pub(crate) fn watts_per_kelvin(&self, share: f64) -> f64 {
        AIR_HEAT * self.full_flow * share
    }

    /// What the fans take, by the cube of their speed.
    pub(crate) fn watts(&self, rpm: &[f64]) -> f64 {
        rpm.iter().map(|rpm| self.full_watts * (rpm / self.full_rpm).powi(3)).sum()
    }

    /// A fan's speed after `seconds` at a share of full drive, when it reaches only `able` of its speed.
    pub(crate) fn turn(&self, rpm: f64, drive: f64, able: f64, seconds: f64) -> f64 {
        let target = if drive >= STARTS_AT { self.full_rpm * drive.min(1.0) * able } else { 0.0 };
        approach(rpm, target, seconds, SPIN_UP_SECONDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S19: Airflow = Airflow { fans: 4, full_rpm: 6150.0, full_watts: 19.8, full_flow: 0.198 };

    #[test]
    fn the_air_of_an_s19_pro_warms_as_was_measured() {
        // 3320 W at the wall, 370 cfm (0.1746 m³/s), inlet 23.1 °C, outlet 38.8 °C; the PSU has its own fans and takes
        // about 5 % (btccom/zeus field report of 2020).
        let warmed = 3320.0 * 0.95 / S19.watts_per_kelvin(0.1746 / S19.full_flow);
        assert!((warmed - 15.7).abs() < 1.0, "{warmed}");
    }

    #[test]
    fn one_standing_fan_of_four_costs_more_than_a_quarter_of_the_air() {
        let share = S19.share(&[6150.0, 6150.0, 6150.0, 0.0]);
        assert!((0.65..0.75).contains(&share), "{share}");
        assert_eq!(S19.share(&[0.0; 4]), 0.05);
    }
}

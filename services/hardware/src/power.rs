//! What must never be exceeded, judged without IO: looks at a board, or at what all share, go in, a [`Fault`] comes out.
//!
//! Independent of adit-miner and of every message. The limits are the profile's.

use crate::{
    chain::ChainFault,
    parts::{BoardError, Fan},
    profile::{self, BoardProfile, Place, Profile},
};

/// Why a board, or all, are taken off power. The text is what a person reads in the status.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{name} at {rpm} rpm, must turn at {min}")]
    Fan { name: String, rpm: u32, min: u32 },
    #[error("{name} at {celsius:.1} °C, limit {max:.1}")]
    Hot { name: String, celsius: f64, max: f64 },
    #[error("{0} cannot be read")]
    SensorLost(String),
    #[error("{name} at {volts:.3} V, must be {min:.3} to {max:.3}")]
    Rail { name: String, volts: f64, min: f64, max: f64 },
    #[error("board at {celsius:.1} °C, power waits for {max:.1}")]
    StillWarm { celsius: f64, max: f64 },
    #[error("safe state not reached: {0}")]
    NotSafe(String),
    #[error("{0}")]
    Silent(String),
    /// Not plugged in.
    #[error("{0}")]
    Absent(String),
    /// What all boards share is off.
    #[error("off with the machine")]
    Shared,
    /// A board that has no switch of its own.
    #[error("{board}: {fault}")]
    OfBoard { board: String, fault: String },
    #[error(transparent)]
    Board(#[from] BoardError),
    #[error("chain {chain}: {fault}")]
    Chain { chain: u8, fault: ChainFault },
}

impl Fault {
    pub(crate) fn fan(fan: &Fan, rpm: u32) -> Self {
        Self::Fan { name: fan.name.clone(), rpm, min: fan.min_rpm }
    }

    pub(crate) fn rail(name: &str, volts: f64, min: f64, max: f64) -> Self {
        Self::Rail { name: name.into(), volts, min, max }
    }

    /// Heat, or not knowing about it: holding the chips in reset is not enough.
    pub(crate) fn needs_power_off(&self) -> bool {
        matches!(
            self,
            Self::Hot { .. } | Self::SensorLost(_) | Self::Fan { .. } | Self::Silent(_) | Self::NotSafe(_)
        )
    }
}

/// One look at a board, or at what all share; `None`: could not be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sample {
    /// The controller does not answer at all, and why.
    pub silent: Option<String>,
    pub rail_volts: Option<f64>,
    /// For people only; the regulator has a limit of its own.
    pub rail_amperes: Option<f64>,
    /// In the profile's order, as are sensors.
    pub fans: Vec<Option<u32>>,
    pub sensors: Vec<Option<f64>>,
}

/// Judges the looks of one powered period.
#[derive(Debug)]
pub(crate) struct Judge {
    bad_looks: u32,
    settle_ms: u32,
    silent: u32,
    rail: Option<Watched<(f64, f64)>>,
    fans: Vec<Watched<u32>>,
    sensors: Vec<(Place, Watched<f64>)>,
}

/// A part, its limit, and how many looks in a row were bad.
#[derive(Debug)]
struct Watched<T> {
    name: String,
    limit: T,
    bad: u32,
}

impl<T> Watched<T> {
    fn new(name: impl Into<String>, limit: T) -> Self {
        Self { name: name.into(), limit, bad: 0 }
    }

    /// Counts a look; true when it is one too many.
    fn counts(&mut self, is_bad: bool, most: u32) -> bool {
        self.bad = if is_bad { self.bad + 1 } else { 0 };
        self.bad >= most
    }
}

impl Judge {
    pub(crate) fn of_board(profile: &Profile, board: &BoardProfile) -> Self {
        let rail = board.rail.as_ref().map(|rail| Watched::new("rail", (rail.min_volts, rail.max_volts)));
        Self { rail, ..Self::of_parts(profile, &board.fan, &board.sensor) }
    }

    /// What all boards share.
    pub(crate) fn of_shared(profile: &Profile) -> Self {
        let supply = profile.psu.as_ref().map(|psu| Watched::new("supply", (psu.min_volts, psu.max_volts)));
        Self { rail: supply, ..Self::of_parts(profile, &profile.fan, &profile.sensor) }
    }

    fn of_parts(profile: &Profile, fans: &[profile::Fan], sensors: &[profile::Sensor]) -> Self {
        let limits = &profile.temperature;
        let sensor = |sensor: &profile::Sensor| {
            let (name, limit) = match sensor.of {
                Place::Chip => ("chip", limits.max_chip_celsius),
                Place::Board => ("board", limits.max_board_celsius),
                // Only with a limit of its own, as the checks see to.
                Place::Intake => ("intake", f64::NEG_INFINITY),
            };
            (sensor.of, Watched::new(name, sensor.max_celsius.unwrap_or(limit)))
        };
        Self {
            bad_looks: profile.safety.bad_looks,
            settle_ms: limits.settle_ms,
            silent: 0,
            rail: None,
            fans: fans.iter().map(|fan| Watched::new(&fan.name, fan.min_rpm)).collect(),
            sensors: sensors.iter().map(sensor).collect(),
        }
    }

    /// `powered_ms`: since reset was released; a chip's sensor is not judged before it has settled.
    pub(crate) fn look(&mut self, sample: &Sample, powered_ms: u64) -> Result<(), Fault> {
        let most = self.bad_looks;
        if let Some(silent) = &sample.silent {
            self.silent += 1;
            return if self.silent >= most { Err(Fault::Silent(silent.clone())) } else { Ok(()) };
        }
        self.silent = 0;

        for (index, (of, sensor)) in self.sensors.iter_mut().enumerate() {
            if *of == Place::Chip && powered_ms < u64::from(self.settle_ms) {
                sensor.bad = 0;
                continue;
            }
            match sample.sensors.get(index).copied().flatten() {
                Some(celsius) if celsius >= sensor.limit => {
                    return Err(Fault::Hot { name: sensor.name.clone(), celsius, max: sensor.limit });
                }
                reading => {
                    // A NaN is no reading.
                    if sensor.counts(reading.is_none_or(f64::is_nan), most) {
                        return Err(Fault::SensorLost(format!("{} temperature", sensor.name)));
                    }
                }
            }
        }
        for (index, fan) in self.fans.iter_mut().enumerate() {
            let rpm = sample.fans.get(index).copied().flatten();
            if fan.counts(rpm.is_none_or(|rpm| rpm < fan.limit), most) {
                return Err(match rpm {
                    Some(rpm) => Fault::Fan { name: fan.name.clone(), rpm, min: fan.limit },
                    None => Fault::SensorLost(format!("{} speed", fan.name)),
                });
            }
        }
        if let Some(rail) = &mut self.rail {
            let (min, max) = rail.limit;
            // Not `contains`: a NaN must not pass.
            let within = sample.rail_volts.is_some_and(|volts| volts >= min && volts <= max);
            if rail.counts(!within, most) {
                return Err(match sample.rail_volts {
                    Some(volts) => Fault::Rail { name: rail.name.clone(), volts, min, max },
                    None => Fault::SensorLost(format!("{} voltage", rail.name)),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge() -> Judge {
        let text = include_str!("../../../overlay/etc/adit/machines/qemu-bitaxe.toml");
        let profile = Profile::parse(text).unwrap();
        Judge::of_board(&profile, &profile.board[0])
    }

    fn good() -> Sample {
        Sample {
            silent: None,
            rail_volts: Some(1.15),
            rail_amperes: None,
            fans: vec![Some(6900)],
            sensors: vec![Some(55.0), Some(35.0)],
        }
    }

    /// How many looks in a row it takes; `None`: ten do not.
    fn looks_until_fault(sample: &Sample) -> Option<(usize, String)> {
        let mut judge = judge();
        judge.look(&good(), 10_000).unwrap();
        (1..=10).find_map(|look| judge.look(sample, 10_000).err().map(|fault| (look, fault.to_string())))
    }

    #[test]
    fn a_good_machine_is_left_alone() {
        assert_eq!(looks_until_fault(&good()), None);
    }

    #[test]
    fn heat_counts_at_once() {
        let hot = Sample { sensors: vec![Some(75.0), Some(35.0)], ..good() };
        assert_eq!(looks_until_fault(&hot), Some((1, "chip at 75.0 °C, limit 75.0".into())));
        let hot = Sample { sensors: vec![Some(55.0), Some(71.5)], ..good() };
        assert_eq!(looks_until_fault(&hot), Some((1, "board at 71.5 °C, limit 70.0".into())));
    }

    #[test]
    fn everything_else_counts_when_it_lasts() {
        let table = [
            (Sample { fans: vec![Some(1999)], ..good() }, "fan at 1999 rpm, must turn at 2000"),
            (Sample { fans: vec![None], ..good() }, "fan speed cannot be read"),
            (Sample { rail_volts: Some(1.3), ..good() }, "rail at 1.300 V, must be 1.050 to 1.250"),
            (Sample { rail_volts: Some(0.0), ..good() }, "rail at 0.000 V, must be 1.050 to 1.250"),
            (Sample { rail_volts: Some(f64::NAN), ..good() }, "rail at NaN V, must be 1.050 to 1.250"),
            (Sample { rail_volts: None, ..good() }, "rail voltage cannot be read"),
            (Sample { sensors: vec![None, Some(35.0)], ..good() }, "chip temperature cannot be read"),
            (Sample { sensors: vec![Some(55.0), None], ..good() }, "board temperature cannot be read"),
            (Sample { silent: Some("silent".into()), ..Default::default() }, "silent"),
        ];
        for (sample, reason) in table {
            assert_eq!(looks_until_fault(&sample), Some((2, reason.into())));
        }
    }

    #[test]
    fn one_bad_look_is_forgotten() {
        let mut judge = judge();
        for _ in 0..10 {
            judge.look(&Sample { fans: vec![Some(0)], ..good() }, 10_000).unwrap();
            judge.look(&good(), 10_000).unwrap();
        }
    }

    #[test]
    fn a_chip_just_out_of_reset_is_not_judged_by_its_sensor() {
        let mut judge = judge();
        for _ in 0..5 {
            judge.look(&Sample { sensors: vec![None, Some(35.0)], ..good() }, 1000).unwrap();
            judge.look(&Sample { sensors: vec![Some(126.0), Some(35.0)], ..good() }, 1000).unwrap();
        }
        assert!(judge.look(&Sample { sensors: vec![Some(126.0), Some(35.0)], ..good() }, 1500).is_err());
    }
}

//! What must never be exceeded, judged without IO: looks at the machine go in, a [`Fault`] comes out.
//!
//! Independent of adit-miner and of every message. The limits are the profile's.

use crate::{
    board::BoardError,
    chain::ChainFault,
    profile::{Profile, Safety, Temperature},
};

/// Why the machine is taken off power. The text is what a person reads in the status.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("fan at {rpm} rpm, must turn at {min}")]
    Fan { rpm: u32, min: u32 },
    #[error("chip at {celsius:.1} °C, limit {max:.1}")]
    ChipHot { celsius: f64, max: f64 },
    #[error("board at {celsius:.1} °C, limit {max:.1}")]
    BoardHot { celsius: f64, max: f64 },
    #[error("{0} cannot be read")]
    SensorLost(&'static str),
    #[error("rail at {volts:.3} V, must be {min:.3} to {max:.3}")]
    Rail { volts: f64, min: f64, max: f64 },
    #[error("board at {celsius:.1} °C, power waits for {max:.1}")]
    StillWarm { celsius: f64, max: f64 },
    #[error("safe state not reached: {0}")]
    NotSafe(String),
    #[error("{0}")]
    Silent(String),
    #[error(transparent)]
    Board(#[from] BoardError),
    #[error("chain {chain}: {fault}")]
    Chain { chain: u8, fault: ChainFault },
}

/// One look at the machine; `None`: could not be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sample {
    /// The board controller does not answer at all, and why.
    pub silent: Option<String>,
    pub rail_volts: Option<f64>,
    pub fan_rpm: Option<u32>,
    pub chip_celsius: Option<f64>,
    pub board_celsius: Option<f64>,
}

/// Looks that were bad in a row, one count a hazard.
#[derive(Debug, Default)]
struct Bad {
    silent: u32,
    rail: u32,
    fan: u32,
    chip_sensor: u32,
    board_sensor: u32,
}

/// Judges the looks of one powered period.
#[derive(Debug)]
pub(crate) struct Judge {
    limits: Limits,
    bad: Bad,
}

#[derive(Debug)]
struct Limits {
    temperature: Temperature,
    min_rpm: u32,
    min_volts: f64,
    max_volts: f64,
    bad_looks: u32,
}

impl Judge {
    pub(crate) fn new(profile: &Profile) -> Self {
        let Safety { bad_looks, .. } = profile.safety;
        let limits = Limits {
            temperature: profile.temperature.clone(),
            min_rpm: profile.fan.min_rpm,
            min_volts: profile.rail.min_volts,
            max_volts: profile.rail.max_volts,
            bad_looks,
        };
        Self { limits, bad: Bad::default() }
    }

    /// `powered_ms`: since reset was released; a chip's sensor is not judged before it has settled.
    pub(crate) fn look(&mut self, sample: &Sample, powered_ms: u64) -> Result<(), Fault> {
        let Self { limits, bad } = self;
        let counts = |count: &mut u32, is_bad: bool| {
            *count = if is_bad { *count + 1 } else { 0 };
            *count >= limits.bad_looks
        };
        if counts(&mut bad.silent, sample.silent.is_some()) {
            return Err(Fault::Silent(sample.silent.clone().unwrap_or_default()));
        }
        if sample.silent.is_some() {
            return Ok(());
        }

        let settled = powered_ms >= u64::from(limits.temperature.settle_ms);
        match sample.chip_celsius {
            Some(celsius) if settled && celsius >= limits.temperature.max_chip_celsius => {
                return Err(Fault::ChipHot { celsius, max: limits.temperature.max_chip_celsius });
            }
            reading => {
                if counts(&mut bad.chip_sensor, settled && reading.is_none()) {
                    return Err(Fault::SensorLost("chip temperature"));
                }
            }
        }
        match sample.board_celsius {
            Some(celsius) if celsius >= limits.temperature.max_board_celsius => {
                return Err(Fault::BoardHot { celsius, max: limits.temperature.max_board_celsius });
            }
            reading => {
                if counts(&mut bad.board_sensor, reading.is_none()) {
                    return Err(Fault::SensorLost("board temperature"));
                }
            }
        }
        let slow = sample.fan_rpm.is_none_or(|rpm| rpm < limits.min_rpm);
        if counts(&mut bad.fan, slow) {
            return Err(match sample.fan_rpm {
                Some(rpm) => Fault::Fan { rpm, min: limits.min_rpm },
                None => Fault::SensorLost("fan speed"),
            });
        }
        // Not `contains`: a NaN must not pass.
        let within = sample.rail_volts.is_some_and(|v| v >= limits.min_volts && v <= limits.max_volts);
        if counts(&mut bad.rail, !within) {
            return Err(match sample.rail_volts {
                Some(volts) => Fault::Rail { volts, min: limits.min_volts, max: limits.max_volts },
                None => Fault::SensorLost("rail voltage"),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge() -> Judge {
        let text = include_str!("../../../overlay/etc/adit/machines/qemu-bitaxe.toml");
        Judge::new(&Profile::parse(text).unwrap())
    }

    fn good() -> Sample {
        Sample {
            silent: None,
            rail_volts: Some(1.15),
            fan_rpm: Some(6900),
            chip_celsius: Some(55.0),
            board_celsius: Some(35.0),
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
        let hot = Sample { chip_celsius: Some(75.0), ..good() };
        assert_eq!(looks_until_fault(&hot), Some((1, "chip at 75.0 °C, limit 75.0".into())));
        let hot = Sample { board_celsius: Some(71.5), ..good() };
        assert_eq!(looks_until_fault(&hot), Some((1, "board at 71.5 °C, limit 70.0".into())));
    }

    #[test]
    fn everything_else_counts_when_it_lasts() {
        let table = [
            (Sample { fan_rpm: Some(1999), ..good() }, "fan at 1999 rpm, must turn at 2000"),
            (Sample { fan_rpm: None, ..good() }, "fan speed cannot be read"),
            (Sample { rail_volts: Some(1.3), ..good() }, "rail at 1.300 V, must be 1.050 to 1.250"),
            (Sample { rail_volts: Some(0.0), ..good() }, "rail at 0.000 V, must be 1.050 to 1.250"),
            (Sample { rail_volts: Some(f64::NAN), ..good() }, "rail at NaN V, must be 1.050 to 1.250"),
            (Sample { rail_volts: None, ..good() }, "rail voltage cannot be read"),
            (Sample { chip_celsius: None, ..good() }, "chip temperature cannot be read"),
            (Sample { board_celsius: None, ..good() }, "board temperature cannot be read"),
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
            judge.look(&Sample { fan_rpm: Some(0), ..good() }, 10_000).unwrap();
            judge.look(&good(), 10_000).unwrap();
        }
    }

    #[test]
    fn a_chip_just_out_of_reset_is_not_judged_by_its_sensor() {
        let mut judge = judge();
        for _ in 0..5 {
            judge.look(&Sample { chip_celsius: None, ..good() }, 1000).unwrap();
            judge.look(&Sample { chip_celsius: Some(126.0), ..good() }, 1000).unwrap();
        }
        assert!(judge.look(&Sample { chip_celsius: Some(126.0), ..good() }, 1500).is_err());
    }
}

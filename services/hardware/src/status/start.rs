//! The status as it is before anything was looked at: what the profile says. And faults in the door's words.

use adit_asic::Chip;
use adit_bus::hardware::{
    BoardStatus, ChainStatus, ChipStatus, FanStatus, FaultStatus, HardwareStatus, PsuStatus, SensorStatus,
};

use super::{Stage, Told};
use crate::{
    parts::BoardError,
    power::Fault,
    profile::{Fan, Place, Profile, Sensor},
    safety::{Cause, Clears, Evidence},
};

/// Fans and sensors of a board, or of the machine: where they begin in the status' lists, and what they are compared with.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) fans: usize,
    pub(super) sensors: usize,
    /// By fan.
    pub(super) min_rpm: Vec<u32>,
    /// By sensor: it tells of a chip.
    pub(super) of_chips: Vec<bool>,
}

impl Part {
    fn new(fans: &[Fan], sensors: &[Sensor], at: (usize, usize)) -> Self {
        Self {
            fans: at.0,
            sensors: at.1,
            min_rpm: fans.iter().map(|fan| fan.min_rpm).collect(),
            of_chips: sensors.iter().map(|sensor| sensor.of == Place::Chip).collect(),
        }
    }

    /// The machine's own are in front.
    pub(super) fn of_machine(profile: &Profile) -> Self {
        Self::new(&profile.fan, &profile.sensor, (0, 0))
    }
}

/// The boards' follow, one board after the other.
pub(super) fn boards(profile: &Profile) -> impl Iterator<Item = Part> {
    let mut at = (profile.fan.len(), profile.sensor.len());
    profile.board.iter().map(move |board| {
        let part = Part::new(&board.fan, &board.sensor, at);
        at = (at.0 + board.fan.len(), at.1 + board.sensor.len());
        part
    })
}

pub(super) fn told(profile: &Profile) -> Told {
    let places = || profile.board.iter().zip(0..);
    let board_fans = places().flat_map(|(board, index)| board.fan.iter().map(move |of| (of, Some(index))));
    let board_sensors =
        places().flat_map(|(board, index)| board.sensor.iter().map(move |of| (of, Some(index))));
    let fans: Vec<FanStatus> =
        profile.fan.iter().map(|of| (of, None)).chain(board_fans).map(|(of, board)| fan(of, board)).collect();
    let sensors = profile.sensor.iter().map(|of| (of, None)).chain(board_sensors);
    Told {
        machine: HardwareStatus {
            machine: profile.name.clone(),
            simulated: profile.simulated,
            untested: profile.untested,
            stage: Stage::Off.name().into(),
            fan_rpm: vec![0; fans.len()],
            chains: places().map(|(board, index)| chain(&board.chain, index)).collect(),
            boards: places()
                .map(|(board, index)| BoardStatus {
                    board: index,
                    name: board.name.clone(),
                    state: Stage::Off.name().into(),
                    watts: f64::NAN,
                    target_volts: board.rail.as_ref().map_or(f64::NAN, |rail| rail.volts),
                    ..Default::default()
                })
                .collect(),
            sensors: sensors.map(|(of, board)| sensor(of, board)).collect(),
            fans,
            psu: profile.psu.as_ref().map(|psu| PsuStatus {
                model: psu.part.name().into(),
                state: "off".into(),
                volts: f64::NAN,
                watts: f64::NAN,
            }),
            ..Default::default()
        },
        chips: profile.board.iter().map(|board| chips(board.chain.chip(), board.chain.chips)).collect(),
    }
}

fn chain(chain: &crate::profile::ChainProfile, index: u8) -> ChainStatus {
    ChainStatus {
        chain: index,
        board: index,
        chip: chain.chip.clone(),
        chips_expected: chain.chips,
        target_mhz: chain.mhz,
        min_mhz: chain.ramp.start_mhz,
        max_mhz: chain.max_mhz,
        throttle_mhz: f64::NAN,
        ticket_bits: chain.base_bits + chain.ticket_bits,
        chip_celsius: f64::NAN,
        die_celsius: f64::NAN,
        ..Default::default()
    }
}

fn chips(chip: &Chip, count: u16) -> Vec<ChipStatus> {
    let at = |place| ChipStatus {
        place,
        address: chip.address(place, count),
        die_celsius: f64::NAN,
        ..Default::default()
    };
    (0..count).map(at).collect()
}

fn fan(fan: &Fan, board: Option<u8>) -> FanStatus {
    FanStatus { name: fan.name.clone(), board, rpm: 0, duty_percent: f64::NAN, state: "unknown".into() }
}

fn sensor(sensor: &Sensor, board: Option<u8>) -> SensorStatus {
    SensorStatus {
        name: sensor.name.clone(),
        part: sensor.part.name().into(),
        board,
        celsius: f64::NAN,
        state: "unknown".into(),
    }
}

/// What took power off. Only what the safety core has latched for a person waits for one; all else the driver tries again by itself.
pub(super) fn described(fault: &Fault, board: Option<u8>, reason: &str) -> FaultStatus {
    let (cause, part, value, unit) = match fault {
        Fault::Ruled { cause: Some(cause), .. } => {
            let (value, unit) = measured(&cause.evidence);
            (cause.hazard.name(), cause.part.clone(), value, unit)
        }
        Fault::Ruled { cause: None, .. } => ("unproven", "board".into(), f64::NAN, ""),
        Fault::Fan { name, rpm, .. } => ("fan stopped", name.clone(), f64::from(*rpm), "rpm"),
        Fault::StillWarm { celsius, .. } => ("board warm", "board".into(), *celsius, "°C"),
        Fault::SensorLost(what) => ("sensor lost", what.clone(), f64::NAN, ""),
        Fault::Rail { name, volts, max, .. } => {
            (if volts > max { "voltage high" } else { "voltage low" }, name.clone(), *volts, "V")
        }
        Fault::NotSafe(_) => ("rail still on", "rail".into(), f64::NAN, ""),
        Fault::Board(BoardError::StillOn { volts }) => ("rail still on", "rail".into(), *volts, "V"),
        Fault::Board(error) if error.is_silence() => ("controller silent", "controller".into(), f64::NAN, ""),
        Fault::Board(_) => ("part silent", "board".into(), f64::NAN, ""),
        Fault::Identity(_) => ("wrong board", "EEPROM".into(), f64::NAN, ""),
        Fault::Chain { chain, .. } => ("chain", format!("chain {chain}"), f64::NAN, ""),
        Fault::OfBoard { board, .. } => ("board without a switch", board.clone(), f64::NAN, ""),
        Fault::Absent(_) | Fault::Shared => ("off with the machine", "machine".into(), f64::NAN, ""),
    };
    let needs_clearing =
        matches!(fault, Fault::Ruled { cause: Some(cause), .. } if cause.clears == Clears::Person);
    FaultStatus { needs_clearing, ..fault_of(board, cause, part, reason, (value, unit)) }
}

/// What slows a board, or all, down.
pub(super) fn throttle(cause: &Cause, board: Option<u8>) -> FaultStatus {
    let reason = cause.to_string();
    let fault = fault_of(board, cause.hazard.name(), cause.part.clone(), &reason, measured(&cause.evidence));
    FaultStatus { stage: "throttle".into(), ..fault }
}

/// Value and unit.
fn measured(evidence: &Evidence) -> (f64, &'static str) {
    match evidence {
        Evidence::Measured { value, unit, .. } => (*value, unit),
        _ => (f64::NAN, ""),
    }
}

/// What may not have power: nobody has confirmed how it is wired, or nothing here can drive it.
pub(super) fn refusal(board: Option<u8>, reason: &str) -> FaultStatus {
    fault_of(board, "not to be powered", "profile".into(), reason, (f64::NAN, ""))
}

fn fault_of(
    board: Option<u8>,
    cause: &str,
    part: String,
    reason: &str,
    (value, unit): (f64, &str),
) -> FaultStatus {
    FaultStatus {
        cause: cause.into(),
        part,
        board,
        value,
        unit: unit.into(),
        text: reason.into(),
        stage: if board.is_some() { "chain off" } else { "all off" }.into(),
        since_ms: adit_sys::clock::monotonic_us() / 1000,
        needs_clearing: false,
    }
}

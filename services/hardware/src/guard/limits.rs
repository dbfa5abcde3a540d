//! A profile as the safety core wants it.

use std::time::Duration;

use adit_asic::Quantity;

use crate::{
    parts::{FALL, OFF_SHARE},
    profile::{self, BoardProfile, Place, Profile},
    safety::{
        BoardLimits, ControllerLimits, Cooling, FanLimits, Frozen, Hazard, Limits, Parts, Physics, PsuLimits,
        RailLimits, Reads, SensorKind, SensorLimits, Supply,
    },
};

/// Below the limit that cuts power, chips are slowed down.
pub(crate) const WARM_BELOW: f64 = 5.0;
const HYSTERESIS: f64 = 3.0;
/// From power to a chain that hashes, so that what hangs on its chips can be asked.
const BEHIND_CHIPS: Duration = Duration::from_secs(30);
/// A meter may show a little less than nothing.
const LEAST_AMPERES: f64 = -2.0;
/// From switching a supply on to its saying so.
const PSU_SETTLE: Duration = Duration::from_secs(2);
/// How old a reading may be while nobody waits for anything.
const STALE: Duration = Duration::from_secs(3);
/// A die tells its temperature every eight seconds, and each reading is looked at again until the next one: how far they may be apart.
const DIE: Physics = Physics { lowest: -40.0, highest: 150.0, kelvin_per_second: 10.0, slack: 90.0 };

fn ms(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

impl Limits {
    pub(crate) fn of(profile: &Profile) -> Self {
        let mut limits = Self {
            cooling: if profile.immersed { Cooling::Immersion } else { Cooling::Air },
            shared: parts(profile, &profile.fan, &profile.sensor, profile.psu.iter().map(supply).collect()),
            psu: profile.psu.as_ref().map(|psu| PsuLimits {
                name: psu.part.name().into(),
                has_heartbeat: true,
                settle: PSU_SETTLE,
            }),
            boards: profile.board.iter().map(|board| of_board(profile, board)).collect(),
            ..Self::default()
        };
        // Nobody looks while fans spin up and rails rise.
        limits.stale = STALE + longest_wait(profile);
        let looks = profile.safety.interval_ms * profile.safety.bad_looks.saturating_sub(1);
        for hazard in [
            Hazard::SensorLost,
            Hazard::SensorAbsurd,
            Hazard::VoltageLow,
            Hazard::VoltageHigh,
            Hazard::Current,
            Hazard::ControllerSilent,
        ] {
            limits.rules[hazard].chain_off = Some(ms(looks));
        }
        limits.rules[Hazard::FanStopped].throttle = Some(ms(looks));
        let silent = &mut limits.rules[Hazard::ControllerSilent];
        silent.all_off = silent.all_off.max(silent.chain_off);
        limits
    }
}

fn longest_wait(profile: &Profile) -> Duration {
    let boards = profile.board.iter();
    let rails =
        boards.clone().flat_map(|board| board.rail.iter().map(|rail| rail.rise_ms + board.reset_settle_ms));
    let fans = boards.flat_map(|board| &board.fan).chain(&profile.fan).map(|fan| fan.spin_up_ms);
    let supply = profile.psu.iter().map(|psu| psu.rise_ms.max(psu.fall_ms));
    ms(rails.chain(fans).chain(supply).max().unwrap_or(0))
}

fn of_board(profile: &Profile, board: &BoardProfile) -> BoardLimits {
    let rails = board.rail.iter().filter(|rail| rail.is_measured()).map(|rail| RailLimits {
        name: "rail".into(),
        min_volts: rail.min_volts,
        max_volts: rail.max_volts,
        off_volts: rail.volts * OFF_SHARE,
        // Power counts from the end of switching on, which has waited for it.
        rise: Duration::ZERO,
        fall: FALL,
        reads: Reads::Always,
        amperes: rail.part.most_amperes().map(|most| (LEAST_AMPERES, most)),
    });
    let mut parts = parts(profile, &board.fan, &board.sensor, rails.collect());
    if let Some(watts) = board.watts {
        let heated = parts.sensors.iter_mut().filter(|sensor| sensor.kind != SensorKind::Intake);
        heated.for_each(|sensor| sensor.frozen = Some(Frozen::on_a_board_of(watts)));
    }
    parts.sensors.extend(die(profile, board));
    BoardLimits {
        name: board.name.clone(),
        supply: match (&profile.psu, &board.rail) {
            (None, _) => Supply::Own,
            (Some(_), Some(_)) => Supply::Switched,
            (Some(_), None) => Supply::Common,
        },
        parts,
        controller: Some(ControllerLimits {
            name: "controller".into(),
            reads: Reads::Always,
            settle: Duration::ZERO,
        }),
        has_identity: board.eeprom.is_some(),
    }
}

fn supply(psu: &profile::Psu) -> RailLimits {
    RailLimits {
        name: "supply".into(),
        min_volts: psu.min_volts,
        max_volts: psu.max_volts,
        off_volts: psu.volts * OFF_SHARE,
        rise: Duration::ZERO,
        fall: ms(psu.fall_ms),
        reads: Reads::Always,
        amperes: None,
    }
}

fn parts(
    profile: &Profile,
    fans: &[profile::Fan],
    sensors: &[profile::Sensor],
    rails: Vec<RailLimits>,
) -> Parts {
    let fan = |fan: &profile::Fan| FanLimits {
        name: fan.name.clone(),
        min_rpm: fan.min_rpm.into(),
        full_rpm: fan.full_rpm.map(f64::from),
        slow_share: 0.6,
        spin_up: ms(fan.spin_up_ms),
    };
    Parts {
        sensors: sensors.iter().filter_map(|sensor| of_sensor(profile, sensor)).collect(),
        fans: fans.iter().map(fan).collect(),
        // As today: every one of them. A profile may come to say that fewer will do.
        fans_needed: fans.len(),
        rails,
    }
}

/// `None`: is only shown.
pub(crate) fn of_sensor(profile: &Profile, sensor: &profile::Sensor) -> Option<SensorLimits> {
    let limits = &profile.temperature;
    let (kind, max) = match sensor.of {
        Place::Chip => (SensorKind::Chip, limits.max_chip_celsius),
        Place::Board => (SensorKind::Board, limits.max_board_celsius),
        Place::Intake => (SensorKind::Intake, sensor.max_celsius?),
    };
    let max = sensor.max_celsius.unwrap_or(max);
    let behind = sensor.part.is_behind_chip();
    Some(SensorLimits {
        name: sensor.name.clone(),
        reads: if kind == SensorKind::Chip || behind { Reads::WithBoard } else { Reads::Always },
        settle: if behind { BEHIND_CHIPS } else { ms(limits.settle_ms) },
        ..thermometer(kind, max, limits.start_board_celsius)
    })
}

/// The hottest of a board's chips, where these tell themselves. They do while they hash only, so that their silence is no fault: how hot the board is, its sensors must tell.
pub(crate) fn die(profile: &Profile, board: &BoardProfile) -> Option<SensorLimits> {
    let registers = board.chain.chip().telemetry.registers;
    let tell = registers.iter().any(|(_, quantity)| *quantity == Quantity::Temperature);
    let limits = &profile.temperature;
    tell.then(|| SensorLimits {
        name: "die".into(),
        must_speak: false,
        physics: DIE,
        ..thermometer(SensorKind::Chip, limits.max_chip_celsius, limits.start_board_celsius)
    })
}

fn thermometer(kind: SensorKind, max: f64, start_board_celsius: f64) -> SensorLimits {
    let warm = max - WARM_BELOW;
    // What may be warmed up to a limit that is not above where power waits is cool just below that limit.
    let cool = match kind {
        SensorKind::Intake | SensorKind::Psu => warm - HYSTERESIS - 1.0,
        SensorKind::Chip | SensorKind::Board => start_board_celsius.min(warm - 2.0 * HYSTERESIS),
    };
    SensorLimits {
        name: String::new(),
        kind,
        warm,
        max,
        cool,
        hysteresis: HYSTERESIS,
        reads: Reads::WithBoard,
        settle: Duration::ZERO,
        must_speak: true,
        physics: Physics::default(),
        frozen: None,
    }
}

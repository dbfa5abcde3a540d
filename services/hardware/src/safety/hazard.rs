//! The table: what can go wrong, how soon each stage answers it, and who ends that. `docs/safety.md` shows it to people; a test holds the two together.

use std::{
    fmt,
    ops::{Index, IndexMut},
    time::Duration,
};

/// What a board or the machine may do at most. Later is stricter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    #[default]
    Run,
    /// The rail stays on; chips at the lowest frequency of their ramp.
    Throttle,
    /// This board without power: rail off, reset held.
    ChainOff,
    /// All boards so, and the PSU's output off.
    AllOff,
}

use Clears::{Itself, Person};

/// Who ends a stage that cuts power. A throttle always ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clears {
    /// When its cause has been away for [`Rule::well`].
    Itself,
    /// When somebody says so *and* its cause is away.
    Person,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hazard {
    ChipWarm,
    ChipHot,
    BoardWarm,
    BoardHot,
    PsuWarm,
    PsuHot,
    IntakeWarm,
    IntakeHot,
    SensorLost,
    SensorAbsurd,
    SensorFrozen,
    FanSlow,
    FanStopped,
    FansTooFew,
    VoltageLow,
    VoltageHigh,
    Current,
    StillOn,
    ControllerSilent,
    PsuSilent,
    PsuFault,
    ControlSilent,
    WrongBoard,
}

/// One row: the time from the first bad reading (silence: from the last sign of life) to each stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub hazard: Hazard,
    pub name: &'static str,
    pub throttle: Option<Duration>,
    pub chain_off: Option<Duration>,
    pub all_off: Option<Duration>,
    /// How long all must be well before a cause ends by itself.
    pub well: Duration,
    pub clears: Clears,
}

const NEVER: Option<Duration> = None;

const fn s(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

const fn row(
    hazard: Hazard,
    name: &'static str,
    [throttle, chain_off, all_off]: [Option<Duration>; 3],
    well_s: u64,
    clears: Clears,
) -> Rule {
    Rule { hazard, name, throttle, chain_off, all_off, well: Duration::from_secs(well_s), clears }
}

/// Default times, in the order of [`Hazard`].
///
/// One second is two looks, one a second: a single bad look is forgotten. Heat at its limit is not: the first look cuts. What a stage asks for takes no longer than a second; where the next
/// stage follows, the times leave the earlier one room to show whether it helped.
#[rustfmt::skip]
pub const TABLE: [Rule; 23] = [
    //                                                     throttle chain off all off   well s, ends
    row(Hazard::ChipWarm,         "chip warm",             [s(2),   NEVER,    NEVER],   30, Itself),
    row(Hazard::ChipHot,          "chip hot",              [NEVER,  s(0),     s(30)],   10, Itself),
    row(Hazard::BoardWarm,        "board warm",            [s(2),   NEVER,    NEVER],   30, Itself),
    row(Hazard::BoardHot,         "board hot",             [NEVER,  s(0),     s(60)],   10, Itself),
    row(Hazard::PsuWarm,          "PSU warm",              [s(2),   NEVER,    NEVER],   30, Itself),
    row(Hazard::PsuHot,           "PSU hot",               [NEVER,  NEVER,    s(0)],    10, Itself),
    row(Hazard::IntakeWarm,       "intake warm",           [s(2),   NEVER,    NEVER],   30, Itself),
    row(Hazard::IntakeHot,        "intake hot",            [NEVER,  NEVER,    s(0)],    10, Itself),
    row(Hazard::SensorLost,       "sensor lost",           [NEVER,  s(1),     NEVER],   10, Itself),
    row(Hazard::SensorAbsurd,     "sensor absurd",         [NEVER,  s(1),     NEVER],   10, Itself),
    row(Hazard::SensorFrozen,     "sensor frozen",         [s(0),   s(60),    NEVER],   10, Person),
    row(Hazard::FanSlow,          "fan slow",              [s(10),  NEVER,    NEVER],   30, Itself),
    row(Hazard::FanStopped,       "fan stopped",           [s(1),   NEVER,    NEVER],   10, Itself),
    row(Hazard::FansTooFew,       "too few fans",          [NEVER,  s(0),     NEVER],   0,  Itself),
    row(Hazard::VoltageLow,       "voltage low",           [NEVER,  s(1),     NEVER],   1,  Itself),
    row(Hazard::VoltageHigh,      "voltage high",          [NEVER,  s(1),     NEVER],   1,  Person),
    row(Hazard::Current,          "current out of range",  [NEVER,  s(1),     NEVER],   1,  Person),
    row(Hazard::StillOn,          "rail still on",         [NEVER,  NEVER,    s(3)],    1,  Person),
    row(Hazard::ControllerSilent, "controller silent",     [NEVER,  s(1),     s(5)],    3,  Itself),
    row(Hazard::PsuSilent,        "PSU heartbeat lost",    [s(20),  NEVER,    s(40)],   3,  Itself),
    row(Hazard::PsuFault,         "PSU fault",             [NEVER,  NEVER,    s(1)],    10, Itself),
    row(Hazard::ControlSilent,    "control loop silent",   [s(5),   NEVER,    s(60)],   0,  Itself),
    row(Hazard::WrongBoard,       "wrong board",           [NEVER,  s(0),     NEVER],   0,  Itself),
];

impl Rule {
    /// Who ends `stage`.
    pub fn ends(&self, stage: Stage) -> Clears {
        if stage <= Stage::Throttle { Itself } else { self.clears }
    }

    /// The strictest stage that is due when the cause has lasted for `elapsed`.
    pub fn due(&self, elapsed: Duration) -> Option<Stage> {
        [(self.all_off, Stage::AllOff), (self.chain_off, Stage::ChainOff), (self.throttle, Stage::Throttle)]
            .into_iter()
            .find_map(|(after, stage)| (elapsed >= after?).then_some(stage))
    }
}

impl Hazard {
    pub fn name(self) -> &'static str {
        TABLE[self as usize].name
    }
}

impl fmt::Display for Hazard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The table as one machine has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules([Rule; TABLE.len()]);

impl Default for Rules {
    fn default() -> Self {
        Self(TABLE)
    }
}

impl Rules {
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }
}

impl Index<Hazard> for Rules {
    type Output = Rule;

    fn index(&self, hazard: Hazard) -> &Rule {
        &self.0[hazard as usize]
    }
}

impl IndexMut<Hazard> for Rules {
    fn index_mut(&mut self, hazard: Hazard) -> &mut Rule {
        &mut self.0[hazard as usize]
    }
}

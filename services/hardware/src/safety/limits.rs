//! The limits of one machine, as plain values. Its profile fills them; no message can.
//!
//! Temperatures in °C, times as [`Duration`]s. [`Limits::check`] refuses what would leave a hazard without its reaction.

use std::time::Duration;

use super::{
    Hazard,
    hazard::{Rules, Stage},
};

/// How the unit loses its heat: a fact of how it was put up, read once with the profile. There is no way to change it in a running driver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cooling {
    #[default]
    Air,
    /// In a liquid: no fan is watched or asked for. The other limits are the profile's for immersion.
    Immersion,
}

/// One machine. Times of reaction stand in `rules`.
#[derive(Debug, Clone)]
pub struct Limits {
    pub cooling: Cooling,
    pub rules: Rules,
    /// A reading that is older than this is one that could not be had.
    pub stale: Duration,
    /// Without power for so long, a board whose sensors cannot be read counts as cool.
    pub cools_in: Duration,
    /// What all boards share: their fans, sensors at the PSU or the inlet.
    pub shared: Parts,
    pub psu: Option<PsuLimits>,
    pub boards: Vec<BoardLimits>,
}

/// No machine: what a profile leaves as it is.
impl Default for Limits {
    fn default() -> Self {
        Self {
            cooling: Cooling::Air,
            rules: Rules::default(),
            stale: Duration::from_secs(3),
            cools_in: Duration::from_secs(600),
            shared: Parts::default(),
            psu: None,
            boards: Vec::new(),
        }
    }
}

/// What a place, a board or the machine, has of each kind. Readings name a part by its index here.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    pub sensors: Vec<SensorLimits>,
    pub fans: Vec<FanLimits>,
    /// Fans that must turn; with fewer, power is cut.
    pub fans_needed: usize,
    pub rails: Vec<RailLimits>,
}

#[derive(Debug, Clone)]
pub struct BoardLimits {
    pub name: String,
    pub supply: Supply,
    pub parts: Parts,
    /// What answers for the board: its USB controller, its voltage controller.
    pub controller: Option<ControllerLimits>,
    /// The board has an EEPROM that must say what the profile says before it gets power.
    pub has_identity: bool,
}

/// What can take a board off power.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Supply {
    /// Its own switch, and nothing above it: all off would not help this board, only stop the others.
    #[default]
    Own,
    /// Its own switch behind the machine's PSU.
    Switched,
    /// The PSU alone: whoever cuts this board cuts all. Holding its reset is enough only while it waits.
    Common,
}

#[derive(Debug, Clone)]
pub struct ControllerLimits {
    pub name: String,
    pub reads: Reads,
    /// Says nothing for so long after what it needs has come on.
    pub settle: Duration,
}

#[derive(Debug, Clone)]
pub struct PsuLimits {
    pub name: String,
    /// Must answer again and again, which also keeps its own watchdog from cutting power. The rule's times must end before that watchdog does.
    pub has_heartbeat: bool,
    /// From switching its output on to its saying so.
    pub settle: Duration,
}

/// When a part can be read at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reads {
    #[default]
    Always,
    /// While the PSU's output is on.
    WithPsu,
    /// While its board has power, and some time after.
    WithBoard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SensorKind {
    Chip,
    Board,
    Psu,
    /// Air or liquid that comes in.
    Intake,
}

#[derive(Debug, Clone)]
pub struct SensorLimits {
    pub name: String,
    pub kind: SensorKind,
    /// From here on chips are slowed down …
    pub warm: f64,
    /// … and from here on power is cut, at the first look.
    pub max: f64,
    /// After that, and before power comes at all, it must be this cool.
    pub cool: f64,
    /// How far below `warm` (or above `cool`) it must get to count as no longer so.
    pub hysteresis: f64,
    pub reads: Reads,
    /// Tells nothing for so long after what it needs has come on.
    pub settle: Duration,
    /// Its silence is a fault. Where it is not, others tell of the same heat.
    pub must_speak: bool,
    pub physics: Physics,
    /// `None`: does not follow the chips' heat enough to be judged by it.
    pub frozen: Option<Frozen>,
}

/// What a sound sensor cannot show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Physics {
    pub lowest: f64,
    pub highest: f64,
    /// Fastest change in K/s, and how far a reading may be off besides.
    pub kelvin_per_second: f64,
    pub slack: f64,
}

impl Default for Physics {
    fn default() -> Self {
        Self { lowest: -40.0, highest: 150.0, kelvin_per_second: 10.0, slack: 10.0 }
    }
}

/// When a sensor whose value stays the same to the last bit is taken for frozen: not because time passes, but because what it measures cannot have stayed.
///
/// Heat is watts, divided by the share of full speed that its fans were told. It must have been elsewhere, by both `factor` and `watts`, for `response`, over `looks`. A coarse sensor on a quiet board
/// passes; one behind which power doubles and nothing moves does not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frozen {
    pub factor: f64,
    pub watts: f64,
    pub response: Duration,
    pub looks: u32,
}

impl Frozen {
    /// For a sensor on a board that takes `watts` at full power.
    pub fn on_a_board_of(watts: f64) -> Self {
        Self { factor: 2.0, watts: watts / 4.0, response: Duration::from_secs(60), looks: 20 }
    }
}

#[derive(Debug, Clone)]
pub struct FanLimits {
    pub name: String,
    /// Below this it counts as stopped.
    pub min_rpm: f64,
    /// At full speed; `None` where that is not known, and slowness is not judged.
    pub full_rpm: Option<f64>,
    /// Share of the speed that its drive makes one expect, below which it is slow.
    pub slow_share: f64,
    /// From rest to `min_rpm`, and from any speed to another.
    pub spin_up: Duration,
}

#[derive(Debug, Clone)]
pub struct RailLimits {
    pub name: String,
    pub min_volts: f64,
    pub max_volts: f64,
    /// Switched off, it must fall below this.
    pub off_volts: f64,
    /// From switching on to a voltage within limits.
    pub rise: Duration,
    /// From switching off to below `off_volts`.
    pub fall: Duration,
    /// When its voltage can be read.
    pub reads: Reads,
    /// Limits of its current, where that is measured.
    pub amperes: Option<(f64, f64)>,
}

/// Why no machine can be run by these limits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("{part}: {what}")]
    Part { part: String, what: &'static str },
    #[error("{0}: a later stage must not come sooner")]
    Order(Hazard),
    #[error("{0}: must cut power at the first look")]
    Late(Hazard),
    #[error("{0}: leads to no stage")]
    NoStage(Hazard),
}

impl Limits {
    pub fn check(&self) -> Result<(), Wrong> {
        self.rules.iter().try_for_each(|rule| {
            let steps: Vec<_> = [rule.throttle, rule.chain_off, rule.all_off].into_iter().flatten().collect();
            let hot =
                [Hazard::ChipHot, Hazard::BoardHot, Hazard::PsuHot, Hazard::IntakeHot].contains(&rule.hazard);
            let at_once = rule.due(Duration::ZERO) >= Some(Stage::ChainOff);
            let wrong = |is: bool, error: Wrong| if is { Err(error) } else { Ok(()) };
            wrong(steps.is_empty(), Wrong::NoStage(rule.hazard))?;
            wrong(!steps.is_sorted(), Wrong::Order(rule.hazard))?;
            wrong(hot && !at_once, Wrong::Late(rule.hazard))
        })?;
        refuse("machine", self.stale.is_zero(), "readings must be allowed some age")?;
        self.shared.check("machine")?;
        for board in &self.boards {
            board.parts.check(&board.name)?;
            let heat = |sensor: &SensorLimits| matches!(sensor.kind, SensorKind::Chip | SensorKind::Board);
            refuse(&board.name, !board.parts.sensors.iter().any(heat), "no sensor tells how hot it is")?;
            let fans = board.parts.fans.len() + self.shared.fans.len();
            refuse(&board.name, self.cooling == Cooling::Air && fans == 0, "no fan cools it")?;
            refuse(
                &board.name,
                board.supply != Supply::Own && self.psu.is_none(),
                "hangs on a PSU, and there is none",
            )?;
        }
        Ok(())
    }
}

impl Parts {
    fn check(&self, place: &str) -> Result<(), Wrong> {
        let of = |part: &str| format!("{place}: {part}");
        for sensor in &self.sensors {
            sensor.check().map_err(|what| Wrong::Part { part: of(&sensor.name), what })?;
        }
        for fan in &self.fans {
            let some = fan.min_rpm > 0.0 && fan.full_rpm.is_none_or(|full| full > fan.min_rpm);
            refuse(&of(&fan.name), !some, "speeds must be above 0, min below full")?;
            refuse(
                &of(&fan.name),
                !(0.0..1.0).contains(&fan.slow_share),
                "slow_share must be a share below 1",
            )?;
        }
        let needed = if self.fans.is_empty() { 0..=0 } else { 1..=self.fans.len() };
        refuse(place, !needed.contains(&self.fans_needed), "fans_needed must be 1 to the number of fans")?;
        for rail in &self.rails {
            let rising =
                0.0 < rail.off_volts && rail.off_volts < rail.min_volts && rail.min_volts < rail.max_volts;
            let finite = rail.max_volts.is_finite();
            refuse(&of(&rail.name), !(rising && finite), "volts must rise from 0 over off and min to max")?;
            let ordered = rail.amperes.is_none_or(|(min, max)| min < max);
            refuse(&of(&rail.name), !ordered, "amperes must rise from min to max")?;
        }
        Ok(())
    }
}

impl SensorLimits {
    fn check(&self) -> Result<(), &'static str> {
        let Physics { lowest, highest, kelvin_per_second, slack } = self.physics;
        let says = |right: bool, what| if right { Ok(()) } else { Err(what) };
        // All comparisons so that a NaN does not pass.
        let rising =
            lowest < self.cool && self.cool < self.warm && self.warm < self.max && self.max <= highest;
        says(rising && lowest.is_finite(), "temperatures must rise: physics, cool, warm, max, physics")?;
        says(highest.is_finite(), "physics must end somewhere")?;
        says(
            self.hysteresis > 0.0 && self.hysteresis < self.warm - self.cool,
            "hysteresis must be above 0 and fit between cool and warm",
        )?;
        says(kelvin_per_second > 0.0 && slack > 0.0, "it must be allowed to change")?;
        let frozen =
            self.frozen.is_none_or(|frozen| frozen.factor > 1.0 && frozen.watts > 0.0 && frozen.looks > 0);
        says(frozen, "frozen needs a factor above 1, watts and looks above 0")
    }
}

fn refuse(part: &str, wrong: bool, what: &'static str) -> Result<(), Wrong> {
    if wrong { Err(Wrong::Part { part: part.into(), what }) } else { Ok(()) }
}

//! Things that go wrong on demand.

mod effect;

pub(crate) use effect::{ChainFaults, MachineFaults};

/// A fault to begin or, where it lasts, to end. Those of chips, of their line and of a board happen to one board, those of
/// sensors to one sensor, all others to the machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// All fans stand, whatever drives them.
    FanStopped(bool),
    /// One fan stands.
    OneFanStopped { fan: usize, on: bool },
    /// A fan (none: all of them) reaches only this share of its speed.
    FanSlow { fan: Option<usize>, share: f64 },
    /// Fans turn, but their tachometers say nothing.
    TachSilent(bool),
    /// No answer comes up the line.
    ChainSilent(bool),
    /// One random bit of each of this many answers is inverted.
    FlipResponseBits(u32),
    /// One random bit of this many bytes from the host is inverted before chips hear them.
    FlipCommandBits(u32),
    /// This share of the bytes, both ways, is garbled.
    Noise(f64),
    /// This share of the bytes, both ways, is lost.
    LostBytes(f64),
    /// Every nonce is reported twice.
    DuplicateNonces(bool),
    /// This many nonces have one inverted bit under a good CRC.
    WrongNonces(u32),
    /// This many chips at the far end neither hear nor answer.
    MissingChips(u32),
    /// This chip is dead and passes nothing on: it and all behind it neither hear nor answer.
    DeadChip(Option<u32>),
    /// This chip passes everything on, but neither hears nor answers nor hashes.
    DeafChip(Option<u32>),
    /// This chip takes no address and goes on answering with zero.
    StuckAddress(Option<u32>),
    /// The rail stays at zero.
    RailStuckOff(bool),
    /// Its switch is stuck: the rail is at what is set, and no lower than it was, whoever switches it off.
    RailStuckOn(bool),
    /// The rail is so many millivolts lower than what was asked for.
    RailDrop(f64),
    /// So many amperes more on the board's rail than its chips take.
    ExtraLoad(f64),
    /// The board is not plugged in: its parts and chips are gone.
    Unplugged(bool),
    /// The board controller answers nothing.
    BoardSilent(bool),
    /// Everything is hotter by this, °C.
    Temperature(f64),
    /// What flows into the machine has so many °C; none: 25.
    Ambient(Option<f64>),
    /// This many random bytes go up the line at once.
    GarbageBytes(u32),
    /// A sensor says what it said last.
    SensorFrozen { sensor: usize, on: bool },
    /// A sensor says so many °C.
    SensorAbsurd { sensor: usize, celsius: Option<f64> },
    /// The part that has this sensor answers nobody.
    SensorLost { sensor: usize, on: bool },
    /// The mains supply's output stays on, whatever its line says.
    PsuStuckOn(bool),
    /// The mains supply answers F5 to everything.
    PsuNak(bool),
    /// The mains supply answers, but nothing feeds its watchdog.
    PsuHeartbeatIgnored(bool),
    /// Rail controllers answer, but hear no heartbeat.
    RailHeartbeatIgnored(bool),
    /// The board's dsPIC has lost its program: it says 86 to everything.
    RailControllerBlank(bool),
    /// A person's finger is on every button of the machine.
    ButtonPressed(bool),
}

/// Most garbage bytes that one fault may send.
const MOST_GARBAGE: u32 = 4096;

/// What a request says about a fault.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arguments {
    pub on: Option<bool>,
    pub count: Option<u32>,
    pub value: Option<f64>,
    /// Place on the chain, 0 next to the host.
    pub chip: Option<u32>,
    /// From 0.
    pub fan: Option<usize>,
    /// As `state` lists them, from 0.
    pub sensor: Option<usize>,
}

/// A fault that cannot be had.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum FaultError {
    #[error("no fault is called `{0}`; there are {known}", known = NAMES.join(", "))]
    Unknown(String),
    #[error("fault `{0}` needs `count`, 1 to 4294967295")]
    NeedsCount(&'static str),
    #[error("fault `{0}` needs `value`, a number")]
    NeedsValue(&'static str),
    #[error("fault `{0}` needs `value`, a share from 0 to 1")]
    NeedsShare(&'static str),
    #[error("fault `{0}` needs `chip`, its place on the chain from 0")]
    NeedsChip(&'static str),
    #[error("fault `{0}` needs `sensor`, its number in `state`")]
    NeedsSensor(&'static str),
    #[error("garbage-bytes: {0} is more than the {MOST_GARBAGE} that one fault may send")]
    TooMuchGarbage(u32),
    #[error("no {what} {number}: the machine has {there}, counted from 0")]
    NotThere { what: &'static str, number: usize, there: usize },
    #[error("the machine has no mains supply that listens")]
    NoSupply,
}

const NAMES: [&str; 32] = [
    "fan-stopped",
    "fan-slow",
    "tach-silent",
    "chain-silent",
    "flip-response-bits",
    "flip-command-bits",
    "noise",
    "lost-bytes",
    "duplicate-nonces",
    "wrong-nonces",
    "missing-chips",
    "dead-chip",
    "deaf-chip",
    "stuck-address",
    "rail-stuck-off",
    "rail-stuck-on",
    "rail-drop",
    "extra-load",
    "unplugged",
    "board-silent",
    "temperature",
    "ambient",
    "garbage-bytes",
    "sensor-frozen",
    "sensor-absurd",
    "sensor-lost",
    "psu-stuck-on",
    "psu-nak",
    "psu-heartbeat-ignored",
    "rail-heartbeat-ignored",
    "rail-controller-blank",
    "button-pressed",
];

impl Fault {
    /// From its name on the control port. `on` is true unless said otherwise; off makes counts and values zero.
    pub fn parse(name: &str, arguments: Arguments) -> Result<Self, FaultError> {
        let name = *NAMES.iter().find(|known| **known == name).ok_or(FaultError::Unknown(name.into()))?;
        let on = arguments.on.unwrap_or(true);
        let count = || match (on, arguments.count) {
            (false, _) => Ok(0),
            (true, count) => count.filter(|count| *count > 0).ok_or(FaultError::NeedsCount(name)),
        };
        let value = || match (on, arguments.value) {
            (false, _) => Ok(0.0),
            (true, value) => value.filter(|value| value.is_finite()).ok_or(FaultError::NeedsValue(name)),
        };
        let maybe = || if on { value().map(Some) } else { Ok(None) };
        let share = || match value() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
            _ => Err(FaultError::NeedsShare(name)),
        };
        let chip = || match (on, arguments.chip) {
            (false, _) => Ok(None),
            (true, Some(chip)) => Ok(Some(chip)),
            (true, None) => Err(FaultError::NeedsChip(name)),
        };
        let sensor = || arguments.sensor.ok_or(FaultError::NeedsSensor(name));
        Ok(match name {
            "fan-stopped" => match arguments.fan {
                Some(fan) => Self::OneFanStopped { fan, on },
                None => Self::FanStopped(on),
            },
            "fan-slow" => Self::FanSlow { fan: arguments.fan, share: if on { share()? } else { 1.0 } },
            "tach-silent" => Self::TachSilent(on),
            "chain-silent" => Self::ChainSilent(on),
            "flip-response-bits" => Self::FlipResponseBits(count()?),
            "flip-command-bits" => Self::FlipCommandBits(count()?),
            "noise" => Self::Noise(share()?),
            "lost-bytes" => Self::LostBytes(share()?),
            "duplicate-nonces" => Self::DuplicateNonces(on),
            "wrong-nonces" => Self::WrongNonces(count()?),
            "missing-chips" => Self::MissingChips(value()?.max(0.0) as u32),
            "dead-chip" => Self::DeadChip(chip()?),
            "deaf-chip" => Self::DeafChip(chip()?),
            "stuck-address" => Self::StuckAddress(chip()?),
            "rail-stuck-off" => Self::RailStuckOff(on),
            "rail-stuck-on" => Self::RailStuckOn(on),
            "rail-drop" => Self::RailDrop(value()?),
            "extra-load" => Self::ExtraLoad(value()?.max(0.0)),
            "unplugged" => Self::Unplugged(on),
            "board-silent" => Self::BoardSilent(on),
            "temperature" => Self::Temperature(value()?),
            "ambient" => Self::Ambient(maybe()?),
            "sensor-frozen" => Self::SensorFrozen { sensor: sensor()?, on },
            "sensor-absurd" => Self::SensorAbsurd { sensor: sensor()?, celsius: maybe()? },
            "sensor-lost" => Self::SensorLost { sensor: sensor()?, on },
            "psu-stuck-on" => Self::PsuStuckOn(on),
            "psu-nak" => Self::PsuNak(on),
            "psu-heartbeat-ignored" => Self::PsuHeartbeatIgnored(on),
            "rail-heartbeat-ignored" => Self::RailHeartbeatIgnored(on),
            "rail-controller-blank" => Self::RailControllerBlank(on),
            "button-pressed" => Self::ButtonPressed(on),
            _ => match count()? {
                count if count > MOST_GARBAGE => return Err(FaultError::TooMuchGarbage(count)),
                count => Self::GarbageBytes(count),
            },
        })
    }

    /// Its name, and whether it begins (or ends).
    pub fn describe(self) -> (&'static str, bool) {
        match self {
            Self::FanStopped(on) | Self::OneFanStopped { on, .. } => ("fan-stopped", on),
            Self::FanSlow { share, .. } => ("fan-slow", share < 1.0),
            Self::TachSilent(on) => ("tach-silent", on),
            Self::ChainSilent(on) => ("chain-silent", on),
            Self::FlipResponseBits(count) => ("flip-response-bits", count > 0),
            Self::FlipCommandBits(count) => ("flip-command-bits", count > 0),
            Self::Noise(share) => ("noise", share > 0.0),
            Self::LostBytes(share) => ("lost-bytes", share > 0.0),
            Self::DuplicateNonces(on) => ("duplicate-nonces", on),
            Self::WrongNonces(count) => ("wrong-nonces", count > 0),
            Self::MissingChips(count) => ("missing-chips", count > 0),
            Self::DeadChip(chip) => ("dead-chip", chip.is_some()),
            Self::DeafChip(chip) => ("deaf-chip", chip.is_some()),
            Self::StuckAddress(chip) => ("stuck-address", chip.is_some()),
            Self::RailStuckOff(on) => ("rail-stuck-off", on),
            Self::RailStuckOn(on) => ("rail-stuck-on", on),
            Self::RailDrop(millivolts) => ("rail-drop", millivolts != 0.0),
            Self::ExtraLoad(amperes) => ("extra-load", amperes > 0.0),
            Self::Unplugged(on) => ("unplugged", on),
            Self::BoardSilent(on) => ("board-silent", on),
            Self::Temperature(offset) => ("temperature", offset != 0.0),
            Self::Ambient(celsius) => ("ambient", celsius.is_some()),
            Self::GarbageBytes(count) => ("garbage-bytes", count > 0),
            Self::SensorFrozen { on, .. } => ("sensor-frozen", on),
            Self::SensorAbsurd { celsius, .. } => ("sensor-absurd", celsius.is_some()),
            Self::SensorLost { on, .. } => ("sensor-lost", on),
            Self::PsuStuckOn(on) => ("psu-stuck-on", on),
            Self::PsuNak(on) => ("psu-nak", on),
            Self::PsuHeartbeatIgnored(on) => ("psu-heartbeat-ignored", on),
            Self::RailHeartbeatIgnored(on) => ("rail-heartbeat-ignored", on),
            Self::RailControllerBlank(on) => ("rail-controller-blank", on),
            Self::ButtonPressed(on) => ("button-pressed", on),
        }
    }
}

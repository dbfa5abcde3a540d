//! Things that go wrong on demand.

use crate::random::Random;

/// A fault to begin or, where it lasts, to end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// The fan stands, whatever drives it.
    FanStopped(bool),
    /// The fan turns, but its tachometer says nothing.
    TachSilent(bool),
    /// No answer comes up the line.
    ChainSilent(bool),
    /// One random bit of each of this many answers is inverted.
    FlipResponseBits(u32),
    /// Every nonce is reported twice.
    DuplicateNonces(bool),
    /// This many nonces have one inverted bit under a good CRC.
    WrongNonces(u32),
    /// This many chips at the far end neither hear nor answer.
    MissingChips(u32),
    /// The regulator's output stays at zero.
    RailStuckOff(bool),
    /// The board controller answers nothing.
    BoardSilent(bool),
    /// Everything is hotter by this, °C.
    Temperature(f64),
    /// This many random bytes go up the line at once.
    GarbageBytes(u32),
}

/// Most garbage bytes that one fault may send.
const MOST_GARBAGE: u32 = 4096;

/// What a request says about a fault.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arguments {
    pub on: Option<bool>,
    pub count: Option<u32>,
    pub value: Option<f64>,
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
    #[error("garbage-bytes: {0} is more than the {MOST_GARBAGE} that one fault may send")]
    TooMuchGarbage(u32),
}

const NAMES: [&str; 11] = [
    "fan-stopped",
    "tach-silent",
    "chain-silent",
    "flip-response-bits",
    "duplicate-nonces",
    "wrong-nonces",
    "missing-chips",
    "rail-stuck-off",
    "board-silent",
    "temperature",
    "garbage-bytes",
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
        Ok(match name {
            "fan-stopped" => Self::FanStopped(on),
            "tach-silent" => Self::TachSilent(on),
            "chain-silent" => Self::ChainSilent(on),
            "flip-response-bits" => Self::FlipResponseBits(count()?),
            "duplicate-nonces" => Self::DuplicateNonces(on),
            "wrong-nonces" => Self::WrongNonces(count()?),
            "missing-chips" => Self::MissingChips(value()?.max(0.0) as u32),
            "rail-stuck-off" => Self::RailStuckOff(on),
            "board-silent" => Self::BoardSilent(on),
            "temperature" => Self::Temperature(value()?),
            _ => match count()? {
                count if count > MOST_GARBAGE => return Err(FaultError::TooMuchGarbage(count)),
                count => Self::GarbageBytes(count),
            },
        })
    }

    /// Its name, and whether it begins (or ends).
    pub fn describe(self) -> (&'static str, bool) {
        match self {
            Self::FanStopped(on) => ("fan-stopped", on),
            Self::TachSilent(on) => ("tach-silent", on),
            Self::ChainSilent(on) => ("chain-silent", on),
            Self::FlipResponseBits(count) => ("flip-response-bits", count > 0),
            Self::DuplicateNonces(on) => ("duplicate-nonces", on),
            Self::WrongNonces(count) => ("wrong-nonces", count > 0),
            Self::MissingChips(count) => ("missing-chips", count > 0),
            Self::RailStuckOff(on) => ("rail-stuck-off", on),
            Self::BoardSilent(on) => ("board-silent", on),
            Self::Temperature(offset) => ("temperature", offset != 0.0),
            Self::GarbageBytes(count) => ("garbage-bytes", count > 0),
        }
    }
}

/// The faults that are there now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) fan_stopped: bool,
    pub(crate) tach_silent: bool,
    pub(crate) chain_silent: bool,
    pub(crate) flip_response_bits: u32,
    pub(crate) duplicate_nonces: bool,
    pub(crate) wrong_nonces: u32,
    pub(crate) missing_chips: u32,
    pub(crate) rail_stuck_off: bool,
    pub(crate) board_silent: bool,
    pub(crate) temperature_offset: f64,
}

impl Faults {
    /// Begins or ends a fault. Garbage is not a state; whoever owns the line sends it.
    pub(crate) fn set(&mut self, fault: Fault) {
        match fault {
            Fault::FanStopped(on) => self.fan_stopped = on,
            Fault::TachSilent(on) => self.tach_silent = on,
            Fault::ChainSilent(on) => self.chain_silent = on,
            Fault::FlipResponseBits(count) => self.flip_response_bits = count,
            Fault::DuplicateNonces(on) => self.duplicate_nonces = on,
            Fault::WrongNonces(count) => self.wrong_nonces = count,
            Fault::MissingChips(count) => self.missing_chips = count,
            Fault::RailStuckOff(on) => self.rail_stuck_off = on,
            Fault::BoardSilent(on) => self.board_silent = on,
            Fault::Temperature(offset) => self.temperature_offset = offset,
            Fault::GarbageBytes(_) => {}
        }
    }

    /// Inverts a bit of an answer while that fault lasts.
    pub(crate) fn spoil(&mut self, bytes: &mut [u8], random: &mut Random) {
        if self.flip_response_bits > 0 {
            self.flip_response_bits -= 1;
            let bit = random.next() as usize % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    /// Inverts a bit of a nonce while that fault lasts.
    pub(crate) fn wrong_nonce(&mut self, nonce: u32, random: &mut Random) -> u32 {
        if self.wrong_nonces == 0 {
            return nonce;
        }
        self.wrong_nonces -= 1;
        nonce ^ 1 << (random.next() % 32)
    }
}

//! Machine profiles: buses, supply, fans, sensors, boards and chains of a machine, and the limits that no message can raise.
//!
//! In: `overlay/etc/adit/machines/*.toml`, schema in `docs/machines.md`, and what was confirmed about this unit ([`Commissioning`]). Out: a [`Profile`] whose every value has been checked, or one
//! line that says where the file is wrong and what would be right. Never guesses: what a profile does not say is not driven. Never touches a machine: whoever builds an image asks the same questions as
//! the driver does at its start.

mod chain;
mod check;
mod check_parts;
mod commissioning;
mod parts;
mod place;
mod rails;

use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use self::{
    chain::{ChainProfile, Ramp, UsbPort},
    commissioning::Commissioning,
    parts::*,
    place::overlap as keys_overlap,
    rails::*,
};

/// Where profiles live on a unit.
pub const DIRECTORY: &str = "/etc/adit/machines";

/// One machine. Units stand in the names; see `docs/machines.md`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub name: String,
    /// Chips, rails and fans are a simulation.
    #[serde(default)]
    pub simulated: bool,
    /// Nobody has run this on the hardware that it describes.
    #[serde(default)]
    pub untested: bool,
    /// Keys that sources disagree about. Nothing that they are about is driven before a person has confirmed them for this unit.
    #[serde(default)]
    pub disputed: Vec<String>,
    /// Those of `disputed` that nobody has confirmed.
    #[serde(skip)]
    pub unconfirmed: Vec<String>,
    pub bus: Vec<Bus>,
    pub psu: Option<Psu>,
    /// Shared by all boards; so are the sensors.
    #[serde(default)]
    pub fan: Vec<Fan>,
    #[serde(default)]
    pub sensor: Vec<Sensor>,
    #[serde(default)]
    pub led: Vec<Light>,
    #[serde(default)]
    pub button: Vec<Light>,
    pub temperature: Temperature,
    /// Instead of `temperature` where the unit stands in a liquid.
    pub immersion: Option<Temperature>,
    /// It stands in one: a fact of this unit, which has no fans then.
    #[serde(skip)]
    pub immersed: bool,
    #[serde(default)]
    pub safety: Safety,
    pub board: Vec<BoardProfile>,
}

/// One hash board.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoardProfile {
    pub name: String,
    /// Holds the chips in reset while it is active.
    pub reset: Line,
    /// From releasing reset to the first byte for the chips.
    pub reset_settle_ms: u32,
    /// Active where a board is plugged in.
    pub plug: Option<Line>,
    pub eeprom: Option<Eeprom>,
    /// What it turns into heat at the chain's `mhz` and nominal voltage; needed to tell a frozen sensor from a quiet one.
    pub watts: Option<f64>,
    /// Without it the chips hang on the PSU itself.
    pub rail: Option<Rail>,
    #[serde(default)]
    pub fan: Vec<Fan>,
    #[serde(default)]
    pub sensor: Vec<Sensor>,
    pub chain: ChainProfile,
}

/// Limits; reaching one switches off what it is about.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Temperature {
    pub max_chip_celsius: f64,
    pub max_board_celsius: f64,
    /// No power before the board is at or below this.
    pub start_board_celsius: f64,
    /// A chip's sensor tells nothing for this long after reset is released.
    pub settle_ms: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Safety {
    /// Time between two looks at fans, rails and temperatures.
    pub interval_ms: u32,
    /// Looks in a row that must be bad before fan, rail or a lost sensor count. A temperature above its limit counts at once.
    pub bad_looks: u32,
    /// First pause after a fault; doubles up to `retry_max_ms`.
    pub retry_ms: u32,
    pub retry_max_ms: u32,
    /// What cuts power when this program and the kernel are dead …
    pub cut_off: CutOff,
    /// … and how long that takes.
    pub cut_off_ms: Option<u32>,
}

impl Default for Safety {
    fn default() -> Self {
        Self {
            interval_ms: 1000,
            bad_looks: 2,
            retry_ms: 5000,
            retry_max_ms: 60_000,
            cut_off: CutOff::None,
            cut_off_ms: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutOff {
    /// Nothing but the regulator's own limits.
    None,
    /// The supply switches off when it has heard nothing for a while.
    PsuHeartbeat,
    /// Each board's voltage controller does.
    PicHeartbeat,
}

/// Why there is no profile. One line: place, what is wrong, what would be right.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    #[error("{}: {error}", path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{}:{line}: {what}", path.display())]
    Wrong { path: PathBuf, line: usize, what: String },
}

impl Profile {
    /// The file that `machine` names: a path when it contains `/` or ends in `.toml`, otherwise a name below [`DIRECTORY`].
    pub fn path(machine: &str) -> PathBuf {
        if machine.contains('/') || machine.ends_with(".toml") {
            PathBuf::from(machine)
        } else {
            Path::new(DIRECTORY).join(machine).with_extension("toml")
        }
    }

    /// As the file says, with nothing confirmed.
    pub fn load(path: &Path) -> Result<Self, ProfileError> {
        Self::load_commissioned(path, &Commissioning::default())
    }

    /// With what has been confirmed about this unit.
    pub fn load_commissioned(path: &Path, unit: &Commissioning) -> Result<Self, ProfileError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ProfileError::Read { path: path.to_owned(), error })?;
        let profile = Self::parse(&text).map_err(|(line, what)| ProfileError::Wrong {
            path: path.to_owned(),
            line,
            what,
        })?;
        unit.apply(profile, &text)
    }

    /// Reads and checks a profile. Errors: line number from 1 and what is wrong there.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut profile: Self = toml::from_str(text).map_err(|error| {
            let line = place::line_at(text, error.span().map_or(0, |span| span.start));
            (line, error.message().replace('\n', " "))
        })?;
        profile.check(text).map_err(|wrong| (place::line_of(text, &wrong.key), wrong.to_string()))?;
        profile.unconfirmed = profile.disputed.clone();
        Ok(profile)
    }
}

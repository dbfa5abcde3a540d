//! Machine profiles: which controller, fan, rail, sensors and chains a machine has, and the limits that no message can raise.
//!
//! In: `overlay/etc/adit/machines/*.toml`, schema in `docs/machines.md`. Out: a [`Profile`] whose every value has been checked, or one line that says where the file is wrong and what
//! would be right. Never guesses: what a profile does not say is not driven.

mod check;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use adit_asic::{Chip, KiloHertz, ROLLED_BITS, init, register};
use serde::Deserialize;

/// Where profiles live on a unit.
pub const DIRECTORY: &str = "/etc/adit/machines";

/// One machine. Units stand in the names; see `docs/machines.md`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub name: String,
    /// Chips, rail and fan are a simulation.
    #[serde(default)]
    pub simulated: bool,
    pub controller: Controller,
    pub fan: Fan,
    pub rail: Rail,
    pub temperature: Temperature,
    #[serde(default)]
    pub safety: Safety,
    pub chain: Vec<ChainProfile>,
}

/// The board controller: reset line and I²C bus.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Controller {
    pub kind: ControllerKind,
    pub port: PathBuf,
    pub baud: u32,
    /// Pin that holds the chips in reset while it is low.
    pub reset_pin: u8,
    /// From releasing reset to the first byte for the chips.
    pub reset_settle_ms: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControllerKind {
    BitaxeRaw,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fan {
    pub kind: FanKind,
    pub address: u8,
    /// Below this the fan counts as stopped.
    pub min_rpm: u32,
    /// Time to reach `min_rpm` from rest.
    pub spin_up_ms: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FanKind {
    Emc2101,
}

/// The chips' core regulator.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rail {
    pub kind: RailKind,
    pub address: u8,
    pub volts: f64,
    /// Limits of the measured voltage while the rail is on; the regulator is told the same limits for commands.
    pub min_volts: f64,
    pub max_volts: f64,
    /// From switching on to a measured voltage within limits.
    pub rise_ms: u32,
    pub over_current_amperes: f64,
    pub over_temperature_celsius: f64,
    /// Share of the output that the regulator's feedback pin sees; a fact of the board.
    pub feedback_scale: f64,
    pub switching_khz: u16,
    pub input_on_volts: f64,
    pub input_off_volts: f64,
    pub input_max_volts: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RailKind {
    Tps546d24a,
}

/// Limits; reaching one switches the rail off.
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
    /// Time between two looks at fan, rail and temperatures.
    pub interval_ms: u32,
    /// Looks in a row that must be bad before fan, rail or a lost sensor count. A temperature above its limit counts at once.
    pub bad_looks: u32,
    /// First pause after a fault; doubles up to `retry_max_ms`.
    pub retry_ms: u32,
    pub retry_max_ms: u32,
    /// What cuts power when this program and the kernel are dead.
    pub cut_off: CutOff,
}

impl Default for Safety {
    fn default() -> Self {
        Self { interval_ms: 1000, bad_looks: 2, retry_ms: 5000, retry_max_ms: 60_000, cut_off: CutOff::None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutOff {
    /// Nothing but the regulator's own limits.
    None,
}

/// One chain of chips on one UART.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainProfile {
    pub port: PathBuf,
    /// A row of [`adit_asic::Chip`].
    pub chip: String,
    pub chips: u16,
    /// Voltage domains in a row, of equally many chips.
    #[serde(default = "one")]
    pub domains: u16,
    pub mhz: f64,
    /// Hard limit for whatever may ask for another frequency.
    pub max_mhz: f64,
    /// Line rate after start-up.
    pub baud: u32,
    /// Zero bits that every ticket has; 32 on silicon.
    #[serde(default = "silicon")]
    pub base_bits: u8,
    /// Zero bits of a ticket beyond those.
    pub ticket_bits: u8,
    /// Time between two jobs of one block.
    pub work_interval_ms: u32,
    /// Where the host rolls versions: time between two jobs of four midstates. Without it, nine tenths of what the chips take to search them through.
    pub job_interval_us: Option<u32>,
    /// Pause after each register write.
    pub write_gap_ms: u32,
    /// Pause after each chip's cores have been started.
    #[serde(default = "cautious_gap")]
    pub chip_gap_ms: u32,
    pub ramp: Ramp,
}

/// How the frequency is raised to `mhz`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    pub start_mhz: f64,
    pub step_mhz: f64,
    pub step_ms: u32,
}

/// As ESP-Miner does with BM1368.
fn cautious_gap() -> u32 {
    500
}

fn one() -> u16 {
    1
}

fn silicon() -> u8 {
    check::SILICON_BASE_BITS
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

    pub fn load(path: &Path) -> Result<Self, ProfileError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ProfileError::Read { path: path.to_owned(), error })?;
        Self::parse(&text).map_err(|(line, what)| ProfileError::Wrong { path: path.to_owned(), line, what })
    }

    /// Reads and checks a profile. Errors: line number from 1 and what is wrong there.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let profile: Self = toml::from_str(text).map_err(|error| {
            let line = check::line_at(text, error.span().map_or(0, |span| span.start));
            (line, error.message().replace('\n', " "))
        })?;
        profile.check().map_err(|wrong| (check::line_of(text, &wrong.key), wrong.to_string()))?;
        Ok(profile)
    }
}

impl ChainProfile {
    /// The chip's row; the name was checked on loading.
    pub fn chip(&self) -> &'static Chip {
        Chip::by_name(&self.chip).expect("the chip's name was checked on loading")
    }

    /// Line rate after start-up; `None` keeps the rate of reset.
    pub fn new_baud(&self) -> Option<u32> {
        let reset = register::baud(register::RESET_DIVIDER);
        self.chip().uart.rate(self.baud).map(|(rate, _)| rate).filter(|rate| *rate != reset)
    }

    /// Time between two jobs of four midstates.
    pub fn job_interval(&self) -> Duration {
        let midstates = adit_asic::MOST_MIDSTATES as u32;
        let search = || self.chip().midstates_us(self.chips, midstates, kilohertz(self.mhz)) * 9 / 10;
        Duration::from_micros(self.job_interval_us.map_or_else(search, u64::from))
    }

    /// All versions may be rolled until a work says otherwise.
    pub fn setup(&self) -> init::Setup {
        init::Setup {
            chips: self.chips,
            domains: self.domains,
            ticket_bits: self.ticket_bits,
            version_mask: ROLLED_BITS,
            baud: self.new_baud(),
            chip_gap_ms: self.chip_gap_ms,
            ramp: init::Ramp {
                start: kilohertz(self.ramp.start_mhz),
                step: kilohertz(self.ramp.step_mhz),
                step_ms: self.ramp.step_ms,
                target: kilohertz(self.mhz),
            },
        }
    }
}

/// MHz of a profile, to the nearest kHz; negative and absurd values saturate and are refused by the checks.
fn kilohertz(mhz: f64) -> KiloHertz {
    KiloHertz((mhz * 1000.0).round() as u32)
}

//! Parts of a machine as a profile names them, and where each is wired. Ranges: [`super::check`]; meaning of every key: `docs/machines.md`.
//!
//! `part` names the device; what it needs to know of itself stands inside: `part = { tmp75 = { bus = "boards", address = 0x48 } }`.

use std::path::PathBuf;

use serde::Deserialize;

/// A controller that parts and lines hang on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bus {
    pub name: String,
    pub part: BusPart,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BusPart {
    /// The open USB firmware's control port: I²C and pins.
    BitaxeRaw(BitaxeRawPort),
    /// Of the control board itself.
    Linux(LinuxBus),
}

/// Either a device node or a USB device.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BitaxeRawPort {
    pub port: Option<PathBuf>,
    pub usb: Option<UsbIdentity>,
    pub baud: u32,
}

/// What a USB device says of itself. Two devices that say the same are told apart by `serial`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsbIdentity {
    pub manufacturer: String,
    pub product: String,
    pub serial: Option<String>,
}

/// `/dev/i2c-N`, and a GPIO chip by its path or its label.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinuxBus {
    pub i2c: Option<PathBuf>,
    pub gpio: Option<String>,
}

/// A pin of a bus.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    pub bus: String,
    /// Counted from 0 within the controller or GPIO chip.
    pub line: u32,
    /// At this level the line does what its name says: `reset` resets, `enable` enables, `plug` says that a board is there.
    pub active: Level,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    Low,
    High,
}

/// A device on I²C.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    pub bus: String,
    /// Seven bits.
    pub address: u8,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fan {
    pub name: String,
    pub part: FanPart,
    /// Below this the fan counts as stopped.
    pub min_rpm: u32,
    /// What it turns at when it is driven full; without it a fan is never found slow.
    pub full_rpm: Option<u32>,
    /// As slow as it may be driven while everything is cool.
    #[serde(default = "full")]
    pub quiet_percent: u8,
    /// Time to reach `min_rpm` from rest.
    pub spin_up_ms: u32,
}

/// Always.
fn full() -> u8 {
    100
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FanPart {
    Emc2101(Device),
    Emc2305(FanChannel),
    /// A PWM of the control board and a tachometer on a GPIO line.
    Pwm(PwmFan),
    /// A fan of the kernel's own driver.
    Hwmon(HwmonFan),
    /// In the FPGA of an S9's control board.
    S9Fpga(FpgaFan),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FanChannel {
    pub bus: String,
    pub address: u8,
    /// From 1, as the data sheet counts.
    pub channel: u8,
    /// Outputs push and pull; otherwise they only pull down.
    pub push_pull: bool,
    /// A low output drives the fan.
    pub inverted: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PwmFan {
    /// Below /sys/class/pwm. Fans may share one.
    pub chip: String,
    pub channel: u32,
    pub period_ns: u32,
    pub tach: Line,
    pub pulses_per_turn: u8,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HwmonFan {
    /// What `/sys/class/hwmon/*/name` says.
    pub chip: String,
    /// n of `pwmN` and `fanN_input`.
    pub channel: u8,
}

/// A device by its name in `/sys/class/uio/*/name`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FpgaFan {
    pub uio: String,
    /// From 0. One drive turns all fans.
    pub tachometer: u8,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sensor {
    pub name: String,
    pub of: Place,
    pub part: SensorPart,
    /// Instead of the limit of its place in `[temperature]`.
    pub max_celsius: Option<f64>,
}

/// What a temperature is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    Chip,
    Board,
    /// Air or liquid that comes in.
    Intake,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SensorPart {
    /// The fan controller's own temperature.
    Emc2101(Device),
    /// A diode at the fan controller, in a chip.
    Emc2101Diode(Device),
    Lm75(Device),
    Tmp75(Device),
    Tmp1075(Device),
    Tmp451(Device),
    Tmp451Diode(Device),
    /// An LM75 that the board's voltage controller reads.
    Dspic33(PassedOn),
    /// A TMP451 or TMP42x that a chip of the chain reads.
    ChipI2c(ChipI2c),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassedOn {
    pub bus: String,
    /// Of the controller.
    pub address: u8,
    /// Of the sensor behind it.
    pub sensor: u8,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChipI2c {
    /// The chip's place in the chain.
    pub chip: u16,
    /// Seven bits.
    pub address: u8,
}

/// A supply that all boards share.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Psu {
    pub part: PsuPart,
    /// Switches the output.
    pub enable: Line,
    pub volts: f64,
    /// Limits of commanded and measured voltage.
    pub min_volts: f64,
    pub max_volts: f64,
    /// From switching on to a measured voltage within limits.
    pub rise_ms: u32,
    /// From switching off to an output that counts as off.
    pub fall_ms: u32,
    /// How the supply's setting and its output go together.
    pub curve: Curve,
    /// The supply hears from us so often.
    pub heartbeat_ms: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PsuPart {
    Apw9(Apw),
    Apw12(Apw),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apw {
    pub bus: String,
    pub address: u8,
    /// What it must answer when asked for its kind; any without it.
    pub kind: Option<u16>,
    #[serde(default)]
    pub reads: ApwReads,
}

/// How a byte of its answer is fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApwReads {
    /// A plain read.
    #[default]
    Plain,
    /// Its register is named before each.
    Register,
}

/// Output in volts = `volts_at_0` − `volts_per_count` · count.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    pub volts_at_0: f64,
    pub volts_per_count: f64,
    /// Highest voltage.
    #[serde(default)]
    pub min_count: u8,
    /// Lowest voltage.
    #[serde(default = "last_count")]
    pub max_count: u8,
}

fn last_count() -> u8 {
    u8::MAX
}

/// Identity of a board, to be read only.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Eeprom {
    pub bus: String,
    pub address: u8,
    /// Board names that this profile is for.
    pub names: Vec<String>,
    /// Its maker may have scrambled it, so that it says no name: then that an EEPROM is there must do.
    #[serde(default)]
    pub may_be_scrambled: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Light {
    pub name: String,
    pub line: Line,
}

impl Level {
    /// The level of a line whose function is, or is not, active.
    pub fn when(self, active: bool) -> bool {
        (self == Self::High) == active
    }
}

impl FanPart {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Emc2101(_) => "emc2101",
            Self::Emc2305(_) => "emc2305",
            Self::Pwm(_) => "pwm",
            Self::Hwmon(_) => "hwmon",
            Self::S9Fpga(_) => "s9-fpga",
        }
    }
}

impl SensorPart {
    /// Only chips that hash can be asked for what it says.
    pub fn is_behind_chip(&self) -> bool {
        matches!(self, Self::ChipI2c(_))
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Emc2101(_) => "emc2101",
            Self::Emc2101Diode(_) => "emc2101-diode",
            Self::Lm75(_) => "lm75",
            Self::Tmp75(_) => "tmp75",
            Self::Tmp1075(_) => "tmp1075",
            Self::Tmp451(_) => "tmp451",
            Self::Tmp451Diode(_) => "tmp451-diode",
            Self::Dspic33(_) => "dspic33",
            Self::ChipI2c(_) => "chip-i2c",
        }
    }
}

impl PsuPart {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Apw9(_) => "apw9",
            Self::Apw12(_) => "apw12",
        }
    }

    pub fn apw(&self) -> &Apw {
        match self {
            Self::Apw9(apw) | Self::Apw12(apw) => apw,
        }
    }
}

//! Boards' own regulators: `part = { ds4432u = { bus = "control", address = 0x48, … } }`.

use adit_peripherals::ds4432u;
use serde::Deserialize;

use super::{Device, Line};

/// A board's own regulator.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rail {
    pub part: RailPart,
    pub volts: f64,
    /// Limits of the measured voltage while the rail is on; the regulator is told the same limits for commands where it can be.
    pub min_volts: f64,
    pub max_volts: f64,
    /// From switching on to a measured voltage within limits.
    pub rise_ms: u32,
    /// Switches the regulator, whatever else does.
    pub enable: Option<Line>,
    /// Switches the supply of the chips' inputs: on before the rail, off after it.
    pub io_enable: Option<Line>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RailPart {
    Tps546d24a(Tps546d24a),
    Ds4432u(Ds4432u),
    Tps55289(Device),
    Pic16f1704(Pic16f1704),
    Dspic33(Dspic33),
    /// No public source says how it is set.
    Unpublished,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tps546d24a {
    pub bus: String,
    pub address: u8,
    pub over_current_amperes: f64,
    pub over_temperature_celsius: f64,
    /// Share of the output that the regulator's feedback pin sees; a fact of the board.
    pub feedback_scale: f64,
    pub switching_khz: u16,
    pub input_on_volts: f64,
    pub input_off_volts: f64,
    pub input_max_volts: f64,
}

/// A current source that pulls at the feedback pin of a regulator without a bus.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ds4432u {
    pub bus: String,
    pub address: u8,
    /// 0 or 1.
    pub output: u8,
    pub feedback: Feedback,
    /// What measures the rail. Without it, and without a line that switches the regulator, nothing is driven.
    pub meter: Option<Meter>,
}

/// The network at the regulator's feedback pin; facts of the board.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    /// What the regulator holds its feedback pin at.
    pub reference_volts: f64,
    /// From output to feedback pin, and from there to ground.
    pub upper_ohms: f64,
    pub lower_ohms: f64,
    /// The current source's own resistor.
    pub full_scale_ohms: f64,
}

/// An input of the board controller's converter, on the same bus.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meter {
    /// As the controller numbers it.
    pub channel: u8,
    pub volts_per_count: f64,
}

/// A microcontroller that sets a board's voltage and cuts it when it hears nothing.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pic16f1704 {
    pub bus: String,
    pub address: u8,
    pub heartbeat_ms: u32,
    /// What shows that the rail is off.
    pub off_shown_by: OffShownBy,
}

/// Where nothing measures a rail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OffShownBy {
    /// That its controller has acknowledged the command to switch off. Only a person can say that this is enough.
    Acknowledge,
}

/// A microcontroller that switches the supply's voltage to the chips, and cuts it when it hears nothing.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dspic33 {
    pub bus: String,
    pub address: u8,
    /// The version that it must have.
    pub firmware: u8,
    pub heartbeat_ms: u32,
}

impl Feedback {
    pub fn network(self) -> ds4432u::Feedback {
        let Self { reference_volts, upper_ohms, lower_ohms, full_scale_ohms } = self;
        ds4432u::Feedback { reference_volts, upper_ohms, lower_ohms, full_scale_ohms }
    }
}

impl Rail {
    /// Something measures what comes out.
    pub fn is_measured(&self) -> bool {
        !matches!(self.part, RailPart::Pic16f1704(_))
    }
}

impl RailPart {
    /// What it may carry, where that is measured.
    pub fn most_amperes(&self) -> Option<f64> {
        match self {
            Self::Tps546d24a(tps) => Some(tps.over_current_amperes),
            _ => None,
        }
    }

    /// It can be told another voltage while it is on.
    pub fn is_settable(&self) -> bool {
        matches!(self, Self::Tps546d24a(_) | Self::Ds4432u(_) | Self::Pic16f1704(_))
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Tps546d24a(_) => "tps546d24a",
            Self::Ds4432u(_) => "ds4432u",
            Self::Tps55289(_) => "tps55289",
            Self::Pic16f1704(_) => "pic16f1704",
            Self::Dspic33(_) => "dspic33",
            Self::Unpublished => "unpublished",
        }
    }
}

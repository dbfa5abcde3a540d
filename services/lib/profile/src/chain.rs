//! One chain of chips on one UART.

use std::{path::PathBuf, time::Duration};

use adit_asic::{Chip, KiloHertz, ROLLED_BITS, init, register};
use serde::Deserialize;

use super::check::SILICON_BASE_BITS;

/// One of `port`, `usb` and `uio` says where the UART is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainProfile {
    /// A device node.
    pub port: Option<PathBuf>,
    /// A further serial port of the USB device that a bus is on.
    pub usb: Option<UsbPort>,
    /// A UART in an S9's FPGA: what the names of its four windows in `/sys/class/uio/*/name` begin with.
    pub uio: Option<String>,
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

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsbPort {
    /// Name of a bus with `usb`.
    pub bus: String,
    /// The device's serial ports in the order of their interfaces, from 0, which is the bus's own.
    pub port: u8,
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
    SILICON_BASE_BITS
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
        let search =
            || self.chip().midstates_us(self.chips, midstates, KiloHertz::from_mhz(self.mhz)) * 9 / 10;
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
                start: KiloHertz::from_mhz(self.ramp.start_mhz),
                step: KiloHertz::from_mhz(self.ramp.step_mhz),
                step_ms: self.ramp.step_ms,
                target: KiloHertz::from_mhz(self.mhz),
            },
        }
    }
}

//! The machine around the chips: regulator, fan, heat, reset line, and the I²C bus on which the host finds them.
//! First-order models, enough that a driver's reactions can be watched in real time.

use crate::bus::I2cBus;
use crate::device::emc2101::Emc2101;
use crate::device::tps546::Tps546;
use crate::device::{Device, Nak};
use crate::fault::Faults;
use crate::gpio::{Driver, Lines};

/// EMC2101 fan controller.
pub(crate) const FAN_ADDRESS: u8 = 0x4C;
/// TPS546D24A core regulator.
pub(crate) const REGULATOR_ADDRESS: u8 = 0x24;

const AMBIENT_CELSIUS: f64 = 25.0;
/// The rail changes by this much in a millisecond: 1.2 V in 3 ms, the boards' TON_RISE.
const RAIL_MILLIVOLTS_PER_MS: f64 = 400.0;
/// Below this no chip works.
const CHIP_NEEDS_MILLIVOLTS: f64 = 800.0;
const FULL_RPM: f64 = 7000.0;
/// Below this share of full drive the fan does not turn.
const FAN_STARTS_AT: f64 = 0.1;
/// 95 % of a new speed is reached after three of these.
const FAN_SPIN_UP_SECONDS: f64 = 0.33;
/// A Bitaxe Gamma takes about 17 W at 525 MHz and 1.15 V.
const WATTS_AT_525_MHZ: f64 = 17.0;
const IDLE_WATTS: f64 = 1.5;
/// Chip and heat sink.
const CHIP_JOULES_PER_KELVIN: f64 = 18.0;
/// Chip to air: with the fan at rest, and with it at full speed.
const KELVIN_PER_WATT: (f64, f64) = (8.0, 1.3);
/// The board follows a part of the chip's rise, slowly.
const BOARD_SHARE: f64 = 0.4;
const BOARD_SECONDS: f64 = 20.0;
/// After reset is released, the first readings of the chip's diode are void (seen on the real board).
const DIODE_SETTLES_SECONDS: f64 = 0.3;

/// What hangs on the bus of a Bitaxe.
pub(crate) enum Part {
    Fan(Emc2101),
    Regulator(Tps546),
}

impl Part {
    fn device(&mut self) -> &mut dyn Device {
        match self {
            Self::Fan(part) => part,
            Self::Regulator(part) => part,
        }
    }
}

impl Device for Part {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nak> {
        self.device().write(bytes)
    }

    fn read(&mut self, count: usize) -> Result<Vec<u8>, Nak> {
        self.device().read(count)
    }
}

/// What the chips do, as far as it makes heat.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) mhz: f64,
    pub(crate) hashing: bool,
}

pub(crate) struct Machine {
    bus: I2cBus<Part>,
    lines: Lines,
    reset: usize,
    /// Share of full drive of the fan.
    drive: f64,
    commanded_millivolts: f64,
    rail_millivolts: f64,
    rpm: f64,
    watts: f64,
    chip_celsius: f64,
    board_celsius: f64,
    seconds_since_release: f64,
}

impl Machine {
    /// As it is just after the mains came on: rail off, fan at rest, reset held.
    pub(crate) fn new() -> Self {
        let mut lines = Lines::default();
        let reset = lines.add("reset", Driver::Host, false);
        Self {
            bus: I2cBus::new([
                (FAN_ADDRESS, Part::Fan(Emc2101::new())),
                (REGULATOR_ADDRESS, Part::Regulator(Tps546::new())),
            ]),
            lines,
            reset,
            drive: 0.0,
            commanded_millivolts: 0.0,
            rail_millivolts: 0.0,
            rpm: 0.0,
            watts: 0.0,
            chip_celsius: AMBIENT_CELSIUS,
            board_celsius: AMBIENT_CELSIUS,
            seconds_since_release: 0.0,
        }
    }

    /// Lets `seconds` pass.
    pub(crate) fn advance(&mut self, seconds: f64, load: Load, faults: &Faults) {
        let mut target = 0.0;
        for mounted in &self.bus.parts {
            match &mounted.part {
                Part::Fan(fan) => self.drive = fan.drive(),
                Part::Regulator(regulator) => {
                    self.commanded_millivolts = regulator.commanded_millivolts();
                    target = regulator.target_millivolts();
                }
            }
        }
        if faults.rail_stuck_off {
            target = 0.0;
        }
        let step = RAIL_MILLIVOLTS_PER_MS * seconds * 1000.0;
        self.rail_millivolts += (target - self.rail_millivolts).clamp(-step, step);

        let turns = self.drive >= FAN_STARTS_AT && !faults.fan_stopped;
        self.rpm =
            approach(self.rpm, if turns { FULL_RPM * self.drive } else { 0.0 }, seconds, FAN_SPIN_UP_SECONDS);

        let volts = self.rail_millivolts / 1000.0;
        let clock = if load.hashing { load.mhz / 525.0 } else { 0.0 };
        let idle = if self.chips_run() { IDLE_WATTS } else { 0.0 };
        self.watts = idle + (WATTS_AT_525_MHZ - IDLE_WATTS) * clock * (volts / 1.15).powi(2);
        let air = self.rpm / FULL_RPM;
        let resistance = 1.0 / (1.0 / KELVIN_PER_WATT.0 * (1.0 - air) + 1.0 / KELVIN_PER_WATT.1 * air);
        let rest = AMBIENT_CELSIUS + self.watts * resistance;
        self.chip_celsius = approach(self.chip_celsius, rest, seconds, CHIP_JOULES_PER_KELVIN * resistance);
        let board_rest = AMBIENT_CELSIUS + BOARD_SHARE * (self.chip_celsius - AMBIENT_CELSIUS);
        self.board_celsius = approach(self.board_celsius, board_rest, seconds, BOARD_SECONDS);

        self.seconds_since_release =
            if self.chips_run() { self.seconds_since_release + seconds } else { 0.0 };
        let diode = (self.seconds_since_release >= DIODE_SETTLES_SECONDS).then(|| self.chip_celsius(faults));
        let tach = if faults.tach_silent { 0.0 } else { self.rpm };
        let board = self.board_celsius(faults);
        for mounted in &mut self.bus.parts {
            match &mut mounted.part {
                Part::Fan(fan) => fan.sense(board, diode, tach),
                Part::Regulator(regulator) => {
                    regulator.sense(self.rail_millivolts, self.watts, board + 8.0);
                }
            }
        }
    }

    /// Chips have voltage and are out of reset.
    pub(crate) fn chips_run(&self) -> bool {
        self.rail_on() && !self.reset_held()
    }

    pub(crate) fn rail_on(&self) -> bool {
        self.rail_millivolts >= CHIP_NEEDS_MILLIVOLTS
    }

    pub(crate) fn rail_millivolts(&self) -> u32 {
        self.rail_millivolts.round() as u32
    }

    pub(crate) fn commanded_millivolts(&self) -> u32 {
        self.commanded_millivolts.round() as u32
    }

    pub(crate) fn fan_percent(&self) -> u32 {
        (self.drive * 100.0).round() as u32
    }

    pub(crate) fn rpm(&self) -> u32 {
        self.rpm.round() as u32
    }

    pub(crate) fn watts(&self) -> f64 {
        self.watts
    }

    pub(crate) fn chip_celsius(&self, faults: &Faults) -> f64 {
        self.chip_celsius + faults.temperature_offset
    }

    pub(crate) fn board_celsius(&self, faults: &Faults) -> f64 {
        self.board_celsius + faults.temperature_offset
    }

    pub(crate) fn reset_held(&self) -> bool {
        self.lines.level(self.reset) == Some(false)
    }

    pub(crate) fn buses(&mut self) -> &mut [I2cBus<Part>] {
        std::slice::from_mut(&mut self.bus)
    }

    pub(crate) fn lines(&mut self) -> &mut Lines {
        &mut self.lines
    }
}

/// First-order lag.
fn approach(value: f64, target: f64, seconds: f64, time_constant: f64) -> f64 {
    target + (value - target) * (-seconds / time_constant).exp()
}

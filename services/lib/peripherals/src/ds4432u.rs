//! DS4432U+: two current DACs that pull a regulator's feedback node, and so its output, up or down. Registers and formulas: Maxim data sheet DS4432; network of the Bitaxe boards: ESP-Miner `DS4432U.c`.
//!
//! The part cannot be asked what it is. Code and direction share a byte: a code that is too large would turn the direction round, which is why none can be made.

use embedded_hal_async::i2c::I2c;

use crate::{Error, device::Device};

/// Highest code in either direction.
const MOST: u8 = 127;
const SOURCES: u8 = 0x80;
/// Voltage at the full-scale resistor.
const REFERENCE_VOLTS: f64 = 0.997;
const REFERENCE_DIVISOR: f64 = 16.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    Zero = 0xf8,
    One = 0xf9,
}

/// −127 to 127 steps of current: negative sinks, positive sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Code(i8);

impl Code {
    /// No current, as after power-up.
    pub const ZERO: Self = Self(0);

    /// `None` outside of −127 to 127.
    pub fn new(steps: i32) -> Option<Self> {
        let most = i32::from(MOST);
        (-most..=most).contains(&steps).then_some(Self(steps as i8))
    }

    pub fn steps(self) -> i8 {
        self.0
    }

    /// Current out of the pin, with this full-scale resistor: I = 0.997 V / R · 127/16 · steps / 127.
    pub fn amperes(self, full_scale_ohms: f64) -> f64 {
        f64::from(self.0) * step(full_scale_ohms)
    }

    fn byte(self) -> u8 {
        let direction = if self.0 > 0 { SOURCES } else { 0 };
        self.0.unsigned_abs() | direction
    }

    fn of(byte: u8) -> Self {
        let steps = (byte & MOST) as i8;
        Self(if byte & SOURCES != 0 { steps } else { -steps })
    }
}

fn step(full_scale_ohms: f64) -> f64 {
    REFERENCE_VOLTS / full_scale_ohms / REFERENCE_DIVISOR
}

/// The regulator's feedback network that the current goes into; facts of the board.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Feedback {
    /// What the regulator holds its feedback pin at.
    pub reference_volts: f64,
    /// From output to feedback pin.
    pub upper_ohms: f64,
    /// From feedback pin to ground.
    pub lower_ohms: f64,
    /// The DAC's full-scale resistor.
    pub full_scale_ohms: f64,
}

/// TPS40305 of Bitaxe Max, Ultra and Supra. Source: ESP-Miner.
pub const BITAXE: Feedback =
    Feedback { reference_volts: 0.6, upper_ohms: 4750.0, lower_ohms: 3320.0, full_scale_ohms: 80_000.0 };

impl Feedback {
    /// Output with this code. Sourced current takes the place of current through the upper resistor, so more of it means a lower output.
    pub fn volts(&self, code: Code) -> f64 {
        let down = self.reference_volts / self.lower_ohms;
        self.reference_volts + self.upper_ohms * (down - code.amperes(self.full_scale_ohms))
    }

    /// The code whose output is nearest; `None` when no code comes within half a step.
    pub fn code(&self, volts: f64) -> Option<Code> {
        let steps = (self.volts(Code::ZERO) - volts) / (self.upper_ohms * step(self.full_scale_ohms));
        // A NaN must not become a code.
        let within = steps.abs() <= f64::from(MOST) + 0.5;
        within.then(|| Code::new(steps.round() as i32)).flatten()
    }
}

#[derive(Debug)]
pub struct Ds4432u {
    device: Device,
}

impl Ds4432u {
    pub fn new(address: u8) -> Self {
        Self { device: Device::new("DS4432U", address) }
    }

    /// Sets an output and reads it back.
    pub async fn set<B: I2c>(
        &mut self,
        bus: &mut B,
        output: Output,
        code: Code,
    ) -> Result<(), Error<B::Error>> {
        self.device.set(bus, output as u8, code.byte()).await
    }

    pub async fn code<B: I2c>(&mut self, bus: &mut B, output: Output) -> Result<Code, Error<B::Error>> {
        Ok(Code::of(self.device.read_byte(bus, output as u8).await?))
    }

    /// Sets an output so that the regulator gives `volts`. Errors with [`Error::OutOfRange`], and sends nothing, when the network cannot do that.
    pub async fn set_volts<B: I2c>(
        &mut self,
        bus: &mut B,
        output: Output,
        feedback: &Feedback,
        volts: f64,
    ) -> Result<(), Error<B::Error>> {
        let Some(code) = feedback.code(volts) else {
            let (min, max) = (feedback.volts(Code(MOST as i8)), feedback.volts(Code(-(MOST as i8))));
            return Err(self.device.out_of_range("V", volts, min, max));
        };
        self.set(bus, output, code).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 80 kΩ gives 98.921 µA at full scale (ESP-Miner); position 2A of it, sourced, is the data sheet's own kind of example.
    #[test]
    fn current_follows_the_data_sheets_formula() {
        let full = Code::new(127).unwrap().amperes(80_000.0);
        assert!((full - 98.921e-6).abs() < 1e-9, "{full}");
        let sourced = Code::of(0xaa);
        assert_eq!(sourced.steps(), 42);
        assert!((sourced.amperes(80_000.0) - 32.714e-6).abs() < 1e-9);
        assert_eq!(Code::of(0x2a).steps(), -42);
    }

    #[test]
    fn bytes_carry_direction_and_size() {
        assert_eq!(Code::ZERO.byte(), 0x00);
        assert_eq!(Code::of(0x80), Code::ZERO);
        for steps in -127..=127 {
            let code = Code::new(steps).unwrap();
            assert_eq!(Code::of(code.byte()), code);
        }
        assert_eq!(Code::new(128), None);
        assert_eq!(Code::new(-128), None);
    }

    /// ESP-Miner's formula gives 69.85 steps down for 1.2 V (it then rounds up), and 0.989 V as the lowest that can be reached.
    #[test]
    fn a_bitaxes_voltages_are_those_of_the_open_firmware() {
        assert_eq!(BITAXE.code(1.2).unwrap().byte(), 0x80 | 70);
        assert!((BITAXE.volts(Code::new(127).unwrap()) - 0.9886).abs() < 0.0005);
        assert_eq!(BITAXE.code(BITAXE.volts(Code::ZERO)), Some(Code::ZERO));
    }

    /// The open firmware once let such a code wrap into the direction bit: undervolting became 1.45 V.
    #[test]
    fn what_cannot_be_reached_has_no_code() {
        for volts in [0.9, 0.98, 0.0, -1.0, 2.5, 1e9, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(BITAXE.code(volts), None, "{volts}");
        }
    }
}

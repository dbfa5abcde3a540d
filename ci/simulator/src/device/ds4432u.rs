//! DS4432U: two current outputs; the first trims the feedback of a Bitaxe's buck regulator (TPS40305). Maxim data sheet
//! 19-4790; resistors of the boards: skot/bitaxe, sheet "power".

use super::{Device, Nak, padded};

const OUTPUTS: [u8; 2] = [0xF8, 0xF9];
/// Bit 7: source; else sink. The rest counts.
const SOURCE: u8 = 0x80;
const FULL_SCALE_AMPERES: f64 = 98.921e-6;
const COUNTS: f64 = 127.0;
/// The regulator's feedback voltage, and its divider: output to feedback, feedback to ground.
const FEEDBACK_VOLTS: f64 = 0.6;
const UPPER_OHMS: f64 = 4750.0;
const LOWER_OHMS: f64 = 3320.0;

pub(crate) struct Ds4432u {
    pointer: u8,
    outputs: [u8; 2],
}

impl Ds4432u {
    pub(crate) fn new() -> Self {
        Self { pointer: OUTPUTS[0], outputs: [0; 2] }
    }

    /// Where the regulator goes while it is enabled. Current into the feedback node lowers it.
    pub(crate) fn regulator_volts(&self) -> f64 {
        let magnitude = f64::from(self.outputs[0] & !SOURCE) / COUNTS * FULL_SCALE_AMPERES;
        let into = if self.outputs[0] & SOURCE == 0 { -magnitude } else { magnitude };
        FEEDBACK_VOLTS + UPPER_OHMS * (FEEDBACK_VOLTS / LOWER_OHMS - into)
    }
}

impl Device for Ds4432u {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nak> {
        let [pointer, data @ ..] = bytes else { return Ok(()) };
        let Some(output) = OUTPUTS.iter().position(|output| output == pointer) else { return Err(Nak) };
        self.pointer = *pointer;
        match *data {
            [] => Ok(()),
            [value] => {
                self.outputs[output] = value;
                Ok(())
            }
            _ => Err(Nak),
        }
    }

    fn read(&mut self, count: usize) -> Result<Vec<u8>, Nak> {
        let output = OUTPUTS.iter().position(|output| *output == self.pointer).ok_or(Nak)?;
        Ok(padded(vec![self.outputs[output]], count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_current_the_divider_alone_decides_and_sourced_current_lowers_the_rail() {
        let mut trim = Ds4432u::new();
        assert!((trim.regulator_volts() - 1.458).abs() < 0.001, "0.6 V · (1 + 4750 / 3320)");
        trim.write(&[0xF8, 0x80 | 70]).expect("there");
        assert!((trim.regulator_volts() - 1.199).abs() < 0.002, "{}", trim.regulator_volts());
        trim.write(&[0xF8, 10]).expect("there");
        assert!(trim.regulator_volts() > 1.458);
        assert_eq!(trim.write(&[0x00, 1]), Err(Nak));
    }
}

//! DS4432U: two current outputs; the first trims the feedback of a board's buck regulator. Maxim data sheet 19-4790;
//! resistors of the boards: ESP-Miner, and the sheets "power" of skot/bitaxe and 256foundation/emberone00-pcb.

use super::{Device, Nak, padded};

const OUTPUTS: [u8; 2] = [0xF8, 0xF9];
/// Bit 7: source; else sink. The rest counts.
const SOURCE: u8 = 0x80;
const COUNTS: f64 = 127.0;
/// At the full-scale resistor, and what the current there is divided by.
const REFERENCE_VOLTS: f64 = 0.997;
const REFERENCE_DIVISOR: f64 = 16.0;

/// The regulator's feedback voltage and its divider, and the DAC's own resistor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    pub(crate) feedback_volts: f64,
    /// Output to feedback, and feedback to ground.
    pub(crate) upper_ohms: f64,
    pub(crate) lower_ohms: f64,
    pub(crate) full_scale_ohms: f64,
}

impl Network {
    /// A Bitaxe's TPS40305, as its firmware reckons.
    pub(crate) const BITAXE: Self =
        Self { feedback_volts: 0.6, upper_ohms: 4750.0, lower_ohms: 3320.0, full_scale_ohms: 80_000.0 };
    /// An EmberOne00's LM25119, from its third revision to its fourth. Its schematics: 256foundation/emberone00-pcb.
    pub(crate) const EMBERONE00: Self =
        Self { feedback_volts: 0.8, upper_ohms: 3570.0, lower_ohms: 1020.0, full_scale_ohms: 39_000.0 };
}

pub(crate) struct Ds4432u {
    network: Network,
    pointer: u8,
    outputs: [u8; 2],
}

impl Ds4432u {
    pub(crate) fn new(network: Network) -> Self {
        Self { network, pointer: OUTPUTS[0], outputs: [0; 2] }
    }

    /// Where the regulator goes while it is enabled. Current into the feedback node lowers it.
    pub(crate) fn regulator_volts(&self) -> f64 {
        let Network { feedback_volts, upper_ohms, lower_ohms, full_scale_ohms } = self.network;
        let full_scale = REFERENCE_VOLTS / full_scale_ohms * COUNTS / REFERENCE_DIVISOR;
        let magnitude = f64::from(self.outputs[0] & !SOURCE) / COUNTS * full_scale;
        let into = if self.outputs[0] & SOURCE == 0 { -magnitude } else { magnitude };
        feedback_volts + upper_ohms * (feedback_volts / lower_ohms - into)
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
        let mut trim = Ds4432u::new(Network::BITAXE);
        assert!((trim.regulator_volts() - 1.458).abs() < 0.001, "0.6 V · (1 + 4750 / 3320)");
        trim.write(&[0xF8, 0x80 | 70]).expect("there");
        assert!((trim.regulator_volts() - 1.199).abs() < 0.002, "{}", trim.regulator_volts());
        trim.write(&[0xF8, 10]).expect("there");
        assert!(trim.regulator_volts() > 1.458);
        assert_eq!(trim.write(&[0x00, 1]), Err(Nak));
    }

    /// 3.6 V without current; 239 to 360 mV for each of twelve chips is what its maker states.
    #[test]
    fn an_emberones_range_is_what_its_maker_states() {
        let mut trim = Ds4432u::new(Network::EMBERONE00);
        assert!((trim.regulator_volts() - 3.6).abs() < 0.001, "{}", trim.regulator_volts());
        trim.write(&[0xF8, 0xFF]).expect("there");
        assert!((trim.regulator_volts() / 12.0 - 0.239).abs() < 0.001, "{}", trim.regulator_volts());
        trim.write(&[0xF8, 0x7F]).expect("there");
        assert!((trim.regulator_volts() / 12.0 - 0.360).abs() < 0.001, "{}", trim.regulator_volts());
    }
}

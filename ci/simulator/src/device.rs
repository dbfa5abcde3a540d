//! Parts that hang on an I²C bus, each with registers, refusals and readings of its own. What the machine has come to
//! (voltages, speeds, temperatures) is put into them from outside; what a host writes is read out of them.

pub(crate) mod apw;
pub(crate) mod ds4432u;
pub(crate) mod dspic;
pub(crate) mod eeprom;
pub(crate) mod emc2101;
pub(crate) mod emc2305;
mod frame;
pub(crate) mod ina260;
mod linear11;
pub(crate) mod lm75;
pub(crate) mod pic16;
pub(crate) mod tmp451;
pub(crate) mod tps546;

use crate::events::Event;

/// No device answered, or it refused a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not acknowledged")]
pub struct Nak;

/// A part on an I²C bus.
pub(crate) trait Device {
    /// A write message: what follows the address byte. None at all is a probe.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nak>;

    /// A read message of `count` bytes. What a device has no byte for reads as ones.
    fn read(&mut self, count: usize) -> Result<Vec<u8>, Nak>;

    /// Time passes, for parts that measure it.
    fn advance(&mut self, _seconds: f64) {}

    /// The next thing that the record should tell of it.
    fn happened(&mut self) -> Option<Event> {
        None
    }
}

/// `bytes`, and ones up to `count`: nobody pulls the line down any more.
fn padded(mut bytes: Vec<u8>, count: usize) -> Vec<u8> {
    bytes.resize(count, 0xFF);
    bytes
}

/// Sixteen bits as most sensors have them: signed, left-justified, this many of them counting.
fn left_justified(value: f64, per_unit: f64, bits: u32) -> u16 {
    let most = f64::from(1i32 << (bits - 1));
    let counts = (value * per_unit).round().clamp(-most, most - 1.0) as i32;
    (counts << (16 - bits)) as u16
}

//! Parts that hang on an I²C bus, each with registers, refusals and readings of its own. What the machine has come to
//! (voltages, speeds, temperatures) is put into them from outside; what a host writes is read out of them.

pub(crate) mod emc2101;
mod linear11;
pub(crate) mod tps546;

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
}

/// `bytes`, and ones up to `count`: nobody pulls the line down any more.
fn padded(mut bytes: Vec<u8>, count: usize) -> Vec<u8> {
    bytes.resize(count, 0xFF);
    bytes
}

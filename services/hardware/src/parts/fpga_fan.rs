//! Fans of an S9's control board, in its FPGA: one drive for all, a tachometer each. Registers: axi_fan_ctrl of Braiins' open design.

use std::{cell::OnceCell, io, path::PathBuf, rc::Rc};

use adit_peripherals::Duty;

use super::BoardError;
use crate::bus::{Registers, open_registers};

/// Turns a second of fan n at 4 · n, in eight bits.
const TURNS: usize = 0x00;
/// Percent, in seven bits.
const DRIVE: usize = 0x10;

#[derive(Debug)]
pub(super) struct FpgaFan {
    /// Of the UIO device.
    name: String,
    tachometer: u8,
    registers: OnceCell<Rc<dyn Registers>>,
}

impl FpgaFan {
    pub(super) fn new(name: &str, tachometer: u8) -> Self {
        Self { name: name.into(), tachometer, registers: OnceCell::new() }
    }

    fn registers(&self) -> Result<&Rc<dyn Registers>, BoardError> {
        if let Some(registers) = self.registers.get() {
            return Ok(registers);
        }
        let opened = open_registers(&self.name).map_err(|error| self.failed(error))?;
        Ok(self.registers.get_or_init(|| opened))
    }

    pub(super) fn drive(&self, duty: Duty) -> Result<(), BoardError> {
        let (registers, percent) = (self.registers()?, u32::from(duty.get()));
        registers.write(DRIVE, percent);
        let got = registers.read(DRIVE);
        if got == percent {
            return Ok(());
        }
        Err(self.failed(io::Error::other(format!("drive reads back {got} after {percent} was written"))))
    }

    pub(super) fn rpm(&self) -> Result<u32, BoardError> {
        let turns = self.registers()?.read(TURNS + 4 * usize::from(self.tachometer));
        if turns > u32::from(u8::MAX) {
            return Err(
                self.failed(io::Error::other(format!("tachometer reads {turns:#x}, which cannot be")))
            );
        }
        Ok(turns * 60)
    }

    fn failed(&self, error: io::Error) -> BoardError {
        BoardError::Kernel { path: PathBuf::from("uio").join(&self.name), error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::standing_in;

    #[test]
    fn fans_in_the_fpga_are_driven_together_and_counted_each() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(0x1000).unwrap();
        let truth = adit_sys::uio::Registers::map(file.try_clone().unwrap().into(), 0x1000).unwrap();
        let window = adit_sys::uio::Registers::map(file.into(), 0x1000).unwrap();
        standing_in::attach("fan-control", Rc::new(window));
        let fans = [0, 1].map(|number| FpgaFan::new("fan-control", number));
        fans[0].drive(Duty::FULL).unwrap();
        assert_eq!(truth.read(0x10), 100);
        truth.write(0x00, 97);
        truth.write(0x04, 0);
        assert_eq!((fans[0].rpm().unwrap(), fans[1].rpm().unwrap()), (97 * 60, 0));
        truth.write(0x04, u32::MAX);
        let error = fans[1].rpm().unwrap_err().to_string();
        assert_eq!(error, "uio/fan-control: tachometer reads 0xffffffff, which cannot be");
        let nobody = FpgaFan::new("no-such-device", 0).rpm().unwrap_err().to_string();
        assert!(nobody.starts_with("uio/no-such-device: "), "{nobody}");
    }
}

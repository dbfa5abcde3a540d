//! A simulated machine's buses, lines and boards in the form in which a unit gets them.

use std::{
    os::unix::net::UnixStream,
    path::Path,
    sync::{Arc, mpsc},
    thread,
};

use adit_guest_bus::{
    Edge, GpioLines, I2cBus, Message, Nak, Refused,
    usb::{Device, Identity},
};
use adit_simulator::{GpioPort, Handle, I2cPort};
use anyhow::{Context, Result};

use super::Buses;

impl Buses {
    /// All that a machine on a control board has but its chains, which are serial ports. No USB ports.
    pub fn of(machine: &Handle) -> Self {
        let bus = |number| Arc::new(Bus(machine.i2c(number))) as Arc<dyn I2cBus>;
        let lines = machine.gpio();
        let gpio: Vec<Arc<dyn GpioLines>> =
            if lines.lines().is_empty() { Vec::new() } else { vec![Arc::new(Lines(lines))] };
        Self { i2c: (0..machine.i2c_buses()).map(bus).collect(), gpio, usb_ports: 0 }
    }
}

/// A board with `bitaxe-raw` for a unit's USB port: the simulator listens for its control port and its chips' line at these sockets.
pub fn usb_board(serial: &str, control: &Path, chips: &Path) -> Result<Device> {
    let connect = |path: &Path| UnixStream::connect(path).with_context(|| path.display().to_string());
    Ok(Device::new(Identity::bitaxe_raw(serial), vec![connect(control)?, connect(chips)?])?)
}

struct Bus(I2cPort);

impl I2cBus for Bus {
    /// A write and the read behind it are one transfer; the machine has no other that is more than one message.
    fn transfer(&self, address: u8, messages: &mut [Message<'_>]) -> Result<(), Nak> {
        let ask = |write: &[u8], read: &mut [u8]| {
            let answer = self.0.transfer(address, write, read.len()).map_err(|_| Nak)?;
            read.copy_from_slice(&answer);
            Ok(())
        };
        let mut rest = messages;
        loop {
            rest = match rest {
                [] => return Ok(()),
                [Message::Write(write), Message::Read(read), rest @ ..] => {
                    ask(write, read)?;
                    rest
                }
                [Message::Write(write), rest @ ..] => {
                    ask(write, &mut [])?;
                    rest
                }
                [Message::Read(read), rest @ ..] => {
                    ask(&[], read)?;
                    rest
                }
            };
        }
    }
}

struct Lines(GpioPort);

impl GpioLines for Lines {
    fn names(&self) -> Vec<String> {
        self.0.lines().into_iter().map(|line| line.name).collect()
    }

    fn level(&self, line: usize) -> bool {
        self.0.get(line).unwrap_or(false)
    }

    fn drive(&self, line: usize, level: Option<bool>) -> Result<(), Refused> {
        self.0.drive(line, level).map_err(|_| Refused)
    }

    fn edges(&self) -> Option<mpsc::Receiver<Edge>> {
        let source = self.0.watch();
        let (sender, edges) = mpsc::channel();
        let forward = move || {
            let ours = source.into_iter().map(|edge| Edge { line: edge.line, level: edge.level });
            // The unit's port is gone: nobody listens any more.
            let _ = ours.map(|edge| sender.send(edge)).take_while(Result::is_ok).count();
        };
        thread::Builder::new().name("machine-edges".into()).spawn(forward).ok()?;
        Some(edges)
    }
}

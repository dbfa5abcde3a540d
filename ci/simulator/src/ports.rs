//! A machine's buses and lines for programs in the same process, such as one that puts them before a virtual machine.
//! Both are cheap to clone, may be used from any thread, and go on answering (a bus with no one on it, lines with their
//! last levels) after the simulation has ended.

use crate::clock;
use crate::device::Nak;
use crate::gpio::{Edge, Line, LineError};
use crate::shared::Shared;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// One I²C bus of the machine. Addresses have seven bits.
#[derive(Clone)]
pub struct I2cPort {
    shared: Arc<Shared>,
    bus: usize,
}

impl I2cPort {
    pub(crate) fn new(shared: Arc<Shared>, bus: usize) -> Self {
        Self { shared, bus }
    }

    /// A write message with `write`, then (repeated start) a read message of `read` bytes. Without bytes to write it is a
    /// read only; without bytes to read a write only; with neither a probe.
    ///
    /// Errors: nobody has this address, or the device refused a byte. A write may have taken effect when its read is
    /// refused, as on a wire.
    pub fn transfer(&self, address: u8, write: &[u8], read: usize) -> Result<Vec<u8>, Nak> {
        if self.shared.stopped() {
            return Err(Nak);
        }
        self.shared.change(|world| world.i2c(self.bus, address, write, read, clock::now_ns()))
    }
}

/// The machine's lines, numbered from 0.
#[derive(Clone)]
pub struct GpioPort {
    shared: Arc<Shared>,
}

impl GpioPort {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// All lines with their names, as they are now.
    pub fn lines(&self) -> Vec<Line> {
        self.shared.change(|world| world.lines().all())
    }

    /// The number of the line with this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.lines().iter().position(|line| line.name == name)
    }

    /// High or low; `None`: no such line.
    pub fn get(&self, line: usize) -> Option<bool> {
        self.shared.change(|world| world.lines().level(line))
    }

    /// The host drives a line high or low, or (`None`: it is an input now) lets its resistor decide.
    pub fn drive(&self, line: usize, level: Option<bool>) -> Result<(), LineError> {
        self.shared.change(|world| world.drive_line(line, level, clock::now_ns()))
    }

    /// Every edge of every line from now on, whoever made it. The receiver is disconnected when the simulation ends; at
    /// most 1024 edges wait, newer ones are lost. At most 16 watch; one more, and the oldest is disconnected.
    pub fn watch(&self) -> Receiver<Edge> {
        self.shared.change(|world| world.lines().watch())
    }
}

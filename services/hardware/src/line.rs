//! The line between a chain and its host: a serial port of the kernel, or a UART in an FPGA. Frames out, bytes in, every wait bounded.

mod fpga;

use std::{path::PathBuf, rc::Rc};

use self::fpga::Fpga;
use crate::{
    bus::Mailbox,
    port::{Port, PortError},
};

/// Where a chain's line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A device node.
    Port(PathBuf),
    /// What the names of its UIO devices begin with.
    Fpga(String),
}

/// Where a chain is reached, and where those ask it who want to know something of what hangs on its chips.
#[derive(Debug, Clone)]
pub(crate) struct At {
    pub(crate) place: Place,
    pub(crate) mailbox: Rc<Mailbox>,
}

/// Open, and ours alone.
#[derive(Debug)]
pub(crate) enum Line {
    Port(Port),
    Fpga(Fpga),
}

impl Line {
    pub(crate) fn open(place: &Place, baud: u32) -> Result<Self, PortError> {
        Ok(match place {
            Place::Port(path) => Self::Port(Port::open(path, baud)?),
            Place::Fpga(name) => Self::Fpga(Fpga::open(name, baud)?),
        })
    }

    /// Gives a frame to the line; waits at most a second for room.
    pub(crate) async fn write(&self, frame: &[u8]) -> Result<(), PortError> {
        match self {
            Self::Port(port) => port.write(frame).await,
            Self::Fpga(fpga) => fpga.write(frame).await,
        }
    }

    /// Waits for bytes and takes them. May be dropped while it waits: nothing is lost.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> Result<usize, PortError> {
        match self {
            Self::Port(port) => port.read(buffer).await,
            Self::Fpga(fpga) => fpga.read(buffer).await,
        }
    }

    /// Waits until the last byte has left.
    pub(crate) async fn drained(&self) {
        match self {
            Self::Port(port) => port.drained().await,
            Self::Fpga(fpga) => fpga.drained().await,
        }
    }

    /// Changes the line rate. The caller has waited until the last byte left.
    pub(crate) fn set_baud(&self, baud: u32) -> Result<(), PortError> {
        match self {
            Self::Port(port) => port.set_baud(baud),
            Self::Fpga(fpga) => fpga.set_baud(baud),
        }
    }

    /// Drops what arrived and was not read.
    pub(crate) fn discard_input(&self) -> Result<(), PortError> {
        match self {
            Self::Port(port) => port.discard_input(),
            Self::Fpga(fpga) => fpga.discard_input(),
        }
    }
}

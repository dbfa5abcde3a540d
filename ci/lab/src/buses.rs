//! Buses of a unit that end in this process: I²C, GPIO and USB ports that the guest's own drivers see.

mod machine;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use adit_guest_bus::{GpioLines, GpioPort, I2cBus, I2cPort, usb::UsbPort};
use adit_image::{
    Board,
    board::Qemu,
    qemu::{self, BusSockets},
};
use anyhow::{Context, Result};

pub use machine::usb_board;

/// What a run wants its unit to have; nothing at all by default.
#[derive(Default, Clone)]
pub struct Buses {
    /// `/dev/i2c-0` and on.
    pub i2c: Vec<Arc<dyn I2cBus>>,
    /// `/dev/gpiochip0` and on.
    pub gpio: Vec<Arc<dyn GpioLines>>,
    /// USB ports, all empty at first.
    pub usb_ports: usize,
}

/// The buses while the unit runs.
pub struct Ports {
    pub i2c: Vec<I2cPort>,
    pub gpio: Vec<GpioPort>,
    pub usb: Vec<UsbPort>,
}

impl Ports {
    /// Listens at sockets in `folder`.
    pub fn listen(buses: &Buses, folder: &Path) -> Result<Self> {
        let socket = |kind: &str, number: usize| folder.join(format!("{kind}{number}.sock"));
        let i2c = buses.i2c.iter().enumerate();
        let i2c = i2c.map(|(number, bus)| I2cPort::listen(&socket("i2c", number), bus.clone()));
        let gpio = buses.gpio.iter().enumerate();
        let gpio = gpio.map(|(number, lines)| GpioPort::listen(&socket("gpio", number), lines.clone()));
        let usb = (0..buses.usb_ports).map(|number| UsbPort::listen(&socket("usb", number)));
        Ok(Self {
            i2c: i2c.collect::<Result<_, _>>().context("I²C for the unit")?,
            gpio: gpio.collect::<Result<_, _>>().context("GPIO for the unit")?,
            usb: usb.collect::<Result<_, _>>().context("USB for the unit")?,
        })
    }

    /// QEMU's arguments for them.
    pub fn arguments(&self, board: &Board, qemu: &Qemu) -> Result<Vec<String>> {
        let paths =
            |paths: &mut dyn Iterator<Item = &Path>| -> Vec<PathBuf> { paths.map(Into::into).collect() };
        let i2c = paths(&mut self.i2c.iter().map(I2cPort::path));
        let gpio = paths(&mut self.gpio.iter().map(GpioPort::path));
        let usb = paths(&mut self.usb.iter().map(UsbPort::path));
        Ok(qemu::buses(board, qemu, BusSockets { i2c: &i2c, gpio: &gpio, usb: &usb })?)
    }
}

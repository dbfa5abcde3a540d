//! Buses of a unit in QEMU that end outside of it: what the guest's own kernel drivers see as `/dev/i2c-N`, `/dev/gpiochipN` and `/dev/ttyACMN` is
//! answered by simulated parts in this process.
//!
//! In: QEMU's sockets: vhost-user for I²C and GPIO, usb-redir for USB. Out: calls of [`I2cBus`] and [`GpioLines`], and the bytes of a plugged
//! [`usb::Device`]'s serial ports.
//!
//! The guest is taken for hostile: every length is checked, everything that waits is bounded, and nonsense is answered with the bus's own error or
//! dropped, never with a panic. QEMU itself is trusted; it runs in our name.

mod gpio;
mod i2c;
mod socket;
pub mod usb;
mod virtio;

use std::path::PathBuf;

pub use gpio::{Edge, GpioLines, GpioPort, Refused};
pub use i2c::{I2cBus, I2cPort, Message, Nak};

/// Why a bus could not be offered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}")]
    Socket { path: PathBuf, source: std::io::Error },
    #[error("no thread to serve {path}")]
    Thread { path: PathBuf, source: std::io::Error },
    #[error(
        "{lines} lines with {bytes} bytes of names: a chip has at most {most} lines, and 64 KiB of names"
    )]
    TooManyLines { lines: usize, bytes: usize, most: usize },
    #[error("{path}: the port already has a device")]
    Taken { path: PathBuf },
    #[error("a device has 1 to {most} serial ports, not {ports}")]
    Ports { ports: usize, most: usize },
    #[error("a USB string has at most {most} UTF-16 units: {text}")]
    LongString { text: String, most: usize },
}

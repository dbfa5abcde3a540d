//! USB boards that come and go: composite CDC-ACM devices, as `bitaxe-raw` is one, behind QEMU's `usb-redir`.
//!
//! The guest's xHCI and cdc_acm drivers see a full-speed device with the given strings and one `/dev/ttyACMN` for each serial port, whose bytes go
//! through a socket to whoever plays the firmware.

mod acm;
mod descriptors;
mod redir;
mod serve;

use std::os::unix::net::UnixStream;

pub use acm::LineCoding;
pub use serve::UsbPort;

use crate::Error;

/// Endpoint numbers of a full-speed device for three endpoints a port; the ESP32-S3 of a Bitaxe has them for two.
const MOST_PORTS: usize = 5;
/// A string descriptor has one byte for its length.
const MOST_UNITS: usize = 126;

/// Who the device says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub vendor: u16,
    pub product_id: u16,
    pub manufacturer: String,
    pub product: String,
    pub serial: String,
}

impl Identity {
    /// A board with the firmware `bitaxe-raw`: first port control, second port the chips' line.
    pub fn bitaxe_raw(serial: &str) -> Self {
        Self {
            vendor: 0xC0DE,
            product_id: 0xCAFE,
            manufacturer: "OSMU".into(),
            product: "Bitaxe".into(),
            serial: serial.into(),
        }
    }
}

/// A device to plug in: for each serial port the near end of a socket, at whose far end the firmware is.
#[derive(Debug)]
pub struct Device {
    identity: Identity,
    ports: Vec<UnixStream>,
}

impl Device {
    /// Errors: none or too many ports, a string that USB cannot carry.
    pub fn new(identity: Identity, ports: Vec<UnixStream>) -> Result<Self, Error> {
        if !(1..=MOST_PORTS).contains(&ports.len()) {
            return Err(Error::Ports { ports: ports.len(), most: MOST_PORTS });
        }
        for text in [&identity.manufacturer, &identity.product, &identity.serial] {
            if text.encode_utf16().count() > MOST_UNITS {
                return Err(Error::LongString { text: text.clone(), most: MOST_UNITS });
            }
        }
        Ok(Self { identity, ports })
    }
}

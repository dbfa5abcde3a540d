//! An I²C adapter for the guest: virtio-i2c, Linux driver `i2c-virtio`.

mod device;

use std::{path::Path, sync::Arc};

use crate::{Error, virtio};

/// Nobody answered, or a part refused a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not acknowledged")]
pub struct Nak;

/// One message of a transfer.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// What follows the address byte; nothing at all is a probe.
    Write(&'a [u8]),
    /// Where the part's bytes go: as many as fit, never none.
    Read(&'a mut [u8]),
}

/// The parts on a bus. Called from a thread of the bus's own, one transfer at a time.
pub trait I2cBus: Send + Sync + 'static {
    /// Messages to the part at this address of seven bits, with repeated starts between them and a stop after the last. At most
    /// 64 messages of at most 8192 bytes.
    fn transfer(&self, address: u8, messages: &mut [Message<'_>]) -> Result<(), Nak>;
}

/// A bus offered to QEMU's `vhost-user-i2c-pci`. Dropped, its socket is gone; the guest's transfers then wait until they time out.
pub struct I2cPort(virtio::Port);

impl I2cPort {
    /// Errors: the socket cannot be made, or no thread to serve it.
    pub fn listen(path: &Path, bus: Arc<dyn I2cBus>) -> Result<Self, Error> {
        let (port, _) = virtio::Port::listen(path, move || device::I2c::new(bus.clone()))?;
        Ok(Self(port))
    }

    /// The socket that QEMU connects to.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

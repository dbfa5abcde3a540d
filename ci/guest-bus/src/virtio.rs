//! A virtio device whose queues are in the guest's memory and whose front end is QEMU (vhost-user): the part that I²C and GPIO share.
//!
//! Source: "Virtual I/O Device (VIRTIO) Version 1.3", and QEMU's `docs/interop/vhost-user.rst`.

mod backend;
mod chain;
#[cfg(test)]
pub(crate) mod driver;
mod serve;

pub(crate) use chain::{Chain, readable, writable, write, write_last};
pub(crate) use serve::{Port, Waker};

/// A chain that goes back to the driver.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) queue: usize,
    pub(crate) head: u16,
    /// How many bytes were written into it.
    pub(crate) written: u32,
}

/// What a virtio device does; one lives as long as QEMU's connection.
pub(crate) trait Device: Send + Sync + 'static {
    const NAME: &'static str;
    const QUEUES: usize;
    /// Feature bits below 24, which are the device's own.
    const FEATURES: u64;

    /// The configuration space.
    fn config(&self) -> &[u8] {
        &[]
    }

    /// Takes what the driver has put into a queue since the last time; whatever can go back goes into `used`.
    fn take(&mut self, queue: usize, chains: Vec<Chain>, used: &mut Vec<Used>);

    /// [`Waker::wake`] was called.
    fn woken(&mut self, _used: &mut Vec<Used>) {}

    /// The driver gave the queue up, or the guest was reset: nothing that it left there may be used any more.
    fn stopped(&mut self, queue: usize);
}

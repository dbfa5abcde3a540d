//! Buses and lines of a simulated machine in this process, in the place of the kernel's, for tests of whole machines.

use std::{cell::RefCell, collections::HashMap};

use adit_simulator::{GpioPort, I2cPort};
use embedded_hal_async::i2c::Operation;
use rustix::io::Errno;

use super::BusError;

thread_local! {
    static ATTACHED: RefCell<HashMap<String, Simulated>> = RefCell::default();
}

#[derive(Clone)]
pub(crate) struct Simulated {
    pub(crate) i2c: Option<I2cPort>,
    pub(crate) gpio: Option<GpioPort>,
}

impl std::fmt::Debug for Simulated {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Simulated")
    }
}

/// From now on the bus of this name is the simulated machine's, for machines of this thread.
pub(crate) fn attach(name: &str, bus: Simulated) {
    ATTACHED.with_borrow_mut(|attached| attached.insert(name.into(), bus));
}

pub(super) fn attached(name: &str) -> Option<Simulated> {
    ATTACHED.with_borrow(|attached| attached.get(name).cloned())
}

impl Simulated {
    pub(super) async fn transaction(
        &self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), BusError> {
        // As long as a real one takes, near enough; and others get their turn.
        tokio::time::sleep(std::time::Duration::from_micros(200)).await;
        let bus = self.i2c.as_ref().ok_or(BusError::NoI2c)?;
        let mut written = Vec::new();
        let mut wanted = 0;
        for operation in operations.iter() {
            match operation {
                Operation::Write(bytes) => written.extend_from_slice(bytes),
                Operation::Read(bytes) => wanted += bytes.len(),
            }
        }
        let nobody = |_| BusError::Device { error: Errno::NXIO.into() };
        let read = bus.transfer(address, &written, wanted).map_err(nobody)?;
        let mut rest = read.as_slice();
        for operation in operations {
            if let Operation::Read(bytes) = operation {
                let (these, others) = rest.split_at(bytes.len());
                bytes.copy_from_slice(these);
                rest = others;
            }
        }
        Ok(())
    }

    pub(super) fn set(&self, line: u32, high: bool) -> Result<(), BusError> {
        let gpio = self.gpio.as_ref().ok_or(BusError::NoLine)?;
        let failed = |error: adit_simulator::LineError| BusError::Chip {
            chip: "simulated".into(),
            error: error.to_string(),
        };
        gpio.drive(line as usize, Some(high)).map_err(failed)
    }

    pub(super) fn get(&self, line: u32) -> Result<bool, BusError> {
        self.gpio.as_ref().and_then(|gpio| gpio.get(line as usize)).ok_or(BusError::NoLine)
    }
}

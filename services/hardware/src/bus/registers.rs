//! Windows of registers: of the kernel's UIO devices, or in tests of what stands in for them.

use std::{fmt, io, path::Path, rc::Rc};

use adit_sys::uio;
use rustix::fs::{FlockOperation, flock};

/// 32-bit registers, by their offset in bytes.
pub(crate) trait Registers: fmt::Debug {
    fn read(&self, offset: usize) -> u32;
    fn write(&self, offset: usize, value: u32);
}

impl Registers for uio::Registers {
    fn read(&self, offset: usize) -> u32 {
        self.read(offset)
    }

    fn write(&self, offset: usize, value: u32) {
        self.write(offset, value);
    }
}

/// The window of the device with this name.
pub(crate) fn open(name: &str) -> io::Result<Rc<dyn Registers>> {
    #[cfg(test)]
    if let Some(registers) = standing_in::attached(name) {
        return Ok(registers);
    }
    Ok(Rc::new(map(name)?))
}

/// Likewise, and this process's alone until it is dropped. Errors: `WouldBlock` when it is another's.
pub(crate) fn open_alone(name: &str) -> io::Result<Rc<dyn Registers>> {
    #[cfg(test)]
    if let Some(registers) = standing_in::attached(name) {
        return Ok(registers);
    }
    let registers = map(name)?;
    flock(&registers, FlockOperation::NonBlockingLockExclusive)?;
    Ok(Rc::new(registers))
}

fn map(name: &str) -> io::Result<uio::Registers> {
    let found = uio::find(Path::new(uio::SYSFS), name)?;
    uio::Registers::open(&found.node, found.bytes)
}

#[cfg(test)]
pub(crate) mod standing_in {
    use std::{cell::RefCell, collections::HashMap, rc::Rc};

    use super::Registers;

    thread_local! {
        static ATTACHED: RefCell<HashMap<String, Rc<dyn Registers>>> = RefCell::default();
    }

    /// From now on the device of this name is this one, for this thread.
    pub(crate) fn attach(name: &str, registers: Rc<dyn Registers>) {
        ATTACHED.with_borrow_mut(|attached| attached.insert(name.into(), registers));
    }

    pub(super) fn attached(name: &str) -> Option<Rc<dyn Registers>> {
        ATTACHED.with_borrow(|attached| attached.get(name).cloned())
    }
}

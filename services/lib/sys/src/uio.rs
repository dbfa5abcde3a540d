//! Registers of a device that the kernel hands to a program through UIO: `/dev/uioN`, found by the name that the device tree gave it. Mapped through the device node, so that a program reaches this device and no
//! other memory.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use rustix::fs::{Mode, OFlags};
use rustix::mm::{MapFlags, ProtFlags};

/// Where the kernel lists them.
pub const SYSFS: &str = "/sys/class/uio";

/// The largest window that is mapped; devices with registers have a page, or a few.
const MOST_BYTES: usize = 1 << 20;

/// A device that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `/dev/uioN`
    pub node: PathBuf,
    /// Of its first map.
    pub bytes: usize,
}

/// The device of this name. Errors: `NotFound`; `InvalidData` when its first map has no size that can be.
pub fn find(sysfs: &Path, name: &str) -> io::Result<Found> {
    for entry in fs::read_dir(sysfs)?.flatten() {
        let folder = entry.path();
        if !fs::read_to_string(folder.join("name")).is_ok_and(|found| found.trim_end() == name) {
            continue;
        }
        let text = fs::read_to_string(folder.join("maps/map0/size"))?;
        let bytes = usize::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok();
        let bytes = bytes.filter(|bytes| (4..=MOST_BYTES).contains(bytes));
        let bytes =
            bytes.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, text.trim().to_owned()))?;
        return Ok(Found { node: Path::new("/dev").join(entry.file_name()), bytes });
    }
    Err(io::ErrorKind::NotFound.into())
}

/// A window of 32-bit registers. Each access is one access of the bus, in the order in which it is made: reading may take a word out of a queue.
#[derive(Debug)]
pub struct Registers {
    base: NonNull<u32>,
    bytes: usize,
    fd: OwnedFd,
}

// SAFETY: the mapping belongs to this value alone, whichever thread holds it.
unsafe impl Send for Registers {}

impl Registers {
    /// Opens the node and maps its first `bytes`.
    pub fn open(node: &Path, bytes: usize) -> io::Result<Self> {
        let fd = rustix::fs::open(node, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        Self::map(fd, bytes)
    }

    /// Maps the first `bytes` of what is open.
    pub fn map(fd: OwnedFd, bytes: usize) -> io::Result<Self> {
        if !(4..=MOST_BYTES).contains(&bytes) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; nobody else knows of it.
        let base =
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), bytes, protection, MapFlags::SHARED, &fd, 0)? };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, bytes, fd })
    }

    /// The word at `offset`, in bytes, which is aligned and within the window.
    pub fn read(&self, offset: usize) -> u32 {
        // SAFETY: `at` has checked alignment and bounds; the mapping lives as long as `self`.
        unsafe { self.at(offset).read_volatile() }
    }

    pub fn write(&self, offset: usize, value: u32) {
        // SAFETY: as for `read`; the mapping is writable.
        unsafe { self.at(offset).write_volatile(value) }
    }

    fn at(&self, offset: usize) -> *mut u32 {
        assert!(
            offset.is_multiple_of(4) && offset + 4 <= self.bytes,
            "{offset:#x} is no register of this device"
        );
        self.base.as_ptr().wrapping_byte_add(offset)
    }
}

impl AsFd for Registers {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Registers {
    fn drop(&mut self) {
        // SAFETY: mapped in `map` with this length, and no reference to it is left.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_found_by_its_name_with_the_size_of_its_first_map() {
        let sysfs = tempfile::tempdir().unwrap();
        for (folder, name, size) in [
            ("uio0", "chain6-common", "0x1000"),
            ("uio1", "fan-control", "0x00010000"),
            ("uio2", "odd", "0x0"),
        ] {
            let maps = sysfs.path().join(folder).join("maps/map0");
            fs::create_dir_all(&maps).unwrap();
            fs::write(maps.join("size"), format!("{size}\n")).unwrap();
            fs::write(sysfs.path().join(folder).join("name"), format!("{name}\n")).unwrap();
        }
        let found = find(sysfs.path(), "fan-control").unwrap();
        assert_eq!(found, Found { node: "/dev/uio1".into(), bytes: 0x1_0000 });
        assert_eq!(find(sysfs.path(), "chain7-common").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(find(sysfs.path(), "odd").unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn what_is_written_is_what_others_read_at_that_place() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(0x1000).unwrap();
        let other = Registers::map(file.try_clone().unwrap().into(), 0x1000).unwrap();
        let registers = Registers::map(file.into(), 0x1000).unwrap();
        registers.write(0x10, 0x1234_5678);
        assert_eq!((other.read(0x10), other.read(0x14)), (0x1234_5678, 0));
    }

    #[test]
    #[should_panic(expected = "0x1000 is no register of this device")]
    fn beyond_the_window_is_nothing() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(0x1000).unwrap();
        Registers::map(file.into(), 0x1000).unwrap().read(0x1000);
    }
}

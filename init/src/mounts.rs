//! The file systems of a unit, and taking them down again.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};

use crate::partitions;
use crate::paths::Paths;

/// A file system that the kernel makes by itself.
struct Pseudo {
    kind: &'static CStr,
    target: &'static str,
    flags: MountFlags,
    options: &'static CStr,
}

const QUIET: MountFlags = MountFlags::NOSUID.union(MountFlags::NOEXEC);
const QUIETEST: MountFlags = QUIET.union(MountFlags::NODEV);

/// In the order in which they are mounted. Programs run from the verified root only, devices exist in /dev only.
const PSEUDO: [Pseudo; 5] = [
    Pseudo { kind: c"proc", target: "/proc", flags: QUIETEST, options: c"" },
    Pseudo { kind: c"sysfs", target: "/sys", flags: QUIETEST, options: c"" },
    Pseudo { kind: c"cgroup2", target: "/sys/fs/cgroup", flags: QUIETEST, options: c"nsdelegate" },
    // Sizes are limits, not costs: sockets and small state, and whatever a service has to put down for a moment.
    Pseudo { kind: c"tmpfs", target: "/run", flags: QUIETEST, options: c"mode=0755,size=4m,nr_inodes=4096" },
    Pseudo { kind: c"tmpfs", target: "/tmp", flags: QUIETEST, options: c"mode=1777,size=8m,nr_inodes=4096" },
];

const DEVICES: Pseudo = Pseudo { kind: c"devtmpfs", target: "/dev", flags: QUIET, options: c"mode=0755" };

/// Stands in for the data partition when that cannot be mounted: the unit works, and forgets at the next boot.
const SPARE_DATA: &CStr = c"mode=0755,size=16m,nr_inodes=4096";

/// The device nodes, before anything else: without them there is no console. The kernel may have mounted them already.
pub fn devices() -> io::Result<()> {
    mount_pseudo(&DEVICES)
}

/// Every other file system that needs no disk. An error names the first that could not be mounted; the rest is mounted anyway.
pub fn pseudo() -> Result<(), (&'static str, io::Error)> {
    let mut result = Ok(());
    for pseudo in &PSEUDO {
        if let Err(error) = mount_pseudo(pseudo) {
            result = result.and(Err((pseudo.target, error)));
        }
    }
    result
}

fn mount_pseudo(pseudo: &Pseudo) -> io::Result<()> {
    match mount(pseudo.kind, pseudo.target, pseudo.kind, pseudo.flags, pseudo.options) {
        // Already there, mounted by the kernel with its own flags.
        Err(Errno::BUSY) => Ok(mount_remount(pseudo.target, pseudo.flags, pseudo.options)?),
        other => Ok(other?),
    }
}

/// The two partitions that are read by name. A unit mines without either: what goes wrong is only said.
pub fn partitions(paths: &Paths) {
    // Written by people and by other computers, read before anything is verified: read-only, and nothing in it counts as
    // more than a proposal.
    let read_only = QUIETEST | MountFlags::RDONLY;
    if let Err(error) = partition(paths, "loader", &paths.loader(), c"vfat", read_only, c"") {
        tracing::warn!(target: "adit_init", "no loader partition: {error}");
    }
    let options = c"errors=remount-ro";
    if let Err(error) =
        partition(paths, "data", &paths.data(), c"ext4", QUIETEST | MountFlags::NOATIME, options)
    {
        tracing::warn!(target: "adit_init", "no data partition, what is stored is lost at the next boot: {error}");
        if let Err(error) = mount(c"tmpfs", paths.data(), c"tmpfs", QUIETEST, SPARE_DATA) {
            tracing::error!(target: "adit_init", "no place for data at all: {error}");
        }
    }
}

fn partition(
    paths: &Paths,
    label: &str,
    target: &Path,
    kind: &CStr,
    flags: MountFlags,
    options: &CStr,
) -> io::Result<()> {
    let device = partitions::find(&paths.block_devices(), &paths.devices(), label)?
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no partition is called {label}")))?;
    if !target.exists() {
        fs::create_dir_all(target)?;
    }
    mount(&device, target, kind, flags, options)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", device.display())))
}

/// Before the end. What is still in use is made read-only and let go of.
pub fn take_down(paths: &Paths) {
    for target in [paths.data(), paths.loader()] {
        match unmount(&target, UnmountFlags::empty()) {
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(error) => {
                tracing::warn!(target: "adit_init", "{} is still in use: {error}", target.display());
                // Both are attempts: the sync that follows is what counts.
                let _ = mount_remount(&target, QUIETEST | MountFlags::RDONLY, c"");
                let _ = unmount(&target, UnmountFlags::DETACH);
            }
        }
    }
}

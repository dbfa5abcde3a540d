//! Where things are. One root for all of them, so that tests can give PID 1 a world of its own.

use std::path::{Path, PathBuf};

#[derive(Debug, Clone)]
pub struct Paths {
    root: PathBuf,
}

impl Paths {
    /// `/` on a unit. Anything else: a test, in which the machine itself (mounts, clock, network, kernel log) is left alone.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Paths { root: root.into() }
    }

    pub fn is_machine(&self) -> bool {
        self.root == Path::new("/")
    }

    pub fn at(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    pub fn units(&self) -> PathBuf {
        self.at("/etc/adit/services")
    }

    pub fn switches(&self) -> PathBuf {
        self.at("/etc/adit/sysctl.conf")
    }

    pub fn release(&self) -> PathBuf {
        self.at("/etc/adit/release.json")
    }

    pub fn machine_profile(&self, machine: &str) -> PathBuf {
        self.at("/etc/adit/machines").join(format!("{machine}.toml"))
    }

    pub fn command_line(&self) -> PathBuf {
        self.at("/proc/cmdline")
    }

    pub fn console(&self) -> PathBuf {
        self.at("/dev/console")
    }

    pub fn doors(&self) -> PathBuf {
        self.at("/run/adit/doors")
    }

    pub fn notify(&self) -> PathBuf {
        self.at("/run/adit/notify")
    }

    /// The FAT partition with what people put on the card.
    pub fn loader(&self) -> PathBuf {
        self.at("/run/adit/loader")
    }

    pub fn configuration(&self) -> PathBuf {
        self.loader().join("adit.toml")
    }

    pub fn data(&self) -> PathBuf {
        self.at("/data")
    }

    pub fn block_devices(&self) -> PathBuf {
        self.at("/sys/class/block")
    }

    pub fn devices(&self) -> PathBuf {
        self.at("/dev")
    }
}

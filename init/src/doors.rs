//! The services' sockets, bound before the first service starts and kept for as long as the unit runs.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::service::Service;

/// Every door, with its name.
pub struct Doors {
    bound: Vec<(String, UnixListener)>,
}

impl Doors {
    /// Binds the doors of all services in `folder`. Until services have users of their own, only root may knock.
    pub fn bind<'a>(folder: &Path, services: impl Iterator<Item = &'a Service>) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
        let mut bound = Vec::new();
        for door in services.flat_map(|service| &service.doors) {
            let path = folder.join(door);
            let named =
                |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
            let listener = UnixListener::bind(&path).map_err(named)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(named)?;
            bound.push((door.clone(), listener));
        }
        Ok(Doors { bound })
    }

    /// The sockets of one service, in the order of its unit file.
    pub fn of<'a>(&'a self, service: &'a Service) -> Vec<(&'a str, BorrowedFd<'a>)> {
        let listener = |door: &String| self.bound.iter().find(|(name, _)| name == door);
        service.doors.iter().filter_map(listener).map(|(name, door)| (name.as_str(), door.as_fd())).collect()
    }
}

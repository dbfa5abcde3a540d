//! USB boards by what they say of themselves, through sysfs: a device's serial ports in the order of their interfaces.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::profile::UsbIdentity;

/// Where the kernel lists terminals.
pub(super) const SYSFS: &str = "/sys/class/tty";
const NODES: &str = "/dev";

/// A device that is plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its folder in sysfs: which socket it is in.
    pub(super) place: PathBuf,
    /// Interface numbers and names of its serial ports, in order.
    ports: Vec<(u8, String)>,
}

impl Found {
    pub(super) fn port(&self, number: u8) -> Option<PathBuf> {
        self.ports.get(usize::from(number)).map(|(_, name)| Path::new(NODES).join(name))
    }
}

/// Devices of this identity, in the order of their sockets. What cannot be read is passed over: it may be on its way out.
pub(super) fn find(sysfs: &Path, wanted: &UsbIdentity) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let Ok(terminals) = fs::read_dir(sysfs) else { return found };
    for terminal in terminals.flatten() {
        let Some((place, interface)) = device_of(&terminal.path()) else { continue };
        let says = |what: &str| fs::read_to_string(place.join(what)).map(|text| text.trim_end().to_owned());
        let is = |what: &str, wanted: &str| says(what).is_ok_and(|text| text == wanted);
        let serial = wanted.serial.as_ref().is_none_or(|serial| is("serial", serial));
        if !(is("manufacturer", &wanted.manufacturer) && is("product", &wanted.product) && serial) {
            continue;
        }
        let port = (interface, terminal.file_name().to_string_lossy().into_owned());
        match found.iter_mut().find(|device| device.place == place) {
            Some(device) => device.ports.push(port),
            None => found.push(Found { place, ports: vec![port] }),
        }
    }
    found.iter_mut().for_each(|device| device.ports.sort());
    found.sort_by(|one, other| one.place.cmp(&other.place));
    found
}

/// The device that a terminal belongs to, and the number of its interface there. A CDC-ACM port's `device` is its interface; a USB UART's is a port below it.
fn device_of(terminal: &Path) -> Option<(PathBuf, u8)> {
    let device = fs::canonicalize(terminal.join("device")).ok()?;
    let interface = device.ancestors().take(2).find(|folder| folder.join("bInterfaceNumber").exists())?;
    let number = fs::read_to_string(interface.join("bInterfaceNumber")).ok()?;
    let number = u8::from_str_radix(number.trim_end(), 16).ok()?;
    Some((interface.parent()?.to_owned(), number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Folders as Linux 6.12 lays them out for CDC-ACM.
    fn plug(root: &Path, socket: &str, texts: [&str; 3], ports: &[(&str, &str)]) {
        let device = root.join("devices/usb1").join(socket);
        for (interface, terminal) in ports {
            let folder = device.join(format!("{socket}:1.{interface}"));
            fs::create_dir_all(folder.join("tty").join(terminal)).unwrap();
            fs::write(folder.join("bInterfaceNumber"), format!("{interface:0>2}\n")).unwrap();
            let class = root.join("class/tty").join(terminal);
            fs::create_dir_all(&class).unwrap();
            symlink(&folder, class.join("device")).unwrap();
        }
        for (name, text) in ["manufacturer", "product", "serial"].iter().zip(texts) {
            fs::write(device.join(name), format!("{text}\n")).unwrap();
        }
    }

    #[test]
    fn boards_are_found_by_what_they_say_and_their_ports_in_order() {
        let root = tempfile::tempdir().unwrap();
        plug(root.path(), "1-2", ["OSMU", "Bitaxe", "b"], &[("2", "ttyACM0"), ("0", "ttyACM3")]);
        plug(root.path(), "1-1", ["OSMU", "Bitaxe", "a"], &[("0", "ttyACM1"), ("2", "ttyACM2")]);
        plug(root.path(), "1-3", ["Other", "Bitaxe", "a"], &[("0", "ttyACM9")]);
        fs::create_dir_all(root.path().join("class/tty/ttyS0")).unwrap();
        let sysfs = root.path().join("class/tty");
        let wanted = |serial: Option<&str>| UsbIdentity {
            manufacturer: "OSMU".into(),
            product: "Bitaxe".into(),
            serial: serial.map(str::to_owned),
        };
        let ports = |serial| {
            let found = find(&sysfs, &wanted(serial));
            found
                .iter()
                .map(|device| [device.port(0), device.port(1)].map(Option::unwrap))
                .collect::<Vec<_>>()
        };
        let node = |number: u8| PathBuf::from(format!("/dev/ttyACM{number}"));
        assert_eq!(
            ports(None),
            [[node(1), node(2)], [node(3), node(0)]],
            "sockets, then interfaces, in order"
        );
        assert_eq!(ports(Some("b")), [[node(3), node(0)]]);
        assert!(ports(Some("c")).is_empty());
        assert!(find(Path::new("/nowhere"), &wanted(None)).is_empty());
    }

    #[test]
    fn a_device_with_one_port_has_none_for_the_chain() {
        use crate::{
            bus::{Bus, Buses, Claim},
            parts::BoardError,
            power::Fault,
            profile::Profile,
        };
        let root = tempfile::tempdir().unwrap();
        plug(root.path(), "1-1", ["OSMU", "Bitaxe", "a"], &[("0", "ttyACM0")]);
        let profile = include_str!("../../../../overlay/etc/adit/machines/bitaxe-gamma.toml");
        let profile = Profile::parse(profile).unwrap();
        let buses = Buses::new(&profile, Claim::Alone);
        let Bus::Raw(raw) = buses.get("control") else { panic!("it is a controller's") };
        let wanted = UsbIdentity { manufacturer: "OSMU".into(), product: "Bitaxe".into(), serial: None };
        let [device] = find(&root.path().join("class/tty"), &wanted).try_into().unwrap();
        assert_eq!(device.port(0), Some(PathBuf::from("/dev/ttyACM0")));
        raw.device.replace(Some(device));
        assert!(buses.chain_port(&profile.board[0].chain).is_none());
        let fault = Fault::from(BoardError::NoChainPort).to_string();
        assert!(fault.starts_with("its USB device has no serial port for the chain"), "{fault}");
    }
}

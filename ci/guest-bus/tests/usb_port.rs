//! A USB port as QEMU's end of the socket sees it: packets by hand, as the description of the protocol lays them out.

#![allow(clippy::unwrap_used)]

use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use adit_guest_bus::{
    Error,
    usb::{Device, Identity, UsbPort},
};

const HELLO: u32 = 0;
const CONNECT: u32 = 1;
const DISCONNECT: u32 = 2;
const INTERFACES: u32 = 4;
const ENDPOINTS: u32 = 5;
const DISCONNECTED: u32 = 24;
const BULK: u32 = 101;

struct Qemu(UnixStream);

impl Qemu {
    /// Says hello as QEMU 10 does, and has heard ours.
    fn connect(path: &Path) -> Self {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut hello = [0; 80];
        stream.read_exact(&mut hello).unwrap();
        assert_eq!(hello[..8], [HELLO as u8, 0, 0, 0, 68, 0, 0, 0]);
        let ours = [&[0, 0, 0, 0, 68, 0, 0, 0, 0, 0, 0, 0][..], &[b'q'; 64], &[0xFE, 0, 0, 0]].concat();
        stream.write_all(&ours).unwrap();
        Self(stream)
    }

    fn send(&mut self, kind: u32, id: u64, body: &[u8]) {
        let length = u32::try_from(body.len()).unwrap();
        let header = [&kind.to_le_bytes()[..], &length.to_le_bytes(), &id.to_le_bytes()].concat();
        self.0.write_all(&[&header, body].concat()).unwrap();
    }

    fn hear(&mut self) -> (u32, u64, Vec<u8>) {
        let mut header = [0; 16];
        self.0.read_exact(&mut header).unwrap();
        let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
        let mut body = vec![0; word(4) as usize];
        self.0.read_exact(&mut body).unwrap();
        (word(0), u64::from(word(8)), body)
    }

    fn appears(&mut self) {
        assert_eq!([self.hear().0, self.hear().0], [INTERFACES, ENDPOINTS]);
        let (kind, _, about) = self.hear();
        // Full speed, composite, c0de:cafe.
        assert_eq!((kind, &about[..8]), (CONNECT, &[1, 0xEF, 2, 1, 0xDE, 0xC0, 0xFE, 0xCA][..]));
    }

    /// Wants up to 64 bytes from an endpoint.
    fn ask_for_bytes(&mut self, id: u64, endpoint: u8) {
        self.send(BULK, id, &[endpoint, 0, 64, 0, 0, 0, 0, 0, 0, 0]);
    }
}

/// At once, or as a reset when something that we said was not read.
fn hung_up(stream: &mut UnixStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

fn board() -> (Device, [UnixStream; 2]) {
    let (control, firmware) = UnixStream::pair().unwrap();
    let (line, chips) = UnixStream::pair().unwrap();
    (Device::new(Identity::bitaxe_raw("1"), vec![control, line]).unwrap(), [firmware, chips])
}

fn port() -> (tempfile::TempDir, UsbPort) {
    let folder = tempfile::tempdir().unwrap();
    let port = UsbPort::listen(&folder.path().join("usb")).unwrap();
    (folder, port)
}

#[test]
fn a_device_appears_goes_and_its_successor_waits_for_the_acknowledgement() {
    let (_folder, port) = port();
    let mut qemu = Qemu::connect(port.path());
    port.plug(board().0).unwrap();
    qemu.appears();
    assert!(matches!(port.plug(board().0), Err(Error::Taken { .. })));
    port.unplug();
    let (device, [mut firmware, _chips]) = board();
    port.plug(device).unwrap();
    assert_eq!(qemu.hear().0, DISCONNECT);
    // Meant for the old device: nobody answers.
    qemu.ask_for_bytes(1, 0x82);
    firmware.write_all(&[7]).unwrap();
    qemu.send(DISCONNECTED, 0, &[]);
    qemu.appears();
    qemu.ask_for_bytes(2, 0x82);
    assert_eq!(qemu.hear(), (BULK, 2, vec![0x82, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7]));
}

#[test]
fn what_was_plugged_in_before_qemu_came_appears_when_it_comes_each_time() {
    let (_folder, port) = port();
    let (device, [mut firmware, _chips]) = board();
    port.plug(device).unwrap();
    for _ in 0..2 {
        let mut qemu = Qemu::connect(port.path());
        qemu.appears();
        qemu.send(BULK, 5, &[0x01, 0, 2, 0, 0, 0, 0, 0, 0, 0, 8, 9]);
        assert_eq!(qemu.hear(), (BULK, 5, vec![0x01, 0, 2, 0, 0, 0, 0, 0, 0, 0]));
        let mut heard = [0; 2];
        firmware.read_exact(&mut heard).unwrap();
        assert_eq!(heard, [8, 9]);
    }
}

#[test]
fn nonsense_ends_the_connection_and_the_next_one_is_served() {
    let (_folder, port) = port();
    let mut qemu = Qemu::connect(port.path());
    // A megabyte and more.
    qemu.0.write_all(&[101, 0, 0, 0, 0, 0, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    assert!(hung_up(&mut qemu.0));
    port.plug(board().0).unwrap();
    Qemu::connect(port.path()).appears();
}

#[test]
fn a_board_whose_firmware_hung_up_stays_and_swallows_bytes() {
    let (_folder, port) = port();
    let (device, [firmware, mut chips]) = board();
    port.plug(device).unwrap();
    drop(firmware);
    let mut qemu = Qemu::connect(port.path());
    qemu.appears();
    qemu.ask_for_bytes(1, 0x82);
    qemu.send(BULK, 2, &[0x01, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8]);
    assert_eq!(qemu.hear().1, 2);
    qemu.ask_for_bytes(3, 0x84);
    chips.write_all(&[5]).unwrap();
    assert_eq!(qemu.hear(), (BULK, 3, vec![0x84, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5]));
}

#[test]
fn a_dropped_port_hangs_up_and_leaves_no_socket() {
    let (folder, port) = port();
    let mut qemu = Qemu::connect(port.path());
    drop(port);
    assert!(hung_up(&mut qemu.0));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

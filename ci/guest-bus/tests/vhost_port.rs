//! Ports of I²C and GPIO as far as they can be tried without a guest; ci/lab's boot test has one.

#![allow(clippy::unwrap_used)]

use std::{
    io::{ErrorKind, Read},
    os::unix::net::UnixStream,
    sync::Arc,
    time::Duration,
};

use adit_guest_bus::{Error, GpioLines, GpioPort, I2cBus, I2cPort, Message, Nak, Refused};

struct Nothing(usize);

impl I2cBus for Nothing {
    fn transfer(&self, _address: u8, _messages: &mut [Message<'_>]) -> Result<(), Nak> {
        Err(Nak)
    }
}

impl GpioLines for Nothing {
    fn names(&self) -> Vec<String> {
        vec!["line".into(); self.0]
    }

    fn level(&self, _line: usize) -> bool {
        false
    }

    fn drive(&self, _line: usize, _level: Option<bool>) -> Result<(), Refused> {
        Err(Refused)
    }
}

/// At once, or as a reset when something that we said was not read.
fn hung_up(stream: &mut UnixStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_front_end_may_leave_talk_nonsense_and_be_dropped_at_any_time() {
    let folder = tempfile::tempdir().unwrap();
    let port = I2cPort::listen(&folder.path().join("i2c"), Arc::new(Nothing(0))).unwrap();
    drop(UnixStream::connect(port.path()).unwrap());
    let mut nonsense = UnixStream::connect(port.path()).unwrap();
    std::io::Write::write_all(&mut nonsense, &[0xFF; 64]).unwrap();
    nonsense.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert!(hung_up(&mut nonsense));
    let mut still = UnixStream::connect(port.path()).unwrap();
    still.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    drop(port);
    assert!(hung_up(&mut still));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_chip_with_more_lines_than_a_chip_has_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = GpioPort::listen(&folder.path().join("gpio"), Arc::new(Nothing(513)));
    assert!(matches!(refused, Err(Error::TooManyLines { lines: 513, bytes: 2565, most: 512 })));
    let port = GpioPort::listen(&folder.path().join("gpio"), Arc::new(Nothing(512))).unwrap();
    // Nobody is there to be interrupted.
    (0..5000).for_each(|_| port.edge(0, true));
}

#[test]
fn a_socket_in_use_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("i2c");
    let first = I2cPort::listen(&path, Arc::new(Nothing(0))).unwrap();
    assert!(matches!(I2cPort::listen(&path, Arc::new(Nothing(0))), Err(Error::Socket { .. })));
    drop(first);
    I2cPort::listen(&path, Arc::new(Nothing(0))).unwrap();
}

//! A whole machine on Unix sockets, and a control board's hands.

use super::{bytes, connect};
use adit_simulator::{Endpoint, Event, Handle, MachineConfig, MachineModel, Simulator, State};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

pub const SILENCE: Duration = Duration::from_millis(300);

pub struct Whole {
    pub handle: Handle,
    pub folder: tempfile::TempDir,
}

pub fn config(model: &'static MachineModel, folder: &Path) -> MachineConfig {
    let chains = (0..model.boards).map(|n| Endpoint::Unix(folder.join(format!("chain-{n}")))).collect();
    let board = model.usb.then(|| Endpoint::Unix(folder.join("board")));
    MachineConfig { control: Some(folder.join("control")), ..MachineConfig::new(model, chains, board) }
}

impl Whole {
    pub fn new(model: &'static MachineModel) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let handle = Simulator::start_machine(&config(model, folder.path())).unwrap();
        Self { handle, folder }
    }

    pub fn chain(&self, board: usize) -> UnixStream {
        connect(&self.folder.path().join(format!("chain-{board}")))
    }

    pub fn line(&self, name: &str, level: bool) {
        let gpio = self.handle.gpio();
        gpio.drive(gpio.find(name).unwrap(), Some(level)).unwrap();
    }

    /// One frame to the supply, byte by byte; what it answers.
    pub fn ask_psu(&self, frame: &str, count: usize) -> Vec<u8> {
        let bus = self.handle.i2c(1);
        for byte in bytes(frame) {
            bus.transfer(0x10, &[0x11, byte], 0).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(400));
        (0..count).map(|_| bus.transfer(0x10, &[0x11], 1).unwrap()[0]).collect()
    }

    pub fn until(&self, what: &str, wanted: impl Fn(&State) -> bool) -> State {
        let start = Instant::now();
        loop {
            let state = self.handle.state();
            if wanted(&state) {
                return state;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "never: {what}; {state:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn happened(&self, board: usize, wanted: impl Fn(&Event) -> bool) -> bool {
        let events = self.handle.events(0).events;
        events.iter().any(|record| record.board == board && wanted(&record.event))
    }
}

/// DAC 123 is 13.5 V on the supply that was measured.
pub const SET_13_5: &str = "55 AA 06 83 7B 00 04 01";

//! The rail controller of S9 boards: a PIC16F1704 that sets a buck regulator and cuts it without a heartbeat. Commands and
//! the voltage's code: Braiins' driver for it (facts only). No checksums: a byte out of place locks its parser up until
//! sixteen zeros have come.

use super::{Device, Nak, padded};
use crate::events::Event;
use std::collections::VecDeque;

const FIRMWARE: u8 = 0x03;
const HEARTBEAT_SECONDS: f64 = 10.0;
const RESET_SECONDS: f64 = 0.5;
/// volts = (first − code) / second; codes 6 (9.4 V) to 254 (7.95 V).
const CODE: (f64, f64) = (1_608.420_446, 170.423_497);
/// After power-up: the highest voltage.
const FIRST_CODE: u8 = 6;
const UNLOCKING_ZEROS: usize = 16;

pub(crate) struct Pic16 {
    bytes: Vec<u8>,
    zeros: usize,
    /// Took a byte that is no command: deaf until enough zeros came.
    locked_up: bool,
    answer: VecDeque<u8>,
    running: bool,
    resetting: f64,
    code: u8,
    enabled: bool,
    silent: f64,
    flash: u16,
    happened: Vec<Event>,
    /// Fault: heartbeats are not heard.
    pub(crate) deaf: bool,
}

impl Pic16 {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            zeros: 0,
            locked_up: false,
            answer: VecDeque::new(),
            running: false,
            resetting: 0.0,
            code: FIRST_CODE,
            enabled: false,
            silent: 0.0,
            flash: 0,
            happened: Vec::new(),
            deaf: false,
        }
    }

    pub(crate) fn commanded_volts(&self) -> f64 {
        (CODE.0 - f64::from(self.code)) / CODE.1
    }

    pub(crate) fn target_volts(&self) -> f64 {
        if self.enabled { self.commanded_volts() } else { 0.0 }
    }

    /// Bytes of data that follow a command; none: there is no such command.
    fn data(command: u8) -> Option<usize> {
        Some(match command {
            0x01 => 2,
            0x02 => 16,
            0x10 | 0x15 => 1,
            0x03..=0x09 | 0x16..=0x18 => 0,
            _ => return None,
        })
    }

    fn obey(&mut self, command: u8, data: &[u8]) {
        self.answer.clear();
        match (command, data) {
            (0x06, _) => self.running = true,
            (0x07, _) => {
                (self.running, self.enabled, self.resetting) = (false, false, RESET_SECONDS);
            }
            (0x01, &[high, low]) => self.flash = u16::from_be_bytes([high, low]),
            (0x03, _) => {
                // Two magic words are all that is known of what lies there.
                let word = match self.flash {
                    0x0F80 => 0x23,
                    0x0FA0 => 0x7D,
                    _ => 0xFF,
                };
                self.answer.extend([word].into_iter().chain([0xFF; 15]));
            }
            (0x08, _) => self.answer.extend(self.flash.to_be_bytes()),
            (0x02 | 0x04 | 0x05 | 0x09, _) => {
                self.happened
                    .push(Event::ProtocolError { what: "rail controller: write to its flash".into() });
            }
            _ if !self.running => {}
            (0x10, &[code]) if code >= FIRST_CODE => self.code = code,
            (0x15, &[on]) => (self.enabled, self.silent) = (on == 1, 0.0),
            (0x16, _) if !self.deaf => self.silent = 0.0,
            (0x17, _) => self.answer.push_back(FIRMWARE),
            (0x18, _) => self.answer.push_back(self.code),
            _ => {}
        }
    }
}

impl Device for Pic16 {
    /// One byte a message.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nak> {
        let byte = match *bytes {
            [] => return Ok(()),
            [byte] => byte,
            _ => return Err(Nak),
        };
        if self.resetting > 0.0 {
            return Err(Nak);
        }
        self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
        if self.zeros >= UNLOCKING_ZEROS {
            self.locked_up = false;
            self.bytes.clear();
            return Ok(());
        }
        if self.locked_up {
            return Ok(());
        }
        self.bytes.push(byte);
        match self.bytes[..] {
            [0] => self.bytes.clear(),
            [0x55] | [0x55, 0xAA] => {}
            [0x55, 0xAA, command, ..] => match Self::data(command) {
                Some(count) if self.bytes.len() == 3 + count => {
                    let request = std::mem::take(&mut self.bytes);
                    self.obey(command, &request[3..]);
                }
                Some(_) => {}
                None => self.locked_up = true,
            },
            _ => self.locked_up = true,
        }
        Ok(())
    }

    fn read(&mut self, count: usize) -> Result<Vec<u8>, Nak> {
        Ok(padded(self.answer.pop_front().into_iter().collect(), count))
    }

    fn advance(&mut self, seconds: f64) {
        self.resetting = (self.resetting - seconds).max(0.0);
        if self.enabled {
            self.silent += seconds;
            if self.silent >= HEARTBEAT_SECONDS {
                self.enabled = false;
                self.happened.push(Event::RailCut { why: "heartbeat".into() });
            }
        }
    }

    fn happened(&mut self) -> Option<Event> {
        self.happened.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(pic: &mut Pic16, bytes: &[u8]) {
        for byte in bytes {
            pic.write(&[*byte]).expect("taken");
        }
    }

    #[test]
    fn the_published_codes_are_the_published_voltages() {
        let mut pic = Pic16::new();
        send(&mut pic, &[0x55, 0xAA, 0x06]);
        for (code, volts) in [(6, 9.4), (109, 8.8), (254, 7.95)] {
            send(&mut pic, &[0x55, 0xAA, 0x10, code]);
            assert!((pic.commanded_volts() - volts).abs() < 0.005, "{code}");
            send(&mut pic, &[0x55, 0xAA, 0x18]);
            assert_eq!(pic.read(1), Ok(vec![code]));
        }
        send(&mut pic, &[0x55, 0xAA, 0x17]);
        assert_eq!(pic.read(1), Ok(vec![0x03]));
    }

    #[test]
    fn its_parser_locks_up_and_sixteen_zeros_help() {
        let mut pic = Pic16::new();
        send(&mut pic, &[0x55, 0xAA, 0x06, 0x55, 0x12, 0x55, 0xAA, 0x15, 0x01]);
        assert_eq!(pic.target_volts(), 0.0, "locked up");
        send(&mut pic, &[0; 16]);
        send(&mut pic, &[0x55, 0xAA, 0x15, 0x01]);
        assert!((pic.target_volts() - 9.4).abs() < 0.01);
        pic.advance(9.9);
        send(&mut pic, &[0x55, 0xAA, 0x16]);
        pic.advance(9.9);
        assert!(pic.target_volts() > 0.0);
        pic.advance(0.2);
        assert_eq!(pic.target_volts(), 0.0, "no heartbeat");
        assert_eq!(pic.happened(), Some(Event::RailCut { why: "heartbeat".into() }));
    }
}

//! The rail controller of S17 and S19 boards: a dsPIC33EP that lets the supply through to its board while it hears a
//! heartbeat. Frames: published captures of firmware 0x89; what is assumed: `docs/simulator.md`.

use super::frame::{Answer, Collector, Order, Step};
use super::{Device, Nak, padded};
use crate::events::Event;

const BOOTLOADER: u8 = 0x86;
const FIRMWARE: u8 = 0x89;
const JUMP_SECONDS: f64 = 0.5;
const THINKS_SECONDS: f64 = 0.02;
/// Without a heartbeat for so long the rail is cut.
const HEARTBEAT_SECONDS: f64 = 10.0;

pub(crate) struct DsPic {
    collector: Collector,
    answer: Answer,
    /// Runs the application; before it was started it is its bootloader, which says its version to everything.
    running: bool,
    starting: Option<f64>,
    enabled: bool,
    silent: f64,
    beats: u8,
    volts: f64,
    happened: Vec<Event>,
    /// Fault: heartbeats are not heard.
    pub(crate) deaf: bool,
}

impl DsPic {
    pub(crate) fn new() -> Self {
        Self {
            collector: Collector::new(Order::HighFirst),
            answer: Answer::default(),
            running: false,
            starting: None,
            enabled: false,
            silent: 0.0,
            beats: 0,
            volts: 0.0,
            happened: Vec::new(),
            deaf: false,
        }
    }

    /// Lets the supply through.
    pub(crate) fn enabled(&self) -> bool {
        self.enabled
    }

    pub(crate) fn sense(&mut self, volts: f64) {
        self.volts = volts;
    }

    fn obey(&mut self, command: u8, data: &[u8]) -> Option<Vec<u8>> {
        match (command, data) {
            (0x06, []) if !self.running => {
                self.starting = Some(JUMP_SECONDS);
                Some(vec![1])
            }
            (0x07, []) if !self.running => {
                let what = "rail controller: reset in its bootloader, which is known to ruin it";
                self.happened.push(Event::ProtocolError { what: what.into() });
                None
            }
            _ if !self.running => Some(vec![BOOTLOADER]),
            (0x06, []) => Some(vec![1]),
            (0x07, []) => {
                (self.running, self.enabled) = (false, false);
                Some(vec![1])
            }
            (0x15, &[on @ (0 | 1)]) => {
                (self.enabled, self.silent) = (on == 1, 0.0);
                Some(vec![on])
            }
            (0x16, []) => {
                if !self.deaf {
                    self.silent = 0.0;
                }
                self.beats = self.beats.wrapping_add(1);
                Some(vec![1, self.beats])
            }
            (0x17, []) => Some(vec![FIRMWARE]),
            (0x3A, []) => {
                let raw = ((self.volts + 0.35) / 0.024_48).round().max(0.0) as u16;
                Some(raw.to_be_bytes().to_vec())
            }
            (0x02 | 0x04 | 0x05 | 0x09, _) => {
                let what = "rail controller: write to its flash".into();
                self.happened.push(Event::ProtocolError { what });
                None
            }
            _ => None,
        }
    }
}

impl Device for DsPic {
    /// One byte a message.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nak> {
        match *bytes {
            [] => Ok(()),
            [byte] => {
                if let Step::Request { command, data } = self.collector.push(byte) {
                    let answer = self.obey(command, &data);
                    let frame = answer.map(|data| Order::HighFirst.body(command, &data));
                    self.answer.set(frame.unwrap_or_default(), THINKS_SECONDS);
                }
                Ok(())
            }
            _ => {
                self.collector.reset();
                Err(Nak)
            }
        }
    }

    /// One byte a message; what it has not got reads as ones.
    fn read(&mut self, count: usize) -> Result<Vec<u8>, Nak> {
        Ok(padded(self.answer.next().into_iter().collect(), count))
    }

    fn advance(&mut self, seconds: f64) {
        self.answer.advance(seconds);
        if let Some(left) = self.starting {
            self.starting = (left > seconds).then_some(left - seconds);
            self.running |= self.starting.is_none();
        }
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

    fn ask(pic: &mut DsPic, bytes: &[u8], count: usize) -> Vec<u8> {
        for byte in bytes {
            pic.write(&[*byte]).expect("taken");
        }
        pic.advance(0.1);
        (0..count).map(|_| pic.read(1).expect("there")[0]).collect()
    }

    fn started() -> DsPic {
        let mut pic = DsPic::new();
        ask(&mut pic, &[0x55, 0xAA, 4, 0x06, 0, 0x0A], 5);
        pic.advance(0.5);
        pic
    }

    #[test]
    fn published_questions_are_answered_as_captured() {
        let mut pic = started();
        assert_eq!(ask(&mut pic, &[0x55, 0xAA, 4, 0x17, 0, 0x1B], 5), [5, 0x17, 0x89, 0, 0xA5]);
        assert_eq!(ask(&mut pic, &[0x55, 0xAA, 4, 0x16, 0, 0x1A], 3), [6, 0x16, 1]);
        pic.sense(13.8);
        let measured = ask(&mut pic, &[0x55, 0xAA, 4, 0x3A, 0, 0x3E], 6);
        let raw = u16::from_be_bytes([measured[2], measured[3]]);
        assert!((f64::from(raw) * 0.024_48 - 0.35 - 13.8).abs() < 0.02);
    }

    #[test]
    fn before_the_application_was_started_it_says_86_to_everything() {
        let mut pic = DsPic::new();
        assert_eq!(ask(&mut pic, &[0x55, 0xAA, 5, 0x15, 1, 0, 0x1B], 3), [5, 0x15, 0x86]);
        assert!(!pic.enabled());
        ask(&mut pic, &[0x55, 0xAA, 4, 0x07, 0, 0x0B], 1);
        assert!(matches!(pic.happened(), Some(Event::ProtocolError { .. })));
    }

    #[test]
    fn ten_seconds_without_a_heartbeat_cut_the_rail() {
        let mut pic = started();
        ask(&mut pic, &[0x55, 0xAA, 5, 0x15, 1, 0, 0x1B], 5);
        for _ in 0..4 {
            pic.advance(9.0);
            assert!(pic.enabled());
            ask(&mut pic, &[0x55, 0xAA, 4, 0x16, 0, 0x1A], 6);
        }
        pic.advance(10.0);
        assert!(!pic.enabled());
        assert_eq!(pic.happened(), Some(Event::RailCut { why: "heartbeat".into() }));
    }

    #[test]
    fn wrong_sums_and_longer_messages_do_nothing() {
        let mut pic = started();
        assert_eq!(ask(&mut pic, &[0x55, 0xAA, 5, 0x15, 1, 0x1B, 0], 1), [0xFF]);
        assert_eq!(pic.write(&[0x55, 0xAA]), Err(Nak));
        assert!(!pic.enabled());
    }
}

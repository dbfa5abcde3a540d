//! The rail controller of S17 and S19 boards: a dsPIC33EP that lets the supply through to its board while it hears a
//! heartbeat, and reads four LM75 for the host. Frames: published captures of firmware 0x89, HashSource's factory test and
//! skot's amlogic-cb-tools (facts only); what is assumed: `docs/simulator.md`.

use super::frame::{Answer, Collector, Order, Step};
use super::{Device, Nak, left_justified, padded};
use crate::events::Event;

/// What one whose program is gone says to everything.
const BLANK: u8 = 0x86;
const FIRMWARE: u8 = 0x89;
const JUMP_SECONDS: f64 = 0.2;
const THINKS_SECONDS: f64 = 0.02;
/// Addresses of the sensors behind it.
const SENSORS: [u8; 4] = [0x48, 0x49, 0x4A, 0x4B];
/// It lives on what it switches; below this it does not.
const NEEDS_VOLTS: f64 = 6.0;
/// Without a heartbeat for so long the rail is cut.
const HEARTBEAT_SECONDS: f64 = 10.0;

pub(crate) struct DsPic {
    collector: Collector,
    answer: Answer,
    /// Runs its program; before that it hears nothing but the jump there.
    running: bool,
    starting: Option<f64>,
    enabled: bool,
    silent: f64,
    beats: u8,
    volts: f64,
    /// What the sensors say; none: that one is silent.
    celsius: [Option<f64>; SENSORS.len()],
    powered: bool,
    happened: Vec<Event>,
    /// Fault: heartbeats are not heard.
    pub(crate) deaf: bool,
    /// Fault: its program is gone.
    pub(crate) blank: bool,
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
            celsius: [None; SENSORS.len()],
            powered: false,
            happened: Vec::new(),
            deaf: false,
            blank: false,
        }
    }

    /// Lets the supply through.
    pub(crate) fn enabled(&self) -> bool {
        self.enabled && !self.blank
    }

    /// The supply before its switch, the rail behind it, and the sensors. Without supply it forgets everything.
    pub(crate) fn sense(&mut self, supply: f64, rail: f64, celsius: [Option<f64>; SENSORS.len()]) {
        self.powered = supply >= NEEDS_VOLTS;
        if !self.powered {
            let happened = std::mem::take(&mut self.happened);
            *self = Self { happened, deaf: self.deaf, blank: self.blank, ..Self::new() };
        }
        (self.volts, self.celsius) = (rail, celsius);
    }

    /// What it says to a request: of these three the command and a one, of the others a frame.
    fn say(&mut self, command: u8, data: &[u8]) -> Option<Vec<u8>> {
        let data = self.obey(command, data)?;
        let short = matches!(command, 0x06 | 0x07 | 0x15) && !self.blank;
        Some(if short { vec![command, 1] } else { Order::HighFirst.body(command, &data) })
    }

    fn obey(&mut self, command: u8, data: &[u8]) -> Option<Vec<u8>> {
        match (command, data) {
            (0x07, []) if self.blank => {
                let what = "rail controller: reset of one whose program is gone, which is known to ruin it";
                self.happened.push(Event::ProtocolError { what: what.into() });
                None
            }
            _ if self.blank => Some(vec![BLANK]),
            (0x06, []) if !self.running => {
                self.starting = Some(JUMP_SECONDS);
                Some(vec![1])
            }
            _ if !self.running => None,
            (0x06, []) => Some(vec![1]),
            (0x07, []) => {
                (self.running, self.enabled) = (false, false);
                Some(vec![1])
            }
            (0x15, &[on @ (0 | 1)]) => {
                (self.enabled, self.silent) = (on == 1, 0.0);
                Some(vec![1])
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
            (0x3C, &[address, 2]) => {
                let sensor = SENSORS.iter().position(|sensor| *sensor == address)?;
                let [high, low] = left_justified(self.celsius[sensor]?, 2.0, 9).to_be_bytes();
                Some(vec![1, high, low])
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
    /// A byte a message, or a frame; both were seen.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nak> {
        if !self.powered {
            return Err(Nak);
        }
        for byte in bytes {
            if let Step::Request { command, data } = self.collector.push(*byte) {
                let answer = self.say(command, &data).unwrap_or_default();
                self.answer.set(answer, THINKS_SECONDS);
            }
        }
        Ok(())
    }

    /// One byte a message; what it has not got reads as ones.
    fn read(&mut self, count: usize) -> Result<Vec<u8>, Nak> {
        if !self.powered {
            return Err(Nak);
        }
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
        let mut pic = powered();
        assert_eq!(ask(&mut pic, &[0x55, 0xAA, 4, 0x06, 0, 0x0A], 2), [0x06, 1]);
        pic.advance(0.5);
        pic
    }

    fn powered() -> DsPic {
        let mut pic = DsPic::new();
        pic.sense(13.8, 0.0, [Some(40.5), None, None, Some(-0.5)]);
        pic
    }

    #[test]
    fn published_questions_are_answered_as_captured() {
        let mut pic = started();
        assert_eq!(ask(&mut pic, &[0x55, 0xAA, 4, 0x17, 0, 0x1B], 5), [5, 0x17, 0x89, 0, 0xA5]);
        assert_eq!(ask(&mut pic, &[0x55, 0xAA, 4, 0x16, 0, 0x1A], 3), [6, 0x16, 1]);
        pic.sense(13.8, 13.8, [Some(40.5), None, None, Some(-0.5)]);
        let measured = ask(&mut pic, &[0x55, 0xAA, 4, 0x3A, 0, 0x3E], 6);
        let raw = u16::from_be_bytes([measured[2], measured[3]]);
        assert!((f64::from(raw) * 0.024_48 - 0.35 - 13.8).abs() < 0.02);
        assert_eq!(ask(&mut pic, &[0x55, 0xAA, 5, 0x15, 1, 0, 0x1B], 3), [0x15, 1, 0xFF]);
        assert_eq!(ask(&mut pic, &[0x55, 0xAA, 6, 0x3C, 0x48, 2, 0, 0x8C], 5), [7, 0x3C, 1, 0x28, 0x80]);
        assert_eq!(ask(&mut pic, &[0x55, 0xAA, 6, 0x3C, 0x49, 2, 0, 0x8D], 1), [0xFF], "a silent sensor");
    }

    #[test]
    fn before_its_program_was_started_it_is_silent_and_without_one_it_says_86_to_everything() {
        let mut pic = powered();
        assert_eq!(ask(&mut pic, &[0x55, 0xAA, 5, 0x15, 1, 0, 0x1B], 3), [0xFF; 3]);
        pic.blank = true;
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
    fn wrong_sums_do_nothing_and_without_supply_nobody_is_there() {
        let mut pic = started();
        assert_eq!(ask(&mut pic, &[0x55, 0xAA, 5, 0x15, 1, 0x1B, 0], 1), [0xFF]);
        assert!(!pic.enabled());
        assert_eq!(pic.write(&[0x55, 0xAA, 5, 0x15, 1, 0, 0x1B]), Ok(()));
        assert!(pic.enabled(), "in one message");
        pic.sense(0.0, 0.0, [None; 4]);
        assert_eq!((pic.write(&[0x55]), pic.read(1), pic.enabled()), (Err(Nak), Err(Nak), false));
    }
}

//! APW12 and its kin: a mains supply with a DAC that sets its output, a watchdog, and a line that enables it.
//! Frames and figures: HashSource's protocol notes and captures of an APW121215 (`docs/simulator.md` lists what is assumed).

use super::frame::{Answer, Collector, Order, Step};
use super::{Device, Nak, padded};
use crate::events::Event;

/// Registers: bytes go to the second; the probe is answered on both.
const REGISTERS: [u8; 2] = [0x00, 0x11];
/// "Not ready", "no", and the probe of the new protocol.
const NOT_READY: u8 = 0xF5;
const FIRMWARE: u16 = 0x0006;
/// An APW12's type as stock firmware of an S19 Pro logs it.
const TYPE: u16 = 0x0071;
/// DAC counts that are taken.
const COUNTS: std::ops::RangeInclusive<u8> = 0..=246;
/// Seconds until an answer is there; hosts are seen to wait 400 to 500 ms.
const THINKS_SECONDS: f64 = 0.3;
/// Hosts leave at least 5 ms between bytes; what comes faster than this is not taken.
const LEAST_GAP_SECONDS: f64 = 0.002;
/// An enabled supply that hears no good frame for so long cuts its output.
const WATCHDOG_SECONDS: f64 = 60.0;

/// Output over DAC: volts at zero, and per count. A fit of one real supply; each has its own calibration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Curve {
    pub(crate) volts_at_zero: f64,
    pub(crate) volts_per_count: f64,
}

impl Curve {
    pub(crate) const APW121215: Self = Self { volts_at_zero: 15.1084, volts_per_count: -0.013_046 };

    pub(crate) fn volts(self, count: u8) -> f64 {
        self.volts_at_zero + self.volts_per_count * f64::from(count)
    }
}

/// Why its output is off although it is enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Watchdog,
    OverTemperature,
    OverCurrent,
}

impl Cut {
    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::Watchdog => "watchdog",
            Self::OverTemperature => "over-temperature",
            Self::OverCurrent => "over-current",
        }
    }
}

pub(crate) struct Apw {
    curve: Curve,
    register: u8,
    collector: Collector,
    answer: Answer,
    probed: bool,
    since_byte: f64,
    count: u8,
    enabled: bool,
    watchdog_on: bool,
    unfed: f64,
    cut: Option<Cut>,
    volts: f64,
    happened: Vec<Event>,
    /// Faults: answers no to everything; no frame feeds the watchdog.
    pub(crate) refuses: bool,
    pub(crate) deaf_watchdog: bool,
}

impl Apw {
    pub(crate) fn new(curve: Curve) -> Self {
        Self {
            curve,
            register: REGISTERS[1],
            collector: Collector::new(Order::LowFirst),
            answer: Answer::default(),
            probed: false,
            since_byte: 1.0,
            count: 0,
            enabled: false,
            watchdog_on: true,
            unfed: 0.0,
            cut: None,
            volts: 0.0,
            happened: Vec::new(),
            refuses: false,
            deaf_watchdog: false,
        }
    }

    /// The line that enables it. Taking leave away forgets why the output was cut.
    pub(crate) fn enable(&mut self, enabled: bool) {
        if enabled != self.enabled {
            (self.enabled, self.cut, self.unfed) = (enabled, None, 0.0);
        }
    }

    pub(crate) fn cut(&self) -> Option<Cut> {
        self.cut
    }

    /// Switches the output off until the line was taken away and given again.
    pub(crate) fn trip(&mut self, why: Cut) {
        if self.enabled && self.cut.is_none() {
            self.cut = Some(why);
            self.happened.push(Event::PsuCut { why: why.why().into() });
        }
    }

    /// What the DAC asks for.
    pub(crate) fn commanded_volts(&self) -> f64 {
        self.curve.volts(self.count)
    }

    /// Where the output goes.
    pub(crate) fn target_volts(&self) -> f64 {
        if self.enabled && self.cut.is_none() { self.commanded_volts() } else { 0.0 }
    }

    pub(crate) fn sense(&mut self, volts: f64) {
        self.volts = volts;
    }

    /// Seconds until the watchdog cuts; none while nothing is watched.
    pub(crate) fn watchdog_left(&self) -> Option<f64> {
        (self.enabled && self.watchdog_on && self.cut.is_none())
            .then(|| (WATCHDOG_SECONDS - self.unfed).max(0.0))
    }

    fn obey(&mut self, command: u8, data: &[u8]) -> Option<Vec<u8>> {
        let word = |value: u16| value.to_le_bytes().to_vec();
        let answer = match (command, data) {
            (0x01, []) => word(FIRMWARE),
            (0x02, []) => word(TYPE),
            (0x03, []) => word(self.count.into()),
            (0x04, []) => word((self.volts * 63.017 - 0.8615).round().max(0.0) as u16),
            (0x05, []) => word((self.enabled && self.cut.is_none()).into()),
            (0x81, &[on @ (0 | 1), 0]) => {
                self.watchdog_on = on == 1;
                if on == 0 {
                    self.happened.push(Event::ProtocolError { what: "PSU: watchdog switched off".into() });
                }
                data.to_vec()
            }
            (0x83, &[count, 0]) if COUNTS.contains(&count) => {
                self.count = count;
                data.to_vec()
            }
            (0x86, _) => {
                self.happened.push(Event::ProtocolError { what: "PSU: write to its calibration".into() });
                return None;
            }
            _ => return None,
        };
        Some(answer)
    }

    fn hear(&mut self, byte: u8) {
        if self.collector.idle() && byte == NOT_READY {
            self.probed = true;
            return;
        }
        self.probed = false;
        match self.collector.push(byte) {
            Step::More => {}
            Step::Broken => self.answer.set(vec![NOT_READY], THINKS_SECONDS),
            Step::Request { .. } if self.refuses => self.answer.set(vec![NOT_READY], THINKS_SECONDS),
            Step::Request { command, data } => {
                if !self.deaf_watchdog {
                    self.unfed = 0.0;
                }
                let answer = self.obey(command, &data).map_or(vec![NOT_READY], |data| {
                    let mut frame = vec![0x55, 0xAA];
                    frame.extend(Order::LowFirst.body(command, &data));
                    frame
                });
                self.answer.set(answer, THINKS_SECONDS);
            }
        }
    }
}

impl Device for Apw {
    /// The register, and at most one byte for it.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nak> {
        match *bytes {
            [] => Ok(()),
            [register] | [register, _] if !REGISTERS.contains(&register) => Err(Nak),
            [register] => {
                self.register = register;
                Ok(())
            }
            [register, byte] => {
                if std::mem::take(&mut self.since_byte) < LEAST_GAP_SECONDS {
                    self.collector.reset();
                    return Err(Nak);
                }
                self.register = register;
                self.hear(byte);
                Ok(())
            }
            _ => {
                self.collector.reset();
                Err(Nak)
            }
        }
    }

    /// One byte a message.
    fn read(&mut self, count: usize) -> Result<Vec<u8>, Nak> {
        let byte = if self.probed { NOT_READY } else { self.answer.next().unwrap_or(NOT_READY) };
        Ok(padded(vec![byte], count))
    }

    fn advance(&mut self, seconds: f64) {
        self.since_byte += seconds;
        self.answer.advance(seconds);
        if self.watchdog_left().is_some() {
            self.unfed += seconds;
            if self.unfed >= WATCHDOG_SECONDS {
                self.trip(Cut::Watchdog);
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

    fn send(psu: &mut Apw, bytes: &[u8]) -> Result<(), Nak> {
        for byte in bytes {
            psu.advance(0.005);
            psu.write(&[0x11, *byte])?;
        }
        Ok(())
    }

    fn ask(psu: &mut Apw, bytes: &[u8], count: usize) -> Vec<u8> {
        send(psu, bytes).expect("taken");
        psu.advance(0.5);
        (0..count)
            .map(|_| {
                psu.advance(0.005);
                psu.write(&[0x11]).expect("there");
                psu.read(1).expect("there")[0]
            })
            .collect()
    }

    #[test]
    fn published_questions_are_answered_as_captured() {
        let mut psu = Apw::new(Curve::APW121215);
        let firmware = ask(&mut psu, &[0x55, 0xAA, 0x04, 0x01, 0x05, 0x00], 8);
        assert_eq!(firmware, [0x55, 0xAA, 0x06, 0x01, 0x06, 0x00, 0x0D, 0x00]);
        ask(&mut psu, &[0x55, 0xAA, 0x06, 0x83, 0x0D, 0x00, 0x96, 0x00], 8);
        let count = ask(&mut psu, &[0x55, 0xAA, 0x04, 0x03, 0x07, 0x00], 8);
        assert_eq!(count, [0x55, 0xAA, 0x06, 0x03, 0x0D, 0x00, 0x16, 0x00]);
        // 12.5 V → 200 and 12.0 V → 238 on the supply that was measured.
        assert!((Curve::APW121215.volts(200) - 12.5).abs() < 0.01);
        assert!((Curve::APW121215.volts(238) - 12.0).abs() < 0.01);
        psu.sense(12.5);
        let measured = ask(&mut psu, &[0x55, 0xAA, 0x04, 0x04, 0x08, 0x00], 8);
        let raw = u16::from_le_bytes([measured[4], measured[5]]);
        assert!(((f64::from(raw) + 0.8615) / 63.017 - 12.5).abs() < 0.01);
    }

    #[test]
    fn what_it_does_not_understand_is_answered_f5() {
        let mut psu = Apw::new(Curve::APW121215);
        assert_eq!(ask(&mut psu, &[0x55, 0xAA, 0x04, 0x01, 0x06, 0x00], 1), [0xF5], "wrong sum");
        assert_eq!(ask(&mut psu, &[0x55, 0xAA, 0x06, 0x83, 0xFF, 0x00, 0x88, 0x01], 1), [0xF5], "count 255");
        assert_eq!(psu.commanded_volts(), 15.1084);
        assert_eq!(ask(&mut psu, &[0xF5], 1), [0xF5], "the probe comes back");
        send(&mut psu, &[0x55, 0xAA, 0x04, 0x01, 0x05, 0x00]).expect("taken");
        psu.advance(0.1);
        assert_eq!(psu.read(1), Ok(vec![0xF5]), "too early");
    }

    #[test]
    fn bytes_must_come_one_by_one_and_not_too_fast() {
        let mut psu = Apw::new(Curve::APW121215);
        psu.advance(0.005);
        assert_eq!(psu.write(&[0x11, 0x55, 0xAA]), Err(Nak));
        assert_eq!(psu.write(&[0x11, 0x55]), Ok(()));
        assert_eq!(psu.write(&[0x11, 0xAA]), Err(Nak), "at once");
        assert_eq!(psu.write(&[0x20, 0x55]), Err(Nak), "no such register");
    }

    #[test]
    fn unfed_for_a_minute_it_cuts_and_stays_cut_until_it_was_disabled() {
        let mut psu = Apw::new(Curve::APW121215);
        psu.advance(100.0);
        assert_eq!(psu.target_volts(), 0.0, "nobody enabled it");
        psu.enable(true);
        for _ in 0..5 {
            psu.advance(20.0);
            ask(&mut psu, &[0x55, 0xAA, 0x04, 0x05, 0x09, 0x00], 8);
        }
        assert!(psu.target_volts() > 15.0);
        psu.advance(61.0);
        assert_eq!((psu.target_volts(), psu.cut()), (0.0, Some(Cut::Watchdog)));
        assert_eq!(psu.happened(), Some(Event::PsuCut { why: "watchdog".into() }));
        let state = ask(&mut psu, &[0x55, 0xAA, 0x04, 0x05, 0x09, 0x00], 8);
        assert_eq!((state[4], psu.target_volts()), (0, 0.0), "talking does not bring it back");
        psu.enable(false);
        psu.enable(true);
        assert!(psu.target_volts() > 15.0);
    }
}

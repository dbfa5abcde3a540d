//! APW9 and APW12: power supplies with a framed protocol ([`crate::frame`], sum little-endian). Every byte is a transfer of its own: written to register 0x11, read one by one. The output's enable is a line, not a command.
//!
//! Sources: `Antminer_x17_PSU_Protocol.pdf` and `bm1398_asic.c` in hashsource_antminer_x19; skot/amlogic-cb-tools, run on an APW121215. Where they differ, [`Facts`] has a field.
//!
//! The supply's watchdog cuts the output about a minute after the last word. Here it can only be armed; to disarm it, and to write calibration, there is no command.

use embedded_hal_async::{delay::DelayNs, i2c::I2c};

use crate::{
    Error,
    device::Device,
    frame::{Answer, Bytes, FrameError, SumOrder, request},
};

const REGISTER: u8 = 0x11;
const FIRMWARE: u8 = 0x01;
const KIND: u8 = 0x02;
const READ_DAC: u8 = 0x03;
const MEASURE: u8 = 0x04;
const STATE: u8 = 0x05;
const WATCHDOG: u8 = 0x81;
const SET_DAC: u8 = 0x83;

const ARMED: [u8; 2] = [1, 0];
const HEAD: [u8; 2] = [0x55, 0xaa];
const NOT_READY: u8 = 0xf5;
/// Bytes that may come before an answer's head.
const SKIPPED: u8 = 8;
/// A measured voltage this many times the highest that can be set is no measurement.
const ABSURD: f64 = 1.5;

/// What is known of a supply; the sources differ in each of these.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    pub part: &'static str,
    /// What it must answer when asked for its kind; `None`: any.
    pub kind: Option<u16>,
    pub curve: Curve,
    pub meter: Meter,
    pub reads: Reads,
    pub pace: Pace,
}

impl Facts {
    /// Supplies of the 17 series. Curve: x17 protocol paper.
    pub const APW9: Self = Self {
        part: "APW9",
        kind: None,
        curve: Curve { volts_at_zero: 21.36, volts_per_step: 7.06 / 253.0, min_code: 0, max_code: 253 },
        meter: Meter::FITTED,
        reads: Reads::Plain,
        pace: Pace::STANDARD,
    };
    /// Kind 0x71, with the curve that the stock code of an S19 Pro has.
    pub const APW12_STOCK: Self = Self {
        part: "APW12",
        kind: Some(0x71),
        curve: Curve {
            volts_at_zero: 1190.935338 / 78.743,
            volts_per_step: 1.0 / 78.743,
            min_code: 9,
            max_code: 246,
        },
        ..Self::APW9
    };
    /// With the curve that was fitted to a real APW121215. About 0.1 V below the stock code's: each supply is calibrated.
    pub const APW12_FITTED: Self = Self {
        part: "APW12",
        kind: None,
        curve: Curve { volts_at_zero: 15.1084, volts_per_step: 0.013046, min_code: 0, max_code: 255 },
        ..Self::APW9
    };
}

/// Volts = `volts_at_zero` − `volts_per_step` · code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve {
    pub volts_at_zero: f64,
    pub volts_per_step: f64,
    /// Highest voltage.
    pub min_code: u8,
    /// Lowest voltage.
    pub max_code: u8,
}

impl Curve {
    pub fn volts(&self, code: u8) -> f64 {
        self.volts_at_zero - self.volts_per_step * f64::from(code)
    }

    /// The nearest code; `None` when the limits of the curve are more than half a step away.
    pub fn code(&self, volts: f64) -> Option<u8> {
        let code = (self.volts_at_zero - volts) / self.volts_per_step;
        // A NaN must not become a code.
        let within = code >= f64::from(self.min_code) - 0.5 && code <= f64::from(self.max_code) + 0.5;
        within.then(|| (code.round() as u8).clamp(self.min_code, self.max_code))
    }
}

/// Volts = (reading + `offset`) / `per_volt`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Meter {
    pub offset: f64,
    pub per_volt: f64,
}

impl Meter {
    /// Fitted to a real APW121215.
    pub const FITTED: Self = Self { offset: 0.8615, per_volt: 63.017 };

    fn volts(self, raw: u16) -> f64 {
        (f64::from(raw) + self.offset) / self.per_volt
    }
}

/// How a byte of an answer is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// A read of one byte (amlogic-cb-tools, on Linux' adapter).
    Plain,
    /// The register's number before each (hashsource_antminer_x19, on the FPGA's adapter).
    Register,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// After each byte.
    pub byte_ms: u32,
    /// From the request's last byte to the answer, and between two looks for it.
    pub answer_ms: u32,
    /// From a new voltage to its reading.
    pub settle_ms: u32,
    /// How often a request is sent …
    pub sends: u8,
    /// … and looks for an answer each time, when the supply says that it is not ready.
    pub looks: u8,
}

impl Pace {
    /// The slower of the sources.
    pub const STANDARD: Self = Self { byte_ms: 5, answer_ms: 500, settle_ms: 2000, sends: 3, looks: 3 };
}

#[derive(Debug)]
pub struct Apw {
    device: Device,
    facts: Facts,
}

impl Apw {
    /// `address` is 0x10 on every machine known.
    pub fn new(address: u8, facts: Facts) -> Self {
        Self { device: Device::new(facts.part, address), facts }
    }

    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Checks what it is, as far as [`Facts::kind`] says; gives its firmware's version.
    pub async fn prepare<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
    ) -> Result<u16, Error<B::Error>> {
        let kind = self.word(bus, delay, KIND).await?;
        if self.facts.kind.is_some_and(|expected| kind != expected) {
            return Err(self.device.other(format!("supply of kind {kind:#04x}")));
        }
        self.word(bus, delay, FIRMWARE).await
    }

    /// Sets the output voltage, waits until it has settled and reads the setting back: some revisions refuse a setting that they then take, so only the readback counts.
    ///
    /// Gives the voltage of the code that was set. Errors with [`Error::OutOfRange`], and sends nothing, when the curve does not reach that far.
    pub async fn set<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
        volts: f64,
    ) -> Result<f64, Error<B::Error>> {
        let curve = self.facts.curve;
        let Some(code) = curve.code(volts) else {
            let (min, max) = (curve.volts(curve.max_code), curve.volts(curve.min_code));
            return Err(self.device.out_of_range("V", volts, min, max));
        };
        let sent = self.exchange(bus, delay, SET_DAC, [code, 0]).await;
        if let Err(error @ Error::Bus { .. }) = sent {
            return Err(error);
        }
        delay.delay_ms(self.facts.pace.settle_ms).await;
        let got = self.word(bus, delay, READ_DAC).await?;
        self.device.taken(SET_DAC, code.into(), got)?;
        Ok(curve.volts(code))
    }

    /// What is set, whether the output is on or not.
    pub async fn set_volts<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
    ) -> Result<f64, Error<B::Error>> {
        let raw = self.word(bus, delay, READ_DAC).await?;
        let code = u8::try_from(raw).map_err(|_| self.device.absurd("DAC", raw))?;
        Ok(self.facts.curve.volts(code))
    }

    /// Output as measured.
    pub async fn volts<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
    ) -> Result<f64, Error<B::Error>> {
        let raw = self.word(bus, delay, MEASURE).await?;
        let volts = self.facts.meter.volts(raw);
        if volts > self.facts.curve.volts_at_zero * ABSURD {
            return Err(self.device.absurd("voltage", raw));
        }
        Ok(volts)
    }

    /// Whether the output is on.
    pub async fn is_on<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
    ) -> Result<bool, Error<B::Error>> {
        match self.word(bus, delay, STATE).await? {
            0 => Ok(false),
            1 => Ok(true),
            raw => Err(self.device.absurd("state", raw)),
        }
    }

    /// Arms the supply's own watchdog.
    pub async fn arm_watchdog<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
    ) -> Result<(), Error<B::Error>> {
        self.exchange(bus, delay, WATCHDOG, ARMED).await.map(|_| ())
    }

    async fn word<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
        command: u8,
    ) -> Result<u16, Error<B::Error>> {
        let data = self.exchange(bus, delay, command, []).await?.data();
        Ok(u16::from_le_bytes(data.map_err(|error| self.device.frame(command, error))?))
    }

    /// One request with its tries; every request may be repeated without harm. A bus that does not work is not tried again, a supply that did not acknowledge is.
    async fn exchange<const N: usize, B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
        command: u8,
        data: [u8; N],
    ) -> Result<Bytes, Error<B::Error>> {
        let Pace { sends, looks, .. } = self.facts.pace;
        let mut result = Err(self.not_ready(command));
        for _ in 0..sends {
            result = self.attempt(bus, delay, command, data, looks).await;
            if !result.as_ref().is_err_and(Error::may_pass) {
                break;
            }
        }
        result
    }

    async fn attempt<const N: usize, B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
        command: u8,
        data: [u8; N],
        looks: u8,
    ) -> Result<Bytes, Error<B::Error>> {
        let pace = self.facts.pace;
        for byte in request(SumOrder::Little, command, data).as_slice() {
            let sent = bus.write(self.device.address, &[REGISTER, *byte]).await;
            sent.map_err(|error| self.device.bus(error))?;
            delay.delay_ms(pace.byte_ms).await;
        }
        for _ in 0..looks {
            delay.delay_ms(pace.answer_ms).await;
            if let Some(data) = self.answer(bus, delay, command).await? {
                return Ok(data);
            }
        }
        Err(self.not_ready(command))
    }

    /// `None`: not ready.
    async fn answer<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
        command: u8,
    ) -> Result<Option<Bytes>, Error<B::Error>> {
        let mut first = self.byte(bus, delay).await?;
        for _ in 0..SKIPPED {
            if [HEAD[0], NOT_READY].contains(&first) {
                break;
            }
            first = self.byte(bus, delay).await?;
        }
        if first == NOT_READY {
            return Ok(None);
        }
        let second = self.byte(bus, delay).await?;
        for (got, expected) in [(first, HEAD[0]), (second, HEAD[1])] {
            if got != expected {
                return Err(self.device.frame(command, FrameError::Head(got)));
            }
        }
        let mut answer = Answer::to(command, SumOrder::Little);
        loop {
            let byte = self.byte(bus, delay).await?;
            let taken = answer.take(byte).map_err(|error| self.device.frame(command, error))?;
            if taken.is_some() {
                return Ok(taken);
            }
        }
    }

    async fn byte<B: I2c>(&mut self, bus: &mut B, delay: &mut impl DelayNs) -> Result<u8, Error<B::Error>> {
        let mut byte = [0];
        let read = match self.facts.reads {
            Reads::Plain => bus.read(self.device.address, &mut byte).await,
            Reads::Register => bus.write_read(self.device.address, &[REGISTER], &mut byte).await,
        };
        read.map_err(|error| self.device.bus(error))?;
        delay.delay_ms(self.facts.pace.byte_ms).await;
        Ok(byte[0])
    }

    fn not_ready<E>(&self, command: u8) -> Error<E> {
        let Device { part, address } = self.device;
        Error::NotReady { part, address, command, tries: self.facts.pace.sends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pairs that the sources give; the stock code cuts fractions off where this rounds.
    #[test]
    fn codes_are_those_of_the_sources() {
        assert_eq!(Facts::APW9.curve.code(21.0), Some(0x0d));
        let stock = Facts::APW12_STOCK.curve;
        assert_eq!(stock.code(12.0), Some(246));
        assert_eq!(stock.code(12.5), Some(207), "206.6");
        assert_eq!(stock.code(15.0), Some(10), "9.8");
        let fitted = Facts::APW12_FITTED.curve;
        assert_eq!((fitted.code(12.5), fitted.code(12.0)), (Some(200), Some(238)));
        let differ = stock.volts(200) - fitted.volts(200);
        assert!((0.05..0.15).contains(&differ), "{differ}");
    }

    #[test]
    fn a_voltage_that_the_curve_does_not_reach_has_no_code() {
        let stock = Facts::APW12_STOCK.curve;
        for volts in [11.9, 15.1, 0.0, -12.0, 1e9, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(stock.code(volts), None, "{volts}");
        }
        for code in stock.min_code..=stock.max_code {
            assert_eq!(stock.code(stock.volts(code)), Some(code));
        }
    }
}

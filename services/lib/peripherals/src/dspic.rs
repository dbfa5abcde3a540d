//! dsPIC33EP and PIC1704 on hash boards of the 17 and 19 series: switch the board's converters and cut them when the heartbeat stops. Framed protocol ([`crate::frame`], sum big-endian), bytes fetched one by one.
//!
//! Sources: `bm1398_asic.c` in hashsource_antminer_x19 (from the factory's test), skot/amlogic-cb-tools `pic.rs` (captured from LuxOS on an S19j Pro), DCENT_OS captures. Answers to a switch are two bytes: the command
//! and 1. Answers to the rest are frames without the head 55 AA.
//!
//! Firmware 0x86 is a controller whose program is gone: it says 0x86 to everything. DCENT_OS reports that a reset makes that permanent, and bans the start command for it as well. It is refused, neither is sent to it, and a
//! reset has no command here.

use embedded_hal_async::{
    delay::DelayNs,
    i2c::{Error as _, ErrorKind, I2c},
};

use crate::{
    Error,
    device::Device,
    frame::{Answer, Bytes, FrameError, SumOrder, request},
    tmp75,
};

const START: u8 = 0x06;
const SWITCH: u8 = 0x15;
const HEARTBEAT: u8 = 0x16;
const VERSION: u8 = 0x17;
const MEASURE: u8 = 0x3a;
const READ_SENSOR: u8 = 0x3c;

const DONE: u8 = 1;
const PROGRAM_GONE: u8 = 0x86;
/// Temperature sensors behind the controller.
const SENSORS: std::ops::RangeInclusive<u8> = 0x48..=0x4b;

/// What is known of a controller; the sources differ in each of these.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The version that it must have.
    pub firmware: u8,
    pub writes: Writes,
    /// Rail = `volts_at_zero` + `volts_per_count` · reading.
    pub volts_at_zero: f64,
    pub volts_per_count: f64,
    /// The two bytes of a sensor's reading come lower byte first.
    pub sensor_low_first: bool,
    pub pace: Pace,
}

impl Facts {
    /// Firmware 0x89, as seen on S19 Pro. The rail's formula is DCENT_OS's; the order of a sensor's bytes is the sensor's own, where amlogic-cb-tools has it the other way round.
    pub const FIRMWARE_89: Self = Self {
        firmware: 0x89,
        writes: Writes::ByteByByte,
        volts_at_zero: -0.35,
        volts_per_count: 0.02448,
        sensor_low_first: false,
        pace: Pace::STANDARD,
    };
}

/// How a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// A transfer a byte (hashsource_antminer_x19).
    ByteByByte,
    /// One transfer (amlogic-cb-tools).
    Whole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From the request to the answer's first byte.
    pub answer_ms: u32,
    /// Between the answer's bytes.
    pub byte_ms: u32,
    /// From the start of its program to the first command.
    pub start_ms: u32,
    pub tries: u8,
}

impl Pace {
    pub const STANDARD: Self = Self { answer_ms: 300, byte_ms: 30, start_ms: 300, tries: 3 };
}

#[derive(Debug)]
pub struct Dspic {
    device: Device,
    facts: Facts,
}

impl Dspic {
    /// Addresses are 0x20, 0x21 and 0x22 for the three boards of a machine. It answers only while the board has power.
    pub fn new(address: u8, facts: Facts) -> Self {
        Self { device: Device::new("dsPIC", address), facts }
    }

    /// Has a controller that has just got power, and tells no version yet, start its program. One whose program runs already is left alone, and so is one that says 0x86.
    pub async fn start<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
    ) -> Result<(), Error<B::Error>> {
        match self.check(bus, delay).await {
            Err(Error::Frame { .. }) => {}
            told => return told,
        }
        self.switch(bus, delay, START, []).await?;
        delay.delay_ms(self.facts.pace.start_ms).await;
        self.check(bus, delay).await
    }

    /// Errors with [`Error::BootLoader`] for one without a program and [`Error::Identity`] for another version than [`Facts::firmware`].
    pub async fn check<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
    ) -> Result<(), Error<B::Error>> {
        let [firmware] = self.framed(bus, delay, VERSION, []).await?;
        if firmware == PROGRAM_GONE {
            return Err(self.boot_loader());
        }
        if firmware != self.facts.firmware {
            return Err(self.device.other(format!("controller with firmware {firmware:#04x}")));
        }
        Ok(())
    }

    /// Converters on. Looks at the version first, so that no path leads past that. The heartbeat must follow.
    pub async fn enable<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
    ) -> Result<(), Error<B::Error>> {
        self.check(bus, delay).await?;
        self.switch(bus, delay, SWITCH, [1]).await
    }

    /// Converters off. Needs no earlier call to have come through.
    pub async fn disable<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
    ) -> Result<(), Error<B::Error>> {
        self.switch(bus, delay, SWITCH, [0]).await
    }

    /// Keeps the converters on. Sources send it every 1 to 1.5 s.
    pub async fn heartbeat<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
    ) -> Result<(), Error<B::Error>> {
        let [done, _] = self.framed(bus, delay, HEARTBEAT, []).await?;
        self.done(HEARTBEAT, done)
    }

    /// The rail, as the controller measures it. No source shows the answer's frame: both forms that the other answers have are taken, with and without a leading 1.
    pub async fn volts<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
    ) -> Result<f64, Error<B::Error>> {
        let answer = self.exchange(bus, delay, MEASURE, []).await?;
        let raw = match *answer.as_slice() {
            [high, low] | [DONE, high, low] => u16::from_be_bytes([high, low]),
            ref other => {
                let error = FrameError::Data { expected: 2, got: other.len() };
                return Err(self.device.frame(MEASURE, error));
            }
        };
        if raw == 0xffff {
            return Err(self.device.absurd("voltage", raw));
        }
        // A rail that is off reads 0.
        Ok((self.facts.volts_at_zero + self.facts.volts_per_count * f64::from(raw)).max(0.0))
    }

    /// An LM75 behind the controller, 0x48 to 0x4B.
    pub async fn celsius<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
        sensor: u8,
    ) -> Result<f64, Error<B::Error>> {
        if !SENSORS.contains(&sensor) {
            let (min, max) = (f64::from(*SENSORS.start()), f64::from(*SENSORS.end()));
            return Err(self.device.out_of_range("as sensor address", sensor.into(), min, max));
        }
        let [done, first, second] = self.framed(bus, delay, READ_SENSOR, [sensor, 2]).await?;
        self.done(READ_SENSOR, done)?;
        let bytes = if self.facts.sensor_low_first { [second, first] } else { [first, second] };
        let raw = u16::from_be_bytes(bytes);
        tmp75::judged(raw, tmp75::Kind::Lm75).ok_or_else(|| self.device.absurd("temperature", raw))
    }

    fn done<E>(&self, command: u8, answer: u8) -> Result<(), Error<E>> {
        if answer == DONE {
            return Ok(());
        }
        Err(self.device.frame(command, FrameError::Refused(answer)))
    }

    async fn framed<const N: usize, const M: usize, B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
        command: u8,
        data: [u8; N],
    ) -> Result<[u8; M], Error<B::Error>> {
        let answer = self.exchange(bus, delay, command, data).await?;
        answer.data().map_err(|error| self.device.frame(command, error))
    }

    /// A command that is answered with itself and 1. The same in a frame, and the command's own data, are taken as well: no source shows a controller that does so, none says that there is none.
    async fn switch<const N: usize, B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
        command: u8,
        data: [u8; N],
    ) -> Result<(), Error<B::Error>> {
        match *self.exchange(bus, delay, command, data).await?.as_slice() {
            [answer] if data.first() == Some(&answer) => Ok(()),
            [answer] => self.done(command, answer),
            ref other => {
                let error = FrameError::Data { expected: 1, got: other.len() };
                Err(self.device.frame(command, error))
            }
        }
    }

    /// One request with its tries; every request may be repeated without harm. A bus that does not work and a controller without a program are not tried again.
    async fn exchange<const N: usize, B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
        command: u8,
        data: [u8; N],
    ) -> Result<Bytes, Error<B::Error>> {
        let mut result = self.attempt(bus, delay, command, data).await;
        for _ in 1..self.facts.pace.tries {
            match &result {
                Err(Error::Frame { .. }) => {}
                Err(Error::Bus { error, .. }) if matches!(error.kind(), ErrorKind::NoAcknowledge(_)) => {}
                _ => break,
            }
            result = self.attempt(bus, delay, command, data).await;
        }
        result
    }

    async fn attempt<const N: usize, B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
        command: u8,
        data: [u8; N],
    ) -> Result<Bytes, Error<B::Error>> {
        let request = request(SumOrder::Big, command, data);
        let transfers = match self.facts.writes {
            Writes::ByteByByte => 1,
            Writes::Whole => request.as_slice().len(),
        };
        for bytes in request.as_slice().chunks(transfers) {
            let sent = bus.write(self.device.address, bytes).await;
            sent.map_err(|error| self.device.bus(error))?;
        }
        delay.delay_ms(self.facts.pace.answer_ms).await;

        let first = self.byte(bus).await?;
        if first == PROGRAM_GONE {
            return Err(self.boot_loader());
        }
        let short = first == command && [SWITCH, START].contains(&command);
        if short {
            delay.delay_ms(self.facts.pace.byte_ms).await;
            return Ok(Bytes::of([self.byte(bus).await?]));
        }
        let (mut answer, mut byte) = (Answer::to(command, SumOrder::Big), first);
        loop {
            let taken = answer.take(byte).map_err(|error| self.device.frame(command, error))?;
            if let Some(data) = taken {
                return Ok(data);
            }
            delay.delay_ms(self.facts.pace.byte_ms).await;
            byte = self.byte(bus).await?;
        }
    }

    async fn byte<B: I2c>(&mut self, bus: &mut B) -> Result<u8, Error<B::Error>> {
        let mut byte = [0];
        bus.read(self.device.address, &mut byte).await.map_err(|error| self.device.bus(error))?;
        Ok(byte[0])
    }

    fn boot_loader<E>(&self) -> Error<E> {
        let Device { part, address } = self.device;
        Error::BootLoader { part, address, firmware: PROGRAM_GONE }
    }
}

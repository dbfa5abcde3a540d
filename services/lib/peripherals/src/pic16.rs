//! PIC16F1704 on S9 boards: sets the board's voltage, switches it, and cuts it about 10 s after the last heartbeat. Source: Braiins' open S9 firmware, `power.rs`.
//!
//! `55 AA command [data]`, no sum: every byte is a transfer of its own, answers are fetched byte by byte. What is set is read back, for nothing else tells a lost byte. Its flash has no command here.

use embedded_hal_async::{delay::DelayNs, i2c::I2c};

use crate::{Error, device::Device, error::is_unacknowledged};

const HEAD: [u8; 2] = [0x55, 0xaa];
const START: u8 = 0x06;
const RESET: u8 = 0x07;
const SET_VOLTAGE: u8 = 0x10;
const SWITCH: u8 = 0x15;
const HEARTBEAT: u8 = 0x16;
const VERSION: u8 = 0x17;
const GET_VOLTAGE: u8 = 0x18;

const FIRMWARE: u8 = 0x03;
/// A controller that waits for the rest of a command takes these as that, and one that waits for a command ignores them.
const RESYNC: [u8; 16] = [0; 16];

/// Code = `code_at_zero` − `codes_per_volt` · volts; a higher code is a lower voltage.
const CODE_AT_ZERO: f64 = 1608.420446;
const CODES_PER_VOLT: f64 = 170.423497;

/// Lowest and highest voltage that there is a code for.
pub const LOWEST: f64 = (CODE_AT_ZERO - 255.0) / CODES_PER_VOLT;
pub const HIGHEST: f64 = CODE_AT_ZERO / CODES_PER_VOLT;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// After a command that takes time.
    pub command_ms: u32,
    /// After a reset.
    pub reset_ms: u32,
    /// How often a byte that is not acknowledged is sent, and the pause between: a controller that starts acknowledges nothing.
    pub tries: u8,
    pub try_ms: u32,
}

impl Pace {
    pub const STANDARD: Self = Self { command_ms: 100, reset_ms: 500, tries: 15, try_ms: 100 };
}

#[derive(Debug)]
pub struct Pic16 {
    device: Device,
    pace: Pace,
}

impl Pic16 {
    /// Addresses are 0x55, 0x56 and 0x57 for boards 6, 7 and 8.
    pub fn new(address: u8, pace: Pace) -> Self {
        Self { device: Device::new("PIC16F1704", address), pace }
    }

    /// Brings it back into step, restarts it (which switches the rail off), starts its program and checks its version.
    pub async fn prepare<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
    ) -> Result<(), Error<B::Error>> {
        self.send(bus, delay, &RESYNC).await?;
        self.command(bus, delay, RESET, &[]).await?;
        delay.delay_ms(self.pace.reset_ms).await;
        self.command(bus, delay, START, &[]).await?;
        delay.delay_ms(self.pace.command_ms).await;
        let firmware = self.ask(bus, delay, VERSION).await?;
        if firmware != FIRMWARE {
            return Err(self.device.other(format!("controller with firmware {firmware:#04x}")));
        }
        Ok(())
    }

    /// Sets the voltage and reads it back; gives the voltage of the code that was set. Errors with [`Error::OutOfRange`], and sends nothing, when there is no code for it.
    pub async fn set<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
        volts: f64,
    ) -> Result<f64, Error<B::Error>> {
        let Some(code) = code(volts) else {
            return Err(self.device.out_of_range("V", volts, LOWEST, HIGHEST));
        };
        self.command(bus, delay, SET_VOLTAGE, &[code]).await?;
        delay.delay_ms(self.pace.command_ms).await;
        let got = self.ask(bus, delay, GET_VOLTAGE).await?;
        self.device.taken(SET_VOLTAGE, code.into(), got.into())?;
        Ok(self::volts(code))
    }

    /// What it was told last, by its own account. That is no measurement, nor does it say whether the rail is on.
    pub async fn told<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
    ) -> Result<f64, Error<B::Error>> {
        Ok(volts(self.ask(bus, delay, GET_VOLTAGE).await?))
    }

    /// The rail on. The heartbeat must follow every second.
    pub async fn enable<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
    ) -> Result<(), Error<B::Error>> {
        self.command(bus, delay, SWITCH, &[1]).await
    }

    /// The rail off. Needs no earlier call to have come through: brings the controller into step first.
    pub async fn disable<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
    ) -> Result<(), Error<B::Error>> {
        self.send(bus, delay, &RESYNC).await?;
        self.command(bus, delay, SWITCH, &[0]).await
    }

    /// Keeps the rail on; it falls about 10 s after the last one.
    pub async fn heartbeat<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
    ) -> Result<(), Error<B::Error>> {
        self.command(bus, delay, HEARTBEAT, &[]).await
    }

    async fn ask<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
        command: u8,
    ) -> Result<u8, Error<B::Error>> {
        self.command(bus, delay, command, &[]).await?;
        let mut byte = [0];
        bus.read(self.device.address, &mut byte).await.map_err(|error| self.device.bus(error))?;
        Ok(byte[0])
    }

    async fn command<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
        command: u8,
        data: &[u8],
    ) -> Result<(), Error<B::Error>> {
        self.send(bus, delay, &HEAD).await?;
        self.send(bus, delay, &[command]).await?;
        self.send(bus, delay, data).await
    }

    async fn send<B: I2c>(
        &mut self,
        bus: &mut B,
        delay: &mut impl DelayNs,
        bytes: &[u8],
    ) -> Result<(), Error<B::Error>> {
        for byte in bytes {
            let mut sent = bus.write(self.device.address, &[*byte]).await;
            for _ in 1..self.pace.tries {
                if !sent.as_ref().is_err_and(is_unacknowledged) {
                    break;
                }
                delay.delay_ms(self.pace.try_ms).await;
                sent = bus.write(self.device.address, &[*byte]).await;
            }
            sent.map_err(|error| self.device.bus(error))?;
        }
        Ok(())
    }
}

/// There is a code for it.
pub fn can_be_told(volts: f64) -> bool {
    code(volts).is_some()
}

/// `None` when no code comes within half a step.
fn code(volts: f64) -> Option<u8> {
    let code = (CODE_AT_ZERO - CODES_PER_VOLT * volts).round();
    // A NaN must not become a code.
    (0.0..=255.0).contains(&code).then_some(code as u8)
}

fn volts(code: u8) -> f64 {
    (CODE_AT_ZERO - f64::from(code)) / CODES_PER_VOLT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_open_firmware() {
        assert_eq!(code(9.4), Some(6));
        assert_eq!(code(8.8), Some(109));
        assert_eq!(code(7.95), Some(254));
        for volts in [7.9, 9.5, 0.0, -9.0, 1e9, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(code(volts), None, "{volts}");
        }
        for byte in 0..=255 {
            assert_eq!(code(volts(byte)), Some(byte));
        }
    }
}

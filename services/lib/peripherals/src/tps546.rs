//! TPS546D24A: the core regulator, over PMBus. Commands and formats: TI data sheet SLUSDC9, PMBus 1.3 part II. Board values: ESP-Miner and mujina for the Bitaxe Gamma.

use embedded_hal_async::i2c::I2c;

use crate::{Error, device::Device};

const OPERATION: u8 = 0x01;
const ON_OFF_CONFIG: u8 = 0x02;
const CLEAR_FAULTS: u8 = 0x03;
const VOUT_MODE: u8 = 0x20;
const VOUT_COMMAND: u8 = 0x21;
const VOUT_MAX: u8 = 0x24;
const VOUT_SCALE_LOOP: u8 = 0x29;
const VOUT_MIN: u8 = 0x2b;
const FREQUENCY_SWITCH: u8 = 0x33;
const VIN_ON: u8 = 0x35;
const VIN_OFF: u8 = 0x36;
const IOUT_OC_FAULT_LIMIT: u8 = 0x46;
const IOUT_OC_FAULT_RESPONSE: u8 = 0x47;
const OT_FAULT_LIMIT: u8 = 0x4f;
const OT_FAULT_RESPONSE: u8 = 0x50;
const VIN_OV_FAULT_LIMIT: u8 = 0x55;
const STATUS_WORD: u8 = 0x79;
const READ_VIN: u8 = 0x88;
const READ_VOUT: u8 = 0x8b;
const READ_IOUT: u8 = 0x8c;
const READ_TEMPERATURE_1: u8 = 0x8d;
const IC_DEVICE_ID: u8 = 0xad;

const ON: u8 = 0x80;
const OFF_AT_ONCE: u8 = 0x00;
/// Output only when OPERATION says so; the CONTROL pin, which noise could pull, has no say.
const OPERATION_DECIDES: u8 = 0x1b;
/// Over-current and over-temperature: off, and off until told otherwise.
const LATCH_OFF: u8 = 0x80;
/// Absolute values in 2⁻⁹ V, or the same with limits relative to the command.
const MODES: [u8; 2] = [0x17, 0x97];
const COUNTS_PER_VOLT: f64 = 512.0;
/// "TI", then the part: TPS546D24A in two revisions, TPS546D24S.
const IDENTITIES: [[u8; 6]; 3] = [
    [0x54, 0x49, 0x54, 0x6b, 0x24, 0x41],
    [0x54, 0x49, 0x54, 0x6d, 0x24, 0x41],
    [0x54, 0x49, 0x54, 0x6d, 0x24, 0x62],
];

/// What the regulator is told before it may be switched on. The board's facts; all voltages in volts.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub volts: f64,
    /// The regulator refuses commands outside of these.
    pub min_volts: f64,
    pub max_volts: f64,
    /// Reaching one of these two switches the output off until told otherwise.
    pub over_current_amperes: f64,
    pub over_temperature_celsius: f64,
    /// Share of the output that the regulator's feedback pin sees.
    pub feedback_scale: f64,
    pub switching_khz: u16,
    pub input_on_volts: f64,
    pub input_off_volts: f64,
    pub input_max_volts: f64,
}

#[derive(Debug)]
pub struct Tps546 {
    device: Device,
    settings: Settings,
}

impl Tps546 {
    pub fn new(address: u8, settings: Settings) -> Self {
        Self { device: Device::new("TPS546D24A", address), settings }
    }

    /// Off at once. Needs no earlier command to have come through.
    pub async fn switch_off<B: I2c>(&mut self, bus: &mut B) -> Result<(), Error<B::Error>> {
        self.device.set(bus, OPERATION, OFF_AT_ONCE).await
    }

    /// Checks what it is, switches off, then writes every limit. [`Tps546::switch_on`] relies on these.
    pub async fn prepare<B: I2c>(&mut self, bus: &mut B) -> Result<(), Error<B::Error>> {
        let [_, identity @ ..] = self.device.read::<7, B>(bus, IC_DEVICE_ID).await?;
        if !IDENTITIES.contains(&identity) {
            return Err(self.device.other(format!("device {identity:02x?}")));
        }
        self.switch_off(bus).await?;
        self.device.write(bus, ON_OFF_CONFIG, [OPERATION_DECIDES]).await?;
        let mode = self.device.read_byte(bus, VOUT_MODE).await?;
        if !MODES.contains(&mode) {
            return Err(self.device.other(format!("regulator in voltage mode {mode:#04x}")));
        }
        let settings = &self.settings;
        let words = [
            (FREQUENCY_SWITCH, linear11(settings.switching_khz.into())),
            (VOUT_SCALE_LOOP, linear11(settings.feedback_scale)),
            (VIN_ON, linear11(settings.input_on_volts)),
            (VIN_OFF, linear11(settings.input_off_volts)),
            (VIN_OV_FAULT_LIMIT, linear11(settings.input_max_volts)),
            (IOUT_OC_FAULT_LIMIT, linear11(settings.over_current_amperes)),
            (OT_FAULT_LIMIT, linear11(settings.over_temperature_celsius)),
            (VOUT_MAX, counts(settings.max_volts)),
            (VOUT_MIN, counts(settings.min_volts)),
            (VOUT_COMMAND, counts(settings.volts)),
        ];
        for (command, word) in words {
            self.device.write(bus, command, word.to_le_bytes()).await?;
        }
        for command in [IOUT_OC_FAULT_RESPONSE, OT_FAULT_RESPONSE] {
            self.device.write(bus, command, [LATCH_OFF]).await?;
        }
        self.device.write(bus, CLEAR_FAULTS, []).await?;
        // The two that a wrong voltage would come from.
        for (command, wanted) in [(VOUT_COMMAND, settings.volts), (VOUT_MAX, settings.max_volts)] {
            let got = self.word(bus, command).await?;
            self.device.taken(command, counts(wanted), got)?;
        }
        Ok(())
    }

    pub async fn switch_on<B: I2c>(&mut self, bus: &mut B) -> Result<(), Error<B::Error>> {
        self.device.set(bus, OPERATION, ON).await
    }

    /// Changes the output within the limits of [`Settings`], and reads the command back. Errors with [`Error::OutOfRange`], and sends nothing, outside of them.
    pub async fn set_volts<B: I2c>(&mut self, bus: &mut B, volts: f64) -> Result<(), Error<B::Error>> {
        let Settings { min_volts, max_volts, .. } = self.settings;
        // Not `contains`: a NaN must not pass.
        if !(volts >= min_volts && volts <= max_volts) {
            return Err(self.device.out_of_range("V", volts, min_volts, max_volts));
        }
        self.device.write(bus, VOUT_COMMAND, counts(volts).to_le_bytes()).await?;
        let got = self.word(bus, VOUT_COMMAND).await?;
        self.device.taken(VOUT_COMMAND, counts(volts), got)
    }

    /// Input, as measured.
    pub async fn input_volts<B: I2c>(&mut self, bus: &mut B) -> Result<f64, Error<B::Error>> {
        Ok(value(self.word(bus, READ_VIN).await?))
    }

    /// Output current, as measured.
    pub async fn amperes<B: I2c>(&mut self, bus: &mut B) -> Result<f64, Error<B::Error>> {
        Ok(value(self.word(bus, READ_IOUT).await?))
    }

    /// The regulator's own temperature.
    pub async fn celsius<B: I2c>(&mut self, bus: &mut B) -> Result<f64, Error<B::Error>> {
        Ok(value(self.word(bus, READ_TEMPERATURE_1).await?))
    }

    /// Why it is off, or what is about to switch it off: STATUS_WORD, PMBus 1.3 part II §17.2. 0 while it is on and well.
    pub async fn status<B: I2c>(&mut self, bus: &mut B) -> Result<u16, Error<B::Error>> {
        self.word(bus, STATUS_WORD).await
    }

    /// As measured.
    pub async fn volts<B: I2c>(&mut self, bus: &mut B) -> Result<f64, Error<B::Error>> {
        Ok(f64::from(self.word(bus, READ_VOUT).await?) / COUNTS_PER_VOLT)
    }

    async fn word<B: I2c>(&self, bus: &mut B, command: u8) -> Result<u16, Error<B::Error>> {
        Ok(u16::from_le_bytes(self.device.read(bus, command).await?))
    }
}

/// ULINEAR16 with the exponent −9 that [`MODES`] stand for.
fn counts(volts: f64) -> u16 {
    (volts * COUNTS_PER_VOLT).round() as u16
}

/// SLINEAR11 for a value that is not negative: mantissa 0..=1023 in bits 10..0, exponent in 15..11. As fine as it goes without a loss where the value is whole.
fn linear11(value: f64) -> u16 {
    if value.fract() == 0.0 && value <= 1023.0 {
        return value as u16;
    }
    let (mut exponent, mut mantissa) = (0_i8, value);
    while exponent > -16 && mantissa * 2.0 <= 1023.0 {
        mantissa *= 2.0;
        exponent -= 1;
    }
    while mantissa > 1023.0 {
        mantissa /= 2.0;
        exponent += 1;
    }
    u16::from(exponent as u8 & 0x1f) << 11 | mantissa.round() as u16
}

/// SLINEAR11: mantissa of eleven bits, exponent of five, both in two's complement.
fn value(word: u16) -> f64 {
    let mantissa = (word << 5) as i16 >> 5;
    let exponent = word as i16 >> 11;
    f64::from(mantissa) * f64::from(exponent).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0266 is a captured VOUT_COMMAND for 1.2 V; 028A and C840 are the part's values for 650 kHz and 0.5 after power-up.
    #[test]
    fn numbers_are_written_as_the_part_itself_writes_them() {
        assert_eq!(counts(1.2), 0x0266);
        assert_eq!(linear11(650.0), 0x028a);
        assert_eq!(value(0xc840), 0.5);
        assert_eq!(value(0x07ff), -1.0);
        assert_eq!(value(0x0c00), -2048.0);
        for volts in [0.25, 0.5, 4.8, 6.5, 30.0, 105.0, 1500.0] {
            let error = (value(linear11(volts)) - volts).abs() / volts;
            assert!(error < 0.001, "{volts}");
        }
    }
}

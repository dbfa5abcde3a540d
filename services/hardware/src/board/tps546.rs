//! TPS546D24A: the core regulator, over PMBus. Commands and formats: TI data sheet SLUSDC9, PMBus 1.3 part II. Board values: ESP-Miner and mujina for the Bitaxe Gamma.

use super::{BitaxeRaw, BoardError};
use crate::profile::Rail;

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
const READ_VOUT: u8 = 0x8b;
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

#[derive(Debug)]
pub(super) struct Tps546 {
    rail: Rail,
}

impl Tps546 {
    pub(super) fn new(rail: Rail) -> Self {
        Self { rail }
    }

    /// Off at once. Needs no earlier command to have come through.
    pub(super) async fn switch_off(&mut self, bus: &mut BitaxeRaw) -> Result<(), BoardError> {
        self.operate(bus, OFF_AT_ONCE).await
    }

    /// Checks what it is, switches off, then writes every limit. [`Tps546::switch_on`] relies on these.
    pub(super) async fn prepare(&mut self, bus: &mut BitaxeRaw) -> Result<(), BoardError> {
        let address = self.rail.address;
        let [_, identity @ ..] = bus.read::<7>(address, IC_DEVICE_ID).await?;
        if !IDENTITIES.contains(&identity) {
            let got = format!("device {identity:02x?}");
            return Err(BoardError::Identity { address, expected: "TPS546D24A", got });
        }
        self.switch_off(bus).await?;
        bus.write(address, ON_OFF_CONFIG, &[OPERATION_DECIDES]).await?;
        let [mode] = bus.read(address, VOUT_MODE).await?;
        if !MODES.contains(&mode) {
            let got = format!("TPS546D24A in voltage mode {mode:#04x}");
            return Err(BoardError::Identity { address, expected: "TPS546D24A in mode 0x17 or 0x97", got });
        }
        let rail = self.rail.clone();
        let words = [
            (FREQUENCY_SWITCH, linear11(rail.switching_khz.into())),
            (VOUT_SCALE_LOOP, linear11(rail.feedback_scale)),
            (VIN_ON, linear11(rail.input_on_volts)),
            (VIN_OFF, linear11(rail.input_off_volts)),
            (VIN_OV_FAULT_LIMIT, linear11(rail.input_max_volts)),
            (IOUT_OC_FAULT_LIMIT, linear11(rail.over_current_amperes)),
            (OT_FAULT_LIMIT, linear11(rail.over_temperature_celsius)),
            (VOUT_MAX, counts(rail.max_volts)),
            (VOUT_MIN, counts(rail.min_volts)),
            (VOUT_COMMAND, counts(rail.volts)),
        ];
        for (command, word) in words {
            bus.write(address, command, &word.to_le_bytes()).await?;
        }
        for command in [IOUT_OC_FAULT_RESPONSE, OT_FAULT_RESPONSE] {
            bus.write(address, command, &[LATCH_OFF]).await?;
        }
        bus.write(address, CLEAR_FAULTS, &[]).await?;
        // The two that a wrong voltage would come from.
        for (command, wanted) in [(VOUT_COMMAND, rail.volts), (VOUT_MAX, rail.max_volts)] {
            let (got, written) = (u16::from_le_bytes(bus.read(address, command).await?), counts(wanted));
            if got != written {
                return Err(BoardError::NotTaken { address, register: command, written, got });
            }
        }
        Ok(())
    }

    pub(super) async fn switch_on(&mut self, bus: &mut BitaxeRaw) -> Result<(), BoardError> {
        self.operate(bus, ON).await
    }

    /// Another output voltage, read back.
    pub(super) async fn set_volts(&mut self, bus: &mut BitaxeRaw, volts: f64) -> Result<(), BoardError> {
        let (address, written) = (self.rail.address, counts(volts));
        bus.write(address, VOUT_COMMAND, &written.to_le_bytes()).await?;
        let got = u16::from_le_bytes(bus.read(address, VOUT_COMMAND).await?);
        if got == written {
            Ok(())
        } else {
            Err(BoardError::NotTaken { address, register: VOUT_COMMAND, written, got })
        }
    }

    /// As measured.
    pub(super) async fn volts(&mut self, bus: &mut BitaxeRaw) -> Result<f64, BoardError> {
        let raw = u16::from_le_bytes(bus.read(self.rail.address, READ_VOUT).await?);
        Ok(f64::from(raw) / COUNTS_PER_VOLT)
    }

    async fn operate(&mut self, bus: &mut BitaxeRaw, operation: u8) -> Result<(), BoardError> {
        let address = self.rail.address;
        bus.write(address, OPERATION, &[operation]).await?;
        let [got] = bus.read(address, OPERATION).await?;
        if got != operation {
            let (written, got) = (operation.into(), got.into());
            return Err(BoardError::NotTaken { address, register: OPERATION, written, got });
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// 0266 is a captured VOUT_COMMAND for 1.2 V; 028A and C840 are the part's values for 650 kHz and 0.5 after power-up.
    #[test]
    fn numbers_are_written_as_the_part_itself_writes_them() {
        assert_eq!(counts(1.2), 0x0266);
        assert_eq!(linear11(650.0), 0x028a);
        let value =
            |word: u16| f64::from(word & 0x7ff) * 2f64.powi(i32::from(((word >> 11) as i8) << 3 >> 3));
        assert_eq!(value(0xc840), 0.5);
        for volts in [0.25, 0.5, 4.8, 6.5, 30.0, 105.0, 1500.0] {
            let error = (value(linear11(volts)) - volts).abs() / volts;
            assert!(error < 0.001, "{volts}");
        }
    }
}

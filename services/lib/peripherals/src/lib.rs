//! Drivers of the parts that hang on a miner's I²C buses: fan controllers, regulators, sensors, EEPROMs, power supplies and hash boards' voltage controllers.
//!
//! In: any bus that implements [`embedded_hal_async::i2c::I2c`], an address and, where a part comes in variants, its facts as a value. Out: units that mean something (volts, rpm, degrees Celsius), or an
//! [`Error`] that names the part and its address. A driver keeps no bus: it is lent one for each call, for a bus has one owner. Where a protocol needs pauses they go through
//! [`embedded_hal_async::delay::DelayNs`].
//!
//! Never: a clock, a thread, a device node, a policy (when to switch, which voltage, what counts as too hot). Whatever a part answers is hostile until checked. What could ruin a part or take a protection away
//! (write an EEPROM, switch a supply's watchdog off, reset a voltage controller into its loader) has no function here.
//!
//! Which part was driven from which source: `docs/peripherals.md`.

pub mod apw;
mod device;
pub mod ds4432u;
pub mod dspic;
mod duty;
pub mod eeprom;
mod emc2101;
pub mod emc2305;
mod error;
mod frame;
mod ina260;
pub mod pic16;
mod tmp451;
pub mod tmp75;
pub mod tps546;

pub use apw::Apw;
pub use ds4432u::Ds4432u;
pub use dspic::Dspic;
pub use duty::Duty;
pub use eeprom::Eeprom;
pub use emc2101::Emc2101;
pub use emc2305::Emc2305;
pub use error::Error;
pub use frame::FrameError;
pub use ina260::Ina260;
pub use pic16::Pic16;
pub use tmp75::Tmp75;
pub use tmp451::Tmp451;
pub use tps546::Tps546;

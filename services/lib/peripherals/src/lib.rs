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

mod device;
mod duty;
pub mod emc2101;
mod error;
pub mod tps546;

pub use duty::Duty;
pub use emc2101::Emc2101;
pub use error::Error;
pub use tps546::Tps546;

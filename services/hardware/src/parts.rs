//! Parts of a machine as the driver uses them: a driver from `adit-peripherals` or a line, on its bus, with what the profile says of it.
//!
//! Nothing here decides: which part is driven when, and what its readings mean, is the board's and the machine's. A part that the profile names and nothing here can drive says so by name, and
//! what hangs on it is not powered.

mod delay;
mod error;
mod fan;
mod fpga_fan;
mod identity;
mod psu;
mod pwm;
mod rail;
mod sensor;
mod trimmed;
mod window;

use self::{delay::Delay, window::Window};
pub(crate) use self::{
    error::BoardError,
    fan::Fan,
    identity::{Claimed, Identity},
    psu::Psu,
    rail::{FALL, Rail},
    sensor::Sensor,
    window::OFF_SHARE,
};

//! Power, heat, air and voltage of a machine: pure, stepped by seconds, seeded. What is modelled, with which parameters and
//! how near it comes to published figures: `docs/simulation.md`.
//!
//! In: commanded voltages, fan drives, clocks and how much of each chip hashes. Out: watts, degrees, volts, turns, and how
//! often each chip errs. Never: a clock, a register, a bus.

pub(crate) mod air;
pub(crate) mod board;
pub(crate) mod psu;
pub(crate) mod silicon;

/// First-order lag: where `value` is after `seconds` on its way to `target`.
pub(crate) fn approach(value: f64, target: f64, seconds: f64, time_constant: f64) -> f64 {
    target + (value - target) * (-seconds / time_constant.max(1e-6)).exp()
}

//! What the core promises, by exact times. `docs/safety.md` names these tests.
#![allow(clippy::unwrap_used)]

mod bench;
mod document;
mod latching;
mod limits;
mod power;
mod properties;
mod times;

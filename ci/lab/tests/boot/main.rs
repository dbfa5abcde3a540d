//! The appliance booted in QEMU, as the README promises it: every test starts from a disk of its own and ends with it.
//!
//! They share two sets of images, built once: what is released, and the same with the fault-injection agent in its root.

#![allow(clippy::unwrap_used)]

mod blocks;
mod buses;
mod clock;
mod crashes;
mod datum;
mod ending;
mod farm;
mod flattened;
mod garbage;
mod hazards;
mod hostile;
mod lines;
mod link;
mod page;
mod slots;
mod support;
mod tampering;
mod vlan;

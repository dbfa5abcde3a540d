//! The laboratory: a whole site on one computer. Starts a Bitcoin node, a pool, a simulated machine and the appliance in QEMU, watches them, and ends all of it.
//!
//! In: an image ([`adit_image`]), a configuration, faults. Out: what the unit said on its console, what pool, node and simulated machine know to be true. It never
//! ends a process that it did not start, and everything it started ends with it.

pub mod bench;
pub mod budgets;
pub mod buses;
pub mod console;
pub mod display;
pub mod images;
pub mod machine;
pub mod native;
pub mod outcome;
pub mod prepare;
pub mod qemu;
pub mod run;
pub mod site;
pub mod tap;
pub mod truth;

//! adit-init: PID 1 of a unit. Mounts what the unit needs, sets the kernel's switches, binds every door, starts the services,
//! keeps them running, and brings everything down again.
//!
//! In: signals, ended children, sd_notify messages, time. Out: processes, lines on the console, the boot state, at the end a
//! reboot. What is decided is in [`supervisor`], without IO; what is done is in [`event_loop`] and the modules that it calls.
//!
//! PID 1 never waits for a child, a client or the console; it never reads anything from a network; it never exits. When it cannot go
//! on it makes the hardware safe, says why and reboots ([`emergency`]).
//!
//! To come, each with its place: walls (between [`supervisor::Effect::Spawn`] and the program), liveness and the hardware
//! watchdog (an event and a deadline in [`supervisor`]), escalation (after [`supervisor::Event::Ended`]), the Init1 door.

pub mod boot_state;
pub mod command_line;
pub mod console;
pub mod descriptors;
pub mod doors;
pub mod emergency;
pub mod event_loop;
pub mod good_boot;
pub mod kept;
pub mod mounts;
pub mod notify;
pub mod partitions;
pub mod paths;
pub mod power;
pub mod report;
pub mod service;
pub mod setup;
pub mod start;
pub mod supervisor;
pub mod switches;
pub mod unit_file;

pub use paths::Paths;
pub use start::run;

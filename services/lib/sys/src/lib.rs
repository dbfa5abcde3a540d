//! Kernel interfaces that the services share. With `services/lib/sha256` this is the only crate that may hold `unsafe`,
//! so that whoever looks for it looks here.
//!
//! * [`activation`]: sockets that adit-init bound before this process started.
//! * [`allocations`]: an allocator that notes what a thread allocates, for benches and tests.
//! * [`clock`]: time since boot, the monotonic clock in microseconds, and setting the unit's clock.
//! * [`reap`]: ended children of PID 1.
//! * [`seqpacket`]: packet sockets for the work path.
//! * [`signals`]: signals as something to poll, for PID 1.
//! * [`spawn`]: a child process with nothing inherited but what was asked for.
//! * [`tty`]: serial ports at any rate.
//! * [`uio`]: registers of a device, mapped.
//!
//! Never here: policy. A module does what its caller says and reports what the kernel answered.

#![allow(unsafe_code)]

pub mod activation;
pub mod allocations;
pub mod clock;
pub mod reap;
pub mod seqpacket;
pub mod signals;
pub mod spawn;
pub mod tty;
pub mod uio;

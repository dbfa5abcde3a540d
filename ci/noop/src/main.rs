//! The least that can be PID 1: says when the kernel reached it, and powers the unit off. `scripts/bench boot` puts it in adit-init's place; released images do not contain it.

use std::process::ExitCode;

use adit_sys::clock;
use rustix::{
    system::{RebootCommand, reboot},
    termios::tcdrain,
};

fn main() -> ExitCode {
    if std::process::id() != 1 {
        eprintln!("adit-noop powers the machine off: as PID 1 of a unit only");
        return ExitCode::from(2);
    }
    println!("no-op init ms={}", clock::boottime().as_millis());
    // What is still in the console's queue would be lost; there is nobody to tell if it is.
    let _ = tcdrain(rustix::stdio::stdout());
    if let Err(error) = reboot(RebootCommand::PowerOff) {
        println!("no-op init: power-off: {error}");
    }
    // PID 1 that ends is a kernel panic, and with that a reboot.
    ExitCode::FAILURE
}

//! One line on standard error for every step, with the time it took.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use crate::error::Result;

/// Runs a step that is over soon.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let result = work()?;
    eprintln!("{:7.1} s  {name}", start.elapsed().as_secs_f32());
    Ok(result)
}

/// Runs a step that takes long the first time: says so before it begins.
pub(crate) fn long_step<T>(name: &str, warning: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("           {name}: {warning}");
    step(name, work)
}

/// A count that grows while a long step runs: every second on a terminal, twice a minute in a log.
pub(crate) struct Counter {
    unit: &'static str,
    count: usize,
    start: Instant,
    next: Instant,
    terminal: bool,
}

impl Counter {
    pub(crate) fn new(unit: &'static str) -> Self {
        let now = Instant::now();
        Counter { unit, count: 0, start: now, next: now, terminal: std::io::stderr().is_terminal() }
    }

    pub(crate) fn add_one(&mut self) {
        self.count += 1;
        let now = Instant::now();
        if now < self.next {
            return;
        }
        let line = format!("           {} {}, {} s", self.count, self.unit, (now - self.start).as_secs());
        if self.terminal {
            eprint!("\r{line}");
        } else if self.count > 1 {
            eprintln!("{line}");
        }
        self.next = now + Duration::from_secs(if self.terminal { 1 } else { 30 });
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}

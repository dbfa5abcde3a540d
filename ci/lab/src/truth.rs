//! The simulated machine's record, whole.

use adit_simulator::{Handle, Record};
use anyhow::{Result, bail};

/// Everything that happened after event `after` up to now, in order. Errors: the machine's ring has turned over since.
pub fn events(machine: &Handle, after: u64) -> Result<Vec<Record>> {
    let mut all: Vec<Record> = Vec::new();
    loop {
        let page = machine.events(all.last().map_or(after, |record| record.seq));
        if page.lost > 0 {
            bail!("{} events of the simulated machine are no longer kept: ask more often", page.lost);
        }
        if page.events.is_empty() {
            return Ok(all);
        }
        all.extend(page.events);
    }
}

/// The number of the newest event; 0 before the first.
pub fn newest(machine: &Handle) -> u64 {
    let mut newest = 0;
    loop {
        let page = machine.events(newest).events;
        match page.last() {
            Some(record) => newest = record.seq,
            None => return newest,
        }
    }
}

//! What happened, in a ring that anyone may read as often as he likes.

use crate::clock;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

const RING: usize = 8192;
const AT_ONCE: usize = 512;

/// One thing that happened. On the control port: `{"event":"rail","on":true}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Core voltage rose above what chips need, or fell below.
    Rail {
        on: bool,
    },
    Reset {
        held: bool,
    },
    /// The drive of the fan, in percent, changed.
    Fan {
        percent: u32,
    },
    /// Zero: the PLL lost its lock.
    Pll {
        mhz: f64,
    },
    Baud {
        rate: u32,
    },
    Job {
        /// The job byte as the host sent it.
        job_id: u8,
        /// When its first byte began on the line and its last one ended.
        first_byte_us: u64,
        last_byte_us: u64,
        /// As block explorers print it.
        prev_hash: String,
    },
    Nonce {
        /// As Stratum submits it: eight hex digits, most significant first.
        nonce: String,
        /// The job byte as the host sent it.
        job_id: u8,
        /// Place on the chain of the chip that found it, 0 next to the host.
        chip: usize,
        last_byte_us: u64,
    },
    CrcError,
    ProtocolError {
        what: String,
    },
    OverTemperature {
        celsius: f64,
    },
    Fault {
        name: String,
        on: bool,
    },
    /// The mains supply's output came or went.
    Psu {
        on: bool,
    },
    /// The mains supply switched itself off: `watchdog`, `over-temperature`, `over-current`.
    PsuCut {
        why: String,
    },
    /// A board's rail was cut by what feeds it: `heartbeat`, `over-temperature`.
    RailCut {
        why: String,
    },
    /// A host wrote to a board's EEPROM, which no host may.
    EepromWritten {
        at: u8,
        bytes: usize,
    },
}

/// An event with its number (from 1) and its time (CLOCK_MONOTONIC).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub seq: u64,
    pub us: u64,
    /// The hash board that it happened to; 0, and not written, of things that no single board is concerned with.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub board: usize,
    #[serde(flatten)]
    pub event: Event,
}

fn is_zero(board: &usize) -> bool {
    *board == 0
}

/// The answer to "what happened after number N".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Events {
    pub events: Vec<Record>,
    /// How many events after N are no longer in the ring.
    pub lost: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Ring {
    records: VecDeque<Record>,
    last_seq: u64,
}

impl Ring {
    /// On board 0, or on none.
    pub(crate) fn push(&mut self, event: Event) {
        self.push_on(0, event);
    }

    pub(crate) fn push_on(&mut self, board: usize, event: Event) {
        if self.records.len() == RING {
            self.records.pop_front();
        }
        self.last_seq += 1;
        self.records.push_back(Record { seq: self.last_seq, us: clock::now_ns() / 1000, board, event });
    }

    pub(crate) fn after(&self, seq: u64) -> Events {
        let oldest = self.records.front().map_or(self.last_seq + 1, |record| record.seq);
        let events = self.records.iter().filter(|record| record.seq > seq).take(AT_ONCE).cloned().collect();
        Events { events, lost: oldest.saturating_sub(seq.saturating_add(1)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_says_how_much_it_has_forgotten() {
        let mut ring = Ring::default();
        for _ in 0..RING + 10 {
            ring.push(Event::CrcError);
        }
        let first = ring.after(0);
        assert_eq!((first.lost, first.events.len(), first.events[0].seq), (10, AT_ONCE, 11));
        assert_eq!(ring.after(10).lost, 0);
        assert_eq!(ring.after(u64::MAX).events, []);
    }

    #[test]
    fn events_look_as_the_contract_says() {
        let record = Record { seq: 1, us: 2, board: 0, event: Event::Rail { on: false } };
        let text = serde_json::to_string(&record).expect("serialises");
        assert_eq!(text, r#"{"seq":1,"us":2,"event":"rail","on":false}"#);
        assert_eq!(serde_json::to_string(&Event::CrcError).expect("serialises"), r#"{"event":"crc-error"}"#);
    }
}

//! The serial line between host and chips: bytes both ways, at the line rate when the endpoint has one.

use crate::clock;
use crate::endpoint::Port;
use crate::shared::Shared;
use crate::world::Outgoing;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How long a thread sleeps before it looks whether it shall end.
const PATIENCE: Duration = Duration::from_millis(100);
/// Start bit, eight data bits, stop bit.
const BITS_PER_BYTE: f64 = 10.0;
/// Receivers sample in the middle of a bit, so ten bits may drift by about half a bit. A Bitaxe runs with the host at
/// 1 Mbaud and the chip at 1.0417.
const TOLERANCE: f64 = 0.045;
/// Bytes are taken from the host in portions of about a millisecond, so that none is late by more.
const PORTIONS_PER_SECOND: u32 = 1000;
const LARGEST_PORTION: usize = 512;

/// When a portion of bytes was on the wire. Without a rate: all of it now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    from_ns: u64,
    rate: Option<u32>,
}

impl Timing {
    pub(crate) fn begin_ns(self, index: usize) -> u64 {
        self.from_ns + (index as f64 * self.byte_ns()) as u64
    }

    pub(crate) fn end_ns(self, index: usize) -> u64 {
        self.begin_ns(index + 1)
    }

    fn byte_ns(self) -> f64 {
        self.rate.map_or(0.0, |rate| BITS_PER_BYTE * 1e9 / f64::from(rate.max(1)))
    }

    /// Whether a receiver at `rate` understands.
    pub(crate) fn fits(self, rate: u32) -> bool {
        self.rate.is_none_or(|ours| (f64::from(ours) / f64::from(rate.max(1)) - 1.0).abs() <= TOLERANCE)
    }
}

/// Carries bytes from the host to the chips until the simulation ends.
pub(crate) fn receive(shared: &Shared, port: &Port) {
    let mut free_at = 0;
    let mut bytes = [0; LARGEST_PORTION];
    while !shared.stopped() {
        let portion = port.host_sends_at().map_or(LARGEST_PORTION, |rate| {
            (rate / BITS_PER_BYTE as u32 / PORTIONS_PER_SECOND).clamp(1, LARGEST_PORTION as u32) as usize
        });
        let Some(count) = port.read(&mut bytes[..portion], PATIENCE) else { continue };
        // Asked again: the host may have changed it while there was nothing to read.
        let timing = Timing { from_ns: free_at.max(clock::now_ns()), rate: port.host_sends_at() };
        free_at = timing.begin_ns(count);
        clock::sleep_until_ns(free_at);
        shared.change(|world| world.line_bytes(&bytes[..count], timing));
    }
}

/// Carries the chips' answers to the host until the simulation ends.
pub(crate) fn transmit(shared: &Shared, port: &Port, queue: &Receiver<Outgoing>) {
    let mut free_at = 0;
    while !shared.stopped() {
        let mut outgoing = match queue.recv_timeout(PATIENCE) {
            Ok(outgoing) => outgoing,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let Some(rate) = shared.read(|world| world.may_send(&outgoing)) else { continue };
        let host_rate = port.host_receives_at();
        let timing = Timing { from_ns: free_at.max(clock::now_ns()), rate: host_rate.map(|_| rate) };
        free_at = timing.begin_ns(outgoing.bytes.len());
        clock::sleep_until_ns(free_at);
        if host_rate.is_some_and(|rate| !timing.fits(rate)) {
            shared.change(|world| {
                outgoing.bytes.iter_mut().for_each(|byte| *byte = world.garble(*byte));
            });
        }
        port.write(&outgoing.bytes);
        shared.change(|world| world.sent(&outgoing, free_at));
    }
}

/// Carries requests and answers of the board controller until the simulation ends. USB has no line rate.
pub(crate) fn control_board(shared: &Shared, port: &Port) {
    let mut bytes = [0; LARGEST_PORTION];
    while !shared.stopped() {
        if let Some(count) = port.read(&mut bytes, PATIENCE) {
            let answers = shared.change(|world| world.board_bytes(&bytes[..count], clock::now_ns()));
            port.write(&answers);
        }
    }
}

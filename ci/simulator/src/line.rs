//! The serial line between host and chips: bytes both ways, at the line rate when the endpoint has one.

use crate::circuit::Outgoing;
use crate::clock;
use crate::endpoint::Port;
use crate::shared::Shared;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How long a thread sleeps before it looks whether it shall end.
const PATIENCE: Duration = Duration::from_millis(100);
/// Start bit, eight data bits, stop bit.
const BITS_PER_BYTE: f64 = 10.0;
/// Receivers sample in the middle of a bit, so ten bits may drift by about half a bit. A Bitaxe runs with the host at
/// 1 Mbaud and the chip at 1.0417.
const TOLERANCE: f64 = 0.045;
/// Bytes reach the chips in portions of about a millisecond, so that none is late by more.
const PORTIONS_PER_SECOND: u32 = 1000;
/// Most bytes that are read at once, and most portions that wait: together the line's buffer.
const MOST_AT_ONCE: usize = 512;
const MOST_PORTIONS: usize = 256;

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

/// Bytes that are on the wire together.
struct Portion {
    bytes: Vec<u8>,
    timing: Timing,
    end_ns: u64,
}

/// Carries bytes from the host to the chips until the simulation ends.
pub(crate) fn receive(shared: &Shared, board: usize, port: &Port) {
    let mut free_at = 0;
    let mut on_wire: VecDeque<Portion> = VecDeque::new();
    let mut bytes = [0; MOST_AT_ONCE];
    while !shared.stopped() {
        let now = clock::now_ns();
        let wait = match on_wire.front() {
            Some(portion) if portion.end_ns <= now => {
                shared.change(|world| world.line_bytes(board, &portion.bytes, portion.timing));
                on_wire.pop_front();
                continue;
            }
            Some(portion) => PATIENCE.min(Duration::from_nanos(portion.end_ns - now)),
            None => PATIENCE,
        };
        if on_wire.len() >= MOST_PORTIONS {
            std::thread::sleep(wait); // meanwhile the host is held up by the terminal's own buffer
            continue;
        }
        // Read as soon as they come, or the line would seem to have paused where only this thread did.
        let Some(count) = port.read(&mut bytes, wait) else { continue };
        let rate = port.host_sends_at();
        for portion in bytes[..count].chunks(portion_size(rate)) {
            let timing = Timing { from_ns: free_at.max(clock::now_ns()), rate };
            free_at = timing.begin_ns(portion.len());
            on_wire.push_back(Portion { bytes: portion.to_vec(), timing, end_ns: free_at });
        }
    }
}

fn portion_size(rate: Option<u32>) -> usize {
    let bytes = rate.map_or(MOST_AT_ONCE as u32, |rate| rate / BITS_PER_BYTE as u32 / PORTIONS_PER_SECOND);
    bytes.clamp(1, MOST_AT_ONCE as u32) as usize
}

/// Carries the chips' answers to the host until the simulation ends.
pub(crate) fn transmit(shared: &Shared, board: usize, port: &Port, queue: &Receiver<Outgoing>) {
    let mut free_at = 0;
    while !shared.stopped() {
        let mut outgoing = match queue.recv_timeout(PATIENCE) {
            Ok(outgoing) => outgoing,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let Some(rate) = shared.read(|world| world.may_send(board, &outgoing)) else { continue };
        let host_rate = port.host_receives_at();
        // Answers that waited follow each other without a gap, however late this thread woke up.
        let timing = Timing { from_ns: free_at.max(outgoing.queued_ns), rate: host_rate.map(|_| rate) };
        free_at = timing.begin_ns(outgoing.bytes.len());
        clock::sleep_until_ns(free_at);
        if host_rate.is_some_and(|rate| !timing.fits(rate)) {
            shared.change(|world| {
                outgoing.bytes.iter_mut().for_each(|byte| *byte = world.garble(board, *byte));
            });
        }
        port.write(&outgoing.bytes);
        shared.change(|world| world.sent(board, &outgoing, free_at));
    }
}

/// Carries requests and answers of the board controller until the simulation ends. USB has no line rate.
pub(crate) fn control_board(shared: &Shared, port: &Port) {
    let mut bytes = [0; MOST_AT_ONCE];
    while !shared.stopped() {
        if let Some(count) = port.read(&mut bytes, PATIENCE) {
            let answers = shared.change(|world| world.board_bytes(&bytes[..count], clock::now_ns()));
            port.write(&answers);
        }
    }
}

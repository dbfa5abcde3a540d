//! The requests of virtio-gpio (VIRTIO 1.3, 5.15): one at a time in the first queue; buffers that wait for an interrupt in the second.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use super::{Edge, GpioLines};
use crate::virtio::{Chain, Device, Used, readable, write};

const REQUESTS: usize = 0;
const EVENTS: usize = 1;
const F_IRQ: u64 = 1 << 0;

/// Type (le16), line (le16), value (le32).
const REQUEST_BYTES: usize = 8;
/// Line (le16).
const EVENT_BYTES: usize = 2;

const GET_NAMES: u16 = 1;
const GET_DIRECTION: u16 = 2;
const SET_DIRECTION: u16 = 3;
const GET_VALUE: u16 = 4;
const SET_VALUE: u16 = 5;
const IRQ_TYPE: u16 = 6;

const NONE: u8 = 0;
const OUT: u8 = 1;
const IN: u8 = 2;

const OK: u8 = 0;
const ERROR: u8 = 1;

/// Of an interrupt's buffer: returned unused, or an interrupt.
const NO_INTERRUPT: u8 = 0;
const INTERRUPT: u8 = 1;

const RISING: u8 = 1;
const FALLING: u8 = 2;
const HIGH: u8 = 4;
const LOW: u8 = 8;

pub(super) struct Gpio {
    lines: Arc<dyn GpioLines>,
    changes: Arc<Mutex<mpsc::Receiver<Edge>>>,
    /// Number of lines (le16), padding, bytes of names (le32).
    config: [u8; 8],
    /// Each ends in a zero byte.
    names: Vec<u8>,
    states: Vec<State>,
}

/// What the guest has made of a line.
#[derive(Default)]
struct State {
    direction: u8,
    /// What it drives, or will when the line becomes an output.
    value: bool,
    irq_type: u8,
    /// An edge that came while the guest had no buffer for it. One is kept.
    latched: bool,
    waiting: Option<Chain>,
}

impl Gpio {
    /// `names` have passed the limits of [`super::GpioPort::listen`].
    pub(super) fn new(
        lines: Arc<dyn GpioLines>,
        names: &[String],
        changes: Arc<Mutex<mpsc::Receiver<Edge>>>,
    ) -> Self {
        let states: Vec<State> = names.iter().map(|_| State::default()).collect();
        // A zero byte inside would look like another line.
        let names: Vec<u8> =
            names.iter().flat_map(|name| name.bytes().filter(|byte| *byte != 0).chain([0])).collect();
        let mut config = [0; 8];
        config[..2].copy_from_slice(&(states.len() as u16).to_le_bytes());
        config[4..].copy_from_slice(&(names.len() as u32).to_le_bytes());
        Self { lines, changes, config, names, states }
    }

    /// Status and value, or status and names.
    fn answer(&mut self, chain: &Chain, used: &mut Vec<Used>) -> Vec<u8> {
        let request =
            readable(chain, REQUEST_BYTES).and_then(|bytes| <[u8; REQUEST_BYTES]>::try_from(bytes).ok());
        let Some([kind_low, kind_high, line_low, line_high, value @ ..]) = request else {
            return vec![ERROR, 0];
        };
        let kind = u16::from_le_bytes([kind_low, kind_high]);
        let line = usize::from(u16::from_le_bytes([line_low, line_high]));
        if kind == GET_NAMES {
            return [&[OK], &self.names[..]].concat();
        }
        let value = u8::try_from(u32::from_le_bytes(value)).ok();
        match self.line_request(kind, line, value, used) {
            Some(value) => vec![OK, value],
            None => vec![ERROR, 0],
        }
    }

    fn line_request(
        &mut self,
        kind: u16,
        line: usize,
        value: Option<u8>,
        used: &mut Vec<Used>,
    ) -> Option<u8> {
        let state = self.states.get_mut(line)?;
        match (kind, value?) {
            (GET_DIRECTION, _) => Some(state.direction),
            (SET_DIRECTION, direction @ (NONE | OUT | IN)) => {
                // An output that asks for interrupts makes no sense, and the specification forbids it.
                if direction == OUT && state.irq_type != NONE {
                    return None;
                }
                let driven = (direction == OUT).then_some(state.value);
                if driven.is_some() || state.direction == OUT {
                    self.lines.drive(line, driven).ok()?;
                }
                state.direction = direction;
                Some(0)
            }
            (GET_VALUE, _) => Some(u8::from(self.lines.level(line))),
            (SET_VALUE, value @ (0 | 1)) => {
                state.value = value == 1;
                if state.direction == OUT {
                    self.lines.drive(line, Some(state.value)).ok()?;
                }
                Some(0)
            }
            (IRQ_TYPE, kind) => {
                let possible =
                    matches!(kind, NONE | RISING | FALLING | HIGH | LOW) || kind == RISING | FALLING;
                if !possible || (kind != NONE && state.direction == OUT) {
                    return None;
                }
                state.irq_type = kind;
                state.latched = false;
                if kind == NONE
                    && let Some(chain) = state.waiting.take()
                {
                    used.push(returned(&chain, NO_INTERRUPT));
                }
                Some(0)
            }
            _ => None,
        }
    }

    /// A buffer for the next interrupt of a line.
    fn wait(&mut self, chain: Chain, used: &mut Vec<Used>) {
        let line = readable(&chain, EVENT_BYTES).and_then(|bytes| <[u8; EVENT_BYTES]>::try_from(bytes).ok());
        let state = line.and_then(|line| self.states.get_mut(usize::from(u16::from_le_bytes(line))));
        match (state, line) {
            (Some(state), Some(line)) if state.irq_type != NONE && state.waiting.is_none() => {
                state.waiting = Some(chain);
                let line = usize::from(u16::from_le_bytes(line));
                let level = self.lines.level(line);
                self.interrupt(line, level, false, used);
            }
            _ => used.push(returned(&chain, NO_INTERRUPT)),
        }
    }

    /// Gives a waiting buffer back when there is an interrupt.
    fn interrupt(&mut self, line: usize, level: bool, edge: bool, used: &mut Vec<Used>) {
        let Some(state) = self.states.get_mut(line) else { return };
        let (edges, levels) = if level { (RISING, HIGH) } else { (FALLING, LOW) };
        state.latched |= edge && state.irq_type & edges != 0;
        if !state.latched && state.irq_type & levels == 0 {
            return;
        }
        if let Some(chain) = state.waiting.take() {
            state.latched = false;
            used.push(returned(&chain, INTERRUPT));
        }
    }
}

fn returned(chain: &Chain, status: u8) -> Used {
    Used { queue: EVENTS, head: chain.head_index(), written: write(chain, &[status]) }
}

impl Device for Gpio {
    const NAME: &'static str = "guest-gpio";
    const QUEUES: usize = 2;
    const FEATURES: u64 = F_IRQ;

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn take(&mut self, queue: usize, chains: Vec<Chain>, used: &mut Vec<Used>) {
        for chain in chains {
            if queue == EVENTS {
                self.wait(chain, used);
            } else {
                let answer = self.answer(&chain, used);
                used.push(Used {
                    queue: REQUESTS,
                    head: chain.head_index(),
                    written: write(&chain, &answer),
                });
            }
        }
    }

    fn woken(&mut self, used: &mut Vec<Used>) {
        let changes: Vec<Edge> =
            self.changes.lock().unwrap_or_else(PoisonError::into_inner).try_iter().collect();
        for Edge { line, level } in changes {
            self.interrupt(line, level, true, used);
        }
    }

    /// The guest was reset, or its driver let go of the chip: pins are inputs after a reset.
    fn stopped(&mut self, queue: usize) {
        for (line, state) in self.states.iter_mut().enumerate() {
            state.waiting = None;
            if queue == REQUESTS {
                if state.direction == OUT {
                    // It was allowed to drive the line, so it may let it go.
                    let _ = self.lines.drive(line, None);
                }
                *state = State::default();
            }
        }
    }
}

impl Drop for Gpio {
    fn drop(&mut self) {
        self.stopped(REQUESTS);
    }
}

#[cfg(test)]
mod tests;

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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gpio::Refused;
    use crate::virtio::driver::{Driver, MEMORY_BYTES, Part};

    /// Line 1 is not for the guest.
    struct Lines(Mutex<[Option<bool>; 2]>);

    impl GpioLines for Lines {
        fn names(&self) -> Vec<String> {
            unreachable!("asked for when the port is made")
        }

        fn level(&self, line: usize) -> bool {
            self.0.lock().expect("not poisoned")[line].unwrap_or(false)
        }

        fn drive(&self, line: usize, level: Option<bool>) -> Result<(), Refused> {
            if line == 1 {
                return Err(Refused);
            }
            self.0.lock().expect("not poisoned")[line] = level;
            Ok(())
        }
    }

    struct Chip {
        lines: Arc<Lines>,
        edges: mpsc::Sender<Edge>,
        device: Gpio,
        requests: Driver,
        events: Driver,
        used: Vec<Used>,
    }

    impl Chip {
        fn new() -> Self {
            let lines = Arc::new(Lines(Mutex::new([None; 2])));
            let (edges, changes) = mpsc::channel();
            let names = ["reset", "plug"].map(str::to_owned);
            let device = Gpio::new(lines.clone(), &names, Arc::new(Mutex::new(changes)));
            Self { lines, edges, device, requests: Driver::new(), events: Driver::new(), used: Vec::new() }
        }

        /// Status and value.
        fn ask(&mut self, kind: u16, line: u16, value: u32) -> Vec<u8> {
            let request = [&kind.to_le_bytes()[..], &line.to_le_bytes(), &value.to_le_bytes()].concat();
            let room = if kind == GET_NAMES { 12 } else { 2 };
            let head = self.requests.post(&[Part::Out(&request), Part::In(room)]);
            self.device.take(REQUESTS, self.requests.chains(), &mut self.used);
            self.used.retain(|used| used.queue != REQUESTS);
            self.requests.written(head)
        }

        fn wait(&mut self, line: u16) -> u16 {
            let head = self.events.post(&[Part::Out(&line.to_le_bytes()), Part::In(1)]);
            self.device.take(EVENTS, self.events.chains(), &mut self.used);
            head
        }

        fn edge(&mut self, line: usize, level: bool) {
            self.lines.0.lock().expect("not poisoned")[line] = Some(level);
            self.edges.send(Edge { line, level }).expect("the device listens");
            self.device.woken(&mut self.used);
        }

        fn driven(&self) -> Option<bool> {
            self.lines.0.lock().expect("not poisoned")[0]
        }
    }

    const DONE: [u8; 2] = [OK, 0];
    const REFUSED: [u8; 2] = [ERROR, 0];

    #[test]
    fn the_chip_tells_its_lines_and_their_names() {
        let mut chip = Chip::new();
        assert_eq!(chip.device.config(), [2, 0, 0, 0, 11, 0, 0, 0]);
        assert_eq!(chip.ask(GET_NAMES, 0, 0), b"\0reset\0plug\0");
    }

    #[test]
    fn a_line_is_driven_from_the_moment_it_is_an_output_until_it_is_none() {
        let mut chip = Chip::new();
        // As Linux makes an output: the value first, so that the line does not twitch.
        assert_eq!(chip.ask(SET_VALUE, 0, 1), DONE);
        assert_eq!(chip.driven(), None);
        assert_eq!(chip.ask(SET_DIRECTION, 0, OUT.into()), DONE);
        assert_eq!(chip.driven(), Some(true));
        assert_eq!(chip.ask(GET_VALUE, 0, 0), [OK, 1]);
        assert_eq!(chip.ask(SET_VALUE, 0, 0), DONE);
        assert_eq!(chip.driven(), Some(false));
        assert_eq!(chip.ask(GET_DIRECTION, 0, 0), [OK, OUT]);
        assert_eq!(chip.ask(SET_DIRECTION, 0, IN.into()), DONE);
        assert_eq!(chip.driven(), None);
    }

    #[test]
    fn a_reset_of_the_guest_lets_its_outputs_go() {
        let mut chip = Chip::new();
        chip.ask(SET_DIRECTION, 0, OUT.into());
        assert_eq!(chip.driven(), Some(false));
        chip.device.stopped(REQUESTS);
        assert_eq!(chip.driven(), None);
        assert_eq!(chip.ask(GET_DIRECTION, 0, 0), [OK, NONE]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let mut chip = Chip::new();
        for (kind, line, value) in [
            (GET_VALUE, 2, 0),
            (SET_VALUE, 0, 2),
            (SET_VALUE, 0, 256),
            (SET_DIRECTION, 0, 3),
            (SET_DIRECTION, 1, OUT.into()),
            (IRQ_TYPE, 0, 5),
            (7, 0, 0),
            (0, 0, 0),
        ] {
            assert_eq!(chip.ask(kind, line, value), REFUSED, "{kind} {line} {value}");
        }
        chip.ask(SET_DIRECTION, 0, OUT.into());
        assert_eq!(chip.ask(IRQ_TYPE, 0, RISING.into()), REFUSED, "an output");
    }

    #[test]
    fn an_edge_that_was_asked_for_is_an_interrupt_and_one_that_came_early_is_kept() {
        let mut chip = Chip::new();
        assert_eq!(chip.ask(IRQ_TYPE, 1, RISING.into()), DONE);
        let first = chip.wait(1);
        chip.edge(1, false);
        assert_eq!(chip.used, []);
        chip.edge(1, true);
        assert_eq!(chip.used, [Used { queue: EVENTS, head: first, written: 1 }]);
        assert_eq!(chip.events.written(first), [INTERRUPT]);
        chip.used.clear();
        chip.edge(1, true);
        assert_eq!(chip.used, []);
        let second = chip.wait(1);
        assert_eq!(chip.used, [Used { queue: EVENTS, head: second, written: 1 }]);
        assert_eq!(chip.events.written(second), [INTERRUPT]);
    }

    #[test]
    fn a_buffer_comes_back_unused_when_nobody_wants_interrupts() {
        let mut chip = Chip::new();
        let early = chip.wait(1);
        chip.ask(IRQ_TYPE, 1, LOW.into());
        chip.edge(1, true);
        let waiting = chip.wait(1);
        let another = chip.wait(1);
        let nowhere = chip.wait(700);
        chip.ask(IRQ_TYPE, 1, NONE.into());
        for head in [early, another, nowhere, waiting] {
            assert_eq!(chip.events.written(head), [NO_INTERRUPT]);
            assert!(chip.used.iter().any(|used| used.head == head), "{head}");
        }
    }

    #[test]
    fn a_level_is_an_interrupt_for_as_long_as_it_lasts() {
        let mut chip = Chip::new();
        chip.ask(IRQ_TYPE, 1, HIGH.into());
        chip.edge(1, true);
        for _ in 0..2 {
            let head = chip.wait(1);
            assert_eq!(chip.events.written(head), [INTERRUPT]);
        }
        chip.edge(1, false);
        let head = chip.wait(1);
        assert!(!chip.used.iter().any(|used| used.head == head));
    }

    proptest! {
        #[test]
        fn any_descriptors_are_survived(queue in 0..2_usize, parts in prop::collection::vec(
            (0..MEMORY_BYTES as u64 + 64, prop_oneof![0..16_u32, any::<u32>()], 0..4_u16), 1..5,
        )) {
            let mut chip = Chip::new();
            let parts: Vec<Part<'_>> =
                parts.iter().map(|(address, length, flags)| Part::Any(*address, *length, *flags)).collect();
            chip.requests.post(&parts);
            chip.device.take(queue, chip.requests.chains(), &mut chip.used);
            prop_assert_eq!(chip.used.len(), 1);
        }

        #[test]
        fn any_requests_are_survived(requests in prop::collection::vec((0..8_u16, 0..3_u16, any::<u32>()), 1..60)) {
            let mut chip = Chip::new();
            for (kind, line, value) in requests {
                chip.ask(kind, line, value % 16);
            }
        }
    }
}

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

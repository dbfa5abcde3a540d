//! Against a model of the FPGA that is written from its HDL and speaks to the simulator's chips.

mod s9;

use std::{cell::RefCell, collections::VecDeque, io::Read as _, io::Write as _, os::unix::net::UnixStream};

use adit_simulator::{BM1387, Config, Endpoint, Event, Handle, Simulator};
use adit_sys::seqpacket;
use adit_work::frame::{FromHardware, MAX_LEN, ToHardware, Work};
use tokio::sync::mpsc;

use super::*;
use crate::{
    bus::{Claim, standing_in},
    guard::Guard,
    machine::{Links, Machine},
    orders::{Limits, Orders},
    profile::Profile,
    status::Status,
    work_path::WorkPath,
};

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

/// The examples of the design's documentation.
#[test]
fn frames_and_words_are_the_documented_ones() {
    let sent = |frame: &str| {
        let words = words(&hex(frame)).unwrap();
        words.words[..words.count].to_vec()
    };
    assert_eq!(sent("41 05 fc 00 0b"), [0x00fc_0541]);
    assert_eq!(sent("48 09 00 0c 00 68 02 21 02"), [0x0c00_0948, 0x2102_6800]);
    assert_eq!(hex::encode(answer(0xf490_8713, 0x1c00_0000)), "138790f400001c");
    assert_eq!(hex::encode(answer(0x83ea_0372, 0x9800_0300)), "7203ea83000398");
    assert_eq!(answer(0x83ea_0372, 0x9812_8300)[5], 3, "an id that has been made longer");
}

#[test]
fn a_work_is_its_id_three_words_of_the_header_and_midstates() {
    let states: Vec<u8> = (0..128).collect();
    let mut frame = hex("21 96 6c 04 00000000 17023a04 d7685468 01020304");
    frame.extend(&states);
    frame.extend([0xaa, 0xbb]);
    let words = words(&frame).unwrap();
    assert_eq!((words.midstates, words.count), (Some(4), 36));
    assert_eq!(words.words[..5], [0x6c, 0x043a_0217, 0x6854_68d7, 0x0403_0201, 0x0001_0203]);
    assert_eq!(words.words[35], 0x7c7d_7e7f);
}

#[test]
fn what_is_no_frame_of_a_bm1387_is_not_sent() {
    for frame in [
        "",
        "41",
        "21",
        "55 aa 52 05 00 00 0a",
        "41 05 00",
        "41 09 00 00 00",
        "21 36 00 03 00000000 00000000",
    ] {
        assert_eq!(words(&hex(frame)), None, "{frame}");
    }
    let mut late = hex("21 36 00 01 00000001 00000000 00000000 00000000");
    late.extend([0; 34]);
    assert_eq!(words(&late), None, "its start nonce would be lost");
}

/// What hides behind the four windows.
#[derive(Debug)]
struct Core {
    wire: UnixStream,
    control: u32,
    version: u32,
    divisor: u32,
    heard: Vec<u8>,
    commands: Vec<u32>,
    works: Vec<u32>,
    answers: VecDeque<u32>,
    found: VecDeque<u32>,
    last_id: u32,
    dropped: u32,
    sent: [u32; 3],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    Common,
    Commands,
    Found,
    Works,
}

#[derive(Debug)]
struct Side(Window, Rc<RefCell<Core>>);

fn crc5(bytes: &[u8]) -> u8 {
    let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    bits.fold(0x1f, |crc: u8, bit| {
        let top = (crc >> 4 ^ bit) & 1;
        (crc << 1 & 0x1f) ^ (top * 5)
    })
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        (0..8)
            .fold(crc ^ u16::from(*byte) << 8, |crc, _| crc << 1 ^ if crc & 0x8000 != 0 { 0x1021 } else { 0 })
    })
}

impl Core {
    fn enabled(&self) -> bool {
        self.control & ENABLE != 0
    }

    fn command(&mut self, word: u32) {
        self.commands.push(word);
        let length = usize::from(self.commands[0].to_le_bytes()[1]);
        if self.commands.len() * 4 < length - 1 {
            return;
        }
        let mut frame: Vec<u8> = self.commands.drain(..).flat_map(u32::to_le_bytes).collect();
        frame.truncate(length - 1);
        frame.push(crc5(&frame));
        self.wire.write_all(&frame).unwrap();
        self.sent[0] += 1;
    }

    fn work(&mut self, word: u32) {
        self.works.push(word);
        let midstates = 1usize << (self.control >> 1 & 3);
        if self.works.len() < 4 + 8 * midstates {
            return;
        }
        let words: Vec<u32> = self.works.drain(..).collect();
        self.last_id = words[0];
        let mut frame =
            vec![0x21, 22 + 32 * midstates as u8, words[0] as u8 & 0x7f, midstates as u8, 0, 0, 0, 0];
        frame.extend(words[1..4].iter().flat_map(|word| word.to_le_bytes()));
        frame.extend(words[4..].iter().flat_map(|word| word.to_be_bytes()));
        frame.extend(crc16(&frame).to_be_bytes());
        self.wire.write_all(&frame).unwrap();
        self.sent[if midstates == 1 { 1 } else { 2 }] += 1;
    }

    /// What has come over the wire becomes words.
    fn hear(&mut self) {
        let mut bytes = [0; 512];
        while let Ok(count @ 1..) = self.wire.read(&mut bytes) {
            self.heard.extend(&bytes[..count]);
        }
        while self.heard.len() >= 7 {
            let frame: Vec<u8> = self.heard.drain(..7).collect();
            if crc5(&frame) != 0 {
                self.dropped += 1;
                continue;
            }
            let first = u32::from_le_bytes(frame[..4].try_into().unwrap());
            if frame[6] & 0x80 == 0 {
                self.answers.extend([first, u32::from_le_bytes([frame[4], frame[5], 0, frame[6]])]);
            } else {
                let longer = (self.last_id & !0x7f | u32::from(frame[5] & 0x7f)) as u16;
                let [low, high] = longer.to_le_bytes();
                self.found.extend([first, u32::from_le_bytes([frame[4], low, high, frame[6]])]);
            }
        }
    }
}

impl Registers for Side {
    fn read(&self, offset: usize) -> u32 {
        let mut core = self.1.borrow_mut();
        core.hear();
        let core = &mut *core;
        match (self.0, offset) {
            (Window::Common, 0x00) => core.version,
            (Window::Common, 0x08) => core.control,
            (Window::Commands, 0x00) => core.answers.pop_front().unwrap_or(0),
            (Window::Found, 0x00) => core.found.pop_front().unwrap_or(0),
            (Window::Commands, 0x0c) => 4 | u32::from(core.answers.is_empty()),
            (Window::Found, 0x0c) => u32::from(core.found.is_empty()),
            (Window::Works, 0x0c) => 0x14,
            other => panic!("read of {other:x?}"),
        }
    }

    fn write(&self, offset: usize, value: u32) {
        let mut core = self.1.borrow_mut();
        match (self.0, offset) {
            (Window::Common, 0x08) => {
                if value & ENABLE != 0 && !core.enabled() {
                    core.hear();
                    core.answers.clear();
                    core.found.clear();
                }
                core.control = value;
            }
            (Window::Common, 0x10) => core.divisor = value,
            (Window::Common, 0x14) => assert_eq!(value, 1),
            (Window::Commands, 0x04) if core.enabled() => core.command(value),
            (Window::Works, 0x04) if core.enabled() => core.work(value),
            (Window::Commands | Window::Works, 0x08) => {}
            other => panic!("write of {other:x?}"),
        }
    }
}

fn attach(chain: &str, wire: UnixStream, version: u32) -> Rc<RefCell<Core>> {
    wire.set_nonblocking(true).unwrap();
    let core = Core {
        wire,
        control: 0,
        version,
        divisor: 0,
        heard: Vec::new(),
        commands: Vec::new(),
        works: Vec::new(),
        answers: VecDeque::new(),
        found: VecDeque::new(),
        last_id: 0,
        dropped: 0,
        sent: [0; 3],
    };
    let core = Rc::new(RefCell::new(core));
    for (window, name) in [
        (Window::Common, "common"),
        (Window::Commands, "cmd-rx"),
        (Window::Found, "work-rx"),
        (Window::Works, "work-tx"),
    ] {
        standing_in::attach(&format!("{chain}-{name}"), Rc::new(Side(window, Rc::clone(&core))));
    }
    core
}

#[tokio::test]
async fn rates_are_divided_from_the_fpgas_clock_and_another_design_is_refused() {
    let (wire, _far) = UnixStream::pair().unwrap();
    let core = attach("chain6", wire, 0x0090_1003);
    let fpga = Fpga::open("chain6", 115_740).unwrap();
    assert_eq!(core.borrow().divisor, 53);
    fpga.set_baud(1_562_500).unwrap();
    assert_eq!(core.borrow().divisor, 3);
    let error = fpga.set_baud(5_000_000).unwrap_err().to_string();
    assert_eq!(error, "uio/chain6: does 6250000 baud when asked for 5000000");
    drop(fpga);
    assert_eq!(core.borrow().control, 0, "nothing more is sent");
    core.borrow_mut().version = 0x0090_2000;
    let error = Fpga::open("chain6", 115_740).unwrap_err().to_string();
    assert_eq!(error, "uio/chain6: its design is 0x00902000, this driver is for 0x00901000");
}

#[tokio::test]
async fn a_queue_that_is_never_served_is_stuck() {
    #[derive(Debug)]
    struct Full;
    impl Registers for Full {
        fn read(&self, offset: usize) -> u32 {
            if offset == 0 { KNOWN } else { FULL | NOTHING_RECEIVED }
        }
        fn write(&self, _: usize, _: u32) {}
    }
    for name in ["common", "cmd-rx", "work-rx", "work-tx"] {
        standing_in::attach(&format!("stuck-{name}"), Rc::new(Full));
    }
    let fpga = Fpga::open("stuck", 115_740).unwrap();
    let error = fpga.write(&hex("41 05 fc 00 0b")).await.unwrap_err();
    assert!(matches!(error, PortError::Stuck { .. }), "{error}");
}

/// 63 chips on the far side of the model.
fn machine() -> (tempfile::TempDir, Handle, Rc<RefCell<Core>>, Profile) {
    let folder = tempfile::tempdir().unwrap();
    let (chain, board) = (folder.path().join("chain"), folder.path().join("board"));
    let config = Config::bitaxe(Endpoint::Unix(chain.clone()), Endpoint::Pty(board.clone()));
    let handle = Simulator::start(&config.with_chain(&BM1387, 63)).unwrap();
    let core = attach("chain6", UnixStream::connect(chain).unwrap(), KNOWN);
    let text = include_str!("../../../../../overlay/etc/adit/machines/bench-bm1387.toml");
    let text = text.replace("port = \"/tmp/adit/chain\"", "uio = \"chain6\"");
    let text = text.replace("/tmp/adit/board", board.to_str().unwrap());
    (folder, handle, core, Profile::parse(&text).unwrap())
}

#[tokio::test]
async fn a_chain_behind_the_fpga_is_counted_set_up_and_finds_nonces() {
    let (_folder, handle, core, profile) = machine();
    let (path, status, orders) = (WorkPath::new(1), Status::new(&profile), Orders::new(Limits::of(&profile)));
    let guard = Guard::new(&profile, &path, &orders).unwrap();
    let links = Links { path: &path, orders: &orders, status: &status };
    let mut machine = Machine::new(&profile, links, Claim::Alone);
    assert_eq!(machine.refusals(), Vec::<String>::new());
    let (sender, mut holders) = mpsc::channel(1);
    let (ours, miner) = seqpacket::pair().unwrap();
    sender.try_send(ours).unwrap();
    let mine = async {
        let began = Instant::now();
        let (mut nonces, mut sequence) = (0, 0);
        let mut packet = [0; MAX_LEN];
        while nonces < 3 {
            assert!(began.elapsed() < Duration::from_secs(60), "{nonces} nonces; {:?}", handle.state().chain);
            while let Ok(length @ 1..) = seqpacket::receive(&miner, &mut packet) {
                match FromHardware::decode(&packet[..length]).unwrap() {
                    FromHardware::Nonce(nonce) if nonce.generation == 1 => nonces += 1,
                    _ => {}
                }
            }
            if sequence == 0 || began.elapsed().as_millis() as u32 / 500 > sequence {
                sequence += 1;
                seqpacket::send(&miner, ToHardware::Work(work(sequence)).encode().as_bytes()).unwrap();
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = mine => {}
        never = machine.run(&guard) => match never {},
        () = path.serve(&mut holders) => unreachable!("it never ends"),
    }
    let truth = handle.state();
    machine.make_safe().await;
    assert_eq!((truth.chain.addressed, truth.chain.protocol_errors, truth.chain.crc_errors), (63, 0, 0));
    let complaints = handle.events(0).events;
    assert!(!complaints.iter().any(|record| matches!(record.event, Event::ProtocolError { .. })));
    let core = core.borrow();
    let [commands, wakes, works] = core.sent;
    assert!(commands > 63 && wakes >= 114 && works > 0, "{:?}", core.sent);
    assert_eq!((core.divisor, core.dropped), (3, 0));
}

fn work(sequence: u32) -> Work {
    let mut merkle_root = [7; 32];
    merkle_root[..4].copy_from_slice(&sequence.to_le_bytes());
    Work {
        chain: 0,
        generation: 1,
        sequence,
        version: 0x2000_0000,
        version_mask: 0x1fff_e000,
        ntime: 0x6854_68d7,
        nbits: 0x1702_3a04,
        prev_hash: [1; 32],
        merkle_root,
    }
}

//! Several boards in one machine: each with its own controller, fan and rail, so that what happens to one is no other's business.
#![allow(clippy::unwrap_used)]

mod bench;

use std::{
    collections::HashMap,
    os::{fd::OwnedFd, unix::fs::symlink},
    process::Command,
    thread::JoinHandle,
    time::Duration,
};

use adit_bus::hardware::HardwareStatus;
use adit_simulator::{BM1370, Config, Endpoint, Fault, Handle, Simulator};
use bench::{Bench, PATIENCE, QUICK};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Bitaxes in a rack.
struct Rack {
    bench: Bench,
    /// The first is `bench`'s.
    others: Vec<Option<Handle>>,
}

impl Rack {
    fn new(boards: usize) -> Self {
        let bench = bench::machine("bench-bitaxe", &BM1370, 1, &[QUICK]);
        let text = std::fs::read_to_string(&bench.profile_path).unwrap();
        let (head, rest) = text.split_once("[[bus]]").unwrap();
        let (bus, rest) = rest.split_once("[safety]").unwrap();
        let (limits, board) = rest.split_once("[[board]]").unwrap();
        let numbered = |text: &str, index: usize| {
            let name = |port: &str| bench.door(port).display().to_string();
            let text = text.replace("\"control\"", &format!("\"control-{index}\""));
            let text = text.replace("\"bitaxe\"", &format!("\"bitaxe-{index}\""));
            ["board", "chain"].iter().filter(|_| index > 0).fold(text, |text, port| {
                text.replace(&format!("\"{}\"", name(port)), &format!("\"{}-{index}\"", name(port)))
            })
        };
        let buses: String = (0..boards).map(|index| format!("[[bus]]{}", numbered(bus, index))).collect();
        let all: String = (0..boards).map(|index| format!("[[board]]{}", numbered(board, index))).collect();
        std::fs::write(&bench.profile_path, format!("{head}{buses}[safety]{limits}{all}")).unwrap();
        let mut rack = Self { bench, others: (1..boards).map(|_| None).collect() };
        (1..boards).for_each(|index| rack.plug(index));
        rack
    }

    fn plug(&mut self, index: usize) {
        let port = |name: &str| Endpoint::Pty(self.bench.door(&format!("{name}-{index}")));
        let handle = Simulator::start(&Config::bitaxe(port("chain"), port("board"))).unwrap();
        self.others[index - 1] = Some(handle);
    }

    fn unplug(&mut self, index: usize) {
        self.others[index - 1] = None;
    }

    fn board(&self, index: usize) -> &Handle {
        match index {
            0 => &self.bench.simulator,
            index => self.others[index - 1].as_ref().unwrap(),
        }
    }

    fn is_safe(&self, index: usize) -> bool {
        let truth = self.board(index).state();
        !truth.rail.on && truth.reset && truth.fan.percent == 100
    }

    async fn until(&self, what: &str, wanted: impl Fn() -> bool) {
        let began = std::time::Instant::now();
        while !wanted() {
            assert!(began.elapsed() < PATIENCE, "{what}: {:#?}", self.bench.status().await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// All chips run at the profile's frequency.
    async fn hashing(&self, boards: &[usize]) {
        let runs = |index: usize| {
            let truth = self.board(index).state();
            truth.rail.on && truth.chain.mhz == 525.0
        };
        self.until("hashing", || boards.iter().all(|index| runs(*index))).await;
    }
}

#[tokio::test]
async fn a_fault_of_one_board_leaves_the_others_hashing() {
    let rack = Rack::new(3);
    let _driver = rack.bench.drive().await;
    rack.hashing(&[0, 1, 2]).await;
    rack.bench.until_status("hashing", |status| status.stage == "hashing" && status.fault.is_empty()).await;
    rack.board(1).fault(Fault::FanStopped(true));
    rack.until("board 1 off", || rack.is_safe(1)).await;
    let status = rack.bench.until_status("fault", |status| !status.fault.is_empty()).await;
    assert!(
        status.fault.starts_with("bitaxe-1: fan: fan stopped") && status.stage == "hashing",
        "{status:#?}"
    );
    // For several of its retries.
    for _ in 0..100 {
        for index in [0, 2] {
            let truth = rack.board(index).state();
            assert!(truth.rail.on && !truth.reset && truth.chain.mhz == 525.0, "{index}: {truth:#?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rack.board(1).fault(Fault::FanStopped(false));
    rack.hashing(&[0, 1, 2]).await;
    rack.bench.until_status("no fault", |status| status.fault.is_empty()).await;
}

#[tokio::test]
async fn a_board_that_comes_later_is_found_and_one_that_goes_is_dropped_without_a_restart() {
    let mut rack = Rack::new(2);
    rack.unplug(1);
    let _driver = rack.bench.drive().await;
    rack.hashing(&[0]).await;
    let absent = |status: &HardwareStatus| status.stage == "hashing" && !status.fault.is_empty();
    let status = rack.bench.until_status("absent", absent).await;
    assert!(
        status.fault.starts_with("bitaxe-1: ") && status.fault.contains("No such file"),
        "{}",
        status.fault
    );
    rack.plug(1);
    rack.hashing(&[0, 1]).await;
    rack.bench.until_status("both", |status| status.fault.is_empty()).await;
    rack.unplug(1);
    rack.bench.until_status("gone", |status| status.fault.starts_with("bitaxe-1: ")).await;
    assert!(rack.board(0).state().rail.on);
    rack.plug(1);
    rack.hashing(&[0, 1]).await;
}

#[tokio::test]
async fn the_end_of_the_driver_and_the_one_shot_make_every_board_safe() {
    let mut rack = Rack::new(3);
    let driver = rack.bench.drive().await;
    rack.hashing(&[0, 1, 2]).await;
    driver.stop().unwrap();
    assert!((0..3).all(|index| rack.is_safe(index)));

    let one_shot = |rack: &Rack| {
        let output = Command::new(env!("CARGO_BIN_EXE_adit-hardware"))
            .args(["--safe-state", "--machine"])
            .arg(&rack.bench.profile_path)
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(one_shot(&rack).0, 0);
    rack.board(2).fault(Fault::BoardSilent(true));
    rack.unplug(1);
    let (code, text) = one_shot(&rack);
    assert_eq!(code, 8 + 1 + 2 + 4, "one is silent: {text}");
    rack.board(2).fault(Fault::BoardSilent(false));
    let (code, text) = one_shot(&rack);
    assert_eq!(code, 0, "one is not plugged in: {text}");
}

/// Something else at the end of a board's control port. Ends when nobody has that open any more.
fn pretend(link: &std::path::Path, does: impl FnOnce(&OwnedFd) + Send + 'static) -> JoinHandle<()> {
    let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&far).unwrap();
    unlockpt(&far).unwrap();
    let near = ptsname(&far, Vec::new()).unwrap().into_string().unwrap();
    let kept = rustix::fs::open(
        near.as_str(),
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY,
        rustix::fs::Mode::empty(),
    );
    symlink(near, link).unwrap();
    std::thread::spawn(move || {
        // Until the driver opens it, somebody must.
        let _kept = kept.unwrap();
        does(&far);
    })
}

/// A firmware that answers all requests well, and remembers what parts were told; but no part is what it should be.
fn answers_for_strangers(far: &OwnedFd) {
    let (mut parts, mut pins) = (HashMap::<(u8, u8), u8>::new(), HashMap::new());
    let (mut stream, mut bytes) = (Vec::new(), [0; 256]);
    while let Ok(count @ 1..) = rustix::io::read(far, &mut bytes) {
        stream.extend_from_slice(&bytes[..count]);
        while let [low, high, ..] = stream[..]
            && let length = usize::from(u16::from_le_bytes([low, high]))
            && (6..=stream.len()).contains(&length)
        {
            let request: Vec<u8> = stream.drain(..length).collect();
            let answer = match request[4..] {
                [6, pin, level] => vec![*pins.entry(pin).insert_entry(level).get()],
                [6, pin] => vec![pins.get(&pin).copied().unwrap_or(0)],
                [5, 0x20, part, register, ref data @ ..] => {
                    let told = data.iter().zip(register..).map(|(byte, at)| ((part, at), *byte));
                    parts.extend(told);
                    Vec::new()
                }
                [5, 0x40, part, register, wanted] => {
                    let says = |at| parts.get(&(part, at)).copied().unwrap_or(0);
                    (0..wanted).map(|at| says(register.wrapping_add(at))).collect()
                }
                _ => vec![0xff, 0x11],
            };
            let head = [answer.len() as u8, 0, request[2]];
            if rustix::io::write(far, &[&head[..], &answer].concat()).is_err() {
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_usb_device_that_lies_is_told_by_what_it_says_and_the_other_boards_hash() {
    let mut rack = Rack::new(4);
    for liar in [2, 3] {
        rack.unplug(liar);
    }
    // Detached: both end with the pseudo-terminals.
    let noise = |far: &OwnedFd| {
        let ears = far.try_clone().unwrap();
        std::thread::spawn(move || while let Ok(1..) = rustix::io::read(&ears, &mut [0; 64]) {});
        while rustix::io::write(far, &[0xff; 64]).is_ok() {}
    };
    pretend(&rack.bench.door("board-2"), noise);
    pretend(&rack.bench.door("board-3"), answers_for_strangers);
    let _driver = rack.bench.drive().await;
    rack.hashing(&[0, 1]).await;
    let both = |status: &HardwareStatus| status.boards[2..].iter().all(|board| board.state == "fault");
    let status = rack.bench.until_status("liars", both).await;
    assert_eq!(
        status.boards[2].reason,
        "bitaxe-2: safe state not reached: rail: board controller silent: no answer to 3 requests"
    );
    assert_eq!(
        status.boards[3].reason,
        "bitaxe-3: device at 0x4c is a device of maker 0x00, product 0x00, not a EMC2101"
    );
    assert_eq!((status.stage.as_str(), &status.fault), ("hashing", &status.boards[2].reason));
    // For several of their retries.
    for _ in 0..100 {
        for index in [0, 1] {
            let truth = rack.board(index).state();
            assert!(truth.rail.on && !truth.reset && truth.chain.mhz == 525.0, "{index}: {truth:#?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

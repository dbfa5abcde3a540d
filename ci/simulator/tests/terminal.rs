//! The chips' line as a pseudo-terminal: bytes take their time, and a wrong rate garbles them.
#![allow(clippy::unwrap_used)]

mod support;

use adit_simulator::{Config, Endpoint, Event, Handle, Simulator, State};
use rustix::fs::{Mode, OFlags};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use support::{BAUD_3M, READ_ID, REAL_JOB, VERSION_ROLLING, bytes, connect};

struct Bench {
    handle: Handle,
    _folder: tempfile::TempDir,
    tty: File,
    _board: UnixStream,
}

impl Bench {
    /// A driver that opened the line at 115 740 baud, on a machine with power.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("ttyCHAIN");
        let config = Config { chain: Endpoint::Pty(link.clone()), ..support::config(folder.path()) };
        let handle = Simulator::start(&config).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK;
        let tty = File::from(rustix::fs::open(&link, flags, Mode::empty()).unwrap());
        let mut board = connect(&folder.path().join("board"));
        for request in ["0A 00 01 00 05 20 24 21 4D 02", "09 00 02 00 05 20 24 01 80", "07 00 03 00 06 00 01"]
        {
            board.write_all(&bytes(request)).unwrap();
        }
        until(&handle, "power", |state| state.rail.on && !state.reset);
        let bench = Self { handle, _folder: folder, tty, _board: board };
        bench.set_rates(115_740, 115_740);
        bench
    }

    fn set_rates(&self, output: u32, input: u32) {
        let mut settings = tcgetattr(&self.tty).unwrap();
        settings.make_raw();
        settings.set_output_speed(output).unwrap();
        settings.set_input_speed(input).unwrap();
        tcsetattr(&self.tty, OptionalActions::Now, &settings).unwrap();
    }

    fn send(&mut self, hex: &str) {
        self.tty.write_all(&bytes(hex)).unwrap();
    }

    /// What comes until so many bytes have come, however slow this computer is now, and for a tenth of a second behind them; and
    /// when the last of it came.
    fn ask(&mut self, hex: &str, least: usize) -> (Vec<u8>, Duration) {
        let start = Instant::now();
        self.send(hex);
        let (mut heard, mut last) = (Vec::new(), Duration::ZERO);
        let mut enough = None;
        while enough.is_none_or(|since: Instant| since.elapsed() < Duration::from_millis(100)) {
            assert!(start.elapsed() < Duration::from_secs(60), "only {heard:02x?}");
            if heard.len() >= least {
                enough.get_or_insert_with(Instant::now);
            }
            let mut chunk = [0; 256];
            match self.tty.read(&mut chunk) {
                Ok(count) if count > 0 => {
                    heard.extend_from_slice(&chunk[..count]);
                    last = start.elapsed();
                }
                _ => std::thread::sleep(Duration::from_micros(100)),
            }
        }
        (heard, last)
    }

    /// Jobs that have come: when their first byte began and their last one ended.
    fn jobs(&self, count: usize) -> Vec<(u64, u64)> {
        until(&self.handle, "all jobs", |state| state.chain.jobs >= count as u64);
        let events = self.handle.events(0).events;
        let jobs = events.iter().filter_map(|record| match record.event {
            Event::Job { first_byte_us, last_byte_us, .. } => {
                assert!(record.us >= last_byte_us - 1, "recorded before its last byte was there");
                Some((first_byte_us, last_byte_us))
            }
            _ => None,
        });
        jobs.collect()
    }

    /// Chip and driver both at 3.125 Mbaud.
    fn at_3_megabaud() -> Self {
        let mut bench = Self::new();
        bench.send(BAUD_3M);
        until(&bench.handle, "3.125 Mbaud", |state| state.chain.baud == 3_125_000);
        bench.set_rates(3_125_000, 3_125_000);
        bench
    }
}

fn until(handle: &Handle, what: &str, wanted: impl Fn(&State) -> bool) {
    let start = Instant::now();
    while !wanted(&handle.state()) {
        assert!(start.elapsed() < Duration::from_secs(60), "never: {what}; {:?}", handle.state());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn bytes_take_their_time_in_both_directions() {
    let mut bench = Bench::new();
    // Another program may hold up any answer, but not every one.
    let quick = (0..20).any(|_| {
        let (heard, last) = bench.ask(READ_ID, 9);
        assert_eq!(heard.len(), 9);
        // Seven bytes there and nine back, ten bits each: 1.38 ms.
        assert!(last >= Duration::from_micros(1380), "{last:?}");
        last < Duration::from_millis(100)
    });
    assert!(quick, "no answer within 100 ms");
}

#[test]
fn a_job_at_3125000_baud_is_on_the_wire_for_281_microseconds() {
    let mut bench = Bench::at_3_megabaud();
    for count in 1..=5 {
        bench.send(REAL_JOB);
        bench.jobs(count);
    }
    let jobs: Vec<u64> = bench.jobs(5).into_iter().map(|(first, last)| last - first).collect();
    assert_eq!(jobs.len(), 5);
    assert!(jobs.iter().all(|us| (281..=283).contains(us)), "{jobs:?}");
}

#[test]
fn back_to_back_jobs_queue_on_the_wire() {
    let mut bench = Bench::at_3_megabaud();
    let before = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let before_us = before.tv_sec as u64 * 1_000_000 + before.tv_nsec as u64 / 1000;
    bench.send(&REAL_JOB.repeat(10));
    let ends: Vec<u64> = bench.jobs(10).into_iter().map(|(_, last)| last).collect();
    assert_eq!(ends.len(), 10);
    assert!(ends[0] >= before_us + 281);
    assert!(ends.windows(2).all(|pair| pair[1] - pair[0] >= 280), "{ends:?}");
}

#[test]
fn a_driver_at_the_wrong_rate_is_not_understood() {
    let mut bench = Bench::at_3_megabaud();
    bench.set_rates(115_200, 115_200);
    bench.send(REAL_JOB);
    assert!(bench.ask(READ_ID, 0).0.is_empty());
    until(&bench.handle, "all bytes", |state| state.chain.garbled_bytes >= 95);
    assert!(bench.ask("", 0).0.is_empty());
    let chain = bench.handle.state().chain;
    assert_eq!((chain.jobs, chain.garbled_bytes), (0, 95));
    assert!(chain.protocol_errors > 0);
}

#[test]
fn a_driver_that_listens_at_the_wrong_rate_hears_garbage() {
    let mut bench = Bench::at_3_megabaud();
    bench.send(VERSION_ROLLING);
    assert_eq!(bench.ask(READ_ID, 11).0, bytes("AA55 13700000 00 00 0000 10"));
    bench.set_rates(3_125_000, 115_200);
    let heard = bench.ask(READ_ID, 11).0;
    assert_eq!(heard.len(), 11);
    assert_ne!(heard, bytes("AA55 13700000 00 00 0000 10"));
}

#[test]
fn the_bitaxe_pair_of_1000000_and_1041667_baud_works() {
    let mut bench = Bench::new();
    bench.send("55AA510900281130020003");
    until(&bench.handle, "another rate", |state| state.chain.baud > 1_000_000);
    bench.set_rates(1_000_000, 1_000_000);
    assert_eq!(bench.ask(READ_ID, 9).0.len(), 9);
    assert_eq!(bench.handle.state().chain.garbled_bytes, 0);
}

#[test]
fn a_driver_may_close_the_line_and_open_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("ttyCHAIN");
    let config = Config { chain: Endpoint::Pty(link.clone()), ..support::config(folder.path()) };
    let handle = Simulator::start(&config).unwrap();
    for _ in 0..3 {
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let mut tty = File::from(rustix::fs::open(&link, flags, Mode::empty()).unwrap());
        tty.write_all(&bytes(READ_ID)).unwrap();
    }
    assert!(handle.is_running());
    handle.stop();
    assert!(link.symlink_metadata().is_err(), "the link is gone");
}

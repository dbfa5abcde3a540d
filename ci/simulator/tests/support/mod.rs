//! A host, written for these tests alone: it knows frames as hex, nothing of the crate's own code.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test program uses a part

pub mod whole;

use adit_simulator::{Config, Endpoint, Event, Handle, Record, Simulator, State};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

pub fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace([' ', '\n'], "")).unwrap()
}

pub const READ_ID: &str = "55AA520500000A";
pub const VERSION_ROLLING: &str = "55AA510900A49000FFFF1C";
pub const BAUD_3M: &str = "55AA51090028113000001E";
/// After it the chip hashes as soon as it has a job; ticket mask: none beyond the base.
pub const BRING_UP: &str = "
    55AA510900A49000FFFF1C 55AA510900A80007000003 55AA51090018F000C10004 55AA5305000003 55AA400500001C
    55AA5109003C80008B0012 55AA5109003C8000800C11 55AA5109001400000000 1C 55AA51090058000111110D
    55AA410900A8000701F015 55AA41090018F000C1000C 55AA4109003C80008B001A 55AA4109003C8000800C19
    55AA4109003C800082AA05 55AA5109003C80008DEE1B 55AA51090008 50D20240 05 55AA51090010 00001EB5 0F";
pub const REAL_JOB: &str = "55 AA 21 56 68 01 00000000 043A0217 D7685468
    5519A7CB 044F8872 6355919E 61A98BCF 71A0C287 95EA54DB 8C36414B 06DDF5F0
    00000000 00000000 96520100 1D3996BC A3F4670D FCD4F201 C162B96D FD55646B 00000020 721C";
pub const REAL_JOB_HEADER: &str = "00000020 fd55646bc162b96dfcd4f201a3f4670d1d3996bc965201000000000000000000
    06ddf5f08c36414b95ea54db71a0c28761a98bcf6355919e044f88725519a7cb d7685468 043a0217";

/// A simulation behind two Unix sockets, and a host on both.
pub struct Bench {
    pub handle: Handle,
    pub folder: tempfile::TempDir,
    pub chain: UnixStream,
    pub board: UnixStream,
}

pub fn config(folder: &Path) -> Config {
    let endpoint = |name: &str| Endpoint::Unix(folder.join(name));
    Config { control: Some(folder.join("control")), ..Config::bitaxe(endpoint("chain"), endpoint("board")) }
}

impl Bench {
    pub fn new(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        change(&mut config);
        let handle = Simulator::start(&config).unwrap();
        let chain = connect(&folder.path().join("chain"));
        let board = connect(&folder.path().join("board"));
        Self { handle, folder, chain, board }
    }

    /// With rail up and reset released.
    pub fn powered(change: impl FnOnce(&mut Config)) -> Self {
        let mut bench = Self::new(change);
        bench.power_up();
        bench
    }

    pub fn power_up(&mut self) {
        assert_eq!(self.ask_board("0A 00 01 00 05 20 24 21 4D 02"), bytes("00 00 01"), "1.15 V");
        assert_eq!(self.ask_board("09 00 02 00 05 20 24 01 80").len(), 3);
        self.until("rail on", |state| state.rail.millivolts > 1100);
        assert_eq!(self.ask_board("07 00 03 00 06 00 01"), bytes("01 00 03 01"), "reset released");
    }

    /// One request, one answer.
    pub fn ask_board(&mut self, request: &str) -> Vec<u8> {
        // A length that does not fit the bytes would be a mistake in the test.
        let mut request = bytes(request);
        let length = request.len() as u16;
        request[..2].copy_from_slice(&length.to_le_bytes());
        self.board.write_all(&request).unwrap();
        let mut answer = vec![0; 3];
        self.board.read_exact(&mut answer).unwrap();
        let data = u16::from_le_bytes([answer[0], answer[1]]);
        let mut rest = vec![0; data.into()];
        self.board.read_exact(&mut rest).unwrap();
        answer.extend(rest);
        answer
    }

    pub fn send(&mut self, hex: &str) {
        self.chain.write_all(&bytes(hex)).unwrap();
    }

    /// Everything that comes up the line until nothing has come for this long, or a second is over.
    pub fn listen(&mut self, silence: Duration) -> Vec<u8> {
        listen(&mut self.chain, silence)
    }

    pub fn until(&self, what: &str, true_of: impl Fn(&State) -> bool) -> State {
        let start = Instant::now();
        loop {
            let state = self.handle.state();
            if true_of(&state) {
                return state;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "never: {what}; {state:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn all_events(&self) -> Vec<Record> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let events = self.handle.events(after).events;
            let Some(last) = events.last() else { return all };
            after = last.seq;
            all.extend(events);
        }
    }

    pub fn happened(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.all_events().iter().any(|record| wanted(&record.event))
    }
}

pub fn listen(stream: &mut UnixStream, silence: Duration) -> Vec<u8> {
    stream.set_read_timeout(Some(silence)).unwrap();
    let mut heard = Vec::new();
    let mut chunk = [0; 4096];
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => heard.extend_from_slice(&chunk[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("{error}"),
        }
    }
    heard
}

pub fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

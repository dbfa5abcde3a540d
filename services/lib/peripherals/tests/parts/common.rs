//! Transcripts of a bus as text, a delay that only counts, and a bus that answers whatever it was told to.

use std::fmt::Debug;

use adit_peripherals::tps546::Settings;
use embedded_hal_async::{
    delay::DelayNs,
    i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation},
};
use embedded_hal_mock::eh1::i2c::{Mock, Transaction};

pub(crate) const NAK: ErrorKind = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);

/// What a Bitaxe Gamma's regulator is told.
pub(crate) const BITAXE_GAMMA: Settings = Settings {
    volts: 1.15,
    min_volts: 1.0,
    max_volts: 1.25,
    over_current_amperes: 30.0,
    over_temperature_celsius: 105.0,
    feedback_scale: 0.25,
    switching_khz: 650,
    input_on_volts: 4.8,
    input_off_volts: 4.5,
    input_max_volts: 6.5,
};

/// A bus that expects these transfers with one device, one a line: `> fe` writes, `< 5d` reads, `> fe < 5d` does both in one, `nak` at the end is an error. Call `done` on it at the end.
pub(crate) fn transcript(address: u8, lines: &str) -> Mock {
    Mock::new(&lines.trim().lines().map(|line| transfer(address, line)).collect::<Vec<_>>())
}

fn transfer(address: u8, line: &str) -> Transaction {
    let (line, refused) = match line.trim().strip_suffix("nak") {
        Some(line) => (line, true),
        None => (line, false),
    };
    let bytes = |text: &str| hex::decode(text.replace(char::is_whitespace, "")).expect("hex digits");
    let (written, read) = match line.split_once('<') {
        Some((written, read)) => (written.trim(), Some(bytes(read))),
        None => (line.trim(), None),
    };
    let written = written.strip_prefix('>').map(bytes);
    let transfer = match (written, read) {
        (Some(written), None) => Transaction::write(address, written),
        (None, Some(read)) => Transaction::read(address, read),
        (Some(written), Some(read)) => Transaction::write_read(address, written, read),
        (None, None) => panic!("neither > nor < in {line:?}"),
    };
    if refused { transfer.with_error(NAK) } else { transfer }
}

/// `> 11 xx` for each byte of a frame that a power supply is sent, `< xx` for each that it answers.
pub(crate) fn bytewise(before: &str, sent: &str, answered: &str) -> String {
    let lines = |head: &str, text: &str| {
        let bytes = hex::decode(text.replace(char::is_whitespace, "")).expect("hex digits");
        bytes.iter().map(|byte| format!("{head} {byte:02x}\n")).collect::<String>()
    };
    lines(&format!("> {before}"), sent) + &lines("<", answered)
}

/// Counts what it was asked to wait.
#[derive(Debug, Default)]
pub(crate) struct Waited {
    pub(crate) ms: u64,
    ns: u64,
}

impl DelayNs for Waited {
    async fn delay_ns(&mut self, ns: u32) {
        self.ns += u64::from(ns);
        self.ms = self.ns / 1_000_000;
    }
}

/// Answers reads with these bytes, over and over, and acknowledges writes; or nothing at all.
#[derive(Debug)]
pub(crate) struct Replies {
    pub(crate) bytes: Vec<u8>,
    pub(crate) at: usize,
    /// Transfers that are not acknowledged, counted from 0, over and over.
    pub(crate) refused: Vec<bool>,
    pub(crate) transfers: usize,
    /// What was written, transfer by transfer, and whether it was acknowledged.
    pub(crate) written: Vec<(Vec<u8>, bool)>,
}

impl Replies {
    pub(crate) fn always(byte: u8) -> Self {
        Self::of(vec![byte], Vec::new())
    }

    pub(crate) fn none() -> Self {
        Self::of(vec![0], vec![true])
    }

    pub(crate) fn of(bytes: Vec<u8>, refused: Vec<bool>) -> Self {
        Self { bytes, at: 0, refused, transfers: 0, written: Vec::new() }
    }
}

impl ErrorType for Replies {
    type Error = ErrorKind;
}

impl I2c for Replies {
    async fn transaction(&mut self, _: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        let transfer = self.transfers;
        self.transfers += 1;
        assert!(transfer < 10_000, "no end");
        let refused = !self.refused.is_empty() && self.refused[transfer % self.refused.len()];
        let writes = operations.iter().filter_map(|operation| match operation {
            Operation::Write(bytes) => Some((bytes.to_vec(), !refused)),
            Operation::Read(_) => None,
        });
        self.written.extend(writes);
        if refused {
            return Err(NAK);
        }
        for operation in operations {
            if let Operation::Read(bytes) = operation {
                for byte in bytes.iter_mut() {
                    *byte = self.bytes[self.at % self.bytes.len()];
                    self.at += 1;
                }
            }
        }
        Ok(())
    }
}

/// The message of an error.
pub(crate) fn told<T: Debug, E: std::fmt::Display>(result: Result<T, E>) -> String {
    match result {
        Ok(value) => panic!("no error but {value:?}"),
        Err(error) => error.to_string(),
    }
}

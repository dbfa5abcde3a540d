//! A UART in the FPGA of an S9's control board: axi_bm13xx of Braiins' open design, by its README and HDL.
//!
//! The FPGA makes frames of words and words of frames, adds checksums of its own on the way out, and drops answers with a wrong one. To the chain it looks like a port: whole frames go in, and come out as they were on the
//! wire. Its queues are looked into every millisecond; interrupts are not used. It sends a work as soon as all of it is there, for the time between works is the chain's.

#[cfg(test)]
mod tests;

use std::{
    cell::Cell,
    io,
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    bus::{Registers, open_registers, open_registers_alone},
    port::PortError,
};

/// Common window.
const VERSION: usize = 0x00;
const CONTROL: usize = 0x08;
const BAUD: usize = 0x10;
const WORK_TIME: usize = 0x14;
/// Each of the other windows.
const RECEIVED: usize = 0x00;
const SEND: usize = 0x04;
const QUEUES: usize = 0x08;
const STATUS: usize = 0x0c;

/// An Antminer's, model 9, 1.0.
const KNOWN: u32 = 0x0090_1000;
/// Its patch level, and reserved bits.
const ANY: u32 = 0x000f_00ff;
const ENABLE: u32 = 1 << 3;
/// Logarithm of the number of midstates in a work.
const MIDSTATES: u32 = 1;
const RESET_RECEIVED: u32 = 1 << 0;
const RESET_SEND: u32 = 1 << 1;
const NOTHING_RECEIVED: u32 = 1 << 0;
const NOTHING_TO_SEND: u32 = 1 << 2;
const FULL: u32 = 1 << 3;

const CLOCK_HZ: u32 = 50_000_000;
const CLOCKS_PER_BIT: u32 = 8;
const MOST_DIVISOR: u32 = 4095;
/// As for serial ports.
const RATE_TOLERANCE_PERCENT: u32 = 2;

const JOB: u8 = 0x21;
/// A job of four midstates is the longest frame.
const LONGEST_BITS: u64 = 152 * 10;
/// Its words: id, bits, time, tail and four times eight.
const MOST_WORDS: usize = 36;
/// An answer of a BM1387.
const ANSWER: usize = 7;
/// No queue holds more.
const MOST_ANSWERS: usize = 512;

const LOOK: Duration = Duration::from_millis(1);
/// A queue that is not served for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Fpga {
    name: String,
    common: Rc<dyn Registers>,
    commands: Rc<dyn Registers>,
    found: Rc<dyn Registers>,
    works: Rc<dyn Registers>,
    baud: Cell<u32>,
    /// Of the works that are on their way.
    midstates: Cell<u8>,
}

/// A frame as the FPGA wants to have it: without its checksum.
#[derive(Debug, PartialEq, Eq)]
struct Words {
    midstates: Option<u8>,
    words: [u32; MOST_WORDS],
    count: usize,
}

impl Fpga {
    /// Starts the core anew: what was in its queues is gone.
    pub(crate) fn open(name: &str, baud: u32) -> Result<Self, PortError> {
        let path = || PathBuf::from("uio").join(name);
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::WouldBlock => PortError::Held { path: path() },
            _ => PortError::Open { path: path(), error },
        };
        let window = |window: &str| open_registers(&format!("{name}-{window}")).map_err(failed);
        let fpga = Self {
            common: open_registers_alone(&format!("{name}-common")).map_err(failed)?,
            commands: window("cmd-rx")?,
            found: window("work-rx")?,
            works: window("work-tx")?,
            name: name.into(),
            baud: Cell::new(baud),
            midstates: Cell::new(1),
        };
        let version = fpga.common.read(VERSION);
        if version & !ANY != KNOWN {
            let what = format!("its design is {version:#010x}, this driver is for {KNOWN:#010x}");
            return Err(failed(io::Error::other(what)));
        }
        fpga.common.write(CONTROL, 0);
        fpga.common.write(WORK_TIME, 1);
        fpga.set_baud(baud)?;
        fpga.common.write(CONTROL, ENABLE);
        Ok(fpga)
    }

    pub(crate) fn set_baud(&self, baud: u32) -> Result<(), PortError> {
        let clock = CLOCK_HZ / CLOCKS_PER_BIT;
        let divisor = ((clock + baud / 2) / baud.max(1)).clamp(1, MOST_DIVISOR + 1);
        let real = clock / divisor;
        if real.abs_diff(baud) > baud / 100 * RATE_TOLERANCE_PERCENT {
            return Err(PortError::Rate { path: self.path(), wanted: baud, real });
        }
        self.common.write(BAUD, divisor - 1);
        self.baud.set(baud);
        Ok(())
    }

    /// A whole frame.
    pub(crate) async fn write(&self, frame: &[u8]) -> Result<(), PortError> {
        let Some(words) = words(frame) else {
            return Err(self.failed("a frame that the FPGA cannot send"));
        };
        let window = match words.midstates {
            Some(midstates) => {
                if midstates != self.midstates.get() {
                    // The core reads it while it sends.
                    self.until(|| self.works.read(STATUS) & NOTHING_TO_SEND != 0).await?;
                    sleep(self.longest()).await;
                    self.common.write(CONTROL, ENABLE | (midstates.ilog2() << MIDSTATES));
                    self.midstates.set(midstates);
                }
                &self.works
            }
            None => &self.commands,
        };
        for word in &words.words[..words.count] {
            self.until(|| window.read(STATUS) & FULL == 0).await?;
            window.write(SEND, *word);
        }
        Ok(())
    }

    /// Answers, each whole.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> Result<usize, PortError> {
        loop {
            let mut held = 0;
            for space in buffer.chunks_exact_mut(ANSWER) {
                let Some(answer) = self.take()? else { break };
                space.copy_from_slice(&answer);
                held += ANSWER;
            }
            if held > 0 {
                return Ok(held);
            }
            sleep(LOOK).await;
        }
    }

    pub(crate) async fn drained(&self) {
        let empty =
            || [&self.commands, &self.works].iter().all(|window| window.read(STATUS) & NOTHING_TO_SEND != 0);
        // One that is stuck shows at the next write.
        let _ = self.until(empty).await;
        sleep(self.longest()).await;
    }

    pub(crate) fn discard_input(&self) -> Result<(), PortError> {
        for _ in 0..2 * MOST_ANSWERS {
            if self.take()?.is_none() {
                return Ok(());
            }
        }
        Err(self.failed("answers that do not end"))
    }

    /// The next answer of either kind, as it was on the wire.
    fn take(&self) -> Result<Option<[u8; ANSWER]>, PortError> {
        for window in [&self.commands, &self.found] {
            if window.read(STATUS) & NOTHING_RECEIVED != 0 {
                continue;
            }
            let first = window.read(RECEIVED);
            // Its second word comes with the next clock.
            if window.read(STATUS) & NOTHING_RECEIVED != 0 && window.read(STATUS) & NOTHING_RECEIVED != 0 {
                return Err(self.failed("half an answer"));
            }
            return Ok(Some(answer(first, window.read(RECEIVED))));
        }
        Ok(None)
    }

    async fn until(&self, is_so: impl Fn() -> bool) -> Result<(), PortError> {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            if Instant::now() > deadline {
                return Err(PortError::Stuck { path: self.path() });
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// What the longest frame takes on the line.
    fn longest(&self) -> Duration {
        Duration::from_micros(LONGEST_BITS * 1_000_000 / u64::from(self.baud.get().max(1)))
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("uio").join(&self.name)
    }

    fn failed(&self, what: &str) -> PortError {
        PortError::Io { path: self.path(), error: io::Error::new(io::ErrorKind::InvalidData, what) }
    }
}

impl Drop for Fpga {
    /// Nothing more is sent.
    fn drop(&mut self) {
        for window in [&self.commands, &self.works] {
            window.write(QUEUES, RESET_SEND | RESET_RECEIVED);
        }
        self.common.write(CONTROL, 0);
    }
}

/// `None` for what is no frame of a BM1387.
fn words(frame: &[u8]) -> Option<Words> {
    let mut all = Words { midstates: None, words: [0; MOST_WORDS], count: 0 };
    let mut put = |word| {
        *all.words.get_mut(all.count)? = word;
        all.count += 1;
        Some(())
    };
    if frame.first() == Some(&JOB) {
        // 21 LEN | id | n | start nonce | bits | time | tail | midstates | CRC16. The start nonce is 0 there, too.
        let [_, _, id, midstates, 0, 0, 0, 0, rest @ .., _, _] = frame else { return None };
        let (head, states) = rest.split_at_checked(12)?;
        if !matches!(midstates, 1 | 2 | 4) || states.len() != 32 * usize::from(*midstates) {
            return None;
        }
        put(u32::from(*id))?;
        head.chunks_exact(4).try_for_each(|bytes| put(u32::from_le_bytes(bytes.try_into().ok()?)))?;
        states.chunks_exact(4).try_for_each(|bytes| put(u32::from_be_bytes(bytes.try_into().ok()?)))?;
        all.midstates = Some(*midstates);
        return Some(all);
    }
    let (_, command) = frame.split_last()?;
    if !matches!(command.len(), 4 | 8) || usize::from(command[1]) != frame.len() {
        return None;
    }
    command.chunks_exact(4).try_for_each(|bytes| put(u32::from_le_bytes(bytes.try_into().ok()?)))?;
    Some(all)
}

/// Bytes 0 to 5 and the last. In an answer to a work, byte 5 has been made a longer id, whose lowest seven bits it is.
fn answer(first: u32, second: u32) -> [u8; ANSWER] {
    let ([a, b, c, d], [e, f, _, last]) = (first.to_le_bytes(), second.to_le_bytes());
    // The last byte's highest bit tells an answer to a work.
    let f = if last & 0x80 != 0 { f & 0x7f } else { f };
    [a, b, c, d, e, f, last]
}

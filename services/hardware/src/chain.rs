//! One chain of chips: brought up, then hashing until something is wrong with it.
//!
//! In: works from the work path, the clock that is asked for. Out: job frames on the wire, nonces on the work path, counters in the status. Knows nothing of power: it starts when its chips have voltage and are out of reset, and whoever
//! drops it takes care of them.

mod bring_up;
mod clock;
mod hashing;
mod jobs;
mod roll_call;
mod rolling;
mod telemetry;

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use adit_asic::{Chip, KiloHertz, OutOfRange, Parser, Response, register};
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::{
    bus::Mailbox,
    line::{At, Line},
    notify,
    orders::Orders,
    port::PortError,
    profile::ChainProfile,
    status::{Stage, Status},
    work_path::WorkPath,
};

/// Bytes of one response are never so far apart, not even behind a USB adapter.
const LINE_SILENCE_US: u64 = 50_000;

/// For what stands between the kernel and the line, before the port is closed: USB adapters hold bytes back for up to 16 ms.
const SLOWING: Duration = Duration::from_millis(100);

/// Why a chain is given up. The machine takes power off and tries again later.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChainFault {
    #[error(transparent)]
    Port(#[from] PortError),
    #[error("{found} of {expected} {chip} answered")]
    Count { found: u16, expected: u16, chip: &'static str },
    #[error("a chip of model {model:04x} answered, expected {chip}")]
    Model { model: u16, chip: &'static str },
    #[error("{expected} {chip} answered, none of them at {address:#04x}, the address of chip {place}")]
    Address { place: u16, address: u8, expected: u16, chip: &'static str },
    #[error("chip {place} (address {address:#04x}) does not answer any more; {left} of {expected} {chip} do")]
    Lost { place: u16, address: u8, left: u16, expected: u16, chip: &'static str },
    #[error("no answer from the chips for {seconds} s")]
    Silent { seconds: u64 },
    #[error(transparent)]
    Frequency(#[from] OutOfRange),
}

/// What a chain works with. All counters go to the status at once.
pub(crate) struct Chain<'a> {
    index: u8,
    profile: &'a ChainProfile,
    chip: &'static Chip,
    port: Line,
    mailbox: Rc<Mailbox>,
    parser: Parser,
    path: &'a WorkPath,
    orders: &'a Orders,
    status: &'a Status,
    oddities: Oddities,
    /// When the line last had something to read.
    received_us: u64,
}

/// Kinds of impossible replies, to log each once.
#[derive(Debug, Clone, Copy)]
enum Oddity {
    Crc,
    Register,
    Job,
    Version,
    Chip,
    Noise,
}

#[derive(Debug, Default)]
struct Oddities {
    logged: [bool; 6],
}

/// Runs one chain. Ends only with the reason why it cannot go on; may be dropped at any time.
pub(crate) async fn run(
    index: u8,
    profile: &ChainProfile,
    at: &At,
    path: &WorkPath,
    orders: &Orders,
    status: &Status,
) -> Result<std::convert::Infallible, ChainFault> {
    let reset_baud = register::baud(register::RESET_DIVIDER);
    let mut chain = Chain {
        index,
        profile,
        chip: profile.chip(),
        port: Line::open(&at.place, reset_baud)?,
        mailbox: Rc::clone(&at.mailbox),
        parser: Parser::new(profile.chip().responses),
        path,
        orders,
        status,
        oddities: Oddities::default(),
        received_us: 0,
    };
    orders.clock_is(index, KiloHertz(0));
    chain.status.chain(index, |chain| {
        chain.chips_found = 0;
        chain.mhz = 0.0;
        chain.baud = reset_baud;
    });
    let clock = chain.bring_up().await?;
    chain.status.stage(index, Stage::Hashing);
    chain.hash(clock).await
}

/// Slows the chips down over their own line: the last means when nobody else can take power off them. Tries both rates that they may be listening at.
pub(crate) async fn slow_down(profile: &ChainProfile, at: &At) -> Result<(), ChainFault> {
    let chip = profile.chip();
    let (_, frames) = chip.set_frequency(profile.setup().ramp.start)?;
    for baud in [profile.baud, register::baud(register::RESET_DIVIDER)] {
        let port = Line::open(&at.place, baud)?;
        for frame in &frames {
            port.write(frame.as_bytes()).await?;
            port.drained().await;
            sleep(Duration::from_millis(chip.pll_writes.gap_ms.into())).await;
        }
        sleep(SLOWING).await;
        notify::progress();
    }
    Ok(())
}

impl Chain<'_> {
    /// Reads what the line has and hands every response to `each`. Waits until there is something; may be dropped while it waits.
    async fn receive(&mut self, mut each: impl FnMut(&mut Self, Response, u64)) -> Result<(), ChainFault> {
        let mut buffer = [0; 256];
        let count = self.port.read(&mut buffer).await?;
        let received_us = adit_sys::clock::monotonic_us();
        let before = self.parser.counters();
        if received_us - self.received_us > LINE_SILENCE_US {
            self.parser.silence();
        }
        self.received_us = received_us;
        for byte in &buffer[..count] {
            if let Some(response) = self.parser.push(*byte) {
                each(self, response, received_us);
            }
        }
        let counters = self.parser.counters();
        let noise = counters.skipped_bytes - before.skipped_bytes;
        if noise > 0 {
            self.status.chain(self.index, |chain| chain.skipped_bytes += noise);
            self.odd(Oddity::Noise, "bytes that belong to no response");
        }
        let wrong = counters.crc_errors - before.crc_errors;
        if wrong > 0 {
            self.status.chain(self.index, |chain| chain.crc_errors += wrong);
            self.odd(Oddity::Crc, "a response with a wrong checksum");
        }
        Ok(())
    }

    /// Takes responses until none has come for `patience`, or for `silence` once `each` has said that all have come that should; at most until `deadline`.
    async fn receive_until_silent(
        &mut self,
        patience: Duration,
        silence: Duration,
        deadline: Duration,
        mut each: impl FnMut(Response) -> bool,
    ) -> Result<(), ChainFault> {
        let end = Instant::now() + deadline;
        let mut complete = false;
        while Instant::now() < end {
            let wait = if complete { silence } else { patience };
            let some = self.receive(|_, response, _| complete = each(response));
            match timeout(wait, some).await {
                Ok(result) => result?,
                Err(_silent) => return Ok(()),
            }
        }
        Ok(())
    }

    /// The place of the chip that was given this address.
    fn place_of(&self, address: u8) -> Option<usize> {
        let chips = self.profile.chips;
        (0..chips).position(|place| self.chip.address(place, chips) == address)
    }

    /// A reply that cannot be: counted, and logged the first time.
    fn impossible(&mut self, kind: Oddity, what: &'static str) {
        self.status.chain(self.index, |chain| chain.impossible += 1);
        self.odd(kind, what);
    }

    fn odd(&mut self, kind: Oddity, what: &'static str) {
        if !std::mem::replace(&mut self.oddities.logged[kind as usize], true) {
            warn!(chain = self.index, what, "corrupt or impossible reply; further ones are only counted");
        }
    }
}

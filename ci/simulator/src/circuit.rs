//! A board's chain with its line: bytes in, answers and nonces out, and what chips do in between.

use crate::chip::{Activity, Chain, Effect};
use crate::clock;
use crate::events::{Event, Ring};
use crate::fault::ChainFaults;
use crate::line::Timing;
use crate::random::Random;
use crate::search::{Found, Work};
use crate::state::ChainState;
use crate::wire::{Broken, Command, Dialect, Job, Parser, Received, Response};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use tracing::warn;

const RATE_WINDOW_NS: u64 = 1_000_000_000;

/// Bytes for the line to the host.
pub(crate) struct Outgoing {
    pub(crate) bytes: Vec<u8>,
    /// Of a nonce response: what it reports.
    reported: Option<Reported>,
    /// The chips' power-on that they belong to; later they are void.
    power_serial: u64,
    /// Since when they wait for the line.
    pub(crate) queued_ns: u64,
}

/// A nonce on its way to the host.
#[derive(Clone, Copy)]
struct Reported {
    /// As the frame has it.
    nonce: u32,
    job_id: u8,
    /// Place on the chain of the chip that found it.
    chip: usize,
}

#[derive(Default)]
struct Counters {
    jobs: u64,
    nonces: u64,
    crc_errors: u64,
    garbled_bytes: u64,
    protocol_errors: u64,
    dropped_responses: u64,
}

/// Hash rate over the last whole window.
#[derive(Default)]
struct Rate {
    since_ns: u64,
    hashes_then: u64,
    mhs: f64,
}

pub(crate) struct Circuit {
    /// Of the board that the chain is on.
    number: usize,
    base_bits: u32,
    pub(crate) chain: Chain,
    parser: Parser,
    pub(crate) faults: ChainFaults,
    random: Random,
    line: SyncSender<Outgoing>,
    counters: Counters,
    pub(crate) hashes: u64,
    rate: Rate,
    /// What the chips search, and how often that has changed.
    work: Option<Arc<Work>>,
    work_version: u64,
    power_serial: u64,
    /// Share of each chip's hashes that come out wrong.
    pub(crate) errors: Vec<f64>,
    /// What each chip does since the last command.
    pub(crate) activities: Vec<Activity>,
    warned: BTreeSet<&'static str>,
}

impl Circuit {
    pub(crate) fn new(
        number: usize,
        chain: Chain,
        base_bits: u32,
        seed: u64,
        line: SyncSender<Outgoing>,
        now_ns: u64,
    ) -> Self {
        let parser = Parser::new(chain.model().dialect());
        let errors = vec![0.0; chain.len()];
        Self {
            number,
            base_bits,
            chain,
            parser,
            faults: ChainFaults::default(),
            random: Random::new(seed),
            line,
            counters: Counters::default(),
            hashes: 0,
            rate: Rate { since_ns: now_ns, ..Rate::default() },
            work: None,
            work_version: 0,
            power_serial: 0,
            errors,
            activities: Vec::new(),
            warned: BTreeSet::new(),
        }
    }

    /// Closes the window of the hash rate when it is over.
    pub(crate) fn count(&mut self, now_ns: u64) {
        let window = now_ns.saturating_sub(self.rate.since_ns);
        if window >= RATE_WINDOW_NS {
            let hashes = self.hashes - self.rate.hashes_then;
            let mhs = hashes as f64 * 1e3 / window as f64;
            self.rate = Rate { since_ns: now_ns, hashes_then: self.hashes, mhs };
        }
    }

    pub(crate) fn mhs(&self) -> f64 {
        self.rate.mhs
    }

    /// Chips have power and are out of reset, or not any more.
    pub(crate) fn set_powered(&mut self, powered: bool) {
        if powered != self.chain.powered() {
            self.chain.set_powered(powered);
            self.power_serial += 1;
            self.parser = Parser::new(self.chain.model().dialect());
            self.refresh_work();
        }
    }

    /// Bytes that the host sent to the chips.
    pub(crate) fn line_bytes(&mut self, bytes: &[u8], timing: Timing, ring: &mut Ring) {
        for (index, &byte) in bytes.iter().enumerate() {
            if !self.chain.powered() {
                return;
            }
            let Some(byte) = self.faults.hear(byte, &mut self.random) else { continue };
            let byte = if timing.fits(self.chain.baud()) { byte } else { self.garble(byte) };
            self.parser.push(byte, timing.begin_ns(index), timing.end_ns(index));
            while let Some(received) = self.parser.next() {
                self.received(received, ring);
            }
        }
    }

    /// What a receiver at another rate makes of a byte.
    pub(crate) fn garble(&mut self, byte: u8) -> u8 {
        self.warn_once("line-rate", "the host's line rate is not the chips'");
        self.counters.garbled_bytes += 1;
        byte ^ (self.random.byte() | 1)
    }

    fn received(&mut self, received: Received, ring: &mut Ring) {
        let command = match received.command {
            Ok(command) => command,
            Err(Broken::Checksum) => {
                self.counters.crc_errors += 1;
                self.warn_once("crc", "a command's checksum is wrong");
                return ring.push_on(self.number, Event::CrcError);
            }
            Err(broken) => {
                let what = match broken {
                    Broken::Noise => "bytes outside any frame",
                    Broken::UnknownHeader => "unknown header byte",
                    Broken::WrongLength => "length byte does not fit the header",
                    _ => "a reserved byte is not zero",
                };
                return self.protocol_error(what, ring);
            }
        };
        let changes_work = matches!(command, Command::Write { .. } | Command::Job(_));
        for effect in self.chain.execute(command, self.reachable()) {
            match effect {
                Effect::Answer(response) => self.send(response, None),
                Effect::Pll(mhz) => ring.push_on(self.number, Event::Pll { mhz: mhz.unwrap_or(0.0) }),
                Effect::Baud(rate) => ring.push_on(self.number, Event::Baud { rate }),
                Effect::Job(job) => self.job_began(&job, received.begin_ns, received.end_ns, ring),
                Effect::Refused(what) => self.protocol_error(what, ring),
            }
        }
        if changes_work {
            self.refresh_work();
        }
    }

    fn job_began(&mut self, job: &Job, begin_ns: u64, end_ns: u64, ring: &mut Ring) {
        self.counters.jobs += 1;
        let bytes = job.previous_hash().into_iter().flatten().rev();
        let prev_hash = bytes.map(|byte| format!("{byte:02x}")).collect();
        let event = Event::Job {
            job_id: job.id,
            first_byte_us: begin_ns / 1000,
            last_byte_us: end_ns.div_ceil(1000),
            prev_hash,
        };
        ring.push_on(self.number, event);
    }

    pub(crate) fn reachable(&self) -> usize {
        self.faults.reachable(self.chain.len())
    }

    /// Chips have another state, or other faults.
    pub(crate) fn refresh_work(&mut self) {
        self.chain.disturb(self.faults.deaf_chip, self.faults.stuck_address);
        self.activities = self.chain.activities();
        let reachable = self.reachable();
        self.activities.iter_mut().skip(reachable).for_each(|activity| *activity = Activity::default());
        self.work = self.chain.work(self.reachable(), self.base_bits).map(Arc::new);
        self.work_version += 1;
    }

    /// What the chips search, and a number that changes whenever that does.
    pub(crate) fn work(&self) -> (u64, Option<Arc<Work>>) {
        (self.work_version, self.work.clone())
    }

    pub(crate) fn work_version(&self) -> u64 {
        self.work_version
    }

    pub(crate) fn hashing(&self) -> bool {
        self.work.is_some()
    }

    /// Hashes that were made, and nonces that were found for the job with this number. A job that has been replaced
    /// reports no more.
    pub(crate) fn searched(&mut self, work: &Work, hashes: u64, found: &[Found]) {
        self.hashes += hashes;
        if self.work.as_ref().is_none_or(|current| current.job_serial != work.job_serial) {
            return;
        }
        for found in found {
            let Some(nonce) = self.computed(found) else { continue };
            let response = Found { nonce, ..*found }.response(work.model, work.job.id, self.chain.wide());
            for _ in 0..if self.faults.duplicate_nonces { 2 } else { 1 } {
                self.send(response, Some(Reported { nonce, job_id: work.job.id, chip: found.chip }));
            }
        }
    }

    /// What a chip makes of a nonce that a chip without errors would have found. Of those that it gets wrong, half are
    /// reported wrong and half not at all.
    fn computed(&mut self, found: &Found) -> Option<u32> {
        let mut nonce = self.faults.wrong_nonce(found.nonce, &mut self.random);
        if nonce != found.nonce {
            self.chain.found_one_wrong(found.chip);
        }
        let errors = self.errors.get(found.chip).copied().unwrap_or(0.0);
        if errors > 0.0 {
            let luck = crate::physics::silicon::uniform(&mut self.random);
            if luck < errors / 2.0 {
                return None;
            }
            if luck < errors {
                nonce ^= 1 << (self.random.next() % 32);
            }
        }
        Some(nonce)
    }

    fn send(&mut self, mut response: Response, reported: Option<Reported>) {
        if self.faults.chain_silent {
            return;
        }
        self.faults.spoil(response.as_bytes_mut(), &mut self.random);
        let bytes = response.as_bytes();
        let carried = bytes.iter().filter_map(|byte| self.faults.carry(*byte, &mut self.random)).collect();
        self.queue(carried, reported);
    }

    fn queue(&mut self, bytes: Vec<u8>, reported: Option<Reported>) {
        let outgoing =
            Outgoing { bytes, reported, power_serial: self.power_serial, queued_ns: clock::now_ns() };
        if self.line.try_send(outgoing).is_err() {
            self.counters.dropped_responses += 1;
            self.warn_once("queue", "the line cannot keep up with the chips' answers");
        }
    }

    /// Random bytes up the line.
    pub(crate) fn send_garbage(&mut self, count: u32) {
        let bytes = (0..count).map(|_| self.random.byte()).collect();
        self.queue(bytes, None);
    }

    /// Whether these bytes are still to be sent, and how fast chips send.
    pub(crate) fn may_send(&self, outgoing: &Outgoing) -> Option<u32> {
        (outgoing.power_serial == self.power_serial).then(|| self.chain.baud())
    }

    /// These bytes have left.
    pub(crate) fn sent(&mut self, outgoing: &Outgoing, end_ns: u64, ring: &mut Ring) {
        if let Some(Reported { nonce, job_id, chip }) = outgoing.reported {
            self.counters.nonces += 1;
            let nonce = format!("{:08x}", nonce.swap_bytes());
            let event = Event::Nonce { nonce, job_id, chip, last_byte_us: end_ns.div_ceil(1000) };
            ring.push_on(self.number, event);
        }
    }

    pub(crate) fn protocol_error(&mut self, what: &'static str, ring: &mut Ring) {
        self.counters.protocol_errors += 1;
        self.warn_once(what, what);
        ring.push_on(self.number, Event::ProtocolError { what: what.into() });
    }

    fn warn_once(&mut self, kind: &'static str, text: &str) {
        if self.warned.insert(kind) {
            warn!(board = self.number, "{text}; further cases are only counted");
        }
    }

    pub(crate) fn state(&self) -> ChainState {
        ChainState {
            chips: self.reachable() - usize::from(self.deaf_within()),
            addressed: self.chain.addressed(),
            baud: self.chain.baud(),
            response_bytes: match self.chain.model().dialect() {
                Dialect::Bm1387 => 7,
                _ if self.chain.wide() => 11,
                _ => 9,
            },
            mhz: self.chain.mhz().unwrap_or(0.0),
            ticket_bits: self.chain.ticket_mask().bits(),
            version_mask: self.chain.version_mask(),
            jobs: self.counters.jobs,
            nonces: self.counters.nonces,
            crc_errors: self.counters.crc_errors,
            garbled_bytes: self.counters.garbled_bytes,
            protocol_errors: self.counters.protocol_errors,
            dropped_responses: self.counters.dropped_responses,
        }
    }

    fn deaf_within(&self) -> bool {
        self.faults.deaf_chip.is_some_and(|chip| (chip as usize) < self.reachable())
    }
}

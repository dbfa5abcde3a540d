//! Everything that is simulated, at one moment, behind one lock. Threads bring bytes, nonces and the passing of time;
//! what comes out goes into the queue of the line, into events and into the truth.

use crate::board::{Board, Step};
use crate::chip::{Chain, Effect};
use crate::clock;
use crate::events::{Event, Events, Ring};
use crate::fault::{Fault, Faults};
use crate::line::Timing;
use crate::machine::{Load, Machine};
use crate::random::Random;
use crate::search::{Found, Work};
use crate::state::{Celsius, ChainState, Fan, Rail, State};
use crate::wire::{Broken, Command, Dialect, Job, Parser, Received, Response};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use tracing::{info, warn};

const OVER_TEMPERATURE_CELSIUS: f64 = 110.0;
/// A new over-temperature event needs a fall below this first.
const COOL_AGAIN_CELSIUS: f64 = 105.0;
/// The models are stepped at least this finely.
const LONGEST_STEP_NS: u64 = 50_000_000;
/// More lost time than this (a suspended host) is not caught up with.
const MOST_CATCHING_UP_NS: u64 = 5_000_000_000;
const RATE_WINDOW_NS: u64 = 1_000_000_000;

/// Bytes for the line to the host.
pub(crate) struct Outgoing {
    pub(crate) bytes: Vec<u8>,
    /// Of a nonce response: what it reports.
    reported: Option<Reported>,
    /// The chips' power-on that they belong to; later they are void.
    pub(crate) power_serial: u64,
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
    hashes: u64,
}

/// Hash rate over the last whole window.
#[derive(Default)]
struct Rate {
    since_ns: u64,
    hashes_then: u64,
    mhs: f64,
}

pub(crate) struct World {
    base_bits: u32,
    machine: Machine,
    board: Board,
    chain: Chain,
    parser: Parser,
    faults: Faults,
    ring: Ring,
    random: Random,
    line: SyncSender<Outgoing>,
    counters: Counters,
    rate: Rate,
    now_ns: u64,
    /// What the chips search, and how often that has changed.
    work: Option<Arc<Work>>,
    work_version: u64,
    power_serial: u64,
    rail_on: bool,
    fan_percent: u32,
    too_hot: bool,
    warned: BTreeSet<&'static str>,
}

impl World {
    pub(crate) fn new(chain: Chain, base_bits: u32, seed: u64, line: SyncSender<Outgoing>) -> Self {
        let now_ns = clock::now_ns();
        let parser = Parser::new(chain.model().dialect());
        Self {
            base_bits,
            machine: Machine::new(),
            board: Board::default(),
            chain,
            parser,
            faults: Faults::default(),
            ring: Ring::default(),
            random: Random::new(seed),
            line,
            counters: Counters::default(),
            rate: Rate { since_ns: now_ns, ..Rate::default() },
            now_ns,
            work: None,
            work_version: 0,
            power_serial: 0,
            rail_on: false,
            fan_percent: 0,
            too_hot: false,
            warned: BTreeSet::new(),
        }
    }

    /// Lets time pass until `now_ns`.
    pub(crate) fn tick(&mut self, now_ns: u64) {
        let mut left = now_ns.saturating_sub(self.now_ns).min(MOST_CATCHING_UP_NS);
        self.now_ns = self.now_ns.max(now_ns);
        let load = Load { mhz: self.chain.mhz().unwrap_or(0.0), hashing: self.work.is_some() };
        while left > 0 {
            let step = left.min(LONGEST_STEP_NS);
            let seconds = step as f64 / 1e9;
            self.machine.advance(seconds, load, &self.faults);
            self.chain.advance(seconds, self.machine.chip_celsius(&self.faults));
            left -= step;
        }
        self.notice_changes();
        let window = now_ns.saturating_sub(self.rate.since_ns);
        if window >= RATE_WINDOW_NS {
            let hashes = self.counters.hashes - self.rate.hashes_then;
            let mhs = hashes as f64 * 1e3 / window as f64;
            self.rate = Rate { since_ns: now_ns, hashes_then: self.counters.hashes, mhs };
        }
    }

    /// Turns what the machine has come to into events, and into power for the chips.
    fn notice_changes(&mut self) {
        if self.machine.rail_on() != self.rail_on {
            self.rail_on = self.machine.rail_on();
            info!(on = self.rail_on, millivolts = self.machine.rail_millivolts(), "rail");
            self.ring.push(Event::Rail { on: self.rail_on });
        }
        if self.machine.fan_percent() != self.fan_percent {
            self.fan_percent = self.machine.fan_percent();
            self.ring.push(Event::Fan { percent: self.fan_percent });
        }
        let celsius = self.machine.chip_celsius(&self.faults);
        if celsius > OVER_TEMPERATURE_CELSIUS && !self.too_hot {
            self.too_hot = true;
            warn!(celsius, "over temperature");
            self.ring.push(Event::OverTemperature { celsius });
        } else if celsius < COOL_AGAIN_CELSIUS {
            self.too_hot = false;
        }
        if self.machine.chips_run() != self.chain.powered() {
            self.chain.set_powered(self.machine.chips_run());
            self.power_serial += 1;
            self.parser = Parser::new(self.chain.model().dialect());
            self.refresh_work();
        }
    }

    /// Bytes that the host sent to the chips.
    pub(crate) fn line_bytes(&mut self, bytes: &[u8], timing: Timing) {
        for (index, &byte) in bytes.iter().enumerate() {
            if !self.chain.powered() {
                return;
            }
            let byte = if timing.fits(self.chain.baud()) { byte } else { self.garble(byte) };
            self.parser.push(byte, timing.begin_ns(index), timing.end_ns(index));
            while let Some(received) = self.parser.next() {
                self.received(received);
            }
        }
    }

    /// What a receiver at another rate makes of a byte.
    pub(crate) fn garble(&mut self, byte: u8) -> u8 {
        self.warn_once("line-rate", "the host's line rate is not the chips'");
        self.counters.garbled_bytes += 1;
        byte ^ (self.random.byte() | 1)
    }

    fn received(&mut self, received: Received) {
        let command = match received.command {
            Ok(command) => command,
            Err(Broken::Checksum) => {
                self.counters.crc_errors += 1;
                self.warn_once("crc", "a command's checksum is wrong");
                return self.ring.push(Event::CrcError);
            }
            Err(broken) => {
                return self.protocol_error(match broken {
                    Broken::Noise => "bytes outside any frame",
                    Broken::UnknownHeader => "unknown header byte",
                    Broken::WrongLength => "length byte does not fit the header",
                    _ => "a reserved byte is not zero",
                });
            }
        };
        let changes_work = matches!(command, Command::Write { .. } | Command::Job(_));
        for effect in self.chain.execute(command, self.reachable_chips()) {
            match effect {
                Effect::Answer(response) => self.send(response, None),
                Effect::Pll(mhz) => self.ring.push(Event::Pll { mhz: mhz.unwrap_or(0.0) }),
                Effect::Baud(rate) => self.ring.push(Event::Baud { rate }),
                Effect::Job(job) => self.job_began(&job, received.begin_ns, received.end_ns),
                Effect::Refused(what) => self.protocol_error(what),
            }
        }
        if changes_work {
            self.refresh_work();
        }
    }

    fn job_began(&mut self, job: &Job, begin_ns: u64, end_ns: u64) {
        self.counters.jobs += 1;
        let bytes = job.previous_hash().into_iter().flatten().rev();
        let prev_hash = bytes.map(|byte| format!("{byte:02x}")).collect();
        self.ring.push(Event::Job {
            job_id: job.id,
            first_byte_us: begin_ns / 1000,
            last_byte_us: end_ns.div_ceil(1000),
            prev_hash,
        });
    }

    fn reachable_chips(&self) -> usize {
        self.chain.len().saturating_sub(self.faults.missing_chips as usize)
    }

    fn refresh_work(&mut self) {
        self.work = self.chain.work(self.reachable_chips(), self.base_bits).map(Arc::new);
        self.work_version += 1;
    }

    /// What the chips search, and a number that changes whenever that does.
    pub(crate) fn work(&self) -> (u64, Option<Arc<Work>>) {
        (self.work_version, self.work.clone())
    }

    /// Hashes that were made, and nonces that were found for the job with this number. A job that has been replaced
    /// reports no more.
    pub(crate) fn searched(&mut self, work: &Work, hashes: u64, found: &[Found]) {
        self.counters.hashes += hashes;
        if self.work.as_ref().is_none_or(|current| current.job_serial != work.job_serial) {
            return;
        }
        for found in found {
            let nonce = self.faults.wrong_nonce(found.nonce, &mut self.random);
            if nonce != found.nonce {
                self.chain.found_one_wrong(found.chip);
            }
            let response = Found { nonce, ..*found }.response(work.model, work.job.id, self.chain.wide());
            for _ in 0..if self.faults.duplicate_nonces { 2 } else { 1 } {
                self.send(response, Some(Reported { nonce, job_id: work.job.id, chip: found.chip }));
            }
        }
    }

    fn send(&mut self, mut response: Response, reported: Option<Reported>) {
        if self.faults.chain_silent {
            return;
        }
        self.faults.spoil(response.as_bytes_mut(), &mut self.random);
        self.queue(response.as_bytes().to_vec(), reported);
    }

    fn queue(&mut self, bytes: Vec<u8>, reported: Option<Reported>) {
        let outgoing = Outgoing { bytes, reported, power_serial: self.power_serial, queued_ns: clock::now_ns() };
        if self.line.try_send(outgoing).is_err() {
            self.counters.dropped_responses += 1;
            self.warn_once("queue", "the line cannot keep up with the chips' answers");
        }
    }

    /// Whether these bytes are still to be sent, and how fast chips send.
    pub(crate) fn may_send(&self, outgoing: &Outgoing) -> Option<u32> {
        (outgoing.power_serial == self.power_serial).then(|| self.chain.baud())
    }

    /// These bytes have left.
    pub(crate) fn sent(&mut self, outgoing: &Outgoing, end_ns: u64) {
        if let Some(Reported { nonce, job_id, chip }) = outgoing.reported {
            self.counters.nonces += 1;
            let nonce = format!("{:08x}", nonce.swap_bytes());
            self.ring.push(Event::Nonce { nonce, job_id, chip, last_byte_us: end_ns.div_ceil(1000) });
        }
    }

    /// Bytes that the host sent to the board controller; returns its answers.
    pub(crate) fn board_bytes(&mut self, bytes: &[u8], now_ns: u64) -> Vec<u8> {
        if self.faults.board_silent {
            return Vec::new();
        }
        self.tick(now_ns);
        self.board.push(bytes, now_ns);
        let mut answers = Vec::new();
        loop {
            let held = self.machine.reset_held();
            let step = self.board.step(&mut self.machine);
            if self.machine.reset_held() != held {
                info!(held = !held, "reset");
                self.ring.push(Event::Reset { held: !held });
            }
            self.notice_changes();
            match step {
                Step::Wait => return answers,
                Step::Answer(answer) => answers.extend(answer),
                Step::Malformed => self.protocol_error("board: impossible request length"),
            }
        }
    }

    fn protocol_error(&mut self, what: &'static str) {
        self.counters.protocol_errors += 1;
        self.warn_once(what, what);
        self.ring.push(Event::ProtocolError { what: what.into() });
    }

    fn warn_once(&mut self, kind: &'static str, text: &str) {
        if self.warned.insert(kind) {
            warn!("{text}; further cases are only counted");
        }
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        let (name, on) = fault.describe();
        info!(name, on, "fault");
        self.faults.set(fault);
        if let Fault::GarbageBytes(count) = fault {
            let bytes = (0..count).map(|_| self.random.byte()).collect();
            self.queue(bytes, None);
        }
        self.ring.push(Event::Fault { name: name.into(), on });
        self.notice_changes();
        self.refresh_work();
    }

    pub(crate) fn events(&self, after: u64) -> Events {
        self.ring.after(after)
    }

    pub(crate) fn state(&mut self) -> State {
        self.tick(clock::now_ns());
        State {
            rail: Rail {
                on: self.machine.rail_on(),
                millivolts: self.machine.rail_millivolts(),
                commanded_millivolts: self.machine.commanded_millivolts(),
            },
            reset: self.machine.reset_held(),
            fan: Fan { percent: self.machine.fan_percent(), rpm: self.machine.rpm() },
            celsius: Celsius {
                chip: self.machine.chip_celsius(&self.faults),
                board: self.machine.board_celsius(&self.faults),
            },
            watts: self.machine.watts(),
            chain: ChainState {
                chips: self.reachable_chips(),
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
            },
            hashes: self.counters.hashes,
            mhs: self.rate.mhs,
        }
    }
}

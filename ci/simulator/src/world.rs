//! Everything that is simulated, at one moment, behind one lock. Threads bring bytes, nonces and the passing of time;
//! what comes out goes into the queues of the lines, into events and into the truth.

use crate::board::{Board, Step};
use crate::circuit::{Circuit, Outgoing};
use crate::clock;
use crate::device::Nak;
use crate::events::{Event, Events, Ring};
use crate::fault::{Fault, FaultError};
use crate::gpio::{LineError, Lines};
use crate::line::Timing;
use crate::machine::Machine;
use crate::physics::board::Load;
use crate::search::{Found, Work};
use crate::state::{BoardState, Celsius, ChipState, Fan, Psu, Rail, SensorState, State};
use std::sync::Arc;
use tracing::{info, warn};

const OVER_TEMPERATURE_CELSIUS: f64 = 110.0;
/// A new over-temperature event needs a fall below this first.
const COOL_AGAIN_CELSIUS: f64 = 105.0;
/// The models are stepped at least this finely.
const LONGEST_STEP_NS: u64 = 50_000_000;
/// More lost time than this (a suspended host) is not caught up with.
const MOST_CATCHING_UP_NS: u64 = 5_000_000_000;

/// What was last told of a board.
#[derive(Clone, Copy)]
struct Told {
    rail_on: bool,
    reset_held: bool,
    too_hot: bool,
}

pub(crate) struct World {
    machine: Machine,
    board: Board,
    circuits: Vec<Circuit>,
    /// The chains are others than the machine's: its boards' dies stand in for them, and never err.
    stand_in: bool,
    ring: Ring,
    now_ns: u64,
    told: Vec<Told>,
    fan_percent: u32,
    psu_on: bool,
}

impl World {
    pub(crate) fn new(machine: Machine, circuits: Vec<Circuit>, now_ns: u64) -> Self {
        let model = machine.model;
        let own = |circuit: &Circuit| {
            circuit.chain.len() == model.board.chips && circuit.chain.model().id == model.chip.id
        };
        let stand_in = !circuits.iter().all(own);
        let told = Told { rail_on: false, reset_held: true, too_hot: false };
        Self {
            told: vec![told; circuits.len()],
            machine,
            board: Board::default(),
            circuits,
            stand_in,
            ring: Ring::default(),
            now_ns,
            fan_percent: 0,
            psu_on: false,
        }
    }

    /// Lets time pass until `now_ns`.
    pub(crate) fn tick(&mut self, now_ns: u64) {
        let mut left = now_ns.saturating_sub(self.now_ns).min(MOST_CATCHING_UP_NS);
        self.now_ns = self.now_ns.max(now_ns);
        while left > 0 {
            let step = left.min(LONGEST_STEP_NS);
            self.step(step as f64 / 1e9);
            left -= step;
        }
        self.notice_changes();
        self.circuits.iter_mut().for_each(|circuit| circuit.count(now_ns));
    }

    fn step(&mut self, seconds: f64) {
        let (circuits, stand_in) = (&self.circuits, self.stand_in);
        self.machine.advance(seconds, |board, chip| {
            let circuit = &circuits[board];
            if stand_in {
                let mhz = circuit.chain.mhz().unwrap_or(0.0);
                return Load { mhz, hashing: f64::from(u8::from(circuit.hashing())) };
            }
            let activity = circuit.activities.get(chip).copied().unwrap_or_default();
            Load { mhz: activity.mhz, hashing: activity.hashing }
        });
        for (board, circuit) in self.circuits.iter_mut().enumerate() {
            if let (Some(behind), Some((own, die, lost))) =
                (&mut circuit.chain.behind, self.machine.behind_chip(board))
            {
                behind.part.sense(own, die);
                behind.gone = lost;
            }
        }
        let offset = self.machine.faults.temperature_offset;
        for (circuit, seat) in self.circuits.iter_mut().zip(&self.machine.seats) {
            let dies = &seat.board.chips;
            let die = |chip: usize| &dies[if stand_in { 0 } else { chip.min(dies.len() - 1) }];
            let feels = |chip: usize| {
                let die = die(chip);
                (die.celsius + offset, if stand_in { 0.0 } else { die.errors })
            };
            circuit.chain.advance_each(seconds, &circuit.activities, feels);
            if !stand_in {
                circuit.errors.iter_mut().zip(dies).for_each(|(errors, die)| *errors = die.errors);
            }
        }
    }

    /// Turns what the machine has come to into events, and into power for the chips.
    fn notice_changes(&mut self) {
        let offset = self.machine.faults.temperature_offset;
        for (board, event) in self.machine.happened() {
            warn!(board, ?event, "machine");
            self.ring.push_on(board, event);
        }
        if self.machine.psu_on() != self.psu_on {
            self.psu_on = self.machine.psu_on();
            info!(on = self.psu_on, "psu");
            self.ring.push(Event::Psu { on: self.psu_on });
        }
        for (board, told) in self.told.iter_mut().enumerate() {
            if self.machine.rail_on(board) != told.rail_on {
                told.rail_on = !told.rail_on;
                let volts = self.machine.seats[board].rail_volts;
                info!(board, on = told.rail_on, volts, "rail");
                self.ring.push_on(board, Event::Rail { on: told.rail_on });
            }
            if self.machine.reset_held(board) != told.reset_held {
                told.reset_held = !told.reset_held;
                info!(board, held = told.reset_held, "reset");
                self.ring.push_on(board, Event::Reset { held: told.reset_held });
            }
            let celsius = self.machine.seats[board].board.hottest() + offset;
            if celsius > OVER_TEMPERATURE_CELSIUS && !told.too_hot {
                told.too_hot = true;
                warn!(board, celsius, "over temperature");
                self.ring.push_on(board, Event::OverTemperature { celsius });
            } else if celsius < COOL_AGAIN_CELSIUS {
                told.too_hot = false;
            }
            self.circuits[board].set_powered(self.machine.chips_run(board));
        }
        let percent = percent(self.machine.fans.first().map_or(0.0, |fan| fan.drive));
        if percent != self.fan_percent {
            self.fan_percent = percent;
            self.ring.push(Event::Fan { percent });
        }
    }

    /// Bytes that the host sent to the chips.
    pub(crate) fn line_bytes(&mut self, board: usize, bytes: &[u8], timing: Timing) {
        self.circuits[board].line_bytes(bytes, timing, &mut self.ring);
    }

    /// What a receiver at another rate makes of a byte.
    pub(crate) fn garble(&mut self, board: usize, byte: u8) -> u8 {
        self.circuits[board].garble(byte)
    }

    /// What the chips of a board search, and a number that changes whenever that does.
    pub(crate) fn work(&self, board: usize) -> (u64, Option<Arc<Work>>) {
        self.circuits[board].work()
    }

    /// Changes whenever the work of any board does.
    pub(crate) fn work_versions(&self) -> u64 {
        self.circuits.iter().map(Circuit::work_version).sum()
    }

    pub(crate) fn searched(&mut self, board: usize, work: &Work, hashes: u64, found: &[Found]) {
        self.circuits[board].searched(work, hashes, found);
    }

    pub(crate) fn may_send(&self, board: usize, outgoing: &Outgoing) -> Option<u32> {
        self.circuits[board].may_send(outgoing)
    }

    pub(crate) fn sent(&mut self, board: usize, outgoing: &Outgoing, end_ns: u64) {
        self.circuits[board].sent(outgoing, end_ns, &mut self.ring);
    }

    /// Bytes that the host sent to the board controller; returns its answers.
    pub(crate) fn board_bytes(&mut self, bytes: &[u8], now_ns: u64) -> Vec<u8> {
        if self.machine.faults.board_silent {
            return Vec::new();
        }
        self.tick(now_ns);
        self.board.push(bytes, now_ns);
        let mut answers = Vec::new();
        loop {
            let step = self.board.step(&mut self.machine);
            self.notice_changes();
            match step {
                Step::Wait => return answers,
                Step::Answer(answer) => answers.extend(answer),
                Step::Malformed => {
                    self.circuits[0].protocol_error("board: impossible request length", &mut self.ring);
                }
            }
        }
    }

    /// A transfer on a bus; nobody answers on a bus that is not there.
    pub(crate) fn i2c(
        &mut self,
        bus: usize,
        address: u8,
        write: &[u8],
        read: usize,
        now_ns: u64,
    ) -> Result<Vec<u8>, Nak> {
        self.tick(now_ns);
        let answer = self.machine.buses().get_mut(bus).ok_or(Nak)?.transfer(address, write, read);
        self.notice_changes();
        answer
    }

    pub(crate) fn i2c_buses(&mut self) -> usize {
        self.machine.buses().len()
    }

    pub(crate) fn lines(&mut self) -> &mut Lines {
        self.machine.lines()
    }

    pub(crate) fn drive_line(
        &mut self,
        line: usize,
        level: Option<bool>,
        now_ns: u64,
    ) -> Result<(), LineError> {
        self.tick(now_ns);
        self.machine.lines().host_drives(line, level)?;
        self.notice_changes();
        Ok(())
    }

    pub(crate) fn fault(&mut self, board: usize, fault: Fault) -> Result<(), FaultError> {
        self.check(board, fault)?;
        let (name, on) = fault.describe();
        info!(board, name, on, "fault");
        match fault {
            Fault::SensorFrozen { sensor, on } => self.machine.sensors[sensor].frozen = on,
            Fault::SensorAbsurd { sensor, celsius } => self.machine.sensors[sensor].absurd = celsius,
            Fault::SensorLost { sensor, on } => self.machine.sensors[sensor].lost = on,
            Fault::GarbageBytes(count) => self.circuits[board].send_garbage(count),
            _ => {}
        }
        self.machine.faults.set(board, fault);
        self.circuits[board].faults.set(fault);
        self.machine.faults_changed();
        self.ring.push_on(board, Event::Fault { name: name.into(), on });
        self.notice_changes();
        self.circuits.iter_mut().for_each(Circuit::refresh_work);
        Ok(())
    }

    fn check(&self, board: usize, fault: Fault) -> Result<(), FaultError> {
        let there = |what, number, there| {
            if number < there { Ok(()) } else { Err(FaultError::NotThere { what, number, there }) }
        };
        there("board", board, self.circuits.len())?;
        match fault {
            Fault::OneFanStopped { fan, .. } | Fault::FanSlow { fan: Some(fan), .. } => {
                there("fan", fan, self.machine.fans.len())
            }
            Fault::SensorFrozen { sensor, .. }
            | Fault::SensorAbsurd { sensor, .. }
            | Fault::SensorLost { sensor, .. } => there("sensor", sensor, self.machine.sensors.len()),
            Fault::DeadChip(Some(chip)) | Fault::DeafChip(Some(chip)) | Fault::StuckAddress(Some(chip)) => {
                there("chip", chip as usize, self.circuits[board].chain.len())
            }
            Fault::PsuStuckOn(_) | Fault::PsuNak(_) | Fault::PsuHeartbeatIgnored(_)
                if !self.machine.has_apw() =>
            {
                Err(FaultError::NoSupply)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn events(&self, after: u64) -> Events {
        self.ring.after(after)
    }

    /// All chips of a board; none: no such board.
    pub(crate) fn chips(&mut self, board: usize) -> Option<Vec<ChipState>> {
        self.tick(clock::now_ns());
        let (circuit, seat) = (self.circuits.get(board)?, self.machine.seats.get(board)?);
        let offset = self.machine.faults.temperature_offset;
        let chip = |(index, chip): (usize, &crate::physics::board::Chip)| ChipState {
            celsius: chip.celsius + offset,
            watts: chip.watts,
            mhz: circuit.activities.get(index).map_or(0.0, |activity| activity.mhz),
            error_share: circuit.errors.get(index).copied().unwrap_or(0.0),
            errors: circuit.chain.errors(index),
        };
        Some(seat.board.chips.iter().enumerate().map(chip).collect())
    }

    fn board_state(&self, board: usize) -> BoardState {
        let (circuit, seat) = (&self.circuits[board], &self.machine.seats[board]);
        let offset = self.machine.faults.temperature_offset;
        let [_, middle, outlet] = seat.board.sensors;
        let errors = circuit.errors.iter().sum::<f64>() / circuit.errors.len().max(1) as f64;
        BoardState {
            rail: Rail {
                on: self.machine.rail_on(board),
                millivolts: (seat.rail_volts * 1e3).round() as u32,
                commanded_millivolts: (seat.commanded_volts * 1e3).round() as u32,
            },
            reset: self.machine.reset_held(board),
            celsius: Celsius { chip: seat.board.hottest() + offset, board: middle + offset },
            mean_chip_celsius: seat.board.mean_celsius() + offset,
            outlet_celsius: outlet + offset,
            regulator_celsius: seat.board.regulator + offset,
            watts: seat.board.watts,
            amperes: self.machine.amperes(board),
            error_share: if circuit.hashing() { errors } else { 0.0 },
            chain: circuit.state(),
            hashes: circuit.hashes,
            mhs: circuit.mhs(),
        }
    }

    pub(crate) fn state(&mut self) -> State {
        self.tick(clock::now_ns());
        let boards: Vec<BoardState> = (0..self.circuits.len()).map(|board| self.board_state(board)).collect();
        let first = boards[0].clone();
        let fans: Vec<Fan> = self
            .machine
            .fans
            .iter()
            .map(|fan| Fan { percent: percent(fan.drive), rpm: fan.rpm.round() as u32 })
            .collect();
        let (cut, watchdog_seconds) = self.machine.psu_watch();
        let psu = self.machine.psu.as_ref().map(|psu| Psu {
            on: self.psu_on,
            volts: psu.volts,
            commanded_volts: self.machine.psu_commanded_volts(),
            output_watts: psu.watts,
            celsius: psu.celsius,
            cut: cut.map(|cut| cut.why().into()),
            watchdog_seconds,
        });
        let sensor = |sensor: &crate::machine::part::Sensor| SensorState {
            name: sensor.name.clone(),
            celsius: sensor.reading,
            faulty: sensor.frozen || sensor.absurd.is_some() || sensor.lost,
        };
        State {
            rail: first.rail,
            reset: first.reset,
            fan: fans.first().cloned().unwrap_or(Fan { percent: 0, rpm: 0 }),
            celsius: first.celsius,
            watts: self.machine.watts(),
            chain: first.chain,
            hashes: boards.iter().map(|board| board.hashes).sum(),
            mhs: boards.iter().map(|board| board.mhs).sum(),
            input_watts: self.machine.input_watts(),
            ambient: self.machine.faults.ambient,
            fans,
            psu,
            sensors: self.machine.sensors.iter().map(sensor).collect(),
            lines: self.machine.lines().all(),
            boards,
        }
    }
}

fn percent(share: f64) -> u32 {
    (share * 100.0).round() as u32
}

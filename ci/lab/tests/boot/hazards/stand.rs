//! A unit with its machine and a pool, on which one thing after the other is made to go wrong.

use std::time::{Duration, Instant};

use adit_lab::{
    console::Event as Console,
    machine::Machine,
    qemu::{Said, Waits},
    site::{Backend, Effort, Rig},
    truth,
};
use adit_simulator::{Event, Fault, Record};

use super::{
    DRIVER, EMULATION,
    cases::{Act, Case},
    page::{Stage, due},
};
use crate::support::{BOOT, Disk, ask, with_agent};

/// What adit-miner does when something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Miner {
    Running,
    /// SIGKILL just before; adit-init starts it again.
    Killed,
    /// SIGSTOP just before, until the reaction is there.
    Stopped,
}

/// Readings that follow each other sooner may be of one look …
const LOOKS: Duration = Duration::from_millis(2000);
/// … and those that differ by more than twenty degrees are none.
const STEP: f64 = 15.0;
/// From a fault's end to hashing: all must be well for its time, fans must turn, the supply must rise, hundreds of chips be found.
const RECOVERY: Duration = Duration::from_secs(150);
/// The supply's own watchdog.
const SUPPLY_WAITS: Duration = Duration::from_secs(60);

pub(super) struct Stand {
    _disk: Disk,
    backend: Backend,
    rig: Rig,
    profile: &'static str,
    mhz: f64,
    boards: usize,
    lines: Vec<String>,
    /// Of emulator and simulated machine, when what is measured began.
    waits: Waits,
}

impl Stand {
    pub(super) async fn new(machine: Machine, mhz: f64) -> Self {
        let images = with_agent();
        let backend = Backend::start(None, Effort::default(), None).await.unwrap();
        let disk = Disk::for_machine(images, &machine, Some(&backend.unit_config()));
        let rig = disk.boot_driving(images, &machine);
        let boards = rig.simulator.state().boards.len();
        let stand = Self {
            _disk: disk,
            backend,
            rig,
            profile: machine.profile,
            mhz,
            boards,
            lines: Vec::new(),
            waits: Waits::default(),
        };
        // The agent, which the miner is told through, may come last.
        let began = Instant::now();
        while stand.rig.agent("ping").await.is_err() {
            assert!(began.elapsed() < BOOT, "no agent\n{}", stand.rig.unit.tail(30));
        }
        stand
    }

    /// Every board hashes at its full clock, and works come from the miner.
    async fn hashing(&mut self) {
        let began = Instant::now();
        loop {
            let before = self.rig.simulator.state();
            tokio::time::sleep(Duration::from_millis(1500)).await;
            let after = self.rig.simulator.state();
            let well = before.boards.iter().zip(&after.boards).all(|(before, board)| {
                board.rail.on
                    && !board.reset
                    && board.chain.mhz == self.mhz
                    && board.chain.jobs > before.chain.jobs
            });
            if well {
                return;
            }
            assert!(began.elapsed() < RECOVERY, "{:#?}\n{}", after.boards, self.rig.unit.tail(40));
        }
    }

    async fn miner(&self, signal: u8) {
        let answer = self.rig.agent(&format!("signal adit-miner {signal}")).await.unwrap();
        assert_eq!(answer, "ok 1", "signal {signal}");
    }

    /// Where the machine's record stands now: what is measured begins.
    fn mark(&mut self) -> u64 {
        self.waits = self.rig.unit.waits();
        self.newest()
    }

    fn newest(&self) -> u64 {
        truth::newest(&self.rig.simulator)
    }

    /// The time, of the machine's record, at which `wanted` has been true of an event of each of `boards` after event `mark`.
    async fn all_of(
        &self,
        mark: u64,
        boards: &[usize],
        limit: Duration,
        what: &str,
        wanted: impl Fn(&Record) -> bool,
    ) -> u64 {
        let began = Instant::now();
        let mut seen = mark;
        let mut when: Vec<Option<u64>> = vec![None; boards.len()];
        loop {
            for record in truth::events(&self.rig.simulator, seen).unwrap() {
                seen = record.seq;
                if let Some(place) = boards.iter().position(|board| *board == record.board)
                    && wanted(&record)
                {
                    when[place].get_or_insert(record.us);
                }
            }
            if let Some(all) = when.iter().copied().collect::<Option<Vec<u64>>>() {
                return all.into_iter().max().unwrap();
            }
            assert!(
                began.elapsed() < limit,
                "{what}: {when:?} within {limit:?}: {:#?}\n{}",
                self.rig.simulator.state().boards,
                self.rig.unit.tail(40)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// When the machine's record has the last fault after `mark`.
    fn began_us(&self, mark: u64) -> u64 {
        let events = truth::events(&self.rig.simulator, mark).unwrap();
        let fault = events.iter().rev().find(|record| matches!(record.event, Event::Fault { .. }));
        fault.expect("a fault was begun").us
    }

    fn reads(&self, sensor: &str) -> f64 {
        let state = self.rig.simulator.state();
        let found = state.sensors.iter().find(|known| known.name == sensor).and_then(|known| known.celsius);
        found.unwrap_or_else(|| panic!("{sensor} says nothing"))
    }

    /// Lets a sensor's reading go from one value to another, in steps that no look takes for absurd. Returns where it began.
    async fn lead(&self, board: usize, sensor: &'static str, from: f64, to: f64) -> f64 {
        let mut now = from;
        while now != to {
            now += (to - now).clamp(-STEP, STEP);
            Act::Says(sensor, now).carry_out(&self.rig.simulator, board);
            tokio::time::sleep(LOOKS).await;
        }
        from
    }

    /// Prints it. Errors: it took longer than it may; the time for which emulator and simulated machine wanted a processor of this computer and got none is not the unit's.
    fn note(&mut self, hazard: &str, miner: &str, stage: &str, took: Duration, limit: Duration) {
        let waited = self.rig.unit.waits().since(&self.waits);
        let line = format!(
            "{:<14} {hazard:<20} miner {miner:<8} {stage:<24} {:>6.2} s of {:.0} s, this computer took {:.2} s",
            self.profile,
            took.as_secs_f64(),
            limit.as_secs_f64(),
            waited.as_secs_f64(),
        );
        println!("{line}");
        assert!(took <= limit + waited, "{line}\n{}", self.rig.unit.tail(40));
        self.lines.push(line);
    }

    /// From hashing to the reaction; what comes next waits until the machine hashes again.
    pub(super) async fn provoke(&mut self, case: &Case, miner: Miner) {
        self.hashing().await;
        let all: Vec<usize> = (0..self.boards).collect();
        let truth = match case.heat {
            Some((sensor, near, _)) => self.lead(case.board, sensor, self.reads(sensor), near).await,
            None => 0.0,
        };
        let mhz = self.mhz;
        let cursor = self.rig.unit.now();
        match miner {
            Miner::Running => {}
            Miner::Killed => self.miner(9).await,
            Miner::Stopped => self.miner(19).await,
        }
        let mark = self.mark();
        for act in case.begin {
            act.carry_out(&self.rig.simulator, case.board);
        }
        if let Some((sensor, _, bad)) = case.heat {
            Act::Says(sensor, bad).carry_out(&self.rig.simulator, case.board);
        }
        let began = self.began_us(mark);
        let due_stage = if case.hazard == "controller silent" { Stage::ChainOff } else { case.stage };
        let due = due(case.hazard, due_stage);
        let limit = due + DRIVER + EMULATION;
        // How long it took is judged below.
        let patience = limit + BOOT;
        let (stage, ended) = match case.stage {
            Stage::Throttle => {
                let slower = |record: &Record| matches!(record.event, Event::Pll { mhz: now } if now < mhz);
                ("throttle", self.all_of(mark, &[case.board], patience, case.hazard, slower).await)
            }
            _ if case.cuts_itself => {
                let held = |record: &Record| record.event == Event::Reset { held: true };
                ("resets held", self.all_of(mark, &all, patience, case.hazard, held).await)
            }
            _ => {
                let off = |record: &Record| record.event == Event::Rail { on: false };
                ("rails off", self.all_of(mark, &all, patience, case.hazard, off).await)
            }
        };
        if miner == Miner::Stopped {
            self.miner(18).await;
        }
        // A stopped miner is a reason of its own to slow chips down.
        let line = if due_stage == Stage::Throttle { "throttled cause" } else { "fault reason" };
        let word = case.said.unwrap_or(case.hazard);
        let named = |said: &Said| (said.line.contains(line) && said.line.contains(word)).then_some(());
        self.rig.unit.wait_from(cursor, BOOT, &format!("{line} with {word:?}"), named).await.unwrap();
        let took = Duration::from_micros(ended - began);
        self.note(case.hazard, &format!("{miner:?}").to_lowercase(), stage, took, limit);
        if case.hazard != "PSU heartbeat lost" {
            assert!(took + Duration::from_millis(50) >= due, "{}: {took:?}, before its time", case.hazard);
        }
        for act in case.end {
            act.carry_out(&self.rig.simulator, case.board);
        }
        if let Some((sensor, _, bad)) = case.heat {
            self.lead(case.board, sensor, bad, truth).await;
            Act::SaysTruth(sensor).carry_out(&self.rig.simulator, case.board);
        }
        if case.person {
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert!(!self.rig.simulator.state().rail.on, "{}: nobody has cleared it", case.hazard);
            assert_eq!(self.rig.agent("signal adit-hardware 9").await.unwrap(), "ok 1");
        }
    }

    /// adit-miner says nothing more: chips are slowed down, later power goes.
    pub(super) async fn silence_miner(&mut self) {
        const HAZARD: &str = "control loop silent";
        self.hashing().await;
        let mark = self.mark();
        let began = adit_sys::clock::monotonic_us();
        self.miner(19).await;
        let (all, mhz) = ((0..self.boards).collect::<Vec<_>>(), self.mhz);
        let slower = |record: &Record| matches!(record.event, Event::Pll { mhz: now } if now < mhz);
        let off = |record: &Record| record.event == Event::Rail { on: false };
        for (stage, name) in [(Stage::Throttle, "throttle"), (Stage::AllOff, "rails off")] {
            let limit = due(HAZARD, stage) + DRIVER + EMULATION;
            let ended = match stage {
                Stage::Throttle => self.all_of(mark, &all, limit * 2, HAZARD, slower).await,
                _ => self.all_of(mark, &all, limit * 2, HAZARD, off).await,
            };
            let took = Duration::from_micros(ended - began);
            self.note(HAZARD, "stopped", name, took, limit);
            // Its last sign of life was up to a second before.
            assert!(took + Duration::from_secs(1) >= due(HAZARD, stage), "{took:?}");
        }
        self.miner(18).await;
    }

    /// adit-init brings the machine into its safe state when the driver is gone.
    pub(super) async fn kill_driver(&mut self, within: Duration) {
        self.hashing().await;
        let mark = self.mark();
        let began = adit_sys::clock::monotonic_us();
        assert_eq!(self.rig.agent("signal adit-hardware 9").await.unwrap(), "ok 1");
        let all: Vec<usize> = (0..self.boards).collect();
        let off = |record: &Record| record.event == Event::Rail { on: false };
        let ended = self.all_of(mark, &all, BOOT, "safe state", off).await;
        let (took, limit) = (Duration::from_micros(ended - began), within + EMULATION);
        self.note("driver killed", "running", "rails off", took, limit);
    }

    /// A driver that hangs feeds no supply: its own watchdog cuts the output.
    pub(super) async fn hang_driver(&mut self) {
        self.hashing().await;
        let mark = self.mark();
        let began = adit_sys::clock::monotonic_us();
        assert_eq!(self.rig.agent("signal adit-hardware 19").await.unwrap(), "ok 1");
        let all: Vec<usize> = (0..self.boards).collect();
        let limit = SUPPLY_WAITS + Duration::from_secs(1);
        let off = |record: &Record| record.event == Event::Rail { on: false };
        let ended = self.all_of(mark, &all, limit * 2, "the supply's watchdog", off).await;
        let took = Duration::from_micros(ended - began);
        self.note("driver hangs", "running", "cut by the supply", took, limit);
        let cut = truth::events(&self.rig.simulator, mark).unwrap();
        let cut = cut.iter().any(|record| record.event == Event::PsuCut { why: "watchdog".into() });
        assert!(cut, "something else has cut it");
        assert_eq!(self.rig.agent("signal adit-hardware 18").await.unwrap(), "ok 1");
    }

    /// What was switched off and is still on keeps power away from everything, until a person comes.
    pub(super) async fn provoke_stuck_rail(&mut self, begin: Fault, end: Fault) {
        const HAZARD: &str = "rail still on";
        self.hashing().await;
        self.rig.simulator.fault(begin);
        let mark = self.mark();
        // A reason to switch off.
        self.rig.simulator.fault(Fault::FanStopped(true));
        let all: Vec<usize> = (0..self.boards).collect();
        let held = |record: &Record| record.event == Event::Reset { held: true };
        let off = self.all_of(mark, &all, BOOT, "resets", held).await;
        self.rig.simulator.fault(Fault::FanStopped(false));
        let began = Instant::now();
        loop {
            let status = ask(self.rig.page, "/api/v1/status", "application/json").await.unwrap_or_default();
            if status.contains(HAZARD) {
                break;
            }
            assert!(began.elapsed() < BOOT, "{status}\n{}", self.rig.unit.tail(40));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let took = Duration::from_micros(adit_sys::clock::monotonic_us() - off);
        self.note(HAZARD, "running", "held in reset; told after", took, BOOT);
        self.rig.simulator.fault(end);
        let released = self.newest();
        tokio::time::sleep(Duration::from_secs(20)).await;
        let events = truth::events(&self.rig.simulator, released).unwrap();
        let came = events.iter().find(|record| record.event == Event::Reset { held: false });
        assert!(came.is_none(), "nobody has cleared it: {came:?}");
        assert_eq!(self.rig.agent("signal adit-hardware 9").await.unwrap(), "ok 1");
    }

    /// A sensor that stays where it is while its board, slowed down because of another one, makes a tenth of the heat.
    pub(super) async fn freeze(&mut self, frozen: &'static str, warm: &'static str, board: usize) {
        const HAZARD: &str = "sensor frozen";
        /// For so long heat is elsewhere before that counts.
        const ELSEWHERE: Duration = Duration::from_secs(60);
        self.hashing().await;
        self.lead(board, warm, self.reads(warm), 53.0).await;
        let (cursor, mark) = (self.rig.unit.now(), self.mark());
        let place =
            self.rig.simulator.state().sensors.iter().position(|sensor| sensor.name == frozen).unwrap();
        self.rig.simulator.fault(Fault::SensorFrozen { sensor: place, on: true });
        let began = self.began_us(mark);
        Act::Says(warm, 56.0).carry_out(&self.rig.simulator, board);
        let all: Vec<usize> = (0..self.boards).collect();
        let limit = due("intake warm", Stage::Throttle)
            + ELSEWHERE
            + due(HAZARD, Stage::ChainOff)
            + DRIVER
            + EMULATION;
        let off = |record: &Record| record.event == Event::Rail { on: false };
        let ended = self.all_of(mark, &all, limit * 2, HAZARD, off).await;
        let took = Duration::from_micros(ended - began);
        self.note(HAZARD, "running", "rails off", took, limit);
        let named = |said: &Said| said.line.contains(HAZARD).then_some(());
        self.rig.unit.wait_from(cursor, BOOT, "a frozen sensor", named).await.unwrap();
        self.rig.simulator.fault(Fault::SensorFrozen { sensor: place, on: false });
        Act::SaysTruth(warm).carry_out(&self.rig.simulator, board);
        assert_eq!(self.rig.agent("signal adit-hardware 9").await.unwrap(), "ok 1");
    }

    /// A kernel that dies resets the unit, and lines fall back to where they rest.
    pub(super) async fn reset(&mut self) {
        self.hashing().await;
        let cursor = self.rig.unit.now();
        let mark = self.mark();
        let began = adit_sys::clock::monotonic_us();
        self.rig.reset().await.unwrap();
        let all: Vec<usize> = (0..self.boards).collect();
        let off = |record: &Record| record.event == Event::Rail { on: false };
        let ended = self.all_of(mark, &all, BOOT, "lines at rest", off).await;
        let took = Duration::from_micros(ended - began);
        self.note("unit reset", "–", "rails off", took, EMULATION);
        let safe = |event: &Console| matches!(event, Console::SafeState { .. }).then_some(());
        self.rig.unit.wait_event(cursor, BOOT, "the safe state at boot", safe).await.unwrap();
        self.hashing().await;
    }

    pub(super) async fn end(self) {
        let Self { backend, rig, lines, .. } = self;
        println!("\nhazard to reaction, simulated and emulated:\n{}", lines.join("\n"));
        assert_eq!(backend.pool.state().shares_rejected, 0, "{:?}", backend.pool.state());
        rig.stop().await;
        backend.stop().await;
    }
}

//! What the machine is doing, for whoever looks through the status door.
//!
//! Everything that grows is made at the start: what chains, boards and safety write while they run are numbers and short texts in their places.

use std::{
    cell::RefCell,
    ops::Range,
    sync::{Arc, Mutex},
};

use adit_asic::Chip;
use adit_bus::hardware::{
    BoardStatus, ChainStatus, ChipStatus, FanStatus, FaultStatus, HardwareStatus, PsuStatus, SensorStatus,
};

use crate::{
    power::{Fault, Sample},
    profile::{self, Profile},
    safety::{Clears, Evidence},
};

/// Where a board is on its way from off to hashing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Off,
    Fans,
    Power,
    Enumerate,
    Ramp,
    Hashing,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Fans => "fans",
            Self::Power => "power",
            Self::Enumerate => "enumerate",
            Self::Ramp => "ramp",
            Self::Hashing => "hashing",
        }
    }
}

const FAULT: &str = "fault";
const ABSENT: &str = "absent";

/// All that the status door tells.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) machine: HardwareStatus,
    /// By chain.
    pub(crate) chips: Vec<Vec<ChipStatus>>,
}

/// Shared by the machine, its boards, their chains and the status door. The lock is held for a few assignments only.
#[derive(Debug)]
pub(crate) struct Status {
    shared: Arc<Mutex<Told>>,
    state: RefCell<State>,
    /// Whose fans and sensors are which: what is shared, then each board's.
    common: Parts,
    boards: Vec<Parts>,
}

#[derive(Debug)]
struct State {
    /// What takes all off.
    machine: Option<FaultStatus>,
    boards: Vec<Board>,
}

#[derive(Debug, Clone)]
struct Board {
    stage: Stage,
    /// What it is off for, until it hashes again.
    fault: Option<FaultStatus>,
    absent: bool,
}

/// Parts of one place within the lists of all.
#[derive(Debug)]
struct Parts {
    fans: Range<usize>,
    sensors: Range<usize>,
    min_rpm: Vec<u32>,
    places: Vec<profile::Place>,
}

impl Status {
    pub(crate) fn new(profile: &Profile) -> Self {
        let (mut fans, mut sensors) = (Vec::new(), Vec::new());
        let mut parts = |board: Option<u8>, own_fans: &[profile::Fan], own_sensors: &[profile::Sensor]| {
            let (first_fan, first_sensor) = (fans.len(), sensors.len());
            fans.extend(own_fans.iter().map(|fan| at_first(fan, board)));
            sensors.extend(own_sensors.iter().map(|sensor| unread(sensor, board)));
            Parts {
                fans: first_fan..fans.len(),
                sensors: first_sensor..sensors.len(),
                min_rpm: own_fans.iter().map(|fan| fan.min_rpm).collect(),
                places: own_sensors.iter().map(|sensor| sensor.of).collect(),
            }
        };
        let common = parts(None, &profile.fan, &profile.sensor);
        let boards: Vec<Parts> = (0..)
            .zip(&profile.board)
            .map(|(index, board)| parts(Some(index), &board.fan, &board.sensor))
            .collect();
        let off = Board { stage: Stage::Off, fault: None, absent: false };
        let told = Told {
            machine: HardwareStatus {
                machine: profile.name.clone(),
                simulated: profile.simulated,
                stage: Stage::Off.name().into(),
                fan_rpm: vec![0; fans.len()],
                chains: chains(profile).collect(),
                boards: board_statuses(profile).collect(),
                sensors,
                fans,
                psu: profile.psu.as_ref().map(|psu| PsuStatus {
                    model: psu.part.name().into(),
                    state: "off".into(),
                    volts: f64::NAN,
                    watts: f64::NAN,
                }),
                ..Default::default()
            },
            chips: profile.board.iter().map(|board| chips(board.chain.chip(), board.chain.chips)).collect(),
        };
        Self {
            shared: Arc::new(Mutex::new(told)),
            state: RefCell::new(State { machine: None, boards: vec![off; boards.len()] }),
            common,
            boards,
        }
    }

    /// For the door.
    pub(crate) fn shared(&self) -> Arc<Mutex<Told>> {
        Arc::clone(&self.shared)
    }

    /// Changes one chain's part.
    pub(crate) fn chain(&self, index: u8, change: impl FnOnce(&mut ChainStatus)) {
        self.chips(index, |chain, _| change(chain));
    }

    /// Changes one chain's part and its chips'.
    pub(crate) fn chips(&self, index: u8, change: impl FnOnce(&mut ChainStatus, &mut [ChipStatus])) {
        self.update(|told| {
            let place = usize::from(index);
            if let (Some(chain), Some(chips)) =
                (told.machine.chains.get_mut(place), told.chips.get_mut(place))
            {
                change(chain, chips);
            }
        });
    }

    /// A board is at `stage`. Hashing ends what was wrong with it.
    pub(crate) fn stage(&self, board: u8, stage: Stage) {
        let mut state = self.state.borrow_mut();
        let own = &mut state.boards[usize::from(board)];
        (own.stage, own.absent) = (stage, false);
        if stage == Stage::Hashing {
            own.fault = None;
        }
        drop(state);
        self.show();
    }

    /// A board is off power because of `fault`, until it hashes again. `reason` is all of it for people.
    pub(crate) fn fault(&self, board: u8, fault: &Fault, reason: &str) {
        self.board_off(board, described(fault, Some(board), reason), matches!(fault, Fault::Absent(_)));
    }

    /// A board is not to have power at all.
    pub(crate) fn refused(&self, board: u8, reason: &str) {
        self.board_off(board, refusal(Some(board), reason), false);
    }

    fn board_off(&self, board: u8, fault: FaultStatus, absent: bool) {
        self.state.borrow_mut().boards[usize::from(board)] =
            Board { stage: Stage::Off, fault: Some(fault), absent };
        self.chips(board, |chain, chips| {
            (chain.chips_found, chain.mhz, chain.die_celsius) = (0, 0.0, f64::NAN);
            for chip in chips {
                (chip.found, chip.die_celsius) = (false, f64::NAN);
            }
        });
        self.show();
    }

    /// All boards are off because of `fault`, or are not to have power.
    pub(crate) fn machine_fault(&self, fault: Option<&Fault>, reason: &str) {
        let fault = fault.map_or_else(|| refusal(None, reason), |fault| described(fault, None, reason));
        self.state.borrow_mut().machine = Some(fault);
        self.show();
    }

    pub(crate) fn machine_well(&self) {
        self.state.borrow_mut().machine = None;
        self.show();
    }

    /// The last look at a board.
    pub(crate) fn sample(&self, board: u8, sample: &Sample) {
        let parts = &self.boards[usize::from(board)];
        let powered = self.state.borrow().boards[usize::from(board)].stage >= Stage::Enumerate;
        let chip = parts.places.iter().zip(&sample.sensors);
        let chip = chip.filter(|(of, _)| **of == profile::Place::Chip).filter_map(|(_, celsius)| *celsius);
        let hottest = chip.fold(f64::NAN, f64::max);
        self.update(|Told { machine, .. }| {
            let volts = sample.rail_volts.unwrap_or(f64::NAN);
            machine.boards[usize::from(board)].volts = volts;
            if board == 0 {
                machine.rail_volts = volts;
            }
            machine.chains[usize::from(board)].chip_celsius = hottest;
            parts.show(machine, sample, powered);
        });
    }

    /// The last look at what boards share.
    pub(crate) fn machine_sample(&self, sample: &Sample, on: bool) {
        self.update(|Told { machine, .. }| {
            if let Some(psu) = &mut machine.psu {
                psu.volts = sample.rail_volts.unwrap_or(f64::NAN);
                let state = match sample.rail_volts {
                    None => "lost",
                    Some(_) if on => "on",
                    Some(_) => "off",
                };
                set(&mut psu.state, state);
            }
            self.common.show(machine, sample, on);
        });
    }

    /// The machine is where the board that is furthest back is, of those that nothing is wrong with.
    fn show(&self) {
        let state = self.state.borrow();
        let well = state.boards.iter().filter(|board| board.fault.is_none()).map(|board| board.stage);
        let on_its_way = state.boards.iter().map(|board| board.stage).filter(|stage| *stage > Stage::Off);
        let stage = match well.min().or(on_its_way.min()) {
            Some(stage) if state.machine.is_none() => stage.name(),
            _ => FAULT,
        };
        let faults =
            || state.machine.iter().chain(state.boards.iter().filter_map(|board| board.fault.as_ref()));
        let fault = faults().next().map_or("", |fault| fault.text.as_str());
        let changed = self.update(|Told { machine, .. }| {
            let changed = machine.stage != stage || machine.fault != fault;
            set(&mut machine.stage, stage);
            set(&mut machine.fault, fault);
            for (told, board) in machine.boards.iter_mut().zip(&state.boards) {
                let reason = board.fault.as_ref().map_or("", |fault| fault.text.as_str());
                let name = match board {
                    Board { absent: true, .. } => ABSENT,
                    Board { stage: Stage::Off, fault: Some(_), .. } => FAULT,
                    Board { stage, .. } => stage.name(),
                };
                set(&mut told.state, name);
                set(&mut told.reason, reason);
            }
            if !machine.faults.iter().eq(faults()) {
                machine.faults = faults().cloned().collect();
            }
            changed
        });
        if changed {
            let text = if stage == FAULT { format!("fault: {fault}") } else { stage.into() };
            crate::notify::status(&text);
        }
    }

    /// Everything may be changed; for what has no function of its own.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Told) -> T) -> T {
        change(&mut self.shared.lock().expect("no holder of the status panics"))
    }
}

impl Parts {
    fn show(&self, status: &mut HardwareStatus, sample: &Sample, powered: bool) {
        for (index, fan) in self.fans.clone().enumerate() {
            let rpm = sample.fans.get(index).copied().flatten();
            status.fan_rpm[fan] = rpm.unwrap_or(0);
            let told = &mut status.fans[fan];
            told.rpm = rpm.unwrap_or(0);
            let state = match rpm {
                Some(rpm) if rpm < self.min_rpm[index] => "slow",
                Some(_) => "good",
                None => "lost",
            };
            set(&mut told.state, state);
        }
        for (index, sensor) in self.sensors.clone().enumerate() {
            let celsius = sample.sensors.get(index).copied().flatten();
            // A chip's diode is open without power.
            let must = powered || self.places[index] != profile::Place::Chip;
            let told = &mut status.sensors[sensor];
            told.celsius = celsius.unwrap_or(f64::NAN);
            let state = match celsius {
                Some(_) => "good",
                None if must => "lost",
                None => "unknown",
            };
            set(&mut told.state, state);
        }
    }
}

/// Changes a text only where it differs: what is written every second shall not be made anew every second.
fn set(text: &mut String, new: &str) {
    if text != new {
        text.clear();
        text.push_str(new);
    }
}

/// At first: what the profile says.
fn chains(profile: &Profile) -> impl Iterator<Item = ChainStatus> {
    profile.board.iter().map(|board| &board.chain).zip(0..).map(|(chain, index)| ChainStatus {
        chain: index,
        board: index,
        chip: chain.chip.clone(),
        chips_expected: chain.chips,
        target_mhz: chain.mhz,
        min_mhz: chain.ramp.start_mhz,
        max_mhz: chain.max_mhz,
        throttle_mhz: f64::NAN,
        ticket_bits: chain.base_bits + chain.ticket_bits,
        chip_celsius: f64::NAN,
        die_celsius: f64::NAN,
        ..Default::default()
    })
}

fn board_statuses(profile: &Profile) -> impl Iterator<Item = BoardStatus> {
    let supply = profile.psu.as_ref().map_or(f64::NAN, |psu| psu.volts);
    profile.board.iter().zip(0..).map(move |(board, index)| BoardStatus {
        board: index,
        name: board.name.clone(),
        state: Stage::Off.name().into(),
        watts: f64::NAN,
        target_volts: board.rail.as_ref().map_or(supply, |rail| rail.volts),
        ..Default::default()
    })
}

fn chips(chip: &Chip, count: u16) -> Vec<ChipStatus> {
    let at = |place| ChipStatus {
        place,
        address: chip.address(place, count),
        die_celsius: f64::NAN,
        ..Default::default()
    };
    (0..count).map(at).collect()
}

fn at_first(fan: &profile::Fan, board: Option<u8>) -> FanStatus {
    FanStatus {
        name: fan.name.clone(),
        board,
        duty_percent: f64::NAN,
        state: "unknown".into(),
        ..Default::default()
    }
}

fn unread(sensor: &profile::Sensor, board: Option<u8>) -> SensorStatus {
    SensorStatus {
        name: sensor.name.clone(),
        part: sensor.part.device(),
        board,
        celsius: f64::NAN,
        state: "unknown".into(),
    }
}

/// What took power off; nothing here waits for anybody, the driver tries again by itself.
fn described(fault: &Fault, board: Option<u8>, reason: &str) -> FaultStatus {
    let (cause, part, value, unit) = match fault {
        Fault::Fan { name, rpm, .. } => ("fan stopped", name.as_str(), f64::from(*rpm), "rpm"),
        Fault::Ruled { cause: Some(cause), .. } => {
            let (value, unit) = match &cause.evidence {
                Evidence::Measured { value, unit, .. } => (*value, *unit),
                _ => (f64::NAN, ""),
            };
            (cause.hazard.name(), cause.part.as_str(), value, unit)
        }
        Fault::Ruled { cause: None, .. } => ("unproven", "board", f64::NAN, ""),
        Fault::StillWarm { celsius, .. } => ("board warm", "board", *celsius, "°C"),
        Fault::SensorLost(what) => ("sensor lost", what.as_str(), f64::NAN, ""),
        Fault::Rail { name, volts, max, .. } => {
            (if volts > max { "voltage high" } else { "voltage low" }, name.as_str(), *volts, "V")
        }
        Fault::NotSafe(_) => ("rail still on", "rail", f64::NAN, ""),
        Fault::Absent(_) => ("absent", "board", f64::NAN, ""),
        Fault::Shared => ("machine off", "machine", f64::NAN, ""),
        Fault::OfBoard { board, .. } => ("board", board.as_str(), f64::NAN, ""),
        Fault::Board(_) => ("controller silent", "controller", f64::NAN, ""),
        Fault::Chain { .. } => ("chain", "chain", f64::NAN, ""),
    };
    let part = match fault {
        Fault::Chain { chain, .. } => format!("chain {chain}"),
        _ => part.into(),
    };
    let needs_clearing =
        matches!(fault, Fault::Ruled { cause: Some(cause), .. } if cause.clears == Clears::Person);
    FaultStatus { cause: cause.into(), part, value, unit: unit.into(), needs_clearing, ..base(board, reason) }
}

/// What is not to have power whatever it says.
fn refusal(board: Option<u8>, reason: &str) -> FaultStatus {
    FaultStatus { cause: "refused".into(), part: "profile".into(), value: f64::NAN, ..base(board, reason) }
}

fn base(board: Option<u8>, reason: &str) -> FaultStatus {
    FaultStatus {
        board,
        text: reason.into(),
        stage: if board.is_some() { "chain off" } else { "all off" }.into(),
        since_ms: adit_sys::clock::monotonic_us() / 1000,
        ..Default::default()
    }
}

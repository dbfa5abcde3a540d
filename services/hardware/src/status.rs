//! What the machine is doing, for whoever looks through the status door.

use std::{
    cell::RefCell,
    sync::{Arc, Mutex},
};

use adit_bus::hardware::{ChainStatus, HardwareStatus};

use crate::{
    power::Sample,
    profile::{self, Profile},
};

/// Where the machine is on its way from off to hashing.
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

/// Shared by the machine, its chains and the status door. The lock is held for a few assignments only.
#[derive(Debug)]
pub(crate) struct Status {
    shared: Arc<Mutex<HardwareStatus>>,
    boards: RefCell<Vec<Place>>,
    /// Why all are off, whatever they say.
    machine: RefCell<String>,
}

/// One board's part.
#[derive(Debug, Clone)]
struct Place {
    stage: Stage,
    /// Why it is off; empty where nothing is wrong.
    fault: String,
    /// Where its fans begin in the list of all.
    fans: usize,
    /// Which of its sensors are of chips.
    chips: Vec<usize>,
}

impl Status {
    pub(crate) fn new(profile: &Profile) -> Self {
        let chains =
            profile.board.iter().map(|board| &board.chain).zip(0..).map(|(chain, index)| ChainStatus {
                chain: index,
                chip: chain.chip.clone(),
                chips_expected: chain.chips,
                ticket_bits: chain.base_bits + chain.ticket_bits,
                chip_celsius: f64::NAN,
                die_celsius: f64::NAN,
                ..Default::default()
            });
        let mut fans = profile.fan.len();
        let boards = profile.board.iter().map(|board| {
            let is_chip = |sensor: &profile::Sensor| sensor.of == profile::Place::Chip;
            let chips = board.sensor.iter().enumerate().filter(|(_, sensor)| is_chip(sensor));
            let chips = chips.map(|(index, _)| index).collect();
            let place = Place { stage: Stage::Off, fault: String::new(), fans, chips };
            fans += board.fan.len();
            place
        });
        let boards = boards.collect();
        let status = HardwareStatus {
            machine: profile.name.clone(),
            simulated: profile.simulated,
            stage: Stage::Off.name().into(),
            fan_rpm: vec![0; fans],
            chains: chains.collect(),
            ..Default::default()
        };
        Self {
            shared: Arc::new(Mutex::new(status)),
            boards: RefCell::new(boards),
            machine: RefCell::default(),
        }
    }

    /// For the door.
    pub(crate) fn shared(&self) -> Arc<Mutex<HardwareStatus>> {
        Arc::clone(&self.shared)
    }

    /// Changes one chain's part.
    pub(crate) fn chain(&self, index: u8, change: impl FnOnce(&mut ChainStatus)) {
        self.update(|status| {
            if let Some(chain) = status.chains.get_mut(usize::from(index)) {
                change(chain);
            }
        });
    }

    /// A board is at `stage`. Hashing ends what was wrong with it.
    pub(crate) fn stage(&self, board: u8, stage: Stage) {
        let mut boards = self.boards.borrow_mut();
        let place = &mut boards[usize::from(board)];
        place.stage = stage;
        if stage == Stage::Hashing {
            place.fault.clear();
        }
        drop(boards);
        self.show();
    }

    /// A board is off power because of `reason`, until it hashes again.
    pub(crate) fn fault(&self, board: u8, reason: &str) {
        let mut boards = self.boards.borrow_mut();
        let place = &mut boards[usize::from(board)];
        (place.stage, place.fault) = (Stage::Off, reason.into());
        drop(boards);
        self.chain(board, |chain| {
            (chain.chips_found, chain.mhz, chain.die_celsius) = (0, 0.0, f64::NAN);
        });
        self.show();
    }

    /// All boards are off because of `reason`.
    pub(crate) fn machine_fault(&self, reason: &str) {
        self.machine.replace(reason.into());
        self.show();
    }

    pub(crate) fn machine_well(&self) {
        self.machine.take();
        self.show();
    }

    /// The last look at a board.
    pub(crate) fn sample(&self, board: u8, sample: &Sample) {
        let boards = self.boards.borrow();
        let Place { fans: first, chips, .. } = &boards[usize::from(board)];
        let celsius = chips.iter().filter_map(|chip| sample.sensors.get(*chip).copied().flatten());
        let hottest = celsius.fold(f64::NAN, f64::max);
        self.update(|status| {
            if board == 0 {
                status.rail_volts = sample.rail_volts.unwrap_or(f64::NAN);
            }
            for (place, rpm) in status.fan_rpm.iter_mut().skip(*first).zip(&sample.fans) {
                *place = rpm.unwrap_or(0);
            }
            if let Some(chain) = status.chains.get_mut(usize::from(board)) {
                chain.chip_celsius = hottest;
            }
        });
    }

    /// The last look at what boards share.
    pub(crate) fn machine_sample(&self, sample: &Sample) {
        self.update(|status| {
            for (place, rpm) in status.fan_rpm.iter_mut().zip(&sample.fans) {
                *place = rpm.unwrap_or(0);
            }
        });
    }

    /// The machine is where its slowest board is, of those that nothing is wrong with.
    fn show(&self) {
        let boards = self.boards.borrow();
        let machine = self.machine.borrow();
        let well = boards.iter().filter(|board| board.fault.is_empty()).map(|board| board.stage);
        let on_its_way = boards.iter().map(|board| board.stage).filter(|stage| *stage > Stage::Off).min();
        let stage = match well.min().or(on_its_way) {
            Some(stage) if machine.is_empty() => stage.name(),
            _ => "fault",
        };
        let faults = boards.iter().map(|board| board.fault.as_str());
        let fault = std::iter::once(machine.as_str()).chain(faults).find(|fault| !fault.is_empty());
        let fault = fault.unwrap_or_default();
        let changed = self.update(|status| {
            let changed = status.stage != stage || status.fault != fault;
            if changed {
                (status.stage, status.fault) = (stage.into(), fault.into());
            }
            changed
        });
        if changed {
            let text = if stage == "fault" { format!("fault: {fault}") } else { stage.into() };
            crate::notify::status(&text);
        }
    }

    fn update<T>(&self, change: impl FnOnce(&mut HardwareStatus) -> T) -> T {
        change(&mut self.shared.lock().expect("no holder of the status panics"))
    }
}

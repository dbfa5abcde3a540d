//! What the machine is doing, for whoever looks through the status door.
//!
//! Everything that grows is made at the start: what chains, the machine's loop and safety write while it runs are numbers and short texts in their places.

use std::{
    cell::RefCell,
    sync::{Arc, Mutex},
};

use adit_asic::Chip;
use adit_bus::hardware::{
    BoardStatus, ChainStatus, ChipStatus, FanStatus, FaultStatus, HardwareStatus, SensorStatus,
};

use crate::{
    power::{Fault, Sample},
    profile::{FanKind, Profile},
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

/// All that the status door tells.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) machine: HardwareStatus,
    /// By chain.
    pub(crate) chips: Vec<Vec<ChipStatus>>,
}

/// Shared by the machine, its chains and the status door. The lock is held for a few assignments only.
#[derive(Debug)]
pub(crate) struct Status {
    shared: Arc<Mutex<Told>>,
    chains: RefCell<Vec<Stage>>,
    /// Below this a fan is slow.
    min_rpm: u32,
}

impl Status {
    pub(crate) fn new(profile: &Profile) -> Self {
        let told = Told {
            machine: HardwareStatus {
                machine: profile.name.clone(),
                simulated: profile.simulated,
                stage: Stage::Off.name().into(),
                fan_rpm: vec![0],
                chains: chains(profile).collect(),
                boards: vec![BoardStatus {
                    name: profile.name.clone(),
                    state: Stage::Off.name().into(),
                    watts: f64::NAN,
                    target_volts: profile.rail.volts,
                    ..Default::default()
                }],
                sensors: sensors(profile).into(),
                fans: vec![FanStatus {
                    name: "fan".into(),
                    board: Some(0),
                    duty_percent: f64::NAN,
                    state: "unknown".into(),
                    ..Default::default()
                }],
                ..Default::default()
            },
            chips: profile.chain.iter().map(|chain| chips(chain.chip(), chain.chips)).collect(),
        };
        Self {
            shared: Arc::new(Mutex::new(told)),
            chains: RefCell::new(vec![Stage::Off; profile.chain.len()]),
            min_rpm: profile.fan.min_rpm,
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

    /// The whole machine is at `stage`.
    pub(crate) fn stage(&self, stage: Stage) {
        self.chains.borrow_mut().fill(stage);
        self.show(stage);
    }

    /// One chain is at `stage`; the machine is where its slowest chain is.
    pub(crate) fn stage_of(&self, chain: u8, stage: Stage) {
        let mut chains = self.chains.borrow_mut();
        chains[usize::from(chain)] = stage;
        let slowest = chains.iter().copied().min().unwrap_or(stage);
        drop(chains);
        self.show(slowest);
    }

    /// Off power because of `fault`, until it hashes again. `reason` is all of it for people.
    pub(crate) fn fault(&self, fault: &Fault, reason: &str) {
        self.chains.borrow_mut().fill(Stage::Off);
        self.update(|Told { machine: status, chips }| {
            status.stage = "fault".into();
            status.fault = reason.into();
            for board in &mut status.boards {
                board.state.clone_from(&status.stage);
                board.reason = reason.into();
            }
            for chain in &mut status.chains {
                (chain.chips_found, chain.mhz, chain.die_celsius) = (0, 0.0, f64::NAN);
            }
            for chip in chips.iter_mut().flatten() {
                (chip.found, chip.die_celsius) = (false, f64::NAN);
            }
            status.faults = vec![described(fault, reason)];
        });
        crate::notify::status(&format!("fault: {reason}"));
    }

    /// The last look at the machine.
    pub(crate) fn sample(&self, sample: &Sample) {
        let powered = self.chains.borrow().iter().any(|stage| *stage >= Stage::Enumerate);
        self.update(|Told { machine: status, .. }| {
            status.rail_volts = sample.rail_volts.unwrap_or(f64::NAN);
            status.fan_rpm[0] = sample.fan_rpm.unwrap_or(0);
            if let Some(chain) = status.chains.first_mut() {
                chain.chip_celsius = sample.chip_celsius.unwrap_or(f64::NAN);
            }
            status.boards[0].volts = status.rail_volts;
            let [chip, board] = &mut status.sensors[..] else { return };
            // A chip's diode is open without power.
            for (sensor, celsius, must) in
                [(chip, sample.chip_celsius, powered), (board, sample.board_celsius, true)]
            {
                sensor.celsius = celsius.unwrap_or(f64::NAN);
                set(
                    &mut sensor.state,
                    match celsius {
                        Some(_) => "good",
                        None if must => "lost",
                        None => "unknown",
                    },
                );
            }
            let fan = &mut status.fans[0];
            fan.rpm = sample.fan_rpm.unwrap_or(0);
            set(
                &mut fan.state,
                match sample.fan_rpm {
                    Some(rpm) if rpm < self.min_rpm => "slow",
                    Some(_) => "good",
                    None => "lost",
                },
            );
        });
    }

    fn show(&self, stage: Stage) {
        let changed = self.update(|Told { machine: status, .. }| {
            let changed = status.stage != stage.name();
            set(&mut status.stage, stage.name());
            for board in &mut status.boards {
                set(&mut board.state, stage.name());
            }
            if stage == Stage::Hashing {
                status.fault.clear();
                status.faults.clear();
                status.boards.iter_mut().for_each(|board| board.reason.clear());
            }
            changed
        });
        if changed {
            crate::notify::status(stage.name());
        }
    }

    /// Everything may be changed; for what has no function of its own.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Told) -> T) -> T {
        change(&mut self.shared.lock().expect("no holder of the status panics"))
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
    profile.chain.iter().zip(0..).map(|(chain, index)| ChainStatus {
        chain: index,
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

fn chips(chip: &Chip, count: u16) -> Vec<ChipStatus> {
    let at = |place| ChipStatus {
        place,
        address: chip.address(place, count),
        die_celsius: f64::NAN,
        ..Default::default()
    };
    (0..count).map(at).collect()
}

/// The two thermometers of the fan controller: the chip's diode and its own.
fn sensors(profile: &Profile) -> [SensorStatus; 2] {
    let part = match profile.fan.kind {
        FanKind::Emc2101 => format!("emc2101 {:02x}", profile.fan.address),
    };
    ["chip", "board"].map(|name| SensorStatus {
        name: name.into(),
        part: part.clone(),
        board: Some(0),
        celsius: f64::NAN,
        state: "unknown".into(),
    })
}

/// What took power off; nothing here waits for anybody, the driver tries again by itself.
fn described(fault: &Fault, reason: &str) -> FaultStatus {
    let (cause, part, value, unit) = match fault {
        Fault::Fan { rpm, .. } => ("fan stopped", "fan", f64::from(*rpm), "rpm"),
        Fault::ChipHot { celsius, .. } => ("chip hot", "chip", *celsius, "°C"),
        Fault::BoardHot { celsius, .. } => ("board hot", "board", *celsius, "°C"),
        Fault::StillWarm { celsius, .. } => ("board warm", "board", *celsius, "°C"),
        Fault::SensorLost(what) => ("sensor lost", *what, f64::NAN, ""),
        Fault::Rail { volts, max, .. } => {
            (if volts > max { "voltage high" } else { "voltage low" }, "rail", *volts, "V")
        }
        Fault::NotSafe(_) => ("rail still on", "rail", f64::NAN, ""),
        Fault::Silent(_) | Fault::Board(_) => ("controller silent", "controller", f64::NAN, ""),
        Fault::Chain { .. } => ("chain", "chain", f64::NAN, ""),
    };
    let part = match fault {
        Fault::Chain { chain, .. } => format!("chain {chain}"),
        _ => part.into(),
    };
    FaultStatus {
        cause: cause.into(),
        part,
        board: Some(0),
        value,
        unit: unit.into(),
        text: reason.into(),
        stage: "all off".into(),
        since_ms: adit_sys::clock::monotonic_us() / 1000,
        needs_clearing: false,
    }
}

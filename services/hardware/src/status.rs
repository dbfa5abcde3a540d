//! What the machine is doing, for whoever looks through the status door.

use std::{
    cell::RefCell,
    sync::{Arc, Mutex},
};

use adit_bus::hardware::{ChainStatus, HardwareStatus};

use crate::{power::Sample, profile::Profile};

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
    chains: RefCell<Vec<Stage>>,
}

impl Status {
    pub(crate) fn new(profile: &Profile) -> Self {
        let chains = profile.chain.iter().zip(0..).map(|(chain, index)| ChainStatus {
            chain: index,
            chip: chain.chip.clone(),
            chips_expected: chain.chips,
            ticket_bits: chain.base_bits + chain.ticket_bits,
            chip_celsius: f64::NAN,
            die_celsius: f64::NAN,
            ..Default::default()
        });
        let status = HardwareStatus {
            machine: profile.name.clone(),
            simulated: profile.simulated,
            stage: Stage::Off.name().into(),
            fan_rpm: vec![0],
            chains: chains.collect(),
            ..Default::default()
        };
        Self {
            shared: Arc::new(Mutex::new(status)),
            chains: RefCell::new(vec![Stage::Off; profile.chain.len()]),
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

    /// Off power because of `reason`, until it hashes again.
    pub(crate) fn fault(&self, reason: &str) {
        self.chains.borrow_mut().fill(Stage::Off);
        self.update(|status| {
            status.stage = "fault".into();
            status.fault = reason.into();
            for chain in &mut status.chains {
                (chain.chips_found, chain.mhz, chain.die_celsius) = (0, 0.0, f64::NAN);
            }
        });
        crate::notify::status(&format!("fault: {reason}"));
    }

    /// The last look at the machine.
    pub(crate) fn sample(&self, sample: &Sample) {
        self.update(|status| {
            status.rail_volts = sample.rail_volts.unwrap_or(f64::NAN);
            status.fan_rpm[0] = sample.fan_rpm.unwrap_or(0);
            if let Some(chain) = status.chains.first_mut() {
                chain.chip_celsius = sample.chip_celsius.unwrap_or(f64::NAN);
            }
        });
    }

    fn show(&self, stage: Stage) {
        let changed = self.update(|status| {
            let changed = status.stage != stage.name();
            if changed {
                status.stage = stage.name().into();
            }
            if stage == Stage::Hashing {
                status.fault.clear();
            }
            changed
        });
        if changed {
            crate::notify::status(stage.name());
        }
    }

    fn update<T>(&self, change: impl FnOnce(&mut HardwareStatus) -> T) -> T {
        change(&mut self.shared.lock().expect("no holder of the status panics"))
    }
}

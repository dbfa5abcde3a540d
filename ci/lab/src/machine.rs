//! Simulated machines for a unit in QEMU: which profile drives each, and where its wires end.

use std::path::{Path, PathBuf};

use adit_image::qemu::FarEnd;
use adit_simulator::{Config, Endpoint, Handle, MachineConfig, MachineModel, S19J_PRO, S21, Simulator};
use anyhow::{Context, Result};

use crate::buses::Buses;

/// A machine, not yet running.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Name of its profile, in `overlay/etc/adit/machines`.
    pub profile: &'static str,
    /// `None`: a Bitaxe, whose board hangs on a serial port. Else one whose parts hang on the unit's buses.
    model: Option<&'static MachineModel>,
    /// What its boards' EEPROMs hold, board 0 first, instead of what they should.
    pub eeproms: Vec<[u8; 256]>,
}

/// What one of the unit's four serial ports leads to.
#[derive(Debug)]
pub(crate) enum Wire {
    /// The simulator listens.
    Machine(PathBuf),
    /// QEMU listens, for the fault-injection agent's orders.
    Agent(PathBuf),
    Nothing,
}

impl Wire {
    pub(crate) fn as_far_end(&self) -> FarEnd<'_> {
        match self {
            Self::Machine(socket) => FarEnd::Client(socket),
            Self::Agent(socket) => FarEnd::Server(socket),
            Self::Nothing => FarEnd::Nothing,
        }
    }
}

impl Machine {
    /// What `scripts/run` drives unless told otherwise.
    pub fn bitaxe() -> Self {
        Self { profile: "qemu-bitaxe", model: None, eeproms: Vec::new() }
    }

    /// The same machine under another profile, as test images have them.
    pub fn bitaxe_with(profile: &'static str) -> Self {
        Self { profile, ..Self::bitaxe() }
    }

    /// Three boards of 126 BM1362.
    pub fn s19j_pro() -> Self {
        Self { profile: "qemu-s19j-pro", model: Some(&S19J_PRO), ..Self::bitaxe() }
    }

    /// Three boards of 108 BM1368.
    pub fn s21() -> Self {
        Self { profile: "qemu-s21", model: Some(&S21), ..Self::bitaxe() }
    }

    /// Errors: there is none whose profile is called so.
    pub fn by_profile(name: &str) -> Result<Self> {
        let all = [Self::bitaxe(), Self::s19j_pro(), Self::s21()];
        let known = all.each_ref().map(|machine| machine.profile).join(", ");
        let found = all.into_iter().find(|machine| machine.profile == name);
        found.with_context(|| {
            format!("no machine \"{name}\" can be simulated for a unit in QEMU: there are {known}")
        })
    }

    /// Runs it with its sockets in `folder`. It searches 2^`hurry_bits` times as fast as otherwise.
    pub(crate) fn start(&self, folder: &Path, hurry_bits: u32) -> Result<Handle> {
        let control = Some(folder.join("machine.sock"));
        let socket = |name: &str| Endpoint::Unix(folder.join(name));
        let started = match self.model {
            None => {
                let mut config = Config { control, ..Config::bitaxe(socket(CHAINS[0]), socket(BOARD)) };
                config.slowdown_bits = config.slowdown_bits.saturating_sub(hurry_bits);
                Simulator::start(&config)
            }
            Some(model) => {
                let chains = CHAINS.into_iter().map(socket).collect();
                let eeproms = self.eeproms.clone();
                let mut config =
                    MachineConfig { control, eeproms, ..MachineConfig::new(model, chains, None) };
                config.slowdown_bits = config.slowdown_bits.saturating_sub(hurry_bits);
                Simulator::start_machine(&config)
            }
        };
        started.context("simulated machine")
    }

    /// `/dev/ttyS0` to `/dev/ttyS3` of the unit, as the profile names them. The agent has the third.
    pub(crate) fn serial_ports(&self, folder: &Path, agent: &Path) -> [Wire; 4] {
        let machine = |name: &str| Wire::Machine(folder.join(name));
        let agent = Wire::Agent(agent.to_owned());
        match self.model {
            None => [machine(CHAINS[0]), machine(BOARD), agent, Wire::Nothing],
            Some(_) => [machine(CHAINS[0]), machine(CHAINS[1]), agent, machine(CHAINS[2])],
        }
    }

    /// The machine's own buses, with `others` behind them.
    pub(crate) fn buses(&self, running: &Handle, others: &Buses) -> Buses {
        let mut buses = if self.model.is_some() { Buses::of(running) } else { Buses::default() };
        buses.i2c.extend_from_slice(&others.i2c);
        buses.gpio.extend_from_slice(&others.gpio);
        buses.usb_ports += others.usb_ports;
        buses
    }
}

const CHAINS: [&str; 3] = ["chain0.sock", "chain1.sock", "chain2.sock"];
const BOARD: &str = "board.sock";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_found_by_its_profile_and_another_name_is_answered_with_those_there_are() {
        assert_eq!(Machine::by_profile("qemu-s21").unwrap().profile, "qemu-s21");
        let answer = Machine::by_profile("s21").unwrap_err().to_string();
        assert!(answer.ends_with("there are qemu-bitaxe, qemu-s19j-pro, qemu-s21"), "{answer}");
    }
}

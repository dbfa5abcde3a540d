//! Chips on one line: who hears a command, who answers, in which order.

use super::TicketMask;
use super::behind::{self, Behind};
use super::model::Model;
use super::own::Activity;
use super::single::Chip;
use crate::search::{ChipWork, Work};
use crate::wire::{Body, Command, Dialect, Job, Response, Target};
use std::sync::Arc;

/// What a command brought about.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Answer(Response),
    /// The PLL of the first chip that heard it now makes this many MHz; `None`: it is not locked.
    Pll(Option<f64>),
    Baud(u32),
    /// A job began.
    Job(Arc<Job>),
    /// A command that a chip could not follow.
    Refused(&'static str),
}

/// The chips of one hash board, nearest to the host first.
pub struct Chain {
    model: &'static Model,
    chips: Vec<Chip>,
    powered: bool,
    job: Option<Arc<Job>>,
    /// Jobs since the simulation began; a new number starts every sweep anew.
    job_serial: u64,
    /// A thermometer on a chip's own bus.
    pub(crate) behind: Option<Behind>,
}

impl Chain {
    /// Without power, so silent.
    pub fn new(model: &'static Model, chips: usize) -> Self {
        Self {
            model,
            chips: (0..chips).map(|_| Chip::new(model)).collect(),
            powered: false,
            job: None,
            job_serial: 0,
            behind: None,
        }
    }

    /// Core voltage is there and reset is released. Without either, chips forget everything.
    pub fn set_powered(&mut self, powered: bool) {
        if self.powered != powered {
            self.powered = powered;
            self.chips.fill(Chip::new(self.model));
            self.job = None;
        }
    }

    pub fn powered(&self) -> bool {
        self.powered
    }

    /// Does what `command` says, with only the first `reachable` chips there (the rest have fallen off the chain).
    pub fn execute(&mut self, command: Command, reachable: usize) -> Vec<Effect> {
        let mut effects = Vec::new();
        if !self.powered {
            return effects;
        }
        let reachable = reachable.min(self.chips.len());
        let chips = &mut self.chips[..reachable];
        match command {
            Command::ChainInactive => {
                for chip in chips.iter_mut().filter(|chip| !chip.deaf) {
                    (chip.address, chip.addressed, chip.waiting) = (0, false, true);
                }
            }
            Command::SetAddress(address) => {
                // Nobody waiting: it runs off the end of the chain, as the surplus ones of every bring-up do.
                if let Some(chip) = chips.iter_mut().find(|chip| chip.waiting && !chip.deaf) {
                    let address = if chip.stuck { 0 } else { address };
                    (chip.address, chip.addressed, chip.waiting) = (address, true, false);
                }
            }
            Command::Read { target, register } => {
                let listening = chips.iter().filter(|chip| !chip.waiting && hears(chip, target));
                effects.extend(listening.filter_map(|chip| chip.answer(register)).map(Effect::Answer));
            }
            Command::Write { target, register, value } => {
                effects = write(chips, target, register, value);
                if register == behind::REGISTER && self.model.dialect() == Dialect::Bm1387 {
                    for (index, chip) in chips.iter_mut().enumerate().filter(|(_, chip)| hears(chip, target))
                    {
                        chip.ask(self.behind.as_mut().filter(|behind| behind.chip == index));
                    }
                }
            }
            Command::Job(job) => {
                if let Some(refused) = refuses(&job, chips) {
                    effects.push(Effect::Refused(refused));
                }
                if self.model.dialect() == Dialect::Bm1387 {
                    chips.iter_mut().for_each(|chip| chip.job_came(&job));
                }
                if job.start_nonce != 0 {
                    effects.push(Effect::Refused("job: start nonce is not 0"));
                }
                let job = Arc::<Job>::from(job);
                self.job = Some(job.clone());
                self.job_serial += 1;
                effects.push(Effect::Job(job));
            }
        }
        effects
    }

    /// Time passes for chips that are all alike and never err.
    pub fn advance(&mut self, seconds: f64, celsius: f64) {
        self.advance_each(seconds, &self.activities(), |_| (celsius, 0.0));
    }

    /// Time passes: chips count what they hash, and what of it came out wrong, and feel the heat. `activities` is what
    /// [`Chain::activities`] said since the last command; `feels` tells of a chip its °C and the share of its hashes that
    /// come out wrong.
    pub(crate) fn advance_each(
        &mut self,
        seconds: f64,
        activities: &[Activity],
        feels: impl Fn(usize) -> (f64, f64),
    ) {
        for (index, (chip, activity)) in self.chips.iter_mut().zip(activities).enumerate() {
            let (celsius, errors) = feels(index);
            chip.feel(celsius);
            chip.hash_for(seconds, activity, errors);
        }
    }

    /// What each chip does now.
    pub(crate) fn activities(&self) -> Vec<Activity> {
        let hashing = self.job.is_some();
        self.chips.iter().map(|chip| chip.activity(hashing)).collect()
    }

    /// This chip neither hears nor answers, that one takes no address; none: no chip is so.
    pub(crate) fn disturb(&mut self, deaf: Option<u32>, stuck: Option<u32>) {
        for (index, chip) in self.chips.iter_mut().enumerate() {
            chip.deaf = deaf == Some(index as u32);
            chip.stuck = stuck == Some(index as u32);
        }
    }

    /// This chip found one of its own hashes wrong.
    pub fn found_one_wrong(&mut self, chip: usize) {
        if let Some(chip) = self.chips.get_mut(chip) {
            chip.found_one_wrong();
        }
    }

    /// What the chips would search now; `None` when there is no job or no chip that hashes.
    pub fn work(&self, reachable: usize, base_bits: u32) -> Option<Work> {
        let job = self.job.clone()?;
        let chips: Vec<ChipWork> = self.chips[..reachable.min(self.chips.len())]
            .iter()
            .enumerate()
            .filter(|(_, chip)| !chip.deaf)
            .filter_map(|(index, chip)| {
                Some(ChipWork {
                    index,
                    sweeping: chip.sweeping()?,
                    ticket: chip.ticket_mask(),
                    version_mask: chip.version_mask(),
                })
            })
            .collect();
        (!chips.is_empty()).then_some(Work {
            model: self.model,
            job,
            job_serial: self.job_serial,
            chips,
            base_bits,
        })
    }

    /// Of a chip's own counter.
    pub(crate) fn errors(&self, chip: usize) -> u32 {
        self.chips.get(chip).map_or(0, Chip::errors)
    }

    pub fn len(&self) -> usize {
        self.chips.len()
    }

    pub fn is_empty(&self) -> bool {
        self.chips.is_empty()
    }

    pub fn addressed(&self) -> usize {
        self.chips.iter().filter(|chip| chip.addressed).count()
    }

    /// What the chip next to the host uses, and with it the line.
    pub fn baud(&self) -> u32 {
        self.chips.first().map_or(0, Chip::baud)
    }

    pub fn mhz(&self) -> Option<f64> {
        self.chips.first()?.mhz
    }

    pub fn model(&self) -> &'static Model {
        self.model
    }

    pub fn wide(&self) -> bool {
        self.chips.first().is_some_and(Chip::wide)
    }

    pub fn ticket_mask(&self) -> TicketMask {
        self.chips.first().map(Chip::ticket_mask).unwrap_or_default()
    }

    pub fn version_mask(&self) -> u16 {
        self.chips.first().map_or(0, Chip::version_mask)
    }
}

/// What chips would not do with a job.
fn refuses(job: &Job, chips: &[Chip]) -> Option<&'static str> {
    let states = match &job.body {
        Body::Header { .. } => return (job.midstates != 1).then_some("job: number of midstates is not 1"),
        Body::Midstates { states, .. } => states.len(),
    };
    if states != usize::from(job.midstates) || ![1, 2, 4].contains(&states) {
        return Some("job: number of midstates is not that of the frame's length");
    }
    if job.id & 0x83 != 0 {
        return Some("job: id has bits that come back as the midstate");
    }
    let ready = states == 1 || chips.iter().all(Chip::many_midstates);
    (!ready).then_some("job: chips are not set up for more than one midstate")
}

/// A chip that waits for an address has none, so only commands to all are for it.
fn hears(chip: &Chip, target: Target) -> bool {
    if chip.deaf {
        return false;
    }
    match target {
        Target::All => true,
        Target::Chip(address) => !chip.waiting && chip.address == address,
    }
}

fn write(chips: &mut [Chip], target: Target, register: u8, value: u32) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut first = None;
    for (index, chip) in chips.iter_mut().enumerate().filter(|(_, chip)| hears(chip, target)) {
        let refused = chip.write(register, value).err();
        if first.is_none() {
            first = Some(index);
            effects.extend(refused.map(Effect::Refused));
        }
    }
    if let Some(index) = first {
        let model = chips[index].model;
        if register == model.pll_register {
            effects.push(Effect::Pll(chips[index].mhz));
        } else if register == model.baud_register && index == 0 {
            effects.push(Effect::Baud(chips[0].baud()));
        }
    }
    effects
}

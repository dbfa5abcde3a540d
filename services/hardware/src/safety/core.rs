//! Readings in, verdicts out: the places of one machine together.

use std::fmt;

use super::{
    Clears, Evidence, Hazard, Time,
    hazard::Stage,
    limits::{Limits, Wrong},
    zone::{Around, Zone},
};

/// Where a part is. A board is named by its index in [`Limits::boards`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    Machine,
    Board(usize),
}

/// What was read or done. A part is named by its index in its place's [`Parts`](super::Parts); `None`: could not be read.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    Celsius(usize, Option<f64>),
    Rpm(usize, Option<f64>),
    /// What the fan was told, of 100.
    Percent(usize, u8),
    Volts(usize, Option<f64>),
    Amperes(usize, Option<f64>),
    /// What the board turns into heat: measured, or else reckoned from what it was told to do.
    Watts(f64),
    /// The board's controller was asked, and answered or not.
    Answers(bool),
    Identity(Identity),
    /// The PSU was asked, and answered so or not at all.
    Psu(Option<PsuState>),
    /// A sign of life of the control loop: any valid frame on the work path.
    Control,
    /// The place is about to get power, or was just switched off.
    Power(bool),
    /// A board has come or is gone. Whoever comes is proven anew.
    Plugged(bool),
}

/// Whether the EEPROM says what the profile says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    Matches,
    Differs { profile: String, eeprom: String },
    Unreadable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PsuState {
    On,
    Off,
    Fault,
}

/// What fans are asked to do. `Normal` is whatever regulates them, never below what keeps them turning; with all chips off that is quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FanDemand {
    /// No fans here.
    None,
    Normal,
    Full,
}

/// What holds power back although nothing is latched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    pub part: String,
    pub why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    Absent,
    /// Not seen well twice in a row yet.
    Unproven,
    Warm,
    /// Nobody wants it to hash: an unclaimed unit, or adit-miner has yet to start.
    Unasked,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    pub stage: Stage,
    pub fans: FanDemand,
    pub waits_for: Option<Wait>,
}

/// `machine` rules the PSU and the common fans; a board's stage is never below the machine's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub machine: Ruling,
    pub boards: Vec<Ruling>,
}

/// What is latched, for people.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    pub hazard: Hazard,
    pub place: Place,
    pub part: String,
    /// The strictest that it has led to yet.
    pub stage: Stage,
    /// When it began, and when it was latched.
    pub since: Time,
    pub at: Time,
    /// As seen when it was latched.
    pub evidence: Evidence,
    pub clears: Clears,
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} ({})", self.part, self.hazard, self.evidence)
    }
}

/// See the [module](super).
#[derive(Debug)]
pub struct Safety {
    limits: Limits,
    now: Time,
    machine: Zone,
    boards: Vec<Zone>,
}

impl Safety {
    /// Everything unproven, all boards plugged, nothing with power. Errors: limits by which no machine can be run.
    pub fn new(limits: Limits, now: Time) -> Result<Self, Wrong> {
        limits.check()?;
        let machine = Zone::machine(&limits, now);
        let boards = limits.boards.iter().map(|board| Zone::board(board, &limits, now)).collect();
        Ok(Self { limits, now, machine, boards })
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes in what was read at `now`. Time that runs backwards stands still; what is read at a part that the limits do not name is dropped.
    pub fn see(&mut self, now: Time, place: Place, reading: Reading) {
        self.now = self.now.max(now);
        if let (Place::Board(index), Reading::Plugged(plugged)) = (place, &reading) {
            return self.plug(index, *plugged);
        }
        let around = self.around(place);
        let (now, rules) = (self.now, &self.limits.rules);
        let zone = match place {
            Place::Machine => Some(&mut self.machine),
            Place::Board(index) => self.boards.get_mut(index),
        };
        if let Some(zone) = zone
            && zone.plugged
        {
            zone.see(now, reading, &around, rules);
        }
    }

    /// Ends the present look: what did not come counts as missing, silence as silence.
    pub fn judge(&mut self, now: Time) -> Verdict {
        self.now = self.now.max(now);
        let now = self.now;
        let around = self.around(Place::Machine);
        self.machine.tick(now, &around, &self.limits.rules);
        for index in 0..self.boards.len() {
            let around = self.around(Place::Board(index));
            if self.boards[index].plugged {
                self.boards[index].tick(now, &around, &self.limits.rules);
            }
        }
        self.verdict()
    }

    /// A person says that what happened at `place` is dealt with. Only what is well now is cleared; true when nothing stays latched there.
    pub fn clear(&mut self, place: Place) -> bool {
        match place {
            Place::Machine => self.machine.clear(),
            Place::Board(index) => self.boards.get_mut(index).is_none_or(Zone::clear),
        }
    }

    /// Everything that is latched, the machine's first.
    pub fn causes(&self) -> Vec<Cause> {
        let boards = self.boards.iter().enumerate().map(|(index, zone)| (Place::Board(index), zone));
        std::iter::once((Place::Machine, &self.machine))
            .chain(boards)
            .flat_map(|(place, zone)| {
                zone.latches().map(move |(part, hazard, latch)| Cause {
                    hazard,
                    place,
                    part: part.into(),
                    stage: latch.stage,
                    since: latch.since,
                    at: latch.at,
                    evidence: latch.evidence,
                    clears: self.limits.rules[hazard].ends(latch.stage),
                })
            })
            .collect()
    }

    fn plug(&mut self, index: usize, plugged: bool) {
        let (Some(zone), Some(board)) = (self.boards.get_mut(index), self.limits.boards.get(index)) else {
            return;
        };
        if zone.plugged != plugged {
            let old = std::mem::replace(zone, Zone::board(board, &self.limits, self.now));
            zone.adopt(&old, &self.limits.rules);
            zone.plugged = plugged;
        }
    }

    fn around(&self, place: Place) -> Around {
        let psu = self.machine.power;
        let zone = match place {
            Place::Machine => &self.machine,
            Place::Board(index) => self.boards.get(index).unwrap_or(&self.machine),
        };
        let watts = match place {
            Place::Machine => self.boards.iter().map(Zone::watts).sum(),
            Place::Board(_) => zone.watts(),
        };
        let breeze = zone.breeze().or(self.machine.breeze()).unwrap_or(1.0);
        let cool = zone.is_cool(self.now, psu);
        Around { power: zone.power, psu, heat: watts / breeze, cool }
    }

    fn verdict(&self) -> Verdict {
        let (now, psu) = (self.now, self.machine.power);
        let waits: Vec<_> = self.boards.iter().map(|board| board.wait(now, psu)).collect();
        let wait = self.machine.wait(now, psu);

        let held = |zone: &Zone, wait: &Option<Wait>| {
            let waiting = if wait.is_some() { zone.waiting_stage() } else { Stage::Run };
            zone.stage().max(waiting)
        };
        let stages: Vec<_> = self.boards.iter().zip(&waits).map(|(board, wait)| held(board, wait)).collect();
        let taken =
            self.boards.iter().zip(&stages).any(|(board, stage)| board.plugged && *stage == Stage::AllOff);
        let all = held(&self.machine, &wait).max(if taken { Stage::AllOff } else { Stage::Run });

        let hot = |zone: &Zone, stage: Stage| stage > Stage::Run && zone.plugged && !zone.is_cool(now, psu);
        let any_hot = hot(&self.machine, all)
            || self.boards.iter().zip(&stages).any(|(board, stage)| hot(board, all.max(*stage)));
        let boards = self.boards.iter().zip(stages).zip(waits).map(|((board, stage), waits_for)| {
            let stage = stage.max(all);
            Ruling { stage, fans: board.demand(hot(board, stage)), waits_for }
        });
        Verdict {
            boards: boards.collect(),
            machine: Ruling { stage: all, fans: self.machine.demand(any_hot), waits_for: wait },
        }
    }
}

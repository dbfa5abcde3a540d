//! What the machine is doing, for whoever looks through the status door.
//!
//! Every list is made at the start; what chains, the loops of the boards and of the machine write while it runs are numbers and short texts in their places.

mod start;

use std::{
    cell::RefCell,
    sync::{Arc, Mutex},
};

use adit_bus::hardware::{
    BoardStatus, ChainStatus, ChipStatus, FanStatus, FaultStatus, HardwareStatus, SensorStatus,
};

use self::start::Part;
use crate::{
    power::{Fault, Sample},
    profile::Profile,
    safety::{Cause, Hazard},
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

impl Told {
    /// A fault needs a person to clear it.
    pub(crate) fn waits_for_person(&self) -> bool {
        self.machine.faults.iter().any(|fault| fault.needs_clearing)
    }
}

/// Shared by the machine, its boards, their chains and the status door. The lock is held for a few assignments only.
#[derive(Debug)]
pub(crate) struct Status {
    shared: Arc<Mutex<Told>>,
    boards: RefCell<Vec<Place>>,
    /// Why all are off, whatever they say.
    machine: RefCell<Wrong>,
    /// What slows all down.
    throttled: RefCell<Vec<Cause>>,
    /// What the machine's fans and sensors are compared with, and where they are in the lists: in front.
    parts: Part,
}

/// One board's part.
#[derive(Debug)]
struct Place {
    stage: Stage,
    wrong: Wrong,
    /// What slows it down.
    throttled: Vec<Cause>,
    /// None is plugged in.
    absent: bool,
    parts: Part,
}

/// Why something is off. No text: nothing is wrong.
#[derive(Debug, Default)]
struct Wrong {
    reason: String,
    fault: Option<FaultStatus>,
}

impl Status {
    pub(crate) fn new(profile: &Profile) -> Self {
        let parts = Part::of_machine(profile);
        let boards = start::boards(profile).map(|parts| Place {
            stage: Stage::Off,
            wrong: Wrong::default(),
            throttled: Vec::new(),
            absent: false,
            parts,
        });
        Self {
            boards: RefCell::new(boards.collect()),
            shared: Arc::new(Mutex::new(start::told(profile))),
            machine: RefCell::default(),
            throttled: RefCell::default(),
            parts,
        }
    }

    /// A fault needs a person to clear it.
    pub(crate) fn waits_for_person(&self) -> bool {
        self.update(|told| told.waits_for_person())
    }

    /// For the door.
    pub(crate) fn shared(&self) -> Arc<Mutex<Told>> {
        Arc::clone(&self.shared)
    }

    /// °C of a chain's hottest die, where dies tell.
    pub(crate) fn die(&self, index: u8) -> Option<f64> {
        let told = self.shared.lock().expect("no holder of the status panics");
        let chain = told.machine.chains.get(usize::from(index))?;
        Some(chain.die_celsius).filter(|celsius| !celsius.is_nan())
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

    /// Changes one board's part.
    pub(crate) fn board(&self, index: u8, change: impl FnOnce(&mut BoardStatus)) {
        self.update(|told| told.machine.boards.get_mut(usize::from(index)).map(change));
    }

    /// A board is at `stage`. Hashing ends what was wrong with it.
    pub(crate) fn stage(&self, board: u8, stage: Stage) {
        if stage == Stage::Off {
            self.dark(board);
        }
        self.place(board, |place| {
            (place.stage, place.absent) = (stage, false);
            if stage == Stage::Hashing {
                place.wrong = Wrong::default();
            }
        });
    }

    /// A board is off power because of `fault`, until it hashes again. `reason` is all of it for people.
    pub(crate) fn fault(&self, board: u8, fault: &Fault, reason: &str) {
        self.off(board, Some(start::described(fault, Some(board), reason)), reason, false);
    }

    /// A board hashes slowly because of `causes`; none: no longer.
    pub(crate) fn throttled(&self, board: u8, causes: Vec<Cause>) {
        if self.boards.borrow()[usize::from(board)].throttled != causes {
            said(&causes);
            self.place(board, |place| place.throttled = causes);
        }
    }

    /// Likewise all boards.
    pub(crate) fn machine_throttled(&self, causes: Vec<Cause>) {
        if *self.throttled.borrow() != causes {
            said(&causes);
            self.throttled.replace(causes);
            self.show();
        }
    }

    /// None is plugged in.
    pub(crate) fn absent(&self, board: u8, reason: &str) {
        self.off(board, None, reason, true);
    }

    /// A board may not have power.
    pub(crate) fn refused(&self, board: u8, reason: &str) {
        self.off(board, Some(start::refusal(Some(board), reason)), reason, false);
    }

    /// What chips said last is over when they are off.
    fn dark(&self, board: u8) {
        self.chips(board, |chain, chips| {
            (chain.chips_found, chain.mhz, chain.die_celsius) = (0, 0.0, f64::NAN);
            for chip in chips {
                (chip.found, chip.die_celsius) = (false, f64::NAN);
            }
        });
    }

    fn off(&self, board: u8, fault: Option<FaultStatus>, reason: &str, absent: bool) {
        self.dark(board);
        self.place(board, |place| {
            (place.stage, place.absent) = (Stage::Off, absent);
            place.wrong = Wrong { reason: reason.into(), fault };
            place.throttled.clear();
        });
    }

    fn place(&self, board: u8, change: impl FnOnce(&mut Place)) {
        change(&mut self.boards.borrow_mut()[usize::from(board)]);
        self.show();
    }

    /// All boards are off because of `fault`, or because they may not have power.
    pub(crate) fn machine_fault(&self, fault: Option<&Fault>, reason: &str) {
        let described = match fault {
            Some(fault) => start::described(fault, None, reason),
            None => start::refusal(None, reason),
        };
        self.machine.replace(Wrong { reason: reason.into(), fault: Some(described) });
        self.throttled.take();
        self.update(|told| told.machine.psu.as_mut().map(|psu| set(&mut psu.state, "off")));
        self.show();
    }

    pub(crate) fn machine_well(&self) {
        self.machine.take();
        self.update(|told| told.machine.psu.as_mut().map(|psu| set(&mut psu.state, "on")));
        self.show();
    }

    /// The last look at a board, and what is latched there.
    pub(crate) fn sample(&self, board: u8, sample: &Sample, causes: &[Cause]) {
        let boards = self.boards.borrow();
        let Place { stage, parts, .. } = &boards[usize::from(board)];
        self.update(|Told { machine: status, .. }| {
            let (volts, amperes) = (known(sample.rail_volts), known(sample.rail_amperes));
            if board == 0 {
                status.rail_volts = volts;
            }
            let place = usize::from(board);
            if let Some(own) = status.boards.get_mut(place) {
                (own.volts, own.watts) = (volts, volts * amperes);
            }
            parts.look(sample, *stage >= Stage::Enumerate, causes, status);
            if let Some(chain) = status.chains.get_mut(place) {
                chain.chip_celsius = parts.hottest_chip(sample);
            }
        });
    }

    /// The last look at what boards share, and what is latched of it.
    pub(crate) fn machine_sample(&self, sample: &Sample, on: bool, causes: &[Cause]) {
        self.update(|Told { machine: status, .. }| {
            self.parts.look(sample, on, causes, status);
            if let Some(psu) = &mut status.psu {
                psu.volts = known(sample.rail_volts);
                let state = match sample.rail_volts {
                    None => "lost",
                    Some(_) if on => "on",
                    Some(_) => "off",
                };
                set(&mut psu.state, state);
            }
        });
    }

    /// The machine is where the board that is furthest back is, of those that nothing is wrong with.
    fn show(&self) {
        let boards = self.boards.borrow();
        let machine = self.machine.borrow();
        let well = boards.iter().filter(|board| board.wrong.reason.is_empty()).map(|board| board.stage);
        let on_its_way = boards.iter().map(|board| board.stage).filter(|stage| *stage > Stage::Off).min();
        let stage = match well.min().or(on_its_way) {
            Some(stage) if machine.reason.is_empty() => stage.name(),
            _ => FAULT,
        };
        let wrongs = || std::iter::once(&*machine).chain(boards.iter().map(|board| &board.wrong));
        let fault = wrongs().map(|wrong| wrong.reason.as_str()).find(|reason| !reason.is_empty());
        let fault = fault.unwrap_or_default();
        let changed = self.update(|Told { machine: status, .. }| {
            let changed = status.stage != stage || status.fault != fault;
            set(&mut status.stage, stage);
            set(&mut status.fault, fault);
            for (shown, place) in status.boards.iter_mut().zip(boards.iter()) {
                set(&mut shown.reason, &place.wrong.reason);
                set(
                    &mut shown.state,
                    match place {
                        Place { absent: true, .. } => ABSENT,
                        // On its way again, with the reason of the last time.
                        Place { stage, wrong, .. } if wrong.reason.is_empty() || *stage > Stage::Off => {
                            stage.name()
                        }
                        _ => FAULT,
                    },
                );
            }
            status.faults.clear();
            status.faults.extend(wrongs().filter_map(|wrong| wrong.fault.clone()));
            let slow = |causes: &[Cause], board| -> Vec<_> {
                causes.iter().map(|cause| start::throttle(cause, board)).collect()
            };
            status.faults.extend(slow(&self.throttled.borrow(), None));
            for (place, board) in boards.iter().zip(0..) {
                status.faults.extend(slow(&place.throttled, Some(board)));
            }
            changed
        });
        if changed {
            let text = if stage == FAULT { format!("fault: {fault}") } else { stage.into() };
            crate::notify::status(&text);
        }
    }

    fn update<T>(&self, change: impl FnOnce(&mut Told) -> T) -> T {
        change(&mut self.shared.lock().expect("no holder of the status panics"))
    }
}

impl Part {
    /// Takes over what was seen of these fans and sensors. `powered`: chips have power, so their diodes must be readable.
    fn look(&self, sample: &Sample, powered: bool, causes: &[Cause], status: &mut HardwareStatus) {
        for (fan, percent) in status.fans.iter_mut().skip(self.fans).zip(&sample.fan_percent) {
            fan.duty_percent = percent.map_or(f64::NAN, f64::from);
        }
        let rpms = self.min_rpm.iter().zip(&sample.fans);
        let fans = status.fans.iter_mut().zip(&mut status.fan_rpm).skip(self.fans);
        for ((fan, shown), (min, rpm)) in fans.zip(rpms) {
            look_at_fan(fan, *rpm, *min, causes);
            *shown = fan.rpm;
        }
        let celsius = self.of_chips.iter().zip(&sample.sensors);
        for (sensor, (of_chip, celsius)) in status.sensors.iter_mut().skip(self.sensors).zip(celsius) {
            look_at_sensor(sensor, *celsius, powered || !of_chip, causes);
        }
    }

    fn hottest_chip(&self, sample: &Sample) -> f64 {
        let chips = self.of_chips.iter().zip(&sample.sensors).filter(|(of_chip, _)| **of_chip);
        chips.filter_map(|(_, celsius)| *celsius).fold(f64::NAN, f64::max)
    }
}

/// In the log, once a change.
fn said(causes: &[Cause]) {
    for cause in causes {
        tracing::warn!(target: "adit_hardware", cause = %cause, "throttled");
    }
}

fn look_at_fan(fan: &mut FanStatus, rpm: Option<u32>, min: u32, causes: &[Cause]) {
    fan.rpm = rpm.unwrap_or(0);
    let state = match rpm {
        Some(rpm) if rpm < min => "stopped",
        Some(_) => latched(&fan.name, causes, &OF_FANS).unwrap_or("good"),
        None => "lost",
    };
    set(&mut fan.state, state);
}

fn look_at_sensor(sensor: &mut SensorStatus, celsius: Option<f64>, must: bool, causes: &[Cause]) {
    sensor.celsius = known(celsius);
    let state = match celsius {
        Some(_) => latched(&sensor.name, causes, &OF_SENSORS).unwrap_or("good"),
        None if must => "lost",
        None => "unknown",
    };
    set(&mut sensor.state, state);
}

/// What the safety core has latched of a part that answers, in the door's words; what says most about it first.
const OF_SENSORS: [(Hazard, &str); 7] = [
    (Hazard::SensorAbsurd, "absurd"),
    (Hazard::SensorFrozen, "frozen"),
    (Hazard::SensorLost, "lost"),
    (Hazard::ChipHot, "hot"),
    (Hazard::BoardHot, "hot"),
    (Hazard::PsuHot, "hot"),
    (Hazard::IntakeHot, "hot"),
];
const OF_FANS: [(Hazard, &str); 2] = [(Hazard::FanStopped, "stopped"), (Hazard::FanSlow, "slow")];

fn latched(part: &str, causes: &[Cause], words: &[(Hazard, &'static str)]) -> Option<&'static str> {
    let is_latched = |hazard| causes.iter().any(|cause| cause.hazard == hazard && cause.part == part);
    words.iter().find(|(hazard, _)| is_latched(*hazard)).map(|(_, word)| *word)
}

fn known(value: Option<f64>) -> f64 {
    value.unwrap_or(f64::NAN)
}

/// Changes a text only where it differs: what is written every second is not made anew every second.
fn set(text: &mut String, new: &str) {
    if text != new {
        text.clear();
        text.push_str(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::safety::{Clears, Evidence, Place, Stage as Severity};

    fn cause(part: &str, hazard: Hazard) -> Cause {
        let (since, at) = Default::default();
        let (place, stage) = (Place::Board(0), Severity::ChainOff);
        let (part, evidence, clears) = (part.into(), Evidence::Nothing, Clears::Itself);
        Cause { hazard, place, part, stage, since, at, evidence, clears }
    }

    /// The board of a Bitaxe: fan, chip sensor, board sensor.
    fn states(sensors: [Option<f64>; 2], rpm: Option<u32>, causes: &[Cause]) -> [String; 3] {
        let profile = include_str!("../../../overlay/etc/adit/machines/qemu-bitaxe.toml");
        let status = Status::new(&Profile::parse(profile).unwrap());
        let sample = Sample { fans: vec![rpm], sensors: sensors.to_vec(), ..Default::default() };
        status.stage(0, Stage::Hashing);
        status.sample(0, &sample, causes);
        let told = status.shared.lock().unwrap().machine.clone();
        [told.fans[0].state.clone(), told.sensors[0].state.clone(), told.sensors[1].state.clone()]
    }

    #[test]
    fn a_part_is_what_was_read_of_it_and_what_the_safety_core_has_latched_of_it() {
        let read = [Some(55.0), Some(35.0)];
        assert_eq!(states(read, Some(6900), &[]), ["good", "good", "good"]);
        assert_eq!(states([None, Some(35.0)], None, &[]), ["lost", "lost", "good"]);
        let table = [
            (cause("chip", Hazard::SensorFrozen), ["good", "frozen", "good"]),
            (cause("chip", Hazard::SensorAbsurd), ["good", "absurd", "good"]),
            (cause("chip", Hazard::SensorLost), ["good", "lost", "good"]),
            (cause("chip", Hazard::ChipHot), ["good", "hot", "good"]),
            (cause("board", Hazard::BoardHot), ["good", "good", "hot"]),
            (cause("board", Hazard::BoardWarm), ["good", "good", "good"]),
            (cause("fan", Hazard::FanSlow), ["slow", "good", "good"]),
            (cause("fan", Hazard::FanStopped), ["stopped", "good", "good"]),
            (cause("rail", Hazard::SensorLost), ["good", "good", "good"]),
        ];
        for (cause, wanted) in table {
            assert_eq!(states(read, Some(6900), std::slice::from_ref(&cause)), wanted, "{cause}");
        }
        assert_eq!(states(read, Some(1999), &[]), ["stopped", "good", "good"], "below the profile's lowest");
        let both = [cause("chip", Hazard::ChipHot), cause("chip", Hazard::SensorFrozen)];
        assert_eq!(states(read, Some(6900), &both)[1], "frozen", "what it says cannot be trusted");
        assert_eq!(states([None, Some(35.0)], Some(6900), &both)[1], "lost", "now it says nothing");
    }
}

//! What is done to the machine, and what it must lead to.

use adit_simulator::{Fault, Handle};

use super::page::Stage;

/// One hazard on one machine.
pub(super) struct Case {
    /// As `docs/safety.md` calls it.
    pub(super) hazard: &'static str,
    /// What the unit says that it was, where that is another row of the page.
    pub(super) said: Option<&'static str>,
    pub(super) stage: Stage,
    /// The board that it happens to.
    pub(super) board: usize,
    /// A sensor, by its name in the machine's state, says what is almost too much, then what is.
    pub(super) heat: Option<(&'static str, f64, f64)>,
    pub(super) begin: &'static [Act],
    pub(super) end: &'static [Act],
    /// Power stays away until somebody clears it: the next driver knows nothing of it.
    pub(super) person: bool,
    /// Power is cut by the machine itself: what the driver does is to hold resets.
    pub(super) cuts_itself: bool,
}

/// Something done to the simulated machine.
pub(super) enum Act {
    /// A sensor says so many °C …
    Says(&'static str, f64),
    /// … or the truth again.
    SaysTruth(&'static str),
    Lose(&'static str),
    Find(&'static str),
    /// On the case's board.
    Fault(Fault),
}

impl Act {
    pub(super) fn carry_out(&self, machine: &Handle, board: usize) {
        let sensor = |name: &str| {
            let place = machine.state().sensors.iter().position(|sensor| sensor.name == name);
            place.unwrap_or_else(|| panic!("no sensor {name}"))
        };
        let fault = match *self {
            Self::Says(name, celsius) => Fault::SensorAbsurd { sensor: sensor(name), celsius: Some(celsius) },
            Self::SaysTruth(name) => Fault::SensorAbsurd { sensor: sensor(name), celsius: None },
            Self::Lose(name) => Fault::SensorLost { sensor: sensor(name), on: true },
            Self::Find(name) => Fault::SensorLost { sensor: sensor(name), on: false },
            Self::Fault(fault) => fault,
        };
        machine.fault_on(board, fault).unwrap();
    }
}

use Act::{Fault as Do, Find, Lose, Says, SaysTruth};

const PLAIN: Case = Case {
    hazard: "",
    said: None,
    stage: Stage::AllOff,
    board: 0,
    heat: None,
    begin: &[],
    end: &[],
    person: false,
    cuts_itself: false,
};

const DIE: &str = "board-0-chip";
const MIDDLE: &str = "board-0-middle";

/// A Bitaxe Gamma: chip 75 °C, board 70 °C, rail 1.05 to 1.25 V, one fan.
pub(super) const DESK: &[Case] = &[
    Case { hazard: "chip warm", stage: Stage::Throttle, heat: Some((DIE, 65.0, 71.0)), ..PLAIN },
    Case { hazard: "chip hot", stage: Stage::ChainOff, heat: Some((DIE, 68.0, 75.0)), ..PLAIN },
    Case { hazard: "board hot", stage: Stage::ChainOff, heat: Some((MIDDLE, 63.0, 70.5)), ..PLAIN },
    Case {
        hazard: "sensor absurd",
        stage: Stage::ChainOff,
        begin: &[Says(DIE, -50.0)],
        end: &[SaysTruth(DIE)],
        ..PLAIN
    },
    // Fan controller and both sensors are one part.
    Case {
        hazard: "sensor lost",
        stage: Stage::ChainOff,
        begin: &[Lose(MIDDLE)],
        end: &[Find(MIDDLE)],
        ..PLAIN
    },
    Case {
        hazard: "too few fans",
        stage: Stage::ChainOff,
        begin: &[Do(Fault::FanStopped(true))],
        end: &[Do(Fault::FanStopped(false))],
        ..PLAIN
    },
    Case {
        hazard: "voltage low",
        stage: Stage::ChainOff,
        begin: &[Do(Fault::RailDrop(130.0))],
        end: &[Do(Fault::RailDrop(0.0))],
        ..PLAIN
    },
    Case {
        hazard: "voltage high",
        stage: Stage::ChainOff,
        begin: &[Do(Fault::RailDrop(-130.0))],
        end: &[Do(Fault::RailDrop(0.0))],
        person: true,
        ..PLAIN
    },
    // The regulator has latched off by itself at its own limit, and the driver finds no voltage.
    Case {
        hazard: "current out of range",
        said: Some("rail: "),
        stage: Stage::ChainOff,
        begin: &[Do(Fault::ExtraLoad(40.0))],
        end: &[Do(Fault::ExtraLoad(0.0))],
        cuts_itself: true,
        ..PLAIN
    },
    // Nobody can cut the rail then: chips are slowed down over their own line.
    Case {
        hazard: "controller silent",
        stage: Stage::Throttle,
        begin: &[Do(Fault::BoardSilent(true))],
        end: &[Do(Fault::BoardSilent(false))],
        ..PLAIN
    },
];

const INLET: &str = "board-2-inlet";
const OUTLET: &str = "board-1-outlet";

/// An S19j Pro: boards 80 °C, what comes in 60 °C, supply 12.5 to 14.2 V, four fans. Only the supply can cut a board's power, so chain off is all off.
pub(super) const FARM: &[Case] = &[
    Case {
        hazard: "board warm",
        stage: Stage::Throttle,
        board: 1,
        heat: Some((OUTLET, 68.0, 76.0)),
        ..PLAIN
    },
    Case { hazard: "board hot", stage: Stage::ChainOff, board: 1, heat: Some((OUTLET, 73.0, 80.5)), ..PLAIN },
    Case {
        hazard: "intake warm",
        stage: Stage::Throttle,
        board: 2,
        heat: Some((INLET, 48.0, 56.0)),
        ..PLAIN
    },
    Case { hazard: "intake hot", board: 2, heat: Some((INLET, 50.0, 60.5)), ..PLAIN },
    Case {
        hazard: "sensor lost",
        stage: Stage::ChainOff,
        board: 1,
        begin: &[Lose(OUTLET)],
        end: &[Find(OUTLET)],
        ..PLAIN
    },
    Case {
        hazard: "sensor absurd",
        stage: Stage::ChainOff,
        board: 1,
        begin: &[Says(OUTLET, -50.0)],
        end: &[SaysTruth(OUTLET)],
        ..PLAIN
    },
    Case {
        hazard: "too few fans",
        stage: Stage::ChainOff,
        begin: &[Do(Fault::OneFanStopped { fan: 3, on: true })],
        end: &[Do(Fault::OneFanStopped { fan: 3, on: false })],
        ..PLAIN
    },
    // Of the machine: all boards are slowed down.
    Case {
        hazard: "fan slow",
        stage: Stage::Throttle,
        begin: &[Do(Fault::FanSlow { fan: Some(0), share: 0.5 })],
        end: &[Do(Fault::FanSlow { fan: Some(0), share: 1.0 })],
        ..PLAIN
    },
    // A tachometer that says nothing is a fan that stands.
    Case {
        hazard: "too few fans",
        stage: Stage::ChainOff,
        begin: &[Do(Fault::TachSilent(true))],
        end: &[Do(Fault::TachSilent(false))],
        ..PLAIN
    },
    // Sooner than its row says: a supply that refuses to tell its voltage is a sensor that is lost.
    Case {
        hazard: "PSU heartbeat lost",
        said: Some("supply"),
        begin: &[Do(Fault::PsuNak(true))],
        end: &[Do(Fault::PsuNak(false))],
        ..PLAIN
    },
    // Too much load: the supply gives up at once, and the driver finds it without a voltage.
    Case {
        hazard: "voltage low",
        stage: Stage::ChainOff,
        begin: &[Do(Fault::ExtraLoad(150.0))],
        end: &[Do(Fault::ExtraLoad(0.0))],
        cuts_itself: true,
        ..PLAIN
    },
];

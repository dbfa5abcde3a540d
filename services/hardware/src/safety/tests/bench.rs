//! A machine with everything: three boards of different supply, a PSU, four common fans; looked at four times a second.

use std::mem::discriminant;

use super::super::*;

pub(super) const LOOK: Time = Time::from_millis(250);
pub(super) const MACHINE: Place = Place::Machine;
/// Behind the PSU, with a switch of its own.
pub(super) const SWITCHED: Place = Place::Board(0);
/// On USB, with its own fan and supply.
pub(super) const OWN: Place = Place::Board(1);

pub(super) const CHIP: usize = 0;
pub(super) const BOARD: usize = 1;

pub(super) fn ms(ms: u64) -> Time {
    Time::from_millis(ms)
}

pub(super) fn sensor(name: &str, kind: SensorKind) -> SensorLimits {
    let (warm, max, cool) = match kind {
        SensorKind::Chip => (70.0, 75.0, 45.0),
        SensorKind::Board => (62.0, 70.0, 50.0),
        SensorKind::Psu => (80.0, 90.0, 60.0),
        SensorKind::Intake => (40.0, 45.0, 35.0),
    };
    SensorLimits {
        name: name.into(),
        kind,
        warm,
        max,
        cool,
        hysteresis: 3.0,
        reads: Reads::Always,
        settle: Time::ZERO,
        must_speak: true,
        physics: Physics { kelvin_per_second: 20.0, slack: 50.0, ..Physics::default() },
        frozen: (kind == SensorKind::Board).then(|| Frozen::on_a_board_of(1000.0)),
    }
}

pub(super) fn fan(name: &str) -> FanLimits {
    let (min_rpm, full_rpm) = (1000.0, Some(6000.0));
    FanLimits { name: name.into(), min_rpm, full_rpm, slow_share: 0.6, spin_up: Time::from_secs(5) }
}

fn board(name: &str, supply: Supply) -> BoardLimits {
    let rail = RailLimits {
        name: "rail".into(),
        min_volts: 12.0,
        max_volts: 15.0,
        off_volts: 3.0,
        rise: ms(500),
        fall: ms(500),
        reads: Reads::Always,
        amperes: Some((-1.0, 90.0)),
    };
    let fans = if supply == Supply::Own { vec![fan("own fan")] } else { vec![] };
    BoardLimits {
        name: name.into(),
        supply,
        parts: Parts {
            sensors: vec![sensor("chip", SensorKind::Chip), sensor("board", SensorKind::Board)],
            fans_needed: fans.len(),
            fans,
            rails: vec![rail],
        },
        controller: Some(ControllerLimits {
            name: "controller".into(),
            reads: Reads::Always,
            settle: Time::ZERO,
        }),
        has_identity: true,
    }
}

pub(super) fn limits() -> Limits {
    let fans: Vec<_> = ["fan 0", "fan 1", "fan 2", "fan 3"].map(fan).into();
    Limits {
        shared: Parts {
            sensors: vec![sensor("PSU", SensorKind::Psu), sensor("intake", SensorKind::Intake)],
            fans_needed: 3,
            fans,
            rails: vec![],
        },
        psu: Some(PsuLimits { name: "PSU".into(), has_heartbeat: true, settle: ms(2000) }),
        boards: vec![board("left", Supply::Switched), board("usb", Supply::Own)],
        ..Limits::default()
    }
}

/// What the parts show, until somebody sets something else.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) safety: Safety,
    pub(super) now: Time,
    shown: Vec<(Place, Reading)>,
}

impl Bench {
    /// Cold, nothing looked at.
    pub(super) fn cold(limits: Limits) -> Self {
        let mut shown = vec![(MACHINE, Reading::Control), (MACHINE, Reading::Psu(Some(PsuState::On)))];
        for (place, parts) in std::iter::once((MACHINE, &limits.shared))
            .chain(limits.boards.iter().zip(0..).map(|(board, index)| (Place::Board(index), &board.parts)))
        {
            let mut show = |reading| shown.push((place, reading));
            (0..parts.sensors.len()).for_each(|index| show(Reading::Celsius(index, Some(30.0))));
            (0..parts.fans.len()).for_each(|index| show(Reading::Percent(index, 100)));
            (0..parts.fans.len()).for_each(|index| show(Reading::Rpm(index, Some(6000.0))));
            (0..parts.rails.len()).for_each(|index| show(Reading::Volts(index, Some(0.0))));
            (0..parts.rails.len()).for_each(|index| show(Reading::Amperes(index, Some(0.0))));
            if place != MACHINE {
                show(Reading::Watts(0.0));
                show(Reading::Answers(true));
                show(Reading::Identity(Identity::Matches));
            }
        }
        let now = ms(10_000);
        Self { safety: Safety::new(limits, now).unwrap(), now, shown }
    }

    /// Everything proven, on, and hashing for five seconds.
    pub(super) fn hashing() -> Self {
        Self::hashing_with(limits())
    }

    pub(super) fn hashing_with(limits: Limits) -> Self {
        let boards = limits.boards.len();
        let mut bench = Self::cold(limits);
        bench.runs(ms(1000));
        bench.power(MACHINE, true);
        bench.runs(ms(5000));
        (0..boards).for_each(|board| bench.power(Place::Board(board), true));
        let verdict = bench.runs(ms(5000));
        assert!(verdict.boards.iter().all(|board| board.stage == Stage::Run), "{verdict:?}");
        assert_eq!(bench.safety.causes(), []);
        bench
    }

    pub(super) fn power(&mut self, place: Place, on: bool) {
        self.safety.see(self.now, place, Reading::Power(on));
        if place != MACHINE {
            self.set(place, Reading::Volts(0, Some(if on { 13.5 } else { 0.0 })));
            self.set(place, Reading::Amperes(0, Some(if on { 70.0 } else { 0.0 })));
            self.set(place, Reading::Watts(if on { 1000.0 } else { 0.0 }));
            self.set(place, Reading::Celsius(CHIP, Some(if on { 60.0 } else { 31.0 })));
            self.set(place, Reading::Celsius(BOARD, Some(if on { 55.0 } else { 31.0 })));
        }
    }

    /// The part shows this from now on.
    pub(super) fn set(&mut self, place: Place, reading: Reading) {
        self.silence(place, &reading);
        self.shown.push((place, reading));
    }

    /// The part shows nothing any more.
    pub(super) fn silence(&mut self, place: Place, reading: &Reading) {
        self.shown.retain(|(at, shown)| *at != place || key(shown) != key(reading));
    }

    /// All parts show what `other`'s do.
    pub(super) fn shows_as(&mut self, other: &Self) {
        self.shown.clone_from(&other.shown);
    }

    /// One look, now; time passes after it.
    pub(super) fn look(&mut self) -> Verdict {
        for (place, reading) in &self.shown {
            self.safety.see(self.now, *place, reading.clone());
        }
        let verdict = self.safety.judge(self.now);
        self.now += LOOK;
        verdict
    }

    /// Looks for so long.
    pub(super) fn runs(&mut self, time: Time) -> Verdict {
        let end = self.now + time;
        loop {
            let verdict = self.look();
            if self.now > end {
                return verdict;
            }
        }
    }

    /// Looks from now on until `hazard` has led to `stage`; the time that it took.
    pub(super) fn until(&mut self, hazard: Hazard, stage: Stage) -> Option<Time> {
        let began = self.now;
        while self.now < began + ms(200_000) {
            self.look();
            if self.stage_of(hazard) >= Some(stage) {
                return Some(self.now - LOOK - began);
            }
        }
        None
    }

    pub(super) fn stage_of(&self, hazard: Hazard) -> Option<Stage> {
        self.safety.causes().iter().filter(|cause| cause.hazard == hazard).map(|cause| cause.stage).max()
    }

    pub(super) fn hazards(&self) -> Vec<Hazard> {
        self.safety.causes().iter().map(|cause| cause.hazard).collect()
    }

    pub(super) fn text(&self) -> Vec<String> {
        self.safety.causes().iter().map(ToString::to_string).collect()
    }
}

fn key(reading: &Reading) -> (std::mem::Discriminant<Reading>, usize) {
    let index = match reading {
        Reading::Celsius(index, _)
        | Reading::Rpm(index, _)
        | Reading::Percent(index, _)
        | Reading::Volts(index, _)
        | Reading::Amperes(index, _) => *index,
        _ => 0,
    };
    (discriminant(reading), index)
}

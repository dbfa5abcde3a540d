//! A place: one board, or what the machine's boards share. Holds its parts and says what they mean together.

use super::{
    FanDemand, Hazard, Reading, Stage, Time, Wait, Why,
    detect::{Ammeter, Answer, Crew, Fan, Identify, Life, Report, Thermometer, Voltmeter},
    hazard::{Clears, Rules},
    limits::{BoardLimits, Cooling, Limits, Parts, Reads, Supply},
    watch::{self, Finding, Latch, Part, Watch, Watched},
};

const CONTROL: &str = "control loop";
/// Slowest stream of air that a fan's drive is taken for, as a share of the fastest.
const LEAST_BREEZE: f64 = 0.2;

/// Whether a place has power, as the driver reported it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Power {
    on: bool,
    since: Time,
    /// Was on since the driver started.
    ever: bool,
}

impl Power {
    fn off(now: Time) -> Self {
        Self { on: false, since: now, ever: false }
    }

    pub(super) fn is_on(self) -> bool {
        self.on
    }

    fn set(&mut self, now: Time, on: bool) {
        if on != self.on {
            *self = Self { on, since: now, ever: self.ever || on };
        }
    }

    pub(super) fn lasts(self, now: Time) -> Time {
        now.saturating_sub(self.since)
    }
}

/// What a part must know of the rest to be judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around {
    pub power: Power,
    pub psu: Power,
    /// Watts through a share of full air; NaN where nobody said.
    pub heat: f64,
    pub cool: bool,
}

impl Around {
    /// `None`: the part can be judged now. Otherwise what stands in for its finding.
    pub(super) fn rest(&self, now: Time, reads: Reads, settle: Time) -> Option<Finding> {
        let (power, off) = match reads {
            Reads::Always => return None,
            Reads::WithPsu => (self.psu, Finding::Resting(self.cool)),
            // What only power can show is over when the board has cooled without it.
            Reads::WithBoard => (self.power, if self.cool { Finding::Well } else { Finding::Unknown }),
        };
        if !power.on {
            return Some(off);
        }
        (power.lasts(now) < settle).then_some(Finding::Unknown)
    }
}

#[derive(Debug)]
pub(super) struct Zone {
    pub name: String,
    supply: Supply,
    /// Stages of a place that all share take all.
    shared: bool,
    cools_in: Time,
    pub plugged: bool,
    pub power: Power,
    watts: f64,
    thermometers: Vec<Watched<Thermometer>>,
    fans: Vec<Watched<Fan>>,
    crew: Option<Watched<Crew>>,
    voltmeters: Vec<Watched<Voltmeter>>,
    /// By rail; `None` where current is not measured.
    ammeters: Vec<Option<Watched<Ammeter>>>,
    controller: Option<Watched<Answer>>,
    identity: Option<Watched<Identify>>,
    psu: Option<(Watched<Report>, Option<Watched<Life>>)>,
    control: Option<Watched<Life>>,
}

impl Zone {
    pub(super) fn machine(limits: &Limits, now: Time) -> Self {
        let mut zone = Self::new("machine", Supply::Switched, &limits.shared, limits, now);
        zone.shared = true;
        // Without a PSU of its own there is nothing to switch: supply is there.
        zone.power = Power { on: limits.psu.is_none(), ..zone.power };
        let life = |hazard: Hazard, name: &str| {
            let rule = &limits.rules[hazard];
            let first = [rule.throttle, rule.chain_off, rule.all_off].into_iter().flatten().min();
            Watched::new(name, now, first.unwrap_or_default(), Life { hazard, last: None })
        };
        zone.psu = limits.psu.as_ref().map(|psu| {
            let report = Watched::new(&psu.name, now, limits.stale, Report { settle: psu.settle });
            (report.trusted_if(true), psu.has_heartbeat.then(|| life(Hazard::PsuSilent, &psu.name)))
        });
        // One sign is enough, and the first one is waited for: see `wait`.
        zone.control = Some(life(Hazard::ControlSilent, CONTROL).trusted_if(true));
        zone
    }

    pub(super) fn board(board: &BoardLimits, limits: &Limits, now: Time) -> Self {
        let mut zone = Self::new(&board.name, board.supply, &board.parts, limits, now);
        zone.controller = board.controller.as_ref().map(|controller| {
            let answer = Answer { reads: controller.reads, settle: controller.settle };
            Watched::new(&controller.name, now, limits.stale, answer).read(controller.reads)
        });
        // Its verdict stands, so that every look finds it.
        let identity = || Watched::new("EEPROM", now, Time::ZERO, Identify::default());
        zone.identity = board.has_identity.then(identity);
        zone
    }

    fn new(name: &str, supply: Supply, parts: &Parts, limits: &Limits, now: Time) -> Self {
        let watches_fans = limits.cooling == Cooling::Air && !parts.fans.is_empty();
        let fans = parts.fans.iter().filter(|_| watches_fans);
        Self {
            name: name.into(),
            supply,
            shared: false,
            cools_in: limits.cools_in,
            plugged: true,
            power: Power::off(now),
            watts: f64::NAN,
            thermometers: parts
                .sensors
                .iter()
                .map(|sensor| {
                    let part =
                        Watched::new(&sensor.name, now, limits.stale, Thermometer::new(sensor.clone()));
                    part.read(sensor.reads)
                })
                .collect(),
            fans: fans
                .map(|fan| Watched::new(&fan.name, now, limits.stale, Fan::new(fan.clone(), now)))
                .collect(),
            crew: watches_fans
                .then(|| Watched::new("fans", now, Time::MAX, Crew { needed: parts.fans_needed })),
            voltmeters: parts
                .rails
                .iter()
                .map(|rail| {
                    let part = Watched::new(&rail.name, now, limits.stale, Voltmeter(rail.clone()));
                    // Whether it has fallen is to be seen without power.
                    part.read(rail.reads).trusted_if(false)
                })
                .collect(),
            ammeters: parts
                .rails
                .iter()
                .map(|rail| {
                    let (min, max) = rail.amperes?;
                    let ammeter = Ammeter { min, max, rise: rail.rise };
                    Some(Watched::new(&rail.name, now, limits.stale, ammeter).trusted_if(true))
                })
                .collect(),
            controller: None,
            identity: None,
            psu: None,
            control: None,
        }
    }

    fn parts(&self) -> impl Iterator<Item = &dyn Part> {
        fn all<P: Part>(parts: &[P]) -> impl Iterator<Item = &dyn Part> {
            parts.iter().map(|part| part as &dyn Part)
        }
        fn one<P: Part>(part: Option<&P>) -> impl Iterator<Item = &dyn Part> {
            part.into_iter().map(|part| part as &dyn Part)
        }
        one(self.control.as_ref())
            .chain(one(self.psu.as_ref().map(|(report, _)| report)))
            .chain(one(self.psu.as_ref().and_then(|(_, heartbeat)| heartbeat.as_ref())))
            .chain(one(self.identity.as_ref()))
            .chain(one(self.controller.as_ref()))
            .chain(all(&self.fans))
            .chain(one(self.crew.as_ref()))
            .chain(all(&self.thermometers))
            .chain(all(&self.voltmeters))
            .chain(self.ammeters.iter().flatten().map(|part| part as &dyn Part))
    }

    /// In the order of [`Zone::parts`].
    fn parts_mut(&mut self) -> impl Iterator<Item = &mut dyn Part> {
        fn all<P: Part>(parts: &mut [P]) -> impl Iterator<Item = &mut dyn Part> {
            parts.iter_mut().map(|part| part as &mut dyn Part)
        }
        fn one<P: Part>(part: Option<&mut P>) -> impl Iterator<Item = &mut dyn Part> {
            part.into_iter().map(|part| part as &mut dyn Part)
        }
        let (report, heartbeat) = match &mut self.psu {
            Some((report, heartbeat)) => (Some(report), heartbeat.as_mut()),
            None => (None, None),
        };
        one(self.control.as_mut())
            .chain(one(report))
            .chain(one(heartbeat))
            .chain(one(self.identity.as_mut()))
            .chain(one(self.controller.as_mut()))
            .chain(all(&mut self.fans))
            .chain(one(self.crew.as_mut()))
            .chain(all(&mut self.thermometers))
            .chain(all(&mut self.voltmeters))
            .chain(self.ammeters.iter_mut().flatten().map(|part| part as &mut dyn Part))
    }

    /// One reading. A part that is not there is not asked about: its reading is dropped.
    pub(super) fn see(&mut self, now: Time, reading: Reading, around: &Around, rules: &Rules) {
        match reading {
            Reading::Celsius(index, value) => {
                see(self.thermometers.get_mut(index), now, value, around, rules)
            }
            Reading::Rpm(index, value) => {
                see(self.fans.get_mut(index), now, value, around, rules);
                let turning = self.fans.iter().filter(|fan| !fan.latched(Hazard::FanStopped)).count();
                see(self.crew.as_mut(), now, Some(turning), around, rules);
            }
            Reading::Percent(index, percent) => {
                if let Some(fan) = self.fans.get_mut(index) {
                    fan.detector_mut().tell(now, percent);
                }
            }
            Reading::Volts(index, value) => see(self.voltmeters.get_mut(index), now, value, around, rules),
            Reading::Amperes(index, value) => {
                see(self.ammeters.get_mut(index).and_then(Option::as_mut), now, value, around, rules);
            }
            Reading::Watts(watts) => self.watts = watts,
            Reading::Answers(yes) => see(self.controller.as_mut(), now, yes.then_some(()), around, rules),
            Reading::Identity(identity) => see(self.identity.as_mut(), now, Some(identity), around, rules),
            Reading::Psu(state) => {
                if let (Some((report, heartbeat)), Some(state)) = (&mut self.psu, state) {
                    report.see(now, Some(state), around, rules);
                    see(heartbeat.as_mut(), now, Some(()), around, rules);
                }
            }
            Reading::Control => see(self.control.as_mut(), now, Some(()), around, rules),
            Reading::Power(on) => self.power.set(now, on),
            // The core's.
            Reading::Plugged(_) => {}
        }
    }

    pub(super) fn tick(&mut self, now: Time, around: &Around, rules: &Rules) {
        self.parts_mut().for_each(|part| part.tick(now, around, rules));
    }

    /// Another board has come to this place: all is unproven. What only a person may clear stays.
    pub(super) fn adopt(&mut self, old: &Self, rules: &Rules) {
        let stays = |hazard: Hazard, latch: &Latch| rules[hazard].ends(latch.stage) == Clears::Person;
        self.parts_mut().zip(old.parts()).for_each(|(new, old)| new.inherit(old, &stays));
    }

    pub(super) fn clear(&mut self) -> bool {
        self.parts_mut().flat_map(|part| part.watches_mut()).for_each(Watch::clear);
        self.latches().next().is_none()
    }

    /// What is latched: part, hazard, and the latch with the stage that it means here.
    pub(super) fn latches(&self) -> impl Iterator<Item = (&str, Hazard, Latch)> {
        self.parts().flat_map(move |part| {
            part.watches().iter().filter_map(move |watch| {
                let latch = watch.latch.clone()?;
                Some((
                    part.name(),
                    watch.hazard,
                    Latch { stage: self.means(watch.hazard, latch.stage), ..latch },
                ))
            })
        })
    }

    /// What a stage means where not every switch exists. A board that is another one is kept in reset, as it was before; that must not stop those beside it.
    fn means(&self, hazard: Hazard, stage: Stage) -> Stage {
        match (self.shared, self.supply, stage) {
            _ if hazard == Hazard::WrongBoard => stage,
            (true, _, Stage::ChainOff) | (false, Supply::Common, Stage::ChainOff) => Stage::AllOff,
            (false, Supply::Own, Stage::AllOff) => Stage::ChainOff,
            _ => stage,
        }
    }

    pub(super) fn stage(&self) -> Stage {
        self.latches().map(|(_, _, latch)| latch.stage).max().unwrap_or_default()
    }

    /// The stage of a place that may not have power yet. A board that only the PSU can cut keeps that off for what can be proven without it; for the rest its reset is held.
    pub(super) fn waiting_stage(&self) -> Stage {
        let open = |part: &dyn Part| !part.needs_psu() && !part.latched(Hazard::WrongBoard);
        let dark = || self.parts().any(|part| !part.is_proven() && open(part));
        match self.supply {
            _ if self.shared => Stage::AllOff,
            Supply::Common if dark() => Stage::AllOff,
            _ => Stage::ChainOff,
        }
    }

    /// Why power may not come even though nothing is latched.
    pub(super) fn wait(&self, now: Time, psu: Power) -> Option<Wait> {
        let wait = |part: &str, why| Some(Wait { part: part.into(), why });
        if !self.plugged {
            return wait(&self.name, Why::Absent);
        }
        let warm =
            |sensor: &&Watched<Thermometer>| !self.is_cool_at(now, sensor) && !sensor.detector().is_blind();
        if !self.power.on
            && let Some(sensor) = self.readable(psu).find(warm)
        {
            return wait(sensor.name(), Why::Warm);
        }
        if let Some(part) = self.parts().find(|part| !part.is_proven()) {
            return wait(part.name(), Why::Unproven);
        }
        if !self.power.on && !self.is_cool(now, psu) {
            return wait(&self.name, Why::Warm);
        }
        let unasked = self.control.as_ref().is_some_and(|control| control.detector().last.is_none());
        unasked.then(|| Wait { part: CONTROL.into(), why: Why::Unasked })
    }

    fn readable(&self, psu: Power) -> impl Iterator<Item = &Watched<Thermometer>> {
        self.thermometers.iter().filter(move |sensor| match sensor.detector().limits().reads {
            Reads::Always => true,
            Reads::WithPsu => psu.on,
            Reads::WithBoard => self.power.on,
        })
    }

    fn is_cool_at(&self, now: Time, sensor: &Watched<Thermometer>) -> bool {
        sensor.detector().is_cool() || (sensor.detector().is_blind() && self.has_rested(now))
    }

    fn has_rested(&self, now: Time) -> bool {
        !self.power.on && self.power.lasts(now) >= self.cools_in
    }

    pub(super) fn is_cool(&self, now: Time, psu: Power) -> bool {
        if self.readable(psu).next().is_none() {
            return self.thermometers.is_empty() || !self.power.ever || self.has_rested(now);
        }
        self.readable(psu).all(|sensor| self.is_cool_at(now, sensor))
    }

    /// Watts of this place; NaN where nobody said.
    pub(super) fn watts(&self) -> f64 {
        if self.power.on || self.shared { self.watts } else { 0.0 }
    }

    /// Share of full air that its fans were told to make; `None` without fans.
    pub(super) fn breeze(&self) -> Option<f64> {
        let told: f64 = self.fans.iter().map(|fan| fan.detector().told()).sum();
        (!self.fans.is_empty()).then(|| (told / self.fans.len() as f64).max(LEAST_BREEZE))
    }

    /// What this place's own fans should do when `hot` says that something behind them is not cool yet after a fault.
    pub(super) fn demand(&self, hot: bool) -> FanDemand {
        // A fan that stands still is to be given what it needs to turn.
        let asked = |fan: &Watched<Fan>| !fan.is_proven() || fan.latched(Hazard::FanStopped);
        if self.fans.is_empty() || !self.plugged {
            FanDemand::None
        } else if hot || self.fans.iter().any(asked) {
            FanDemand::Full
        } else {
            FanDemand::Normal
        }
    }
}

fn see<D: watch::Detector>(
    part: Option<&mut Watched<D>>,
    now: Time,
    value: Option<D::Value>,
    around: &Around,
    rules: &Rules,
) {
    if let Some(part) = part {
        part.see(now, value, around, rules);
    }
}

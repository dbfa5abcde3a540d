//! The safety core in the driver: shows it what was seen and done, and says what it rules. Decides nothing itself.

mod heat;
pub(crate) mod limits;

use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

use self::heat::Heat;
use crate::{
    orders::Orders,
    power::{Fault, Sample},
    profile::{Profile, Sensor},
    safety::{
        Cause, Clears, Identity, Limits, Place, PsuState, Reading, Ruling, Safety, Stage, Verdict, Why, Wrong,
    },
    work_path::WorkPath,
};

/// Longer than what was bad must be well. After that a place is made safe and prepared anew: it may be another board.
const PATIENCE: Duration = Duration::from_secs(40);

/// One for the whole driver; boards share it within one thread.
#[derive(Debug)]
pub(crate) struct Guard<'a> {
    safety: RefCell<Safety>,
    path: &'a WorkPath,
    /// The control loop's last sign of life that the core was told of: it would take it for a new one each time.
    heard: Cell<Option<Instant>>,
    orders: &'a Orders,
    /// By board.
    heat: Vec<Option<Heat>>,
    began: Instant,
    /// The machine's sensors, then each board's: which of the core's each one is. `None`: is only shown.
    sensors: Vec<Vec<Option<usize>>>,
    /// By board: which of the core's sensors its hottest die is, behind all others. `None`: its chips do not tell.
    dies: Vec<Option<usize>>,
}

impl<'a> Guard<'a> {
    /// No board is there yet. Errors: limits by which no machine can be run.
    pub(crate) fn new(profile: &Profile, path: &'a WorkPath, orders: &'a Orders) -> Result<Self, Wrong> {
        let mut safety = Safety::new(Limits::of(profile), Duration::ZERO)?;
        for board in 0..profile.board.len() {
            safety.see(Duration::ZERO, Place::Board(board), Reading::Plugged(false));
        }
        let judged = |sensors: &[Sensor]| {
            let mut next = 0..;
            let place = |sensor: &Sensor| limits::of_sensor(profile, sensor).and_then(|_| next.next());
            sensors.iter().map(place).collect()
        };
        let boards = profile.board.iter().map(|board| judged(&board.sensor));
        let sensors = std::iter::once(judged(&profile.sensor)).chain(boards).collect();
        let heat = profile.board.iter().map(Heat::of).collect();
        let last = |board: usize| safety.limits().boards[board].parts.sensors.len() - 1;
        let die = |(index, board)| limits::die(profile, board).map(|_| last(index));
        let dies = profile.board.iter().enumerate().map(die).collect();
        let (safety, heard, began) = (RefCell::new(safety), Cell::default(), Instant::now());
        Ok(Self { safety, path, heard, orders, heat, began, sensors, dies })
    }

    /// One thing that was seen or done.
    pub(crate) fn see(&self, place: Place, reading: Reading) {
        self.safety.borrow_mut().see(self.began.elapsed(), place, reading);
    }

    /// A person has seen to what happened. True when nothing stays latched: what is still bad does.
    pub(crate) fn clear(&self) -> bool {
        let mut safety = self.safety.borrow_mut();
        let boards = (0..safety.limits().boards.len()).map(Place::Board);
        let left = std::iter::once(Place::Machine).chain(boards).filter(|place| !safety.clear(*place));
        left.count() == 0
    }

    /// Waits until somebody wants the machine to hash: nothing gets power before.
    pub(crate) async fn asked(&self) {
        self.path.asked().await;
    }

    /// What a board says that it is. Errors: it is another one.
    pub(crate) fn identified(&self, place: Place, identity: Identity) -> Result<(), Fault> {
        let matches = identity == Identity::Matches;
        self.see(place, Reading::Identity(identity));
        let latched = why(&self.safety.borrow(), place);
        latched.filter(|_| !matches).map_or(Ok(()), Err)
    }

    /// What is latched at a place.
    pub(crate) fn causes(&self, place: Place) -> Vec<Cause> {
        let mut causes = self.safety.borrow().causes();
        causes.retain(|cause| cause.place == place);
        causes
    }

    /// Of that, what leaves it power.
    pub(crate) fn throttles(&self, place: Place) -> Vec<Cause> {
        let mut causes = self.causes(place);
        causes.retain(|cause| cause.stage == Stage::Throttle);
        causes
    }

    /// The supply has answered.
    pub(crate) fn psu_answered(&self, on: bool) {
        let state = if on { PsuState::On } else { PsuState::Off };
        self.see(Place::Machine, Reading::Psu(Some(state)));
    }

    /// One look at a place that has power or is about to. Errors: it must not, and why.
    pub(crate) fn look(&self, place: Place, sample: &Sample) -> Result<Ruling, Fault> {
        self.look_at(self.began.elapsed(), place, sample)
    }

    /// One look at a place without power.
    pub(crate) fn look_at_rest(&self, place: Place, sample: &Sample) -> Ruling {
        self.rule(self.began.elapsed(), place, sample)
    }

    fn look_at(&self, now: Duration, place: Place, sample: &Sample) -> Result<Ruling, Fault> {
        let ruling = self.rule(now, place, sample);
        match why(&self.safety.borrow(), place) {
            Some(why) if ruling.stage >= Stage::ChainOff => Err(why),
            _ => Ok(ruling),
        }
    }

    fn rule(&self, now: Duration, place: Place, sample: &Sample) -> Ruling {
        let mut safety = self.safety.borrow_mut();
        let heard = self.path.heard();
        if self.heard.replace(heard) != heard
            && let Some(heard) = heard
        {
            safety.see(heard.saturating_duration_since(self.began), Place::Machine, Reading::Control);
        }
        let silent = sample.silent.is_some();
        safety.see(now, place, Reading::Answers(!silent));
        // What hangs on a controller that is silent is that controller's fault; the machine has none.
        if !silent || place == Place::Machine {
            let index = if let Place::Board(board) = place { board + 1 } else { 0 };
            for (at, judged) in self.sensors.get(index).into_iter().flatten().enumerate() {
                if let Some(judged) = judged {
                    safety.see(
                        now,
                        place,
                        Reading::Celsius(*judged, sample.sensors.get(at).copied().flatten()),
                    );
                }
            }
            for (fan, percent) in sample.fan_percent.iter().enumerate() {
                percent.map(|percent| safety.see(now, place, Reading::Percent(fan, percent)));
            }
            for (fan, rpm) in sample.fans.iter().enumerate() {
                safety.see(now, place, Reading::Rpm(fan, rpm.map(f64::from)));
            }
            safety.see(now, place, Reading::Volts(0, sample.rail_volts));
            safety.see(now, place, Reading::Amperes(0, sample.rail_amperes));
            if let Place::Board(board) = place {
                if let Some(die) = self.dies[board] {
                    safety.see(now, place, Reading::Celsius(die, sample.die));
                }
                safety.see(now, place, Reading::Watts(self.watts(board, sample)));
            }
        }
        ruling(safety.judge(now), place)
    }

    /// What a board turns into heat: as measured, else as its clock and voltage say. NaN: nobody can tell.
    fn watts(&self, board: usize, sample: &Sample) -> f64 {
        match (sample.rail_volts, sample.rail_amperes, &self.heat[board]) {
            (Some(volts), Some(amperes), _) => volts * amperes,
            (_, _, Some(heat)) => heat.at(self.orders.running(board as u8), self.orders.volts(board as u8)),
            _ => f64::NAN,
        }
    }

    /// A look at a place that is to get power: true when it may. Errors: it may not, has had its time to become well, or cannot be waited for.
    pub(crate) fn permits(&self, place: Place, sample: &Sample, asked: Instant) -> Result<bool, Fault> {
        let ruling = self.look_at_rest(place, sample);
        if ruling.stage < Stage::ChainOff {
            return Ok(true);
        }
        if sample.silent.is_none() && asked.elapsed() < PATIENCE {
            return Ok(false);
        }
        let waits = ruling.waits_for.map(|wait| match wait.why {
            Why::Warm => format!("{} is too warm for power", wait.part),
            Why::Unproven | Why::Absent => format!("{} is not proven", wait.part),
            Why::Unasked => "nobody asks for work".into(),
        });
        let latched = why(&self.safety.borrow(), place);
        let waits =
            || Fault::Ruled { text: waits.unwrap_or_else(|| "power is kept back".into()), cause: None };
        Err(latched.unwrap_or_else(waits))
    }
}

fn ruling(verdict: Verdict, place: Place) -> Ruling {
    let Verdict { machine, mut boards } = verdict;
    match place {
        Place::Board(board) if board < boards.len() => boards.swap_remove(board),
        _ => machine,
    }
}

/// Everything latched that concerns `place`, if any of it keeps it off power; another board's with its name.
fn why(safety: &Safety, place: Place) -> Option<Fault> {
    let mut causes = safety.causes();
    causes.retain(|cause| {
        cause.place == place || cause.place == Place::Machine || cause.stage == Stage::AllOff
    });
    let said = |cause: &Cause| match cause.place {
        Place::Board(board) if cause.place != place => {
            format!("{}: {cause}", safety.limits().boards[board].name)
        }
        _ => cause.to_string(),
    };
    let text = causes.iter().map(said).collect::<Vec<_>>().join("; ");
    // Of equal ones, one that waits for a person: whoever could clear it must be told.
    let strictest = causes.into_iter().max_by_key(|cause| (cause.stage, cause.clears == Clears::Person))?;
    let cuts = strictest.stage >= Stage::ChainOff;
    cuts.then(|| Fault::Ruled { text, cause: Some(Box::new(strictest)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{orders, safety::Hazard};

    const BOARD: Place = Place::Board(0);

    fn good() -> Sample {
        Sample {
            silent: None,
            rail_volts: Some(1.15),
            rail_amperes: Some(9.0),
            fans: vec![Some(6900)],
            fan_percent: vec![Some(100)],
            sensors: vec![Some(55.0), Some(35.0)],
            die: None,
        }
    }

    /// How many looks in a row it takes once the board hashes, and the reason; `None`: ten do not.
    fn looks_until_fault(sample: &Sample) -> Option<(usize, String)> {
        let text = include_str!("../../../overlay/etc/adit/machines/qemu-bitaxe.toml");
        let (path, profile) = (WorkPath::new(1), Profile::parse(text).unwrap());
        let orders = Orders::new(orders::Limits::of(&profile));
        let guard = Guard::new(&profile, &path, &orders).unwrap();
        let second = Duration::from_secs;
        guard.safety.borrow_mut().see(second(0), BOARD, Reading::Plugged(true));
        guard.safety.borrow_mut().see(second(0), Place::Machine, Reading::Control);
        let off = Sample { rail_volts: Some(0.0), ..good() };
        assert_eq!(guard.rule(second(1), BOARD, &off).stage, Stage::ChainOff);
        assert_eq!(guard.rule(second(2), BOARD, &off).stage, Stage::Run);
        guard.safety.borrow_mut().see(second(2), BOARD, Reading::Power(true));
        assert_eq!(guard.look_at(second(12), BOARD, &good()).unwrap().waits_for, None);
        (1..=10).find_map(|look| {
            let now = second(12 + look as u64);
            guard.safety.borrow_mut().see(now, Place::Machine, Reading::Control);
            guard.look_at(now, BOARD, sample).err().map(|fault| (look, fault.to_string()))
        })
    }

    #[test]
    fn a_good_board_is_left_alone() {
        assert_eq!(looks_until_fault(&good()), None);
    }

    #[test]
    fn heat_counts_at_once() {
        let hot = Sample { sensors: vec![Some(75.0), Some(35.0)], ..good() };
        assert_eq!(looks_until_fault(&hot), Some((1, "chip: chip hot (75.0 °C, limit 75.0)".into())));
        let hot = Sample { sensors: vec![Some(55.0), Some(71.5)], ..good() };
        assert_eq!(looks_until_fault(&hot), Some((1, "board: board hot (71.5 °C, limit 70.0)".into())));
    }

    #[test]
    fn everything_else_counts_when_it_lasts_two_looks() {
        let table = [
            (
                Sample { fans: vec![Some(1999)], ..good() },
                "fan: fan stopped (1999 rpm, limit 2000); fans: too few fans (0 fans, limit 1)",
            ),
            (
                Sample { fans: vec![None], ..good() },
                "fan: fan stopped (0 rpm, limit 2000); fans: too few fans (0 fans, limit 1)",
            ),
            (Sample { rail_volts: Some(1.3), ..good() }, "rail: voltage high (1.300 V, limit 1.250)"),
            (Sample { rail_volts: Some(0.0), ..good() }, "rail: voltage low (0.000 V, limit 1.050)"),
            (Sample { rail_volts: Some(f64::NAN), ..good() }, "rail: sensor lost (no reading)"),
            (Sample { rail_volts: None, ..good() }, "rail: sensor lost (no reading)"),
            (
                Sample { rail_amperes: Some(30.1), ..good() },
                "rail: current out of range (30.1 A, limit 30.0)",
            ),
            (Sample { rail_amperes: None, ..good() }, "rail: sensor lost (no reading)"),
            (Sample { sensors: vec![None, Some(35.0)], ..good() }, "chip: sensor lost (no reading)"),
            (Sample { sensors: vec![Some(55.0), None], ..good() }, "board: sensor lost (no reading)"),
            (
                Sample { silent: Some("silent".into()), ..Default::default() },
                "controller: controller silent (no reading)",
            ),
        ];
        for (sample, reason) in table {
            assert_eq!(looks_until_fault(&sample), Some((2, reason.into())));
        }
    }

    /// Chips that tell themselves: as one more sensor of their board, which may be silent.
    #[test]
    fn a_hot_die_cuts_power_and_one_that_says_nothing_does_not() {
        let text = include_str!("../../../overlay/etc/adit/machines/bench-bm1368.toml");
        let (path, profile) = (WorkPath::new(1), Profile::parse(text).unwrap());
        let orders = Orders::new(orders::Limits::of(&profile));
        let guard = Guard::new(&profile, &path, &orders).unwrap();
        let see = |seconds, place, reading| {
            guard.safety.borrow_mut().see(Duration::from_secs(seconds), place, reading);
        };
        let look = |seconds, die| {
            see(seconds, Place::Machine, Reading::Control);
            let looked = guard.look_at(Duration::from_secs(seconds), BOARD, &Sample { die, ..good() });
            looked.map(|ruling| ruling.stage).map_err(|fault| fault.to_string())
        };
        see(0, BOARD, Reading::Plugged(true));
        see(0, Place::Machine, Reading::Control);
        let off = Sample { rail_volts: Some(0.0), ..good() };
        assert_eq!(guard.rule(Duration::from_secs(1), BOARD, &off).stage, Stage::ChainOff);
        assert_eq!(
            guard.rule(Duration::from_secs(2), BOARD, &off).stage,
            Stage::Run,
            "no die need be proven"
        );
        see(2, BOARD, Reading::Power(true));
        assert!((3..60).all(|second| look(second, None) == Ok(Stage::Run)));
        // A reading every eight seconds, seen again until the next one.
        assert!((60..68).all(|second| look(second, Some(25.0)) == Ok(Stage::Run)));
        assert!((68..76).all(|second| look(second, Some(69.0)) == Ok(Stage::Run)));
        assert!((76..200).all(|second| look(second, None) == Ok(Stage::Run)), "it has gone silent");
        assert_eq!((look(200, Some(70.0)), look(202, Some(70.0))), (Ok(Stage::Run), Ok(Stage::Throttle)));
        assert_eq!(look(203, None), Ok(Stage::Throttle), "silence ends no throttle");
        let both = "die: chip warm (70.0 °C, limit 70.0); die: chip hot (75.0 °C, limit 75.0)";
        assert_eq!(look(204, Some(75.0)), Err(both.into()));
    }

    /// A board that only the supply can cut, whose heat its profile tells.
    #[test]
    fn a_sensor_that_stays_while_the_clock_falls_is_taken_for_frozen() {
        let text = include_str!("../../../overlay/etc/adit/machines/bench-s19j-pro.toml");
        let (path, profile) = (WorkPath::new(3), Profile::parse(text).unwrap());
        let orders = Orders::new(orders::Limits::of(&profile));
        let guard = Guard::new(&profile, &path, &orders).unwrap();
        let see = |seconds, place, reading| {
            guard.safety.borrow_mut().see(Duration::from_secs(seconds), place, reading);
        };
        let look = |seconds, outlet| {
            see(seconds, Place::Machine, Reading::Control);
            // The inlet's moves a little.
            let sensors = vec![Some(30.0 + (seconds % 2) as f64), Some(outlet)];
            let sample = Sample { sensors, ..Default::default() };
            guard.rule(Duration::from_secs(seconds), BOARD, &sample);
            let causes = guard.safety.borrow().causes();
            let frozen = causes.into_iter().find(|cause| cause.hazard == Hazard::SensorFrozen);
            frozen.map(|cause| (cause.stage, cause.to_string()))
        };
        see(0, BOARD, Reading::Plugged(true));
        see(0, BOARD, Reading::Power(true));
        orders.clock_is(0, adit_asic::KiloHertz::from_mhz(535.0));
        assert!((1..100).all(|second| look(second, 55.0).is_none()), "nothing changes, nothing need");
        orders.clock_is(0, adit_asic::KiloHertz::from_mhz(56.25));
        assert!((100..159).all(|second| look(second, 55.0).is_none()));
        let reason = "outlet: sensor frozen (the same to the last bit while heat changed)";
        let frozen = (159..170).find_map(|second| look(second, 55.0).map(|frozen| (second, frozen)));
        let (at, frozen) = frozen.unwrap();
        assert_eq!(frozen, (Stage::Throttle, reason.to_owned()));
        assert!(look(at + 59, 55.0).unwrap().0 == Stage::Throttle);
        assert_eq!(look(at + 60, 55.0).unwrap().0, Stage::AllOff, "only the supply can cut it");
    }

    #[test]
    fn a_voltage_that_was_too_high_keeps_power_away_until_a_person_clears_it() {
        let text = include_str!("../../../overlay/etc/adit/machines/qemu-bitaxe.toml");
        let (path, profile) = (WorkPath::new(1), Profile::parse(text).unwrap());
        let orders = Orders::new(orders::Limits::of(&profile));
        let guard = Guard::new(&profile, &path, &orders).unwrap();
        let see = |seconds, place, reading| {
            guard.safety.borrow_mut().see(Duration::from_secs(seconds), place, reading);
        };
        let rule = |seconds, sample: &Sample| {
            see(seconds, Place::Machine, Reading::Control);
            guard.rule(Duration::from_secs(seconds), BOARD, sample).stage
        };
        let off = Sample { rail_volts: Some(0.0), ..good() };
        see(0, BOARD, Reading::Plugged(true));
        assert_eq!((rule(1, &off), rule(2, &off)), (Stage::ChainOff, Stage::Run));
        see(2, BOARD, Reading::Power(true));
        let high = Sample { rail_volts: Some(1.3), ..good() };
        assert_eq!(
            (rule(12, &good()), rule(13, &high), rule(14, &high)),
            (Stage::Run, Stage::Run, Stage::ChainOff)
        );
        assert!(!guard.clear(), "it is still there");
        see(14, BOARD, Reading::Power(false));
        assert!((15..200).all(|second| rule(second, &off) == Stage::ChainOff), "nobody has cleared it");
        assert!(guard.clear());
        assert_eq!((rule(200, &off), rule(201, &off)), (Stage::Run, Stage::Run));
    }

    #[test]
    fn a_control_loop_that_falls_silent_throttles_after_five_seconds_and_cuts_after_a_minute() {
        let text = include_str!("../../../overlay/etc/adit/machines/qemu-bitaxe.toml");
        let (path, profile) = (WorkPath::new(1), Profile::parse(text).unwrap());
        let orders = Orders::new(orders::Limits::of(&profile));
        let guard = Guard::new(&profile, &path, &orders).unwrap();
        let rule = |seconds, sample: &Sample| guard.rule(Duration::from_secs(seconds), BOARD, sample).stage;
        guard.see(BOARD, Reading::Plugged(true));
        path.hear();
        let off = Sample { rail_volts: Some(0.0), ..good() };
        assert_eq!((rule(1, &off), rule(2, &off)), (Stage::ChainOff, Stage::Run));
        guard.see(BOARD, Reading::Power(true));
        let stages: Vec<_> = (3..=70).map(|second| (second, rule(second, &good()))).collect();
        let first = |stage| move |(second, seen)| (seen == stage).then_some(second);
        // It was heard a moment after the start.
        assert_eq!(stages.iter().copied().find_map(first(Stage::Throttle)), Some(6));
        assert_eq!(stages.iter().copied().find_map(first(Stage::AllOff)), Some(61));
    }

    #[test]
    fn every_shipped_profile_makes_limits_that_the_core_takes() {
        let machines =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../overlay/etc/adit/machines");
        let path = WorkPath::new(4);
        let mut count = 0;
        for entry in std::fs::read_dir(machines).unwrap() {
            let file = entry.unwrap().path();
            let profile = Profile::load(&file).unwrap();
            let orders = Orders::new(orders::Limits::of(&profile));
            Guard::new(&profile, &path, &orders)
                .unwrap_or_else(|wrong| panic!("{}: {wrong}", file.display()));
            count += 1;
        }
        assert!(count > 5);
    }
}

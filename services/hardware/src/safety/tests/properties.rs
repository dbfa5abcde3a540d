//! Whatever is read, in whatever order.

use proptest::{collection::vec, option, prelude::*};

use super::{super::*, bench::*};

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        -60.0..200.0_f64,
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(75.0),
        Just(70.0)
    ]
}

fn reading() -> impl Strategy<Value = Reading> {
    let index = 0..5_usize;
    let value = || option::weighted(0.8, number());
    let state = prop_oneof![Just(PsuState::On), Just(PsuState::Off), Just(PsuState::Fault)];
    let identity = prop_oneof![Just(Identity::Matches), Just(Identity::Unreadable)];
    prop_oneof![
        4 => (index.clone(), value()).prop_map(|(index, value)| Reading::Celsius(index, value)),
        2 => (index.clone(), value()).prop_map(|(index, value)| Reading::Rpm(index, value)),
        2 => (index.clone(), value()).prop_map(|(index, value)| Reading::Volts(index, value)),
        1 => (index.clone(), value()).prop_map(|(index, value)| Reading::Amperes(index, value)),
        1 => (index, any::<u8>()).prop_map(|(index, percent)| Reading::Percent(index, percent)),
        1 => number().prop_map(Reading::Watts),
        1 => any::<bool>().prop_map(Reading::Answers),
        1 => identity.prop_map(Reading::Identity),
        1 => option::of(state).prop_map(Reading::Psu),
        1 => Just(Reading::Control),
        1 => any::<bool>().prop_map(Reading::Power),
        1 => any::<bool>().prop_map(Reading::Plugged),
    ]
}

#[derive(Debug, Clone)]
enum Step {
    See(Place, Reading),
    /// Milliseconds on, or back.
    Judge(i32),
    Clear(Place),
}

fn place() -> impl Strategy<Value = Place> {
    // One more board than there is.
    prop_oneof![Just(MACHINE), (0..3_usize).prop_map(Place::Board)]
}

fn step() -> impl Strategy<Value = Step> {
    let time = prop_oneof![Just(250), Just(1000), 0..5000_i32, -5000..100_000_i32];
    prop_oneof![
        6 => (place(), reading()).prop_map(|(place, reading)| Step::See(place, reading)),
        3 => time.prop_map(Step::Judge),
        1 => place().prop_map(Step::Clear),
    ]
}

/// Ends at the latest time that there was.
fn run(bench: &mut Bench, steps: &[Step], mut each: impl FnMut(&mut Bench, &Step, &Verdict)) {
    let mut latest = bench.now;
    for step in steps {
        match step {
            Step::See(place, reading) => bench.safety.see(bench.now, *place, reading.clone()),
            Step::Judge(on) if *on >= 0 => bench.now += ms(on.unsigned_abs().into()),
            Step::Judge(back) => bench.now = bench.now.saturating_sub(ms(back.unsigned_abs().into())),
            Step::Clear(place) => drop(bench.safety.clear(*place)),
        }
        latest = latest.max(bench.now);
        let verdict = bench.safety.judge(bench.now);
        each(bench, step, &verdict);
    }
    bench.now = latest;
}

fn well_within() -> impl Strategy<Value = [f64; 6]> {
    // Chip and board below warm, fans at what they were told and no slower than they may, volts, amperes, PSU.
    [30.0..69.9_f64, 30.0..61.9, 3900.0..7000.0, 12.0..15.0, -1.0..90.0, 20.0..79.9]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_readings_panics(steps in vec(step(), 0..300)) {
        run(&mut Bench::cold(limits()), &steps, |bench, _, verdict| {
            assert!(verdict.boards.iter().all(|board| board.stage >= verdict.machine.stage));
            let _ = bench.text();
        });
    }

    #[test]
    fn no_sequence_of_readings_within_limits_trips(looks in vec((well_within(), 100..2000_u64), 1..150)) {
        let mut bench = Bench::hashing();
        for ([chip, board, rpm, volts, amperes, psu], pause) in looks {
            for place in [SWITCHED, OWN] {
                bench.set(place, Reading::Celsius(CHIP, Some(chip)));
                bench.set(place, Reading::Celsius(BOARD, Some(board)));
                bench.set(place, Reading::Volts(0, Some(volts)));
                bench.set(place, Reading::Amperes(0, Some(amperes)));
            }
            (0..4).for_each(|fan| bench.set(MACHINE, Reading::Rpm(fan, Some(rpm))));
            bench.set(MACHINE, Reading::Celsius(0, Some(psu)));
            let verdict = bench.look();
            prop_assert_eq!(bench.text(), Vec::<String>::new());
            prop_assert!(verdict.boards.iter().all(|board| board.stage == Stage::Run));
            bench.now += ms(pause);
        }
    }

    /// Heat cuts at its look, whatever was read, plugged, cleared or claimed before.
    #[test]
    fn a_reading_at_or_above_its_limit_cuts_power_at_once(
        steps in vec(step(), 0..200),
        chip in prop_oneof![Just(75.0), 75.0..1e9, Just(f64::INFINITY)],
        board in prop_oneof![Just(70.0), 70.0..1e9, Just(f64::INFINITY)],
        psu in prop_oneof![Just(90.0), 90.0..1e9, Just(f64::INFINITY)],
    ) {
        for (place, index, value) in [(SWITCHED, CHIP, chip), (OWN, BOARD, board), (MACHINE, 0, psu)] {
            let mut bench = Bench::hashing();
            run(&mut bench, &steps, |_, _, _| {});
            if place != MACHINE {
                bench.safety.see(bench.now, place, Reading::Plugged(true));
            }
            bench.safety.see(bench.now, place, Reading::Celsius(index, Some(value)));
            let verdict = bench.safety.judge(bench.now);
            let stage = match place {
                MACHINE => verdict.machine.stage,
                Place::Board(index) => verdict.boards[index].stage,
            };
            let least = if place == MACHINE { Stage::AllOff } else { Stage::ChainOff };
            prop_assert!(stage >= least);
        }
    }

    /// Everything else that lasts trips at its time, whatever came before. Looks may be apart as they like.
    #[test]
    fn what_lasts_trips_within_its_time(
        steps in vec(step(), 0..100),
        pauses in vec(50..1000_u64, 120),
        bad in prop_oneof![
            Just((Hazard::SensorLost, Reading::Celsius(BOARD, None))),
            Just((Hazard::SensorLost, Reading::Celsius(CHIP, Some(f64::NAN)))),
            Just((Hazard::SensorAbsurd, Reading::Celsius(BOARD, Some(-41.0)))),
            Just((Hazard::FanStopped, Reading::Rpm(0, Some(900.0)))),
            Just((Hazard::ControllerSilent, Reading::Answers(false))),
            Just((Hazard::WrongBoard, Reading::Identity(Identity::Unreadable))),
            Just((Hazard::VoltageHigh, Reading::Volts(0, Some(15.5)))),
        ],
    ) {
        let (hazard, reading) = bad;
        let mut bench = Bench::hashing();
        run(&mut bench, &steps, |_, _, _| {});
        bench.safety.see(bench.now, OWN, Reading::Plugged(true));
        bench.safety.see(bench.now, OWN, Reading::Power(true));
        // Looks are up to a second apart; a fan that came with its board may first be given its spin-up.
        let within = ms(2000 + if hazard == Hazard::FanStopped { 6000 } else { 0 });
        let began = bench.now;
        for pause in pauses {
            bench.safety.see(bench.now, OWN, reading.clone());
            bench.safety.judge(bench.now);
            bench.now += ms(pause);
        }
        let caught: Vec<_> = bench.safety.causes().into_iter().filter(|cause| cause.hazard == hazard && cause.place == OWN).collect();
        prop_assert!(caught.iter().any(|cause| cause.at <= began + within), "{:?} not in {:?}", hazard, bench.text());
    }

    /// While a cause stays latched, its stage and that of whom it concerns only get stricter.
    #[test]
    fn no_stage_gets_laxer_while_its_cause_is_latched(steps in vec(step(), 0..300)) {
        let mut bench = Bench::hashing();
        let mut before: Vec<Cause> = Vec::new();
        run(&mut bench, &steps, |bench, step, verdict| {
            let causes = bench.safety.causes();
            for cause in &causes {
                let same = |old: &&Cause| (old.hazard, old.place, &old.part, old.at) == (cause.hazard, cause.place, &cause.part, cause.at);
                assert!(before.iter().find(same).is_none_or(|old| old.stage <= cause.stage), "{cause:?}");
                let stage = match cause.place {
                    MACHINE => verdict.machine.stage,
                    Place::Board(index) => verdict.boards[index].stage,
                };
                assert!(stage >= cause.stage, "{cause:?}: {stage:?}");
            }
            // And what a person must clear goes only when a person says so.
            for old in before.iter().filter(|old| old.clears == Clears::Person) {
                let same = |cause: &Cause| (cause.hazard, cause.place, &cause.part) == (old.hazard, old.place, &old.part);
                assert!(matches!(step, Step::Clear(_)) || causes.iter().any(same), "{old:?}");
            }
            before = causes;
        });
    }
}

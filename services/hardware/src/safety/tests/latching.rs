//! What ends a cause, and what does not.

use super::{super::*, bench::*};

fn board(bench: &mut Bench) -> Stage {
    bench.look().boards[0].stage
}

#[test]
fn a_warm_chip_is_throttled_until_it_is_below_by_the_hysteresis_for_half_a_minute() {
    let mut bench = Bench::hashing();
    bench.set(SWITCHED, Reading::Celsius(CHIP, Some(70.0)));
    assert_eq!(bench.until(Hazard::ChipWarm, Stage::Throttle), Some(ms(2000)));
    assert_eq!(board(&mut bench), Stage::Throttle);
    // Just below the limit is not below enough …
    bench.set(SWITCHED, Reading::Celsius(CHIP, Some(67.1)));
    bench.runs(ms(600_000));
    assert_eq!(board(&mut bench), Stage::Throttle);
    // … 3 K below is, when it stays there.
    bench.set(SWITCHED, Reading::Celsius(CHIP, Some(67.0)));
    bench.runs(ms(29_000));
    bench.set(SWITCHED, Reading::Celsius(CHIP, Some(67.1)));
    bench.look();
    bench.set(SWITCHED, Reading::Celsius(CHIP, Some(67.0)));
    assert_eq!(bench.runs(ms(29_500)).boards[0].stage, Stage::Throttle);
    assert_eq!(bench.runs(ms(500)).boards[0].stage, Stage::Run);
}

#[test]
fn what_falls_below_its_limit_begins_anew_though_it_is_not_well_yet() {
    let mut bench = Bench::hashing();
    for _ in 0..5 {
        bench.set(SWITCHED, Reading::Celsius(CHIP, Some(70.0)));
        bench.runs(ms(1500));
        bench.set(SWITCHED, Reading::Celsius(CHIP, Some(69.0)));
        bench.look();
    }
    assert_eq!(bench.hazards(), []);
}

#[test]
fn a_hot_board_stays_off_until_it_is_cool_for_ten_seconds() {
    let mut bench = Bench::hashing();
    bench.set(SWITCHED, Reading::Celsius(BOARD, Some(70.0)));
    assert_eq!(board(&mut bench), Stage::ChainOff);
    bench.power(SWITCHED, false);
    bench.set(SWITCHED, Reading::Celsius(BOARD, Some(50.1)));
    assert_eq!(bench.runs(ms(600_000)).boards[0].stage, Stage::ChainOff);
    bench.set(SWITCHED, Reading::Celsius(BOARD, Some(50.0)));
    assert_eq!(bench.runs(ms(9_500)).boards[0].stage, Stage::ChainOff);
    assert_eq!(bench.runs(ms(500)).boards[0].stage, Stage::Run);
    assert_eq!(bench.hazards(), []);
}

#[test]
fn a_hazard_of_one_board_leaves_the_others_hashing() {
    let mut bench = Bench::hashing();
    bench.set(SWITCHED, Reading::Celsius(CHIP, Some(99.0)));
    let verdict = bench.look();
    let stages: Vec<_> = verdict.boards.iter().map(|board| board.stage).collect();
    assert_eq!((stages, verdict.machine.stage), (vec![Stage::ChainOff, Stage::Run], Stage::Run));
}

#[test]
fn what_chain_off_does_not_end_takes_all_off_and_only_where_that_helps() {
    let mut bench = Bench::hashing();
    bench.set(SWITCHED, Reading::Celsius(CHIP, Some(99.0)));
    let verdict = bench.runs(ms(30_500));
    assert_eq!(verdict.machine.stage, Stage::AllOff);
    assert_eq!(verdict.boards[1].stage, Stage::AllOff);
    // A board on a supply of its own.
    let mut bench = Bench::hashing();
    bench.set(OWN, Reading::Celsius(CHIP, Some(99.0)));
    let verdict = bench.runs(ms(300_000));
    assert_eq!((verdict.machine.stage, verdict.boards[0].stage), (Stage::Run, Stage::Run));
    assert_eq!(verdict.boards[1].stage, Stage::ChainOff);
}

#[test]
fn a_board_that_only_the_psu_can_cut_takes_all_with_it() {
    let mut limits = limits();
    limits.boards[0].supply = Supply::Common;
    let mut bench = Bench::hashing_with(limits);
    bench.set(SWITCHED, Reading::Celsius(CHIP, Some(75.0)));
    let verdict = bench.look();
    assert_eq!(verdict.machine.stage, Stage::AllOff);
    assert!(verdict.boards.iter().all(|board| board.stage == Stage::AllOff));
}

#[test]
fn what_a_person_must_clear_waits_for_the_person_and_for_its_cause() {
    let mut bench = Bench::hashing();
    bench.set(SWITCHED, Reading::Volts(0, Some(15.2)));
    bench.runs(ms(1000));
    assert_eq!(bench.safety.causes()[0].clears, Clears::Person);
    assert!(!bench.safety.clear(SWITCHED), "still too high");
    assert_eq!(board(&mut bench), Stage::ChainOff);
    bench.power(SWITCHED, false);
    bench.runs(ms(600_000));
    assert_eq!(bench.hazards(), [Hazard::VoltageHigh], "time does not clear it");
    assert!(bench.safety.clear(OWN), "nothing there, and nothing changed here");
    assert_eq!(board(&mut bench), Stage::ChainOff);
    assert!(bench.safety.clear(SWITCHED));
    assert_eq!(board(&mut bench), Stage::Run);
}

#[test]
fn a_person_cannot_clear_a_hot_board() {
    let mut bench = Bench::hashing();
    bench.set(SWITCHED, Reading::Celsius(BOARD, Some(70.0)));
    bench.look();
    bench.set(SWITCHED, Reading::Celsius(BOARD, Some(69.0)));
    bench.runs(ms(60_000));
    assert!(!bench.safety.clear(SWITCHED));
    assert_eq!(board(&mut bench), Stage::ChainOff);
}

#[test]
fn another_board_in_its_place_is_proven_anew_and_keeps_what_a_person_must_clear() {
    let mut bench = Bench::hashing();
    bench.set(OWN, Reading::Volts(0, Some(15.2)));
    bench.set(OWN, Reading::Celsius(CHIP, Some(75.0)));
    bench.runs(ms(1000));
    assert_eq!(bench.hazards(), [Hazard::ChipHot, Hazard::VoltageHigh]);
    bench.safety.see(bench.now, OWN, Reading::Plugged(false));
    let verdict = bench.look();
    assert_eq!((verdict.boards[1].stage, verdict.boards[1].fans), (Stage::ChainOff, FanDemand::None));
    assert_eq!(verdict.boards[1].waits_for, Some(Wait { part: "usb".into(), why: Why::Absent }));
    assert_eq!(verdict.boards[0].stage, Stage::Run, "a board that is gone takes nobody along");
    assert_eq!(bench.hazards(), [Hazard::VoltageHigh]);
    bench.safety.see(bench.now, OWN, Reading::Plugged(true));
    bench.power(OWN, false);
    assert_eq!(bench.runs(ms(5000)).boards[1].waits_for, None);
    assert_eq!(bench.hazards(), [Hazard::VoltageHigh]);
    assert!(bench.safety.clear(OWN));
    assert_eq!(bench.look().boards[1].stage, Stage::Run);
}

#[test]
fn a_matching_eeprom_ends_what_a_wrong_one_began() {
    let mut bench = Bench::hashing();
    bench.set(SWITCHED, Reading::Identity(Identity::Unreadable));
    assert_eq!(board(&mut bench), Stage::ChainOff);
    bench.power(SWITCHED, false);
    bench.set(SWITCHED, Reading::Identity(Identity::Matches));
    assert_eq!(board(&mut bench), Stage::Run);
}

#[test]
fn a_restart_of_the_control_loop_idles_chips_at_most_and_silence_cuts_power_until_it_ends() {
    let mut bench = Bench::hashing();
    for (silence, machine) in
        [(ms(4000), Stage::Run), (ms(50_000), Stage::Throttle), (ms(61_000), Stage::AllOff)]
    {
        bench.silence(MACHINE, &Reading::Control);
        let verdict = bench.runs(silence);
        assert_eq!(verdict.machine.stage, machine);
        assert!(verdict.boards.iter().all(|board| board.stage == machine));
        bench.set(MACHINE, Reading::Control);
        assert_eq!(bench.look().machine.stage, Stage::Run, "the first sign of life ends it");
    }
}

#[test]
fn one_bad_look_is_forgotten() {
    let mut bench = Bench::hashing();
    let bad = [
        Reading::Rpm(0, Some(0.0)),
        Reading::Volts(0, Some(16.0)),
        Reading::Celsius(CHIP, None),
        Reading::Answers(false),
    ];
    for _ in 0..10 {
        for reading in &bad {
            bench.safety.see(bench.now, OWN, reading.clone());
        }
        bench.safety.judge(bench.now);
        bench.now += ms(1000);
        bench.look();
    }
    assert_eq!(bench.hazards(), []);
}

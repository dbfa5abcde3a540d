//! What must have been seen before power, and what fans do about heat.

use super::{super::*, bench::*};

fn waits(bench: &mut Bench, place: usize) -> Option<(String, Why)> {
    bench.look().boards[place].waits_for.clone().map(|wait| (wait.part, wait.why))
}

#[test]
fn no_power_before_every_part_has_been_seen_well_twice() {
    let parts: [(Place, Reading, &str); 7] = [
        (MACHINE, Reading::Rpm(3, None), "fan 3"),
        (MACHINE, Reading::Celsius(0, None), "PSU"),
        (MACHINE, Reading::Psu(None), "PSU"),
        (OWN, Reading::Rpm(0, None), "own fan"),
        (OWN, Reading::Celsius(BOARD, None), "board"),
        (OWN, Reading::Identity(Identity::Matches), "EEPROM"),
        (OWN, Reading::Answers(true), "controller"),
    ];
    for (place, reading, part) in parts {
        let mut bench = Bench::cold(limits());
        assert_eq!(bench.look().boards[1].stage, Stage::AllOff, "one look proves nothing");
        let mut bench = Bench::cold(limits());
        bench.silence(place, &reading);
        let verdict = bench.runs(ms(2000));
        let ruling = if place == MACHINE { &verdict.machine } else { &verdict.boards[1] };
        assert_eq!(ruling.waits_for, Some(Wait { part: part.into(), why: Why::Unproven }));
        assert_eq!(ruling.stage, if place == MACHINE { Stage::AllOff } else { Stage::ChainOff });
        assert!(verdict.boards[1].stage >= Stage::ChainOff);
        assert_eq!(bench.hazards(), [], "nothing is wrong yet");
    }
    let mut bench = Bench::cold(limits());
    bench.look();
    let verdict = bench.look();
    assert_eq!((verdict.machine.stage, verdict.boards[0].stage), (Stage::Run, Stage::Run));
}

#[test]
fn nothing_gets_power_before_somebody_asks_for_work_and_that_is_no_fault() {
    let mut bench = Bench::cold(limits());
    bench.silence(MACHINE, &Reading::Control);
    let verdict = bench.runs(ms(200_000));
    let wait = Wait { part: "control loop".into(), why: Why::Unasked };
    assert_eq!((verdict.machine.stage, verdict.machine.waits_for), (Stage::AllOff, Some(wait)));
    assert!(verdict.boards.iter().all(|board| board.stage == Stage::AllOff));
    assert_eq!((verdict.machine.fans, bench.hazards()), (FanDemand::Normal, vec![]));
    bench.set(MACHINE, Reading::Control);
    assert_eq!(bench.look().machine.stage, Stage::Run, "the first sign is enough");
}

#[test]
fn a_fan_at_rest_has_its_time_to_spin_up_and_no_more() {
    let mut bench = Bench::cold(limits());
    bench.set(MACHINE, Reading::Rpm(0, Some(0.0)));
    let verdict = bench.runs(ms(4500));
    assert_eq!((verdict.machine.stage, verdict.machine.fans), (Stage::AllOff, FanDemand::Full));
    assert_eq!(bench.hazards(), []);
    bench.runs(ms(1500));
    assert_eq!(bench.hazards(), [Hazard::FanStopped]);
    // It turns after all.
    bench.set(MACHINE, Reading::Rpm(0, Some(6000.0)));
    assert_eq!(bench.runs(ms(10_500)).machine.stage, Stage::Run);
    assert_eq!(bench.hazards(), []);
    // And once it has turned, no other spin-up is waited for.
    bench.set(MACHINE, Reading::Rpm(0, Some(0.0)));
    assert_eq!(bench.until(Hazard::FanStopped, Stage::Throttle), Some(ms(1000)));
    assert_eq!(bench.look().machine.fans, FanDemand::Full, "cold as all is: to get it going");
}

#[test]
fn power_waits_until_the_board_is_cool_and_a_board_that_hashes_need_not_be() {
    let mut bench = Bench::cold(limits());
    bench.set(OWN, Reading::Celsius(BOARD, Some(50.5)));
    bench.runs(ms(60_000));
    assert_eq!(waits(&mut bench, 1), Some(("board".into(), Why::Warm)));
    assert_eq!(bench.hazards(), []);
    bench.set(OWN, Reading::Celsius(BOARD, Some(50.0)));
    bench.runs(ms(500));
    assert_eq!(waits(&mut bench, 1), None);
    bench.power(OWN, true);
    assert_eq!(bench.runs(ms(5000)).boards[1].stage, Stage::Run);
    // Switched off for a reason of its own, it waits again.
    bench.power(OWN, false);
    bench.set(OWN, Reading::Celsius(BOARD, Some(55.0)));
    assert_eq!(bench.look().boards[1].stage, Stage::ChainOff);
}

#[test]
fn fans_run_full_after_a_fault_until_all_is_cool_and_then_quiet() {
    let mut bench = Bench::hashing();
    assert_eq!(bench.look().machine.fans, FanDemand::Normal);
    bench.set(SWITCHED, Reading::Volts(0, Some(15.2)));
    let verdict = bench.runs(ms(1000));
    assert_eq!((verdict.machine.fans, verdict.boards[0].fans), (FanDemand::Full, FanDemand::None));
    assert_eq!(
        verdict.boards[1].fans,
        FanDemand::Normal,
        "another board's own fan has nothing to do with it"
    );
    bench.power(SWITCHED, false);
    bench.set(SWITCHED, Reading::Celsius(BOARD, Some(50.1)));
    assert_eq!(bench.runs(ms(5000)).machine.fans, FanDemand::Full);
    bench.set(SWITCHED, Reading::Celsius(BOARD, Some(50.0)));
    assert_eq!(bench.look().machine.fans, FanDemand::Normal);
    assert_eq!(bench.hazards(), [Hazard::VoltageHigh], "and still off");
    // A little warmer for less air does not start them again.
    bench.set(SWITCHED, Reading::Celsius(BOARD, Some(53.0)));
    assert_eq!(bench.look().machine.fans, FanDemand::Normal);
    bench.set(SWITCHED, Reading::Celsius(BOARD, Some(53.1)));
    assert_eq!(bench.look().machine.fans, FanDemand::Full);
}

#[test]
fn a_board_that_cannot_be_read_is_cooled_for_its_time() {
    let mut bench = Bench::hashing();
    bench.set(SWITCHED, Reading::Celsius(BOARD, None));
    bench.runs(ms(1000));
    bench.power(SWITCHED, false);
    bench.set(SWITCHED, Reading::Celsius(BOARD, None));
    assert_eq!(bench.runs(ms(599_000)).machine.fans, FanDemand::Full);
    assert_eq!(bench.runs(ms(1000)).machine.fans, FanDemand::Normal);
    assert_eq!(bench.look().boards[0].stage, Stage::ChainOff);
}

#[test]
fn immersed_no_fan_is_watched_or_asked_for() {
    let mut limits = limits();
    limits.cooling = Cooling::Immersion;
    let mut bench = Bench::hashing_with(limits);
    (0..4).for_each(|fan| bench.set(MACHINE, Reading::Rpm(fan, Some(0.0))));
    bench.set(OWN, Reading::Rpm(0, None));
    let verdict = bench.runs(ms(60_000));
    assert_eq!(verdict.machine.fans, FanDemand::None);
    assert!(verdict.boards.iter().all(|board| (board.stage, board.fans) == (Stage::Run, FanDemand::None)));
    // The rest holds.
    bench.set(OWN, Reading::Celsius(CHIP, Some(75.0)));
    let ruling = &bench.look().boards[1];
    assert_eq!((ruling.stage, ruling.fans), (Stage::ChainOff, FanDemand::None));
}

/// A chip just out of reset shows anything.
#[test]
fn what_reads_only_with_power_is_judged_when_it_has_settled() {
    let mut limits = limits();
    let chip = &mut limits.boards[1].parts.sensors[CHIP];
    (chip.reads, chip.settle) = (Reads::WithBoard, ms(1500));
    let mut bench = Bench::cold(limits);
    bench.set(OWN, Reading::Celsius(CHIP, Some(126.0)));
    bench.runs(ms(1000));
    assert_eq!(waits(&mut bench, 1), None, "it cannot be proven before power");
    bench.power(OWN, true);
    bench.set(OWN, Reading::Celsius(CHIP, Some(126.0)));
    assert_eq!(bench.runs(ms(1250)).boards[1].stage, Stage::Run);
    assert_eq!(bench.look().boards[1].stage, Stage::ChainOff);
    assert_eq!(bench.hazards(), [Hazard::ChipHot]);
    // Off again it shows nothing, so that it is over when the board has cooled.
    bench.power(OWN, false);
    bench.set(OWN, Reading::Celsius(CHIP, None));
    bench.set(OWN, Reading::Celsius(BOARD, Some(54.0)));
    bench.runs(ms(60_000));
    assert_eq!(bench.hazards(), [Hazard::ChipHot]);
    bench.set(OWN, Reading::Celsius(BOARD, Some(50.0)));
    assert_eq!(bench.runs(ms(10_500)).boards[1].stage, Stage::Run);
}

/// Its sensors and controller are dead without the PSU: they are proven when it is on, and only then does the board get power.
#[test]
fn a_board_behind_a_psu_is_proven_once_that_is_on() {
    let mut limits = limits();
    let board = &mut limits.boards[0];
    board
        .parts
        .sensors
        .iter_mut()
        .for_each(|sensor| (sensor.reads, sensor.settle) = (Reads::WithPsu, ms(1000)));
    board.controller =
        board.controller.clone().map(|controller| ControllerLimits { reads: Reads::WithPsu, ..controller });
    let mut bench = Bench::cold(limits);
    bench.set(SWITCHED, Reading::Celsius(CHIP, None));
    bench.set(SWITCHED, Reading::Celsius(BOARD, None));
    bench.set(SWITCHED, Reading::Answers(false));
    let verdict = bench.runs(ms(10_000));
    assert_eq!((verdict.machine.stage, verdict.boards[0].stage), (Stage::Run, Stage::ChainOff));
    assert_eq!(bench.hazards(), []);
    bench.power(MACHINE, true);
    bench.set(SWITCHED, Reading::Answers(true));
    bench.set(SWITCHED, Reading::Celsius(CHIP, Some(31.0)));
    bench.set(SWITCHED, Reading::Celsius(BOARD, Some(31.0)));
    assert_eq!(bench.runs(ms(1000)).boards[0].stage, Stage::ChainOff);
    assert_eq!(bench.runs(ms(250)).boards[0].stage, Stage::Run);
}

/// What can be seen without the PSU keeps it off; what only shows behind it keeps the chips in reset.
#[test]
fn a_board_that_only_the_psu_can_cut_lets_it_come_for_what_shows_only_then() {
    let mut limits = limits();
    limits.boards[0].supply = Supply::Common;
    limits.boards[0].parts.sensors.iter_mut().for_each(|sensor| sensor.reads = Reads::WithPsu);
    let mut bench = Bench::cold(limits);
    bench.silence(SWITCHED, &Reading::Identity(Identity::Matches));
    assert_eq!(bench.runs(ms(2000)).machine.stage, Stage::AllOff);
    bench.set(SWITCHED, Reading::Identity(Identity::Matches));
    let verdict = bench.runs(ms(500));
    assert_eq!((verdict.machine.stage, verdict.boards[0].stage), (Stage::Run, Stage::ChainOff));
    bench.power(MACHINE, true);
    assert_eq!(bench.runs(ms(500)).boards[0].stage, Stage::Run);
}

#[test]
fn a_wrong_board_that_only_the_psu_can_cut_is_held_in_reset_and_stops_nobody() {
    let mut limits = limits();
    limits.boards[0].supply = Supply::Common;
    let mut bench = Bench::cold(limits);
    let other = Identity::Differs { profile: "BHB42601".into(), eeprom: "BHB42611".into() };
    bench.set(SWITCHED, Reading::Identity(other));
    for _ in 0..20 {
        let verdict = bench.runs(ms(500));
        assert_eq!(verdict.boards[0].stage, Stage::ChainOff);
        assert_eq!((verdict.machine.stage, verdict.boards[1].stage), (Stage::Run, Stage::Run));
        bench.power(MACHINE, true);
    }
}

#[test]
fn a_voltage_may_rise_in_its_time_but_never_too_high() {
    let mut bench = Bench::cold(limits());
    bench.runs(ms(1000));
    bench.power(OWN, true);
    bench.set(OWN, Reading::Volts(0, Some(2.0)));
    assert_eq!(bench.runs(ms(1250)).boards[1].stage, Stage::Run, "half a second to rise, one of patience");
    bench.look();
    assert_eq!(bench.hazards(), [Hazard::VoltageLow]);
    let mut bench = Bench::cold(limits());
    bench.runs(ms(1000));
    bench.power(OWN, true);
    bench.set(OWN, Reading::Volts(0, Some(16.0)));
    assert_eq!(bench.until(Hazard::VoltageHigh, Stage::ChainOff), Some(ms(1000)));
}

/// An APW keeps its output charged for tens of seconds.
#[test]
fn a_rail_that_discharges_in_its_time_only_holds_power_back() {
    let mut limits = limits();
    limits.boards[1].parts.rails[0].fall = ms(40_000);
    let mut bench = Bench::cold(limits);
    bench.set(OWN, Reading::Volts(0, Some(9.0)));
    bench.runs(ms(39_000));
    assert_eq!(waits(&mut bench, 1), Some(("rail".into(), Why::Unproven)));
    bench.set(OWN, Reading::Volts(0, Some(2.9)));
    bench.look();
    assert_eq!(waits(&mut bench, 1), None);
}

//! Every hazard, provoked at the first look of a new second: which stage comes when. Times are written out here, not taken from the table.

use super::{super::*, bench::*};

struct Case {
    hazard: Hazard,
    /// Provoked so …
    fault: fn(&mut Bench),
    /// … it leads to throttle, chain off, all off after so many ms.
    stages: [Option<u64>; 3],
    text: &'static str,
}

fn celsius(place: Place, index: usize, value: f64) -> impl Fn(&mut Bench) {
    move |bench| bench.set(place, Reading::Celsius(index, Some(value)))
}

/// Seconds and stages as the table has them, at a board that has a switch of its own behind a PSU; what all share has no chain off but all off.
#[rustfmt::skip]
const CASES: &[Case] = &[
    Case { hazard: Hazard::ChipWarm, stages: [Some(2000), None, None], text: "chip: chip warm (70.0 °C, limit 70.0)",
        fault: |bench| celsius(SWITCHED, CHIP, 70.0)(bench) },
    Case { hazard: Hazard::ChipHot, stages: [None, Some(0), Some(30_000)], text: "chip: chip hot (75.0 °C, limit 75.0)",
        fault: |bench| celsius(SWITCHED, CHIP, 75.0)(bench) },
    Case { hazard: Hazard::BoardWarm, stages: [Some(2000), None, None], text: "board: board warm (62.0 °C, limit 62.0)",
        fault: |bench| celsius(SWITCHED, BOARD, 62.0)(bench) },
    Case { hazard: Hazard::BoardHot, stages: [None, Some(0), Some(60_000)], text: "board: board hot (71.5 °C, limit 70.0)",
        fault: |bench| celsius(SWITCHED, BOARD, 71.5)(bench) },
    Case { hazard: Hazard::PsuWarm, stages: [Some(2000), None, None], text: "PSU: PSU warm (80.0 °C, limit 80.0)",
        fault: |bench| celsius(MACHINE, 0, 80.0)(bench) },
    Case { hazard: Hazard::PsuHot, stages: [None, None, Some(0)], text: "PSU: PSU hot (inf °C, limit 90.0)",
        fault: |bench| celsius(MACHINE, 0, f64::INFINITY)(bench) },
    Case { hazard: Hazard::IntakeWarm, stages: [Some(2000), None, None], text: "intake: intake warm (44.9 °C, limit 40.0)",
        fault: |bench| celsius(MACHINE, 1, 44.9)(bench) },
    Case { hazard: Hazard::IntakeHot, stages: [None, None, Some(0)], text: "intake: intake hot (45.0 °C, limit 45.0)",
        fault: |bench| celsius(MACHINE, 1, 45.0)(bench) },
    Case { hazard: Hazard::SensorLost, stages: [None, Some(1000), None], text: "board: sensor lost (no reading)",
        fault: |bench| bench.set(SWITCHED, Reading::Celsius(BOARD, None)) },
    Case { hazard: Hazard::SensorLost, stages: [None, Some(1000), None], text: "chip: sensor lost (no reading)",
        fault: |bench| celsius(SWITCHED, CHIP, f64::NAN)(bench) },
    Case { hazard: Hazard::SensorLost, stages: [None, Some(1000), None], text: "rail: sensor lost (no reading)",
        fault: |bench| bench.set(SWITCHED, Reading::Volts(0, Some(f64::NAN))) },
    Case { hazard: Hazard::SensorLost, stages: [None, Some(1000), None], text: "rail: sensor lost (no reading)",
        fault: |bench| bench.set(SWITCHED, Reading::Amperes(0, None)) },
    // Nobody reads it any more: missing after `stale`, 3 s after the last reading, which was one look ago.
    Case { hazard: Hazard::SensorLost, stages: [None, Some(3750), None], text: "board: sensor lost (no reading)",
        fault: |bench| bench.silence(SWITCHED, &Reading::Celsius(BOARD, None)) },
    Case { hazard: Hazard::SensorAbsurd, stages: [None, Some(1000), None], text: "board: sensor absurd (-40.5 °C, limit -40.0)",
        fault: |bench| celsius(SWITCHED, BOARD, -40.5)(bench) },
    // 85 K down: this sensor may be 50 K off and change by 20 K/s, which makes 75 K since it was last believed, 1.25 s ago.
    Case { hazard: Hazard::SensorAbsurd, stages: [None, Some(1000), None], text: "board: sensor absurd (-30.0 °C, limit -20.0)",
        fault: |bench| celsius(SWITCHED, BOARD, -30.0)(bench) },
    // 1000 W fall to 400: 60 s later it should have moved.
    Case { hazard: Hazard::SensorFrozen, stages: [Some(60_000), Some(120_000), None], text: "board: sensor frozen (the same to the last bit while heat changed)",
        fault: |bench| bench.set(SWITCHED, Reading::Watts(400.0)) },
    Case { hazard: Hazard::FanSlow, stages: [Some(10_000), None, None], text: "fan 2: fan slow (3599 rpm, limit 3600)",
        fault: |bench| bench.set(MACHINE, Reading::Rpm(2, Some(3599.0))) },
    Case { hazard: Hazard::FanStopped, stages: [Some(1000), None, None], text: "fan 2: fan stopped (999 rpm, limit 1000)",
        fault: |bench| bench.set(MACHINE, Reading::Rpm(2, Some(999.0))) },
    Case { hazard: Hazard::FanStopped, stages: [Some(1000), None, None], text: "fan 2: fan stopped (0 rpm, limit 1000)",
        fault: |bench| bench.set(MACHINE, Reading::Rpm(2, None)) },
    Case { hazard: Hazard::FanStopped, stages: [Some(1000), None, None], text: "fan 2: fan stopped (NaN rpm, limit 1000)",
        fault: |bench| bench.set(MACHINE, Reading::Rpm(2, Some(f64::NAN))) },
    // A tachometer that counts noise.
    Case { hazard: Hazard::FanStopped, stages: [Some(1000), None, None], text: "fan 2: fan stopped (12000 rpm, limit 12000)",
        fault: |bench| bench.set(MACHINE, Reading::Rpm(2, Some(12_000.0))) },
    Case { hazard: Hazard::FansTooFew, stages: [None, None, Some(1000)], text: "fans: too few fans (2 fans, limit 3)",
        fault: |bench| {
            bench.set(MACHINE, Reading::Rpm(1, Some(0.0)));
            bench.set(MACHINE, Reading::Rpm(2, Some(0.0)));
        } },
    Case { hazard: Hazard::FansTooFew, stages: [None, Some(1000), None], text: "fans: too few fans (0 fans, limit 1)",
        fault: |bench| bench.set(OWN, Reading::Rpm(0, Some(0.0))) },
    Case { hazard: Hazard::VoltageLow, stages: [None, Some(1000), None], text: "rail: voltage low (11.990 V, limit 12.000)",
        fault: |bench| bench.set(SWITCHED, Reading::Volts(0, Some(11.99))) },
    Case { hazard: Hazard::VoltageHigh, stages: [None, Some(1000), None], text: "rail: voltage high (15.010 V, limit 15.000)",
        fault: |bench| bench.set(SWITCHED, Reading::Volts(0, Some(15.01))) },
    Case { hazard: Hazard::Current, stages: [None, Some(1000), None], text: "rail: current out of range (90.1 A, limit 90.0)",
        fault: |bench| bench.set(SWITCHED, Reading::Amperes(0, Some(90.1))) },
    Case { hazard: Hazard::Current, stages: [None, Some(1000), None], text: "rail: current out of range (-5.0 A, limit -1.0)",
        fault: |bench| bench.set(SWITCHED, Reading::Amperes(0, Some(-5.0))) },
    // Switched off, and half a second later it should have fallen.
    Case { hazard: Hazard::StillOn, stages: [None, None, Some(3500)], text: "rail: rail still on (13.500 V, limit 3.000)",
        fault: |bench| {
            bench.power(SWITCHED, false);
            bench.set(SWITCHED, Reading::Volts(0, Some(13.5)));
        } },
    Case { hazard: Hazard::ControllerSilent, stages: [None, Some(1000), Some(5000)], text: "controller: controller silent (no reading)",
        fault: |bench| bench.set(SWITCHED, Reading::Answers(false)) },
    // Silence counts from the last sign, one look ago.
    Case { hazard: Hazard::PsuSilent, stages: [Some(19_750), None, Some(39_750)], text: "PSU: PSU heartbeat lost (no reading)",
        fault: |bench| bench.silence(MACHINE, &Reading::Psu(None)) },
    Case { hazard: Hazard::PsuSilent, stages: [Some(19_750), None, Some(39_750)], text: "PSU: PSU heartbeat lost (no reading)",
        fault: |bench| bench.set(MACHINE, Reading::Psu(None)) },
    Case { hazard: Hazard::PsuFault, stages: [None, None, Some(1000)], text: "PSU: PSU fault (reports a fault)",
        fault: |bench| bench.set(MACHINE, Reading::Psu(Some(PsuState::Fault))) },
    Case { hazard: Hazard::PsuFault, stages: [None, None, Some(1000)], text: "PSU: PSU fault (is off and should be on)",
        fault: |bench| bench.set(MACHINE, Reading::Psu(Some(PsuState::Off))) },
    Case { hazard: Hazard::ControlSilent, stages: [Some(4750), None, Some(59_750)], text: "control loop: control loop silent (no reading)",
        fault: |bench| bench.silence(MACHINE, &Reading::Control) },
    Case { hazard: Hazard::WrongBoard, stages: [None, Some(0), None], text: "EEPROM: wrong board (profile says \"S19j Pro\", EEPROM \"NBP1901\")",
        fault: |bench| {
            let (profile, eeprom) = ("S19j Pro".into(), "NBP1901".into());
            bench.set(SWITCHED, Reading::Identity(Identity::Differs { profile, eeprom }));
        } },
    Case { hazard: Hazard::WrongBoard, stages: [None, Some(0), None], text: "EEPROM: wrong board (EEPROM cannot be read)",
        fault: |bench| bench.set(SWITCHED, Reading::Identity(Identity::Unreadable)) },
];

#[test]
fn every_hazard_reaches_each_stage_at_its_time_and_not_a_look_earlier() {
    for case in CASES {
        for (stage, after) in [Stage::Throttle, Stage::ChainOff, Stage::AllOff].into_iter().zip(case.stages) {
            let Some(after) = after else { continue };
            let mut bench = Bench::hashing();
            (case.fault)(&mut bench);
            assert_eq!(bench.until(case.hazard, stage), Some(ms(after)), "{} → {stage:?}", case.text);
            assert!(bench.text().contains(&case.text.into()), "{:?} lacks {:?}", bench.text(), case.text);
        }
        let mut bench = Bench::hashing();
        (case.fault)(&mut bench);
        let strictest = (0..190 * 4)
            .filter_map(|_| {
                bench.look();
                bench.stage_of(case.hazard)
            })
            .max();
        let stages = [Stage::Throttle, Stage::ChainOff, Stage::AllOff].into_iter().zip(case.stages);
        let last = stages.filter_map(|(stage, after)| after.map(|_| stage)).max();
        assert_eq!(strictest, last, "{}: no stage that was not foreseen", case.text);
    }
}

#[test]
fn every_hazard_of_the_table_has_its_case() {
    for rule in TABLE {
        assert!(CASES.iter().any(|case| case.hazard == rule.hazard), "{}", rule.name);
        assert_eq!(TABLE[rule.hazard as usize], rule, "rows stand in the order of the hazards");
    }
}

/// Anything that takes more than one look to count is forgotten when it lasts less, however often it comes.
#[test]
fn what_lasts_less_than_its_time_is_forgotten() {
    let cases = || CASES.iter().filter(|case| case.stages.iter().flatten().all(|after| *after >= 1000));
    for case in cases() {
        // A person's hand, not a flicker.
        if matches!(case.hazard, Hazard::SensorFrozen | Hazard::StillOn) {
            continue;
        }
        let mut bench = Bench::hashing();
        for _ in 0..20 {
            let well = Bench::hashing();
            (case.fault)(&mut bench);
            bench.runs(ms(700));
            bench.shows_as(&well);
            bench.runs(ms(700));
        }
        assert_eq!(bench.hazards(), [], "{}", case.text);
    }
}

#[test]
fn a_quiet_healthy_sensor_of_coarse_steps_is_never_taken_for_frozen() {
    let mut bench = Bench::hashing();
    // Half an hour without a change of value, fans and power as steady as they get: 10 % up and down.
    for look in 0..1800 * 4 {
        let wave = f64::from(look % 400) / 400.0;
        bench.set(SWITCHED, Reading::Watts(950.0 + 100.0 * wave));
        bench.set(MACHINE, Reading::Percent(0, 90 + (10.0 * wave) as u8));
        bench.look();
    }
    assert_eq!(bench.hazards(), []);
}

#[test]
fn a_short_change_of_power_does_not_make_a_coarse_sensor_frozen() {
    let mut bench = Bench::hashing();
    bench.set(SWITCHED, Reading::Watts(200.0));
    bench.runs(ms(50_000));
    bench.set(SWITCHED, Reading::Watts(1000.0));
    bench.runs(ms(600_000));
    assert_eq!(bench.hazards(), []);
}

#[test]
fn a_sensor_that_stays_while_fans_slow_down_is_frozen_and_one_that_moves_is_not() {
    let mut bench = Bench::hashing();
    (0..4).for_each(|fan| bench.set(MACHINE, Reading::Percent(fan, 40)));
    assert_eq!(bench.until(Hazard::SensorFrozen, Stage::Throttle), Some(ms(60_000)));
    // Throttled, its value moves by one bit: it lives.
    bench.set(SWITCHED, Reading::Celsius(BOARD, Some(55.0_f64.next_up())));
    bench.runs(ms(11_000));
    assert_eq!(bench.hazards(), []);
}

#[test]
fn a_sensor_beside_air_and_power_that_balance_each_other_may_stay_as_it_is() {
    let mut bench = Bench::hashing();
    bench.set(SWITCHED, Reading::Watts(400.0));
    (0..4).for_each(|fan| bench.set(MACHINE, Reading::Percent(fan, 40)));
    bench.runs(ms(600_000));
    assert_eq!(bench.hazards(), []);
}

#[test]
fn a_fan_that_was_told_to_be_slower_is_not_slow() {
    let mut bench = Bench::hashing();
    for (percent, rpm) in [(50, 2900.0), (20, 1200.0), (100, 1200.0)] {
        bench.set(MACHINE, Reading::Percent(0, percent));
        bench.set(MACHINE, Reading::Rpm(0, Some(rpm)));
        // The last is on its way up for less than its time.
        bench.runs(ms(9_000));
        assert_eq!(bench.hazards(), [], "{percent} %");
    }
}

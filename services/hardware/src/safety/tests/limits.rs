//! Limits that would leave a hazard without its reaction are refused.

use super::{super::*, bench};

fn refused(change: impl Fn(&mut Limits)) -> String {
    let mut limits = bench::limits();
    change(&mut limits);
    Safety::new(limits, Time::ZERO).map(drop).unwrap_err().to_string()
}

#[test]
fn limits_by_which_no_machine_can_be_run_are_refused_with_the_part() {
    type Change = fn(&mut Limits);
    let rising = "left: chip: temperatures must rise: physics, cool, warm, max, physics";
    let volts = "left: rail: volts must rise from 0 over off and min to max";
    let table: [(Change, &str); 15] = [
        (|limits| limits.boards[0].parts.sensors[0].max = f64::NAN, rising),
        (|limits| limits.boards[0].parts.sensors[0].warm = 75.0, rising),
        (|limits| limits.boards[0].parts.sensors[0].cool = 71.0, rising),
        (|limits| limits.boards[0].parts.sensors[0].max = 151.0, rising),
        (
            |limits| limits.boards[0].parts.sensors[0].hysteresis = 0.0,
            "left: chip: hysteresis must be above 0 and fit between cool and warm",
        ),
        (
            |limits| limits.boards[0].parts.sensors[0].physics.kelvin_per_second = f64::NAN,
            "left: chip: it must be allowed to change",
        ),
        (|limits| limits.boards[0].parts.sensors.clear(), "left: no sensor tells how hot it is"),
        (|limits| limits.boards[0].parts.rails[0].max_volts = 11.0, volts),
        (|limits| limits.boards[0].parts.rails[0].off_volts = f64::NAN, volts),
        (|limits| limits.shared.fans_needed = 0, "machine: fans_needed must be 1 to the number of fans"),
        (|limits| limits.shared.fans_needed = 5, "machine: fans_needed must be 1 to the number of fans"),
        (
            |limits| limits.shared.fans[0].min_rpm = f64::NAN,
            "machine: fan 0: speeds must be above 0, min below full",
        ),
        (|limits| (limits.shared.fans, limits.shared.fans_needed) = (vec![], 0), "left: no fan cools it"),
        (|limits| limits.psu = None, "left: hangs on a PSU, and there is none"),
        (|limits| limits.stale = Time::ZERO, "machine: readings must be allowed some age"),
    ];
    for (change, why) in table {
        assert_eq!(refused(change), why);
    }
}

#[test]
fn a_table_that_is_laxer_where_heat_is_or_makes_no_sense_is_refused() {
    let later = |limits: &mut Limits| limits.rules[Hazard::ChipHot].chain_off = Some(Time::from_secs(1));
    assert_eq!(refused(later), "chip hot: must cut power at the first look");
    let never = |limits: &mut Limits| limits.rules[Hazard::FanStopped].throttle = None;
    assert_eq!(refused(never), "fan stopped: leads to no stage");
    let order = |limits: &mut Limits| limits.rules[Hazard::PsuSilent].all_off = Some(Time::from_secs(10));
    assert_eq!(refused(order), "PSU heartbeat lost: a later stage must not come sooner");
}

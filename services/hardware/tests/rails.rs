//! Rails whose regulator has no bus: a current source trims it, a line switches it, the board controller's converter measures it.
#![allow(clippy::unwrap_used)]

mod bench;

use std::time::Duration;

use adit_bus::hardware::Targets;
use adit_simulator::{BITAXE_ULTRA, EMBERONE00, Event, Fault};
use bench::{Bench, QUICK, whole};

const RAIL: &str = "volts = 3.1\nmin_volts = 2.9\nmax_volts = 3.25";

fn ember(changes: &[(&str, &str)]) -> Bench {
    whole("bench-emberone00", &EMBERONE00, changes)
}

async fn hashing(bench: &Bench) {
    bench.until_status("hashing", |status| status.stage == "hashing").await;
}

fn line(bench: &Bench, name: &str) -> bool {
    bench.state().lines.iter().find(|line| line.name == name).unwrap().level
}

#[tokio::test]
async fn a_trimmed_rail_comes_at_its_voltage_and_goes_with_the_driver() {
    let bench = ember(&[QUICK]);
    let driver = bench.drive().await;
    hashing(&bench).await;
    let truth = bench.state();
    assert!((3050..3150).contains(&truth.rail.millivolts), "{:?}", truth.rail);
    assert!(line(&bench, "enable") && line(&bench, "io-supply") && !truth.reset);
    let status = bench.status().await;
    assert!((status.boards[0].volts - 3.1).abs() < 0.05, "{status:#?}");
    let complaints = bench.events().iter().any(|event| matches!(event, Event::ProtocolError { .. }));
    assert!(!complaints, "{:?}", bench.events());
    driver.stop().unwrap();
    let truth = bench.state();
    assert!(!truth.rail.on && truth.reset, "{truth:#?}");
    assert!(!line(&bench, "enable") && !line(&bench, "io-supply"));
}

#[tokio::test]
async fn its_voltage_follows_what_is_asked_for_within_the_limits() {
    let bench = ember(&[QUICK]);
    let _driver = bench.drive().await;
    hashing(&bench).await;
    let control = bench.control().await;
    let targets = |volts| Targets { volts: Some(volts), ..Targets::default() };
    control.set_targets(0, &targets(3.2)).await.unwrap();
    bench.until("3.2 V", |truth| (3170..3230).contains(&truth.rail.millivolts)).await;
    for beyond in [3.3, 2.8] {
        assert!(control.set_targets(0, &targets(beyond)).await.is_err(), "{beyond}");
    }
    hashing(&bench).await;
    assert!((3170..3230).contains(&bench.state().rail.millivolts));
}

#[tokio::test]
async fn a_rail_that_is_not_what_was_asked_for_is_switched_off() {
    for (millivolts, why) in [(400.0, "voltage low"), (-300.0, "voltage high")] {
        let bench = ember(&[QUICK]);
        let _driver = bench.drive().await;
        hashing(&bench).await;
        bench.simulator.fault(Fault::RailDrop(millivolts));
        bench.until("off", |truth| !truth.rail.on && truth.reset).await;
        let status = bench.until_status("fault", |status| status.stage == "fault").await;
        assert!(status.fault.contains(why), "{millivolts}: {}", status.fault);
        assert!(!line(&bench, "enable"));
    }
}

#[tokio::test]
async fn a_rail_that_stays_on_is_found_before_power_and_after() {
    let bench = ember(&[QUICK]);
    bench.simulator.fault(Fault::RailStuckOn(true));
    let driver = bench.drive().await;
    let status = bench.until_status("fault", |status| status.fault.contains("still at")).await;
    assert!(status.fault.contains("after it was switched off"), "{}", status.fault);
    assert!(bench.state().reset, "held whatever the rail does");
    bench.simulator.fault(Fault::RailStuckOn(false));
    hashing(&bench).await;
    bench.simulator.fault(Fault::RailStuckOn(true));
    let error = driver.stop().unwrap_err().to_string();
    assert!(error.contains("rail: still at 3."), "{error}");
    assert!(bench.state().reset);
}

#[tokio::test]
async fn a_rail_without_a_trim_is_never_switched_on() {
    // Nobody answers where the current source should be.
    let bench = ember(&[QUICK, ("address = 0x48\noutput = 0", "address = 0x47\noutput = 0")]);
    let _driver = bench.drive().await;
    let status = bench.until_status("fault", |status| status.stage == "fault").await;
    assert!(status.fault.contains("DS4432U at 0x47"), "{}", status.fault);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!bench.rail_was_ever_on(), "{:?}", bench.events());
}

/// A Bitaxe Ultra whose firmware had the pin of the regulator's switch, which no published one has.
#[tokio::test]
async fn a_bitaxe_whose_switch_can_be_reached_would_hash_and_one_whose_cannot_is_left_alone() {
    let ultra = [
        (
            "chip = \"BM1362\"\nchips = 12\ndomains = 12\nmhz = 400.0\nmax_mhz = 525.0",
            "chip = \"BM1366\"\nchips = 1\nmhz = 485.0\nmax_mhz = 575.0",
        ),
        (RAIL, "volts = 1.2\nmin_volts = 1.1\nmax_volts = 1.3"),
        ("work_interval_ms = 1000", "work_interval_ms = 500"),
        ("io_enable = { bus = \"control\", line = 2, active = \"high\" }\n", ""),
        ("line = 1, active = \"high\"", "line = 1, active = \"low\""),
        (
            "reference_volts = 0.8, upper_ohms = 3570.0, lower_ohms = 1020.0, full_scale_ohms = 39_000.0",
            "reference_volts = 0.6, upper_ohms = 4750.0, lower_ohms = 3320.0, full_scale_ohms = 80_000.0",
        ),
        ("volts_per_count = 0.001611", "volts_per_count = 0.000757"),
        (
            "    { name = \"left\", of = \"board\", part = { tmp1075 = { bus = \"control\", address = 0x4a } } },\n    { name = \"right\", of = \"board\", part = { tmp451 = { bus = \"control\", address = 0x49 } } },\n    { name = \"chip\", of = \"chip\", part = { tmp451-diode = { bus = \"control\", address = 0x49 } } },\n",
            "    { name = \"board\", of = \"board\", part = { emc2101 = { bus = \"control\", address = 0x4c } } },\n",
        ),
    ];
    let bench = whole("bench-emberone00", &BITAXE_ULTRA, &[&[QUICK][..], &ultra].concat());
    let driver = bench.drive().await;
    hashing(&bench).await;
    let truth = bench.state();
    assert!((1180..1220).contains(&truth.rail.millivolts), "{:?}", truth.rail);
    driver.stop().unwrap();
    assert!(!bench.state().rail.on);

    let without = ("enable = { bus = \"control\", line = 1, active = \"low\" }\n", "");
    let bench = whole("bench-emberone00", &BITAXE_ULTRA, &[&ultra[..], &[without]].concat());
    let _driver = bench.drive().await;
    let status = bench.until_status("fault", |status| status.stage == "fault").await;
    let why = "cannot be powered: rail ds4432u without an enable line and a meter is not driven yet";
    assert_eq!(status.fault, why);
    assert!(!bench.rail_was_ever_on() && bench.state().reset, "{:?}", bench.events());
}

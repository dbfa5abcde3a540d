//! The doors: what the status tells of the simulated machine, and what may be asked of it while it hashes.
#![allow(clippy::unwrap_used)]

mod bench;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use adit_bus::{
    door,
    hardware::{HardwareStatusDoorProxy, OBJECT, Targets},
};
use adit_simulator::{BM1397, Event, Fault};
use bench::{Bench, PATIENCE, QUICK, bench, machine, zero_bits};
use zbus::Variant;

fn mhz(mhz: f64) -> Targets {
    Targets { mhz: Some(mhz), volts: None }
}

/// D-Bus' name of the error and its text.
fn refused(result: zbus::Result<()>) -> (String, String) {
    let said = result.unwrap_err().to_string();
    let (name, text) = said.split_once(": ").unwrap();
    (name.into(), text.into())
}

fn clocks(bench: &Bench) -> Vec<f64> {
    bench
        .events()
        .iter()
        .filter_map(|event| if let Event::Pll { mhz } = event { Some(*mhz) } else { None })
        .collect()
}

#[tokio::test]
async fn the_clock_goes_where_it_is_asked_to_while_nonces_go_on() {
    let bench = bench(&[]);
    let _driver = bench.drive().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    let mut miner = bench.miner().await;
    miner.mine(1, 1, 2).await;
    let started = clocks(&bench).len();
    let control = bench.control().await;
    for (generation, target) in [(2, 600.0), (3, 300.0)] {
        control.set_targets(0, &mhz(target)).await.unwrap();
        assert_eq!(bench.status().await.chains[0].target_mhz, target);
        let found = miner.mine(generation, 1, 6).await;
        assert!(found.iter().all(|(nonce, work)| zero_bits(nonce, work) >= 20));
        bench.until("the chips' clock", |truth| truth.chain.mhz == target).await;
        let status = bench.until_status("the clock", |status| status.chains[0].mhz == target).await;
        assert_eq!((status.stage.as_str(), status.chains[0].target_mhz), ("hashing", target));
    }
    let steps = clocks(&bench).split_off(started);
    assert_eq!(steps.len(), 3 + 12, "25 MHz each, as the profile's ramp has it: {steps:?}");
    assert_eq!(steps[..4], [550.0, 575.0, 600.0, 575.0]);
    let truth = bench.state().chain;
    assert_eq!((truth.crc_errors, truth.garbled_bytes, truth.protocol_errors), (0, 0, 0));
    let chain = &bench.status().await.chains[0];
    assert_eq!((chain.crc_errors, chain.impossible), (0, 0));
}

/// Twenty jobs in so many seconds are asked for at the profile's own clock.
#[tokio::test]
async fn where_the_host_rolls_versions_jobs_come_as_fast_as_the_clock_searches_them() {
    let bench =
        machine("bench-max", &BM1397, 1, &[("job_interval_us = 200_000", "job_interval_us = 50_000")]);
    let _driver = bench.drive().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    let mut miner = bench.miner().await;
    bench.control().await.set_targets(0, &mhz(106.25)).await.unwrap();
    bench.until("a quarter of the clock", |truth| truth.chain.mhz == 106.25).await;
    miner.mine(1, 1, 1).await;
    // No stretch has too many; a starved machine may miss some, but not for ever.
    let measured = Instant::now();
    loop {
        let (before, began) = (bench.state().chain.jobs, Instant::now());
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (jobs, seconds) = (bench.state().chain.jobs - before, began.elapsed().as_secs_f64());
        let expected = seconds / 0.2;
        assert!((jobs as f64) < expected + 2.0, "{jobs} jobs in {seconds} s, {expected} were due");
        if (jobs as f64) > expected / 3.0 {
            break;
        }
        assert!(measured.elapsed() < PATIENCE, "{jobs} jobs in {seconds} s, {expected} were due");
    }
}

#[tokio::test]
async fn a_message_cannot_raise_a_limit() {
    let bench = bench(&[]);
    let _driver = bench.drive().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    let control = bench.control().await;
    let started = clocks(&bench).len();
    let limits = "org.freedesktop.DBus.Error.LimitsExceeded";
    let arguments = "org.freedesktop.DBus.Error.InvalidArgs";
    let both = Targets { mhz: Some(550.0), volts: Some(1.3) };
    let table = [
        (0, mhz(600.01), limits, "mhz 600.01 is beyond the limit chain.max_mhz 600 of bench-bitaxe"),
        (0, mhz(50.0), limits, "mhz 50 is beyond the limit chain.ramp.start_mhz 62.5 of bench-bitaxe"),
        (0, both, limits, "volts 1.3 is beyond the limit rail.max_volts 1.25 of bench-bitaxe"),
        (0, mhz(f64::NAN), arguments, "mhz NaN is no number"),
        (0, Targets::default(), arguments, "no target is given: mhz, volts or both"),
        (1, mhz(500.0), arguments, "there is no chain 1: bench-bitaxe has 1, counted from 0"),
    ];
    for (chain, targets, name, text) in table {
        assert_eq!(refused(control.set_targets(chain, &targets).await), (name.into(), text.into()));
    }
    for key in ["max_mhz", "limit", "Mhz"] {
        let unknown: HashMap<&str, Variant<'_>> = HashMap::from([("mhz", 500.0.into()), (key, 900.0.into())]);
        let call = control.inner().call::<_, _, ()>("SetTargets", &(0_u8, unknown)).await;
        let (name, text) = refused(call);
        assert!(name == arguments && text.contains(key), "{name}: {text}");
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let truth = bench.state();
    assert_eq!((truth.chain.mhz, truth.rail.commanded_millivolts), (525.0, 1150));
    assert_eq!(clocks(&bench).len(), started, "nothing was written");
    let chain = &bench.status().await.chains[0];
    assert_eq!((chain.target_mhz, chain.min_mhz, chain.max_mhz), (525.0, 62.5, 600.0));
}

#[tokio::test]
async fn a_flood_of_targets_costs_a_few_steps_and_no_work() {
    let bench = bench(&[]);
    let _driver = bench.drive().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    let mut miner = bench.miner().await;
    miner.mine(1, 1, 1).await;
    let (started, began) = (clocks(&bench).len(), Instant::now());
    let flood = async |from: f64| {
        let control = bench.control().await;
        for step in 0..400 {
            control.set_targets(0, &mhz(from + f64::from(step % 100))).await.unwrap();
        }
    };
    let (.., found) = tokio::join!(flood(400.0), flood(450.0), flood(500.0), miner.mine(2, 1, 4));
    assert_eq!(found.len(), 4);
    let (steps, took) = (clocks(&bench).len() - started, began.elapsed());
    assert!(steps as u128 <= took.as_millis() / 10 + 1, "{steps} steps for 1200 targets in {took:?}");
    bench.control().await.set_targets(0, &mhz(500.0)).await.unwrap();
    bench.until("the last target", |truth| truth.chain.mhz == 500.0).await;
    let truth = bench.state().chain;
    assert_eq!((truth.crc_errors, truth.garbled_bytes, truth.protocol_errors), (0, 0, 0));
}

#[tokio::test]
async fn the_rail_goes_where_it_is_asked_to_with_the_clock() {
    let bench = bench(&[]);
    let _driver = bench.drive().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    let control = bench.control().await;
    let pairs = [(600.0, 1.2, 1200), (300.0, 1.1, 1100)];
    for (mhz, volts, millivolts) in pairs {
        control.set_targets(0, &Targets { mhz: Some(mhz), volts: Some(volts) }).await.unwrap();
        bench
            .until("both", |truth| {
                truth.chain.mhz == mhz && truth.rail.commanded_millivolts.abs_diff(millivolts) <= 2
            })
            .await;
        let near =
            |status: &adit_bus::hardware::HardwareStatus| (status.boards[0].volts - volts).abs() < 0.02;
        let status = bench.until_status("the voltage", near).await;
        assert_eq!((status.stage.as_str(), status.boards[0].target_volts), ("hashing", volts));
    }
}

#[tokio::test]
async fn targets_outlive_a_fault() {
    let bench = bench(&[QUICK]);
    let _driver = bench.drive().await;
    bench.until_status("hashing", |status| status.stage == "hashing").await;
    bench.control().await.set_targets(0, &Targets { mhz: Some(400.0), volts: Some(1.1) }).await.unwrap();
    bench.until("the clock", |truth| truth.chain.mhz == 400.0).await;

    bench.simulator.fault(Fault::FanStopped(true));
    let status = bench.until_status("a fault", |status| status.stage == "fault").await;
    let fault = &status.faults[0];
    assert_eq!(
        (fault.cause.as_str(), fault.part.as_str(), fault.unit.as_str()),
        ("too few fans", "fans", "fans")
    );
    assert!(
        fault.text.starts_with("fan: fan stopped (")
            && fault.value == 0.0
            && fault.text == status.fault
            && !fault.needs_clearing,
        "{fault:?}"
    );
    let now_ms = adit_sys::clock::monotonic_us() / 1000;
    assert!((1..now_ms).contains(&fault.since_ms), "{fault:?}");
    assert_eq!((status.boards[0].state.as_str(), &status.boards[0].reason), ("fault", &status.fault));
    let (name, text) = refused(bench.control().await.clear_fault().await);
    assert_eq!(
        (name.as_str(), text.as_str()),
        ("org.freedesktop.DBus.Error.Failed", "no fault waits to be cleared")
    );

    bench.simulator.fault(Fault::FanStopped(false));
    let status = bench.until_status("hashing again", |status| status.stage == "hashing").await;
    assert_eq!((status.chains[0].mhz, status.faults.len()), (400.0, 0));
    let near = |truth: &adit_simulator::State| truth.rail.commanded_millivolts.abs_diff(1100) <= 2;
    bench.until("the voltage", near).await;
    assert!(clocks(&bench).iter().all(|mhz| *mhz <= 525.0));
}

#[tokio::test]
async fn the_status_tells_of_every_part() {
    let bench = bench(&[]);
    let _driver = bench.drive().await;
    let whole = |status: &adit_bus::hardware::HardwareStatus| {
        status.stage == "hashing" && status.sensors.iter().all(|sensor| sensor.state == "good")
    };
    let status = bench.until_status("all sensors", whole).await;
    let board = &status.boards[0];
    assert_eq!((board.name.as_str(), board.state.as_str(), board.reason.as_str()), ("bitaxe", "hashing", ""));
    assert!((1.1..1.2).contains(&board.volts) && (1.0..40.0).contains(&board.watts), "{board:?}");
    let sensors: Vec<_> =
        status.sensors.iter().map(|sensor| (sensor.name.as_str(), sensor.part.as_str())).collect();
    assert_eq!(sensors, [("chip", "emc2101-diode"), ("board", "emc2101")]);
    let fan = &status.fans[0];
    assert!(fan.rpm > 5000 && fan.state == "good" && status.fan_rpm == [fan.rpm], "{fan:?}");
    assert!(status.psu.is_none() && status.faults.is_empty());

    let mut miner = bench.miner().await;
    let found = miner.mine(1, 1, 3).await.len() as u64;
    let connection = door::connect(&bench.door("hardware.status")).await.unwrap();
    let door = HardwareStatusDoorProxy::new(&connection).await.unwrap();
    let chips = door.chips(0).await.unwrap();
    assert_eq!((chips.len(), chips[0].place, chips[0].address, chips[0].found), (1, 0, 0, true));
    assert!(chips[0].nonces >= found && chips[0].die_celsius.is_nan(), "{chips:?}");
    let none = door.chips(1).await.unwrap_err().to_string();
    assert!(none.contains("there is no chain 1: the machine has 1, counted from 0"), "{none}");
}

/// For whoever asks a door what it is, instead of reading the manual.
#[tokio::test]
async fn introspection_documents_every_member() {
    let bench = bench(&[]);
    let _driver = bench.drive().await;
    bench.until_status("any status", |_| true).await;
    for (socket, interface, members) in [
        ("hardware.status", "org.adit.Hardware1.Status", &["Read", "Chips"][..]),
        (
            "hardware.control",
            "org.adit.Hardware1.Control",
            &["AcquireWork", "SetTargets", "Locate", "ClearFault"],
        ),
    ] {
        let connection = door::connect(&bench.door(socket)).await.unwrap();
        let introspectable = zbus::fdo::IntrospectableProxy::builder(&connection)
            .destination(interface)
            .path(OBJECT)
            .build()
            .await
            .unwrap();
        let xml = introspectable.introspect().await.unwrap();
        let own = xml.split_once(&format!("<interface name=\"{interface}\">")).unwrap().1;
        let own = own.split_once("</interface>").unwrap().0;
        assert_eq!(own.matches("<method ").count(), members.len(), "{own}");
        for member in members {
            let before = own.split_once(&format!("<method name=\"{member}\"")).unwrap().0;
            let comment = before.rsplit_once("<!--").unwrap().1;
            assert!(comment.trim_end().ends_with("-->") && comment.len() > 80, "{member}: {comment}");
        }
    }
}

#[tokio::test]
async fn a_light_that_is_not_there_is_an_error_that_says_so() {
    let bench = bench(&[]);
    let _driver = bench.drive().await;
    let (name, text) = refused(bench.control().await.locate(true).await);
    assert_eq!(
        (name.as_str(), text.as_str()),
        ("org.freedesktop.DBus.Error.NotSupported", "the profile of bench-bitaxe names no light")
    );
}

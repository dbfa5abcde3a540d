//! What goes wrong with whole machines stays where it went wrong.
#![allow(clippy::unwrap_used)]

mod support;

use adit_simulator::{BENCH_PARTS, BITAXE_SUPRA, Fault, FaultError, S9, S19J_PRO, S19J_PRO_PIC, S21};
use proptest::prelude::*;
use std::io::{BufRead, BufReader, Write};
use support::whole::{SET_13_5, Whole};
use support::{SILENCE, bytes, connect, hear, ids, listen};

#[test]
fn a_fault_of_one_board_leaves_the_others_alone() {
    let whole = Whole::new(&S21);
    whole.ask_psu(SET_13_5, 0);
    whole.line("psu-enable", false);
    (0..3).for_each(|board| whole.line(&format!("reset-{board}"), true));
    whole.until("all rails", |state| state.boards.iter().all(|board| board.rail.on));
    whole.handle.fault_on(1, Fault::RailStuckOff(true)).unwrap();
    whole.handle.fault_on(2, Fault::DeadChip(Some(40))).unwrap();
    let state = whole.until("board 1 off", |state| !state.boards[1].rail.on);
    assert!(state.boards[0].rail.on && state.boards[2].rail.on);
    let chips: Vec<usize> = (0..3).map(|board| whole.handle.state().boards[board].chain.chips).collect();
    assert_eq!(chips, [108, 108, 40]);
    let mut chain = whole.chain(2);
    chain.write_all(&bytes(support::READ_ID)).unwrap();
    assert_eq!(hear(&mut chain, 40 * 9).len(), 40 * 9);

    whole.handle.fault_on(2, Fault::DeadChip(None)).unwrap();
    whole.handle.fault_on(2, Fault::DeafChip(Some(40))).unwrap();
    chain.write_all(&bytes(support::READ_ID)).unwrap();
    assert_eq!(hear(&mut chain, 107 * 9).len(), 107 * 9);

    let bus = whole.handle.i2c(0);
    let gpio = whole.handle.gpio();
    let plug = gpio.find("plug-0").unwrap();
    assert!(gpio.get(plug).unwrap() && bus.transfer(0x50, &[0], 2).is_ok());
    whole.handle.fault_on(0, Fault::Unplugged(true)).unwrap();
    assert!(!gpio.get(plug).unwrap() && bus.transfer(0x50, &[0], 2).is_err());
    assert!(bus.transfer(0x51, &[0], 2).is_ok(), "another board's EEPROM");
    let button = gpio.find("button-ip").unwrap();
    assert!(gpio.get(button).unwrap());
    whole.handle.fault(Fault::ButtonPressed(true));
    assert!(!gpio.get(button).unwrap(), "pressed is low");
    let missing = FaultError::NotThere { what: "board", number: 3, there: 3 };
    assert_eq!(whole.handle.fault_on(3, Fault::ChainSilent(true)), Err(missing));
}

#[test]
fn what_is_stuck_on_stays_on_until_the_fault_ends() {
    let whole = Whole::new(&S19J_PRO);
    whole.ask_psu(SET_13_5, 0);
    whole.line("psu-enable", false);
    let on = |state: &adit_simulator::State| state.psu.as_ref().is_some_and(|psu| psu.volts > 13.0);
    whole.until("on", on);
    whole.handle.fault(Fault::PsuStuckOn(true));
    whole.line("psu-enable", true);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(on(&whole.handle.state()));
    whole.handle.fault_on(1, Fault::RailStuckOn(true)).unwrap();
    whole.handle.fault(Fault::PsuStuckOn(false));
    let state = whole.until("off", |state| !state.psu.as_ref().unwrap().on && !state.boards[0].rail.on);
    assert!(state.boards[1].rail.on && !state.boards[2].rail.on);
    whole.handle.fault_on(1, Fault::RailStuckOn(false)).unwrap();
    whole.until("board 1 off", |state| !state.boards[1].rail.on);
}

#[test]
fn sensors_freeze_lie_and_disappear_one_by_one() {
    let whole = Whole::new(&S19J_PRO);
    let bus = whole.handle.i2c(0);
    let read = |address: u8| bus.transfer(address, &[0], 2);
    assert_eq!(read(0x48), Ok(vec![25, 0]));
    whole.handle.fault(Fault::SensorFrozen { sensor: 0, on: true });
    whole.handle.fault(Fault::SensorAbsurd { sensor: 1, celsius: Some(-40.0) });
    whole.handle.fault(Fault::SensorLost { sensor: 2, on: true });
    whole.handle.fault(Fault::Ambient(Some(60.0)));
    let fans = whole.handle.i2c(2);
    (0..4u8).for_each(|fan| drop(fans.transfer(0x2D, &[0x30 + 0x10 * fan, 0xFF], 0).unwrap()));
    whole.until("warmer", |state| state.sensors[3].celsius.unwrap() > 28.0);
    assert_eq!(read(0x48), Ok(vec![25, 0]), "frozen");
    assert_eq!(read(0x4C), Ok(vec![0xD8, 0]), "absurd");
    assert!(read(0x49).is_err(), "lost");
    assert!(read(0x4D).unwrap()[0] >= 28);
    let sensors = whole.handle.state().sensors;
    assert_eq!((sensors[0].name.as_str(), sensors[3].name.as_str()), ("board-0-inlet", "board-1-outlet"));
    assert_eq!(
        sensors.iter().map(|sensor| sensor.faulty).collect::<Vec<_>>(),
        [true, true, true, false, false, false]
    );
    whole.handle.fault(Fault::SensorLost { sensor: 2, on: false });
    assert!(read(0x49).is_ok());
}

#[test]
fn a_refusing_supply_says_f5_and_one_without_a_bus_cannot_refuse() {
    let whole = Whole::new(&S19J_PRO);
    assert_eq!(whole.ask_psu("55 AA 04 01 05 00", 8), bytes("55 AA 06 01 06 00 0D 00"));
    whole.handle.fault(Fault::PsuNak(true));
    assert_eq!(whole.ask_psu("55 AA 04 01 05 00", 2), [0xF5, 0xF5]);
    let s9 = Whole::new(&S9);
    assert_eq!(s9.handle.fault_on(0, Fault::PsuNak(true)), Err(FaultError::NoSupply));
}

#[test]
fn one_fan_of_four_stands_and_the_supply_runs_out_of_patience() {
    let whole = Whole::new(&S19J_PRO);
    let fans = whole.handle.i2c(2);
    (0..4u8).for_each(|fan| drop(fans.transfer(0x2D, &[0x30 + 0x10 * fan, 0xC0], 0).unwrap()));
    whole.handle.fault(Fault::OneFanStopped { fan: 2, on: true });
    let state = whole.until("three turn", |state| state.fans[0].rpm > 4000);
    assert!(state.fans[2].rpm < 100 && state.fans[3].rpm > 4000, "{:?}", state.fans);
    let high = fans.transfer(0x2D, &[0x5E], 1).unwrap()[0];
    assert_eq!(high, 0xFF, "its tachometer");
    let missing = FaultError::NotThere { what: "fan", number: 4, there: 4 };
    assert_eq!(whole.handle.fault_on(0, Fault::OneFanStopped { fan: 4, on: true }), Err(missing));
    whole.line("psu-enable", false);
    let left = whole.handle.state().psu.unwrap().watchdog_seconds.unwrap();
    assert!((55.0..=60.0).contains(&left), "{left}");
}

#[test]
fn the_control_port_knows_places_and_says_what_is_not_there() {
    let whole = Whole::new(&S19J_PRO);
    let mut control = BufReader::new(connect(&whole.folder.path().join("control")));
    let mut ask = |request: &str| {
        control.get_mut().write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut reply = String::new();
        control.read_line(&mut reply).unwrap();
        reply
    };
    assert_eq!(ask(r#"{"op":"fault","name":"dead-chip","board":1,"chip":9}"#), "{\"ok\":true}\n");
    assert_eq!(whole.handle.state().boards[1].chain.chips, 9);
    assert_eq!(ask(r#"{"op":"fault","name":"fan-stopped","fan":3}"#), "{\"ok\":true}\n");
    assert!(ask(r#"{"op":"fault","name":"fan-stopped","fan":4}"#).contains("no fan 4: the machine has 4"));
    assert!(ask(r#"{"op":"fault","name":"sensor-frozen"}"#).contains("needs `sensor`"));
    assert!(ask(r#"{"op":"fault","name":"noise","value":2}"#).contains("a share from 0 to 1"));
    assert!(ask(r#"{"op":"chips","board":3}"#).contains("no board 3"));
    let chips = ask(r#"{"op":"chips","board":2}"#);
    assert_eq!(chips.matches("\"celsius\"").count(), 126);
    let state = ask(r#"{"op":"state"}"#);
    assert!(state.contains(r#""name":"board-2-outlet""#) && state.contains(r#""watchdog_seconds":null"#));
}

#[test]
fn noise_garbles_and_lost_bytes_are_missing_both_ways() {
    let whole = Whole::new(&S19J_PRO);
    whole.ask_psu(SET_13_5, 0);
    whole.line("psu-enable", false);
    whole.line("reset-0", true);
    whole.until("rail", |state| state.boards[0].rail.on);
    let mut chain = whole.chain(0);
    let good = ids(&mut chain, 126);
    let mut ask = || {
        chain.write_all(&bytes(support::READ_ID)).unwrap();
        listen(&mut chain, SILENCE)
    };
    whole.handle.fault(Fault::FlipCommandBits(7));
    assert!(ask().is_empty(), "nobody understood");
    assert!(whole.handle.state().chain.crc_errors + whole.handle.state().chain.protocol_errors > 0);
    whole.handle.fault(Fault::LostBytes(0.02));
    let heard: usize = (0..10).map(|_| ask().len()).sum();
    assert!(heard < 10 * 126 * 9 && heard > 126 * 9, "{heard}");
    whole.handle.fault(Fault::LostBytes(0.0));
    whole.handle.fault(Fault::Noise(0.05));
    let different =
        (0..10).map(|_| ask()).filter(|heard| heard.len() == good.len()).any(|heard| heard != good);
    assert!(different);
}

#[test]
fn a_chip_that_takes_no_address_answers_with_zero() {
    let whole = Whole::new(&S21);
    whole.ask_psu(SET_13_5, 0);
    whole.line("psu-enable", false);
    whole.line("reset-0", true);
    whole.until("rail", |state| state.boards[0].rail.on);
    whole.handle.fault(Fault::StuckAddress(Some(1)));
    let mut chain = whole.chain(0);
    chain.write_all(&bytes("55AA5305000003 55AA400500001C 55AA4005020001 55AA4005040003")).unwrap();
    chain.write_all(&bytes(support::READ_ID)).unwrap();
    let heard = hear(&mut chain, 3 * 9);
    let addresses: Vec<u8> = heard.chunks_exact(9).map(|frame| frame[6]).collect();
    assert_eq!(addresses, [0, 0, 4]);
}

/// A message on a bus of one of these machines: bus, address, bytes, bytes to read.
fn messages() -> impl Strategy<Value = Vec<(usize, u8, Vec<u8>, usize)>> {
    let address = prop_oneof![
        Just(0x10u8),
        Just(0x20),
        Just(0x24),
        Just(0x2D),
        Just(0x40),
        Just(0x48),
        Just(0x4C),
        Just(0x50),
        Just(0x55),
        any::<u8>()
    ];
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..4),
        proptest::collection::vec(prop_oneof![Just(0x11u8), Just(0x55), Just(0xAA), any::<u8>()], 0..12),
    ];
    proptest::collection::vec((0..4usize, address, bytes, 0..40usize), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn no_messages_on_any_bus_hurt_a_machine(messages in messages()) {
        for model in [&BENCH_PARTS, &BITAXE_SUPRA, &S9, &S19J_PRO_PIC] {
            let whole = Whole::new(model);
            for (bus, address, bytes, count) in &messages {
                if let Ok(answer) = whole.handle.i2c(*bus).transfer(*address, bytes, *count) {
                    prop_assert_eq!(answer.len(), *count);
                }
            }
            let state = whole.handle.state();
            let finite = state.input_watts.is_finite() && state.boards.iter().all(|board| board.celsius.chip.is_finite());
            prop_assert!(finite && whole.handle.is_running(), "{:?}", state);
        }
    }
}

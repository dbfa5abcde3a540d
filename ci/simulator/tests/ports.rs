//! A machine's buses and lines, as another program in this process sees them.
#![allow(clippy::unwrap_used)]

mod support;

use adit_simulator::{Driver, Edge, Event, LineError, Nak};
use support::Bench;

#[test]
fn the_bus_of_a_bitaxe_has_two_parts_and_else_nobody() {
    let bench = Bench::new(|_| {});
    assert_eq!(bench.handle.i2c_buses(), 1);
    let bus = bench.handle.i2c(0);
    let there: Vec<u8> = (0..=0x7F).filter(|&address| bus.transfer(address, &[], 0).is_ok()).collect();
    assert_eq!(there, [0x24, 0x4C]);
    assert_eq!(bus.transfer(0x4C, &[0xFE], 1), Ok(vec![0x5D]), "the fan controller's maker");
    assert_eq!(bus.transfer(0x4C, &[0xFD], 0), Ok(vec![]));
    assert_eq!(bus.transfer(0x4C, &[], 2), Ok(vec![0x16, 0xFF]), "past its byte nobody pulls the line");
    assert_eq!(bus.transfer(0x50, &[0], 1), Err(Nak));
    assert_eq!(bench.handle.i2c(1).transfer(0x4C, &[0xFE], 1), Err(Nak), "no such bus");
}

#[test]
fn the_reset_line_is_the_one_of_the_board_controller() {
    let mut bench = Bench::new(|_| {});
    let gpio = bench.handle.gpio();
    let edges = gpio.watch();
    let reset = gpio.find("reset").unwrap();
    let line = &gpio.lines()[reset];
    assert_eq!((line.driver, line.driven, line.level), (Driver::Host, false, false), "held by its resistor");
    bench.ask_board("07 00 00 00 06 00 01");
    assert_eq!(gpio.get(reset), Some(true));
    gpio.drive(reset, Some(false)).unwrap();
    assert!(bench.handle.state().reset);
    assert!(bench.happened(|event| *event == Event::Reset { held: true }));
    assert_eq!(gpio.drive(7, None), Err(LineError::NoSuchLine(7)));
    let seen: Vec<_> = edges.try_iter().collect();
    assert_eq!(seen, [Edge { line: reset, level: true }, Edge { line: reset, level: false }]);
}

#[test]
fn ports_outlive_the_machine_and_say_that_nobody_is_there() {
    let bench = Bench::new(|_| {});
    let bus = bench.handle.i2c(0);
    bench.handle.stop();
    assert_eq!(bus.transfer(0x4C, &[0xFE], 1), Err(Nak));
}

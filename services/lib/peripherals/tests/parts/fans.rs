//! EMC2101 and EMC2305 against transcripts made from their data sheets.

use crate::common::{Waited, told, transcript};
use adit_peripherals::{Duty, Emc2101, Emc2305, emc2305::Wiring};

#[tokio::test]
async fn an_emc2101_is_recognised_and_driven() {
    let lines = "> fe < 5d
        > fd < 16
        > 03 04
        > 03 < 04
        > 4a 23
        > 4a < 23
        > 4c 20
        > 4c < 20
        > 46 < e8
        > 47 < 03
        > 01 < 55
        > 10 < 80
        > 01 < 7f
        > 10 < 00
        > 00 < fb";
    let mut bus = transcript(0x4c, lines);
    let mut fan = Emc2101::new(0x4c);
    fan.prepare(&mut bus).await.unwrap();
    fan.drive(&mut bus, Duty::percent(50)).await.unwrap();
    assert_eq!(fan.rpm(&mut bus).await.unwrap(), 5400);
    assert_eq!(fan.chip_celsius(&mut bus).await.unwrap(), Some(85.5));
    assert_eq!(fan.chip_celsius(&mut bus).await.unwrap(), None, "open");
    assert_eq!(fan.board_celsius(&mut bus).await.unwrap(), -5.0);
    bus.done();
}

#[tokio::test]
async fn an_emc2101_that_is_none_or_does_not_obey_is_named() {
    let mut bus = transcript(0x4c, "> fe < 5d\n> fd < 34");
    let error = told(Emc2101::new(0x4c).prepare(&mut bus).await);
    assert_eq!(error, "device at 0x4c is a device of maker 0x5d, product 0x34, not a EMC2101");
    bus.done();
    let mut bus = transcript(0x4c, "> 4a 23\n> 4a < 23\n> 4c 3f\n> 4c < 00");
    let error = told(Emc2101::new(0x4c).drive(&mut bus, Duty::FULL).await);
    assert_eq!(error, "EMC2101 at 0x4c: 0x4c reads back 0x0000 after 0x003f was written");
    bus.done();
}

#[tokio::test]
async fn an_emc2305_is_recognised_driven_full_and_watched_also_when_its_watchdog_had_struck() {
    let lines = "> fe < 5d
        > fd < 34
        > 20 40
        > 20 < 40
        > 2a 00
        > 2a < 00
        > 2b 03
        > 2b < 03
        > 24 < 80
        > 20 40
        > 20 < 40
        > 20 60
        > 20 < 60
        > 32 0b
        > 32 < 0b
        > 30 ff
        > 30 < ff
        > 24 < 00
        > 42 0b
        > 42 < 0b
        > 40 ff
        > 40 < ff
        > 20 60
        > 20 < 60
        > 3e < 7a
        > 3f < e0
        > 4e < ff
        > 4f < f8";
    let mut bus = transcript(0x2f, lines);
    let mut fans = Emc2305::new(0x2f, 2, Wiring { push_pull: true, inverted: false });
    fans.prepare(&mut bus, &mut Waited::default()).await.unwrap();
    assert_eq!(fans.rpm(&mut bus, 0).await.unwrap(), 1000, "3932 periods");
    assert_eq!(fans.rpm(&mut bus, 1).await.unwrap(), 0, "stands still");
    bus.done();
}

#[tokio::test]
async fn each_of_five_fans_has_registers_of_its_own() {
    for (fan, registers) in [(0, ["32", "30"]), (4, ["72", "70"])] {
        let [config, setting] = registers;
        let lines = format!("> 24 < 00\n> {config} 0b\n> {config} < 0b\n> {setting} 80\n> {setting} < 80");
        let mut bus = transcript(0x2c, &lines);
        let mut fans = Emc2305::new(0x2c, 5, Wiring::default());
        fans.drive(&mut bus, &mut Waited::default(), fan, Duty::percent(50)).await.unwrap();
        bus.done();
    }
}

#[tokio::test]
async fn a_setting_may_lag_behind_a_start_but_not_for_ever() {
    let mut bus = transcript(0x2c, "> 24 < 00\n> 32 0b\n> 32 < 0b\n> 30 80\n> 30 < ff\n> 30 < 99\n> 30 < 80");
    let mut fans = Emc2305::new(0x2c, 1, Wiring::default());
    let mut delay = Waited::default();
    fans.drive(&mut bus, &mut delay, 0, Duty::percent(50)).await.unwrap();
    assert_eq!(delay.ms, 200);
    bus.done();

    let lines = "> 24 < 00\n> 32 0b\n> 32 < 0b\n> 30 80\n".to_owned() + &"> 30 < 00\n".repeat(20);
    let mut bus = transcript(0x2c, &lines);
    let mut delay = Waited::default();
    let error = told(fans.drive(&mut bus, &mut delay, 0, Duty::percent(50)).await);
    assert_eq!(error, "EMC2305 at 0x2c: 0x30 reads back 0x0000 after 0x0080 was written");
    assert_eq!(delay.ms, 1900);
    bus.done();
}

#[tokio::test]
async fn one_fan_that_does_not_obey_does_not_keep_the_others_slow() {
    let mut bus =
        transcript(0x2c, "> 24 < 00\n> 32 0b nak\n> 24 < 00\n> 42 0b\n> 42 < 0b\n> 40 ff\n> 40 < ff");
    let mut fans = Emc2305::new(0x2c, 2, Wiring::default());
    let driven = fans.drive_all(&mut bus, &mut Waited::default(), Duty::FULL).await;
    assert!(told(driven).starts_with("EMC2305 at 0x2c: The device did not acknowledge"));
    bus.done();
}

#[tokio::test]
async fn a_controller_with_too_few_outputs_is_refused_and_so_is_a_fan_that_is_not_there() {
    let mut bus = transcript(0x2e, "> fe < 5d\n> fd < 36");
    let mut fans = Emc2305::new(0x2e, 4, Wiring::default());
    let error = told(fans.prepare(&mut bus, &mut Waited::default()).await);
    assert_eq!(error, "device at 0x2e is a controller of 2 fans where 4 hang, not a EMC2305");
    let error = told(fans.rpm(&mut bus, 4).await);
    assert_eq!(error, "EMC2305 at 0x2e: 4 as fan number asked for, can do 0.000 to 3.000");
    bus.done();
}

//! TMP75 family, TMP451 and INA260 against transcripts made from their data sheets.

use crate::common::{Waited, told, transcript};
use adit_peripherals::{
    Error, Ina260, Tmp75, Tmp451,
    tmp75::Kind::{Lm75, Tmp75 as Twelve, Tmp1075},
};

#[tokio::test]
async fn a_tmp1075_tells_what_it_is() {
    let mut bus = transcript(0x4a, "> 0f < 7500\n> 01 00\n> 01 < 00\n> 00 < 19 40");
    let mut sensor = Tmp75::new(0x4a, Tmp1075);
    sensor.prepare(&mut bus).await.unwrap();
    assert_eq!(sensor.celsius(&mut bus).await.unwrap(), 25.25);
    bus.done();
    let mut bus = transcript(0x4a, "> 0f < 0117");
    let error = told(Tmp75::new(0x4a, Tmp1075).prepare(&mut bus).await);
    assert_eq!(error, "device at 0x4a is a device 0x0117, not a TMP1075");
    bus.done();
}

#[tokio::test]
async fn a_tmp75_gives_twelve_bits_once_it_was_told_to() {
    let mut bus = transcript(0x48, "> 01 60\n> 01 < 60\n> 00 < e7 10");
    let mut sensor = Tmp75::new(0x48, Twelve);
    sensor.prepare(&mut bus).await.unwrap();
    assert_eq!(sensor.celsius(&mut bus).await.unwrap(), -24.9375);
    bus.done();
    let mut bus = transcript(0x48, "> 01 60\n> 01 < 00");
    let error = told(Tmp75::new(0x48, Twelve).prepare(&mut bus).await);
    assert_eq!(error, "TMP75 at 0x48: 0x01 reads back 0x0000 after 0x0060 was written");
    bus.done();
}

#[tokio::test]
async fn a_temperature_that_cannot_be_is_an_error_and_no_temperature() {
    for (bytes, raw) in [("ff ff", 0xffff), ("80 00", 0x8000), ("c8 f0", 0xc8f0)] {
        let mut bus = transcript(0x49, &format!("> 00 < {bytes}"));
        let read = Tmp75::new(0x49, Twelve).celsius(&mut bus).await;
        assert_eq!(read, Err(Error::Absurd { part: "TMP75", address: 0x49, what: "temperature", raw }));
        bus.done();
    }
    let mut bus = transcript(0x49, "> 00 < 19 ff\n> 00 < 7f ff");
    let mut sensor = Tmp75::new(0x49, Lm75);
    assert_eq!(sensor.celsius(&mut bus).await.unwrap(), 25.5, "an LM75's lower bits are left aside");
    assert_eq!(sensor.celsius(&mut bus).await.unwrap(), 127.5);
    bus.done();
}

#[tokio::test]
async fn a_tmp451_is_set_to_its_wider_range_and_read_in_it() {
    let lines = "> fe < 55
        > 09 04
        > 03 < 04
        > 03 < 04
        > 00 < 59
        > 15 < 80
        > 00 < 59
        > 02 < 00
        > 03 < 04
        > 01 < a4
        > 10 < 00
        > 01 < a5
        > 10 < 10
        > 01 < a5";
    let mut bus = transcript(0x4c, lines);
    let (mut sensor, mut delay) = (Tmp451::new(0x4c), Waited::default());
    sensor.prepare(&mut bus, &mut delay).await.unwrap();
    assert_eq!(delay.ms, 130);
    assert_eq!(sensor.local_celsius(&mut bus).await.unwrap(), 25.5);
    let remote = sensor.remote_celsius(&mut bus).await.unwrap();
    assert_eq!(remote, Some(101.0625), "both bytes are of one conversion");
    bus.done();
}

/// 64 °C would be missing, or there would be 64 too many.
#[tokio::test]
async fn a_tmp451_that_fell_back_to_its_narrower_range_is_still_read_right() {
    let mut bus = transcript(0x4c, "> 03 < 00\n> 00 < 59\n> 15 < 00\n> 00 < 59");
    assert_eq!(Tmp451::new(0x4c).local_celsius(&mut bus).await.unwrap(), 89.0);
    bus.done();
}

#[tokio::test]
async fn an_open_diode_has_no_temperature() {
    let mut bus = transcript(0x4c, "> 02 < 04\n> 02 < 84");
    let mut sensor = Tmp451::new(0x4c);
    assert_eq!(sensor.remote_celsius(&mut bus).await.unwrap(), None);
    assert_eq!(sensor.remote_celsius(&mut bus).await.unwrap(), None);
    bus.done();
}

#[tokio::test]
async fn a_tmp451_that_is_none_or_sleeps_is_named() {
    let mut bus = transcript(0x4c, "> fe < 5d");
    let error = told(Tmp451::new(0x4c).prepare(&mut bus, &mut Waited::default()).await);
    assert_eq!(error, "device at 0x4c is a device of maker 0x5d, not a TMP451");
    bus.done();
    for config in ["ff", "44", "01"] {
        let mut bus = transcript(0x4c, &format!("> 03 < {config}"));
        let error = told(Tmp451::new(0x4c).local_celsius(&mut bus).await);
        assert_eq!(error, format!("TMP451 at 0x4c: configuration reads 0x00{config}, which cannot be"));
        bus.done();
    }
}

/// 12.0 V, 5 A and 60 W in steps of 1.25 mV, 1.25 mA and 10 mW.
#[tokio::test]
async fn an_ina260_measures_its_input() {
    let lines = "> fe < 5449
        > ff < 2270
        > 02 < 2580
        > 01 < 0fa0
        > 01 < fff8
        > 03 < 1770";
    let mut bus = transcript(0x40, lines);
    let mut meter = Ina260::new(0x40);
    meter.prepare(&mut bus).await.unwrap();
    assert_eq!(meter.volts(&mut bus).await.unwrap(), 12.0);
    assert_eq!(meter.amperes(&mut bus).await.unwrap(), 5.0);
    assert_eq!(meter.amperes(&mut bus).await.unwrap(), -0.01);
    assert_eq!(meter.watts(&mut bus).await.unwrap(), 60.0);
    bus.done();
}

#[tokio::test]
async fn an_ina226_is_no_ina260_and_all_ones_are_no_voltage() {
    let mut bus = transcript(0x40, "> fe < 5449\n> ff < 2260\n> 02 < ffff");
    let mut meter = Ina260::new(0x40);
    let error = told(meter.prepare(&mut bus).await);
    assert_eq!(error, "device at 0x40 is a device of maker 0x5449, die 0x2260, not a INA260");
    let error = told(meter.volts(&mut bus).await);
    assert_eq!(error, "INA260 at 0x40: voltage reads 0xffff, which cannot be");
    bus.done();
}

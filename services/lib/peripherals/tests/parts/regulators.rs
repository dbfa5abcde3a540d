//! TPS546D24A and DS4432U+ against transcripts made from their data sheets and the boards' open firmware.

use crate::common::{BITAXE_GAMMA, told, transcript};
use adit_peripherals::{
    Ds4432u, Error, Tps546,
    ds4432u::{self, Code, Output},
};

fn gamma() -> Tps546 {
    Tps546::new(0x24, BITAXE_GAMMA)
}

const IDENTITY: &str = "> ad < 06 5449546d2441\n> 01 00\n> 01 < 00\n> 02 1b\n> 20 < 97\n";
const LIMITS: &str = "> 33 8a02
    > 29 00aa
    > 35 66ca
    > 36 40ca
    > 55 40cb
    > 46 1e00
    > 4f 6900
    > 24 8002
    > 2b 0002
    > 21 4d02
    > 47 80
    > 50 80
    > 03
    > 21 < 4d02
    > 24 < 8002\n";

#[tokio::test]
async fn a_tps546_is_off_before_its_limits_are_written_and_on_after_they_were_read_back() {
    let mut bus = transcript(0x24, &format!("{IDENTITY}{LIMITS}> 01 80\n> 01 < 80\n> 8b < 4d02"));
    let mut rail = gamma();
    rail.prepare(&mut bus).await.unwrap();
    rail.switch_on(&mut bus).await.unwrap();
    assert!((rail.volts(&mut bus).await.unwrap() - 1.15).abs() < 0.001);
    bus.done();
}

#[tokio::test]
async fn a_tps546_that_is_none_counts_otherwise_or_does_not_switch_is_named() {
    let mut bus = transcript(0x24, "> ad < 06 000000000000");
    let error = told(gamma().prepare(&mut bus).await);
    assert_eq!(error, "device at 0x24 is a device [00, 00, 00, 00, 00, 00], not a TPS546D24A");
    bus.done();
    let mut bus = transcript(0x24, &IDENTITY.replace("> 20 < 97", "> 20 < 1e"));
    let error = told(gamma().prepare(&mut bus).await);
    assert_eq!(error, "device at 0x24 is a regulator in voltage mode 0x1e, not a TPS546D24A");
    bus.done();
    let mut bus = transcript(0x24, "> 01 00\n> 01 < 80");
    let error = told(gamma().switch_off(&mut bus).await);
    assert_eq!(error, "TPS546D24A at 0x24: 0x01 reads back 0x0080 after 0x0000 was written");
    bus.done();
}

/// 5.0 V, 17.25 A and 48 °C as SLINEAR11; 0x4000 is an output over-current in the status.
#[tokio::test]
async fn a_tps546_tells_how_it_is() {
    let mut bus = transcript(0x24, "> 88 < 80ca\n> 8c < 28da\n> 8d < 3000\n> 79 < 0040");
    let mut rail = gamma();
    assert_eq!(rail.input_volts(&mut bus).await.unwrap(), 5.0);
    assert_eq!(rail.amperes(&mut bus).await.unwrap(), 17.25);
    assert_eq!(rail.celsius(&mut bus).await.unwrap(), 48.0);
    assert_eq!(rail.status(&mut bus).await.unwrap(), 0x4000);
    bus.done();
}

#[tokio::test]
async fn a_tps546_is_set_within_its_limits_only() {
    let mut bus = transcript(0x24, "> 21 6602\n> 21 < 6602\n> 21 0002\n> 21 < 6602");
    let mut rail = gamma();
    rail.set_volts(&mut bus, 1.2).await.unwrap();
    let error = told(rail.set_volts(&mut bus, 1.0).await);
    assert_eq!(error, "TPS546D24A at 0x24: 0x21 reads back 0x0266 after 0x0200 was written");
    for volts in [0.99, 1.26, 12.0, -1.0, f64::NAN] {
        let set = rail.set_volts(&mut bus, volts).await;
        assert!(matches!(set, Err(Error::OutOfRange { min: 1.0, max: 1.25, .. })), "{set:?}");
    }
    bus.done();
}

#[tokio::test]
async fn a_ds4432u_pulls_a_bitaxes_rail_to_1_2_volts() {
    let mut bus = transcript(0x48, "> f8 c6\n> f8 < c6\n> f8 < c6\n> f9 < 05");
    let mut dac = Ds4432u::new(0x48);
    dac.set_volts(&mut bus, Output::Zero, &ds4432u::BITAXE, 1.2).await.unwrap();
    assert_eq!(dac.code(&mut bus, Output::Zero).await.unwrap().steps(), 70);
    assert_eq!(dac.code(&mut bus, Output::One).await.unwrap().steps(), -5);
    bus.done();
}

#[tokio::test]
async fn a_voltage_that_a_ds4432u_cannot_reach_is_not_sent() {
    let mut bus = transcript(0x48, "");
    let mut dac = Ds4432u::new(0x48);
    let set = dac.set_volts(&mut bus, Output::Zero, &ds4432u::BITAXE, 0.95).await;
    assert!(matches!(set, Err(Error::OutOfRange { part: "DS4432U", address: 0x48, .. })), "{set:?}");
    assert_eq!(told(set), "DS4432U at 0x48: 0.95 V asked for, can do 0.989 to 1.928");
    bus.done();
}

#[tokio::test]
async fn a_ds4432u_that_does_not_take_a_code_is_named() {
    let mut bus = transcript(0x48, "> f9 01\n> f9 < 00");
    let set = Ds4432u::new(0x48).set(&mut bus, Output::One, Code::new(-1).unwrap()).await;
    assert_eq!(told(set), "DS4432U at 0x48: 0xf9 reads back 0x0000 after 0x0001 was written");
    bus.done();
}

//! APW9 and APW12: frames as published, and what a supply may do that is not an answer.

use crate::common::{NAK, Replies, Waited, bytewise, told, transcript};
use adit_peripherals::{
    Apw, Error, FrameError,
    apw::{Facts, Reads},
};

fn supply() -> Apw {
    Apw::new(0x10, Facts::APW12_FITTED)
}

#[tokio::test]
async fn it_is_asked_for_kind_and_firmware_byte_by_byte() {
    let lines = bytewise("11", "55aa04020600", "55aa060241004900")
        + &bytewise("11", "55aa04010500", "55aa060106000d00");
    let (mut bus, mut delay) = (transcript(0x10, &lines), Waited::default());
    assert_eq!(supply().prepare(&mut bus, &mut delay).await.unwrap(), 6);
    assert_eq!(delay.ms, 2 * (6 * 5 + 500 + 8 * 5), "5 ms a byte, 500 ms to the answer");
    bus.done();
}

#[tokio::test]
async fn a_supply_of_another_kind_is_refused() {
    let mut bus = transcript(0x10, &bytewise("11", "55aa04020600", "55aa060241004900"));
    let error = told(Apw::new(0x10, Facts::APW12_STOCK).prepare(&mut bus, &mut Waited::default()).await);
    assert_eq!(error, "device at 0x10 is a supply of kind 0x41, not a APW12");
    bus.done();
}

/// The published frame for 21.0 V on a 17-series supply.
#[tokio::test]
async fn a_voltage_is_set_and_the_setting_read_back_after_it_settled() {
    let lines = bytewise("11", "55aa06830d009600", "55aa06830d009600")
        + &bytewise("11", "55aa04030700", "55aa06030d001600");
    let (mut bus, mut delay) = (transcript(0x10, &lines), Waited::default());
    let set = Apw::new(0x10, Facts::APW9).set(&mut bus, &mut delay, 21.0).await.unwrap();
    assert!((set - 21.0).abs() < 0.01, "{set}");
    assert!(delay.ms > 2000);
    bus.done();
}

#[tokio::test]
async fn a_refusal_of_a_setting_that_was_taken_all_the_same_does_not_matter() {
    let refused = bytewise("11", "55aa06830d009600", "f5f5f5");
    let lines = refused.repeat(3) + &bytewise("11", "55aa04030700", "55aa06030d001600");
    let mut bus = transcript(0x10, &lines);
    Apw::new(0x10, Facts::APW9).set(&mut bus, &mut Waited::default(), 21.0).await.unwrap();
    bus.done();
}

#[tokio::test]
async fn a_setting_that_reads_back_otherwise_is_an_error() {
    let lines = bytewise("11", "55aa06830d009600", "55aa06830d009600")
        + &bytewise("11", "55aa04030700", "55aa06030e001700");
    let mut bus = transcript(0x10, &lines);
    let error = told(Apw::new(0x10, Facts::APW9).set(&mut bus, &mut Waited::default(), 21.0).await);
    assert_eq!(error, "APW9 at 0x10: 0x83 reads back 0x000e after 0x000d was written");
    bus.done();
}

#[tokio::test]
async fn a_voltage_outside_of_the_curve_is_not_sent() {
    let mut bus = transcript(0x10, "");
    for volts in [10.0, 16.0, f64::NAN, -12.0] {
        let set = supply().set(&mut bus, &mut Waited::default(), volts).await;
        assert!(matches!(set, Err(Error::OutOfRange { part: "APW12", address: 0x10, .. })), "{set:?}");
    }
    bus.done();
}

#[tokio::test]
async fn output_setting_state_and_watchdog() {
    // 788 counts: 12.518 V with the fitted meter.
    let lines = bytewise("11", "55aa04040800", "55aa060414032100")
        + &bytewise("11", "55aa04030700", "55aa0603c800d100")
        + &bytewise("11", "55aa04050900", "55aa060501000c00")
        + &bytewise("11", "55aa04050900", "55aa060500000b00")
        + &bytewise("11", "55aa068101008800", "55aa068101008800");
    let (mut bus, mut delay) = (transcript(0x10, &lines), Waited::default());
    let mut supply = supply();
    assert!((supply.volts(&mut bus, &mut delay).await.unwrap() - 12.518).abs() < 0.001);
    assert!((supply.set_volts(&mut bus, &mut delay).await.unwrap() - 12.499).abs() < 0.001);
    assert!(supply.is_on(&mut bus, &mut delay).await.unwrap());
    assert!(!supply.is_on(&mut bus, &mut delay).await.unwrap());
    supply.arm_watchdog(&mut bus, &mut delay).await.unwrap();
    bus.done();
}

#[tokio::test]
async fn an_answer_is_waited_for_and_found_behind_nonsense() {
    let lines = bytewise("11", "55aa04050900", "f5") + &bytewise("", "", "0000ff 55aa060501000c00");
    let (mut bus, mut delay) = (transcript(0x10, &lines), Waited::default());
    assert!(supply().is_on(&mut bus, &mut delay).await.unwrap());
    assert!(delay.ms >= 1000, "two looks");
    bus.done();
}

#[tokio::test]
async fn a_bad_answer_is_asked_for_again() {
    let lines = bytewise("11", "55aa04050900", "55aa060501000d00")
        + &bytewise("11", "55aa04050900", "55aa060401000b00")
        + &bytewise("11", "55aa04050900", "55aa060501000c00");
    let mut bus = transcript(0x10, &lines);
    assert!(supply().is_on(&mut bus, &mut Waited::default()).await.unwrap());
    bus.done();
}

#[tokio::test]
async fn what_never_becomes_an_answer_is_told_with_part_address_and_command() {
    let cases = [
        ("f5f5f5", "APW12 at 0x10, command 0x05: not ready after 3 tries"),
        (
            "ffffffffffffffffff ff",
            "APW12 at 0x10, command 0x05: answer begins with 0xff, which begins no frame",
        ),
        ("55ff", "APW12 at 0x10, command 0x05: answer begins with 0xff, which begins no frame"),
        ("55aaff", "APW12 at 0x10, command 0x05: answer says that it is 255 bytes long"),
        ("55aa00", "APW12 at 0x10, command 0x05: answer says that it is 0 bytes long"),
        ("55aa060501000d00", "APW12 at 0x10, command 0x05: sum 0x000d, must be 0x000c"),
        ("55aa060501000c01", "APW12 at 0x10, command 0x05: sum 0x010c, must be 0x000c"),
        ("55aa060401000b00", "APW12 at 0x10, command 0x05: answers command 0x04"),
    ];
    for (answer, expected) in cases {
        let mut bus = transcript(0x10, &bytewise("11", "55aa04050900", answer).repeat(3));
        assert_eq!(told(supply().is_on(&mut bus, &mut Waited::default()).await), expected);
        bus.done();
    }
}

#[tokio::test]
async fn answers_that_cannot_be_are_no_readings() {
    let once = |answer: &str, command: &str| transcript(0x10, &bytewise("11", command, answer));
    let mut delay = Waited::default();
    let mut bus = once("55aa0604ffff0802", "55aa04040800");
    let error = told(supply().volts(&mut bus, &mut delay).await);
    assert_eq!(error, "APW12 at 0x10: voltage reads 0xffff, which cannot be");
    bus.done();
    let mut bus = once("55aa060502000d00", "55aa04050900");
    let error = told(supply().is_on(&mut bus, &mut delay).await);
    assert_eq!(error, "APW12 at 0x10: state reads 0x0002, which cannot be");
    bus.done();
    let mut bus = once("55aa060300010a00", "55aa04030700");
    let error = told(supply().set_volts(&mut bus, &mut delay).await);
    assert_eq!(error, "APW12 at 0x10: DAC reads 0x0100, which cannot be");
    bus.done();
    let mut bus = once("55aa0503010900", "55aa04030700");
    let error = supply().set_volts(&mut bus, &mut delay).await.unwrap_err();
    let short = FrameError::Data { expected: 2, got: 1 };
    assert_eq!(error, Error::Frame { part: "APW12", address: 0x10, command: 3, error: short });
    bus.done();
}

#[tokio::test]
async fn a_supply_that_is_not_there_is_tried_three_times() {
    let mut bus = Replies::none();
    let error = supply().is_on(&mut bus, &mut Waited::default()).await.unwrap_err();
    assert_eq!(error, Error::Bus { part: "APW12", address: 0x10, error: NAK });
    assert_eq!(bus.transfers, 3);
}

#[tokio::test]
async fn a_source_that_names_the_register_for_each_byte_can_be_followed() {
    let lines =
        bytewise("11", "55aa04050900", "") + &bytewise("", "", "55aa060501000c00").replace('<', "> 11 <");
    let mut bus = transcript(0x10, &lines);
    let mut supply = Apw::new(0x10, Facts { reads: Reads::Register, ..Facts::APW12_FITTED });
    assert!(supply.is_on(&mut bus, &mut Waited::default()).await.unwrap());
    bus.done();
}

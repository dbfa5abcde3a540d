//! dsPIC: published frames, and the controller that must be left alone.

use crate::common::{Replies, Waited, bytewise, told, transcript};
use adit_peripherals::{
    Dspic, Error,
    dspic::{Facts, Writes},
};

fn controller() -> Dspic {
    Dspic::new(0x21, Facts::FIRMWARE_89)
}

fn version(answer: &str) -> String {
    bytewise("", "55aa0417001b", answer)
}

#[tokio::test]
async fn it_is_switched_on_after_a_look_at_its_version_and_kept_on_by_heartbeats() {
    let lines = version("05178900a5")
        + &bytewise("", "55aa051501001b", "1501")
        + &bytewise("", "55aa0416001a", "06160100001d")
        + &bytewise("", "55aa051500001a", "1501");
    let (mut bus, mut delay) = (transcript(0x21, &lines), Waited::default());
    let mut controller = controller();
    controller.enable(&mut bus, &mut delay).await.unwrap();
    assert_eq!(delay.ms, 300 + 4 * 30 + 300 + 30);
    controller.heartbeat(&mut bus, &mut delay).await.unwrap();
    controller.disable(&mut bus, &mut delay).await.unwrap();
    bus.done();
}

#[tokio::test]
async fn a_controller_without_a_program_is_left_alone() {
    let expected =
        "dsPIC at 0x21 is in its boot loader (firmware 0x86): left alone, needs its maker's repair tool";
    // It says 86 to everything …
    let mut bus = transcript(0x21, &version("86"));
    assert_eq!(told(controller().enable(&mut bus, &mut Waited::default()).await), expected);
    bus.done();
    // … or in a frame.
    let mut bus = transcript(0x21, &version("05178600a2"));
    assert_eq!(told(controller().start(&mut bus, &mut Waited::default()).await), expected);
    bus.done();
    let mut always = Replies::always(0x86);
    assert_eq!(told(controller().heartbeat(&mut always, &mut Waited::default()).await), expected);
}

#[tokio::test]
async fn a_controller_of_another_version_is_not_switched_on() {
    let mut bus = transcript(0x21, &version("051782009e"));
    let error = told(controller().enable(&mut bus, &mut Waited::default()).await);
    assert_eq!(error, "device at 0x21 is a controller with firmware 0x82, not a dsPIC");
    bus.done();
}

#[tokio::test]
async fn a_program_that_does_not_run_yet_is_started_and_one_that_runs_is_left_alone() {
    let lines = version("ff").repeat(3) + &bytewise("", "55aa0406000a", "0601") + &version("05178900a5");
    let mut bus = transcript(0x21, &lines);
    controller().start(&mut bus, &mut Waited::default()).await.unwrap();
    bus.done();
    let mut bus = transcript(0x21, &version("05178900a5"));
    controller().start(&mut bus, &mut Waited::default()).await.unwrap();
    bus.done();
}

/// 560 counts are 13.36 V by DCENT_OS's formula.
#[tokio::test]
async fn the_rail_is_measured_whichever_form_the_answer_has() {
    for answer in ["063a02300072", "073a0102300074"] {
        let mut bus = transcript(0x21, &bytewise("", "55aa043a003e", answer));
        let volts = controller().volts(&mut bus, &mut Waited::default()).await.unwrap();
        assert!((volts - 13.3588).abs() < 0.0001, "{volts}");
        bus.done();
    }
    let mut bus = transcript(0x21, &bytewise("", "55aa043a003e", "063a00000040"));
    assert_eq!(controller().volts(&mut bus, &mut Waited::default()).await.unwrap(), 0.0);
    bus.done();
    let mut bus = transcript(0x21, &bytewise("", "55aa043a003e", "063affff023e"));
    let error = told(controller().volts(&mut bus, &mut Waited::default()).await);
    assert_eq!(error, "dsPIC at 0x21: voltage reads 0xffff, which cannot be");
    bus.done();
}

#[tokio::test]
async fn sensors_behind_it_are_read_and_only_those() {
    let lines = bytewise("", "55aa063c4902008d", "073c011980 00dd");
    let mut bus = transcript(0x21, &lines);
    let (mut controller, mut delay) = (controller(), Waited::default());
    assert_eq!(controller.celsius(&mut bus, &mut delay, 0x49).await.unwrap(), 25.5);
    bus.done();
    let mut bus = transcript(0x21, "");
    let error = told(controller.celsius(&mut bus, &mut delay, 0x50).await);
    assert_eq!(error, "dsPIC at 0x21: 80 as sensor address asked for, can do 72.000 to 75.000");
    bus.done();
    let low_first = Facts { sensor_low_first: true, ..Facts::FIRMWARE_89 };
    let mut bus = transcript(0x21, &bytewise("", "55aa063c4902008d", "073c018019 00dd"));
    assert_eq!(Dspic::new(0x21, low_first).celsius(&mut bus, &mut delay, 0x49).await.unwrap(), 25.5);
    bus.done();
}

#[tokio::test]
async fn bad_answers_are_asked_for_again_and_then_told() {
    let cases = [
        ("05178900a6", "dsPIC at 0x21, command 0x17: sum 0x00a6, must be 0x00a5"),
        ("0517890 0a6".trim(), "dsPIC at 0x21, command 0x17: sum 0x00a6, must be 0x00a5"),
        ("05168900a4", "dsPIC at 0x21, command 0x17: answers command 0x16"),
        ("0617890100a7", "dsPIC at 0x21, command 0x17: 2 bytes of data, must be 1"),
        ("ff", "dsPIC at 0x21, command 0x17: answer says that it is 255 bytes long"),
        ("00", "dsPIC at 0x21, command 0x17: answer says that it is 0 bytes long"),
    ];
    for (answer, expected) in cases {
        // An answer that is a good frame, if not the right one, is not asked for again.
        let times = if expected.contains("of data") { 1 } else { 3 };
        let mut bus = transcript(0x21, &version(answer).repeat(times));
        assert_eq!(told(controller().check(&mut bus, &mut Waited::default()).await), expected);
        bus.done();
    }
    let lines = version("05178900a5") + &bytewise("", "55aa051501001b", "1500");
    let mut bus = transcript(0x21, &lines);
    let error = told(controller().enable(&mut bus, &mut Waited::default()).await);
    assert_eq!(error, "dsPIC at 0x21, command 0x15: refused with 0x00");
    bus.done();
    let mut bus = transcript(0x21, &bytewise("", "55aa051500001a", "0515ff0119"));
    let error = told(controller().disable(&mut bus, &mut Waited::default()).await);
    assert_eq!(error, "dsPIC at 0x21, command 0x15: refused with 0xff");
    bus.done();
}

#[tokio::test]
async fn an_answer_to_a_switch_may_be_a_frame_and_may_repeat_what_was_asked() {
    for answer in ["1500", "1501", "051500001a", "051501001b"] {
        let mut bus = transcript(0x21, &bytewise("", "55aa051500001a", answer));
        controller().disable(&mut bus, &mut Waited::default()).await.unwrap();
        bus.done();
    }
}

#[tokio::test]
async fn a_source_that_writes_whole_frames_can_be_followed() {
    let lines = "> 55aa0417001b\n".to_owned() + &bytewise("", "", "05178900a5");
    let mut bus = transcript(0x21, &lines);
    let facts = Facts { writes: Writes::Whole, ..Facts::FIRMWARE_89 };
    Dspic::new(0x21, facts).check(&mut bus, &mut Waited::default()).await.unwrap();
    bus.done();
}

#[tokio::test]
async fn a_controller_that_is_not_there_is_named() {
    let enabled = controller().enable(&mut Replies::none(), &mut Waited::default()).await;
    assert!(matches!(enabled, Err(Error::Bus { part: "dsPIC", address: 0x21, .. })), "{enabled:?}");
}

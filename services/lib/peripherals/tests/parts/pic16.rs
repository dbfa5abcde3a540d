//! PIC16F1704: the bytes of Braiins' open firmware.

use crate::common::{Replies, Waited, bytewise, told, transcript};
use adit_peripherals::{Error, Pic16, pic16::Pace};

fn controller() -> Pic16 {
    Pic16::new(0x55, Pace::STANDARD)
}

#[tokio::test]
async fn it_is_brought_into_step_restarted_and_asked_for_its_version() {
    let lines = bytewise("", &"00".repeat(16), "")
        + &bytewise("", "55aa07", "")
        + &bytewise("", "55aa06", "")
        + &bytewise("", "55aa17", "03");
    let (mut bus, mut delay) = (transcript(0x55, &lines), Waited::default());
    controller().prepare(&mut bus, &mut delay).await.unwrap();
    assert_eq!(delay.ms, 500 + 100);
    bus.done();
}

#[tokio::test]
async fn another_program_is_refused() {
    for firmware in ["00", "04", "ff"] {
        let lines = bytewise("", &"00".repeat(16), "") + &bytewise("", "55aa0755aa0655aa17", firmware);
        let mut bus = transcript(0x55, &lines);
        let error = told(controller().prepare(&mut bus, &mut Waited::default()).await);
        let expected = format!("device at 0x55 is a controller with firmware 0x{firmware}, not a PIC16F1704");
        assert_eq!(error, expected);
        bus.done();
    }
}

#[tokio::test]
async fn a_voltage_is_set_and_read_back() {
    let mut bus = transcript(0x55, &bytewise("", "55aa1006 55aa18", "06"));
    let set = controller().set(&mut bus, &mut Waited::default(), 9.4).await.unwrap();
    assert!((set - 9.4).abs() < 0.01, "{set}");
    bus.done();
    let mut bus = transcript(0x55, &bytewise("", "55aa106d 55aa18", "06"));
    let error = told(controller().set(&mut bus, &mut Waited::default(), 8.8).await);
    assert_eq!(error, "PIC16F1704 at 0x55: 0x10 reads back 0x0006 after 0x006d was written");
    bus.done();
    let mut bus = transcript(0x55, "");
    for volts in [7.0, 9.6, f64::NAN] {
        let set = controller().set(&mut bus, &mut Waited::default(), volts).await;
        assert!(matches!(set, Err(Error::OutOfRange { .. })), "{set:?}");
    }
    bus.done();
}

#[tokio::test]
async fn it_is_switched_on_kept_on_and_switched_off() {
    let lines = bytewise("", "55aa1501 55aa16", "")
        + &bytewise("", &"00".repeat(16), "")
        + &bytewise("", "55aa1500", "");
    let (mut bus, mut delay) = (transcript(0x57, &lines), Waited::default());
    let mut controller = Pic16::new(0x57, Pace::STANDARD);
    controller.enable(&mut bus, &mut delay).await.unwrap();
    controller.heartbeat(&mut bus, &mut delay).await.unwrap();
    controller.disable(&mut bus, &mut delay).await.unwrap();
    bus.done();
}

#[tokio::test]
async fn a_byte_that_is_not_acknowledged_is_sent_again_for_a_while() {
    let mut bus = transcript(0x55, "> 55 nak\n> 55 nak\n> 55\n> aa\n> 16");
    let mut delay = Waited::default();
    controller().heartbeat(&mut bus, &mut delay).await.unwrap();
    assert_eq!(delay.ms, 200);
    bus.done();
    let (mut bus, mut delay) = (Replies::none(), Waited::default());
    let error = told(controller().heartbeat(&mut bus, &mut delay).await);
    assert!(error.starts_with("PIC16F1704 at 0x55: The device did not acknowledge"), "{error}");
    assert_eq!((bus.transfers, delay.ms), (15, 1400));
}

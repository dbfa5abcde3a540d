//! Whatever comes back, a driver ends, does not panic, and names the part.

use crate::common::{BITAXE_GAMMA, Replies, Waited};
use adit_peripherals::{
    Apw, Ds4432u, Dspic, Duty, Eeprom, Emc2101, Emc2305, Error, Ina260, Pic16, Tmp75, Tmp451, Tps546, apw,
    ds4432u, dspic, eeprom, emc2305::Wiring, pic16, tmp75::Kind,
};
use embedded_hal_async::i2c::ErrorKind;
use proptest::prelude::*;

/// What each part that can tell that it is spoken to by nobody makes of one byte for ever.
#[tokio::test]
async fn a_line_that_is_stuck_is_no_part() {
    for byte in [0x00, 0xff] {
        let (bus, delay) = (&mut Replies::always(byte), &mut Waited::default());
        let mut failed = vec![
            Emc2101::new(1).prepare(bus).await.err(),
            Emc2305::new(1, 5, Wiring::default()).prepare(bus, delay).await.err(),
            Tps546::new(1, BITAXE_GAMMA).prepare(bus).await.err(),
            Ina260::new(1).prepare(bus).await.err(),
            Tmp75::new(1, Kind::Tmp1075).prepare(bus).await.err(),
            Tmp75::new(1, Kind::Tmp75).prepare(bus).await.err(),
            Tmp451::new(1).prepare(bus, delay).await.err(),
            Apw::new(1, apw::Facts::APW12_FITTED).prepare(bus, delay).await.err(),
            Dspic::new(1, dspic::Facts::FIRMWARE_89).enable(bus, delay).await.err(),
            Pic16::new(1, pic16::Pace::STANDARD).prepare(bus, delay).await.err(),
            Eeprom::new(1).board(bus).await.err(),
            Ds4432u::new(1).set(bus, ds4432u::Output::Zero, ds4432u::Code::new(1).unwrap()).await.err(),
        ];
        if byte == 0xff {
            failed.push(Tmp75::new(1, Kind::Lm75).celsius(bus).await.err());
        }
        for error in failed {
            let error = error.expect("a stuck line is no part");
            assert!(!matches!(error, Error::Bus { .. }), "{error}");
            assert!(error.to_string().contains("at 0x01"), "{error}");
        }
    }
}

/// Every call of a supply's driver, in an order that no sane caller has.
async fn supply(bus: &mut Replies, reads: apw::Reads) {
    let delay = &mut Waited::default();
    for facts in [apw::Facts::APW9, apw::Facts::APW12_STOCK, apw::Facts::APW12_FITTED] {
        let mut supply = Apw::new(1, apw::Facts { reads, ..facts });
        for _ in 0..2 {
            bus.transfers = 0;
            let _ = supply.arm_watchdog(bus, delay).await;
            let _ = supply.prepare(bus, delay).await;
            let _ = supply.set(bus, delay, 13.0).await;
            let _ = supply.set_volts(bus, delay).await;
            let _ = supply.volts(bus, delay).await;
            let _ = supply.is_on(bus, delay).await;
        }
    }
}

/// Frames of its register, as a supply gets them; `all`: with bytes that it did not acknowledge.
fn register(bus: &Replies, all: bool) -> Vec<u8> {
    let written = bus.written.iter().filter(|(bytes, taken)| (all || *taken) && bytes.len() > 1);
    written.flat_map(|(bytes, _)| bytes[1..].iter().copied()).collect()
}

fn holds(bytes: &[u8], frame: &[u8]) -> bool {
    bytes.windows(frame.len()).any(|window| window == frame)
}

/// The frame as the protocol's paper has it, up to its sum.
const WATCHDOG_OFF: [u8; 5] = [0x55, 0xaa, 0x06, 0x81, 0x00];
const WATCHDOG_ON: [u8; 8] = [0x55, 0xaa, 0x06, 0x81, 0x01, 0x00, 0x88, 0x00];

#[tokio::test]
async fn a_supply_is_told_to_watch_over_us_and_this_test_would_see_the_opposite() {
    let bus = &mut Replies::always(0xf5);
    supply(bus, apw::Reads::Plain).await;
    assert!(holds(&register(bus, true), &WATCHDOG_ON) && !holds(&register(bus, true), &WATCHDOG_OFF));
    for byte in [0x55, 0xaa, 0x06, 0x81, 0x00, 0x00, 0x87, 0x00] {
        bus.written.push((vec![0x11, byte], true));
    }
    assert!(holds(&register(bus, true), &WATCHDOG_OFF));
}

/// Every call of every driver on one bus.
async fn everything(bus: &mut Replies) -> Vec<Option<Error<ErrorKind>>> {
    let delay = &mut Waited::default();
    let mut errors = Vec::new();
    macro_rules! calls {
        ($($call:expr),* $(,)?) => { $(bus.transfers = 0; errors.push($call.await.err());)* };
    }
    let mut fan = Emc2101::new(1);
    calls!(
        fan.prepare(bus),
        fan.drive(bus, Duty::FULL),
        fan.rpm(bus),
        fan.chip_celsius(bus),
        fan.board_celsius(bus)
    );
    let mut fans = Emc2305::new(1, 5, Wiring::default());
    calls!(fans.prepare(bus, delay), fans.drive_all(bus, delay, Duty::FULL), fans.rpm(bus, 4));
    let mut rail = Tps546::new(1, BITAXE_GAMMA);
    calls!(
        rail.prepare(bus),
        rail.switch_on(bus),
        rail.switch_off(bus),
        rail.volts(bus),
        rail.amperes(bus),
        rail.celsius(bus),
        rail.input_volts(bus),
        rail.status(bus),
        rail.set_volts(bus, 1.1)
    );
    let mut dac = Ds4432u::new(1);
    calls!(dac.code(bus, ds4432u::Output::One), dac.set(bus, ds4432u::Output::One, ds4432u::Code::ZERO));
    let mut meter = Ina260::new(1);
    calls!(meter.prepare(bus), meter.volts(bus), meter.amperes(bus), meter.watts(bus));
    for kind in [Kind::Lm75, Kind::Tmp75, Kind::Tmp1075] {
        let mut sensor = Tmp75::new(1, kind);
        calls!(sensor.prepare(bus), sensor.celsius(bus));
    }
    let mut sensor = Tmp451::new(1);
    calls!(sensor.prepare(bus, delay), sensor.local_celsius(bus), sensor.remote_celsius(bus));
    let mut supply = Apw::new(1, apw::Facts::APW12_STOCK);
    calls!(
        supply.prepare(bus, delay),
        supply.set(bus, delay, 13.0),
        supply.set_volts(bus, delay),
        supply.volts(bus, delay),
        supply.is_on(bus, delay),
        supply.arm_watchdog(bus, delay),
    );
    let mut controller = Dspic::new(1, dspic::Facts::FIRMWARE_89);
    calls!(
        controller.start(bus, delay),
        controller.check(bus, delay),
        controller.enable(bus, delay),
        controller.disable(bus, delay),
        controller.heartbeat(bus, delay),
        controller.volts(bus, delay),
        controller.celsius(bus, delay, 0x48),
    );
    let mut controller = Pic16::new(1, pic16::Pace::STANDARD);
    calls!(
        controller.prepare(bus, delay),
        controller.set(bus, delay, 9.0),
        controller.enable(bus, delay),
        controller.disable(bus, delay),
        controller.heartbeat(bus, delay),
    );
    calls!(Eeprom::new(1).board(bus));
    errors
}

#[tokio::test]
async fn a_part_that_never_acknowledges_is_named_by_every_call() {
    for error in everything(&mut Replies::none()).await {
        let error = error.expect("nobody is there");
        assert!(error.bus().is_some_and(|kind| matches!(kind, ErrorKind::NoAcknowledge(_))), "{error}");
        assert!(error.to_string().contains("at 0x01"), "{error}");
    }
}

/// A task on any runtime may drive a part.
#[test]
fn calls_may_move_between_threads() {
    fn sendable(_: impl Send) {}
    sendable(everything(&mut Replies::none()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Bytes that parts like to say are more frequent than others.
    #[test]
    fn whatever_comes_back_every_call_ends(
        bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(vec![0x55, 0xaa, 0xf5, 0x86, 0x89, 0x04, 0x05, 0x06, 0x15, 0x17, 0x00, 0xff])],
            1..200,
        ),
        refused in prop::collection::vec(prop::bool::weighted(0.05), 0..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(everything(&mut Replies::of(bytes, refused)));
    }

    #[test]
    fn whatever_comes_back_no_supply_is_told_to_stop_watching(
        bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(vec![0x55, 0xaa, 0xf5, 0x06, 0x81, 0x01, 0x00, 0x87, 0x88])],
            1..200,
        ),
        refused in prop::collection::vec(prop::bool::weighted(0.05), 0..40),
        reads in prop::sample::select(vec![apw::Reads::Plain, apw::Reads::Register]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut bus = Replies::of(bytes, refused);
        runtime.block_on(supply(&mut bus, reads));
        for all in [true, false] {
            prop_assert!(!holds(&register(&bus, all), &WATCHDOG_OFF));
        }
        // Nothing goes to another register.
        prop_assert!(bus.written.iter().all(|(bytes, _)| bytes[0] == 0x11));
    }

    #[test]
    fn whatever_an_eeprom_holds_is_read_or_refused(
        head in prop::sample::select(vec![[1, 0], [4, 0], [4, 0x11], [5, 0x05], [6, 0x0f], [0x11, 0x4a], [9, 9]]),
        rest in prop::collection::vec(any::<u8>(), 254),
    ) {
        let bytes = [&head[..], &rest].concat().try_into().unwrap();
        let _ = eeprom::read(&bytes);
    }
}

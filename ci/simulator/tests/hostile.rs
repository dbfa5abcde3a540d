//! Nothing that comes in may hurt.
#![allow(clippy::unwrap_used)]

mod support;

use adit_simulator::{Arguments, BM1362, BM1370, Chain, Fault, FaultError, Parser};
use proptest::prelude::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::time::Duration;
use support::{Bench, READ_ID, bytes, connect};

/// Bytes that look enough like frames to reach deeper than random ones.
fn nearly_frames() -> impl Strategy<Value = Vec<u8>> {
    let frame = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        (any::<u8>(), any::<u8>(), proptest::collection::vec(any::<u8>(), 0..90))
            .prop_map(|(header, length, rest)| [&[0x55, 0xAA, header, length][..], &rest].concat()),
        (prop_oneof![Just(0x41u8), Just(0x51)], Just(0u8), any::<u8>(), any::<u32>()).prop_map(
            |(header, chip, register, value)| command(
                &[&[header, 9, chip, register][..], &value.to_be_bytes()].concat()
            )
        ),
        (prop_oneof![Just(0x40u8), Just(0x42), Just(0x52), Just(0x53)], any::<u8>(), any::<u8>())
            .prop_map(|(header, a, b)| command(&[header, 5, a, b])),
        proptest::collection::vec(any::<u8>(), 82..83).prop_map(|work| {
            let mut frame = [&[0x55, 0xAA, 0x21, 0x56][..], &work].concat();
            frame.extend(adit_simulator::crc16(&frame[2..]).to_be_bytes());
            frame
        }),
    ];
    proptest::collection::vec(frame, 0..30).prop_map(|frames| frames.concat())
}

fn command(body: &[u8]) -> Vec<u8> {
    [&[0x55, 0xAA][..], body, &[adit_simulator::crc5(body)]].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_leave_parser_and_chips_whole(stream in nearly_frames()) {
        for model in [&BM1370, &BM1362] {
            let mut parser = Parser::default();
            let mut chain = Chain::new(model, 3);
            chain.set_powered(true);
            for &byte in &stream {
                parser.push(byte, 0, 0);
                while let Some(received) = parser.next() {
                    if let Ok(command) = received.command {
                        prop_assert!(chain.execute(command, 3).len() <= 3);
                        if let Some(work) = chain.work(3, 32) {
                            adit_simulator::Sweep::new(work, 0).step(&mut Vec::new());
                        }
                    }
                }
            }
            // A good frame behind it all is still understood, once what was left of a broken one has run out.
            for byte in bytes(READ_ID).repeat(20) {
                parser.push(byte, 0, 0);
                while parser.next().is_some() {}
            }
            let mut understood = false;
            for byte in bytes(READ_ID) {
                parser.push(byte, 0, 0);
                while let Some(received) = parser.next() {
                    understood |= received.command.is_ok();
                }
            }
            prop_assert!(understood);
        }
    }

    #[test]
    fn fault_requests_are_refused_in_words(name in "[a-z-]{0,20}", on: Option<bool>, count: Option<u32>, value: Option<f64>) {
        if let Err(error) = Fault::parse(&name, Arguments { on, count, value, ..Arguments::default() }) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn random_bytes_on_both_ports_do_not_stop_the_machine() {
    let mut bench = Bench::powered(|config| config.slowdown_bits = 24);
    let mut state = 1u64;
    let mut noise = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    for _ in 0..200 {
        let mut chunk: Vec<u8> = (0..500).map(|_| noise()).collect();
        chunk[100..102].copy_from_slice(&[0x55, 0xAA]);
        bench.chain.write_all(&chunk).unwrap();
        // Requests of plausible length with random contents; answers are not read, as a dead host would not.
        let length = 6 + noise() % 40;
        let request: Vec<u8> = [length, 0].into_iter().chain((2..length).map(|_| noise() & 0x4F)).collect();
        bench.board.write_all(&request).unwrap();
    }
    drop((bench.chain, bench.board));
    bench.chain = connect(&bench.folder.path().join("chain"));
    bench.board = connect(&bench.folder.path().join("board"));
    // What was half sent is forgotten after a pause, and a reset cleans the chip's side.
    std::thread::sleep(Duration::from_millis(700));
    bench.power_up();
    bench.ask_board("07 00 00 00 06 00 00");
    bench.ask_board("07 00 00 00 06 00 01");
    bench.send(READ_ID);
    let heard = bench.listen(Duration::from_millis(300));
    assert_eq!(heard.len(), 9, "{heard:02x?}");
    assert_eq!(heard[..8], bytes("AA55 13700000 0000"));
    let chain = bench.handle.state().chain;
    assert!(chain.protocol_errors + chain.crc_errors > 100, "{chain:?}");
    assert!(bench.handle.is_running());
}

#[test]
fn the_control_port_refuses_in_one_line_and_stays_up() {
    let bench = Bench::new(|_| {});
    let stream = connect(&bench.folder.path().join("control"));
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut ask = |request: &str| {
        (&stream).write_all(request.as_bytes()).unwrap();
        (&stream).write_all(b"\n").unwrap();
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        serde_json::from_str::<serde_json::Value>(&line).unwrap()
    };
    assert_eq!(ask(r#"{"op":"state"}"#)["state"]["reset"], true);
    for bad in [
        "",
        "nonsense",
        "{}",
        r#"{"op":"dance"}"#,
        r#"{"op":"events","after":-1}"#,
        r#"{"op":"state","x":1}"#,
    ] {
        let reply = ask(bad);
        assert_eq!(reply["ok"], false, "{bad}");
        assert!(reply["error"].is_string());
    }
    let reply = ask(r#"{"op":"fault","name":"earthquake"}"#);
    assert!(reply["error"].as_str().unwrap().contains("fan-stopped"), "{reply}");
    assert_eq!(ask(r#"{"op":"fault","name":"wrong-nonces"}"#)["ok"], false, "needs a count");
    assert_eq!(ask(r#"{"op":"fault","name":"fan-stopped"}"#)["ok"], true);
    let events = ask(r#"{"op":"events","after":0}"#);
    assert_eq!(events["lost"], 0);
    assert_eq!(events["events"][0]["event"], "fault");
    assert_eq!(ask(&format!("{{\"op\":\"{}\"}}", "x".repeat(5000)))["ok"], false);
}

#[test]
fn an_endless_line_on_the_control_port_is_cut_off() {
    let bench = Bench::new(|_| {});
    let mut stream = connect(&bench.folder.path().join("control"));
    // The far end closes early; how many bytes it takes until then does not matter.
    for _ in 0..100 {
        if stream.write_all(&[b'x'; 1000]).is_err() {
            break;
        }
    }
    let mut reply = Vec::new();
    let end = stream.read_to_end(&mut reply);
    assert!(end.is_err() || String::from_utf8(reply).unwrap().contains("at most 4096"));
    assert!(bench.handle.is_running());
}

#[test]
fn faults_that_need_numbers_say_so() {
    let none = Arguments::default();
    assert_eq!(Fault::parse("temperature", none), Err(FaultError::NeedsValue("temperature")));
    assert_eq!(Fault::parse("garbage-bytes", none), Err(FaultError::NeedsCount("garbage-bytes")));
    assert_eq!(Fault::parse("chain-silent", none), Ok(Fault::ChainSilent(true)));
    let off = Arguments { on: Some(false), ..none };
    assert_eq!(Fault::parse("temperature", off), Ok(Fault::Temperature(0.0)));
}

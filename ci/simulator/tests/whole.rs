//! Whole machines, through the buses and lines that a control board has to them.
#![allow(clippy::unwrap_used)]

mod support;

use adit_simulator::{BITAXE_SUPRA, Endpoint, Event, OpenError, S9, S19J_PRO, S19J_PRO_PIC, Simulator};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use support::whole::{SET_13_5, SILENCE, Whole, config};
use support::{bytes, listen};

#[test]
fn an_s19j_pro_comes_up_over_its_supply_and_each_of_its_chains_answers() {
    let whole = Whole::new(&S19J_PRO);
    assert_eq!(whole.handle.i2c_buses(), 3);
    let fans = whole.handle.i2c(2);
    (0..4u8).for_each(|fan| drop(fans.transfer(0x2D, &[0x30 + 0x10 * fan, 0xFF], 0).unwrap()));
    whole.ask_psu(SET_13_5, 0);
    let off = whole.handle.state();
    assert_eq!((off.psu.unwrap().on, off.boards.len(), off.sensors.len()), (false, 3, 6));
    whole.line("psu-enable", false);
    let state =
        whole.until("13.5 V", |state| state.boards.iter().all(|board| board.rail.millivolts > 13_300));
    assert!(state.boards.iter().all(|board| board.rail.on && board.reset), "{state:#?}");
    assert!(state.fans.iter().all(|fan| fan.rpm > 5500), "{:?}", state.fans);
    let measured = whole.ask_psu("55 AA 04 04 08 00", 8);
    let volts = (f64::from(u16::from_le_bytes([measured[4], measured[5]])) + 0.8615) / 63.017;
    assert!((volts - 13.5).abs() < 0.1, "{volts}: {measured:02x?}");
    for board in 0..3 {
        let mut chain = whole.chain(board);
        whole.line(&format!("reset-{board}"), true);
        chain.write_all(&bytes(support::READ_ID)).unwrap();
        let heard = listen(&mut chain, SILENCE);
        assert_eq!(heard.len(), 126 * 9, "board {board}");
        assert_eq!(heard[..9], bytes("AA 55 13 62 03 00 00 00 0D"));
    }
    assert!(whole.happened(2, |event| *event == Event::Rail { on: true }));
    assert!(whole.happened(0, |event| *event == Event::Psu { on: true }));
}

#[test]
fn a_written_eeprom_is_recorded_with_its_board() {
    let whole = Whole::new(&S19J_PRO);
    let bus = whole.handle.i2c(0);
    let name = bus.transfer(0x51, &[62], 8).unwrap();
    assert_eq!(name, b"BHB42601");
    assert!(!whole.happened(1, |event| matches!(event, Event::EepromWritten { .. })), "reading is no write");
    bus.transfer(0x51, &[62, b'X'], 0).unwrap();
    assert!(whole.happened(1, |event| *event == Event::EepromWritten { at: 62, bytes: 1 }));
}

#[test]
fn a_pic_lets_its_board_on_and_cuts_it_without_a_heartbeat() {
    let whole = Whole::new(&S19J_PRO_PIC);
    whole.ask_psu(SET_13_5, 0);
    let bus = whole.handle.i2c(0);
    assert!(bus.transfer(0x21, &[0x55], 0).is_err(), "without supply");
    whole.line("psu-enable", false);
    whole.until("supply", |state| state.psu.as_ref().unwrap().volts > 13.0);
    let tell =
        |frame: &str| bytes(frame).iter().for_each(|byte| drop(bus.transfer(0x21, &[*byte], 0).unwrap()));
    tell("55 AA 04 06 00 0A");
    std::thread::sleep(Duration::from_millis(300));
    tell("55 AA 05 15 01 00 1B");
    let began = Instant::now();
    let state = whole.until("rail of board 1", |state| state.boards[1].rail.on);
    assert!(!state.boards[0].rail.on && !state.boards[2].rail.on, "nobody enabled these");
    whole.until("cut", |state| !state.boards[1].rail.on);
    let took = began.elapsed().as_secs_f64();
    assert!((9.5..11.5).contains(&took), "{took}");
    assert!(whole.happened(1, |event| *event == Event::RailCut { why: "heartbeat".into() }));
}

#[test]
fn a_trimmed_regulator_needs_its_enable_line_and_the_meter_sees_what_it_takes() {
    let whole = Whole::new(&BITAXE_SUPRA);
    let bus = whole.handle.i2c(0);
    bus.transfer(0x48, &[0xF8, 0x80 | 79], 0).unwrap(); // about 1.166 V
    assert_eq!(whole.handle.state().rail.millivolts, 0);
    whole.line("enable", false);
    let state = whole.until("rail", |state| state.rail.on);
    assert!((1150..1185).contains(&state.rail.millivolts), "{}", state.rail.millivolts);
    let volts = bus.transfer(0x40, &[0x02], 2).unwrap();
    assert_eq!(u16::from_be_bytes([volts[0], volts[1]]), 4000, "5 V in steps of 1.25 mV");
}

#[test]
fn endpoints_must_fit_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&S19J_PRO, folder.path());
    config.chains.pop();
    let refused = Simulator::start_machine(&config).err().unwrap();
    assert!(matches!(refused, OpenError::Chains { boards: 3, given: 2, .. }), "{refused}");
    config.chains.push(Endpoint::Unix(folder.path().join("chain-2")));
    config.board = Some(Endpoint::Unix(folder.path().join("board")));
    let refused = Simulator::start_machine(&config).err().unwrap();
    assert!(refused.to_string().contains("has no board controller"), "{refused}");
}

#[test]
fn the_thermometer_of_an_s9_board_is_read_through_its_62nd_chip() {
    let whole = Whole::new(&S9);
    let bus = whole.handle.i2c(0);
    let tell =
        |frame: &str| bytes(frame).iter().for_each(|byte| drop(bus.transfer(0x55, &[*byte], 0).unwrap()));
    tell("55 AA 06 55 AA 15 01");
    whole.line("reset-0", true);
    whole.until("rail", |state| state.boards[0].rail.on);
    let mut chain = whole.chain(0);
    let bare = |header: u8, rest: &[u8]| {
        let mut body = vec![header, rest.len() as u8 + 3];
        body.extend(rest);
        body.push(adit_simulator::crc5(&body));
        body
    };
    chain.write_all(&bare(0x55, &[0, 0])).unwrap();
    (0..63u8).for_each(|chip| chain.write_all(&bare(0x41, &[4 * chip, 0])).unwrap());
    let address = 61 * 4;
    let ask = |chain: &mut UnixStream, i2c: u32| {
        chain.write_all(&bare(0x48, &[&[address, 0x20][..], &i2c.to_be_bytes()].concat())).unwrap();
        chain.write_all(&bare(0x44, &[address, 0x20])).unwrap();
        let heard = listen(chain, SILENCE);
        u32::from_be_bytes(heard[..4].try_into().unwrap())
    };
    let maker = 1 << 24 | 0x98 << 16 | 0xFE << 8;
    assert_eq!(ask(&mut chain, maker) >> 31, 1, "the pins are no bus yet: busy for ever");
    chain.write_all(&bare(0x48, &[address, 0x1C, 0x40, 0x20, 0x5A, 0xE0])).unwrap();
    assert_eq!(ask(&mut chain, maker) & 0x8000_00FF, 0x55);
    let die = ask(&mut chain, 1 << 24 | 0x98 << 16 | 0x01 << 8) & 0xFF;
    assert!((24..40).contains(&die), "{die}");
    assert_eq!(ask(&mut chain, 1 << 24 | 0x9A << 16 | 0xFE << 8) >> 31, 1, "nobody is at 0x4D");
    assert_eq!(whole.handle.state().sensors[1].name, "board-0-chip");
}

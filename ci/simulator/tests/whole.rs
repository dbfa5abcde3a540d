//! Whole machines, through the buses and lines that a control board has to them.
#![allow(clippy::unwrap_used)]

mod support;

use adit_simulator::{
    BITAXE_SUPRA, Endpoint, Event, Fault, FaultError, Handle, MachineConfig, MachineModel, OpenError, S9,
    S19J_PRO, S19J_PRO_PIC, S21, Simulator, State,
};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{bytes, connect, listen};

const SILENCE: Duration = Duration::from_millis(300);

struct Whole {
    handle: Handle,
    folder: tempfile::TempDir,
}

fn config(model: &'static MachineModel, folder: &Path) -> MachineConfig {
    let chains = (0..model.boards).map(|n| Endpoint::Unix(folder.join(format!("chain-{n}")))).collect();
    let board = model.usb.then(|| Endpoint::Unix(folder.join("board")));
    MachineConfig { control: Some(folder.join("control")), ..MachineConfig::new(model, chains, board) }
}

impl Whole {
    fn new(model: &'static MachineModel) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let handle = Simulator::start_machine(&config(model, folder.path())).unwrap();
        Self { handle, folder }
    }

    fn chain(&self, board: usize) -> UnixStream {
        connect(&self.folder.path().join(format!("chain-{board}")))
    }

    fn line(&self, name: &str, level: bool) {
        let gpio = self.handle.gpio();
        gpio.drive(gpio.find(name).unwrap(), Some(level)).unwrap();
    }

    /// One frame to the supply, byte by byte; what it answers.
    fn ask_psu(&self, frame: &str, count: usize) -> Vec<u8> {
        let bus = self.handle.i2c(1);
        for byte in bytes(frame) {
            bus.transfer(0x10, &[0x11, byte], 0).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(400));
        (0..count).map(|_| bus.transfer(0x10, &[0x11], 1).unwrap()[0]).collect()
    }

    fn until(&self, what: &str, wanted: impl Fn(&State) -> bool) -> State {
        let start = Instant::now();
        loop {
            let state = self.handle.state();
            if wanted(&state) {
                return state;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "never: {what}; {state:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn happened(&self, board: usize, wanted: impl Fn(&Event) -> bool) -> bool {
        let events = self.handle.events(0).events;
        events.iter().any(|record| record.board == board && wanted(&record.event))
    }
}

/// DAC 123 is 13.5 V on the supply that was measured.
const SET_13_5: &str = "55 AA 06 83 7B 00 04 01";

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
fn a_fault_of_one_board_leaves_the_others_alone() {
    let whole = Whole::new(&S21);
    whole.ask_psu(SET_13_5, 0);
    whole.line("psu-enable", false);
    (0..3).for_each(|board| whole.line(&format!("reset-{board}"), true));
    whole.until("all rails", |state| state.boards.iter().all(|board| board.rail.on));
    whole.handle.fault_on(1, Fault::RailStuckOff(true)).unwrap();
    whole.handle.fault_on(2, Fault::DeadChip(Some(40))).unwrap();
    let state = whole.until("board 1 off", |state| !state.boards[1].rail.on);
    assert!(state.boards[0].rail.on && state.boards[2].rail.on);
    let chips: Vec<usize> = (0..3).map(|board| whole.handle.state().boards[board].chain.chips).collect();
    assert_eq!(chips, [108, 108, 40]);
    let mut chain = whole.chain(2);
    chain.write_all(&bytes(support::READ_ID)).unwrap();
    assert_eq!(listen(&mut chain, SILENCE).len(), 40 * 9);

    whole.handle.fault_on(2, Fault::DeadChip(None)).unwrap();
    whole.handle.fault_on(2, Fault::DeafChip(Some(40))).unwrap();
    chain.write_all(&bytes(support::READ_ID)).unwrap();
    assert_eq!(listen(&mut chain, SILENCE).len(), 107 * 9);

    let bus = whole.handle.i2c(0);
    let gpio = whole.handle.gpio();
    let plug = gpio.find("plug-0").unwrap();
    assert!(gpio.get(plug).unwrap() && bus.transfer(0x50, &[0], 2).is_ok());
    whole.handle.fault_on(0, Fault::Unplugged(true)).unwrap();
    assert!(!gpio.get(plug).unwrap() && bus.transfer(0x50, &[0], 2).is_err());
    assert!(bus.transfer(0x51, &[0], 2).is_ok(), "another board's EEPROM");
    let missing = FaultError::NotThere { what: "board", number: 3, there: 3 };
    assert_eq!(whole.handle.fault_on(3, Fault::ChainSilent(true)), Err(missing));
}

#[test]
fn sensors_freeze_lie_and_disappear_one_by_one() {
    let whole = Whole::new(&S19J_PRO);
    let bus = whole.handle.i2c(0);
    let read = |address: u8| bus.transfer(address, &[0], 2);
    assert_eq!(read(0x48), Ok(vec![25, 0]));
    whole.handle.fault(Fault::SensorFrozen { sensor: 0, on: true });
    whole.handle.fault(Fault::SensorAbsurd { sensor: 1, celsius: Some(-40.0) });
    whole.handle.fault(Fault::SensorLost { sensor: 2, on: true });
    whole.handle.fault(Fault::Ambient(Some(60.0)));
    let fans = whole.handle.i2c(2);
    (0..4u8).for_each(|fan| drop(fans.transfer(0x2D, &[0x30 + 0x10 * fan, 0xFF], 0).unwrap()));
    whole.until("warmer", |state| state.sensors[3].celsius.unwrap() > 28.0);
    assert_eq!(read(0x48), Ok(vec![25, 0]), "frozen");
    assert_eq!(read(0x4C), Ok(vec![0xD8, 0]), "absurd");
    assert!(read(0x49).is_err(), "lost");
    assert!(read(0x4D).unwrap()[0] >= 28);
    let sensors = whole.handle.state().sensors;
    assert_eq!((sensors[0].name.as_str(), sensors[3].name.as_str()), ("board-0-inlet", "board-1-outlet"));
    assert_eq!(
        sensors.iter().map(|sensor| sensor.faulty).collect::<Vec<_>>(),
        [true, true, true, false, false, false]
    );
    whole.handle.fault(Fault::SensorLost { sensor: 2, on: false });
    assert!(read(0x49).is_ok());
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
fn a_refusing_supply_says_f5_and_one_without_a_bus_cannot_refuse() {
    let whole = Whole::new(&S19J_PRO);
    assert_eq!(whole.ask_psu("55 AA 04 01 05 00", 8), bytes("55 AA 06 01 06 00 0D 00"));
    whole.handle.fault(Fault::PsuNak(true));
    assert_eq!(whole.ask_psu("55 AA 04 01 05 00", 2), [0xF5, 0xF5]);
    let s9 = Whole::new(&S9);
    assert_eq!(s9.handle.fault_on(0, Fault::PsuNak(true)), Err(FaultError::NoSupply));
}

#[test]
fn a_pic_lets_its_board_on_and_cuts_it_without_a_heartbeat() {
    let whole = Whole::new(&S19J_PRO_PIC);
    whole.ask_psu(SET_13_5, 0);
    whole.line("psu-enable", false);
    let bus = whole.handle.i2c(0);
    let tell =
        |frame: &str| bytes(frame).iter().for_each(|byte| drop(bus.transfer(0x21, &[*byte], 0).unwrap()));
    tell("55 AA 04 06 00 0A");
    std::thread::sleep(Duration::from_millis(700));
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
fn one_fan_of_four_stands_and_the_supply_runs_out_of_patience() {
    let whole = Whole::new(&S19J_PRO);
    let fans = whole.handle.i2c(2);
    (0..4u8).for_each(|fan| drop(fans.transfer(0x2D, &[0x30 + 0x10 * fan, 0xC0], 0).unwrap()));
    whole.handle.fault(Fault::OneFanStopped { fan: 2, on: true });
    let state = whole.until("three turn", |state| state.fans[0].rpm > 4000);
    assert!(state.fans[2].rpm < 100 && state.fans[3].rpm > 4000, "{:?}", state.fans);
    let high = fans.transfer(0x2D, &[0x5E], 1).unwrap()[0];
    assert_eq!(high, 0xFF, "its tachometer");
    let missing = FaultError::NotThere { what: "fan", number: 4, there: 4 };
    assert_eq!(whole.handle.fault_on(0, Fault::OneFanStopped { fan: 4, on: true }), Err(missing));
    whole.line("psu-enable", false);
    let left = whole.handle.state().psu.unwrap().watchdog_seconds.unwrap();
    assert!((55.0..=60.0).contains(&left), "{left}");
}

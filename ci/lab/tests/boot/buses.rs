//! Buses that end outside of the unit, as its own kernel's drivers see them: I²C, GPIO, USB.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use adit_guest_bus::{
    GpioLines, I2cBus, Message, Nak, Refused,
    usb::{Device, Identity},
};
use adit_lab::{
    buses::{Buses, usb_board},
    console::Event,
    site::Rig,
};
use adit_simulator::{BITAXE_GAMMA, Endpoint, MachineConfig, S19J_PRO, Simulator};

use crate::support::{BOOT, Disk, with_agent};

/// A TMP75 at 48: pointer register, temperature (0, read only), configuration (1), limits (2, 3), as in its data sheet.
struct Tmp75(Mutex<Parts>);

struct Parts {
    pointer: u8,
    registers: [u16; 4],
    /// What was written, whole messages.
    written: Vec<Vec<u8>>,
}

impl Tmp75 {
    fn at(celsius: f64) -> Self {
        let temperature = ((celsius * 16.0) as i16 as u16) << 4;
        let registers = [temperature, 0, 0x4B00, 0x5000];
        Self(Mutex::new(Parts { pointer: 0, registers, written: Vec::new() }))
    }
}

impl I2cBus for Tmp75 {
    fn transfer(&self, address: u8, messages: &mut [Message<'_>]) -> Result<(), Nak> {
        let mut parts = self.0.lock().unwrap();
        for message in messages {
            if address != 0x48 {
                return Err(Nak);
            }
            match message {
                Message::Write(bytes) => {
                    parts.written.push(bytes.to_vec());
                    if let [pointer, value @ ..] = *bytes {
                        parts.pointer = pointer & 3;
                        if let (1.., [high, rest @ ..]) = (parts.pointer, value) {
                            let value = u16::from_be_bytes([*high, rest.first().copied().unwrap_or(0)]);
                            let register = usize::from(parts.pointer);
                            parts.registers[register] = value;
                        }
                    }
                }
                Message::Read(bytes) => {
                    let value = parts.registers[usize::from(parts.pointer)].to_be_bytes();
                    for (byte, value) in bytes.iter_mut().zip(value.into_iter().cycle()) {
                        *byte = value;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A reset line that the unit drives, pulled down; a plug line that only the machine drives.
struct Lines(Mutex<[Option<bool>; 2]>);

const RESET: usize = 0;
const PLUG: usize = 1;

impl GpioLines for Lines {
    fn names(&self) -> Vec<String> {
        ["reset", "plug"].map(str::to_owned).to_vec()
    }

    fn level(&self, line: usize) -> bool {
        self.0.lock().unwrap()[line].unwrap_or(false)
    }

    fn drive(&self, line: usize, level: Option<bool>) -> Result<(), Refused> {
        if line == PLUG {
            return Err(Refused);
        }
        self.0.lock().unwrap()[line] = level;
        Ok(())
    }
}

/// Answers like `bitaxe-raw`: every request with its own data, three bytes of header before. Ends with the socket.
fn firmware(mut port: UnixStream) {
    thread::spawn(move || {
        let mut length = [0; 2];
        while port.read_exact(&mut length).is_ok() {
            let mut rest = vec![0; usize::from(u16::from_le_bytes(length)) - 2];
            port.read_exact(&mut rest).unwrap();
            let data = &rest[4..];
            let answer = [&(data.len() as u16).to_le_bytes()[..], &rest[..1], data].concat();
            port.write_all(&answer).unwrap();
        }
    });
}

/// A board whose control port answers, and the far end of its chips' line.
fn board(serial: &str) -> (Device, UnixStream) {
    let (control, controller) = UnixStream::pair().unwrap();
    let (line, chips) = UnixStream::pair().unwrap();
    firmware(controller);
    (Device::new(Identity::bitaxe_raw(serial), vec![control, line]).unwrap(), chips)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Waits until the agent can be asked.
async fn ready(rig: &Rig, cursor: usize) {
    let ready = |event: &Event| match event {
        Event::Service { name, state, .. } => (name == "agent" && state == "ready").then_some(()),
        _ => None,
    };
    rig.unit.wait_event(cursor, BOOT * 2, "the agent", ready).await.unwrap();
    // Ready when it is started: it may not have opened its port yet.
    while rig.agent("ping").await.is_err() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Asks until the agent's answer is right, or says the last wrong one.
async fn until(rig: &Rig, order: &str, right: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + BOOT;
    loop {
        let answer = rig.agent(order).await.unwrap();
        if right(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{order}: {answer}\n{}", rig.unit.tail(30));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kernels_own_drivers_find_parts_outside_of_the_unit_and_talk_to_them() {
    let images = with_agent();
    let (parts, lines) = (Arc::new(Tmp75::at(51.25)), Arc::new(Lines(Mutex::new([None; 2]))));
    let buses = Buses { i2c: vec![parts.clone()], gpio: vec![lines.clone()], usb_ports: 2 };
    let disk = Disk::fresh(images, None);
    let rig = disk.boot_with_buses(images, &buses);
    ready(&rig, 0).await;
    let ask = async |order: &str| rig.agent(order).await.unwrap();

    // I²C: temperature, a limit written and read back, nobody at another address.
    assert!(ask("i2c list").await.starts_with("ok i2c-0 "), "{}", ask("i2c list").await);
    assert_eq!(ask("i2c read 0 48 00 2").await, "ok 3340");
    ask("i2c write 0 48 035500").await;
    assert_eq!(ask("i2c read 0 48 - 2").await, "ok 5500");
    let nobody = rig.agent("i2c read 0 49 00 2").await.unwrap_err().to_string();
    assert!(nobody.contains("not acknowledged"), "{nobody}");
    assert_eq!(parts.0.lock().unwrap().written, [vec![0], vec![3, 0x55, 0]]);

    // GPIO: names, an output, an input, an edge that nobody asked for by reading.
    assert_eq!(ask("gpio list").await, "ok gpiochip0 2 reset plug");
    assert_eq!(ask("gpio get 0 0").await, "ok 0");
    ask("gpio set 0 0 1").await;
    assert_eq!(lines.0.lock().unwrap()[RESET], Some(true));
    ask("gpio set 0 0 0").await;
    assert_eq!(lines.0.lock().unwrap()[RESET], Some(false));
    ask("gpio free 0 0").await;
    assert_eq!(lines.0.lock().unwrap()[RESET], None);
    assert!(rig.agent("gpio set 0 1 1").await.is_err());
    ask("gpio watch 0 1").await;
    for (level, edge) in [(true, "ok rising"), (false, "ok falling")] {
        lines.0.lock().unwrap()[PLUG] = Some(level);
        rig.ports.gpio[0].edge(PLUG, level);
        assert_eq!(ask("gpio edge 0 1").await, edge);
    }
    ask("gpio free 0 1").await;

    // USB: two boards come, one goes, the other one answers on.
    assert_eq!(ask("usb").await, "ok");
    let (first, mut chips) = board("first");
    rig.ports.usb[0].plug(first).unwrap();
    let one = "ok ttyACM0 00 c0de:cafe OSMU Bitaxe first, ttyACM1 02 c0de:cafe OSMU Bitaxe first";
    until(&rig, "usb", |answer| answer == one).await;
    // What the page 06 (GPIO) request of the protocol's description looks like.
    assert_eq!(ask("tty ttyACM0 115200 07000000060000 4").await, "ok 01000000");
    let answering = thread::spawn(move || {
        let mut heard = [0; 3];
        chips.read_exact(&mut heard).unwrap();
        chips.write_all(&[0xAA, 0x55, 1, 2, 3]).unwrap();
        heard
    });
    assert_eq!(ask("tty ttyACM1 1000000 55aa52 5").await, "ok aa55010203");
    assert_eq!(answering.join().unwrap(), [0x55, 0xAA, 0x52]);
    assert_eq!(rig.ports.usb[0].line(1).unwrap().baud, 1_000_000);

    let (second, _chips) = board("second");
    rig.ports.usb[1].plug(second).unwrap();
    until(&rig, "usb", |answer| answer.contains("ttyACM3 02 c0de:cafe OSMU Bitaxe second")).await;
    rig.ports.usb[0].unplug();
    let other = "ok ttyACM2 00 c0de:cafe OSMU Bitaxe second, ttyACM3 02 c0de:cafe OSMU Bitaxe second";
    until(&rig, "usb", |answer| answer == other).await;
    assert_eq!(ask("tty ttyACM2 115200 07000500060001 4").await, "ok 01000501");
    let (again, mut chips) = board("first");
    rig.ports.usb[0].plug(again).unwrap();
    until(&rig, "usb", |answer| answer.contains("ttyACM0 00 c0de:cafe OSMU Bitaxe first")).await;

    // More than a packet, both ways.
    let question: Vec<u8> = (0..100).collect();
    let much: Vec<u8> = (0..3000_u32).map(|number| (number % 251) as u8).collect();
    let (sent, order) = (much.clone(), format!("tty ttyACM1 1000000 {} 3000", hex(&question)));
    let answering = thread::spawn(move || {
        let mut heard = vec![0; 100];
        chips.read_exact(&mut heard).unwrap();
        chips.write_all(&sent).unwrap();
        (heard, chips)
    });
    assert_eq!(ask(&order).await, format!("ok {}", hex(&much)));
    let (heard, _silent) = answering.join().unwrap();
    assert_eq!(heard, question);

    // Pulled out while somebody waits for an answer.
    let pull = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        rig.ports.usb[0].unplug();
    };
    let (answer, ()) = tokio::join!(rig.agent("tty ttyACM1 1000000 00 1"), pull);
    let answer = answer.unwrap_err().to_string();
    assert!(answer.contains("hung up") || answer.contains("Input/output error"), "{answer}");
    until(&rig, "usb", |answer| answer == other).await;
    let (again, _chips) = board("first");
    rig.ports.usb[0].plug(again).unwrap();
    until(&rig, "usb", |answer| answer.contains("ttyACM1 02 c0de:cafe OSMU Bitaxe first")).await;

    // A reset: the unit lets go of its lines, and finds everything again.
    ask("gpio set 0 0 1").await;
    assert_eq!(lines.0.lock().unwrap()[RESET], Some(true));
    let cursor = rig.unit.now();
    rig.reset().await.unwrap();
    ready(&rig, cursor).await;
    assert_eq!(lines.0.lock().unwrap()[RESET], None);
    assert_eq!(ask("i2c read 0 48 00 2").await, "ok 3340");
    let ports = |answer: &str| {
        answer.matches("OSMU Bitaxe first").count() + answer.matches("OSMU Bitaxe second").count()
    };
    until(&rig, "usb", |answer| ports(answer) == 4).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulated_machines_are_found_behind_the_units_buses() {
    let images = with_agent();
    let folder = tempfile::tempdir().unwrap();
    let socket = |name: &str| Endpoint::Unix(folder.path().join(name));
    let chains = ["chain0", "chain1", "chain2"].map(socket).to_vec();
    let farm = Simulator::start_machine(&MachineConfig::new(&S19J_PRO, chains, None)).unwrap();
    let (control, chips) = (socket("control"), socket("chips"));
    let desk = MachineConfig::new(&BITAXE_GAMMA, vec![chips], Some(control));
    let desk = Simulator::start_machine(&desk).unwrap();

    let disk = Disk::fresh(images, None);
    let rig = disk.boot_with_buses(images, &Buses { usb_ports: 1, ..Buses::of(&farm) });
    ready(&rig, 0).await;
    let ask = async |order: &str| rig.agent(order).await.unwrap();

    assert_eq!(ask("i2c list").await.matches("i2c_virtio").count(), 3);
    // The first board's inlet sensor: nothing hashes, so it is as warm as the room.
    let answer = ask("i2c read 0 48 00 2").await;
    let raw = i16::from_str_radix(answer.strip_prefix("ok ").unwrap(), 16).unwrap();
    let truth = farm.state().ambient;
    assert!((f64::from(raw) / 256.0 - truth).abs() <= 1.0, "{answer} is not {truth} degrees");
    // Its EEPROM, format 5; the fan controller, by its maker.
    assert!(ask("i2c read 0 50 00 2").await.starts_with("ok 05"));
    assert_eq!(ask("i2c read 2 2d fe 1").await, "ok 5d");
    assert!(rig.agent("i2c read 0 60 00 1").await.is_err());

    let lines = ask("gpio list").await;
    assert!(lines.starts_with("ok gpiochip0 10 reset-0 reset-1 reset-2 plug-0"), "{lines}");
    assert_eq!(ask("gpio get 0 3").await, "ok 1", "the first board is there");
    ask("gpio set 0 0 1").await;
    assert_eq!(farm.gpio().get(0), Some(true));
    // An edge that the machine tells of, made by somebody else at the same line.
    ask("gpio watch 0 1").await;
    farm.gpio().drive(1, Some(true)).unwrap();
    assert_eq!(ask("gpio edge 0 1").await, "ok rising");

    let paths = ["control", "chips"].map(|name| folder.path().join(name));
    rig.ports.usb[0].plug(usb_board("gamma", &paths[0], &paths[1]).unwrap()).unwrap();
    until(&rig, "usb", |answer| answer.contains("ttyACM1 02 c0de:cafe OSMU Bitaxe gamma")).await;
    // Its fan controller's maker, through `bitaxe-raw`.
    assert_eq!(ask("tty ttyACM0 115200 0900010005404cfe01 4").await, "ok 0100015d");
    rig.stop().await;
    desk.stop();
    farm.stop();
}

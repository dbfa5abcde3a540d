//! Machines that lie: boards that are others than they should be, and a USB device that answers nonsense. Each is named in one line and gets no power; the others hash on.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use adit_guest_bus::usb::{Device, Identity};
use adit_lab::{
    buses::{Buses, usb_board},
    machine::Machine,
    qemu::Said,
    site::{Backend, Effort, Rig},
    truth,
};
use adit_simulator::{
    BITAXE_GAMMA, Endpoint, Event, Handle, MachineConfig, MachineModel, S19J_PRO, S21, Simulator,
};

use crate::support::{BOOT, Disk, with_agent, with_desk};

/// What a machine's first board keeps in its EEPROM.
fn eeprom(model: &'static MachineModel) -> [u8; 256] {
    let folder = tempfile::tempdir().unwrap();
    let chains =
        (0..model.boards).map(|board| Endpoint::Unix(folder.path().join(format!("{board}")))).collect();
    let machine = Simulator::start_machine(&MachineConfig::new(model, chains, None)).unwrap();
    machine.i2c(0).transfer(0x50, &[0], 256).unwrap().try_into().unwrap()
}

/// The reason that the driver gave for `board`, and how often it gave one.
fn reasons(rig: &Rig, board: &str) -> Vec<String> {
    let of = |said: &Said| {
        let is = said.line.contains("adit_hardware: ") && said.line.contains(&format!("reason={board}: "));
        is.then(|| said.line.clone())
    };
    rig.unit.said_since(0).0.iter().filter_map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "half a minute: scripts/test --long boot"]
async fn a_board_of_another_machine_and_one_whose_eeprom_is_broken_get_no_power_and_the_third_hashes() {
    let own = eeprom(&S19J_PRO);
    let mut broken = own;
    broken[4] ^= 0x10;
    let mut machine = Machine::s19j_pro();
    machine.eeproms = vec![eeprom(&S21), broken, own];
    let images = with_agent();
    let backend = Backend::start(None, Effort::default(), None).await.unwrap();
    let disk = Disk::for_machine(images, &machine, Some(&backend.unit_config()));
    let rig = disk.boot_driving(images, &machine);
    hashing(&rig.simulator, 2, &rig).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let said = [reasons(&rig, "hb0"), reasons(&rig, "hb1")];
    println!("{said:#?}");
    for part in ["BHB68601", "BHB42601"] {
        assert!(said[0].iter().any(|line| line.contains(part)), "{said:#?}");
    }
    assert!(said[1].iter().any(|line| line.contains("24c02") || line.contains("EEPROM")), "{said:#?}");
    let events = truth::events(&rig.simulator, 0).unwrap();
    let released =
        events.iter().find(|record| record.board < 2 && record.event == Event::Reset { held: false });
    assert!(released.is_none(), "a wrong board was let go: {released:?}");
    rig.stop().await;
    backend.stop().await;
}

/// Waits for jobs and nonces on a board's chain.
async fn hashing(machine: &Handle, board: usize, rig: &Rig) {
    let began = Instant::now();
    let first = machine.state().boards[board].chain.clone();
    loop {
        let now = machine.state().boards[board].chain.clone();
        if now.jobs > first.jobs && now.nonces > first.nonces {
            return;
        }
        assert!(began.elapsed() < BOOT, "{now:?}\n{}", rig.unit.tail(40));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What the liar makes of a request.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum Lie {
    /// Says nothing.
    Mute,
    /// Takes everything, and all that it reads is zero.
    Zeros,
    /// The right id, and any number of any bytes.
    Any,
    /// An answer that is longer than any can be, and does not end.
    Endless,
    /// Answers to requests that nobody made, without being asked.
    Chatter,
}

const LIES: [(Lie, &str); 5] = [
    (Lie::Mute, "board controller silent"),
    (Lie::Zeros, "EMC2101 at 0x4c"),
    (Lie::Any, "board controller"),
    (Lie::Endless, "board controller silent"),
    (Lie::Chatter, "board controller silent"),
];

/// Firmware that lies on the control port until the port is gone.
fn liar(mut port: UnixStream, lie: Arc<AtomicU8>) {
    thread::spawn(move || {
        let mut seed = 1_u32;
        let mut any = move || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        let mut request = [0; 256];
        while let Ok(length @ 1..) = port.read(&mut request) {
            let id = request.get(2).copied().unwrap_or(0);
            let answer = match LIES[usize::from(lie.load(Ordering::Relaxed))].0 {
                Lie::Mute => continue,
                // As many bytes as were asked for: the last byte of a read says how many, a line has one.
                Lie::Zeros => {
                    let bytes =
                        if request[4] == 5 && request[5] != 0x20 { request[length - 1].min(32) } else { 1 };
                    [&[bytes, 0, id][..], &vec![0; bytes.into()]].concat()
                }
                Lie::Any => {
                    let bytes = any() % 33;
                    [&[bytes, 0, id][..], &(0..bytes).map(|_| any()).collect::<Vec<_>>()].concat()
                }
                Lie::Endless => [&[0xFF, 0xFF, id][..], &[0xFF; 4000]].concat(),
                Lie::Chatter => {
                    (0..200).flat_map(|_| [1, 0, id.wrapping_add(1 + any() % 200), any()]).collect()
                }
            };
            if port.write_all(&answer).is_err() {
                return;
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute: scripts/test --long boot"]
async fn a_usb_device_that_lies_is_named_and_gets_no_power_and_the_other_boards_hash_on() {
    let images = with_desk();
    let machine = Machine::bitaxe_with("lab-desk");
    let backend = Backend::start(None, Effort::default(), None).await.unwrap();
    let disk = Disk::for_machine(images, &machine, Some(&backend.unit_config()));
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let honest = MachineConfig::new(
        &BITAXE_GAMMA,
        vec![Endpoint::Unix(path("chips"))],
        Some(Endpoint::Unix(path("control"))),
    );
    let honest = Simulator::start_machine(&honest).unwrap();
    let rig = disk.boot_with(images, &machine, &Buses { usb_ports: 2, ..Buses::default() });
    rig.ports.usb[0].plug(usb_board("honest", &path("control"), &path("chips")).unwrap()).unwrap();
    hashing(&rig.simulator, 0, &rig).await;
    hashing(&honest, 0, &rig).await;
    let mark = [truth::newest(&rig.simulator), truth::newest(&honest)];

    // Descriptors of somebody else: it is not looked at, and the place stays empty.
    let (ours, _far) = UnixStream::pair().unwrap();
    let other = Identity { product: "Bitaxe?".into(), ..Identity::bitaxe_raw("liar") };
    rig.ports.usb[1].plug(Device::new(other, vec![ours]).unwrap()).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let absent = reasons(&rig, "liar");
    println!("another's descriptors: {absent:#?}");
    assert_eq!(absent.len(), 1, "{absent:#?}");
    assert!(absent[0].contains("no Bitaxe is plugged in") || absent[0].contains("no liar"), "{absent:#?}");
    rig.ports.usb[1].unplug();

    // Then the right descriptors, and every kind of nonsense behind them.
    let lie = Arc::new(AtomicU8::new(0));
    for (number, (kind, word)) in (0..).zip(LIES) {
        lie.store(number, Ordering::Relaxed);
        let (control, far) = UnixStream::pair().unwrap();
        let (line, _chips) = UnixStream::pair().unwrap();
        liar(far, lie.clone());
        let before = reasons(&rig, "liar").len();
        rig.ports.usb[1]
            .plug(Device::new(Identity::bitaxe_raw("liar"), vec![control, line]).unwrap())
            .unwrap();
        let began = Instant::now();
        let said = loop {
            let said = reasons(&rig, "liar").split_off(before);
            if said.iter().any(|line| line.contains(word)) {
                break said;
            }
            assert!(began.elapsed() < BOOT, "{kind:?}: {said:#?}\n{}", rig.unit.tail(30));
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        println!("{kind:?}: {said:#?}");
        rig.ports.usb[1].unplug();
        tokio::time::sleep(Duration::from_millis(2500)).await;
    }

    // What does not obey is said once, and tried on in silence.
    let grumbles =
        rig.unit.said_since(0).0.iter().filter(|said| said.line.contains("fan not regulated")).count();
    assert!(grumbles <= 2 * LIES.len(), "{grumbles} lines about the liar's fan\n{}", rig.unit.tail(30));
    for ((machine, mark), name) in [&rig.simulator, &honest].into_iter().zip(mark).zip(["serial", "honest"]) {
        let events = truth::events(machine, mark).unwrap();
        let off = events.iter().find(|record| record.event == Event::Rail { on: false });
        assert!(off.is_none(), "{name} lost its power: {off:?}");
        hashing(machine, 0, &rig).await;
        assert_eq!(reasons(&rig, name), Vec::<String>::new());
    }
    rig.stop().await;
    honest.stop();
    backend.stop().await;
}

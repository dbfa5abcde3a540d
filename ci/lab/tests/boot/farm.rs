//! Machines of farms in the image: three boards on one supply, driven through the unit's own I²C, lines and serial ports.

use std::time::{Duration, Instant};

use adit_lab::{
    machine::Machine,
    site::{Backend, Effort, Rig},
    truth,
};
use adit_simulator::{Event, Fault};
use serde_json::Value;

use crate::support::{BOOT, Disk, ask, processor_ms, shares, with_agent};

/// What the driver takes of the processor is measured over this.
const MEASURED: Duration = Duration::from_secs(5);

struct Chains {
    chip: &'static str,
    chips: usize,
    mhz: f64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_boards_of_126_bm1362_hash_behind_the_units_own_buses() {
    hashes(Machine::s19j_pro(), Chains { chip: "BM1362", chips: 126, mhz: 535.0 }, Duration::from_secs(10))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the same with other chips, and longer: scripts/test --long boot"]
async fn three_boards_of_108_bm1368_hash_behind_the_units_own_buses() {
    hashes(Machine::s21(), Chains { chip: "BM1368", chips: 108, mhz: 490.0 }, Duration::from_secs(90)).await;
}

/// Then `garbage` long there is nothing but that on one chain's line.
async fn hashes(machine: Machine, wanted: Chains, garbage: Duration) {
    let images = with_agent();
    let backend = Backend::start(None, Effort::default(), None).await.unwrap();
    let disk = Disk::for_machine(images, &machine, Some(&backend.unit_config()));
    let began = Instant::now();
    let rig = disk.boot_driving(images, &machine);
    let mut seen = 0;
    let mut nonces = [0_u64; 3];
    // The machine's record turns over: it is read as it comes.
    while nonces.contains(&0) {
        assert!(
            began.elapsed() < BOOT * 2,
            "{nonces:?}: {:#?}\n{}",
            rig.simulator.state().boards,
            rig.unit.tail(40)
        );
        for record in truth::events(&rig.simulator, seen).unwrap() {
            seen = record.seq;
            match record.event {
                Event::Nonce { .. } => nonces[record.board] += 1,
                Event::EepromWritten { .. } | Event::ProtocolError { .. } | Event::CrcError => {
                    panic!("{record:?}")
                }
                _ => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("{}: power-on to a nonce of each chain {} ms", machine.profile, began.elapsed().as_millis());
    shares(&backend, &rig, 2, BOOT).await;

    let (before, jobs) = (processor_ms(&rig, "adit-hardware").await, jobs(&rig));
    let clock = Instant::now();
    tokio::time::sleep(MEASURED).await;
    let took = processor_ms(&rig, "adit-hardware").await - before;
    let seconds = clock.elapsed().as_secs_f64();
    let jobs = self::jobs(&rig) - jobs;
    println!(
        "hardware.image.cpu.{} {:.1} ms/s of the emulated processor, three chains and {:.1} jobs a second",
        machine.profile,
        took as f64 / seconds,
        jobs as f64 / seconds,
    );

    // Together: on a computer that has little time a chip's answer may come too late, and is asked for again.
    let began = Instant::now();
    let status = loop {
        let status: Value = serde_json::from_str(
            &ask(rig.page, "/api/v1/status", "application/json").await.unwrap_or_default(),
        )
        .unwrap_or_default();
        let whole = rig.simulator.state().boards.iter().all(|board| {
            (board.chain.addressed, board.chain.mhz, board.reset) == (wanted.chips, wanted.mhz, false)
        });
        let shown = status["hardware"]["chains"].as_array().is_some_and(|chains| {
            let is =
                |chain: &Value| chain["chips_found"] == wanted.chips && chain["nonces"].as_u64() > Some(0);
            chains.len() == 3 && chains.iter().all(is)
        });
        if whole && shown && status["hardware"]["stage"] == "hashing" {
            break status;
        }
        assert!(
            began.elapsed() < BOOT,
            "{:#?}\n{status:#}\n{}",
            rig.simulator.state().boards,
            rig.unit.tail(30)
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    for board in &rig.simulator.state().boards {
        assert_eq!((board.chain.crc_errors, board.chain.protocol_errors), (0, 0), "{board:#?}");
    }
    let hardware = &status["hardware"];
    assert_eq!(hardware["machine"], machine.profile, "{status:#}");
    assert_eq!(hardware["fans"].as_array().map(Vec::len), Some(4), "{status:#}");
    for chain in hardware["chains"].as_array().unwrap() {
        assert_eq!(chain["chip"], wanted.chip, "{status:#}");
        assert_eq!(chain["impossible_responses"], 0, "{status:#}");
    }
    garbage_on_one_line(&rig, garbage).await;
    let pool = backend.pool.state();
    assert_eq!(pool.shares_rejected, 0, "{pool:?}");
    rig.stop().await;
    backend.stop().await;
}

/// The board in the middle; about as much as its line carries at this rate.
const GARBLED: usize = 1;
const BURST: u32 = 4096;
const BETWEEN_BURSTS: Duration = Duration::from_millis(400);

/// The other boards hash on, what is said about it is few lines that name the chain, and that one hashes again afterwards.
async fn garbage_on_one_line(rig: &Rig, duration: Duration) {
    let (cursor, mark, began) = (rig.unit.now(), truth::newest(&rig.simulator), Instant::now());
    let mut seen = mark;
    let mut others = [0_u64; 3];
    // Longer where this computer searches or emulates slowly.
    let mut said = Vec::new();
    while began.elapsed() < duration || others[0] == 0 || others[2] == 0 || said.is_empty() {
        assert!(began.elapsed() < duration + BOOT, "nonces {others:?}, said {said:?}\n{}", rig.unit.tail(30));
        rig.simulator.fault_on(GARBLED, Fault::GarbageBytes(BURST)).unwrap();
        tokio::time::sleep(BETWEEN_BURSTS).await;
        for record in truth::events(&rig.simulator, seen).unwrap() {
            seen = record.seq;
            match record.event {
                Event::Nonce { .. } => others[record.board] += 1,
                Event::Rail { on: false } | Event::Reset { held: true } if record.board != GARBLED => {
                    panic!("{record:?}\n{}", rig.unit.tail(30))
                }
                _ => {}
            }
        }
        let lines = rig.unit.said_since(cursor).0.into_iter().map(|said| said.line);
        said = lines.filter(|line| line.contains("adit_hardware") && !line.contains("INFO")).collect();
    }
    println!("{} s of garbage: nonces {others:?}, said {said:#?}", began.elapsed().as_secs());
    assert!(said.len() < 10, "{said:#?}");
    assert!(said.iter().all(|line| line.contains("chain=1") || line.contains("chain 1")), "{said:#?}");
    let before = rig.simulator.state().boards[GARBLED].chain.nonces;
    let began = Instant::now();
    while rig.simulator.state().boards[GARBLED].chain.nonces <= before {
        assert!(
            began.elapsed() < BOOT,
            "{:#?}\n{}",
            rig.simulator.state().boards[GARBLED],
            rig.unit.tail(30)
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn jobs(rig: &Rig) -> u64 {
    rig.simulator.state().boards.iter().map(|board| board.chain.jobs).sum()
}

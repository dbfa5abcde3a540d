//! What simulated machines can be made to do wrong, and what the driver says and does about it; `docs/safety.md` has the table.
//!
//! Each test lets as much happen in one run as fits, for 378 chips that start cost seconds.

use std::cell::Cell;

use adit_work::frame::{FromHardware, MAX_LEN, Work};

use super::*;

/// Soon again, however often.
const SOON: (&str, &str) = ("retry_ms = 1000", "retry_ms = 1000\nretry_max_ms = 1000");

/// Nonces by chain.
type Found = [Cell<u32>; 3];

/// A miner with new work for all chains every second.
async fn mines(socket: &OwnedFd, found: &Found) -> Infallible {
    let mut packet = [0; MAX_LEN];
    let mut generation = 0;
    loop {
        generation += 1;
        for chain in 0..3 {
            let work = Work {
                chain,
                generation,
                sequence: 1,
                version: 0x2000_0000,
                version_mask: 0x1fff_e000,
                ntime: 0x6854_68d7,
                nbits: 0x1702_3a04,
                prev_hash: [generation as u8; 32],
                merkle_root: [chain; 32],
            };
            seqpacket::send(socket, ToHardware::Work(work).encode().as_bytes()).unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        while let Ok(length @ 1..) = seqpacket::receive(socket, &mut packet) {
            if let Ok(FromHardware::Nonce(nonce)) = FromHardware::decode(&packet[..length]) {
                let of_chain = &found[usize::from(nonce.chain)];
                of_chain.set(of_chain.get() + 1);
            }
        }
    }
}

impl Farm {
    async fn until_reason(&self, board: usize, wanted: &str) -> String {
        let what = format!("board {board}: {wanted}");
        let status = self.until_told(&what, |status| status.boards[board].reason.contains(wanted)).await;
        status.boards[board].reason.clone()
    }

    fn sensor(&self, name: &str) -> usize {
        let sensors = self.handle.state().sensors;
        sensors.iter().position(|sensor| sensor.name == name).unwrap_or_else(|| panic!("{name}: {sensors:?}"))
    }

    fn on_board(&self, board: usize, fault: Broken) {
        self.handle.fault_on(board, fault).unwrap();
    }

    /// A wire that carries nothing but garbage, as fast as it can, for so long.
    async fn garbage(&self, board: usize, lasts: Duration) {
        self.on_board(board, Broken::Noise(1.0));
        let began = Instant::now();
        while began.elapsed() < lasts {
            // 292 of the 312 kB/s that there are.
            self.on_board(board, Broken::GarbageBytes(4096));
            tokio::time::sleep(Duration::from_millis(14)).await;
        }
    }
}

#[tokio::test]
async fn what_chips_do_wrong_and_garbage_on_a_wire_are_named_and_no_other_boards_business() {
    let farm = Farm::new(&S19J_PRO, &[SOON]);
    let found = Found::default();
    let story = async {
        farm.hashing(&[0, 1, 2]).await;
        let began = found[0].get();
        farm.on_board(1, Broken::DeadChip(Some(60)));
        farm.garbage(2, Duration::from_secs(20)).await;
        let lost = "hb1: chain 1: chip 60 (address 0x78) does not answer any more; 60 of 126 BM1362 do";
        let status = farm.until_told("a lost chip", |status| !status.boards[1].reason.is_empty()).await;
        let reason = &status.boards[1].reason;
        // It may have been tried again since.
        assert!(reason == lost || reason == "hb1: chain 1: 60 of 126 BM1362 answered", "{reason}");
        assert!(status.boards[2].reason.starts_with("hb2: chain 2: "), "{status:#?}");
        assert_eq!((status.stage.as_str(), &status.fault), ("hashing", reason));
        assert!(found[0].get() >= began + 5, "{} nonces of board 0 since {began}", found[0].get());

        // Of chips and the wire, as they start.
        farm.on_board(1, Broken::DeadChip(None));
        farm.on_board(1, Broken::StuckAddress(Some(1)));
        farm.on_board(2, Broken::Noise(0.0));
        farm.on_board(2, Broken::LostBytes(1.0));
        farm.until_reason(
            1,
            "hb1: chain 1: 126 BM1362 answered, none of them at 0x02, the address of chip 1",
        )
        .await;
        farm.until_reason(2, "hb2: chain 2: 0 of 126 BM1362 answered").await;
        farm.on_board(1, Broken::StuckAddress(None));
        farm.on_board(1, Broken::DeafChip(Some(7)));
        farm.on_board(2, Broken::LostBytes(0.0));
        farm.until_reason(1, "hb1: chain 1: 125 of 126 BM1362 answered").await;
        farm.on_board(1, Broken::DeafChip(None));
        farm.hashing(&[0, 1, 2]).await;
        farm.until_told("no fault", |status| status.fault.is_empty()).await;
        let again = [found[1].get(), found[2].get()];
        let began = Instant::now();
        while found[1].get() == again[0] || found[2].get() == again[1] {
            assert!(began.elapsed() < PATIENCE, "boards 1 and 2 hash and find nothing");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let story = async {
        farm.hashing(&[0]).await;
        farm.while_hashing(&[0], story).await;
    };
    farm.run_for(async |socket: &OwnedFd| mines(socket, &found).await, story).await;
}

/// Bytes of memory that this process has in use.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Alone in its process, for its memory is measured while 45 MB of garbage come.
#[tokio::test]
#[ignore = "takes four minutes: scripts/test --long unit"]
async fn three_minutes_of_garbage_on_a_wire_cost_no_memory_and_the_board_comes_back() {
    let farm = Farm::new(&S19J_PRO, &[SOON]);
    let found = Found::default();
    let story = async {
        farm.hashing(&[0, 1, 2]).await;
        let story = async {
            farm.garbage(1, Duration::from_secs(20)).await;
            let (before, began) = (resident(), [found[0].get(), found[2].get()]);
            farm.garbage(1, Duration::from_secs(160)).await;
            let grown = resident().saturating_sub(before);
            eprintln!("{} kB more after 160 s", grown / 1024);
            assert!(grown < 8 << 20, "{grown} bytes more");
            let nonces = [found[0].get() - began[0], found[2].get() - began[1]];
            assert!(nonces.iter().all(|nonces| *nonces >= 40), "{nonces:?}");
            let reason = farm.told().boards[1].reason.clone();
            assert!(reason.starts_with("hb1: chain 1: "), "{reason}");
            farm.on_board(1, Broken::Noise(0.0));
            farm.hashing(&[0, 1, 2]).await;
        };
        farm.while_hashing(&[0, 2], story).await;
    };
    farm.run_for(async |socket: &OwnedFd| mines(socket, &found).await, story).await;
}

#[tokio::test]
async fn what_sensors_and_rails_of_boards_with_switches_do_wrong_is_no_other_boards_business() {
    let farm = Farm::behind_controllers();
    let [one, two] = ["board-1-inlet", "board-2-inlet"].map(|name| farm.sensor(name));
    let sensors = async {
        farm.handle.fault(Broken::SensorLost { sensor: one, on: true });
        farm.handle.fault(Broken::SensorAbsurd { sensor: two, celsius: Some(-50.0) });
        farm.until_reason(1, "hb1: inlet: sensor lost (no reading)").await;
        farm.until_reason(2, "hb2: inlet: sensor absurd (-50.0 °C, limit -40.0)").await;
        let off = |truth: &State| truth.boards[1..].iter().all(|board| board.reset && !board.rail.on);
        farm.until("off", off).await;
        farm.handle.fault(Broken::SensorLost { sensor: one, on: false });
        farm.handle.fault(Broken::SensorAbsurd { sensor: two, celsius: None });
        farm.hashing(&[0, 1, 2]).await;
    };
    let rails = async {
        // Nothing here measures what a board draws but the supply, and to that 10 A are little.
        farm.on_board(2, Broken::ExtraLoad(10.0));
        farm.on_board(1, Broken::RailDrop(3000.0));
        let reason = farm.until_reason(1, "hb1: rail: voltage low (10.").await;
        assert!(reason.ends_with(" V, limit 12.000)"), "{reason}");
        farm.on_board(1, Broken::RailDrop(0.0));
        farm.hashing(&[0, 1, 2]).await;
    };
    farm.run(async {
        farm.hashing(&[0, 1, 2]).await;
        farm.while_hashing(&[0], sensors).await;
        farm.while_hashing(&[0, 2], rails).await;
        // Controllers answer, and cut their rails after ten seconds all the same.
        farm.handle.fault(Broken::RailHeartbeatIgnored(true));
        for board in 0..3 {
            farm.until_reason(board, ": rail: voltage low (").await;
        }
        assert!(farm.handle.state().psu.unwrap().on);
    })
    .await;
}

#[tokio::test]
async fn a_supply_that_answers_nonsense_takes_all_off_and_a_slow_fan_slows_all_down() {
    let farm = Farm::new(&S19J_PRO, &[SOON]);
    farm.run(async {
        farm.hashing(&[0, 1, 2]).await;
        farm.handle.fault(Broken::PsuNak(true));
        farm.until("off", |truth| !truth.psu.as_ref().unwrap().on).await;
        let status = farm.until_told("a fault", |status| status.stage == "fault").await;
        assert!(status.fault.contains("supply: sensor lost (no reading)"), "{}", status.fault);
        farm.handle.fault(Broken::PsuNak(false));
        farm.until("full speed", |_| (0..3).all(|board| farm.is_hashing(board))).await;

        farm.handle.fault(Broken::FanSlow { fan: Some(1), share: 0.5 });
        let slow = |status: &HardwareStatus| status.faults.iter().any(|fault| fault.cause == "fan slow");
        let status = farm.until_told("a slow fan", slow).await;
        let fault = status.faults.iter().find(|fault| fault.cause == "fan slow").unwrap();
        assert_eq!((fault.part.as_str(), fault.stage.as_str(), fault.board), ("fan-2", "throttle", None));
        let slowed = |truth: &State| {
            truth.psu.as_ref().unwrap().on && truth.boards.iter().all(|board| board.chain.mhz == 56.25)
        };
        farm.until("slow chips", slowed).await;
    })
    .await;
}

/// A minute after its last word the supply cuts, whatever it answers.
#[tokio::test]
#[ignore = "takes a minute and a half: scripts/test --long unit"]
async fn a_supply_that_answers_and_hears_no_heartbeat_is_seen_to_cut_and_switched_on_again() {
    let farm = Farm::new(&S19J_PRO, &[SOON]);
    farm.run(async {
        farm.handle.fault(Broken::PsuHeartbeatIgnored(true));
        farm.hashing(&[0, 1, 2]).await;
        let status = farm.until_told("a fault", |status| status.stage == "fault").await;
        assert!(status.fault.contains("supply: voltage low ("), "{}", status.fault);
        farm.handle.fault(Broken::PsuHeartbeatIgnored(false));
        farm.hashing(&[0, 1, 2]).await;
    })
    .await;
}

#[tokio::test]
async fn an_eeprom_whose_checksum_is_wrong_is_named_and_the_other_boards_hash() {
    let first = Farm::new(&S19J_PRO, &[]);
    let contents = |board: u8| -> [u8; 256] {
        let page = |at: u8| first.handle.i2c(0).transfer(0x50 + board, &[at], 16).unwrap();
        let bytes: Vec<u8> = (0..=255).step_by(16).flat_map(page).collect();
        bytes.try_into().unwrap()
    };
    let mut eeproms = [0, 1, 2].map(contents).to_vec();
    drop(first);
    // In the first region, which has the name; and where nothing is.
    eeproms[1][40] ^= 1;
    eeproms[2][200] ^= 1;
    let farm = Farm::with_eeproms(&S19J_PRO, eeproms, |text, _| text);
    farm.run(async {
        farm.hashing(&[0, 2]).await;
        let status = farm.until_told("a fault", |status| status.boards[1].state == "fault").await;
        let reason = "hb1: EEPROM at 0x51: CRC of region 1 is 0x18, must be 0x1e";
        assert_eq!(status.boards[1].reason, reason);
        assert_eq!((status.stage.as_str(), status.fault.as_str()), ("hashing", reason));
        assert!(farm.handle.state().boards[1].reset && farm.is_hashing(0) && farm.is_hashing(2));
    })
    .await;
}

//! A whole S9 but for its fans: three chains behind the model of the FPGA, rails behind their controllers, and each board's thermometer behind its 62nd chip.

use std::future::Future;

use adit_bus::hardware::HardwareStatus;
use adit_simulator::{Fault as Broken, MachineConfig, S9, State};

use super::*;
use crate::bus::simulated::{self, Simulated};

struct Farm {
    _folder: tempfile::TempDir,
    handle: Handle,
    profile: Profile,
    status: Status,
    path: WorkPath,
    orders: Orders,
}

/// The shipped profile, with what the simulator has in other places and what only costs time changed.
fn profile() -> Profile {
    let text = include_str!("../../../../../../overlay/etc/adit/machines/s9-zynq.toml");
    let disputed = text.lines().find(|line| line.starts_with("disputed = ")).unwrap();
    let fan = |number: u8| format!("s9-fpga = {{ uio = \"fan-control\", tachometer = {number} }}");
    let emc = |channel: u8| {
        format!(
            "emc2305 = {{ bus = \"fans\", address = 0x2d, channel = {channel}, push_pull = false, inverted = false }}"
        )
    };
    let line = |bus: &str, line: u8| format!("bus = \"{bus}\", line = {line},");
    let mut changes: Vec<(String, String)> = vec![
        (disputed.into(), String::new()),
        ("untested = true".into(), "simulated = true".into()),
        (
            "[temperature]".into(),
            "[[bus]]\nname = \"fans\"\npart = { linux = { i2c = \"/dev/i2c-1\" } }\n\n[temperature]".into(),
        ),
        (fan(0), emc(1)),
        (fan(1), emc(2)),
        (line("lines", 37), line("lines", 7)),
        (line("lines", 38), line("lines", 6)),
        ("reset_settle_ms = 1000".into(), "reset_settle_ms = 100".into()),
        ("rise_ms = 2000".into(), "rise_ms = 500".into()),
        (
            "ticket_bits = 8".into(),
            "base_bits = 16\nticket_bits = 4\njob_interval_us = 200_000\nchip_gap_ms = 0".into(),
        ),
        ("write_gap_ms = 10".into(), "write_gap_ms = 0".into()),
        ("step_mhz = 25.0, step_ms = 100".into(), "step_mhz = 50.0, step_ms = 2".into()),
        ("cut_off = ".into(), "interval_ms = 500\nretry_ms = 1000\ncut_off = ".into()),
    ];
    for board in 0..3 {
        changes.push((line("reset", 5 + board), line("reset", board)));
        changes.push((line("plug", 5 + board), line("plug", 10 + board)));
    }
    changes.extend((0..3).map(|board| (line("plug", 10 + board), line("plug", 3 + board))));
    let text = changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    Profile::parse(&text).unwrap()
}

impl Farm {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let chain = |board: usize| folder.path().join(format!("chain-{board}"));
        let chains = (0..3).map(|board| Endpoint::Unix(chain(board))).collect();
        let handle = Simulator::start_machine(&MachineConfig::new(&S9, chains, None)).unwrap();
        for (number, name) in ["boards", "fans"].into_iter().enumerate() {
            simulated::attach(name, Simulated { i2c: Some(handle.i2c(number)), ..Default::default() });
        }
        for name in ["reset", "plug", "lines"] {
            simulated::attach(name, Simulated { gpio: Some(handle.gpio()), ..Default::default() });
        }
        for board in 0..3 {
            attach(&format!("chain{}", 6 + board), UnixStream::connect(chain(board)).unwrap(), KNOWN);
        }
        let profile = profile();
        Self {
            _folder: folder,
            handle,
            status: Status::new(&profile),
            path: WorkPath::new(3),
            orders: Orders::new(Limits::of(&profile)),
            profile,
        }
    }

    async fn run(&self, story: impl Future<Output = ()>) {
        let links = Links { path: &self.path, orders: &self.orders, status: &self.status };
        let guard = Guard::new(&self.profile, &self.path, &self.orders).unwrap();
        let mut machine = Machine::new(&self.profile, links, Claim::Alone);
        assert_eq!(machine.refusals(), Vec::<String>::new());
        let (sender, mut holders) = mpsc::channel(1);
        let (ours, miner) = seqpacket::pair().unwrap();
        sender.try_send(ours).unwrap();
        let alive = async {
            loop {
                seqpacket::send(&miner, ToHardware::Idle { generation: 0 }.encode().as_bytes()).unwrap();
                sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            biased;
            () = story => {}
            never = machine.run(&guard) => match never {},
            () = self.path.serve(&mut holders) => unreachable!("it never ends"),
            () = alive => {}
        }
        machine.make_safe().await;
        assert!(machine.safe().reached(), "{:?}", machine.safe());
    }

    fn told(&self) -> HardwareStatus {
        self.status.shared().lock().unwrap().machine.clone()
    }

    async fn until(&self, what: &str, wanted: impl Fn(&State, &HardwareStatus) -> bool) {
        let began = Instant::now();
        loop {
            let (truth, told) = (self.handle.state(), self.told());
            if wanted(&truth, &told) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "{what}: {told:#?} {:#?}", truth.boards);
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn all_hash(_: &State, told: &HardwareStatus) -> bool {
    told.stage == "hashing" && told.boards.iter().all(|board| board.state == "hashing")
}

#[tokio::test]
async fn an_s9_hashes_its_chips_tell_how_warm_its_boards_are_and_heat_takes_one_off() {
    let farm = Farm::new();
    farm.run(async {
        farm.until("hashing", all_hash).await;
        let felt = |told: &HardwareStatus| told.sensors.iter().filter(|sensor| sensor.celsius > 15.0).count();
        farm.until("temperatures", |_, told| felt(told) == 3).await;
        let (truth, told) = (farm.handle.state(), farm.told());
        for board in 0..3 {
            let outlet = truth.sensors.iter().find(|sensor| sensor.name == format!("board-{board}-outlet"));
            let outlet = outlet.unwrap().celsius.unwrap();
            let felt = told.sensors[board].celsius;
            assert!((felt - outlet).abs() < 2.0, "board {board}: {felt} {outlet}");
        }
        assert!(
            truth.boards.iter().all(|board| board.rail.on && (8600..9000).contains(&board.rail.millivolts))
        );
        // What hangs on chips is judged half a minute after power.
        sleep(Duration::from_secs(32)).await;
        farm.until("still hashing", all_hash).await;
        let sensor = truth.sensors.iter().position(|sensor| sensor.name == "board-1-outlet").unwrap();
        farm.handle.fault(Broken::SensorAbsurd { sensor, celsius: Some(85.0) });
        farm.until("off", |truth, _| !truth.boards[1].rail.on && truth.boards[1].reset).await;
        let told = farm.told();
        assert!(told.boards[1].reason.contains("board"), "{told:#?}");
        let rails: Vec<bool> = farm.handle.state().boards.iter().map(|board| board.rail.on).collect();
        assert_eq!(rails, [true, false, true], "{:#?} {:#?}", told.boards, told.faults);
        farm.handle.fault(Broken::SensorLost { sensor: sensor - 2, on: true });
        farm.until("lost", |truth, _| !truth.boards[0].rail.on).await;
        let told = farm.told();
        assert!(told.boards[0].reason.contains("sensor lost"), "{told:#?}");
    })
    .await;
    let truth = farm.handle.state();
    assert!(truth.boards.iter().all(|board| board.chain.protocol_errors == 0), "{:#?}", truth.boards);
}

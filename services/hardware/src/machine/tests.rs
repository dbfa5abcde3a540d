//! A farm machine as a whole: three boards of 126 chips, one supply, four fans for all, on the simulator's buses, lines and serial ports.

mod faults;

use std::{
    convert::Infallible,
    future::Future,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use adit_bus::hardware::HardwareStatus;
use adit_simulator::{
    Endpoint, Event, Fault as Broken, Handle, MachineConfig, MachineModel, S19J_PRO, S19J_PRO_PIC, Simulator,
    State,
};
use adit_sys::seqpacket;
use adit_work::frame::ToHardware;
use tokio::sync::mpsc;

use super::{Links, Machine};
use crate::{
    bus::{Claim, Kept, simulated},
    guard::Guard,
    orders::{Limits, Orders},
    profile::Profile,
    safe_state,
    status::Status,
    work_path::WorkPath,
};

const SHIPPED: &str = include_str!("../../../../overlay/etc/adit/machines/bench-s19j-pro.toml");
/// Two cores that also build need their time for 378 chips.
const PATIENCE: Duration = Duration::from_secs(120);

/// A miner that has no work, and says that it is there.
async fn alive(miner: &OwnedFd) -> Infallible {
    loop {
        seqpacket::send(miner, ToHardware::Idle { generation: 0 }.encode().as_bytes()).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

struct Farm {
    _folder: tempfile::TempDir,
    handle: Handle,
    profile: Profile,
    status: Status,
    path: WorkPath,
    orders: Orders,
}

impl Farm {
    fn new(model: &'static MachineModel, changes: &[(&str, &str)]) -> Self {
        Self::with(model, |text, _| {
            changes.iter().fold(text, |text, (from, to)| {
                assert!(text.contains(from), "{from}");
                text.replace(from, to)
            })
        })
    }

    fn with(model: &'static MachineModel, change: impl FnOnce(String, &str) -> String) -> Self {
        Self::with_eeproms(model, Vec::new(), change)
    }

    /// Boards that say something else than their model's do; none: as these.
    fn with_eeproms(
        model: &'static MachineModel,
        eeproms: Vec<[u8; 256]>,
        change: impl FnOnce(String, &str) -> String,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let chain = |board: usize| Endpoint::Pty(folder.path().join(format!("chain-{board}")));
        let mut config = MachineConfig::new(model, (0..3).map(chain).collect(), None);
        config.eeproms = eeproms;
        let handle = Simulator::start_machine(&config).unwrap();
        for (number, name) in ["boards", "psu", "fans"].into_iter().enumerate() {
            simulated::attach(
                name,
                simulated::Simulated { i2c: Some(handle.i2c(number)), ..Default::default() },
            );
        }
        simulated::attach("lines", simulated::Simulated { gpio: Some(handle.gpio()), ..Default::default() });
        let place = folder.path().display().to_string();
        let text = change(SHIPPED.replace("/tmp/adit/", &format!("{place}/")), &place);
        let profile = Profile::parse(&text).unwrap();
        Self {
            _folder: folder,
            handle,
            status: Status::new(&profile),
            path: WorkPath::new(3),
            orders: Orders::new(Limits::of(&profile)),
            profile,
        }
    }

    /// Each board's rail is its dsPIC's.
    fn behind_controllers() -> Self {
        Self::with(&S19J_PRO_PIC, |text, folder| {
            (0..3).fold(text, |text, board| {
                let chain = format!("[board.chain]\nport = \"{folder}/chain-{board}\"");
                assert!(text.contains(&chain), "{chain}");
                let part = format!("dspic33 = {{ bus = \"boards\", address = 0x2{board}, firmware = 0x89, heartbeat_ms = 1000 }}");
                let rail = format!("[board.rail]\nvolts = 13.5\nmin_volts = 12.0\nmax_volts = 14.5\nrise_ms = 5000\npart = {{ {part} }}\n");
                text.replace(&chain, &format!("{rail}\n{chain}"))
            })
        })
    }

    /// Drives the machine for a miner that lives while `story` goes on, then makes it safe.
    async fn run(&self, story: impl Future<Output = ()>) {
        self.run_for(alive, story).await;
    }

    async fn run_for(
        &self,
        miner_does: impl AsyncFnOnce(&OwnedFd) -> Infallible,
        story: impl Future<Output = ()>,
    ) {
        let links = Links { path: &self.path, orders: &self.orders, status: &self.status };
        let guard = Guard::new(&self.profile, &self.path, &self.orders).unwrap();
        let mut machine = Machine::new(&self.profile, links, Claim::Alone);
        let (sender, mut holders) = mpsc::channel(1);
        let (ours, miner) = seqpacket::pair().unwrap();
        sender.try_send(ours).unwrap();
        tokio::select! {
            biased;
            () = story => {}
            never = machine.run(&guard) => match never {},
            () = self.path.serve(&mut holders) => unreachable!("it never ends"),
            never = miner_does(&miner) => match never {},
        }
        machine.make_safe().await;
        assert!(machine.safe().reached(), "{:?}", machine.safe());
        let safe = |truth: &State| {
            !truth.psu.as_ref().unwrap().on && truth.boards.iter().all(|board| board.reset || !board.rail.on)
        };
        let took = self.until("safe", safe).await;
        assert!(took < Duration::from_secs(1), "the simulator has yet to see it: {took:?}");
    }

    fn told(&self) -> HardwareStatus {
        self.status.shared().lock().unwrap().machine.clone()
    }

    async fn until(&self, what: &str, wanted: impl Fn(&State) -> bool) -> Duration {
        let began = Instant::now();
        while !wanted(&self.handle.state()) {
            assert!(
                began.elapsed() < PATIENCE,
                "{what}: {:#?} {:#?}",
                self.told(),
                self.handle.state().boards
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        began.elapsed()
    }

    async fn until_told(&self, what: &str, wanted: impl Fn(&HardwareStatus) -> bool) -> HardwareStatus {
        let began = Instant::now();
        while !wanted(&self.told()) {
            assert!(began.elapsed() < PATIENCE, "{what}: {:#?}", self.told());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.told()
    }

    async fn hashing(&self, boards: &[usize]) {
        let all =
            |status: &HardwareStatus| boards.iter().all(|board| status.boards[*board].state == "hashing");
        self.until_told("hashing", all).await;
        let truth = self.handle.state();
        for board in boards {
            let truth = &truth.boards[*board];
            assert_eq!(
                (truth.chain.addressed, truth.chain.mhz, truth.reset),
                (126, 535.0, false),
                "{:#?}",
                self.told().faults
            );
        }
    }

    /// What happens meanwhile is no matter of these boards.
    async fn while_hashing(&self, boards: &[usize], story: impl Future<Output = ()>) {
        let others = async {
            while boards.iter().all(|board| self.is_hashing(*board)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            biased;
            () = story => {}
            () = others => panic!("one of {boards:?} does not hash on: {:#?}", self.told()),
        }
    }

    fn is_hashing(&self, board: usize) -> bool {
        let truth = &self.handle.state().boards[board];
        truth.rail.on && !truth.reset && truth.chain.mhz == 535.0
    }
}

#[tokio::test]
async fn fans_then_supply_then_resets_and_three_boards_of_126_chips_hash() {
    let farm = Farm::new(&S19J_PRO, &[]);
    farm.run(async {
        farm.hashing(&[0, 1, 2]).await;
        let status = farm.told();
        assert_eq!((status.stage.as_str(), status.fault.as_str()), ("hashing", ""));
        assert!(status.boards.iter().all(|board| board.identity == "BHB42601"), "{status:#?}");
        assert!(status.fan_rpm.len() == 4 && status.fan_rpm.iter().all(|rpm| *rpm > 5000), "{status:#?}");
        let psu =
            farm.until_told("the supply", |status| status.psu.as_ref().unwrap().state == "on").await.psu;
        assert!((psu.unwrap().volts - 13.5).abs() < 0.2);
        let events: Vec<Event> =
            farm.handle.events(0).events.into_iter().map(|record| record.event).collect();
        let first = |wanted: &dyn Fn(&Event) -> bool| events.iter().position(wanted).unwrap();
        let fan = first(&|event| matches!(event, Event::Fan { percent: 100 }));
        let psu = first(&|event| matches!(event, Event::Psu { on: true }));
        let reset = first(&|event| matches!(event, Event::Reset { held: false }));
        assert!(fan < psu && psu < reset, "{fan} {psu} {reset}");
        assert!(!events.iter().any(|event| matches!(event, Event::EepromWritten { .. })));
    })
    .await;
}

#[tokio::test]
async fn a_machine_that_nobody_asks_for_work_gets_no_power_and_has_no_fault() {
    let often = ("interval_ms = 500", "interval_ms = 50");
    let farm = Farm::new(&S19J_PRO, &[often]);
    let nobody = async |_: &OwnedFd| std::future::pending().await;
    farm.run_for(nobody, async {
        farm.until_told("quiet fans", |status| status.fans.iter().all(|fan| fan.duty_percent == 30.0)).await;
        let (status, truth) = (farm.told(), farm.handle.state());
        assert_eq!((status.stage.as_str(), status.fault.as_str(), status.faults.len()), ("off", "", 0));
        assert!(!truth.psu.unwrap().on && truth.boards.iter().all(|board| board.reset));
    })
    .await;
}

#[tokio::test]
async fn a_chain_that_is_given_up_is_held_in_reset_and_the_others_hash_on() {
    let farm = Farm::new(&S19J_PRO, &[]);
    farm.handle.fault_on(1, Broken::MissingChips(3)).unwrap();
    farm.run(async {
        farm.hashing(&[0, 2]).await;
        let status = farm.until_told("a fault", |status| status.boards[1].state == "fault").await;
        assert_eq!(status.boards[1].reason, "hb1: chain 1: 123 of 126 BM1362 answered");
        assert_eq!((status.stage.as_str(), &status.fault), ("hashing", &status.boards[1].reason));
        farm.until("reset", |truth| truth.boards[1].reset).await;
        assert!(farm.is_hashing(0) && farm.is_hashing(2) && farm.handle.state().psu.unwrap().on);
        farm.handle.fault_on(1, Broken::MissingChips(0)).unwrap();
        farm.hashing(&[0, 1, 2]).await;
    })
    .await;
}

#[tokio::test]
async fn one_stopped_fan_of_all_takes_all_off_and_hashing_comes_back_with_it() {
    let farm = Farm::new(&S19J_PRO, &[]);
    farm.run(async {
        farm.hashing(&[0, 1, 2]).await;
        farm.handle.fault(Broken::OneFanStopped { fan: 2, on: true });
        let took = farm.until("off", |truth| !truth.psu.as_ref().unwrap().on).await;
        farm.until("resets", |truth| truth.boards.iter().all(|board| board.reset)).await;
        eprintln!("all off {} ms after the fan stopped", took.as_millis());
        let status = farm.until_told("a fault", |status| status.stage == "fault").await;
        assert!(status.fault.starts_with("fan-3: fan stopped ("), "{}", status.fault);
        assert!(status.fault.ends_with("fans: too few fans (3 fans, limit 4)"), "{}", status.fault);
        assert_eq!(status.faults[0].stage, "all off");
        farm.handle.fault(Broken::OneFanStopped { fan: 2, on: false });
        farm.hashing(&[0, 1, 2]).await;
        farm.until_told("no fault", |status| status.fault.is_empty()).await;
    })
    .await;
}

#[tokio::test]
async fn heat_on_a_board_that_only_the_supply_can_cut_takes_all_off() {
    let farm = Farm::new(&S19J_PRO, &[]);
    farm.run(async {
        farm.hashing(&[0, 1, 2]).await;
        // The inlets follow it in half a minute.
        farm.handle.fault(Broken::Ambient(Some(140.0)));
        farm.until("off", |truth| !truth.psu.as_ref().unwrap().on).await;
        let status = farm.until_told("a fault", |status| status.stage == "fault").await;
        assert!(status.fault.contains("board hot (") && status.fault.contains("hb"), "{}", status.fault);
    })
    .await;
}

#[tokio::test]
async fn a_board_of_another_kind_and_one_that_is_not_there_get_no_power_and_the_third_hashes() {
    let other = ("address = 0x52, names = [\"BHB42601\"]", "address = 0x52, names = [\"BHB42611\"]");
    let farm = Farm::new(&S19J_PRO, &[other]);
    farm.handle.fault_on(0, Broken::Unplugged(true)).unwrap();
    farm.run(async {
        farm.hashing(&[1]).await;
        let status = farm.until_told("another", |status| status.boards[2].state == "fault").await;
        let reason = "hb2: EEPROM: wrong board (profile says \"BHB42611\", EEPROM \"BHB42601\")";
        assert_eq!(status.boards[2].reason, reason);
        assert_eq!(
            (status.boards[0].state.as_str(), status.boards[0].reason.as_str()),
            ("absent", "hb0: no board is plugged in")
        );
        assert!(farm.handle.state().boards[2].reset);
        farm.handle.fault_on(0, Broken::Unplugged(false)).unwrap();
        farm.hashing(&[0, 1]).await;
    })
    .await;
}

#[tokio::test]
async fn boards_behind_their_controllers_hash_and_one_without_a_program_is_left_alone() {
    let farm = Farm::behind_controllers();
    farm.handle.fault_on(2, Broken::RailControllerBlank(true)).unwrap();
    farm.run(async {
        farm.hashing(&[0, 1]).await;
        let status = farm.until_told("blank", |status| status.boards[2].state == "fault").await;
        assert!(status.boards[2].reason.contains("0x86"), "{}", status.boards[2].reason);
        assert!(!farm.handle.state().boards[2].rail.on);
        // Longer than the controllers wait for a heartbeat.
        tokio::time::sleep(Duration::from_secs(12)).await;
        assert!(farm.is_hashing(0) && farm.is_hashing(1), "{:#?}", farm.told());
    })
    .await;
}

/// As an I²C adapter does whose clock is held down.
fn hang(bus: &str) {
    simulated::attach(bus, simulated::Simulated { hung: true, ..Default::default() });
}

#[tokio::test]
async fn fans_that_hang_keep_no_board_from_its_safe_state() {
    let farm = Farm::new(&S19J_PRO, &[]);
    hang("fans");
    let state = safe_state::run(&farm.profile, Kept::default()).await;
    assert!(state.rail_off && state.reset_held && !state.fan_full, "{state:?}");
}

#[tokio::test]
async fn controllers_that_hang_keep_no_reset_from_being_held() {
    let farm = Farm::behind_controllers();
    hang("boards");
    let state = safe_state::run(&farm.profile, Kept::default()).await;
    assert!(!state.rail_off && state.reset_held, "{state:?}");
    let truth = farm.handle.state();
    assert!(truth.boards.iter().all(|board| board.reset) && !truth.psu.unwrap().on);
}

/// Levels of the green and the red light.
fn lights(farm: &Farm) -> [bool; 2] {
    let lines = farm.handle.state().lines;
    ["led-green", "led-red"].map(|name| lines.iter().find(|line| line.name == name).unwrap().level)
}

async fn press(farm: &Farm, ms: u64) {
    farm.handle.fault(Broken::ButtonPressed(true));
    tokio::time::sleep(Duration::from_millis(ms)).await;
    farm.handle.fault(Broken::ButtonPressed(false));
}

#[tokio::test]
async fn a_short_press_and_a_message_switch_one_light_and_no_other() {
    let nobody = async |_: &OwnedFd| std::future::pending().await;
    for (changes, on) in
        [(&[][..], [true, false]), (&[("name = \"red\"", "name = \"locate\"")], [false, true])]
    {
        let farm = Farm::new(&S19J_PRO, changes);
        farm.run_for(nobody, async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            for (wanted, what) in [(on, "on"), ([false; 2], "off"), (on, "on again")] {
                press(&farm, 300).await;
                farm.until(what, |_| lights(&farm) == wanted).await;
            }
            farm.orders.locate(false).unwrap();
            farm.until("off by a message", |_| lights(&farm) == [false; 2]).await;
        })
        .await;
    }
}

#[tokio::test]
async fn what_waits_for_a_person_is_cleared_by_a_button_that_is_held() {
    let farm = Farm::behind_controllers();
    farm.run(async {
        farm.hashing(&[0, 1]).await;
        farm.handle.fault_on(0, Broken::RailDrop(-1500.0)).unwrap();
        let waits = |status: &HardwareStatus| status.faults.iter().any(|fault| fault.needs_clearing);
        farm.until_told("a fault", waits).await;
        farm.handle.fault_on(0, Broken::RailDrop(0.0)).unwrap();
        press(&farm, 1000).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let status = farm.told();
        assert!(
            waits(&status) && status.boards[0].state != "hashing",
            "a short press clears nothing: {status:#?}"
        );
        press(&farm, 6000).await;
        farm.hashing(&[0, 1]).await;
        assert!(!waits(&farm.told()), "{:#?}", farm.told());
    })
    .await;
}

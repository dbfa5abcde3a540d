//! GPIO lines over the death of the driver: the reset line of the simulated Bitaxe on the control board's own GPIO chip, as on a farm's machine.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use adit_guest_bus::{GpioLines, Refused};
use adit_lab::{
    buses::Buses,
    console::Event,
    images::Images,
    site::{Backend, Effort, Rig},
};
use adit_simulator::GpioPort;

use crate::support::{BOOT, Disk, agent_overlay, folder, shares};

/// Emulated, without what the emulator waits for this computer; on hardware the limit is a tenth of this.
const SAFE_WITHIN: Duration = Duration::from_secs(5);

/// The machine's reset line, and all that was done to it. Levels as on the wire: low holds the chips in reset.
#[derive(Default)]
struct Reset {
    machine: OnceLock<GpioPort>,
    driven: Mutex<Vec<(Instant, Option<bool>)>>,
}

impl Reset {
    /// What was done from one place in the record on.
    fn since(&self, start: usize) -> Vec<(Instant, Option<bool>)> {
        self.driven.lock().unwrap()[start..].to_vec()
    }

    fn count(&self) -> usize {
        self.driven.lock().unwrap().len()
    }
}

impl GpioLines for Reset {
    fn names(&self) -> Vec<String> {
        vec!["reset".to_owned()]
    }

    fn level(&self, line: usize) -> bool {
        self.machine.get().and_then(|machine| machine.get(line)).unwrap_or(false)
    }

    fn drive(&self, line: usize, level: Option<bool>) -> Result<(), Refused> {
        self.driven.lock().unwrap().push((Instant::now(), level));
        self.machine.get().map_or(Ok(()), |machine| machine.drive(line, level).map_err(|_| Refused))
    }
}

/// The shipped machine, but for where its reset line hangs; with the agent.
fn images() -> Images {
    let shipped = include_str!("../../../../overlay/etc/adit/machines/qemu-bitaxe.toml");
    let (control, lines) = ("reset = { bus = \"control\"", "reset = { bus = \"lines\"");
    assert!(shipped.contains(control));
    let bus = "[[bus]]\nname = \"lines\"\npart = { linux = { gpio = \"/dev/gpiochip0\" } }\n";
    let profile =
        shipped.replace(control, lines).replacen("[temperature]", &format!("{bus}\n[temperature]"), 1);
    let overlay: PathBuf = folder("lines-overlay");
    let machines = overlay.join("etc/adit/machines");
    std::fs::create_dir_all(&machines).unwrap();
    std::fs::write(machines.join("qemu-bitaxe.toml"), profile).unwrap();
    Images::prepare(&folder("lines"), &["adit-agent"], &[agent_overlay(), overlay]).unwrap()
}

async fn driver_is(rig: &Rig, cursor: usize, wanted: &str) -> Instant {
    let (at, _) = rig
        .unit
        .wait_from(cursor, BOOT, wanted, |said| match &said.event {
            Some(Event::Service { name, state, .. }) if name == "hardware" && state == wanted => {
                Some(said.at)
            }
            _ => None,
        })
        .await
        .unwrap();
    at
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_drivers_reset_line_is_never_let_go_and_held_by_the_safe_state_and_taken_over() {
    let images = images();
    let reset = Arc::new(Reset::default());
    let backend = Backend::start(None, Effort::default(), None).await.unwrap();
    let disk = Disk::fresh(&images, Some(&backend.unit_config()));
    let rig = disk.boot_with_buses(&images, &Buses { gpio: vec![reset.clone()], ..Buses::default() });
    assert!(reset.machine.set(rig.simulator.gpio()).is_ok());
    shares(&backend, &rig, 0, BOOT * 2).await;
    let booted = reset.since(0);
    // From the first safe state on, which ends before the driver starts.
    let first = booted.iter().position(|(_, level)| *level == Some(false)).expect("the first safe state");
    let levels: Vec<_> = booted[first..].iter().map(|(_, level)| *level).collect();
    assert!(!levels.contains(&None), "{levels:?}");
    assert_eq!(levels.last(), Some(&Some(true)), "{levels:?}");

    for round in 1..=3 {
        let (cursor, mark) = (rig.unit.now(), reset.count());
        let (kill, waits) = (Instant::now(), rig.unit.waits());
        assert_eq!(rig.agent("signal adit-hardware 9").await.unwrap(), "ok 1");
        let restart = driver_is(&rig, cursor, "starting").await;
        let waited = rig.unit.waits().since(&waits);
        rig.unit
            .wait_event(cursor, BOOT, "the chain's return", |event| {
                matches!(event, Event::ChainUp(_)).then_some(())
            })
            .await
            .unwrap();
        let done = reset.since(mark);
        let levels: Vec<_> = done.iter().map(|(_, level)| *level).collect();
        assert!(!levels.contains(&None), "round {round}: let go: {levels:?}");
        assert_eq!((levels.first(), levels.last()), (Some(&Some(false)), Some(&Some(true))), "{levels:?}");
        let held = done[0].0;
        assert!(held < restart, "round {round}: held by the safe state, before the next driver");
        assert!(
            held - kill < SAFE_WITHIN + waited,
            "round {round}: held only after {:?}; {waited:?} of it this computer took",
            held - kill
        );
        println!("round {round}: kill to reset held {} ms", (held - kill).as_millis());
        let accepted = backend.pool.state().shares_accepted;
        shares(&backend, &rig, accepted, BOOT).await;
    }
    let said = rig.unit.tail(usize::MAX);
    for complaint in ["let go", "are not kept", "safe state not reached", "adit-init cannot"] {
        assert!(!said.contains(complaint), "{complaint}:\n{said}");
    }

    // A reset of the board is another matter: what becomes of lines then is the controller's business.
    let (cursor, mark) = (rig.unit.now(), reset.count());
    rig.reset().await.unwrap();
    driver_is(&rig, cursor, "ready").await;
    let levels: Vec<_> = reset.since(mark).into_iter().map(|(_, level)| level).collect();
    let none = levels.iter().position(Option::is_none).expect("the board was reset");
    assert!(
        levels[none + 1..].starts_with(&[Some(false)]) && !levels[none + 1..].contains(&None),
        "{levels:?}"
    );
    rig.stop().await;
    backend.stop().await;
}

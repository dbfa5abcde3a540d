//! Every hazard that this driver knows, provoked at the machine; the machine's own truth says what came of it.
#![allow(clippy::unwrap_used)]

mod bench;

use std::{
    io::{BufRead, BufReader, Write},
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use adit_simulator::{Event, Fault};
use bench::{Bench, QUICK, bench};

/// From a fault to a rail that is off: two looks, one a second, and the switching off.
const SECONDS: Duration = Duration::from_millis(3500);

async fn hashing(bench: &Bench) {
    bench.until_status("hashing", |status| status.stage == "hashing").await;
}

#[tokio::test]
async fn no_power_without_a_turning_fan() {
    for fault in [Fault::FanStopped(true), Fault::TachSilent(true)] {
        let bench = bench(&[QUICK, ("spin_up_ms = 5000", "spin_up_ms = 600")]);
        bench.simulator.fault(fault);
        let driver = bench.drive().await;
        let status = bench.until_status("fault", |status| status.stage == "fault").await;
        assert_eq!(status.fault, "fan at 0 rpm, must turn at 2000");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(!bench.rail_was_ever_on(), "{:?}", bench.events());
        driver.stop().unwrap();
        assert!(!bench.rail_was_ever_on());
    }
}

/// A fan controller that was never told to count must not pass for a fan that stands still.
#[tokio::test]
async fn a_board_that_nobody_asks_to_hash_says_how_fast_its_fan_turns_and_that_it_is_well() {
    let bench = bench(&[]);
    let _driver = bench.drive_for_nobody(|| ());
    let turns = |status: &adit_bus::hardware::HardwareStatus| status.fans[0].rpm > 2000;
    let status = bench.until_status("a fan that turns", turns).await;
    assert_eq!((status.stage.as_str(), status.fans[0].state.as_str()), ("off", "good"), "{status:?}");
    assert!(status.faults.is_empty() && !bench.rail_was_ever_on());
}

#[tokio::test]
async fn the_rail_comes_after_the_fan_and_reset_is_released_last() {
    let bench = bench(&[]);
    let _driver = bench.drive().await;
    hashing(&bench).await;
    let order: Vec<String> = bench
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::Rail { on } => Some(format!("rail {on}")),
            Event::Reset { held } => Some(format!("reset {held}")),
            Event::Fan { percent } => Some(format!("fan {percent}")),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["fan 100", "rail true", "reset false"]);
    assert!(!bench.events().iter().any(|event| matches!(event, Event::ProtocolError { .. })));
}

#[tokio::test]
async fn a_stopped_fan_cuts_power_within_seconds_and_hashing_comes_back_with_the_fan() {
    let bench = bench(&[("[temperature]", "[safety]\nretry_ms = 300\n\n[temperature]")]);
    let _driver = bench.drive().await;
    hashing(&bench).await;
    bench.simulator.fault(Fault::FanStopped(true));
    let took = bench.until("rail off", |truth| !truth.rail.on && truth.reset).await;
    assert!(took < SECONDS, "{took:?}");
    let status = bench.until_status("fault", |status| status.stage == "fault").await;
    assert!(
        status.fault.contains("fan stopped") && status.fault.contains("too few fans"),
        "{}",
        status.fault
    );
    bench.simulator.fault(Fault::FanStopped(false));
    hashing(&bench).await;
}

#[tokio::test]
async fn heat_cuts_power_and_keeps_it_off_until_it_is_cool() {
    let bench = bench(&[QUICK]);
    let _driver = bench.drive().await;
    hashing(&bench).await;
    tokio::time::sleep(Duration::from_millis(1600)).await;
    bench.simulator.fault(Fault::Temperature(60.0));
    let took = bench.until("rail off", |truth| !truth.rail.on && truth.reset).await;
    assert!(took < SECONDS, "{took:?}");
    let status = bench.until_status("fault", |status| status.stage == "fault").await;
    assert!(status.fault.contains("°C"), "{}", status.fault);
    let board = status.sensors.iter().find(|sensor| sensor.name == "board").unwrap();
    assert_eq!(board.state, "hot", "{board:?}");
    assert_eq!(bench.state().fan.percent, 100);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!bench.state().rail.on);
    bench.simulator.fault(Fault::Temperature(0.0));
    hashing(&bench).await;
}

#[tokio::test]
async fn a_rail_that_does_not_come_or_goes_away_is_a_fault() {
    let bench = bench(&[QUICK]);
    bench.simulator.fault(Fault::RailStuckOff(true));
    let _driver = bench.drive().await;
    let status = bench.until_status("fault", |status| status.stage == "fault").await;
    assert_eq!(status.fault, "rail at 0.000 V, must be 1.050 to 1.250");
    bench.simulator.fault(Fault::RailStuckOff(false));
    hashing(&bench).await;
    bench.simulator.fault(Fault::RailStuckOff(true));
    let status = bench.until_status("fault", |status| status.stage == "fault").await;
    assert!(
        status.fault.contains("voltage low (0.000 V") || status.fault.starts_with("chain 0"),
        "{}",
        status.fault
    );
}

#[tokio::test]
async fn a_silent_controller_is_a_fault_and_the_chips_are_slowed_down_over_their_own_line() {
    let bench = bench(&[QUICK]);
    let _driver = bench.drive().await;
    hashing(&bench).await;
    bench.simulator.fault(Fault::BoardSilent(true));
    let status = bench.until_status("fault", |status| status.stage == "fault").await;
    assert!(status.fault.starts_with("controller: controller silent"), "{}", status.fault);
    bench.until("slow chips", |truth| truth.chain.mhz < 100.0).await;
    bench.simulator.fault(Fault::BoardSilent(false));
    bench.until("rail off", |truth| !truth.rail.on).await;
    hashing(&bench).await;
}

#[tokio::test]
async fn the_end_of_the_driver_is_the_safe_state() {
    let bench = bench(&[]);
    let driver = bench.drive().await;
    hashing(&bench).await;
    driver.stop().unwrap();
    let truth = bench.state();
    assert!(!truth.rail.on && truth.reset && truth.fan.percent == 100, "{truth:#?}");
}

/// The driver as a process, with its doors as adit-init passes them.
fn spawn(bench: &Bench) -> Child {
    spawn_with(bench, &[])
}

fn spawn_with(bench: &Bench, variables: &[(&str, &str)]) -> Child {
    let status = OwnedFd::from(bench.bind("hardware.status"));
    let control = OwnedFd::from(bench.bind("hardware.control"));
    let script = "exec 3<&0 4>&1 </dev/null >/dev/null; \
        LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=hardware.status:hardware.control exec \"$0\"";
    Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_adit-hardware")])
        .env("ADIT_MACHINE", &bench.profile_path)
        .envs(variables.iter().copied())
        .stdin(Stdio::from(status))
        .stdout(Stdio::from(control))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What adit-init hears, in order: ready before power, the milestone with the first job, the end.
#[tokio::test]
async fn readiness_comes_before_power_and_the_milestone_with_the_first_job() {
    let bench = bench(&[]);
    let socket = std::os::unix::net::UnixDatagram::bind(bench.door("notify")).unwrap();
    socket.set_read_timeout(Some(bench::PATIENCE)).unwrap();
    let hear = |wanted: &str| {
        let mut heard = Vec::new();
        let mut packet = [0; 4096];
        while heard.last().is_none_or(|text: &String| !text.contains(wanted)) {
            let length =
                receive(&socket, &mut packet).unwrap_or_else(|error| panic!("{wanted}: {error}, {heard:?}"));
            heard.push(String::from_utf8_lossy(&packet[..length]).into_owned());
        }
        heard.join("\n")
    };
    let began = Instant::now();
    let mut child = spawn_with(&bench, &[("NOTIFY_SOCKET", bench.door("notify").to_str().unwrap())]);
    let heard = hear("READY=1");
    let ready = began.elapsed();
    assert!(!heard.contains("STATUS=power"), "{heard}");
    bench.alive().await;
    assert!(hear("STATUS=hashing").contains("STATUS=ramp"));
    let up = began.elapsed();
    let miner = bench.miner().await;
    assert_eq!(bench.state().chain.jobs, 0);
    miner.send(bench::work(1, 1));
    hear("X_ADIT_MILESTONE=first-work");
    eprintln!("ready after {} ms, chain up after {} ms", ready.as_millis(), up.as_millis());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    hear("STOPPING=1");
    child.wait().unwrap();
}

/// A read that has a time-out is interrupted by signals, such as those of another test's child.
fn receive(socket: &std::os::unix::net::UnixDatagram, packet: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match socket.recv(packet) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            received => return received,
        }
    }
}

#[tokio::test]
async fn the_watchdog_is_fed_while_the_loop_lives() {
    let bench = bench(&[]);
    let socket = std::os::unix::net::UnixDatagram::bind(bench.door("notify")).unwrap();
    socket.set_read_timeout(Some(bench::PATIENCE)).unwrap();
    let path = bench.door("notify");
    let variables = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "400000")];
    let mut child = spawn_with(&bench, &variables);
    let mut beats = 0;
    let mut packet = [0; 4096];
    while beats < 5 {
        let length = receive(&socket, &mut packet).unwrap();
        beats += usize::from(packet[..length].starts_with(b"WATCHDOG=1"));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

fn safe_state(bench: &Bench) -> (i32, Duration) {
    let began = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_adit-hardware"))
        .args(["--safe-state", "--machine"])
        .arg(&bench.profile_path)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    eprint!("{text}");
    (output.status.code().unwrap(), began.elapsed())
}

#[tokio::test]
async fn after_kill_9_the_one_shot_takes_power_off_and_a_new_driver_hashes() {
    let bench = bench(&[]);
    let mut child = spawn(&bench);
    bench.alive().await;
    hashing(&bench).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(bench.state().rail.on, "nobody has taken power off yet");
    let (code, took) = safe_state(&bench);
    assert_eq!(code, 0);
    let truth = bench.state();
    assert!(!truth.rail.on && truth.reset && truth.fan.percent == 100, "{truth:#?}");
    eprintln!("safe state: {} ms with the start of the process", took.as_millis());
    // 20 ms on an idle machine.
    assert!(took < Duration::from_secs(1), "{took:?}");

    for name in ["hardware.status", "hardware.control"] {
        std::fs::remove_file(bench.door(name)).unwrap();
    }
    let mut child = spawn(&bench);
    bench.alive().await;
    hashing(&bench).await;
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn a_driver_that_hangs_with_the_port_locked_does_not_keep_the_one_shot_out() {
    let bench = bench(&[]);
    let mut child = spawn(&bench);
    bench.alive().await;
    hashing(&bench).await;
    // Stopped stands for stuck in the kernel: it runs no more and keeps its lock.
    let stopped = Command::new("kill").args(["-STOP", &child.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    let (code, took) = safe_state(&bench);
    assert_eq!(code, 0);
    let truth = bench.state();
    assert!(!truth.rail.on && truth.reset && truth.fan.percent == 100, "{truth:#?}");
    assert!(took > Duration::from_millis(500), "a dying driver is given time to let go: {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn the_one_shot_gets_through_to_a_controller_that_waits_for_half_a_request() {
    let bench = bench(&[]);
    let driver = bench.drive().await;
    hashing(&bench).await;
    // A driver that dies leaves the rail on; this one is only stopped, so it is switched on again by hand, and then half a request is left behind.
    driver.stop().unwrap();
    let mut port = std::fs::OpenOptions::new().write(true).open(bench.door("board")).unwrap();
    port.write_all(&[9, 0, 1, 0, 5, 0x20, 0x24, 0x01, 0x80]).unwrap();
    bench.until("rail on", |truth| truth.rail.on).await;
    port.write_all(&[8, 0, 2, 0, 5]).unwrap();
    drop(port);
    let (code, took) = safe_state(&bench);
    assert_eq!(code, 0);
    assert!(!bench.state().rail.on);
    assert!(took < Duration::from_secs(2), "{took:?}");
    eprintln!("safe state after half a request: {} ms", took.as_millis());
}

#[tokio::test]
async fn the_one_shot_says_which_part_was_not_reached() {
    let bench = bench(&[]);
    bench.simulator.fault(Fault::BoardSilent(true));
    let (code, took) = safe_state(&bench);
    assert_eq!(code, 8 + 1 + 2 + 4);
    assert!(took < Duration::from_millis(2500), "{took:?}");
}

/// Whether the file cannot be understood, or says what the profile does not ask. The exit code says what was read back.
#[test]
fn what_is_wrong_in_the_units_own_file_does_not_keep_power_on() {
    let bench = bench(&[]);
    let unit = bench.profile_path.with_file_name("commissioning.toml");
    for (text, complaint) in [
        (
            "machine = \"bench-bitaxe\"\n[confirmed]\n\"board.rail.volts\" = 1.2\n",
            "board.rail.volts is not disputed",
        ),
        ("machine = 3\n", "invalid type"),
    ] {
        std::fs::write(&unit, text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_adit-hardware"))
            .arg("--safe-state")
            .args([Path::new("--machine"), &bench.profile_path, Path::new("--commissioning"), &unit])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(complaint), "{said}");
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(bench.state().reset);
    }
}

#[tokio::test]
async fn sigterm_is_the_safe_state_and_exit_code_0_and_the_console_says_what_the_contract_says() {
    let bench = bench(&[]);
    let mut child = spawn(&bench);
    bench.alive().await;
    hashing(&bench).await;
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let truth = bench.state();
    assert!(!truth.rail.on && truth.reset && truth.fan.percent == 100, "{truth:#?}");
    let lines: Vec<String> =
        BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap).collect();
    let line = "INFO adit_hardware: chain up chain=0 chip=BM1370 chips=1 mhz=525.00 baud=1041666";
    assert!(lines.iter().any(|said| said.trim() == line), "{lines:#?}");
}

#[test]
fn what_a_person_typed_wrong_is_answered_in_one_line() {
    let said = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_adit-hardware"))
            .args(arguments)
            .env_remove("ADIT_MACHINE")
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap().trim().to_owned())
    };
    let (code, text) = said(&[]);
    assert_eq!(code, Some(1));
    assert_eq!(text, "ERROR adit_hardware: no machine named: --machine FILE or ADIT_MACHINE=NAME");
    let shipped =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../overlay/etc/adit/machines/qemu-bitaxe.toml");
    let (code, text) = said(&["--machine", shipped.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(text.contains("no socket named hardware.status was passed"), "{text}");
    let (code, text) = said(&["--machine", "/nowhere.toml", "--safe-state"]);
    assert_eq!(code, Some(1));
    assert_eq!(
        text,
        "ERROR adit_hardware: safe state: nothing was touched: /nowhere.toml: No such file or directory (os error 2)"
    );
}

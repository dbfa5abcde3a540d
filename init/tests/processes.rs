//! The real adit-init as PID 1 of a namespace, with programs that are not ours as services: shell, python, `systemd-notify`.
//! Needs root, and fails without; ADIT_SKIP_ROOT_TESTS=1 leaves these tests out.

#![allow(clippy::unwrap_used)]

mod world;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;

use rustix::process::{Signal, kill_process};
use world::{Plan, World, number, wait_until};

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const NOTIFY_READY: &str = "/usr/bin/systemd-notify --ready";
const QUICK: &str = "[backoff]\nfirst_ms = 50\njitter = 0.0\n";

/// Hardware with a safe state: both write what they do to the file `events`.
fn plan_hardware(plan: &Plan) {
    let safe_state = plan.program("make-safe", "echo safe >>$W/events");
    let keys = format!("ready = \"notify\"\nessential = true\nsafe_state = [\"{safe_state}\"]\n{QUICK}");
    let script = format!("echo start >>$W/events\n{NOTIFY_READY}\nsleep 1000 & wait");
    plan.service("hardware", &script, &keys);
}

#[test]
fn a_unit_comes_up_tells_its_times_and_reboots_when_asked() {
    let Some(plan) = Plan::new("a_unit_comes_up_tells_its_times_and_reboots_when_asked") else { return };
    plan_hardware(&plan);
    let script = format!(
        "/usr/bin/env >$W/environment\n{NOTIFY_READY} --status='two words'\n\
         /usr/bin/systemd-notify X_ADIT_MILESTONE=first-work\nexec sleep 1000"
    );
    plan.service("miner", &script, "ready = \"notify\"\nessential = true\n");
    let mut world = plan.start();
    world.line(1, "timeline event=ready ");
    world.line(1, "timeline event=first-work ");
    let console = world.console();
    let mut lines = console.lines();
    let first = lines.next().unwrap();
    assert!(first.starts_with(" INFO adit_init: timeline event=init ms="), "{first}");
    assert_eq!(
        lines.next().unwrap(),
        " INFO adit_init: boot slot=a board=qemu-aarch64 machine=bench root=verity"
    );
    world.line(1, "INFO adit_init: switches applied=0 absent=\"kernel.absent\"");
    world.line(1, "INFO adit_init: safe state reason=\"boot\" ms=");
    let [init, ready] =
        ["init", "ready"].map(|event| number(&world.line(1, &format!("event={event} ")), "ms"));
    assert!(ready >= init);
    assert!(number(&world.line(1, "service name=miner state=ready "), "pid") > 1);
    assert_eq!(world.file("events"), "safe\nstart\n", "safe state before the first start");

    let root = world.path();
    let environment = world.file("environment");
    let mut names: Vec<&str> = environment.lines().map(|line| line.split_once('=').unwrap().0).collect();
    names.sort_unstable();
    // PWD and _ are the shell's own.
    names.retain(|name| !["PWD", "_", "OLDPWD", "SHLVL"].contains(name));
    assert_eq!(names, ["ADIT_CONFIG", "ADIT_MACHINE", "NOTIFY_SOCKET"]);
    assert!(environment.contains(&format!("ADIT_MACHINE={}/etc/adit/machines/bench.toml\n", root.display())));
    assert!(environment.contains(&format!("ADIT_CONFIG={}/run/adit/loader/adit.toml\n", root.display())));

    world.signal(Signal::TERM);
    assert_eq!(world.end(), Some(SIGHUP), "{}", world.console());
    world.line(1, "service name=miner state=stopped ");
    world.line(1, "down ending=reboot ");
    assert_eq!(world.file("events"), "safe\nstart\nsafe\n", "safe state before the reboot");
}

#[test]
fn power_off_is_told_from_reboot() {
    let Some(plan) = Plan::new("power_off_is_told_from_reboot") else { return };
    plan.service("log", "exec sleep 1000", "essential = true\n");
    let mut world = plan.start();
    world.line(1, "timeline event=ready ");
    world.signal(Signal::USR2);
    assert_eq!(world.end(), Some(SIGINT), "{}", world.console());
}

#[test]
fn hardware_that_dies_is_made_safe_before_it_starts_again() {
    let Some(plan) = Plan::new("hardware_that_dies_is_made_safe_before_it_starts_again") else { return };
    plan_hardware(&plan);
    let world = plan.start();
    for round in 1..=5 {
        let hardware = world.process(round, "hardware", "ready");
        kill_process(hardware, Signal::KILL).unwrap();
        let line = world.line(round, "safe state reason=\"hardware ended: signal 9\" ms=");
        assert!(number(&line, "ms") < 10_000);
        world.line(round, "service name=hardware state=backoff ");
    }
    world.process(6, "hardware", "ready");
    assert_eq!(world.file("events"), "safe\nstart\n".repeat(6));
}

#[test]
fn what_a_dead_service_left_in_its_group_dies_too_and_orphans_are_reaped() {
    let Some(plan) = Plan::new("what_a_dead_service_left_in_its_group_dies_too_and_orphans_are_reaped")
    else {
        return;
    };
    // A child in the service's group, and one that has left it and becomes PID 1's when its parent ends.
    let script = "sleep 98765 &\n(setsid sh -c 'sleep 0.3; echo gone >>'$W/orphan &)\nexec sleep 45678";
    plan.service("log", script, "");
    let world = plan.start();
    let log = world.process(1, "log", "ready");
    wait_until("three processes run", || {
        let processes = world.processes();
        ["98765", "45678", "setsid"]
            .iter()
            .all(|word| {
                processes.iter().any(|process| process.command.contains(word))
                    || world.file("orphan") == "gone\n"
            })
            .then_some(())
    });
    wait_until("the orphan has ended", || (world.file("orphan") == "gone\n").then_some(()));
    wait_until("no zombie is left", || {
        world.processes().iter().all(|process| !process.is_zombie).then_some(())
    });
    kill_process(log, Signal::KILL).unwrap();
    world.line(1, "service name=log state=backoff ");
    let left = world.processes().iter().filter(|process| process.command.contains("98765")).count();
    assert!(left <= 1, "the first run's child is dead, only the second run's may be there: {left}");
}

#[test]
fn a_door_answers_whether_its_service_runs_or_not() {
    let Some(plan) = Plan::new("a_door_answers_whether_its_service_runs_or_not") else { return };
    let python = plan.python(
        "echo",
        "import os, socket\n\
         assert int(os.environ['LISTEN_PID']) == os.getpid() and os.environ['LISTEN_FDS'] == '2'\n\
         assert os.environ['LISTEN_FDNAMES'] == 'echo.control:echo.status', os.environ\n\
         control = socket.socket(fileno=3)\n\
         while True:\n    client, _ = control.accept()\n    client.sendall(client.recv(100).upper())\n    client.close()",
    );
    plan.unit(
        "echo",
        &format!("exec = [\"{python}\"]\ndoors = [\"echo.control\", \"echo.status\"]\n{QUICK}"),
    );
    let world = plan.start();
    let door = world.path().join("run/adit/doors/echo.control");
    wait_until("the door is bound", || door.exists().then_some(()));
    let ask = || {
        let mut client = UnixStream::connect(&door).unwrap();
        client.write_all(b"hello").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    };
    assert_eq!(ask(), "HELLO");
    for round in 1..=3 {
        kill_process(world.process(round, "echo", "ready"), Signal::KILL).unwrap();
        world.line(round, "service name=echo state=backoff ");
        assert_eq!(ask(), "HELLO", "connected while nobody served");
    }
}

#[test]
fn a_service_that_dies_at_once_is_started_ever_more_slowly() {
    let Some(plan) = Plan::new("a_service_that_dies_at_once_is_started_ever_more_slowly") else { return };
    plan.service("log", "exit 3", "[backoff]\nfirst_ms = 40\nfactor = 3.0\nlongest_ms = 500\njitter = 0.0\n");
    let world = plan.start();
    let mut ended = Vec::new();
    for (count, retry) in (1..).zip([40, 120, 360, 500, 500]) {
        let line = world.line(count, "service name=log state=backoff ");
        assert!(line.contains("WARN adit_init: ") && line.ends_with("reason=\"exit code 3\""), "{line}");
        assert_eq!(number(&line, "retry_ms"), retry, "{line}");
        ended.push((number(&line, "ms"), retry));
    }
    for (count, (ended, retry)) in (2..).zip(ended) {
        let started = number(&world.line(count, "service name=log state=starting "), "ms");
        assert!(started + 1 >= ended + retry, "start {count} came after {} of {retry} ms", started - ended);
    }
}

#[test]
fn dependants_stop_first_and_who_does_not_listen_is_killed() {
    let Some(plan) = Plan::new("dependants_stop_first_and_who_does_not_listen_is_killed") else { return };
    let polite = |name: &str| {
        format!("trap 'echo {name} >>$W/order; exit 0' TERM\n{NOTIFY_READY}\nwhile :; do sleep 0.05; done")
    };
    plan.service("a-base", &polite("base"), "ready = \"notify\"\nessential = true\n");
    let deaf = format!("trap '' TERM\n{NOTIFY_READY}\nwhile :; do sleep 0.05; done");
    plan.service(
        "b-deaf",
        &deaf,
        "ready = \"notify\"\nessential = true\nneeds = [\"a-base\"]\nstop_timeout_ms = 300\n",
    );
    plan.service("c-top", &polite("top"), "ready = \"notify\"\nessential = true\nneeds = [\"b-deaf\"]\n");
    let mut world = plan.start();
    world.line(1, "timeline event=ready ");
    world.signal(Signal::INT);
    assert_eq!(world.end(), Some(SIGHUP));
    assert_eq!(world.file("order"), "top\nbase\n");
    let stopped = |name: &str| number(&world.line(1, &format!("service name={name} state=stopped ")), "ms");
    let stopping = number(&world.line(1, "service name=b-deaf state=stopping "), "ms");
    assert!(stopped("b-deaf") >= stopping + 300, "killed after its time-out only");
    assert!(stopped("c-top") <= stopped("b-deaf") && stopped("b-deaf") <= stopped("a-base"));
}

#[test]
fn a_service_that_never_gets_ready_is_stopped_and_tried_again() {
    let Some(plan) = Plan::new("a_service_that_never_gets_ready_is_stopped_and_tried_again") else { return };
    plan.service("log", "exec sleep 1000", &format!("ready = \"notify\"\nstart_timeout_ms = 200\n{QUICK}"));
    let world = plan.start();
    world.line(1, "state=stopping pid=2 ");
    world.line(1, "retry_ms=50 reason=\"not ready after 200 ms\"");
    world.line(2, "service name=log state=starting ");
}

#[test]
fn a_broken_unit_file_is_named_with_its_line_and_the_unit_reboots_safe() {
    let Some(plan) = Plan::new("a_broken_unit_file_is_named_with_its_line_and_the_unit_reboots_safe") else {
        return;
    };
    plan_hardware(&plan);
    plan.unit("miner", "exec = [\"/sbin/adit-miner\"]\n\nwatchdog_ms = 5\n");
    let mut world = plan.start();
    let line = world.line(1, "ERROR adit_init: unit file: ");
    assert!(
        line.contains("services/miner.toml:3: unknown field `watchdog_ms`, expected one of `exec`"),
        "{line}"
    );
    world.line(1, "INFO adit_init: safe state reason=\"emergency\" ms=");
    assert_eq!(world.end(), Some(SIGHUP), "{}", world.console());
    assert_eq!(world.file("events"), "safe\n", "nothing was started");
}

#[test]
fn a_safe_state_that_fails_in_an_emergency_is_tried_again_and_one_that_hangs_is_killed() {
    let Some(plan) =
        Plan::new("a_safe_state_that_fails_in_an_emergency_is_tried_again_and_one_that_hangs_is_killed")
    else {
        return;
    };
    let second = plan.program("second", "echo try >>$W/second; test $(wc -l <$W/second) = 2");
    plan.service("a", "exit 0", &format!("safe_state = [\"{second}\"]"));
    let never = plan.program("never", "echo try >>$W/never; exit 9");
    plan.service("b", "exit 0", &format!("safe_state = [\"{never}\"]"));
    let hangs = plan.program("hangs", "echo try >>$W/hangs; exec sleep 1000");
    plan.service("c", "exit 0", &format!("safe_state = [\"{hangs}\"]\nsafe_state_timeout_ms = 1000"));
    plan.unit("broken", "nonsense");
    let mut world = plan.start();
    assert_eq!(world.end(), Some(SIGHUP), "{}", world.console());
    world.line(1, "INFO adit_init: safe state reason=\"emergency\" ms=");
    let lines = ["error=\"exit code 9\"", "error=\"took too long\""];
    for line in lines.map(|end| world.line(1, end)) {
        assert!(line.starts_with("ERROR adit_init: safe state reason=\"emergency\" ms="), "{line}");
    }
    for name in ["second", "never", "hangs"] {
        assert_eq!(world.file(name), "try\ntry\n", "{name}");
    }
}

#[test]
fn a_unit_without_unit_files_says_so_and_reboots() {
    let Some(plan) = Plan::new("a_unit_without_unit_files_says_so_and_reboots") else { return };
    fs::remove_dir(plan.path().join("etc/adit/services")).unwrap();
    let mut world = plan.start();
    world.line(1, "etc/adit/services: No such file or directory");
    assert_eq!(world.end(), Some(SIGHUP), "{}", world.console());
}

#[test]
fn what_a_service_said_last_stands_with_the_reason_of_its_end() {
    let Some(plan) = Plan::new("what_a_service_said_last_stands_with_the_reason_of_its_end") else { return };
    // One process, so that message and end come together.
    let service = plan.python(
        "log",
        "import os, socket\nnotify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
         notify.connect(os.environ['NOTIFY_SOCKET'])\n\
         notify.send(b'STATUS=no \"card\"')\nos._exit(1)",
    );
    plan.unit("log", &format!("exec = [\"{service}\"]\nready = \"notify\"\n{QUICK}"));
    let world = plan.start();
    for round in 1..=10 {
        let line = world.line(round, "service name=log state=backoff ");
        assert!(line.ends_with("reason=\"exit code 1 (status: no 'card')\""), "{line}");
    }
}

#[test]
fn a_program_that_is_missing_is_named_and_tried_again() {
    let Some(plan) = Plan::new("a_program_that_is_missing_is_named_and_tried_again") else { return };
    plan.unit("miner", &format!("exec = [\"/sbin/adit-miner-that-is-not-there\"]\n{QUICK}"));
    let world = plan.start();
    world.line(2, "state=backoff ms=");
    world.line(1, "reason=\"/sbin/adit-miner-that-is-not-there: No such file or directory (os error 2)\"");
}

#[test]
fn strangers_and_floods_on_the_notify_socket_change_nothing() {
    let Some(plan) = Plan::new("strangers_and_floods_on_the_notify_socket_change_nothing") else { return };
    plan.service(
        "log",
        "exec sleep 1000",
        "ready = \"notify\"\nessential = true\nstart_timeout_ms = 60000\n",
    );
    // Another service may flood, but not speak for its neighbour.
    let flood = plan.python(
        "flood",
        "import os, socket\nnotify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
         notify.connect(os.environ['NOTIFY_SOCKET'])\n\
         for n in range(20000): notify.send(b'READY=1\\nSTATUS=%d' % n)\n\
         notify.send(b'x' * 5000)\n\
         os.execv('/bin/sleep', ['sleep', '1000'])",
    );
    plan.unit("page", &format!("exec = [\"{flood}\"]\nready = \"notify\"\n"));
    let mut world = plan.start();
    world.line(1, "service name=page state=ready ");
    world.line(1, "notify: message refused: longer than 4096 bytes");
    stranger_says_ready(&world);
    world.line(1, "notify: message from no service's process");
    assert!(!world.console().contains("name=log state=ready"));
    assert_eq!(world.console().matches("name=page state=ready").count(), 1);
    world.signal(Signal::TERM);
    assert_eq!(world.end(), Some(SIGHUP));
}

/// A process of the namespace that belongs to no service.
fn stranger_says_ready(world: &World) {
    let socket = world.path().join("run/adit/notify");
    let inside = world.process(1, "page", "ready").as_raw_nonzero().to_string();
    let status = Command::new("nsenter")
        .args(["--pid", "--target", &inside, "setsid", "--fork", "/usr/bin/python3", "-c"])
        .arg("import socket, sys, time\nnotify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\nnotify.connect(sys.argv[1])\nnotify.send(b'READY=1')\ntime.sleep(2)")
        .arg(&socket)
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn only_pid_1_runs() {
    let output = Command::new(env!("CARGO_BIN_EXE_adit-init")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("adit-init is PID 1 of a unit"));
}

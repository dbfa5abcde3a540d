//! Descriptors that the real adit-init keeps for services, as libsystemd hands them over and finds them again. A named pipe stands for a GPIO line: its reader
//! sees the moment at which nobody holds the other end open any more.
//! Needs root, and fails without; ADIT_SKIP_ROOT_TESTS=1 leaves these tests out.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod world;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Signal, kill_process};
use world::{Plan, number};

/// What each Python program here begins with.
const LIBSYSTEMD: &str = "
import ctypes, os, signal
systemd = ctypes.CDLL('libsystemd.so.0')
names = ctypes.POINTER(ctypes.c_char_p)()
count = systemd.sd_listen_fds_with_names(0, ctypes.byref(names))
assert count >= 0, count
order = [names[n].decode() for n in range(count)]
found = {name: 3 + n for n, name in enumerate(order)}
def notify(text, *descriptors):
    array = (ctypes.c_int * len(descriptors))(*descriptors)
    done = systemd.sd_pid_notify_with_fds(0, 0, text.encode(), array, len(descriptors))
    assert done > 0, done
def event(what):
    open(W + '/events', 'a').write(' '.join([what] + order) + '\\n')
def pipe(name):
    return os.open(W + '/' + name, os.O_WRONLY)
";

fn python(plan: &Plan, name: &str, script: &str) -> String {
    plan.python(name, &format!("W = '{}'\n{LIBSYSTEMD}\n{script}", plan.path().display()))
}

/// A named pipe, and word of when the last one has let go of its other end.
fn line(folder: &Path, name: &str) -> Receiver<()> {
    let path = folder.join(name);
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let (let_go, told) = channel();
    thread::spawn(move || {
        // Opens when somebody opens the other end.
        let read = File::open(path).unwrap().read_to_end(&mut Vec::new());
        read.unwrap();
        let _ = let_go.send(());
    });
    told
}

fn is_held(line: &Receiver<()>) -> bool {
    line.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout)
}

fn is_let_go(line: &Receiver<()>) -> bool {
    line.recv_timeout(Duration::from_secs(60)).is_ok()
}

#[test]
fn what_a_driver_and_its_safe_state_left_is_never_let_go_and_found_by_both_until_it_is_taken_back() {
    let name =
        "what_a_driver_and_its_safe_state_left_is_never_let_go_and_found_by_both_until_it_is_taken_back";
    let Some(plan) = Plan::new(name) else { return };
    let [reset, enable] = ["reset", "enable"].map(|name| line(plan.path(), name));
    let safe_state = "event('safe')
if not found: notify('FDSTORE=1\\nFDNAME=reset', pipe('reset'))";
    let safe_state = python(&plan, "safe", safe_state);
    let driver = "event('start')
if 'enable' not in found: notify('FDSTORE=1\\nFDNAME=enable\\nFDPOLL=0', pipe('enable'))
if len([line for line in open(W + '/events') if line.startswith('start')]) == 4:
    notify('FDSTOREREMOVE=1\\nFDNAME=reset')
    os.close(found['reset'])
notify('READY=1')
signal.pause()";
    let driver = python(&plan, "driver", driver);
    plan.unit(
        "hardware",
        &format!(
            "exec = [\"{driver}\"]\nsafe_state = [\"{safe_state}\"]\ndoors = [\"hardware.status\"]\nready = \"notify\"\nfd_store_max = 2\n\
             start_timeout_ms = 60000\nsafe_state_timeout_ms = 60000\n[backoff]\nfirst_ms = 50\njitter = 0.0\n"
        ),
    );
    let mut world = plan.start();
    for round in 1..=3 {
        kill_process(world.process(round, "hardware", "ready"), Signal::KILL).unwrap();
        world.line(round, "service name=hardware state=backoff ");
        assert!(is_held(&reset) && is_held(&enable), "round {round}");
    }
    world.process(4, "hardware", "ready");
    assert!(is_let_go(&reset) && is_held(&enable));
    world.signal(Signal::TERM);
    world.end();
    assert!(is_let_go(&enable));
    let again = "safe reset enable\nstart hardware.status reset enable\n".repeat(3);
    let expected = format!("safe\nstart hardware.status reset\n{again}safe enable\n");
    assert_eq!(world.file("events"), expected, "{}", world.console());
}

#[test]
fn a_socket_that_lingers_does_not_hold_pid_1_up() {
    let Some(plan) = Plan::new("a_socket_that_lingers_does_not_hold_pid_1_up") else { return };
    // Thirty seconds for bytes that nobody reads.
    let lingers = "
import socket, struct
listener = socket.create_server(('127.0.0.1', 0))
near = socket.create_connection(listener.getsockname())
far, _ = listener.accept()
near.setblocking(False)
try:
    while True: near.send(b'x' * 65536)
except BlockingIOError: pass
near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 30))
notify('STATUS=stuck', near.fileno())
near.close()
notify('READY=1')
signal.pause()";
    let lingers = python(&plan, "lingers", lingers);
    plan.unit("miner", &format!("exec = [\"{lingers}\"]\nready = \"notify\"\nstart_timeout_ms = 60000\n"));
    let world = plan.start();
    let at = |state: &str| number(&world.line(1, &format!("service name=miner state={state} ")), "ms");
    assert!(at("ready") - at("starting") < 20_000);
}

#[test]
fn in_an_emergency_too_lines_are_held_and_found_by_the_second_try() {
    let Some(plan) = Plan::new("in_an_emergency_too_lines_are_held_and_found_by_the_second_try") else {
        return;
    };
    let reset = line(plan.path(), "reset");
    let safe_state = "event('safe')
if found: exit(0)
notify('FDSTORE=1\\nFDNAME=reset', pipe('reset'))
exit(9)";
    let safe_state = python(&plan, "safe", safe_state);
    plan.unit(
        "hardware",
        &format!("exec = [\"/bin/true\"]\nsafe_state = [\"{safe_state}\"]\nsafe_state_timeout_ms = 60000\nfd_store_max = 1\n"),
    );
    plan.unit("miner", "nonsense");
    let mut world = plan.start();
    world.line(1, "INFO adit_init: safe state reason=\"emergency\" ms=");
    assert!(is_held(&reset), "while a person reads why");
    world.end();
    assert!(is_let_go(&reset));
    assert_eq!(world.file("events"), "safe\nsafe reset\n", "{}", world.console());
}

#[test]
fn what_a_unit_does_not_allow_is_closed_and_said_once() {
    let Some(plan) = Plan::new("what_a_unit_does_not_allow_is_closed_and_said_once") else { return };
    let names = ["none", "first", "second", "colon", "crowd", "finished"];
    let [none, first, second, colon, crowd, finished] = names.map(|name| line(plan.path(), name));
    let never = python(
        &plan,
        "never",
        "for n in range(3): notify('FDSTORE=1\\nFDNAME=first', os.dup(pipe('none')) if n == 0 else 1)
notify('FDSTOREREMOVE=1\\nFDNAME=first')
os.closerange(3, 100)
notify('READY=1')
signal.pause()",
    );
    plan.unit("miner", &format!("exec = [\"{never}\"]\nready = \"notify\"\nstart_timeout_ms = 60000\n"));
    let one = python(
        &plan,
        "one",
        "event('one')
if 'first' not in found:
    notify('FDSTORE=1\\nFDNAME=first', pipe('first'))
    for n in range(2): notify('FDSTORE=1\\nFDNAME=second', pipe('second') if n == 0 else 1)
    notify('FDSTORE=1\\nFDNAME=a:b', pipe('colon'))
    notify('FDSTORE=1\\nFDNAME=first', *[pipe('crowd')] * 17)
    notify('FDSTORE=1\\nFDNAME=first')
notify('READY=1')
os.closerange(3, 100)
signal.pause()",
    );
    let keys = "ready = \"notify\"\nfd_store_max = 1\nstart_timeout_ms = 60000\n[backoff]\nfirst_ms = 50\n";
    plan.unit("one", &format!("exec = [\"{one}\"]\n{keys}"));
    let ends = python(&plan, "ends", "notify('FDSTORE=1', pipe('finished'))");
    let keys = "oneshot = true\nfd_store_max = 1\nstart_timeout_ms = 60000\n";
    plan.unit("two", &format!("exec = [\"{ends}\"]\n{keys}"));
    let mut world = plan.start();
    world.process(1, "miner", "ready");
    kill_process(world.process(1, "one", "ready"), Signal::KILL).unwrap();
    world.process(2, "one", "ready");
    assert!([&none, &second, &colon, &crowd, &finished].into_iter().all(is_let_go));
    assert!(is_held(&first), "another service's message must not reach it");
    assert_eq!(world.file("events"), "one\none first\n");
    let refused = |name: &str, reason: &str| {
        let text = format!("WARN adit_init: notify: descriptors are not kept name={name} reason=\"{reason}");
        assert_eq!(world.console().matches(&text).count(), 1, "{text}\n{}", world.console());
    };
    refused("miner", "its unit file has no fd_store_max\"");
    refused("one", "more than the 1 of fd_store_max\"");
    refused("one", "FDNAME is missing or holds");
    refused("one", "FDSTORE=1 came without a descriptor\"");
    world.line(1, "notify: message refused: with more than 16 descriptors");
    world.signal(Signal::TERM);
    world.line(1, "service name=one state=stopped ");
    world.end();
    assert!(is_let_go(&first));
}

//! What a started child really finds, said by the kernel's own files and by programs that are not ours.

#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use adit_sys::spawn::{Launch, NOT_STARTED, spawn};
use rustix::process::{Pid, WaitOptions, waitpid};

struct Ended {
    pid: Pid,
    code: Option<i32>,
    signal: Option<i32>,
    output: String,
}

fn run_with(
    program: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
    sockets: &[(&str, BorrowedFd<'_>)],
) -> std::io::Result<Ended> {
    let (mut reader, writer) = std::io::pipe()?;
    let null = File::open("/dev/null")?;
    let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
    let environment: Vec<_> =
        environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let pid = spawn(&Launch {
        program: Path::new(program),
        arguments: &arguments,
        environment: &environment,
        sockets,
        stdin: null.as_fd(),
        stdout: writer.as_fd(),
        stderr: writer.as_fd(),
    })?;
    drop(writer);
    let mut output = String::new();
    reader.read_to_string(&mut output)?;
    let (_, status) = waitpid(Some(pid), WaitOptions::empty())?.unwrap();
    Ok(Ended { pid, code: status.exit_status(), signal: status.terminating_signal(), output })
}

fn run(program: &str, arguments: &[&str]) -> Ended {
    run_with(program, arguments, &[], &[]).unwrap()
}

#[test]
fn the_environment_holds_what_was_given_and_nothing_else() {
    let child = run_with("/usr/bin/env", &[], &[("ONE", "1"), ("TWO", "a b")], &[]).unwrap();
    assert_eq!(child.output, "ONE=1\nTWO=a b\n");
    assert_eq!(child.code, Some(0));
}

#[test]
fn the_child_leads_a_session_and_blocks_and_ignores_no_signal() {
    let child = run("/bin/cat", &["/proc/self/stat", "/proc/self/status"]);
    let after_name = child.output.rsplit_once(") ").unwrap().1;
    let fields: Vec<&str> = after_name.split(' ').collect();
    let pid = child.pid.as_raw_nonzero().to_string();
    assert_eq!((fields[2], fields[3]), (pid.as_str(), pid.as_str()), "group and session");
    for mask in ["SigBlk", "SigIgn", "SigCgt"] {
        let line = child.output.lines().find(|line| line.starts_with(mask)).unwrap();
        let bits = u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
        assert_eq!(bits, 0, "{line}");
    }
}

#[test]
fn no_descriptor_but_the_streams_and_the_sockets_arrives() {
    // Not closed on exec, as a careless library might leave it.
    let file = File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(directory.path().join("door")).unwrap();
    let sockets = [("door", listener.as_fd())];
    let child = run_with("/bin/ls", &["-l", "/proc/self/fd"], &[], &sockets).unwrap();
    let numbers: Vec<&str> =
        child.output.lines().filter_map(|line| line.split_whitespace().rev().nth(2)).collect();
    // Number 4 is ls reading the folder.
    assert_eq!(numbers, ["0", "1", "2", "3", "4"], "{}", child.output);
    assert!(child.output.contains("3 -> socket:"), "{}", child.output);
}

#[test]
fn python_is_reached_through_the_sockets_it_was_given() {
    let directory = tempfile::tempdir().unwrap();
    let paths = ["first", "second"].map(|name| directory.path().join(name));
    let listeners = paths.each_ref().map(|path| UnixListener::bind(path).unwrap());
    let sockets = [("first", listeners[0].as_fd()), ("second", listeners[1].as_fd())];
    // Clients come before the server runs.
    let mut clients = paths.map(|path| UnixStream::connect(path).unwrap());
    clients[0].write_all(b"for the first").unwrap();
    clients[1].write_all(b"for the second").unwrap();
    drop(clients);
    let script = "import os, socket
assert os.environ['LISTEN_PID'] == str(os.getpid()), os.environ
names = os.environ['LISTEN_FDNAMES'].split(':')
assert len(names) == int(os.environ['LISTEN_FDS'])
for number, name in enumerate(names, 3):
    connection, _ = socket.socket(fileno=number).accept()
    print(name, connection.recv(100).decode())";
    let child = run_with(&python(), &["-c", script], &[], &sockets).unwrap();
    assert_eq!(child.output, "first for the first\nsecond for the second\n");
    assert_eq!(child.code, Some(0));
}

#[test]
fn libsystemd_finds_the_sockets() {
    let directory = tempfile::tempdir().unwrap();
    let listeners = ["a", "b", "c"].map(|name| UnixListener::bind(directory.path().join(name)).unwrap());
    let sockets: Vec<_> = ["a", "b", "c"].into_iter().zip(listeners.iter().map(AsFd::as_fd)).collect();
    let script = "import ctypes
systemd = ctypes.CDLL('libsystemd.so.0')
path = ctypes.c_char_p(None)
print(systemd.sd_listen_fds(0), [systemd.sd_is_socket_unix(fd, 1, 1, path, ctypes.c_size_t(0)) for fd in (3, 4, 5)])";
    // Process numbers whose decimal digits would also be octal ones come by: several children, several numbers.
    for _ in 0..8 {
        let child = run_with(&python(), &["-c", script], &[], &sockets).unwrap();
        assert_eq!(child.output, "3 [1, 1, 1]\n");
    }
}

#[test]
fn sources_that_sit_on_each_others_places_arrive_in_order() {
    // Ten sockets certainly overlap the numbers 3 to 12 in an order of their own.
    let directory = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..10).map(|n| format!("door{n}")).collect();
    let mut listeners: Vec<UnixListener> =
        names.iter().map(|name| UnixListener::bind(directory.path().join(name)).unwrap()).collect();
    listeners.reverse();
    let sockets: Vec<_> = names.iter().map(String::as_str).zip(listeners.iter().map(AsFd::as_fd)).collect();
    let script = "import os, socket
for number in range(3, 13):
    print(os.path.basename(socket.socket(fileno=number).getsockname()))";
    let child = run_with(&python(), &["-c", script], &[], &sockets).unwrap();
    let expected: String = names.iter().rev().map(|name| format!("{name}\n")).collect();
    assert_eq!(child.output, expected);
}

#[test]
fn exit_and_signal_are_told_apart() {
    assert_eq!(run("/bin/sh", &["-c", "exit 3"]).code, Some(3));
    assert_eq!(run("/bin/sh", &["-c", "kill -9 $$"]).signal, Some(9));
}

#[test]
fn a_program_that_is_not_there_is_an_error_and_no_child() {
    let missing = run_with("/nonexistent/program", &[], &[], &[]);
    assert_eq!(missing.err().map(|error| error.kind()), Some(std::io::ErrorKind::NotFound));
}

#[test]
fn a_file_that_is_no_program_ends_the_child_and_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("no-program");
    std::fs::write(&path, b"\x7fELF but not really").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let child = run(path.to_str().unwrap(), &[]);
    assert_eq!(child.code, Some(NOT_STARTED));
    assert_eq!(child.output, format!("adit-init: start of {} ended at exec, errno 8\n", path.display()));
}

fn python() -> String {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path).map(|folder| folder.join("python3")).find(|file| file.exists());
    found.expect("python3 is installed").to_str().unwrap().to_owned()
}

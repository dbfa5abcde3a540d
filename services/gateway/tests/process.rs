//! The program itself: what it tells adit-init and the console, and how it ends.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixDatagram,
    process::{Command, Stdio},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn it_is_ready_when_it_serves_then_feeds_its_watchdog_and_ends_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("notify");
    let notify = UnixDatagram::bind(&socket).unwrap();
    notify.set_read_timeout(Some(PATIENCE)).unwrap();
    let address: SocketAddr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_adit-gateway"))
        .args(["--listen", &address.to_string()])
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "200000")
        .env("ADIT_DOORS", folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let told = || {
        let mut buffer = [0; 1024];
        let length = notify.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
    };
    assert_eq!(told(), "READY=1");
    assert_eq!(told(), format!("STATUS=serving on {address}"));

    // Without a single door.
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /api/v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"state\":\"unknown\""), "{answer}");

    assert_eq!(told(), "WATCHDOG=1");
    assert_eq!(told(), "WATCHDOG=1");
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    while told() != "STOPPING=1" {}
    assert!(child.wait().unwrap().success());
    let mut console = String::new();
    child.stderr.take().unwrap().read_to_string(&mut console).unwrap();
    assert!(console.contains(&format!("INFO adit_gateway: serving address={address}\n")), "{console}");
}

#[test]
fn a_port_that_is_taken_is_said_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output =
        Command::new(env!("CARGO_BIN_EXE_adit-gateway")).args(["--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(&address) && said.contains("in use"), "{said}");
}

//! The program: its command line, its end.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_adit-simulator"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn start(folder: &Path) -> Child {
    start_with(folder, &[])
}

fn start_with(folder: &Path, more: &[&str]) -> Child {
    let child = program()
        .arg("bitaxe")
        .args(more)
        .args(["--chain", &format!("pty:{}", folder.join("tty").display())])
        .args(["--board", &format!("unix:{}", folder.join("board").display())])
        .arg("--control")
        .arg(folder.join("control"))
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while UnixStream::connect(folder.join("control")).is_err() {
        assert!(begin.elapsed() < Duration::from_secs(10), "does not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

fn ended(mut child: Child) -> ExitStatus {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(begin.elapsed() < Duration::from_secs(5), "does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn refused(arguments: &[&str]) -> String {
    let output = program().args(arguments).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn sigterm_ends_it_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let child = start(folder.path());
    assert!(folder.path().join("tty").is_symlink());
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert!(ended(child).success());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_long_chain_is_simulated_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let child = start_with(folder.path(), &["--chip", "bm1362", "--chips", "126"]);
    let mut control = UnixStream::connect(folder.path().join("control")).unwrap();
    control.write_all(b"{\"op\":\"state\"}\n{\"op\":\"shutdown\"}\n").unwrap();
    let mut reply = String::new();
    control.read_to_string(&mut reply).unwrap();
    assert!(reply.contains("\"chips\":126,"), "{reply}");
    assert!(ended(child).success());
}

#[test]
fn shutdown_on_the_control_port_ends_it_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let child = start(folder.path());
    let mut control = UnixStream::connect(folder.path().join("control")).unwrap();
    control.write_all(b"{\"op\":\"shutdown\"}\n").unwrap();
    let mut reply = String::new();
    control.read_to_string(&mut reply).unwrap();
    assert_eq!(reply, "{\"ok\":true}\n");
    assert!(ended(child).success());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_a_killed_one_left_behind_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start(folder.path());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(folder.path().join("board").exists());
    let child = start(folder.path());
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert!(ended(child).success());
}

#[test]
fn mistakes_on_the_command_line_are_answered_with_what_would_be_right() {
    assert!(refused(&["bitaxe", "--chain", "/dev/ttyS0"]).contains("unix:PATH"));
    assert!(refused(&["bitaxe"]).contains("--board"));
    assert!(refused(&[]).contains("bitaxe"));
    assert!(refused(&["bitaxe", "--chip", "bm1398"]).contains("there are bm1362, bm1366, bm1368, bm1370"));
    assert!(refused(&["bitaxe", "--chips", "129"]).contains("1..=128"));
    assert!(refused(&["machine", "--model", "s22"]).contains("there are bitaxe-gamma, bitaxe-supra"));
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("file");
    std::fs::write(&taken, "precious").unwrap();
    let chain = format!("unix:{}", taken.display());
    let error = refused(&["bitaxe", "--chain", &chain, "--board", &chain, "--control", "x"]);
    assert!(error.contains("not one of ours to replace"), "{error}");
    assert_eq!(std::fs::read(&taken).unwrap(), b"precious");
}

#[test]
fn the_documented_table_of_published_and_simulated_figures_is_the_one_that_is_printed() {
    let output = program().arg("physics").stdout(Stdio::piped()).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let documented = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/simulation.md");
    let documented = std::fs::read_to_string(documented).unwrap();
    assert!(printed.lines().count() > 8);
    for line in printed.lines() {
        assert!(documented.contains(line), "docs/simulation.md lacks this line:\n{line}");
    }
}

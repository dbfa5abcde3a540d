//! The program itself: what it tells adit-init and the console, and how it ends.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::{
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::UnixDatagram,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running adit-miner, and what it says to adit-init.
struct Process {
    child: Child,
    notify: UnixDatagram,
    _folder: tempfile::TempDir,
}

impl Process {
    fn start(config: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("notify");
        let notify = UnixDatagram::bind(&socket).unwrap();
        notify.set_read_timeout(Some(PATIENCE)).unwrap();
        let path = folder.path().join("adit.toml");
        if let Some(text) = config {
            std::fs::write(&path, text).unwrap();
        }
        let child = command(&path).env("NOTIFY_SOCKET", &socket).spawn().unwrap();
        Self { child, notify, _folder: folder }
    }

    fn told(&self) -> String {
        let mut buffer = [0; 1024];
        let length = self.notify.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
    }

    fn wait_for(&self, message: &str) {
        self.wait_until(message, |told| told == message);
    }

    fn wait_until(&self, what: &str, is_it: impl Fn(&str) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_it(&self.told()) {
            assert!(Instant::now() < end, "{what} never came");
        }
    }

    /// Asks it to end; its exit code and all that stood on the console.
    fn terminate(mut self) -> (Option<i32>, String) {
        let pid = rustix::process::Pid::from_raw(self.child.id() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.wait_for("STOPPING=1");
        let status = self.child.wait().unwrap();
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        (status.code(), text)
    }
}

fn command(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_adit-miner"));
    command.env_clear().env("ADIT_CONFIG", config).env("WATCHDOG_USEC", "1000000");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

#[test]
fn a_broken_configuration_is_answered_on_the_console_and_the_service_is_ready_all_the_same() {
    let process =
        Process::start(Some("version = 1\n[[pool]]\nurl = \"stratum+tcp://host\"\nuser = \"me\"\n"));
    assert_eq!(process.told(), "READY=1");
    process.wait_for("STATUS=unclaimed: adit.toml has 1 mistake");
    process.wait_for("WATCHDOG=1");
    let (code, console) = process.terminate();
    assert_eq!(code, Some(0));
    let line = "ERROR adit_miner: adit.toml:3: pool.url: \"stratum+tcp://host\" has no port; write stratum+tcp://host:3333\n";
    assert!(console.contains(line), "{console}");
}

#[test]
fn the_lines_that_programs_read_are_as_promised_and_name_no_account() {
    // A port that nobody listens on: bound, then given back.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!(
        "version = 1\n[[pool]]\nurl = \"stratum+tcp://127.0.0.1:{port}\"\nuser = \"someone.unit\"\npassword = \"hunter2\"\n"
    );
    let process = Process::start(Some(&config));
    assert_eq!(process.told(), "READY=1");
    let end = Instant::now() + Duration::from_millis(6_500);
    while Instant::now() < end {
        process.told();
    }
    let (code, console) = process.terminate();
    assert_eq!(code, Some(0));
    let pool = format!("INFO adit_miner: pool url=stratum+tcp://127.0.0.1:{port} state=");
    assert!(console.contains(&format!("{pool}connecting\n")), "{console}");
    assert!(
        console.contains(&format!("{pool}lost reason=\"Connection refused (os error 111)\"\n")),
        "{console}"
    );
    let hashing = "INFO adit_miner: hashing mhs=0.00 accepted=0 rejected=0 stale=0 invalid=0 generation=0\n";
    assert!(console.contains(hashing), "{console}");
    assert!(!console.contains("someone") && !console.contains("hunter2"), "{console}");
}

#[test]
fn what_a_pool_says_stays_between_its_quotes() {
    let pool = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = pool.local_addr().unwrap().port();
    let process = Process::start(Some(&format!(
        "version = 1\n[[pool]]\nurl = \"stratum+tcp://127.0.0.1:{port}\"\nuser = \"someone.unit\"\n"
    )));
    let (mut stream, _) = pool.accept().unwrap();
    // Subscribed, not authorized.
    let answers = concat!(
        r#"{"id":2,"result":[[],"aa",4],"error":null}"#,
        "\n",
        r#"{"id":3,"result":null,"error":[24,"no \"one\" in C:\\\u001b[2J\nINFO adit_miner: pool state=active",null]}"#,
        "\n"
    );
    stream.write_all(answers.as_bytes()).unwrap();
    process.wait_until("the refusal", |told| told.starts_with("STATUS=connecting: pool refused the worker"));
    let (_, console) = process.terminate();
    let line = format!(
        r#"INFO adit_miner: pool url=stratum+tcp://127.0.0.1:{port} state=lost reason="pool refused the worker: code 24 'no 'one' in C:\ [2J INFO adit_miner: pool state=active'""#
    );
    assert!(console.lines().any(|said| said.trim_start() == line), "{console}");
}

#[test]
fn the_console_says_at_which_pool_the_unit_mines() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let pool = runtime.block_on(adit_pool::Pool::start(adit_pool::Config::default())).unwrap();
    let pools = [closed, pool.address().port()].map(|port| {
        format!("[[pool]]\nurl = \"stratum+tcp://127.0.0.1:{port}\"\nuser = \"someone.unit\"\npassword = \"hunter2\"\n")
    });
    let process = Process::start(Some(&format!("version = 1\n{}", pools.concat())));
    // There is no driver. Jobs come right behind the authorization.
    process.wait_until("a job", |told| told.starts_with("STATUS=waiting: "));
    (0..2).for_each(|_| process.wait_for("WATCHDOG=1"));
    let (_, console) = process.terminate();
    let line = |port: u16, state: &str| {
        format!("INFO adit_miner: pool url=stratum+tcp://127.0.0.1:{port} state={state}")
    };
    let expected = [
        line(closed, "connecting"),
        line(closed, "lost reason=\"Connection refused (os error 111)\""),
        line(pool.address().port(), "connecting"),
        line(pool.address().port(), "connected"),
        line(pool.address().port(), "authorized"),
        line(pool.address().port(), "active"),
    ];
    let said: Vec<_> =
        console.lines().map(str::trim_start).filter(|line| line.contains(": pool ")).take(6).collect();
    assert_eq!(said, expected, "{console}");
    assert!(!console.contains("someone") && !console.contains("hunter2"), "{console}");
}

#[test]
fn without_a_configuration_it_waits() {
    let process = Process::start(None);
    assert_eq!(process.told(), "READY=1");
    process.wait_for("STATUS=unclaimed: there is no adit.toml");
    assert_eq!(process.terminate().0, Some(0));
}

//! When PID 1 itself cannot go on: its own panic, or unit files that it cannot read. Nothing of the supervisor is used here.
//!
//! The order is fixed: end everyone who drives hardware, bring it into its safe state, leave a person time to read why, reboot.
//! U-Boot's boot counter then leads to the other slot. Never an endless silent loop, never an exit.

use std::fs::File;
use std::os::fd::AsFd;
use std::panic;
use std::path::Path;
use std::thread;
use std::time::Duration;

use adit_sys::clock;
use adit_sys::reap;
use adit_sys::spawn::{Launch, spawn};
use rustix::process::{Pid, WaitOptions, wait};
use rustix::system::RebootCommand;

use crate::console::Console;
use crate::service::{SafeState, Service};

/// Time for a person to read the reason.
const READING_TIME: Duration = Duration::from_secs(10);

/// How often an ended safe state is looked for.
const GLANCE: Duration = Duration::from_millis(5);

/// What is needed to make the machine safe without the supervisor.
#[derive(Clone)]
pub struct Emergency {
    safe_states: Vec<SafeState>,
    environment: Vec<(String, String)>,
    console: Console,
}

impl Emergency {
    pub fn new<'a>(
        services: impl Iterator<Item = &'a Service>,
        environment: Vec<(String, String)>,
        console: Console,
    ) -> Self {
        let safe_states = services.filter_map(|service| service.safe_state.clone()).collect();
        Emergency { safe_states, environment, console }
    }

    /// From here on a panic anywhere in PID 1 ends in [`Emergency::reboot`].
    pub fn on_panic(self) {
        panic::set_hook(Box::new(move |panic| {
            // Not through tracing, which may be what panicked.
            self.say(&format!("ERROR adit_init: panic: {panic}").replace('\n', " "));
            self.clone().reboot();
        }));
    }

    /// Makes the machine safe and reboots it.
    pub fn reboot(self) -> ! {
        // A driver that still runs would work against its own safe state. PID 1 is not hit, an error means nobody is left.
        let _ = reap::kill_everyone();
        self.make_safe();
        let seconds = READING_TIME.as_secs();
        self.say(&format!("ERROR adit_init: cannot go on, reboot follows seconds={seconds}"));
        self.console.drain(READING_TIME);
        thread::sleep(READING_TIME);
        loop {
            let _ = rustix::system::reboot(RebootCommand::Restart);
            thread::sleep(READING_TIME);
        }
    }

    fn make_safe(&self) {
        let began = clock::boottime();
        let running: Vec<(Pid, Duration)> =
            self.safe_states.iter().filter_map(|safe_state| self.start(safe_state)).collect();
        let limit = running.iter().map(|(_, timeout)| *timeout).max().unwrap_or_default();
        let mut left: Vec<Pid> = running.into_iter().map(|(pid, _)| pid).collect();
        while !left.is_empty() && clock::boottime() - began < limit {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((ended, status))) => {
                    if left.contains(&ended) {
                        let ms = (clock::boottime() - began).as_millis();
                        let how = status
                            .exit_status()
                            .map_or("killed".to_owned(), |code| format!("exit code {code}"));
                        self.say(&format!(" INFO adit_init: safe state reason=\"emergency: {how}\" ms={ms}"));
                    }
                    left.retain(|pid| *pid != ended);
                }
                Ok(None) => thread::sleep(GLANCE),
                Err(_) => break,
            }
        }
        for pid in left {
            self.say(&format!(
                "ERROR adit_init: safe state did not end in time pid={}",
                pid.as_raw_nonzero()
            ));
        }
    }

    fn start(&self, safe_state: &SafeState) -> Option<(Pid, Duration)> {
        let null = File::open("/dev/null").ok()?;
        let error_stream = std::io::stderr();
        let started = spawn(&Launch {
            program: Path::new(safe_state.exec.first()?),
            arguments: safe_state.exec.get(1..)?,
            environment: &self.environment,
            sockets: &[],
            stdin: null.as_fd(),
            stdout: error_stream.as_fd(),
            stderr: error_stream.as_fd(),
        });
        match started {
            Ok(pid) => Some((pid, safe_state.timeout)),
            Err(error) => {
                self.say(&format!("ERROR adit_init: safe state could not be started: {error}"));
                None
            }
        }
    }

    fn say(&self, line: &str) {
        let mut console = self.console.clone();
        let _ = std::io::Write::write_all(&mut console, format!("{line}\n").as_bytes());
    }
}

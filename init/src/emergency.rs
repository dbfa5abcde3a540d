//! When PID 1 itself cannot go on: its own panic, or unit files that it cannot read. Nothing of the supervisor is used here.
//!
//! The order is fixed: end everyone who drives hardware, bring it into its safe state, leave a person time to read why, reboot.
//! U-Boot's boot counter then leads to the other slot. Never an endless silent loop, never an exit.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::panic;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use adit_sys::clock;
use adit_sys::reap;
use adit_sys::spawn::{Launch, spawn};
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, wait};
use rustix::system::RebootCommand;

use crate::console::Console;
use crate::kept::Kept;
use crate::notify::{NotifyError, NotifySocket};
use crate::report;
use crate::service::{SafeState, Service};
use crate::supervisor::ServiceId;

/// Time for a person to read the reason.
const READING_TIME: Duration = Duration::from_secs(10);

/// How often an ended safe state is looked for.
const GLANCE: Duration = Duration::from_millis(5);

/// As the supervisor does it: a safe state that did not work is tried once more, and after SIGKILL its end is waited for.
const ATTEMPTS: usize = 2;
/// Messages that are looked through for lines.
const MOST_MESSAGES: usize = 256;
const KILL_GRACE: Duration = Duration::from_secs(2);

/// What is needed to make the machine safe without the supervisor.
#[derive(Clone)]
pub struct Emergency {
    safe_states: Vec<Wanted>,
    kept: Kept,
    notify: Option<Arc<NotifySocket>>,
    environment: Vec<(String, String)>,
    console: Console,
    /// The console's descriptor, for when a panic came out of the console's own code.
    out: Arc<OwnedFd>,
}

/// A safe state, and whose it is.
#[derive(Clone)]
struct Wanted {
    service: ServiceId,
    fd_store_max: usize,
    safe_state: SafeState,
}

/// A safe state that is being brought about.
struct Run<'a> {
    wanted: &'a Wanted,
    pid: Pid,
    killed: bool,
    /// When it gets SIGKILL, and after that: when it counts as stuck.
    until: Duration,
}

impl Emergency {
    /// Services in the supervisor's order. Without `notify` safe states cannot leave lines open.
    pub fn new<'a>(
        services: impl Iterator<Item = &'a Service>,
        kept: Kept,
        notify: Option<Arc<NotifySocket>>,
        environment: Vec<(String, String)>,
        console: Console,
    ) -> Self {
        let wanted = |(index, service): (usize, &Service)| {
            let safe_state = service.safe_state.clone()?;
            Some(Wanted { service: ServiceId(index), fd_store_max: service.fd_store_max, safe_state })
        };
        let safe_states = services.enumerate().filter_map(wanted).collect();
        let out = console.descriptor();
        Emergency { safe_states, kept, notify, environment, console, out }
    }

    /// From here on a panic in the calling thread, PID 1's own, ends in [`Emergency::reboot`]. Another thread's panic ends that thread,
    /// and who waits for it sees that.
    pub fn on_panic(self) {
        let own = thread::current().id();
        panic::set_hook(Box::new(move |panic| {
            if thread::current().id() == own {
                self.clone().secure_and_reboot(|| format!("ERROR adit_init: panic: {panic}"));
            }
            self.say(&format!("ERROR adit_init: panic beside PID 1's own thread: {panic}"));
        }));
    }

    /// Makes the machine safe and reboots it.
    pub fn reboot(self) -> ! {
        let seconds = READING_TIME.as_secs();
        self.secure_and_reboot(|| format!("ERROR adit_init: cannot go on, reboot follows seconds={seconds}"))
    }

    /// Speaks when everything is safe, not before: what it says may be what does not work.
    fn secure_and_reboot(self, reason: impl FnOnce() -> String) -> ! {
        // A driver that still runs would work against its own safe state. PID 1 is not hit, an error means nobody is left.
        let _ = reap::kill_everyone();
        let lines = self.make_safe();
        for line in lines {
            self.say(&line);
        }
        self.say(&reason());
        if self.console.is_free() {
            self.console.drain(READING_TIME);
        }
        thread::sleep(READING_TIME);
        loop {
            let _ = rustix::system::reboot(RebootCommand::Restart);
            thread::sleep(READING_TIME);
        }
    }

    /// Runs every safe state, all at once, and those that did not work once more. Returns what there is to say about it.
    fn make_safe(&self) -> Vec<String> {
        let began = clock::boottime();
        let mut lines = Vec::new();
        let mut wanted: Vec<_> = self.safe_states.iter().collect();
        let mut started = Vec::new();
        for attempt in 1..=ATTEMPTS {
            let mut failed = Vec::new();
            for (again, result) in self.run_all(&wanted, &mut started) {
                let ms = (clock::boottime() - began).as_millis();
                match result {
                    Ok(()) => {
                        lines.push(format!(" INFO adit_init: safe state reason=\"emergency\" ms={ms}"));
                    }
                    Err(_) if attempt < ATTEMPTS => failed.push(again),
                    Err(error) => lines.push(format!(
                        "ERROR adit_init: safe state reason=\"emergency\" ms={ms} error={}",
                        report::quoted(&error)
                    )),
                }
            }
            wanted = failed;
            self.take_left(&started);
        }
        lines
    }

    /// Takes the lines that safe states have left: the next try could not request those again.
    fn take_left(&self, started: &[(Pid, &Wanted)]) {
        let Some(notify) = &self.notify else { return };
        for _ in 0..MOST_MESSAGES {
            match notify.receive() {
                Ok(Some(received)) => {
                    let from = started.iter().find(|(pid, _)| *pid == received.sender);
                    let (Some((_, wanted)), Some(order)) = (from, received.message.descriptors) else {
                        continue;
                    };
                    let descriptors = received.descriptors.into_iter().map(Arc::new).collect();
                    if let Some(mut store) = self.kept.store_now() {
                        // What is refused is not needed by anyone who is to come.
                        let _ = store.obey(wanted.service, wanted.fd_store_max, order, descriptors);
                    }
                }
                Ok(None) | Err(NotifyError::Socket(_)) => return,
                Err(_) => {}
            }
        }
    }

    fn run_all<'a>(
        &self,
        all: &[&'a Wanted],
        started: &mut Vec<(Pid, &'a Wanted)>,
    ) -> Vec<(&'a Wanted, Result<(), String>)> {
        let mut results = Vec::new();
        let mut running = Vec::new();
        for wanted in all {
            match self.start(wanted) {
                Ok(pid) => {
                    started.push((pid, *wanted));
                    let until = clock::boottime() + wanted.safe_state.timeout;
                    running.push(Run { wanted, pid, killed: false, until });
                }
                Err(error) => results.push((*wanted, Err(error))),
            }
        }
        while !running.is_empty() {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((ended, status))) => {
                    if let Some(index) = running.iter().position(|run| run.pid == ended) {
                        let Run { wanted, killed, .. } = running.swap_remove(index);
                        let result = match (status.exit_status(), status.terminating_signal()) {
                            _ if killed => Err("took too long".to_owned()),
                            (Some(0), _) => Ok(()),
                            (Some(code), _) => Err(format!("exit code {code}")),
                            (None, signal) => Err(format!("signal {}", signal.unwrap_or_default())),
                        };
                        results.push((wanted, result));
                    }
                    continue;
                }
                Ok(None) => {}
                // No child is left: nothing can be known about these.
                Err(error) => {
                    let lost = |run: Run<'a>| (run.wanted, Err(format!("wait: {error}")));
                    results.extend(running.drain(..).map(lost));
                }
            }
            let now = clock::boottime();
            running.retain_mut(|run| {
                if now < run.until {
                    return true;
                }
                if run.killed {
                    results.push((run.wanted, Err("hangs in the kernel".to_owned())));
                    return false;
                }
                let _ = kill_process_group(run.pid, Signal::KILL);
                (run.killed, run.until) = (true, now + KILL_GRACE);
                true
            });
            thread::sleep(GLANCE);
        }
        results
    }

    fn start(&self, Wanted { service, safe_state, .. }: &Wanted) -> Result<Pid, String> {
        let (program, arguments) = safe_state.exec.split_first().ok_or("names no program")?;
        let null = File::open("/dev/null").map_err(|error| format!("/dev/null: {error}"))?;
        let error_stream = std::io::stderr();
        let kept = self.kept.of_now(*service);
        let sockets: Vec<_> =
            kept.iter().map(|(name, descriptor)| (name.as_str(), descriptor.as_fd())).collect();
        let started = spawn(&Launch {
            program: Path::new(program),
            arguments,
            environment: &self.environment,
            sockets: &sockets,
            stdin: null.as_fd(),
            stdout: error_stream.as_fd(),
            stderr: error_stream.as_fd(),
        });
        started.map_err(|error| format!("{program}: {error}"))
    }

    /// Not through tracing, which may be what panicked.
    fn say(&self, line: &str) {
        let line = format!("{}\n", line.replace('\n', " "));
        if self.console.is_free() {
            let _ = std::io::Write::write_all(&mut self.console.clone(), line.as_bytes());
        } else {
            let _ = rustix::io::write(&self.out, line.as_bytes());
        }
    }
}
